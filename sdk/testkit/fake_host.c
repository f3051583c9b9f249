/* SPDX-License-Identifier: Apache-2.0 */
/* The fake host's turns and its clock, see fake_host.h. Feeds and timers are its own, so that a fed
 * event comes on the next turn and not in the same one, and no test waits for real time. */
#include "fake_host_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_LIMIT_MS 10000
#define RUN_WAIT_MS 20
/* On a machine that gives a process little time, seconds pass without turns. */
#define RUN_LIMIT_TURNS (RUN_LIMIT_MS / RUN_WAIT_MS)

void fake_host_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "testkit: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    abort();
}

bool fake_host_denies(struct fake_host *fake)
{
    if (fake->deny != NULL && fake->deny(fake->deny_arg))
        return true;
    return fake->fail_at != 0 && --fake->fail_at == 0;
}

void fake_host_init(struct fake_host *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->table = fake_host_table;
    fake->table.self = (struct burrow_self *)(void *)fake;
    fake->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    fake_must(fake->ev != NULL, "there is memory");
    fake->fed_tail = &fake->fed_head;
    fake->now_ms = 1000;
    fake->scratch = (uint8_t *)malloc(FAKE_SCRATCH_SIZE);
    fake_must(fake->scratch != NULL, "there is memory");
    pthread_mutex_init(&fake->post_lock, NULL);
}

void fake_host_finish(struct fake_host *fake)
{
    fake_must(fake->watches == 0, "after destroy an instance holds no watch");
    fake_must(fake->timers == 0, "after destroy an instance holds no timer");
    fake_must(fake->lookups == 0, "after destroy an instance holds no look-up");
    fake_must(fake->files == 0, "after destroy an instance watches no file");
    fake_must(fake->posted == NULL, "after destroy no posted call is left");
    ev_loop_destroy((struct ev_loop *)fake->ev);
    free(fake->scratch);
    pthread_mutex_destroy(&fake->post_lock);
}

static bool run_fed(struct fake_host *fake)
{
    bool any = fake->fed_head != NULL;
    unsigned n = 0; /* what is fed meanwhile waits for the next turn */
    for (struct burrow_watch *w = fake->fed_head; w != NULL; w = w->fed_next)
        n++;
    for (; n > 0 && fake->fed_head != NULL; n--) {
        struct burrow_watch *watch = fake->fed_head;
        int events = watch->fed & watch->interest;
        fake_watch_unlist(watch);
        watch->fed &= ~events;
        if (events != 0)
            watch->fn(watch->arg, events);
    }
    return any;
}

static bool run_timers(struct fake_host *fake)
{
    bool any = false;
    for (unsigned left = fake->timers; left > 0; left--) {
        struct burrow_timer *first = NULL;
        for (struct burrow_timer *t = fake->timer_head; t != NULL; t = t->next)
            if (t->due <= fake->now_ms && (first == NULL || t->due <= first->due))
                first = t;
        if (first == NULL)
            break;
        burrow_timer_fn *fn = first->fn;
        void *arg = first->arg;
        fake_host_table.cancel(first);
        fn(arg);
        any = true;
    }
    return any;
}

static bool run_posted(struct fake_host *fake)
{
    pthread_mutex_lock(&fake->post_lock);
    struct fake_post *post = fake->posted;
    fake->posted = NULL;
    pthread_mutex_unlock(&fake->post_lock);
    bool any = post != NULL;
    while (post != NULL) {
        struct fake_post *next = post->next;
        post->fn(post->arg);
        free(post);
        post = next;
    }
    return any;
}

static void on_wait_over(struct ev_loop *loop, ev_timer *timer, int revents)
{
    (void)loop;
    (void)timer;
    (void)revents;
}

void fake_host_turn(struct fake_host *fake, unsigned wait_ms)
{
    bool any = run_fed(fake);
    any |= run_timers(fake);
    any |= run_posted(fake);
    if (fake->end_of_turn != NULL) /* before it sleeps, for what the test did between turns */
        fake->end_of_turn(fake->end_of_turn_arg);
    struct ev_loop *loop = (struct ev_loop *)fake->ev;
    if (any || wait_ms == 0 || fake->fed_head != NULL) {
        ev_run(loop, EVRUN_NOWAIT);
    } else {
        ev_timer wait;
        ev_now_update(loop);
        ev_timer_init(&wait, on_wait_over, wait_ms / 1000.0, 0);
        ev_timer_start(loop, &wait);
        ev_run(loop, EVRUN_ONCE);
        ev_timer_stop(loop, &wait);
    }
    if (fake->end_of_turn != NULL)
        fake->end_of_turn(fake->end_of_turn_arg);
}

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void fake_host_run(struct fake_host *fake, bool (*done)(void *arg), void *arg)
{
    uint64_t deadline = real_ms() + RUN_LIMIT_MS;
    for (unsigned turns = 0; !done(arg); turns++) {
        fake_host_turn(fake, RUN_WAIT_MS);
        if (real_ms() > deadline && turns > RUN_LIMIT_TURNS)
            fake_host_fail("what the test waits for did not happen within %d ms", RUN_LIMIT_MS);
    }
}

void fake_host_settle(struct fake_host *fake, unsigned quiet_ms)
{
    uint64_t deadline = real_ms() + quiet_ms;
    while (real_ms() < deadline)
        fake_host_turn(fake, 5);
}

void fake_host_advance(struct fake_host *fake, uint64_t ms)
{
    fake->now_ms += ms;
}

bool fake_host_advance_to_timer(struct fake_host *fake)
{
    pthread_mutex_lock(&fake->post_lock);
    bool is_posted = fake->posted != NULL;
    pthread_mutex_unlock(&fake->post_lock);
    if (is_posted || fake->is_native || fake->watches + fake->lookups > 0 ||
        fake->timer_head == NULL)
        return false;
    uint64_t first = fake->timer_head->due;
    for (const struct burrow_timer *t = fake->timer_head; t != NULL; t = t->next)
        first = t->due < first ? t->due : first;
    if (first > fake->now_ms)
        fake->now_ms = first;
    return true;
}

int fake_host_touch(struct fake_host *fake, const char *path)
{
    for (struct burrow_files *files = fake->files_head; files != NULL; files = files->next)
        for (uint32_t i = 0; i < files->n; i++)
            if (strcmp(files->paths[i], path) == 0)
                return files->fn(files->arg);
    fake_host_fail("nobody watches %s", path);
}

bool fake_host_logged(const struct fake_host *fake, int32_t level, const char *text)
{
    for (unsigned i = 0; i < fake->log_count && i < FAKE_LOG_LINES; i++)
        if ((level < 0 || fake->log[i].level == level) && strstr(fake->log[i].text, text) != NULL)
            return true;
    return false;
}

unsigned fake_host_log_lines(const struct fake_host *fake, int32_t level)
{
    unsigned n = 0;
    for (unsigned i = 0; i < fake->log_count && i < FAKE_LOG_LINES; i++)
        n += fake->log[i].level == level;
    return n;
}
