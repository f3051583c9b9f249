/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends threads that run a loop; see thread.h. */
#include "loop/thread.h"

#include "base/object.h"
#include "loop/calls.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define THREAD_MAGIC 0x4c545244u

struct loop_thread {
    uint32_t magic;
    struct loop *loop;
    pthread_t thread;
    struct loop_call end; /* not on stop's stack: the loop may have ended by itself */
};

struct loop_thread *loop_thread_create(void)
{
    struct loop_thread *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->magic = THREAD_MAGIC;
    t->loop = loop_create();
    if (t->loop != NULL)
        return t;
    free(t);
    return NULL;
}

struct loop *loop_thread_loop(struct loop_thread *t)
{
    must_be(t, THREAD_MAGIC);
    return t->loop;
}

static void *run(void *arg)
{
    struct loop_thread *t = arg;
    must_be(t, THREAD_MAGIC);
    loop_run(t->loop);
    return NULL;
}

int loop_thread_start(struct loop_thread *t, const char *name)
{
    must_be(t, THREAD_MAGIC);
    must(!loop_has_thread(t->loop));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited: signals are for others */
    loop_set_thread(t->loop, true);
    int rc = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        loop_set_thread(t->loop, false);
        return BURROW_ENOMEM;
    }
    pthread_setname_np(t->thread, name);
    return BURROW_OK;
}

static void end(void *arg)
{
    struct loop *loop = arg;
    loop_break(loop);
}

void loop_thread_stop(struct loop_thread *t)
{
    must_be(t, THREAD_MAGIC);
    if (!loop_has_thread(t->loop))
        return;
    t->end = (struct loop_call){.fn = end, .arg = t->loop};
    loop_post_call(t->loop, &t->end);
    must(pthread_join(t->thread, NULL) == 0);
    loop_set_thread(t->loop, false);
}

void loop_thread_destroy(struct loop_thread *t)
{
    if (t == NULL)
        return;
    must_be(t, THREAD_MAGIC);
    must(!loop_has_thread(t->loop));
    loop_destroy(t->loop);
    t->magic = 0;
    free(t);
}
