/* SPDX-License-Identifier: Apache-2.0 */
/* Timers: once per setting, in order, never early, and gone when destroyed. */
#include "contract.h"

struct alarm_clock {
    struct loop *loop;
    struct loop_timer *timer, *other;
    struct diary *diary;
    char letter;
    uint64_t due_ms;
    int calls;
    bool last, again;
};

static void ring(void *arg)
{
    struct alarm_clock *c = arg;
    c->calls++;
    assert_true(loop_now_ms(c->loop) >= c->due_ms);
    if (c->diary != NULL)
        note(c->diary, c->letter);
    if (c->last)
        loop_break(c->loop);
}

static void set(struct alarm_clock *c, uint64_t ms)
{
    c->due_ms = loop_now_ms(c->loop) + ms;
    loop_timer_set(c->timer, ms);
}

static struct alarm_clock make(struct fixture *f, struct diary *diary, char letter)
{
    return (struct alarm_clock){.loop = f->loop, .diary = diary, .letter = letter};
}

/* arg must be where the clock stays. */
static void wind(struct alarm_clock *c, burrow_timer_fn *fn)
{
    c->timer = loop_timer_create(c->loop, fn, c);
    assert_non_null(c->timer);
}

static void set_four(void *arg)
{
    static const uint64_t ms[4] = {9, 3, 12, 6};
    struct alarm_clock *c = arg;
    for (int i = 0; i < 4; i++)
        set(&c[i], ms[i]);
}

static void timers_run_in_the_order_of_their_times(void **state)
{
    struct fixture *f = *state;
    struct diary diary = {.text = ""};
    struct alarm_clock c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = make(f, &diary, (char)('a' + i));
        wind(&c[i], ring);
    }
    c[2].last = true;
    /* In one turn, so that they count from the same time however slow the machine is. */
    assert_int_equal(loop_post(f->loop, set_four, c), 0);
    loop_run(f->loop);
    assert_string_equal(diary.text, "bdac");
    for (int i = 0; i < 4; i++)
        loop_timer_destroy(c[i].timer);
}

static void a_timer_is_never_early(void **state)
{
    struct fixture *f = *state;
    for (uint64_t ms = 0; ms <= 5; ms++) {
        struct alarm_clock c = make(f, NULL, 'a');
        c.last = true;
        wind(&c, ring);
        set(&c, ms);
        loop_run(f->loop);
        assert_int_equal(c.calls, 1);
        loop_timer_destroy(c.timer);
    }
}

/* A second clock that ends the run after the first has had its chance. */
static void run_until(struct fixture *f, uint64_t ms)
{
    struct alarm_clock end = make(f, NULL, 'z');
    end.last = true;
    wind(&end, ring);
    set(&end, ms);
    loop_run(f->loop);
    loop_timer_destroy(end.timer);
}

static void a_timer_runs_once_per_setting(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    wind(&c, ring);
    set(&c, 1);
    run_until(f, 8);
    assert_int_equal(c.calls, 1);
    set(&c, 1);
    run_until(f, 8);
    assert_int_equal(c.calls, 2);
    loop_timer_destroy(c.timer);
}

static void a_timer_that_is_put_off_runs_once_at_the_later_time(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    c.last = true;
    wind(&c, ring);
    set(&c, 2);
    set(&c, 10);
    loop_run(f->loop);
    assert_int_equal(c.calls, 1);
    run_until(f, 5);
    assert_int_equal(c.calls, 1);
    loop_timer_destroy(c.timer);
}

static void a_timer_that_is_brought_forward_runs_at_the_earlier_time(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    c.last = true;
    wind(&c, ring);
    set(&c, 3600 * 1000);
    set(&c, 2);
    loop_run(f->loop); /* not for an hour */
    assert_int_equal(c.calls, 1);
    loop_timer_destroy(c.timer);
}

static void a_timer_may_wait_for_ever(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    wind(&c, ring);
    loop_timer_set(c.timer, UINT64_MAX);
    run_until(f, 3);
    assert_int_equal(c.calls, 0);
    loop_timer_destroy(c.timer);
}

static void a_stopped_timer_does_not_run(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    wind(&c, ring);
    set(&c, 1);
    set(&c, 2);
    loop_timer_stop(c.timer);
    run_until(f, 8);
    assert_int_equal(c.calls, 0);
    set(&c, 1); /* and can be set again */
    run_until(f, 8);
    assert_int_equal(c.calls, 1);
    loop_timer_destroy(c.timer);
}

static void ring_and_set_again(void *arg)
{
    struct alarm_clock *c = arg;
    ring(c);
    if (c->calls < 3)
        set(c, 1);
    else
        loop_break(c->loop);
}

static void a_timer_may_set_itself_again(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    wind(&c, ring_and_set_again);
    set(&c, 1);
    loop_run(f->loop);
    assert_int_equal(c.calls, 3);
    loop_timer_destroy(c.timer);
}

static void ring_and_destroy(void *arg)
{
    struct alarm_clock *c = arg;
    ring(c);
    loop_timer_destroy(c->timer);
    if (c->other != NULL)
        loop_timer_destroy(c->other);
}

static void a_timer_may_be_destroyed_inside_its_own_call(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock c = make(f, NULL, 'a');
    c.last = true;
    wind(&c, ring_and_destroy);
    set(&c, 1);
    loop_run(f->loop);
    assert_int_equal(c.calls, 1);
}

static void a_timer_that_another_destroys_in_the_same_turn_does_not_run(void **state)
{
    struct fixture *f = *state;
    struct alarm_clock one = make(f, NULL, 'a'), two = make(f, NULL, 'b');
    wind(&one, ring_and_destroy);
    wind(&two, ring_and_destroy);
    one.other = two.timer;
    two.other = one.timer;
    set(&one, 1);
    set(&two, 1);
    run_until(f, 8);
    assert_int_equal(one.calls + two.calls, 1);
}

struct stillness {
    struct loop *loop;
    uint64_t now_ms;
    struct loop_task task;
};

static void look_again(void *arg)
{
    struct stillness *s = arg;
    assert_int_equal(loop_now_ms(s->loop), s->now_ms);
    loop_break(s->loop);
}

static void look_and_be_slow(void *arg)
{
    struct stillness *s = arg;
    s->now_ms = loop_now_ms(s->loop);
    uint64_t start_us = loop_clock_us(s->loop);
    for (int i = 0; i < 1000000 && loop_clock_us(s->loop) < start_us + 3000; i++)
        ;
    assert_int_equal(loop_now_ms(s->loop), s->now_ms);
    loop_task_schedule(s->loop, &s->task);
}

static void the_time_stands_still_within_a_turn(void **state)
{
    struct fixture *f = *state;
    struct stillness s = {.loop = f->loop};
    loop_task_init(&s.task, LOOP_PHASE_FLUSH, look_again, &s);
    assert_int_equal(loop_post(f->loop, look_and_be_slow, &s), 0);
    loop_run(f->loop);
}

static void no_timer_may_be_given_to_destroy(void **state)
{
    (void)state;
    loop_timer_destroy(NULL);
}

int run_timers(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(timers_run_in_the_order_of_their_times),
        with_loop(a_timer_is_never_early),
        with_loop(a_timer_runs_once_per_setting),
        with_loop(a_timer_that_is_put_off_runs_once_at_the_later_time),
        with_loop(a_timer_that_is_brought_forward_runs_at_the_earlier_time),
        with_loop(a_timer_may_wait_for_ever),
        with_loop(a_stopped_timer_does_not_run),
        with_loop(a_timer_may_set_itself_again),
        with_loop(a_timer_may_be_destroyed_inside_its_own_call),
        with_loop(a_timer_that_another_destroys_in_the_same_turn_does_not_run),
        with_loop(the_time_stands_still_within_a_turn),
        cmocka_unit_test(no_timer_may_be_given_to_destroy),
    };
    return cmocka_run_group_tests_name("timers", tests, NULL, NULL);
}
