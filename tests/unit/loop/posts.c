/* SPDX-License-Identifier: Apache-2.0 */
/* Posted calls, the start and the end of a run, and the loop's memory. */
#include "contract.h"

#include "loop/calls.h"

struct letter {
    struct diary *diary;
    char c;
};

static void read_letter(void *arg)
{
    struct letter *letter = arg;
    note(letter->diary, letter->c);
}

static void posts_run_in_the_order_in_which_they_were_posted(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct letter letters[5];
    for (int i = 0; i < 5; i++) {
        letters[i] = (struct letter){&diary, (char)('a' + i)};
        assert_int_equal(loop_post(f->loop, read_letter, &letters[i]), 0);
    }
    assert_string_equal(diary.text, "");
    assert_int_equal(loop_post(f->loop, break_loop, f->loop), 0);
    loop_run(f->loop);
    assert_string_equal(diary.text, "abcde");
}

struct chain {
    struct diary diary;
    struct loop_task task;
};

static void end_of_turn(void *arg)
{
    struct chain *chain = arg;
    note(&chain->diary, '|');
}

static void second(void *arg)
{
    struct chain *chain = arg;
    note(&chain->diary, '2');
    loop_break(chain->diary.loop);
}

static void first(void *arg)
{
    struct chain *chain = arg;
    loop_task_schedule(chain->diary.loop, &chain->task);
    assert_int_equal(loop_post(chain->diary.loop, second, chain), 0);
    note(&chain->diary, '1');
}

static void a_post_from_a_post_runs_on_a_fresh_turn(void **state)
{
    struct fixture *f = *state;
    struct chain chain = {.diary = {.loop = f->loop}};
    loop_task_init(&chain.task, LOOP_PHASE_OUTPUT, end_of_turn, &chain);
    assert_int_equal(loop_post(f->loop, first, &chain), 0);
    loop_run(f->loop);
    assert_string_equal(chain.diary.text, "1|2");
}

static void post_from_task(void *arg)
{
    struct loop *loop = arg;
    assert_int_equal(loop_post(loop, break_loop, loop), 0);
}

static void a_post_from_a_task_keeps_the_loop_awake(void **state)
{
    struct fixture *f = *state;
    struct loop_task task;
    loop_task_init(&task, LOOP_PHASE_FLUSH, post_from_task, f->loop);
    loop_task_schedule(f->loop, &task);
    loop_run(f->loop); /* would sleep for ever */
}

static void must_not_run(void *arg)
{
    (void)arg;
    fail();
}

static void posts_that_have_not_run_are_dropped_with_the_loop(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    assert_non_null(loop);
    assert_int_equal(loop_post(loop, must_not_run, NULL), 0);
    assert_int_equal(loop_post(loop, must_not_run, NULL), 0);
    loop_destroy(loop);
}

struct dropped {
    struct loop_call call;
    int times;
};

static void count_drop(void *arg)
{
    struct dropped *dropped = arg;
    dropped->times++;
}

static void a_call_that_the_loop_drops_is_told_so(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    assert_non_null(loop);
    struct dropped dropped = {
        .call = {.fn = must_not_run, .arg = &dropped, .drop = count_drop},
    };
    loop_post_call(loop, &dropped.call);
    loop_destroy(loop);
    assert_int_equal(dropped.times, 1);
}

static void a_break_before_the_run_ends_it_at_once_and_only_once(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct letter letter = {&diary, 'a'};
    loop_break(f->loop);
    loop_run(f->loop);
    assert_int_equal(loop_post(f->loop, read_letter, &letter), 0);
    assert_int_equal(loop_post(f->loop, break_loop, f->loop), 0);
    loop_run(f->loop);
    assert_string_equal(diary.text, "a");
}

static void scratch_memory_is_there_up_to_its_limit(void **state)
{
    struct fixture *f = *state;
    uint8_t *p = loop_scratch(f->loop, 256 * 1024);
    assert_non_null(p);
    memset(p, 1, 256 * 1024);
    assert_ptr_equal(loop_scratch(f->loop, 1), p);
    assert_null(loop_scratch(f->loop, 256 * 1024 + 1));
}

static void a_foreign_flavour_of_loop_is_not_there(void **state)
{
    struct fixture *f = *state;
    assert_null(loop_native(f->loop, "libuv"));
}

static void no_loop_may_be_given_to_destroy(void **state)
{
    (void)state;
    loop_destroy(NULL);
}

int run_posts(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(posts_run_in_the_order_in_which_they_were_posted),
        with_loop(a_post_from_a_post_runs_on_a_fresh_turn),
        with_loop(a_post_from_a_task_keeps_the_loop_awake),
        cmocka_unit_test(posts_that_have_not_run_are_dropped_with_the_loop),
        cmocka_unit_test(a_call_that_the_loop_drops_is_told_so),
        with_loop(a_break_before_the_run_ends_it_at_once_and_only_once),
        with_loop(scratch_memory_is_there_up_to_its_limit),
        with_loop(a_foreign_flavour_of_loop_is_not_there),
        cmocka_unit_test(no_loop_may_be_given_to_destroy),
    };
    return cmocka_run_group_tests_name("posts", tests, NULL, NULL);
}
