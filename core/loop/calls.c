/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of posted calls: the one place of the loop that takes a lock; and what waits for one.
 */
#include "loop/calls.h"
#include "base/object.h"

#include <errno.h>
#include <semaphore.h>
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
        burrow_timer_fn *drop = call->drop;
        void *arg = call->arg;
        if (call->owned)
            free(call);
        if (drop != NULL)
            drop(arg);
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

bool call_queue_run(struct call_queue *queue)
{
    struct loop_call *call = take_all(queue);
    bool any = call != NULL;
    while (call != NULL) {
        struct loop_call *next = call->next;
        burrow_timer_fn *fn = call->fn;
        void *arg = call->arg;
        if (call->owned)
            free(call);
        fn(arg);
        call = next;
    }
    return any;
}

int loop_post(struct loop *loop, burrow_timer_fn *fn, void *arg)
{
    struct loop_call *call = malloc(sizeof *call);
    if (call == NULL)
        return BURROW_ENOMEM;
    *call = (struct loop_call){.fn = fn, .arg = arg, .owned = true};
    loop_post_call(loop, call);
    return 0;
}

struct waited {
    struct loop_call call;
    burrow_timer_fn *fn;
    void *arg;
    sem_t done;
};

static void run_waited(void *arg)
{
    struct waited *w = arg;
    w->fn(w->arg);
    sem_post(&w->done);
}

void loop_call_wait(struct loop *loop, burrow_timer_fn *fn, void *arg)
{
    if (!loop_has_thread(loop)) {
        fn(arg);
        return;
    }
    struct waited w = {.fn = fn, .arg = arg};
    w.call = (struct loop_call){.fn = run_waited, .arg = &w};
    must(sem_init(&w.done, 0, 0) == 0);
    loop_post_call(loop, &w.call);
    while (sem_wait(&w.done) != 0)
        must(errno == EINTR);
    sem_destroy(&w.done);
}
