/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record per client id, and the session it has at the moment. The same process coming
 * back replaces its own session; another process with a right to the id takes over, and the
 * one before is told so, where its version of the wire has words for it. Either way the old one
 * gets no more users' connections from then on.
 */
#include "server/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAGIC 0x52454330u
#define TAKEOVER_WINDOW_MS 60000u

/* ---- records ---- */

struct client_record *clients_find(struct server *server, const char *id)
{
    struct client_record *record;
    HASH_FIND_STR(server->clients, id, record);
    return record;
}

static void record_free(struct client_record *record)
{
    struct server *server = record->server;
    must_be(record, RECORD_MAGIC);
    must(record->attachment == NULL);
    if (record->leaving != NULL)
        record->leaving->left = NULL;
    TAILQ_REMOVE(&server->gone, record, gone_entry);
    HASH_DEL(server->clients, record);
    server->record_count--;
    bridges_close(record);
    registrations_destroy(record);
    record_set_grants(record, NULL);
    record->magic = 0;
    free(record);
}

/* The end of a record begins: its bridges close, its registries are told, clients_withdrawn
 * follows. */
static void forget(struct client_record *record)
{
    bridges_close(record);
    record->withdrawing = true;
    registrations_withdraw(record);
}

/* Records of clients that are gone may be as many as clients may be there; beyond that the
 * one that has been gone longest is forgotten, as if the sweep had come. Registries take
 * their time for that, so that a few more are borne meanwhile. */
static bool make_room(struct server *server)
{
    size_t limit = 2 * (size_t)server->options->max_clients;
    if (server->record_count < limit)
        return true;
    struct client_record *oldest = TAILQ_FIRST(&server->gone);
    while (oldest != NULL && oldest->withdrawing)
        oldest = TAILQ_NEXT(oldest, gone_entry);
    if (oldest != NULL)
        forget(oldest);
    return server->record_count < limit + MAX_PENDING;
}

struct client_record *clients_get(struct server *server, const char *id)
{
    struct client_record *record = clients_find(server, id);
    if (record != NULL)
        return record;
    if (!make_room(server))
        return NULL;
    record = calloc(1, sizeof *record);
    if (record == NULL)
        return NULL;
    record->magic = RECORD_MAGIC;
    record->server = server;
    snprintf(record->id, sizeof record->id, "%s", id);
    TAILQ_INIT(&record->bridges);
    if (registrations_create(record) != BURROW_OK) {
        free(record);
        return NULL;
    }
    HASH_ADD_STR(server->clients, id, record);
    if (!map_added(record, hh)) {
        registrations_destroy(record);
        free(record);
        return NULL;
    }
    server->record_count++;
    record->gone_ms = loop_now_ms(server->loop);
    TAILQ_INSERT_TAIL(&server->gone, record, gone_entry);
    return record;
}

void clients_withdrawn(struct client_record *record)
{
    must_be(record, RECORD_MAGIC);
    record->server->stats.stale_deleted++;
    record_free(record);
}

void clients_sweep(struct server *server, uint64_t now_ms)
{
    uint64_t age = (uint64_t)server->options->stale_service_age;
    struct client_record *next;
    for (struct client_record *record = TAILQ_FIRST(&server->gone); record != NULL; record = next) {
        next = TAILQ_NEXT(record, gone_entry);
        if (now_ms - record->gone_ms < age)
            break; /* those behind it left later */
        if (!record->withdrawing)
            forget(record);
    }
    /* What a connected client does not offer any more. */
    struct attachment *a;
    TAILQ_FOREACH(a, &server->sessions, entry)
    {
        if (a->record != NULL && now_ms >= age)
            bridges_sweep(a->record, now_ms - age);
        if (a->leaving && now_ms >= a->leave_by_ms)
            seat_close(a->seat, BURROW_CLOSE_NORMAL, NULL, "its time to drain is over");
    }
}

/* ---- attachments ---- */

/* Two connections of one client, of which one is left, have the limits of one: the streams of
 * that count, and until it has none each has half of the bytes a second, of which 0 is no limit. */
static uint32_t max_streams(const struct client_record *record)
{
    uint32_t max =
        grants_max_streams(record->grants, (uint32_t)record->server->options->max_streams);
    size_t left = record->leaving != NULL ? record->leaving->left_streams : 0;
    return left < max ? max - (uint32_t)left : 0;
}

static uint64_t bytes_per_second(const struct client_record *record)
{
    uint64_t rate = grants_bytes_per_second(record->grants);
    bool shared = record->leaving != NULL && record->leaving->left_streams > 0;
    return shared ? rate - rate / 2 : rate;
}

static void apply_limits(const struct attachment *a)
{
    seat_set_limits(a->seat, max_streams(a->record), bytes_per_second(a->record));
}

/* The newer connection has the whole of the limits now. */
static void left_emptied(struct attachment *a)
{
    a->left_streams = 0;
    if (a->left != NULL && a->left->attachment != NULL)
        apply_limits(a->left->attachment);
}

static void attachment_free(struct attachment *a)
{
    must_be(a, ATTACHMENT_MAGIC);
    must(a->record == NULL);
    TAILQ_REMOVE(&a->server->sessions, a, entry);
    left_emptied(a);
    if (a->left != NULL)
        a->left->leaving = NULL;
    if (a->drain_awaits)
        a->server->drain_awaited--;
    right_end(a);
    seat_let_go(a->seat);
    free(a->meanings.hashes);
    a->magic = 0;
    free(a);
}

/* The record has no session any more, or not this one. */
static void detach(struct attachment *a, const char *reason)
{
    struct client_record *record = a->record;
    if (record == NULL)
        return;
    must_be(record, RECORD_MAGIC);
    must(record->attachment == a);
    struct server *server = a->server;
    log_at(server->log, BURROW_LOG_INFO, "client_disconnected", burrow_str("client", record->id),
           burrow_str("session", a->session_id), burrow_str("reason", reason));
    if (a->protocol == 1)
        record->next_stream = a->next_stream;
    a->record = NULL;
    record->attachment = NULL;
    record->gone_ms = loop_now_ms(server->loop);
    TAILQ_INSERT_TAIL(&server->gone, record, gone_entry);
    server->session_count--;
    record_set_grants(record, NULL);
    bridges_deactivate(record);
}

static void attach(struct attachment *a, struct client_record *record)
{
    TAILQ_REMOVE(&record->server->gone, record, gone_entry);
    record->attachment = a;
    a->record = record;
    a->next_stream = record->next_stream > 0 ? record->next_stream : 1;
    record->server->session_count++;
}

void clients_apply_limits(struct server *server)
{
    const struct attachment *a;
    TAILQ_FOREACH(a, &server->sessions, entry)
    {
        if (a->record != NULL)
            apply_limits(a);
    }
}

void attachment_set_grants(struct attachment *a, struct grants *grants)
{
    must_be(a, ATTACHMENT_MAGIC);
    if (a->record == NULL)
        return; /* it is leaving, and takes no streams */
    record_set_grants(a->record, grants);
    apply_limits(a);
    permit_say(a->record);
}

void attachment_control(struct attachment *a, const struct control *control, size_t streams)
{
    must_be(a, ATTACHMENT_MAGIC);
    switch (control->type) {
    case CONTROL_SERVICES:
        if (a->record != NULL && !a->server->draining)
            bridges_change(a, control);
        break;
    case CONTROL_TOKEN:
        right_renew(a, control);
        break;
    case CONTROL_DRAIN:
        drain_announced(a, control, streams);
        break;
    default:
        break;
    }
}

void attachment_refused(struct attachment *a, uint16_t service, const char *reason, size_t streams,
                        bool full)
{
    must_be(a, ATTACHMENT_MAGIC);
    bridge_refused(a, service, reason, streams, full);
}

void attachment_emptied(struct attachment *a)
{
    must_be(a, ATTACHMENT_MAGIC);
    struct server *server = a->server;
    a->emptied = true;
    left_emptied(a);
    if (a->drain_awaits)
        server->drain_awaited--;
    a->drain_awaits = false;
    /* One of version 1 cannot be told to move: it is sent away when it has nothing more here. */
    if (server->draining && a->protocol == 1)
        seat_close(a->seat, BURROW_CLOSE_GOING_AWAY, NULL, "the server is stopping");
    drain_look(server);
}

void attachment_ended(struct attachment *a, const char *reason)
{
    must_be(a, ATTACHMENT_MAGIC);
    struct server *server = a->server;
    detach(a, reason);
    attachment_free(a);
    drain_look(server);
}

/* ---- registering ---- */

/* The client's own newer session is here: what drains may end in order. Of such there is one
 * at a time. */
static void leave(struct client_record *record, struct attachment *old)
{
    struct attachment *older = record->leaving;
    uint64_t rate = grants_bytes_per_second(record->grants);
    if (old->left_streams > 0)
        seat_set_limits(old->seat, max_streams(record), rate - rate / 2);
    detach(old, "the client has moved to another connection");
    if (older != NULL) {
        older->left = NULL;
        seat_kill(older->seat);
    }
    record->leaving = old;
    old->left = record;
}

/* Whether who registers is the process that has the session. Version 1 knows no instances: its
 * client names the session that it had last. */
static bool is_its_own(const struct attachment *old, const struct control *reg)
{
    if (strcmp(old->instance, reg->instance) != 0)
        return false;
    return old->protocol != 1 || strcmp(old->session_id, reg->previous_session_id) == 0;
}

/* Ends what the client id had before. Its own reconnect is quiet: the old connection is dead
 * or about to be. */
static void replace(struct client_record *record, const struct control *reg)
{
    struct attachment *old = record->attachment;
    if (old == NULL)
        return;
    bool own = is_its_own(old, reg);
    if (own && old->leaving) {
        leave(record, old);
        return;
    }
    if (!own)
        log_at(record->server->log, BURROW_LOG_WARN, "client_takeover",
               burrow_str("client", record->id), burrow_str("session", old->session_id),
               burrow_uint("takeovers", record->takeovers));
    detach(old, own ? "replaced by the client's own reconnect" : "superseded");
    if (own || old->protocol == 1) /* which has no word for it: its connection goes away */
        seat_kill(old->seat);
    else
        seat_close(old->seat, BURROW_CLOSE_POLICY, "superseded",
                   "another client with this id has registered");
}

/* Two processes with one id must not cut each other's streams for ever: after so many takeovers
 * within a minute who has the id keeps it, and who comes has to wait. One of version 1 has no
 * word for that: it always wins, as in Burrow 0.5, and only who has version 2 waits. */
static bool may_take_over(struct client_record *record, const struct control *reg)
{
    struct server *server = record->server;
    uint64_t now = loop_now_ms(server->loop);
    if (record->attachment == NULL || is_its_own(record->attachment, reg))
        return true;
    if (record->takeovers == 0 || now - record->takeover_ms >= TAKEOVER_WINDOW_MS) {
        record->takeovers = 0;
        record->takeover_ms = now;
    }
    bool waits = reg->instance[0] != '\0';
    if (record->takeovers >= TAKEOVERS_A_MINUTE && waits) {
        server->stats.takeovers_refused++;
        return false;
    }
    record->takeovers++;
    server->stats.takeovers_taken++;
    return true;
}

static void fill_ack(const struct attachment *a, const struct control *reg, struct control *ack)
{
    const struct server_options *o = a->server->options;
    ack->type = CONTROL_REGISTER_ACK;
    snprintf(ack->session_id, sizeof ack->session_id, "%s", a->session_id);
    snprintf(ack->previous_session_id, sizeof ack->previous_session_id, "%s",
             reg->previous_session_id);
    if (a->protocol == 1)
        return;
    ack->has_meta = true;
    ack->protocol = a->protocol;
    ack->window = SMALL_WINDOW;
    ack->max_frame = FRAME_MAX_PAYLOAD;
    ack->heartbeat_ms = (uint32_t)o->heartbeat_interval;
    ack->timeout_ms = (uint32_t)o->heartbeat_timeout;
    ack->expires_ms = a->expires_ms;
}

static void fill_session(const struct attachment *a, const struct control *reg,
                         struct session_config *config)
{
    const struct client_record *record = a->record;
    const struct server_options *o = a->server->options;
    *config = (struct session_config){
        .protocol = a->protocol,
        .opens_odd = true,
        .window = SMALL_WINDOW,
        .peer_window = reg->window,
        .max_frame = reg->max_frame,
        .heartbeat_ms = (uint64_t)o->heartbeat_interval,
        .timeout_ms = (uint64_t)o->heartbeat_timeout,
        .max_streams = max_streams(record),
        .bytes_per_second = bytes_per_second(record),
        .stream_window_max = STREAM_WINDOW,
        .session_window_max = SESSION_WINDOW,
        .open_timeout_ms = a->protocol == 1 ? OPEN_TIMEOUT_V1_MS : OPEN_TIMEOUT_MS,
        .name = reg->client_id,
        .target = reg->target,
        .first_id = a->next_stream,
    };
}

static struct attachment *attachment_create(struct server *server, const struct claim *claim)
{
    const struct control *reg = claim->reg;
    struct attachment *a = calloc(1, sizeof *a);
    struct seat *seat = seat_create(claim->worker, a);
    if (a == NULL || seat == NULL) {
        free(a);
        free(seat);
        return NULL;
    }
    a->magic = ATTACHMENT_MAGIC;
    a->server = server;
    a->seat = seat;
    a->peer = claim->peer;
    a->protocol = control_protocol(reg) < 2 ? 1 : 2;
    snprintf(a->client_id, sizeof a->client_id, "%s", reg->client_id);
    snprintf(a->instance, sizeof a->instance, "%s", reg->instance);
    snprintf(a->session_id, sizeof a->session_id, "sess-%llu",
             (unsigned long long)++server->next_session);
    TAILQ_INSERT_TAIL(&server->sessions, a, entry);
    if (right_begin(a, claim->right.expires_ms) != BURROW_OK) {
        attachment_free(a);
        return NULL;
    }
    return a;
}

static void say_connected(const struct attachment *a, const struct claim *claim, bool resumed)
{
    const struct log *log = a->server->log;
    char text[ADDRESS_TEXT];
    log_at(log, BURROW_LOG_INFO, "client_connected", burrow_str("client", a->client_id),
           burrow_str("session", a->session_id),
           burrow_str("peer", address_format(&claim->peer, text)),
           burrow_str("transport", claim->transport), burrow_uint("protocol", a->protocol),
           burrow_uint("resumed", resumed), burrow_str("auth", claim->right.auth),
           burrow_int("expires_ms", a->expires_ms), burrow_uint("worker", a->seat->worker->index));
    bridges_say(a->record);
}

static void refuse(struct claim *claim, const char *code, const char *message)
{
    claim->code = code;
    claim->message = message;
}

void clients_register(struct claim *claim)
{
    struct server *server = claim->worker->server;
    const struct control *reg = claim->reg;
    struct client_record *record = clients_find(server, reg->client_id);
    if (server->draining || server->stopping) {
        refuse(claim, "draining", "the server is stopping");
        return;
    }
    if ((record == NULL || record->attachment == NULL) &&
        server->session_count >= (size_t)server->options->max_clients) {
        refuse(claim, "limit", "the server has as many clients as it may");
        return;
    }
    if (record != NULL && !may_take_over(record, reg)) {
        refuse(claim, "superseded", "the client id has changed hands too often");
        return;
    }
    struct control *ack = calloc(1, sizeof *ack);
    struct attachment *a = attachment_create(server, claim);
    record = clients_get(server, reg->client_id);
    if (ack == NULL || a == NULL || record == NULL) {
        free(ack);
        if (a != NULL)
            attachment_free(a);
        refuse(claim, "internal", "the server is out of memory");
        return;
    }
    replace(record, reg);
    bool resumed = a->protocol == 1 ? reg->previous_session_id[0] != '\0'
                                    : strcmp(record->last_instance, reg->instance) == 0;
    snprintf(record->last_instance, sizeof record->last_instance, "%s", reg->instance);
    record->withdrawing = false;
    record_set_grants(record, claim->right.grants);

    fill_ack(a, reg, ack);
    bridges_apply(record, &a->meanings, reg, ack);
    attach(a, record);
    fill_session(a, reg, &claim->session);
    claim->ack = ack;
    claim->seat = a->seat;
    say_connected(a, claim, resumed);
    permit_say(record);
    registrations_publish(record);
}

/* ---- the end ---- */

void clients_close_sessions(struct server *server)
{
    const struct attachment *a;
    TAILQ_FOREACH(a, &server->sessions, entry)
    seat_close(a->seat, BURROW_CLOSE_GOING_AWAY, "draining", "the server is stopping");
}

void clients_destroy(struct server *server)
{
    must(TAILQ_EMPTY(&server->sessions));
    struct client_record *record;
    while ((record = TAILQ_FIRST(&server->gone)) != NULL)
        record_free(record);
}
