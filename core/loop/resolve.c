/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Name look-ups off the loop: getaddrinfo blocks for as long as name servers like, so a few
 * threads, started when they are needed, call it and post the answer back. Literals are
 * answered on the next turn without a thread.
 *
 * All who ask for one name share one call of getaddrinfo, so that a name whose servers are
 * silent takes one thread, however many ask for it, and the other threads stay free for other
 * names. A call under way cannot be interrupted: it goes on though nobody waits for it any more,
 * and who asks meanwhile waits for its answer. Threads outlive their loop if they must: the
 * resolver is counted.
 */
#include "loop/resolve.h"
#include "base/address.h"
#include "base/object.h"
#include "loop/calls.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define LOOKUP_MAGIC 0x4c4b5550u
#define RESOLVER_MAGIC 0x52534c56u
#define MAX_THREADS 4
#define MAX_WAITING 256u /* names, and those who ask for one */
#define MAX_ADDRS 16u
#define MAX_NAME 254u /* RFC 1035, 2.3.4, with the final dot */
#define STACK_BYTES (512u * 1024u)

struct answer {
    int result;
    size_t n;
    struct burrow_addr addrs[MAX_ADDRS];
    char error[128];
};

struct loop_lookup {
    uint32_t magic;
    bool cancelled; /* when its call was posted already */
    uint16_t port;
    struct resolver *resolver;
    struct query *query; /* NULL: in resolver->done, its call is posted */
    struct loop_call call;
    burrow_resolve_fn *fn;
    void *arg;
    struct answer answer;
    TAILQ_ENTRY(loop_lookup) entry;
};
TAILQ_HEAD(lookup_list, loop_lookup);

/* A name, and who asks for it: while it runs perhaps nobody. */
struct query {
    bool running; /* in resolver->running, a thread's; else in resolver->waiting */
    struct lookup_list askers;
    unsigned asker_count;
    struct answer answer;
    TAILQ_ENTRY(query) entry;
    char name[MAX_NAME + 1];
};
TAILQ_HEAD(query_list, query);

struct worker {
    struct resolver *resolver;
    pthread_t thread;
    bool busy; /* in getaddrinfo */
};

/* Everything is guarded by the lock, but for the answer of a query that runs, its thread's. */
struct resolver {
    uint32_t magic;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned refs; /* the loop and each thread */
    bool closed;
    struct loop *loop;
    struct query_list waiting, running;
    struct lookup_list done;
    unsigned waiting_count, idle, worker_count;
    struct worker workers[MAX_THREADS];
};

struct resolver *resolver_create(struct loop *loop)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL)
        return NULL;
    if (pthread_mutex_init(&resolver->lock, NULL) != 0)
        goto no_lock;
    if (pthread_cond_init(&resolver->wake, NULL) != 0)
        goto no_cond;
    resolver->magic = RESOLVER_MAGIC;
    resolver->refs = 1;
    resolver->loop = loop;
    TAILQ_INIT(&resolver->waiting);
    TAILQ_INIT(&resolver->running);
    TAILQ_INIT(&resolver->done);
    return resolver;
no_cond:
    pthread_mutex_destroy(&resolver->lock);
no_lock:
    free(resolver);
    return NULL;
}

static void lookup_free(struct loop_lookup *lookup)
{
    lookup->magic = 0;
    free(lookup);
}

/* Called with the lock, which it gives back. */
static void unref(struct resolver *resolver)
{
    bool last = --resolver->refs == 0;
    pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    pthread_cond_destroy(&resolver->wake);
    pthread_mutex_destroy(&resolver->lock);
    resolver->magic = 0;
    free(resolver);
}

static void free_all(struct lookup_list *list)
{
    struct loop_lookup *lookup;
    while ((lookup = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, lookup, entry);
        lookup_free(lookup);
    }
}

/* With the lock. */
static void query_remove(struct resolver *resolver, struct query *query)
{
    if (query->running) {
        TAILQ_REMOVE(&resolver->running, query, entry);
    } else {
        TAILQ_REMOVE(&resolver->waiting, query, entry);
        resolver->waiting_count--;
    }
}

void resolver_stop(struct resolver *resolver)
{
    must_be(resolver, RESOLVER_MAGIC);
    pthread_t idle[MAX_THREADS];
    unsigned idle_count = 0;
    pthread_mutex_lock(&resolver->lock);
    must(!resolver->closed);
    resolver->closed = true;
    resolver->loop = NULL;
    for (unsigned i = 0; i < resolver->worker_count; i++) {
        if (resolver->workers[i].busy)
            pthread_detach(resolver->workers[i].thread);
        else
            idle[idle_count++] = resolver->workers[i].thread;
    }
    pthread_cond_broadcast(&resolver->wake);
    pthread_mutex_unlock(&resolver->lock);
    for (unsigned i = 0; i < idle_count; i++)
        pthread_join(idle[i], NULL);
}

void resolver_destroy(struct resolver *resolver)
{
    if (resolver == NULL)
        return;
    if (!resolver->closed) /* written on this thread only */
        resolver_stop(resolver);
    pthread_mutex_lock(&resolver->lock);
    struct query *query;
    while ((query = TAILQ_FIRST(&resolver->waiting)) != NULL) {
        query_remove(resolver, query);
        free_all(&query->askers);
        free(query);
    }
    free_all(&resolver->done);
    unref(resolver);
}

static int result_of(int gai)
{
    switch (gai) {
    case EAI_AGAIN:
        return BURROW_EAGAIN;
    case EAI_MEMORY:
        return BURROW_ENOMEM;
    default:
        return BURROW_EIO;
    }
}

static void fail(struct answer *answer, int result, const char *text)
{
    answer->result = result;
    answer->n = 0;
    snprintf(answer->error, sizeof answer->error, "%s", text);
}

/* On a thread, without the lock. No AI_ADDRCONFIG: it would hide 127.0.0.1 from a machine
 * whose only other addresses are IPv6, and an unreachable address fails at once anyway. */
static void look_up(const char *name, struct answer *answer)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int gai = getaddrinfo(name, NULL, &hints, &list);
    if (gai != 0) {
        fail(answer, result_of(gai),
             gai == EAI_SYSTEM ? "the system's resolver failed" : gai_strerror(gai));
        return;
    }
    for (struct addrinfo *ai = list; ai != NULL && answer->n < MAX_ADDRS; ai = ai->ai_next) {
        struct burrow_addr *addr = &answer->addrs[answer->n];
        address_from_sockaddr(addr, ai->ai_addr);
        if (addr->family != 0)
            answer->n++;
    }
    freeaddrinfo(list);
    if (answer->n == 0)
        fail(answer, BURROW_EIO, "the name has no address");
}

static void deliver(void *arg)
{
    struct loop_lookup *lookup = arg;
    must_be(lookup, LOOKUP_MAGIC);
    struct resolver *resolver = lookup->resolver;
    pthread_mutex_lock(&resolver->lock);
    TAILQ_REMOVE(&resolver->done, lookup, entry);
    pthread_mutex_unlock(&resolver->lock);
    if (!lookup->cancelled) {
        /* The handle is gone when fn runs, as the contract has it; the memory is not. */
        lookup->magic = 0;
        const struct answer *answer = &lookup->answer;
        lookup->fn(lookup->arg, answer->result, answer->addrs, answer->n,
                   answer->result != 0 ? answer->error : NULL);
    }
    lookup_free(lookup);
}

/* With the lock. */
static void finish(struct loop_lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    lookup->query = NULL;
    lookup->call = (struct loop_call){.fn = deliver, .arg = lookup};
    TAILQ_INSERT_TAIL(&resolver->done, lookup, entry);
    loop_post_call(resolver->loop, &lookup->call);
}

/* With the lock. Gives the answer to all who wait for it, in the order in which they asked. */
static void query_end(struct resolver *resolver, struct query *query)
{
    struct loop_lookup *lookup;
    query_remove(resolver, query);
    while (!resolver->closed && (lookup = TAILQ_FIRST(&query->askers)) != NULL) {
        TAILQ_REMOVE(&query->askers, lookup, entry);
        lookup->answer = query->answer;
        for (size_t i = 0; i < lookup->answer.n; i++)
            lookup->answer.addrs[i].port = lookup->port;
        finish(lookup);
    }
    free_all(&query->askers);
    free(query);
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    struct resolver *resolver = worker->resolver;
    pthread_mutex_lock(&resolver->lock);
    while (!resolver->closed) {
        struct query *query = TAILQ_FIRST(&resolver->waiting);
        if (query == NULL) {
            resolver->idle++;
            pthread_cond_wait(&resolver->wake, &resolver->lock);
            resolver->idle--;
            continue;
        }
        query_remove(resolver, query);
        query->running = true;
        TAILQ_INSERT_TAIL(&resolver->running, query, entry);
        worker->busy = true;
        pthread_mutex_unlock(&resolver->lock);
        look_up(query->name, &query->answer);
        pthread_mutex_lock(&resolver->lock);
        worker->busy = false;
        query_end(resolver, query);
    }
    unref(resolver);
    return NULL;
}

/* With the lock. The thread takes no signals: those are the loop's. */
static bool start_worker(struct resolver *resolver)
{
    struct worker *worker = &resolver->workers[resolver->worker_count];
    pthread_attr_t attr;
    sigset_t all, old;
    if (pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    worker->resolver = resolver;
    bool started = pthread_create(&worker->thread, &attr, work, worker) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (started) {
        pthread_setname_np(worker->thread, "burrow-resolve");
        resolver->worker_count++;
        resolver->refs++;
    }
    return started;
}

static struct query *find(struct query_list *list, const char *name)
{
    struct query *query;
    TAILQ_FOREACH(query, list, entry)
    {
        if (strcmp(query->name, name) == 0)
            break;
    }
    return query;
}

/* With the lock. A name that nobody has asked for goes to the threads. NULL: *ret says why not. */
static struct query *query_begin(struct resolver *resolver, const char *name, struct answer *ret)
{
    if (resolver->waiting_count >= MAX_WAITING) {
        fail(ret, BURROW_ENOMEM, "too many name look-ups are waiting");
        return NULL;
    }
    struct query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        fail(ret, BURROW_ENOMEM, "out of memory");
        return NULL;
    }
    if (resolver->idle <= resolver->waiting_count && resolver->worker_count < MAX_THREADS &&
        !start_worker(resolver) && resolver->worker_count == 0) {
        fail(ret, BURROW_ENOMEM, "no thread for a name look-up can be started");
        free(query);
        return NULL;
    }
    TAILQ_INIT(&query->askers);
    memcpy(query->name, name, strlen(name) + 1);
    TAILQ_INSERT_TAIL(&resolver->waiting, query, entry);
    resolver->waiting_count++;
    pthread_cond_signal(&resolver->wake);
    return query;
}

/* With the lock. Joins who ask for the name already, or is the first, or ends the look-up. */
static void ask(struct resolver *resolver, struct loop_lookup *lookup, const char *name)
{
    struct query *query = find(&resolver->running, name);
    if (query == NULL)
        query = find(&resolver->waiting, name);
    if (query == NULL) {
        query = query_begin(resolver, name, &lookup->answer);
    } else if (query->asker_count >= MAX_WAITING) {
        fail(&lookup->answer, BURROW_ENOMEM, "too many look-ups of this name are waiting");
        query = NULL;
    }
    if (query == NULL) {
        finish(lookup);
        return;
    }
    lookup->query = query;
    TAILQ_INSERT_TAIL(&query->askers, lookup, entry);
    query->asker_count++;
}

struct loop_lookup *loop_resolve(struct loop *loop, const char *name, uint16_t port,
                                 burrow_resolve_fn *fn, void *arg)
{
    struct resolver *resolver = loop_resolver(loop);
    must_be(resolver, RESOLVER_MAGIC);
    struct loop_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    size_t n = strlen(name);
    struct answer *answer = &lookup->answer;
    lookup->magic = LOOKUP_MAGIC;
    lookup->resolver = resolver;
    lookup->port = port;
    lookup->fn = fn;
    lookup->arg = arg;
    pthread_mutex_lock(&resolver->lock);
    if (address_parse_literal(name, port, &answer->addrs[0]) == 0) {
        answer->n = 1;
        finish(lookup);
    } else if (n == 0 || n > MAX_NAME) {
        fail(answer, BURROW_EIO, n == 0 ? "the name is empty" : "the name is too long");
        finish(lookup);
    } else {
        ask(resolver, lookup, name);
    }
    pthread_mutex_unlock(&resolver->lock);
    return lookup;
}

void loop_resolve_cancel(struct loop_lookup *lookup)
{
    if (lookup == NULL)
        return;
    must_be(lookup, LOOKUP_MAGIC);
    struct resolver *resolver = lookup->resolver;
    pthread_mutex_lock(&resolver->lock);
    must(!lookup->cancelled);
    struct query *query = lookup->query;
    lookup->cancelled = true;
    if (query != NULL) {
        TAILQ_REMOVE(&query->askers, lookup, entry);
        query->asker_count--;
        lookup_free(lookup);
        if (query->asker_count == 0 && !query->running) {
            query_remove(resolver, query);
            free(query);
        }
    }
    pthread_mutex_unlock(&resolver->lock);
}
