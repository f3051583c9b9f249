/* SPDX-License-Identifier: Apache-2.0 */
/* What only the real loop has: threads that post, signals, libev and many names at once. */
#include "loop/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
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

#define THREADS 4
#define POSTS 2000

struct poster {
    struct loop *loop;
    pthread_t thread;
    int seen; /* on the loop only */
    int *total;
    struct parcel {
        struct poster *poster;
        int number;
    } parcels[POSTS];
};

static void receive(void *arg)
{
    struct parcel *parcel = arg;
    struct poster *poster = parcel->poster;
    assert_int_equal(parcel->number, poster->seen);
    poster->seen++;
    if (++*poster->total == THREADS * POSTS)
        loop_break(poster->loop);
}

static void *post_all(void *arg)
{
    struct poster *poster = arg;
    for (int i = 0; i < POSTS; i++) {
        poster->parcels[i] = (struct parcel){poster, i};
        while (loop_post(poster->loop, receive, &poster->parcels[i]) != 0)
            ;
    }
    return NULL;
}

static void posts_of_many_threads_all_come_each_threads_in_order(void **state)
{
    static struct poster posters[THREADS];
    int total = 0;
    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = *state;
        posters[i].total = &total;
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    loop_run(*state);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(posters[i].thread, NULL), 0);
        assert_int_equal(posters[i].seen, POSTS);
    }
}

struct switchboard {
    struct loop *loop;
    int signals;
};

static void on_signal(void *arg)
{
    struct switchboard *s = arg;
    s->signals++;
    loop_break(s->loop);
}

static void a_signal_reaches_the_loop_each_time(void **state)
{
    struct switchboard s = {.loop = *state};
    struct loop_signal *hup = loop_signal(*state, SIGHUP, on_signal, &s);
    assert_non_null(hup);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(raise(SIGHUP), 0);
        loop_run(*state);
        assert_int_equal(s.signals, i);
    }
    loop_signal_destroy(hup);
}

static void signals_are_told_apart(void **state)
{
    struct switchboard hup = {.loop = *state}, term = {.loop = *state};
    struct loop_signal *a = loop_signal(*state, SIGHUP, on_signal, &hup);
    struct loop_signal *b = loop_signal(*state, SIGTERM, on_signal, &term);
    assert_int_equal(raise(SIGTERM), 0);
    loop_run(*state);
    assert_int_equal(hup.signals, 0);
    assert_int_equal(term.signals, 1);
    loop_signal_destroy(a);
    loop_signal_destroy(b);
}

static void a_signal_that_nobody_hears_any_more_has_its_default_action(void **state)
{
    struct switchboard s = {.loop = *state};
    struct sigaction action;
    loop_signal_destroy(loop_signal(*state, SIGHUP, on_signal, &s));
    assert_int_equal(sigaction(SIGHUP, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    loop_signal_destroy(NULL);
}

static void what_is_no_signal_to_catch_is_refused(void **state)
{
    static const int bad[] = {0, -1, SIGKILL, SIGSTOP, 10000};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(loop_signal(*state, bad[i], on_signal, NULL));
}

static void the_native_loop_is_libevs(void **state)
{
    assert_non_null(loop_native(*state, "libev"));
}

static void two_loops_live_side_by_side(void **state)
{
    struct loop *other = loop_create();
    struct switchboard s = {.loop = other};
    assert_non_null(other);
    assert_ptr_not_equal(loop_native(other, "libev"), loop_native(*state, "libev"));
    assert_int_equal(loop_post(other, on_signal, &s), 0);
    loop_run(other);
    assert_int_equal(s.signals, 1);
    loop_destroy(other);
}

#define NAMES 1000

struct crowd {
    struct loop *loop;
    int answered, refused, expected;
};

static void count_answer(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                         const char *error)
{
    struct crowd *crowd = arg;
    (void)addrs;
    assert_true(result < 0 || n > 0);
    if (result < 0 && strstr(error, "too many") != NULL)
        crowd->refused++;
    if (++crowd->answered == crowd->expected)
        loop_break(crowd->loop);
}

static void a_crowd_of_names_is_answered_one_by_one_or_refused(void **state)
{
    struct crowd crowd = {.loop = *state, .expected = NAMES - NAMES / 10};
    struct loop_lookup *lookups[NAMES];
    for (int i = 0; i < NAMES; i++) {
        lookups[i] = loop_resolve(*state, "localhost", 80, count_answer, &crowd);
        assert_non_null(lookups[i]);
    }
    for (int i = 0; i < NAMES; i += 10)
        loop_resolve_cancel(lookups[i]);
    loop_run(*state);
    assert_int_equal(crowd.answered, crowd.expected);
    /* How many wait is limited; how many the threads have taken by then is not known. */
    assert_true(crowd.refused < NAMES);
}

static void a_loop_may_be_destroyed_while_threads_look_up(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct loop *loop = loop_create();
        struct crowd crowd = {.loop = loop, .expected = 1 + round % 4};
        assert_non_null(loop);
        for (int i = 0; i < 20; i++)
            assert_non_null(loop_resolve(loop, i % 2 ? "localhost" : "nonexistent.invalid", 80,
                                         count_answer, &crowd));
        if (round % 2 == 0)
            loop_run(loop);
        loop_destroy(loop);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(posts_of_many_threads_all_come_each_threads_in_order),
        with_loop(a_signal_reaches_the_loop_each_time),
        with_loop(signals_are_told_apart),
        with_loop(a_signal_that_nobody_hears_any_more_has_its_default_action),
        with_loop(what_is_no_signal_to_catch_is_refused),
        with_loop(the_native_loop_is_libevs),
        with_loop(two_loops_live_side_by_side),
        with_loop(a_crowd_of_names_is_answered_one_by_one_or_refused),
        cmocka_unit_test(a_loop_may_be_destroyed_while_threads_look_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
