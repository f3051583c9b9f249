/* SPDX-License-Identifier: Apache-2.0 */
/* Loops on threads of their own, and what the thread that made them may ask of them. */
#include "loop/calls.h"
#include "loop/thread.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

struct visit {
    struct loop *loop;
    pthread_t where;
    int runs;
    bool signals_blocked;
};

static void visit_runs(void *arg)
{
    struct visit *visit = arg;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    visit->signals_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    visit->where = pthread_self();
    visit->runs++;
}

static struct loop_thread *started(void)
{
    struct loop_thread *thread = loop_thread_create();
    assert_non_null(thread);
    assert_int_equal(loop_thread_start(thread, "test"), 0);
    return thread;
}

static void a_call_that_is_waited_for_runs_on_the_loops_thread(void **state)
{
    (void)state;
    struct loop_thread *thread = started();
    struct visit visit = {0};
    loop_call_wait(loop_thread_loop(thread), visit_runs, &visit);
    assert_int_equal(visit.runs, 1);
    assert_false(pthread_equal(visit.where, pthread_self()));
    loop_thread_stop(thread);
    loop_thread_destroy(thread);
}

static void a_loop_without_a_thread_is_the_callers(void **state)
{
    (void)state;
    struct loop_thread *thread = started();
    struct visit visit = {0};
    loop_thread_stop(thread);
    loop_call_wait(loop_thread_loop(thread), visit_runs, &visit);
    assert_int_equal(visit.runs, 1);
    assert_true(pthread_equal(visit.where, pthread_self()));
    loop_thread_destroy(thread);
}

static void no_signal_comes_to_the_thread(void **state)
{
    (void)state;
    struct loop_thread *thread = started();
    struct visit visit = {0};
    loop_call_wait(loop_thread_loop(thread), visit_runs, &visit);
    assert_true(visit.signals_blocked);
    visit_runs(&visit);
    assert_false(visit.signals_blocked);
    loop_thread_stop(thread);
    loop_thread_destroy(thread);
}

static void what_was_posted_before_has_run_when_a_wait_returns(void **state)
{
    (void)state;
    struct loop_thread *thread = started();
    struct visit before = {0}, visit = {0};
    for (int i = 0; i < 100; i++)
        assert_int_equal(loop_post(loop_thread_loop(thread), visit_runs, &before), 0);
    loop_call_wait(loop_thread_loop(thread), visit_runs, &visit);
    assert_int_equal(before.runs, 100);
    loop_thread_stop(thread);
    loop_thread_destroy(thread);
}

static void a_timer_fires(void *arg)
{
    struct visit *visit = arg;
    visit->runs++;
    loop_break(visit->loop);
}

static void make_timer(void *arg)
{
    struct loop_timer **timer = arg;
    loop_timer_set(*timer, 1);
}

static void a_thread_whose_loop_was_broken_still_stops(void **state)
{
    (void)state;
    struct loop_thread *thread = loop_thread_create();
    assert_non_null(thread);
    struct visit visit = {.loop = loop_thread_loop(thread)};
    struct loop_timer *timer = loop_timer_create(visit.loop, a_timer_fires, &visit);
    assert_int_equal(loop_thread_start(thread, "test"), 0);
    loop_call_wait(visit.loop, make_timer, &timer);
    loop_thread_stop(thread);
    assert_true(visit.runs <= 1);
    loop_timer_destroy(timer);
    loop_thread_destroy(thread);
}

static void one_that_was_never_started_is_destroyed(void **state)
{
    (void)state;
    struct loop_thread *thread = loop_thread_create();
    assert_non_null(thread);
    loop_thread_stop(thread);
    loop_thread_destroy(thread);
    loop_thread_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_is_waited_for_runs_on_the_loops_thread),
        cmocka_unit_test(a_loop_without_a_thread_is_the_callers),
        cmocka_unit_test(no_signal_comes_to_the_thread),
        cmocka_unit_test(what_was_posted_before_has_run_when_a_wait_returns),
        cmocka_unit_test(a_thread_whose_loop_was_broken_still_stops),
        cmocka_unit_test(one_that_was_never_started_is_destroyed),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
