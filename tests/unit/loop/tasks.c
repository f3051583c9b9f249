/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: phase by phase at the end of the turn, and never a sleep before one that waits. */
#include "contract.h"

struct job {
    struct loop *loop;
    struct loop_task task;
    struct diary *diary;
    char letter;
    struct job *schedules, *cancels;
    bool once, frees_itself, breaks;
};

static void work(void *arg)
{
    struct job *job = arg;
    note(job->diary, job->letter);
    if (job->schedules != NULL)
        loop_task_schedule(job->loop, &job->schedules->task);
    if (job->once)
        job->schedules = NULL;
    if (job->cancels != NULL)
        loop_task_cancel(job->loop, &job->cancels->task);
    if (job->breaks)
        loop_break(job->loop);
    if (job->frees_itself)
        free(job);
}

static void init(struct job *job, struct fixture *f, int phase, struct diary *diary, char letter)
{
    *job = (struct job){.loop = f->loop, .diary = diary, .letter = letter};
    loop_task_init(&job->task, phase, work, job);
}

static void output_runs_before_flush_and_each_in_order(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job flush1, flush2, output1, output2;
    init(&flush1, f, LOOP_PHASE_FLUSH, &diary, 'F');
    init(&flush2, f, LOOP_PHASE_FLUSH, &diary, 'G');
    init(&output1, f, LOOP_PHASE_OUTPUT, &diary, 'o');
    init(&output2, f, LOOP_PHASE_OUTPUT, &diary, 'p');
    loop_task_schedule(f->loop, &flush1.task);
    loop_task_schedule(f->loop, &output1.task);
    loop_task_schedule(f->loop, &flush2.task);
    loop_task_schedule(f->loop, &output2.task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "opFG");
}

static void a_task_that_is_scheduled_twice_runs_once(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job job;
    init(&job, f, LOOP_PHASE_OUTPUT, &diary, 'o');
    loop_task_schedule(f->loop, &job.task);
    loop_task_schedule(f->loop, &job.task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "o");
}

static void output_may_schedule_a_flush_of_the_same_turn(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job output, flush;
    init(&output, f, LOOP_PHASE_OUTPUT, &diary, 'o');
    init(&flush, f, LOOP_PHASE_FLUSH, &diary, 'F');
    output.schedules = &flush;
    output.breaks = true; /* the last turn: what runs, runs in it */
    loop_task_schedule(f->loop, &output.task);
    loop_run(f->loop);
    assert_string_equal(diary.text, "oF");
}

static void
an_output_that_a_flush_schedules_waits_for_the_next_turn_which_does_not_sleep(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job output, flush, later;
    init(&flush, f, LOOP_PHASE_FLUSH, &diary, 'F');
    init(&later, f, LOOP_PHASE_FLUSH, &diary, 'G');
    init(&output, f, LOOP_PHASE_OUTPUT, &diary, 'o');
    flush.schedules = &output;
    output.breaks = true;
    loop_task_schedule(f->loop, &flush.task);
    loop_task_schedule(f->loop, &later.task);
    loop_run(f->loop); /* would sleep for ever */
    assert_string_equal(diary.text, "FGo");
}

static void a_task_that_schedules_itself_runs_once_a_turn(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job job, other;
    init(&job, f, LOOP_PHASE_OUTPUT, &diary, 'o');
    init(&other, f, LOOP_PHASE_FLUSH, &diary, 'F');
    job.schedules = &job;
    job.once = true;
    other.schedules = &other;
    other.once = true;
    loop_task_schedule(f->loop, &job.task);
    loop_task_schedule(f->loop, &other.task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "oFoF");
}

static void a_cancelled_task_does_not_run(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        init(&jobs[i], f, LOOP_PHASE_OUTPUT, &diary, (char)('a' + i));
        loop_task_schedule(f->loop, &jobs[i].task);
    }
    loop_task_cancel(f->loop, &jobs[1].task);
    loop_task_cancel(f->loop, &jobs[1].task); /* twice is once */
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "ac");
    loop_task_schedule(f->loop, &jobs[1].task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "acb");
}

static void the_last_task_of_a_phase_may_be_cancelled_and_others_still_be_added(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job jobs[3];
    for (int i = 0; i < 3; i++)
        init(&jobs[i], f, LOOP_PHASE_OUTPUT, &diary, (char)('a' + i));
    loop_task_schedule(f->loop, &jobs[0].task);
    loop_task_schedule(f->loop, &jobs[1].task);
    loop_task_cancel(f->loop, &jobs[1].task);
    loop_task_schedule(f->loop, &jobs[2].task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "ac");
}

static void a_task_may_cancel_others_of_the_phase_that_runs(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        init(&jobs[i], f, LOOP_PHASE_OUTPUT, &diary, (char)('a' + i));
        loop_task_schedule(f->loop, &jobs[i].task);
    }
    jobs[0].cancels = &jobs[2];   /* the last of the list that runs … */
    jobs[1].schedules = &jobs[0]; /* … and the next turn's list still works */
    jobs[0].once = true;
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "aba");
}

static void a_task_may_free_itself(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct job *job = malloc(sizeof *job);
    assert_non_null(job);
    init(job, f, LOOP_PHASE_FLUSH, &diary, 'a');
    job->frees_itself = true;
    loop_task_schedule(f->loop, &job->task);
    run_some_turns(f->loop);
    assert_string_equal(diary.text, "a");
}

struct farewell {
    struct job job;
};

static void schedule_and_break(void *arg)
{
    struct farewell *farewell = arg;
    loop_task_schedule(farewell->job.loop, &farewell->job.task);
    loop_break(farewell->job.loop);
}

static void the_tasks_of_the_last_turn_still_run(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct farewell farewell;
    init(&farewell.job, f, LOOP_PHASE_FLUSH, &diary, 'a');
    assert_int_equal(loop_post(f->loop, schedule_and_break, &farewell), 0);
    loop_run(f->loop);
    assert_string_equal(diary.text, "a");
}

int run_tasks(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(output_runs_before_flush_and_each_in_order),
        with_loop(a_task_that_is_scheduled_twice_runs_once),
        with_loop(output_may_schedule_a_flush_of_the_same_turn),
        with_loop(an_output_that_a_flush_schedules_waits_for_the_next_turn_which_does_not_sleep),
        with_loop(a_task_that_schedules_itself_runs_once_a_turn),
        with_loop(a_cancelled_task_does_not_run),
        with_loop(the_last_task_of_a_phase_may_be_cancelled_and_others_still_be_added),
        with_loop(a_task_may_cancel_others_of_the_phase_that_runs),
        with_loop(a_task_may_free_itself),
        with_loop(the_tasks_of_the_last_turn_still_run),
    };
    return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
