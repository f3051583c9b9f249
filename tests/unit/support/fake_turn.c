/* SPDX-License-Identifier: Apache-2.0 */
/* The fake loop's time and turns. */
#include "base/address.h"
#include "fake_internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TOO_MANY_TURNS 100000

static int poll_one(int fd, int events)
{
    struct pollfd pfd = {.fd = fd};
    if (fd < 0 || events == 0)
        return 0;
    pfd.events =
        (short)((events & BURROW_READ ? POLLIN : 0) | (events & BURROW_WRITE ? POLLOUT : 0));
    if (poll(&pfd, 1, 0) != 1 || (pfd.revents & POLLNVAL))
        return 0;
    int came = 0;
    if (pfd.revents & (POLLIN | POLLHUP | POLLERR))
        came |= BURROW_READ;
    if (pfd.revents & (POLLOUT | POLLHUP | POLLERR))
        came |= BURROW_WRITE;
    return came & events;
}

/* Notes what has come for whom, so that no callback sees what an earlier one causes. */
static void collect_ready(struct loop *loop)
{
    struct loop_watch *watch;
    free(loop->ready);
    loop->ready_count = 0;
    loop->ready = calloc(loop->watch_count + 1, sizeof *loop->ready);
    must(loop->ready != NULL);
    TAILQ_FOREACH(watch, &loop->watches, entry)
    {
        int events = poll_one(watch->fd, watch->events) | (watch->fed & watch->events);
        watch->fed &= ~events;
        if (events != 0)
            loop->ready[loop->ready_count++] = (struct ready){watch, events};
    }
}

static bool run_ready(struct loop *loop)
{
    bool any = false;
    for (size_t i = 0; i < loop->ready_count; i++) {
        struct loop_watch *watch = loop->ready[i].watch;
        if (watch == NULL)
            continue;
        int events = loop->ready[i].events & watch->events;
        watch->fed |= loop->ready[i].events & ~watch->events;
        if (events == 0)
            continue;
        any = true;
        watch->fn(watch->arg, events);
    }
    loop->ready_count = 0;
    return any;
}

static size_t find_host(const struct loop *loop, const char *name, uint16_t port,
                        struct burrow_addr ret[FAKE_ADDRS])
{
    if (address_parse_literal(strcmp(name, "localhost") == 0 ? "127.0.0.1" : name, port, ret) == 0)
        return 1;
    for (size_t i = 0; i < loop->host_count; i++) {
        const struct fake_host *host = &loop->hosts[i];
        if (strcmp(host->name, name) != 0)
            continue;
        memcpy(ret, host->addrs, host->n * sizeof ret[0]);
        for (size_t k = 0; k < host->n; k++)
            ret[k].port = port;
        return host->n;
    }
    return 0;
}

static bool run_lookups(struct loop *loop)
{
    bool any = false;
    struct loop_lookup *lookup;
    while (!loop->held && (lookup = TAILQ_FIRST(&loop->lookups)) != NULL &&
           lookup->turn < loop->turn) {
        struct burrow_addr addrs[FAKE_ADDRS];
        size_t n = find_host(loop, lookup->name, lookup->port, addrs);
        burrow_resolve_fn *fn = lookup->fn;
        void *arg = lookup->arg;
        loop_resolve_cancel(lookup);
        any = true;
        if (n > 0)
            fn(arg, 0, addrs, n, NULL);
        else
            fn(arg, BURROW_EIO, NULL, 0, "Name or service not known");
    }
    return any;
}

static bool run_signals(struct loop *loop)
{
    bool any = false, again = true;
    while (again) {
        struct loop_signal *signal;
        again = false;
        /* From the start after each call, which may destroy any of them. */
        TAILQ_FOREACH(signal, &loop->signals, entry)
        {
            if (signal->raised == 0)
                continue;
            signal->raised = 0; /* several that were not seen yet are one */
            any = again = true;
            signal->fn(signal->arg);
            break;
        }
    }
    return any;
}

static struct loop_timer *first_timer(const struct loop *loop)
{
    struct loop_timer *timer, *first = NULL;
    TAILQ_FOREACH(timer, &loop->timers, entry)
    if (timer->set && (first == NULL || timer->due_ms < first->due_ms ||
                       (timer->due_ms == first->due_ms && timer->order < first->order)))
        first = timer;
    return first;
}

/* Timers that a timer sets with 0 ms wait for the next turn. */
static bool run_timers(struct loop *loop)
{
    bool any = false;
    uint64_t order = loop->order;
    struct loop_timer *timer;
    while ((timer = first_timer(loop)) != NULL && timer->due_ms <= loop_now_ms(loop) &&
           timer->order < order) {
        timer->set = false;
        any = true;
        timer->fn(timer->arg);
    }
    return any;
}

static bool has_tasks(const struct loop *loop)
{
    for (int i = 0; i < LOOP_PHASES; i++)
        if (loop->tasks.phases[i].head != NULL)
            return true;
    return false;
}

bool fake_loop_turn(struct loop *loop)
{
    must_be(loop, FAKE_LOOP_MAGIC);
    bool any = has_tasks(loop);
    loop->turn++;
    task_queue_begin(&loop->tasks);
    collect_ready(loop);
    any |= run_ready(loop);
    any |= call_queue_run(&loop->calls);
    any |= run_lookups(loop);
    any |= run_signals(loop);
    any |= run_timers(loop);
    any |= has_tasks(loop);
    task_queue_run(&loop->tasks);
    memset(loop->scratch, 0xdd, 256); /* whoever still reads it reads nonsense */
    return any;
}

void fake_loop_settle(struct loop *loop)
{
    int turns = 0;
    while (fake_loop_turn(loop))
        must(++turns < TOO_MANY_TURNS); /* else it never comes to rest */
}

int64_t fake_loop_next_timer(const struct loop *loop)
{
    const struct loop_timer *timer = first_timer(loop);
    if (timer == NULL || timer->due_ms > INT64_MAX)
        return -1;
    uint64_t now = loop_now_ms(loop);
    return timer->due_ms > now ? (int64_t)(timer->due_ms - now) : 0;
}

void fake_loop_advance(struct loop *loop, uint64_t ms)
{
    uint64_t target_us = loop->now_us + ms * 1000;
    fake_loop_settle(loop);
    for (;;) {
        const struct loop_timer *timer = first_timer(loop);
        if (timer == NULL || timer->due_ms > target_us / 1000)
            break;
        if (timer->due_ms * 1000 > loop->now_us)
            loop->now_us = timer->due_ms * 1000;
        fake_loop_settle(loop);
    }
    if (target_us > loop->now_us)
        loop->now_us = target_us;
}

void fake_loop_advance_us(struct loop *loop, uint64_t us)
{
    loop->now_us += us;
}

void loop_run(struct loop *loop)
{
    while (!loop->broken) {
        if (fake_loop_turn(loop))
            continue;
        int64_t ms = fake_loop_next_timer(loop);
        must(ms >= 0); /* else it would wait for ever */
        loop->now_us += (uint64_t)ms * 1000;
    }
    loop->broken = false;
}
