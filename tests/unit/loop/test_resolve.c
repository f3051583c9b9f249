/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver over name servers of the test's own: how often a name is asked of them, and who is
 * held up by one that is silent. getaddrinfo is replaced at link time. */
#include "loop/loop.h"

#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PATIENCE_MS 25000u
#define CROWD 300
#define SILENT 4 /* as many as there are threads */

/* Names that begin with "slow" are answered once `open`; each name is known by its last letter. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned waiting, asked[128];
} servers = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* The linker gives these names. */
int __real_getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int __wrap_getaddrinfo(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    pthread_mutex_lock(&servers.lock);
    servers.asked[(unsigned char)name[strlen(name) - 1] % 128]++;
    servers.waiting++;
    pthread_cond_broadcast(&servers.changed);
    while (strncmp(name, "slow", 4) == 0 && !servers.open)
        pthread_cond_wait(&servers.changed, &servers.lock);
    servers.waiting--;
    pthread_cond_broadcast(&servers.changed);
    pthread_mutex_unlock(&servers.lock);
    return __real_getaddrinfo("192.0.2.7", service, hints, ret);
}

static void open_servers(void)
{
    pthread_mutex_lock(&servers.lock);
    servers.open = true;
    pthread_cond_broadcast(&servers.changed);
    pthread_mutex_unlock(&servers.lock);
}

/* Until so many calls of getaddrinfo are under way, or with 0 none any more. */
static void wait_for_calls(unsigned n)
{
    struct timespec until;
    int rc = 0;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += PATIENCE_MS / 1000;
    pthread_mutex_lock(&servers.lock);
    while (rc == 0 && (n == 0 ? servers.waiting > 0 : servers.waiting < n))
        rc = pthread_cond_timedwait(&servers.changed, &servers.lock, &until);
    pthread_mutex_unlock(&servers.lock);
    assert_int_equal(rc, 0);
}

static unsigned asked(char last)
{
    pthread_mutex_lock(&servers.lock);
    unsigned n = servers.asked[(unsigned char)last];
    pthread_mutex_unlock(&servers.lock);
    return n;
}

struct fixture {
    struct loop *loop;
    struct loop_timer *patience;
    int expected; /* answers until the loop is left */
};

struct question {
    struct fixture *fixture;
    struct loop_lookup *lookup;
    int answers, result;
    uint16_t port;
    char error[128];
};

static void too_long(void *arg)
{
    (void)arg;
    fail_msg("an answer never came");
}

static int set_up(void **state)
{
    static struct fixture f;
    memset(servers.asked, 0, sizeof servers.asked);
    servers.open = false;
    f = (struct fixture){.loop = loop_create()};
    f.patience = f.loop != NULL ? loop_timer_create(f.loop, too_long, NULL) : NULL;
    *state = &f;
    return f.patience != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    loop_timer_destroy(f->patience);
    loop_destroy(f->loop); /* first, so that threads outlive it */
    open_servers();
    wait_for_calls(0);
    return 0;
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void on_answer(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                      const char *error)
{
    struct question *q = arg;
    q->answers++;
    q->result = result;
    q->port = n > 0 ? addrs[0].port : 0;
    snprintf(q->error, sizeof q->error, "%s", error != NULL ? error : "");
    if (--q->fixture->expected == 0)
        loop_break(q->fixture->loop);
}

static void ask(struct fixture *f, struct question *q, const char *name, uint16_t port)
{
    *q = (struct question){.fixture = f};
    q->lookup = loop_resolve(f->loop, name, port, on_answer, q);
    assert_non_null(q->lookup);
}

/* Runs the loop until so many more questions are answered. */
static void wait_for_answers(struct fixture *f, int n)
{
    f->expected = n;
    loop_timer_set(f->patience, PATIENCE_MS);
    loop_run(f->loop);
    loop_timer_stop(f->patience);
}

static void all_who_ask_for_one_name_get_the_answer_to_one_call(void **state)
{
    struct fixture *f = *state;
    struct question q[10];
    for (int i = 0; i < 10; i++)
        ask(f, &q[i], "slow-a", (uint16_t)(100 + i));
    wait_for_calls(1);
    open_servers();
    wait_for_answers(f, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(q[i].answers, 1);
        assert_int_equal(q[i].result, 0);
        assert_int_equal(q[i].port, 100 + i);
    }
    assert_int_equal(asked('a'), 1);
}

static void a_silent_name_holds_no_other_one_up_however_many_ask_for_it(void **state)
{
    struct fixture *f = *state;
    static struct question silent[CROWD];
    struct question other;
    for (int i = 0; i < CROWD; i++)
        ask(f, &silent[i], "slow-a", 80);
    f->expected = 0;
    ask(f, &other, "name-b", 80);
    while (other.answers == 0)
        wait_for_answers(f, 1); /* or one of the crowd that is too many */
    assert_int_equal(other.result, 0);
    assert_int_equal(silent[0].answers, 0);
    assert_int_equal(asked('a'), 1);
}

static void too_many_who_ask_for_one_name_are_refused(void **state)
{
    struct fixture *f = *state;
    static struct question q[CROWD];
    for (int i = 0; i < CROWD; i++)
        ask(f, &q[i], "slow-a", 80);
    wait_for_calls(1);
    open_servers();
    wait_for_answers(f, CROWD);
    assert_int_equal(q[255].result, 0);
    assert_true(q[256].result < 0);
    assert_non_null(strstr(q[256].error, "too many"));
}

static void the_answer_is_for_who_is_left_when_the_first_has_cancelled(void **state)
{
    struct fixture *f = *state;
    struct question first, second;
    ask(f, &first, "slow-a", 1);
    wait_for_calls(1);
    ask(f, &second, "slow-a", 2);
    loop_resolve_cancel(first.lookup);
    open_servers();
    wait_for_answers(f, 1);
    assert_int_equal(second.answers, 1);
    assert_int_equal(second.port, 2);
    assert_int_equal(first.answers, 0);
    assert_int_equal(asked('a'), 1);
}

static void a_call_that_all_have_left_is_joined_by_who_asks_next(void **state)
{
    struct fixture *f = *state;
    struct question q;
    for (int i = 0; i < 5; i++) {
        ask(f, &q, "slow-a", 1);
        wait_for_calls(1);
        loop_resolve_cancel(q.lookup);
    }
    ask(f, &q, "slow-a", 2);
    open_servers();
    wait_for_answers(f, 1);
    assert_int_equal(q.port, 2);
    assert_int_equal(asked('a'), 1);
}

static void a_name_that_nobody_waits_for_any_more_is_not_looked_up(void **state)
{
    struct fixture *f = *state;
    static const char *const names[SILENT] = {"slow-a", "slow-b", "slow-c", "slow-d"};
    struct question silent[SILENT], left[2], last;
    for (int i = 0; i < SILENT; i++)
        ask(f, &silent[i], names[i], 80);
    wait_for_calls(SILENT);
    ask(f, &left[0], "name-e", 80);
    ask(f, &left[1], "name-e", 80);
    ask(f, &last, "name-f", 80);
    loop_resolve_cancel(left[0].lookup);
    loop_resolve_cancel(left[1].lookup);
    open_servers();
    wait_for_answers(f, SILENT + 1);
    assert_int_equal(last.result, 0);
    assert_int_equal(asked('e'), 0);
    assert_int_equal(asked('f'), 1);
}

static void an_answer_is_not_kept_for_later(void **state)
{
    struct fixture *f = *state;
    struct question q;
    for (int i = 0; i < 2; i++) {
        ask(f, &q, "name-a", 80);
        wait_for_answers(f, 1);
    }
    assert_int_equal(asked('a'), 2);
}

static void a_loop_ends_while_many_wait_for_names(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"slow-a", "slow-b", "slow-c", "slow-d", "slow-e"};
    struct question q[10];
    for (int i = 0; i < 10; i++)
        ask(f, &q[i], names[i % 5], 80);
    wait_for_calls(SILENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_who_ask_for_one_name_get_the_answer_to_one_call),
        TEST(a_silent_name_holds_no_other_one_up_however_many_ask_for_it),
        TEST(too_many_who_ask_for_one_name_are_refused),
        TEST(the_answer_is_for_who_is_left_when_the_first_has_cancelled),
        TEST(a_call_that_all_have_left_is_joined_by_who_asks_next),
        TEST(a_name_that_nobody_waits_for_any_more_is_not_looked_up),
        TEST(an_answer_is_not_kept_for_later),
        TEST(a_loop_ends_while_many_wait_for_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
