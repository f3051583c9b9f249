/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of calls that any thread may post to the loop, first in first out. A call is
 * intrusive, so that an answer that is ready can always be posted.
 */
#ifndef LOOP_CALLS_H
#define LOOP_CALLS_H

#include "loop/loop.h"

#include <pthread.h>
#include <stdbool.h>

struct loop_call {
    struct loop_call *next;
    burrow_timer_fn *fn;
    void *arg;
    bool owned;            /* by the queue, which frees it */
    burrow_timer_fn *drop; /* NULL, or what frees arg when the loop ends before the call has run */
};

struct call_queue {
    pthread_mutex_t lock;
    struct loop_call *head, **tail;
};

int call_queue_init(struct call_queue *queue); /* 0 or BURROW_ENOMEM */
/* Nothing posts any more; calls that have not run are dropped, by `drop` if they have one. */
void call_queue_finish(struct call_queue *queue);
void call_queue_add(struct call_queue *queue, struct loop_call *call);
/* Runs what was posted before; what is posted meanwhile waits for the next time. Whether there was
 * anything. */
bool call_queue_run(struct call_queue *queue);

/* loop_post for a call that the caller owns and keeps until it runs. From any thread. */
void loop_post_call(struct loop *loop, struct loop_call *call);

/*
 * Runs fn(arg) where the loop lives and returns when it has returned: at once for a loop of the
 * caller's own thread, behind all that was posted before for one that has a thread (loop/thread.h).
 * Only the thread that made those threads may call it, so that no two ever wait for each other.
 */
void loop_call_wait(struct loop *loop, burrow_timer_fn *fn, void *arg);
/* Whether the loop runs on a thread that loop/thread.h made for it; that part says so. */
bool loop_has_thread(const struct loop *loop);
void loop_set_thread(struct loop *loop, bool has);

#endif
