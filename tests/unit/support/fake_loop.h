/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop/loop.h without libev, threads or a real clock, for unit tests and fuzz targets: link
 * test_fake_loop instead of core_loop. Time stands still until the test advances it.
 *
 * One turn: real descriptors are polled without waiting; then fed and ready watches, posted
 * calls, look-up answers, raised signals and timers that are due run; then the task phases.
 */
#ifndef TEST_FAKE_LOOP_H
#define TEST_FAKE_LOOP_H

#include "loop/loop.h"

#include <stdbool.h>

/* Runs one turn. Returns false when there was nothing to do. */
bool fake_loop_turn(struct loop *loop);
/* Runs turns until there is nothing to do. Aborts after 100,000: something spins. */
void fake_loop_settle(struct loop *loop);
/* Settles, then lets ms pass: timers run in the order of their times, each at its time. */
void fake_loop_advance(struct loop *loop, uint64_t ms);
/* Moves the clocks by less than a timer's grain, runs nothing. */
void fake_loop_advance_us(struct loop *loop, uint64_t us);
/* Milliseconds until the next timer is due, -1 without timers. */
int64_t fake_loop_next_timer(const struct loop *loop);
void fake_loop_set_unix_ms(struct loop *loop, int64_t ms); /* now; 1 700 000 000 000 at first */

/* Calls the watch's fn now, with those of the events that it wants. */
void fake_loop_fire(struct loop_watch *watch, int events);
/* The first watch of a descriptor, or NULL; and what it wants. The descriptors of watches
 * need not exist: then only fake_loop_fire and loop_feed make events. */
struct loop_watch *fake_loop_find(struct loop *loop, int fd);
int fake_loop_wants(const struct loop_watch *watch);
size_t fake_loop_watch_count(const struct loop *loop);
size_t fake_loop_timer_count(const struct loop *loop); /* created, set or not */

/* Literals resolve to themselves, "localhost" to 127.0.0.1; other names fail unless they
 * were added here. The port of the answer is that of the question. */
void fake_loop_add_host(struct loop *loop, const char *name, const struct burrow_addr *addrs,
                        size_t n);
/* While held, no look-up is answered. */
void fake_loop_hold_lookups(struct loop *loop, bool hold);

void fake_loop_raise(struct loop *loop, int signo);

#endif
