/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors: who hears what, and who hears nothing any more. */
#include "contract.h"

struct ear {
    struct loop *loop;
    struct loop_watch *watch;
    struct ear *other;
    int events, calls;
};

static void hear_and_break(void *arg, int events)
{
    struct ear *ear = arg;
    ear->events = events;
    ear->calls++;
    loop_break(ear->loop);
}

static void hear(void *arg, int events)
{
    struct ear *ear = arg;
    ear->events |= events;
    ear->calls++;
}

static void write_byte(int fd)
{
    assert_int_equal(write(fd, "x", 1), 1);
}

static void data_is_told_to_the_reader(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_and_break, &ear);
    write_byte(f->b);
    loop_run(f->loop);
    assert_int_equal(ear.calls, 1);
    assert_int_equal(ear.events, BURROW_READ);
    loop_unwatch(ear.watch);
}

static void both_events_come_in_one_call(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ | BURROW_WRITE, hear_and_break, &ear);
    write_byte(f->b);
    loop_run(f->loop);
    assert_int_equal(ear.calls, 1);
    assert_int_equal(ear.events, BURROW_READ | BURROW_WRITE);
    loop_unwatch(ear.watch);
}

static void data_that_is_not_read_is_told_again(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    write_byte(f->b);
    run_some_turns(f->loop);
    assert_true(ear.calls > 1);
    loop_unwatch(ear.watch);
}

static void the_peers_end_is_told_to_the_reader(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_and_break, &ear);
    close(f->b);
    f->b = dup(f->c);
    loop_run(f->loop);
    assert_int_equal(ear.events, BURROW_READ);
    loop_unwatch(ear.watch);
}

static void a_paused_watch_hears_nothing_until_it_is_resumed(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    assert_int_equal(loop_rewatch(ear.watch, 0), 0);
    write_byte(f->b);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 0);
    assert_int_equal(loop_rewatch(ear.watch, BURROW_READ), 0);
    run_some_turns(f->loop);
    assert_true(ear.calls > 0);
    loop_unwatch(ear.watch);
}

static void a_watch_may_begin_paused(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, 0, hear, &ear);
    write_byte(f->b);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 0);
    loop_rewatch(ear.watch, BURROW_READ);
    run_some_turns(f->loop);
    assert_true(ear.calls > 0);
    loop_unwatch(ear.watch);
}

static void unwatch_self(void *arg, int events)
{
    struct ear *ear = arg;
    (void)events;
    ear->calls++;
    loop_unwatch(ear->watch);
    ear->watch = NULL;
}

static void a_watch_may_end_inside_its_own_call(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, unwatch_self, &ear);
    write_byte(f->b);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 1);
}

static void unwatch_both(void *arg, int events)
{
    struct ear *ear = arg;
    unwatch_self(ear, events);
    loop_unwatch(ear->other->watch);
    ear->other->watch = NULL;
}

static void a_watch_that_another_ends_in_the_same_turn_hears_nothing(void **state)
{
    struct fixture *f = *state;
    struct ear one = {.loop = f->loop}, two = {.loop = f->loop};
    one.other = &two;
    two.other = &one;
    one.watch = loop_watch(f->loop, f->a, BURROW_READ, unwatch_both, &one);
    two.watch = loop_watch(f->loop, f->c, BURROW_READ, unwatch_both, &two);
    write_byte(f->b);
    write_byte(f->d);
    run_some_turns(f->loop);
    assert_int_equal(one.calls + two.calls, 1);
}

static void a_descriptor_number_may_be_used_again_at_once(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    run_some_turns(f->loop);
    loop_unwatch(ear.watch);
    assert_int_equal(dup2(f->c, f->a), f->a); /* the number of a, the socket of c */
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    write_byte(f->d);
    run_some_turns(f->loop);
    assert_true(ear.calls > 0);
    loop_unwatch(ear.watch);
}

static void a_fed_event_comes_without_data(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_and_break, &ear);
    loop_feed(ear.watch, BURROW_READ);
    loop_run(f->loop);
    assert_int_equal(ear.events, BURROW_READ);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 1); /* once */
    loop_unwatch(ear.watch);
}

static void a_fed_event_that_is_not_wanted_waits_until_it_is(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    loop_feed(ear.watch, BURROW_READ);
    loop_rewatch(ear.watch, 0);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 0);
    loop_rewatch(ear.watch, BURROW_READ);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 1);
    loop_unwatch(ear.watch);
}

static void feeding_a_paused_watch_wakes_nobody_until_it_is_resumed(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, 0, hear, &ear);
    loop_feed(ear.watch, BURROW_READ | BURROW_WRITE);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 0);
    loop_rewatch(ear.watch, BURROW_READ);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 1);
    assert_int_equal(ear.events, BURROW_READ);
    loop_unwatch(ear.watch);
}

static void a_fed_watch_may_end_before_it_hears(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear, &ear);
    loop_feed(ear.watch, BURROW_READ);
    loop_unwatch(ear.watch);
    run_some_turns(f->loop);
    assert_int_equal(ear.calls, 0);
}

static void count_turn(void *arg)
{
    ++*(int *)arg;
}

struct feeder {
    struct ear *ear;
    struct loop_task turn_end;
    int turns, heard_in;
};

static void hear_in_turn(void *arg, int events)
{
    struct feeder *feeder = arg;
    (void)events;
    feeder->heard_in = feeder->turns;
    loop_break(feeder->ear->loop);
}

static void feed_inside_a_turn(void *arg)
{
    struct feeder *feeder = arg;
    loop_task_schedule(feeder->ear->loop, &feeder->turn_end);
    loop_feed(feeder->ear->watch, BURROW_READ);
}

static void what_is_fed_in_a_turn_comes_after_its_tasks(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    struct feeder feeder = {.ear = &ear, .heard_in = -1};
    loop_task_init(&feeder.turn_end, LOOP_PHASE_FLUSH, count_turn, &feeder.turns);
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_in_turn, &feeder);
    assert_int_equal(loop_post(f->loop, feed_inside_a_turn, &feeder), 0);
    loop_run(f->loop);
    assert_int_equal(feeder.heard_in, 1);
    loop_unwatch(ear.watch);
}

static void feed_from_task(void *arg)
{
    struct ear *ear = arg;
    loop_feed(ear->watch, BURROW_READ);
}

static void feeding_at_the_end_of_a_turn_keeps_the_loop_awake(void **state)
{
    struct fixture *f = *state;
    struct ear ear = {.loop = f->loop};
    struct loop_task task;
    loop_task_init(&task, LOOP_PHASE_FLUSH, feed_from_task, &ear);
    ear.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_and_break, &ear);
    loop_task_schedule(f->loop, &task);
    loop_run(f->loop); /* would sleep for ever */
    assert_int_equal(ear.calls, 1);
    loop_unwatch(ear.watch);
}

/* Both are fed; whichever comes first makes the other want something else for a moment. */
static void hear_and_change_other(void *arg, int events)
{
    struct ear *ear = arg;
    (void)events;
    ear->calls++;
    loop_rewatch(ear->other->watch, BURROW_READ | BURROW_WRITE);
    loop_rewatch(ear->other->watch, BURROW_READ);
    loop_rewatch(ear->other->watch, 0);
    loop_rewatch(ear->other->watch, BURROW_READ);
}

static void a_fed_event_outlives_a_change_of_what_is_wanted(void **state)
{
    struct fixture *f = *state;
    struct ear one = {.loop = f->loop}, two = {.loop = f->loop};
    one.watch = loop_watch(f->loop, f->a, BURROW_READ, hear_and_change_other, &one);
    two.watch = loop_watch(f->loop, f->c, BURROW_READ, hear_and_change_other, &two);
    one.other = &two;
    two.other = &one;
    loop_feed(one.watch, BURROW_READ);
    loop_feed(two.watch, BURROW_READ);
    run_some_turns(f->loop);
    assert_true(one.calls >= 1);
    assert_true(two.calls >= 1);
    loop_unwatch(one.watch);
    loop_unwatch(two.watch);
}

static void pause_other(void *arg, int events)
{
    struct ear *ear = arg;
    (void)events;
    ear->calls++;
    loop_rewatch(ear->other->watch, 0);
    loop_rewatch(ear->watch, 0);
}

static void a_watch_that_another_pauses_in_the_same_turn_hears_nothing(void **state)
{
    struct fixture *f = *state;
    struct ear one = {.loop = f->loop}, two = {.loop = f->loop};
    one.watch = loop_watch(f->loop, f->a, BURROW_READ, pause_other, &one);
    two.watch = loop_watch(f->loop, f->c, BURROW_READ, pause_other, &two);
    one.other = &two;
    two.other = &one;
    write_byte(f->b);
    write_byte(f->d);
    run_some_turns(f->loop);
    assert_int_equal(one.calls + two.calls, 1);
    loop_unwatch(one.watch);
    loop_unwatch(two.watch);
}

static void no_watch_may_be_given_to_unwatch(void **state)
{
    (void)state;
    loop_unwatch(NULL);
}

int run_watches(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(data_is_told_to_the_reader),
        with_loop(both_events_come_in_one_call),
        with_loop(data_that_is_not_read_is_told_again),
        with_loop(the_peers_end_is_told_to_the_reader),
        with_loop(a_paused_watch_hears_nothing_until_it_is_resumed),
        with_loop(a_watch_may_begin_paused),
        with_loop(a_watch_may_end_inside_its_own_call),
        with_loop(a_watch_that_another_ends_in_the_same_turn_hears_nothing),
        with_loop(a_descriptor_number_may_be_used_again_at_once),
        with_loop(a_fed_event_comes_without_data),
        with_loop(a_fed_event_that_is_not_wanted_waits_until_it_is),
        with_loop(feeding_a_paused_watch_wakes_nobody_until_it_is_resumed),
        with_loop(a_fed_watch_may_end_before_it_hears),
        with_loop(what_is_fed_in_a_turn_comes_after_its_tasks),
        with_loop(feeding_at_the_end_of_a_turn_keeps_the_loop_awake),
        with_loop(a_fed_event_outlives_a_change_of_what_is_wanted),
        with_loop(a_watch_that_another_pauses_in_the_same_turn_hears_nothing),
        cmocka_unit_test(no_watch_may_be_given_to_unwatch),
    };
    return cmocka_run_group_tests_name("watches", tests, NULL, NULL);
}
