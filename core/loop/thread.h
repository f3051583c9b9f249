/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread with a loop of its own. All of its life is told by the thread that made it; what happens
 * on the loop is told by posts (loop/calls.h). No signal ever comes to it.
 */
#ifndef LOOP_THREAD_H
#define LOOP_THREAD_H

#include "loop/loop.h"

struct loop_thread;

/* Its loop, which does not run yet. NULL: no memory or descriptors. */
struct loop_thread *loop_thread_create(void);
struct loop *loop_thread_loop(struct loop_thread *thread);
/* Runs the loop. name, of at most 15 bytes, is what ps and gdb show. 0 or BURROW_ENOMEM. */
int loop_thread_start(struct loop_thread *thread, const char *name);
/* Ends the run and waits for it; nothing when it was not started. The loop is still there, and the
 * caller's. */
void loop_thread_stop(struct loop_thread *thread);
void loop_thread_destroy(struct loop_thread *thread); /* stopped; NULL is allowed */

#endif
