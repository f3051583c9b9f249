/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake loop adds for other tests: a clock that they move, and events by hand. */
#include "fake_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = loop_create();
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    loop_destroy(*state);
    return 0;
}
#define with_loop(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

struct sight {
    struct loop *loop;
    int calls, events;
    uint64_t at_ms;
    struct loop_timer *again;
};

static void see(void *arg)
{
    struct sight *s = arg;
    s->calls++;
    s->at_ms = loop_now_ms(s->loop);
    if (s->again != NULL)
        loop_timer_set(s->again, 100);
}

static void hear(void *arg, int events)
{
    struct sight *s = arg;
    s->calls++;
    s->events = events;
}

static void time_passes_only_by_advance_and_timers_see_their_own_time(void **state)
{
    struct sight s = {.loop = *state};
    struct loop_timer *timer = loop_timer_create(*state, see, &s);
    uint64_t start = loop_now_ms(*state);
    s.again = timer;
    loop_timer_set(timer, 100);
    fake_loop_settle(*state);
    assert_int_equal(s.calls, 0);
    assert_int_equal(loop_now_ms(*state), start);
    assert_int_equal(fake_loop_next_timer(*state), 100);
    fake_loop_advance(*state, 99);
    assert_int_equal(s.calls, 0);
    fake_loop_advance(*state, 1);
    assert_int_equal(s.calls, 1);
    fake_loop_advance(*state, 350);
    assert_int_equal(s.calls, 4);
    assert_int_equal(s.at_ms, start + 400);
    assert_int_equal(loop_now_ms(*state), start + 450);
    assert_int_equal(fake_loop_timer_count(*state), 1);
    loop_timer_destroy(timer);
    assert_int_equal(fake_loop_timer_count(*state), 0);
    assert_int_equal(fake_loop_next_timer(*state), -1);
}

static void the_wall_clock_moves_along(void **state)
{
    fake_loop_set_unix_ms(*state, 5000);
    assert_int_equal(loop_unix_ms(*state), 5000);
    fake_loop_advance(*state, 10);
    assert_int_equal(loop_unix_ms(*state), 5010);
    uint64_t before = loop_clock_us(*state);
    fake_loop_advance_us(*state, 250);
    assert_int_equal(loop_clock_us(*state), before + 250);
}

static void a_descriptor_need_not_exist(void **state)
{
    struct sight s = {.loop = *state};
    struct loop_watch *watch = loop_watch(*state, 1000000, BURROW_READ, hear, &s);
    assert_ptr_equal(fake_loop_find(*state, 1000000), watch);
    assert_null(fake_loop_find(*state, 1000001));
    assert_int_equal(fake_loop_wants(watch), BURROW_READ);
    assert_int_equal(fake_loop_watch_count(*state), 1);
    assert_false(fake_loop_turn(*state));
    fake_loop_fire(watch, BURROW_WRITE);
    assert_int_equal(s.calls, 0);
    fake_loop_fire(watch, BURROW_READ | BURROW_WRITE);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.events, BURROW_READ);
    loop_unwatch(watch);
    assert_int_equal(fake_loop_watch_count(*state), 0);
}

static void answer(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                   const char *error)
{
    struct sight *s = arg;
    (void)error;
    s->calls++;
    s->events = result == 0 ? (int)n : result;
    if (n > 0)
        assert_int_equal(addrs[0].port, 99);
}

static void names_are_what_the_test_says_and_when(void **state)
{
    struct sight s = {.loop = *state};
    const struct burrow_addr addrs[2] = {{.family = 4, .bytes = {10, 0, 0, 1}}, {.family = 6}};
    fake_loop_add_host(*state, "db.test", addrs, 2);
    fake_loop_hold_lookups(*state, true);
    assert_non_null(loop_resolve(*state, "db.test", 99, answer, &s));
    fake_loop_settle(*state);
    assert_int_equal(s.calls, 0);
    fake_loop_hold_lookups(*state, false);
    fake_loop_settle(*state);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.events, 2);
    assert_non_null(loop_resolve(*state, "other.test", 99, answer, &s));
    fake_loop_settle(*state);
    assert_true(s.events < 0);
}

static void a_raised_signal_is_heard_on_the_next_turn(void **state)
{
    struct sight s = {.loop = *state};
    struct loop_signal *sig = loop_signal(*state, 15, see, &s);
    fake_loop_raise(*state, 1);
    fake_loop_settle(*state);
    assert_int_equal(s.calls, 0);
    fake_loop_raise(*state, 15);
    assert_int_equal(s.calls, 0);
    fake_loop_settle(*state);
    assert_int_equal(s.calls, 1);
    loop_signal_destroy(sig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(time_passes_only_by_advance_and_timers_see_their_own_time),
        with_loop(the_wall_clock_moves_along),
        with_loop(a_descriptor_need_not_exist),
        with_loop(names_are_what_the_test_says_and_when),
        with_loop(a_raised_signal_is_heard_on_the_next_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
