/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges: the TCP listeners at which users reach a client's services. A connection becomes
 * a stream of the client's session at once; where there is none to be had, it is reset, so
 * that its user never takes silence for an answer.
 */
#include "server/internal.h"

#include "base/object.h"
#include "tunnel/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BRIDGE_MAGIC 0x42524430u

/* ---- connections ---- */

static void refuse(struct bridge *b, int fd, const char *reason)
{
    struct server *server = b->record->server;
    server->stats.bridge_refused++;
    log_at(server->log, BURROW_LOG_DEBUG, "bridge_refused", burrow_str("client", b->record->id),
           burrow_str("service", b->name), burrow_str("reason", reason));
    socket_reset(fd);
}

static void on_accepted(void *arg, int fd, const struct burrow_addr *peer)
{
    struct bridge *b = arg;
    must_be(b, BRIDGE_MAGIC);
    struct server *server = b->record->server;
    struct attachment *a = b->record->attachment;
    server->stats.bridge_accepted++;
    if (a == NULL || !b->active) {
        refuse(b, fd, "no client is there");
        return;
    }
    if (!attachment_may_open(a)) {
        refuse(b, fd, "the client's token has expired");
        return;
    }
    if (!permit_stream(b)) {
        refuse(b, fd, "the client's grants do not allow it");
        return;
    }
    struct frame_open open = {.service = b->service_id, .source = *peer};
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    if (getsockname(fd, (struct sockaddr *)(void *)&ss, &len) == 0)
        address_from_sockaddr(&open.destination, (const struct sockaddr *)(const void *)&ss);
    struct relay *relay = relay_create(server->loop, fd);
    if (relay == NULL) {
        server->stats.bridge_refused++;
        return;
    }
    struct stream *stream;
    int rc = stream_open(a->session, &open, &relay_stream_ops, relay, &stream);
    if (rc != BURROW_OK) {
        server->stats.bridge_refused++;
        log_at(server->log, BURROW_LOG_DEBUG, "bridge_refused", burrow_str("client", b->record->id),
               burrow_str("service", b->name),
               burrow_str("reason", rc == BURROW_ENOMEM ? "too many streams" : error_name(rc)));
        relay_destroy(relay);
        return;
    }
    relay_attach(relay, stream);
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
    acceptor_close(&b->acceptor);
    b->magic = 0;
    free(b);
}

const char *bridge_address(const struct bridge *b, char buf[ADDRESS_TEXT])
{
    static const struct burrow_addr none;
    return address_format(b->acceptor.magic != 0 ? &b->acceptor.local : &none, buf);
}

/* A client that changes its services with every registration keeps no more bridges than it
 * may have services. */
static void drop_an_idle_one(struct client_record *record)
{
    struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (!b->active) {
            bridge_destroy(b);
            return;
        }
    }
}

static struct bridge *bridge_create(struct client_record *record, const char *name,
                                    struct error *err)
{
    struct server *server = record->server;
    const char *host = server->options->bridge_host;
    if (record->bridge_count >= CONTROL_MAX_SERVICES)
        drop_an_idle_one(record);
    struct bridge *b = calloc(1, sizeof *b);
    if (b == NULL) {
        error_set(err, BURROW_ENOMEM, "out of memory");
        return NULL;
    }
    b->magic = BRIDGE_MAGIC;
    b->record = record;
    b->acceptor.fd = -1;
    snprintf(b->name, sizeof b->name, "%s", name);
    TAILQ_INSERT_TAIL(&record->bridges, b, entry);
    record->bridge_count++;
    if (host == NULL || host[0] == '\0')
        return b; /* bridges are off: the service is known, but nobody listens */
    if (acceptor_open(&b->acceptor, &server->guard, host, 0, on_accepted, b, err) != BURROW_OK) {
        bridge_destroy(b);
        return NULL;
    }
    return b;
}

static void refuse_service(struct client_record *record, struct control_service *answer,
                           const char *name, const char *code, const char *message)
{
    snprintf(answer->code, sizeof answer->code, "%s", code);
    snprintf(answer->message, sizeof answer->message, "%s", message);
    log_at(record->server->log, BURROW_LOG_WARN, "service_refused",
           burrow_str("client", record->id), burrow_str("service", name), burrow_str("code", code),
           burrow_str("reason", message));
}

static bool id_is_taken(const struct client_record *record, uint16_t id)
{
    const struct bridge *b;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (b->active && b->service_id == id)
            return true;
    }
    return false;
}

static void apply_one(struct client_record *record, const struct control_service *wanted,
                      struct control_service *answer)
{
    answer->id = wanted->id;
    if (wanted->port != 0) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "this server chooses the bridge ports itself");
        return;
    }
    struct bridge *b = bridges_find(record, wanted->name);
    if ((b != NULL && b->active) || id_is_taken(record, wanted->id)) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "two services have the same name or id");
        return;
    }
    if (!permit_service(record, wanted->name)) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "the client's grants do not allow this service");
        return;
    }
    struct error err = {0};
    if (b == NULL)
        b = bridge_create(record, wanted->name, &err);
    if (b == NULL) {
        refuse_service(record, answer, wanted->name, "internal", err.text);
        return;
    }
    if (b->acceptor.magic != 0 && !permit_port(record, wanted->name, b->acceptor.local.port)) {
        refuse_service(record, answer, wanted->name, "not_allowed",
                       "the client's grants do not allow this bridge port");
        return;
    }
    b->active = true;
    b->service_id = wanted->id;
    snprintf(b->target, sizeof b->target, "%s", wanted->target);
    char text[ADDRESS_TEXT];
    snprintf(answer->bridge, sizeof answer->bridge, "%s", bridge_address(b, text));
}

void bridges_apply(struct client_record *record, const struct control *reg, struct control *ack)
{
    bool done[CONTROL_MAX_SERVICES] = {false};
    bridges_deactivate(record);
    /* Those that exist first: only then is known which ones may go. */
    for (size_t i = 0; i < reg->service_count; i++) {
        done[i] = bridges_find(record, reg->services[i].name) != NULL;
        if (done[i])
            apply_one(record, &reg->services[i], &ack->services[i]);
    }
    for (size_t i = 0; i < reg->service_count; i++)
        if (!done[i])
            apply_one(record, &reg->services[i], &ack->services[i]);
    ack->service_count = reg->service_count;
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
