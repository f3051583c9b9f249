/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workers: each a loop with transports of its own, to which the main loop hands accepted
 * connections in turn. What a worker is told, it is told by calls that are posted to its loop; what
 * must be in force before the main loop goes on, by one that is waited for.
 */
#include "server/internal.h"

#include "base/object.h"
#include "base/socket.h"

#include <stdlib.h>

#define WORKER_MAGIC 0x574f524bu

/* ---- calls ---- */

bool worker_is_main(const struct worker *worker)
{
    return worker->loop == worker->server->loop;
}

static void call(struct loop *loop, bool direct, struct loop_call *c)
{
    if (direct)
        c->fn(c->arg);
    else
        loop_post_call(loop, c);
}

void worker_call(const struct worker *worker, struct loop_call *c)
{
    call(worker->loop, worker_is_main(worker), c);
}

void main_call(const struct worker *worker, struct loop_call *c)
{
    call(worker->server->loop, worker_is_main(worker), c);
}

static void on_each(const struct server *server, burrow_timer_fn *fn)
{
    for (size_t i = 0; i < server->worker_count; i++)
        loop_call_wait(server->workers[i].loop, fn, &server->workers[i]);
}

/* ---- connections ---- */

struct handed {
    struct loop_call call;
    struct worker *worker;
    const struct link_transport *transport;
    int fd;
    struct burrow_addr peer;
};

static void take(void *arg)
{
    struct handed *h = arg;
    must_be(h->worker, WORKER_MAGIC);
    handshake_begin(h->worker, h->transport, h->fd, &h->peer);
    free(h);
}

static void drop(void *arg)
{
    struct handed *h = arg;
    socket_reset(h->fd);
    free(h);
}

static struct worker *next_worker(struct server *server)
{
    struct worker *w = &server->workers[server->next_worker];
    for (size_t i = 0; i < server->worker_count; i++) {
        w = &server->workers[server->next_worker];
        server->next_worker = (server->next_worker + 1) % server->worker_count;
        if (!handshakes_full(w))
            break;
    }
    return w;
}

void workers_hand(const struct listener *listener, int fd, const struct burrow_addr *peer)
{
    struct server *server = listener->server;
    struct worker *w = next_worker(server);
    const struct link_transport *transport =
        &w->transports[listener->transport - server->workers[0].transports];
    if (worker_is_main(w)) {
        handshake_begin(w, transport, fd, peer);
        return;
    }
    struct handed *h = malloc(sizeof *h);
    if (h == NULL) {
        socket_reset(fd);
        return;
    }
    *h = (struct handed){.call = {.fn = take, .arg = h, .drop = drop},
                         .worker = w,
                         .transport = transport,
                         .fd = fd,
                         .peer = *peer};
    loop_post_call(w->loop, &h->call);
}

bool workers_full(const struct server *server)
{
    for (size_t i = 0; i < server->worker_count; i++)
        if (!handshakes_full(&server->workers[i]))
            return false;
    return true;
}

/* ---- what the main loop waits for ---- */

static void update(void *arg)
{
    struct worker *w = arg;
    must_be(w, WORKER_MAGIC);
    const struct server *server = w->server;
    w->budget.limit = (uint64_t)server->options->buffer_limit / server->worker_count;
    w->token_in_register = server->options->token_in_register != 0;
    w->draining = server->draining;
}

void workers_update(struct server *server)
{
    on_each(server, update);
}

static void drop_handshakes(void *arg)
{
    struct worker *w = arg;
    must_be(w, WORKER_MAGIC);
    handshake_drop_all(w, "the server is stopping");
}

void workers_drop_handshakes(struct server *server)
{
    on_each(server, drop_handshakes);
}

static void end_sessions(void *arg)
{
    struct worker *w = arg;
    must_be(w, WORKER_MAGIC);
    seats_end(w);
}

void workers_end_sessions(struct server *server)
{
    on_each(server, end_sessions);
}

struct sum {
    const struct worker *worker;
    uint64_t streams;
};

static void add_streams(void *arg)
{
    struct sum *sum = arg;
    must_be(sum->worker, WORKER_MAGIC);
    sum->streams += sum->worker->sessions_stats.streams_active;
}

uint64_t workers_streams(const struct server *server)
{
    struct sum sum = {.streams = 0};
    for (size_t i = 0; i < server->worker_count; i++) {
        sum.worker = &server->workers[i];
        loop_call_wait(sum.worker->loop, add_streams, &sum);
    }
    return sum.streams;
}

/* ---- life ---- */

struct birth {
    struct worker *worker;
    const struct instance_group *group;
    int rc;
};

static size_t count_transports(const struct instance_group *group)
{
    size_t n = 0;
    for (size_t i = 0; i < group->instance_count; i++)
        n += instance_kind(group->instances[i]) == BURROW_KIND_TRANSPORT;
    return n;
}

/* On the worker's thread, where its instances live. */
static void set_up(void *arg)
{
    struct birth *birth = arg;
    struct worker *w = birth->worker;
    const struct instance_group *group = birth->group;
    w->transports = calloc(count_transports(group), sizeof *w->transports);
    if (w->transports == NULL) {
        birth->rc = BURROW_ENOMEM;
        return;
    }
    for (size_t i = 0; i < group->instance_count; i++) {
        struct instance *instance = group->instances[i];
        if (instance_kind(instance) != BURROW_KIND_TRANSPORT)
            continue;
        struct link_transport *t = &w->transports[w->transport_count++];
        *t = (struct link_transport){.ops = instance_ops(instance),
                                     .self = instance_self(instance),
                                     .loop = w->loop,
                                     .log = w->log,
                                     .name = instance_name(instance),
                                     .faults = instance_faults(instance)};
        t->ops->bind(t->self, &link_transport_host);
    }
}

static void tear_down(void *arg)
{
    struct worker *w = arg;
    must_be(w, WORKER_MAGIC);
    free(w->transports);
    w->magic = 0;
}

int server_workers_create(struct server *server, struct error *err)
{
    const struct server_config *c = &server->config;
    const struct instance_group *groups = c->workers;
    const size_t n = c->worker_count;
    if (count_transports(&groups[0]) == 0)
        return error_set(err, BURROW_EINVAL,
                         "no transport plugin is in use: name one, such as --plugin transport-ws");
    server->workers = calloc(n, sizeof *server->workers);
    if (server->workers == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    for (; server->worker_count < n; server->worker_count++) {
        struct worker *w = &server->workers[server->worker_count];
        w->magic = WORKER_MAGIC;
        w->server = server;
        w->index = server->worker_count;
        w->loop = groups[w->index].loop;
        w->log = groups[w->index].log;
        TAILQ_INIT(&w->pending.list);
        TAILQ_INIT(&w->seats);
        must(count_transports(&groups[w->index]) == count_transports(&groups[0]));
        struct birth birth = {w, &groups[w->index], BURROW_OK};
        loop_call_wait(w->loop, set_up, &birth);
        if (birth.rc != BURROW_OK)
            return error_set(err, birth.rc, "out of memory");
    }
    workers_update(server);
    return BURROW_OK;
}

void server_workers_destroy(struct server *server)
{
    on_each(server, tear_down);
    free(server->workers);
    server->workers = NULL;
    server->worker_count = 0;
}
