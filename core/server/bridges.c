/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges: the TCP listeners at which users reach a client's services. A connection becomes
 * a stream of the client's session at once; where there is none to be had, it is reset, so
 * that its user never takes silence for an answer.
 */
#include "server/internal.h"

#include "base/object.h"
#include "base/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_MAGIC 0x42524430u

/* ---- connections ---- */

static void note_refused(struct bridge *b, const char *reason)
{
    struct server *server = b->record->server;
    server->stats.bridge_refused++;
    b->refused++;
    log_at(server->log, BURROW_LOG_DEBUG, "bridge_refused", burrow_str("client", b->record->id),
           burrow_str("service", b->name), burrow_str("reason", reason));
}

/* NULL: the connection may become a stream. */
static const char *why_not(const struct bridge *b)
{
    const struct attachment *a = b->record->attachment;
    if (a == NULL)
        return "no client is there";
    if (!b->active)
        return "the client does not offer the service";
    if (!right_holds(a))
        return "the client's token has expired";
    if (a->leaving)
        return "the client is stopping";
    if (!permit_stream(b))
        return "the client's grants do not allow it";
    return NULL;
}

/* A reference to the counts of the bridge's streams on this worker. NULL: out of memory. */
static struct service_stats *stats_at(const struct bridge *b, const struct worker *worker)
{
    struct service_stats **stats = &b->stats[worker->index];
    if (*stats == NULL)
        *stats = service_stats_create();
    return *stats != NULL ? service_stats_ref(*stats) : NULL;
}

static void on_accepted(void *arg, int fd, const struct burrow_addr *peer)
{
    struct bridge *b = arg;
    must_be(b, BRIDGE_MAGIC);
    struct attachment *a = b->record->attachment;
    b->record->server->stats.bridge_accepted++;
    b->accepted++;
    const char *reason = why_not(b);
    struct service_stats *stats = reason == NULL ? stats_at(b, a->seat->worker) : NULL;
    if (stats == NULL) {
        note_refused(b, reason != NULL ? reason : "out of memory");
        socket_reset(fd);
        return;
    }
    struct frame_open open = {.service = b->service_id, .source = *peer};
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)(void *)&ss, &len) == 0)
        address_from_sockaddr(&open.destination, (const struct sockaddr *)(const void *)&ss);
    a->next_stream++;
    seat_open(a->seat, fd, &open, stats, grants_max_streams(b->record->grants, UINT32_MAX));
}

void bridge_refused(struct attachment *a, uint16_t service, const char *reason, size_t streams,
                    bool full)
{
    struct bridge *b = NULL;
    if (a->record != NULL)
        TAILQ_FOREACH(b, &a->record->bridges, entry)
        {
            if (b->active && b->service_id == service)
                break;
        }
    if (b == NULL) { /* the service has gone meanwhile */
        a->server->stats.bridge_refused++;
        return;
    }
    if (full)
        permit_full(a->record, b->name, streams);
    note_refused(b, reason);
}

/* ---- bridges ---- */

struct bridge *bridges_find(struct client_record *record, const char *name)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (strcmp(b->name, name) == 0)
            return b;
    }
    return NULL;
}

static void bridge_destroy(struct bridge *b)
{
    must_be(b, BRIDGE_MAGIC);
    TAILQ_REMOVE(&b->record->bridges, b, entry);
    b->record->bridge_count--;
    if (b->acceptor.magic != 0)
        ports_release(b->record->server, b->acceptor.local.port);
    acceptor_close(&b->acceptor);
    for (size_t i = 0; i < b->record->server->worker_count; i++)
        service_stats_unref(b->stats[i]);
    free(b->stats);
    b->magic = 0;
    free(b);
}

const char *bridge_address(const struct bridge *b, char buf[ADDRESS_TEXT])
{
    static const struct burrow_addr none;
    return address_format(b->acceptor.magic != 0 ? &b->acceptor.local : &none, buf);
}

static bool is_offered(const struct control *offer, const char *name)
{
    for (size_t i = 0; i < offer->service_count; i++)
        if (strcmp(offer->services[i].name, name) == 0)
            return true;
    return false;
}

/* A client that changes its services with every registration keeps no more bridges than it
 * may have services. Those of the list that is being applied are not active yet, but stay. */
static void drop_an_idle_one(struct client_record *record, const struct control *offer)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (!b->active && !is_offered(offer, b->name)) {
            bridge_destroy(b);
            return;
        }
    }
}

static struct bridge *bridge_create(struct client_record *record, const struct control *offer,
                                    const struct control_service *wanted, const char **ret_code,
                                    struct error *err)
{
    const char *host = record->server->options->bridge_host;
    if (record->bridge_count >= CONTROL_MAX_SERVICES)
        drop_an_idle_one(record, offer);
    struct bridge *b = calloc(1, sizeof *b);
    if (b != NULL)
        b->stats = calloc(record->server->worker_count, sizeof *b->stats);
    if (b == NULL || b->stats == NULL) {
        free(b);
        *ret_code = "limit";
        error_set(err, BURROW_ENOMEM, "out of memory");
        return NULL;
    }
    b->magic = BRIDGE_MAGIC;
    b->record = record;
    b->acceptor.fd = -1;
    snprintf(b->name, sizeof b->name, "%s", wanted->name);
    TAILQ_INSERT_TAIL(&record->bridges, b, entry);
    record->bridge_count++;
    if (host == NULL || host[0] == '\0')
        return b; /* bridges are off: the service is known, but nobody listens */
    if (ports_open(b, wanted->port, on_accepted, ret_code, err) != BURROW_OK) {
        bridge_destroy(b);
        return NULL;
    }
    return b;
}

/* ---- the services of a client ---- */

static void refuse_service(struct client_record *record, struct control_service *answer,
                           const char *name, const char *code, const char *message)
{
    snprintf(answer->code, sizeof answer->code, "%s", code);
    snprintf(answer->message, sizeof answer->message, "%s", message);
    struct server *server = record->server;
    uint32_t dropped;
    if (log_sample(&server->service_sample, loop_now_ms(server->loop), &dropped))
        log_at(server->log, BURROW_LOG_WARN, "service_refused", burrow_str("client", record->id),
               burrow_str("service", name), burrow_str("code", code), burrow_str("reason", message),
               burrow_uint("left_out", dropped));
}

static void say_withdrawn(const struct bridge *b)
{
    log_at(b->record->server->log, BURROW_LOG_INFO, "service_withdrawn",
           burrow_str("client", b->record->id), burrow_str("service", b->name));
}

/* A port goes from one service of the client to another at once, unless the list that is
 * being applied leaves it with the one that has it. */
static void vacate(struct client_record *record, const struct control *offer, uint16_t port)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (!b->active && b->acceptor.magic != 0 && b->acceptor.local.port == port)
            break;
    }
    if (b == NULL)
        return;
    for (size_t i = 0; i < offer->service_count; i++) {
        const struct control_service *s = &offer->services[i];
        if (strcmp(s->name, b->name) == 0 && (s->port == 0 || s->port == port))
            return;
    }
    if (b->was_active)
        say_withdrawn(b);
    bridge_destroy(b);
}

static bool may_stay(const struct bridge *b, uint16_t wanted)
{
    const uint16_t port = b->acceptor.local.port;
    if (b->acceptor.magic == 0)
        return true; /* bridges are off */
    if (!grants_allow_port(b->record->grants, port))
        return false;
    return wanted == 0 || (wanted == port && b->record->server->options->allow_client_ports);
}

/* The bridge of the name, at the wanted port if there is one. One at another port is left for
 * the sweep to close, should the new port not be had. */
static struct bridge *provide(struct client_record *record, const struct control *offer,
                              const struct control_service *wanted, const char **ret_code,
                              struct error *err)
{
    const bool may_ask = record->server->options->allow_client_ports;
    struct bridge *old = bridges_find(record, wanted->name);
    if (old != NULL && may_stay(old, wanted->port))
        return old;
    if (wanted->port != 0 && may_ask)
        vacate(record, offer, wanted->port);
    struct bridge *b = bridge_create(record, offer, wanted, ret_code, err);
    if (b != NULL && old != NULL) {
        b->was_active = old->was_active;
        struct service_stats **stats = b->stats; /* the service goes on, with its streams */
        b->stats = old->stats;
        old->stats = stats;
        b->accepted = old->accepted;
        b->refused = old->refused;
        bridge_destroy(old);
    }
    return b;
}

static void apply_one(struct client_record *record, const struct control *offer, size_t i,
                      struct control_service *answer)
{
    const struct control_service *wanted = &offer->services[i];
    struct bridge *b = bridges_find(record, wanted->name);
    if (b != NULL && b->active) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "two services have the same name");
        return;
    }
    if (!permit_service(record, wanted->name)) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "the client's grants do not allow this service");
        return;
    }
    struct error err = {0};
    const char *code = "internal";
    b = provide(record, offer, wanted, &code, &err);
    if (b == NULL) {
        refuse_service(record, answer, wanted->name, code, err.text);
        return;
    }
    b->active = true;
    b->service_id = wanted->id;
    snprintf(b->target, sizeof b->target, "%s", wanted->target);
    char text[ADDRESS_TEXT];
    snprintf(answer->bridge, sizeof answer->bridge, "%s", bridge_address(b, text));
}

/* Room for a meaning of the id; new ones mean nothing yet. */
static int meanings_reach(struct service_meanings *m, uint16_t id)
{
    size_t count = m->count > 0 ? m->count : 16;
    if (id < m->count)
        return BURROW_OK;
    while (count <= id)
        count *= 2;
    uint32_t *hashes = realloc(m->hashes, count * sizeof *hashes);
    if (hashes == NULL)
        return BURROW_ENOMEM;
    memset(hashes + m->count, 0, (count - m->count) * sizeof *hashes);
    m->hashes = hashes;
    m->count = count;
    return BURROW_OK;
}

/* Within a session an id means one service, also after that was withdrawn: what the client has
 * under way for the one must not be taken for the other. NULL, or why it cannot be had. */
static const char *claim_id(struct service_meanings *m, const struct control_service *wanted,
                            const char **ret_code)
{
    unsigned hash;
    HASH_JEN(wanted->name, strlen(wanted->name), hash);
    if (hash == 0)
        hash = 1; /* 0: the id has no meaning yet */
    if (meanings_reach(m, wanted->id) != BURROW_OK) {
        *ret_code = "internal";
        return "out of memory";
    }
    if (m->hashes[wanted->id] == 0)
        m->hashes[wanted->id] = hash;
    *ret_code = "not_allowed";
    return m->hashes[wanted->id] == hash ? NULL
                                         : "the id stands for another service in this session";
}

void bridges_apply(struct client_record *record, struct service_meanings *meanings,
                   const struct control *offer, struct control *ack)
{
    bool done[CONTROL_MAX_SERVICES] = {false};
    ack->service_count = offer->service_count;
    for (size_t i = 0; i < offer->service_count; i++) {
        const char *code, *wrong = claim_id(meanings, &offer->services[i], &code);
        ack->services[i].id = offer->services[i].id;
        done[i] = wrong != NULL;
        if (done[i])
            refuse_service(record, &ack->services[i], offer->services[i].name, code, wrong);
    }
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    b->was_active = b->active;
    bridges_deactivate(record);
    /* Those that exist first: only then is known which ones may go. */
    for (size_t i = 0; i < offer->service_count; i++) {
        if (done[i] || bridges_find(record, offer->services[i].name) == NULL)
            continue;
        apply_one(record, offer, i, &ack->services[i]);
        done[i] = true;
    }
    for (size_t i = 0; i < offer->service_count; i++)
        if (!done[i])
            apply_one(record, offer, i, &ack->services[i]);
}

void bridges_say(const struct client_record *record)
{
    const struct log *log = record->server->log;
    const struct bridge *b;
    char text[ADDRESS_TEXT];
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (b->active && !b->was_active && b->acceptor.magic != 0)
            log_at(log, BURROW_LOG_INFO, "bridge_listening", burrow_str("client", record->id),
                   burrow_str("service", b->name), burrow_str("addr", bridge_address(b, text)));
        else if (!b->active && b->was_active)
            say_withdrawn(b);
    }
}

/* Of what registries are told: it changes when one of the active services does. */
static uint64_t digest(const struct client_record *record)
{
    uint64_t sum = 0;
    const struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        unsigned hash;
        char text[sizeof b->name + sizeof b->target + 16];
        int n = snprintf(text, sizeof text, "%u %s %s", b->acceptor.local.port, b->name, b->target);
        HASH_JEN(text, n, hash);
        if (b->active)
            sum += hash;
    }
    return sum;
}

void bridges_change(struct attachment *a, const struct control *offer)
{
    struct client_record *record = a->record;
    struct control *ack = calloc(1, sizeof *ack);
    if (ack == NULL)
        return; /* the client keeps what it has */
    uint64_t before = digest(record);
    ack->type = CONTROL_SERVICES_ACK;
    ack->serial = offer->serial;
    bridges_apply(record, &a->meanings, offer, ack);
    bridges_say(record);
    seat_send(a->seat, ack);
    if (digest(record) != before)
        registrations_publish(record);
}

void bridges_deactivate(struct client_record *record)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (b->active)
            b->idle_ms = loop_now_ms(record->server->loop);
        b->active = false;
    }
}

void bridges_sweep(struct client_record *record, uint64_t before_ms)
{
    struct bridge *next;
    for (struct bridge *b = TAILQ_FIRST(&record->bridges); b != NULL; b = next) {
        next = TAILQ_NEXT(b, entry);
        if (!b->active && b->idle_ms <= before_ms)
            bridge_destroy(b);
    }
}

void bridges_close(struct client_record *record)
{
    struct bridge *b;
    while ((b = TAILQ_FIRST(&record->bridges)) != NULL)
        bridge_destroy(b);
}

void bridges_stop_listening(struct client_record *record)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (b->acceptor.magic != 0)
            ports_release(record->server, b->acceptor.local.port);
        acceptor_close(&b->acceptor);
    }
}
