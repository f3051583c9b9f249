/* SPDX-License-Identifier: Apache-2.0 */
/* The fake loop's objects: watches, timers, posts, look-ups and signals as lists. */
#include "fake_internal.h"

#include <stdlib.h>
#include <string.h>

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->magic = FAKE_LOOP_MAGIC;
    loop->now_us = 1000000;
    loop->unix_offset_us = 1700000000000000u - loop->now_us;
    loop->pool = pool_create();
    loop->scratch = aligned_alloc(64, SCRATCH_BYTES);
    task_queue_init(&loop->tasks);
    TAILQ_INIT(&loop->watches);
    TAILQ_INIT(&loop->timers);
    TAILQ_INIT(&loop->lookups);
    TAILQ_INIT(&loop->signals);
    must(call_queue_init(&loop->calls) == 0);
    if (loop->pool == NULL || loop->scratch == NULL) {
        loop_destroy(loop);
        return NULL;
    }
    return loop;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    must_be(loop, FAKE_LOOP_MAGIC);
    call_queue_finish(&loop->calls);
    while (!TAILQ_EMPTY(&loop->lookups))
        loop_resolve_cancel(TAILQ_FIRST(&loop->lookups));
    pool_destroy(loop->pool);
    free(loop->scratch);
    free(loop->ready);
    loop->magic = 0;
    free(loop);
}

void loop_break(struct loop *loop)
{
    loop->broken = true;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_us / 1000;
}

uint64_t loop_clock_us(const struct loop *loop)
{
    return loop->now_us;
}

int64_t loop_unix_ms(const struct loop *loop)
{
    return (int64_t)((loop->now_us + loop->unix_offset_us) / 1000);
}

void fake_loop_set_unix_ms(struct loop *loop, int64_t ms)
{
    loop->unix_offset_us = (uint64_t)ms * 1000 - loop->now_us;
}

struct pool *loop_pool(struct loop *loop)
{
    return loop->pool;
}

void *loop_scratch(struct loop *loop, size_t n)
{
    return n <= SCRATCH_BYTES ? loop->scratch : NULL;
}

void *loop_native(struct loop *loop, const char *flavour)
{
    (void)loop;
    (void)flavour;
    return NULL;
}

struct loop_watch *loop_watch(struct loop *loop, int fd, int events, burrow_io_fn *fn, void *arg)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->magic = FAKE_WATCH_MAGIC;
    watch->loop = loop;
    watch->fd = fd;
    watch->events = events & (BURROW_READ | BURROW_WRITE);
    watch->fn = fn;
    watch->arg = arg;
    TAILQ_INSERT_TAIL(&loop->watches, watch, entry);
    loop->watch_count++;
    return watch;
}

int loop_rewatch(struct loop_watch *watch, int events)
{
    must_be(watch, FAKE_WATCH_MAGIC);
    watch->events = events & (BURROW_READ | BURROW_WRITE);
    return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    must_be(watch, FAKE_WATCH_MAGIC);
    struct loop *loop = watch->loop;
    for (size_t i = 0; i < loop->ready_count; i++)
        if (loop->ready[i].watch == watch)
            loop->ready[i].watch = NULL;
    TAILQ_REMOVE(&loop->watches, watch, entry);
    loop->watch_count--;
    watch->magic = 0;
    free(watch);
}

void loop_feed(struct loop_watch *watch, int events)
{
    must_be(watch, FAKE_WATCH_MAGIC);
    watch->fed |= events & (BURROW_READ | BURROW_WRITE);
}

void fake_loop_fire(struct loop_watch *watch, int events)
{
    must_be(watch, FAKE_WATCH_MAGIC);
    if (events & watch->events)
        watch->fn(watch->arg, events & watch->events);
}

struct loop_watch *fake_loop_find(struct loop *loop, int fd)
{
    struct loop_watch *watch;
    TAILQ_FOREACH(watch, &loop->watches, entry)
    if (watch->fd == fd)
        return watch;
    return NULL;
}

int fake_loop_wants(const struct loop_watch *watch)
{
    must_be(watch, FAKE_WATCH_MAGIC);
    return watch->events;
}

size_t fake_loop_watch_count(const struct loop *loop)
{
    return loop->watch_count;
}

size_t fake_loop_timer_count(const struct loop *loop)
{
    return loop->timer_count;
}

struct loop_timer *loop_timer_create(struct loop *loop, burrow_timer_fn *fn, void *arg)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->magic = FAKE_TIMER_MAGIC;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    TAILQ_INSERT_TAIL(&loop->timers, timer, entry);
    loop->timer_count++;
    return timer;
}

void loop_timer_set(struct loop_timer *timer, uint64_t ms)
{
    must_be(timer, FAKE_TIMER_MAGIC);
    uint64_t now = loop_now_ms(timer->loop);
    timer->set = true;
    timer->due_ms = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
    timer->order = timer->loop->order++;
}

void loop_timer_stop(struct loop_timer *timer)
{
    must_be(timer, FAKE_TIMER_MAGIC);
    timer->set = false;
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    must_be(timer, FAKE_TIMER_MAGIC);
    TAILQ_REMOVE(&timer->loop->timers, timer, entry);
    timer->loop->timer_count--;
    timer->magic = 0;
    free(timer);
}

void loop_post_call(struct loop *loop, struct loop_call *call)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    call_queue_add(&loop->calls, call);
}

bool loop_has_thread(const struct loop *loop)
{
    (void)loop;
    return false;
}

void loop_task_schedule(struct loop *loop, struct loop_task *task)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    task_queue_add(&loop->tasks, task);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    task_queue_remove(&loop->tasks, task);
}

struct loop_lookup *loop_resolve(struct loop *loop, const char *name, uint16_t port,
                                 burrow_resolve_fn *fn, void *arg)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    struct loop_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    lookup->loop = loop;
    /* A name that is too long becomes one that no host has. */
    size_t n = strlen(name);
    if (n < sizeof lookup->name)
        memcpy(lookup->name, name, n + 1);
    lookup->port = port;
    lookup->fn = fn;
    lookup->arg = arg;
    lookup->turn = loop->turn;
    TAILQ_INSERT_TAIL(&loop->lookups, lookup, entry);
    return lookup;
}

void loop_resolve_cancel(struct loop_lookup *lookup)
{
    if (lookup == NULL)
        return;
    TAILQ_REMOVE(&lookup->loop->lookups, lookup, entry);
    free(lookup);
}

void fake_loop_add_host(struct loop *loop, const char *name, const struct burrow_addr *addrs,
                        size_t n)
{
    must(loop->host_count < FAKE_HOSTS && n > 0 && n <= FAKE_ADDRS && strlen(name) < 256);
    struct fake_host *host = &loop->hosts[loop->host_count++];
    memcpy(host->name, name, strlen(name) + 1);
    memcpy(host->addrs, addrs, n * sizeof addrs[0]);
    host->n = n;
}

void fake_loop_hold_lookups(struct loop *loop, bool hold)
{
    loop->held = hold;
}

struct loop_signal *loop_signal(struct loop *loop, int signo, burrow_timer_fn *fn, void *arg)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    struct loop_signal *signal = calloc(1, sizeof *signal);
    if (signal == NULL)
        return NULL;
    signal->loop = loop;
    signal->signo = signo;
    signal->fn = fn;
    signal->arg = arg;
    TAILQ_INSERT_TAIL(&loop->signals, signal, entry);
    return signal;
}

void loop_signal_destroy(struct loop_signal *signal)
{
    if (signal == NULL)
        return;
    TAILQ_REMOVE(&signal->loop->signals, signal, entry);
    free(signal);
}

void fake_loop_raise(struct loop *loop, int signo)
{
    struct loop_signal *signal;
    TAILQ_FOREACH(signal, &loop->signals, entry)
    if (signal->signo == signo)
        signal->raised++;
}
