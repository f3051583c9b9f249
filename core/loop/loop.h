/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: descriptors, timers, posted calls, name look-ups, and the work that is
 * done once at the end of each turn. loop.c is the only core file that knows libev; tests
 * link tests/unit/support/fake_loop.c instead, which has a virtual clock.
 *
 * Everything is called on the loop's own thread, but for loop_post.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include "base/error.h"
#include "base/pool.h"

struct loop;
struct loop_watch;
struct loop_timer;
struct loop_lookup;
struct loop_signal;

struct loop *loop_create(void); /* NULL: no epoll or no memory */
/* Watches, timers and signals are gone before. Posted calls that have not run are dropped,
 * look-ups under way are cancelled. NULL is allowed. */
void loop_destroy(struct loop *loop);
/* Until loop_break; one before makes it return at once. The tasks of the last turn still run. */
void loop_run(struct loop *loop);
void loop_break(struct loop *loop);

uint64_t loop_now_ms(const struct loop *loop);   /* monotonic, constant within a turn */
uint64_t loop_clock_us(const struct loop *loop); /* monotonic, read now */
int64_t loop_unix_ms(const struct loop *loop);   /* wall clock, read now */
struct pool *loop_pool(struct loop *loop);       /* the loop's buffers */
void *loop_scratch(struct loop *loop, size_t n); /* burrow_host.scratch */
void *loop_native(struct loop *loop, const char *flavour);

/* Level-triggered. fn may unwatch any watch, also its own; an unwatched one hears no more,
 * even of what came in the same turn. Only events that are wanted by then are passed. */
struct loop_watch *loop_watch(struct loop *loop, int fd, int events, burrow_io_fn *fn, void *arg);
int loop_rewatch(struct loop_watch *watch, int events); /* 0 pauses; free if unchanged */
void loop_unwatch(struct loop_watch *watch);            /* NULL is allowed */
/* As if the events had come, on the next turn, which does not sleep. Like data that waits in
 * a socket, what the watch does not want then (it is paused) comes when it is wanted again. */
void loop_feed(struct loop_watch *watch, int events);

/* A timer that can be set again and again; it fires once per setting, never before
 * loop_now_ms has reached the time. */
struct loop_timer *loop_timer_create(struct loop *loop, burrow_timer_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *timer, uint64_t ms); /* from now; replaces a setting */
void loop_timer_stop(struct loop_timer *timer);
void loop_timer_destroy(struct loop_timer *timer); /* NULL is allowed; also inside its fn */

/* Runs fn on a fresh turn of the loop, from any thread, first posted first. 0 or BURROW_ENOMEM. */
int loop_post(struct loop *loop, burrow_timer_fn *fn, void *arg);

/*
 * Work for the end of the turn, before the loop sleeps: intrusive, so it cannot fail.
 * Phase 0 runs before phase 1 (sessions fill their links, then links flush). Scheduling a
 * task that is already scheduled does nothing. A task scheduled while its own or a later
 * phase runs is run on the next turn, which then does not sleep; one scheduled for a later
 * phase of the same turn still runs in it.
 */
#define LOOP_PHASE_OUTPUT 0
#define LOOP_PHASE_FLUSH 1
#define LOOP_PHASES 2
struct loop_task {
    struct loop_task *next, **prev; /* prev: what points to this one */
    burrow_timer_fn *fn;
    void *arg;
    uint8_t phase, scheduled;
};
void loop_task_init(struct loop_task *task, int phase, burrow_timer_fn *fn, void *arg);
void loop_task_schedule(struct loop *loop, struct loop_task *task);
void loop_task_cancel(struct loop *loop, struct loop_task *task); /* if it is scheduled */

/* burrow_host.resolve: off the loop, fn exactly once on a later turn unless cancelled. The
 * addresses are in the order in which to try them. */
struct loop_lookup *loop_resolve(struct loop *loop, const char *name, uint16_t port,
                                 burrow_resolve_fn *fn, void *arg);
void loop_resolve_cancel(struct loop_lookup *lookup); /* NULL is allowed */

/* Calls fn(arg) on the loop for each arrival of signo (SIGTERM, SIGINT, SIGHUP). A signal
 * belongs to one loop of the process. NULL: no memory, or not a signal to catch. */
struct loop_signal *loop_signal(struct loop *loop, int signo, burrow_timer_fn *fn, void *arg);
void loop_signal_destroy(struct loop_signal *signal); /* NULL is allowed */

#endif
