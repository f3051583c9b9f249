/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of posted calls: the one place of the loop that takes a lock. */
#include "loop/calls.h"

#include <stdlib.h>

int call_queue_init(struct call_queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
    return pthread_mutex_init(&queue->lock, NULL) == 0 ? 0 : BURROW_ENOMEM;
}

static struct loop_call *take_all(struct call_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    struct loop_call *list = queue->head;
    queue->head = NULL;
    queue->tail = &queue->head;
    pthread_mutex_unlock(&queue->lock);
    return list;
}

void call_queue_finish(struct call_queue *queue)
{
    struct loop_call *call = take_all(queue);
    while (call != NULL) {
        struct loop_call *next = call->next;
        if (call->owned)
            free(call);
        call = next;
    }
    pthread_mutex_destroy(&queue->lock);
}

void call_queue_add(struct call_queue *queue, struct loop_call *call)
{
    call->next = NULL;
    pthread_mutex_lock(&queue->lock);
    *queue->tail = call;
    queue->tail = &call->next;
    pthread_mutex_unlock(&queue->lock);
}

void call_queue_run(struct call_queue *queue)
{
    struct loop_call *call = take_all(queue);
    while (call != NULL) {
        struct loop_call *next = call->next;
        burrow_timer_fn *fn = call->fn;
        void *arg = call->arg;
        if (call->owned)
            free(call);
        fn(arg);
        call = next;
    }
}
