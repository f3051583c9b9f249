/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sessions that attempts have led to: their beginning, the server's words, their end. One
 * is in use. When its server drains it is left, and while its streams end in order the next
 * attempt is made: make before break.
 */
#include "client/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- leaving ---- */

void session_leave(struct client *c, uint64_t pause_ms)
{
    struct client_session *s = c->current, *other, *oldest = NULL;
    size_t n = 0;
    must_be(s, CLIENT_SESSION_MAGIC);
    LIST_FOREACH(other, &c->leaving, entry)
    {
        oldest = other; /* the list begins with the newest */
        n++;
    }
    if (n >= LEAVING_MAX)
        session_close(oldest->session, BURROW_CLOSE_NORMAL, NULL, "left, and not the last");
    renew_stop(c);
    loop_timer_stop(c->services_timer);
    c->current = NULL;
    s->leaving = true;
    LIST_INSERT_HEAD(&c->leaving, s, entry);
    session_drain(s->session);
    client_wait(c, BACKOFF_NETWORK, pause_ms);
}

/* What is left and empty is of no use once its successor is there. */
static void close_the_empty(struct client *c)
{
    struct client_session *s;
    LIST_FOREACH(s, &c->leaving, entry)
    {
        if (s->empty)
            session_close(s->session, BURROW_CLOSE_NORMAL, NULL, "moved to another connection");
    }
}

static void on_drain(struct client *c, struct client_session *s, const struct control *drain)
{
    if (s != c->current || c->state != CLIENT_CONNECTED)
        return; /* it is being left, or the client stops */
    backoff_begin_anew(&c->backoff);
    uint64_t pause = backoff_next(&c->backoff, BACKOFF_NETWORK, client_random());
    log_at(c->log, BURROW_LOG_INFO, "server_draining",
           burrow_uint("streams", session_stream_count(s->session)),
           burrow_uint("deadline_ms", drain->deadline_ms), burrow_uint("retry_ms", pause));
    session_leave(c, pause);
}

/* ---- events ---- */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct client_session *s = arg;
    must_be(s, CLIENT_SESSION_MAGIC);
    streams_opened(s->client, stream, open);
}

static void on_control(void *arg, const struct control *control)
{
    struct client_session *s = arg;
    must_be(s, CLIENT_SESSION_MAGIC);
    switch (control->type) {
    case CONTROL_ERROR:
        snprintf(s->end_code, sizeof s->end_code, "%s", client_error_code(control));
        snprintf(s->end_text, sizeof s->end_text, "%s", control->message);
        session_close(s->session, BURROW_CLOSE_NORMAL, NULL, s->end_text);
        break;
    case CONTROL_SERVICES_ACK:
        if (s == s->client->current)
            services_answered(s->client, control, false);
        break;
    case CONTROL_TOKEN_ACK:
        if (s == s->client->current)
            renew_answered(s->client, control);
        break;
    case CONTROL_DRAIN:
        on_drain(s->client, s, control);
        break;
    default:
        break;
    }
}

static bool has_streams(const struct client *c)
{
    const struct client_session *s;
    if (c->current != NULL && session_stream_count(c->current->session) > 0)
        return true;
    LIST_FOREACH(s, &c->leaving, entry)
    {
        if (session_stream_count(s->session) > 0)
            return true;
    }
    return false;
}

static void on_emptied(void *arg)
{
    struct client_session *s = arg;
    must_be(s, CLIENT_SESSION_MAGIC);
    struct client *c = s->client;
    s->empty = true;
    if (c->draining && !has_streams(c))
        loop_timer_set(c->timer, 0); /* nothing more to wait for */
    else if (s->leaving && c->current != NULL)
        close_the_empty(c);
}

static void client_session_free(struct client_session *s)
{
    struct client *c = s->client;
    if (s->leaving)
        LIST_REMOVE(s, entry);
    else if (c->current == s)
        c->current = NULL;
    session_destroy(s->session);
    s->magic = 0;
    free(s);
}

/* A server that drained has stopped, and its successor is to be met soon, though the pauses have
 * grown meanwhile. A pause for another cause than the network is not cut short: it was not for
 * that server. */
static void meet_the_successor(struct client *c)
{
    if (c->current != NULL || c->state == CLIENT_STOPPING)
        return;
    backoff_begin_anew(&c->backoff);
    if (c->state == CLIENT_WAITING && c->waits_for == BACKOFF_NETWORK)
        client_wait(c, BACKOFF_NETWORK,
                    backoff_next(&c->backoff, BACKOFF_NETWORK, client_random()));
}

static void on_ended(void *arg, uint32_t close_code, const char *reason)
{
    struct client_session *s = arg;
    (void)close_code;
    must_be(s, CLIENT_SESSION_MAGIC);
    struct client *c = s->client;
    char copy[256], code[sizeof s->end_code];
    snprintf(copy, sizeof copy, "%s", s->end_code[0] != '\0' ? s->end_text : reason);
    snprintf(code, sizeof code, "%s", s->end_code);
    uint64_t lasted = loop_now_ms(c->loop) - s->connected_ms;
    bool left = s->leaving;
    client_session_free(s);
    if (c->draining && !has_streams(c))
        loop_timer_set(c->timer, 0);
    /* A server that stops in order is not a refusal: it, or its successor, will be back. */
    bool stops = strcmp(code, "draining") == 0;
    if (left) {
        log_at(c->log, BURROW_LOG_INFO, "session_left", burrow_str("reason", copy));
        if (stops)
            meet_the_successor(c);
        return;
    }
    renew_stop(c);
    loop_timer_stop(c->services_timer);
    if (stops)
        backoff_begin_anew(&c->backoff);
    backoff_after_session(&c->backoff, lasted);
    if (c->state == CLIENT_STOPPING)
        return;
    bool refusal = code[0] != '\0' && !stops;
    client_retry(c, code[0] != '\0' ? client_cause(c, code) : BACKOFF_NETWORK,
                 refusal ? code : NULL, copy);
}

static const struct session_events client_session_events = {
    .opened = on_opened, .control = on_control, .emptied = on_emptied, .ended = on_ended};

/* ---- the beginning ---- */

static void say_connected(const struct client *c)
{
    const struct control *ack = c->answer;
    log_at(c->log, BURROW_LOG_INFO, "connected", burrow_str("client", c->options->client_id),
           burrow_str("session", ack->session_id), burrow_str("url", c->options->server_url),
           burrow_uint("protocol", control_protocol(ack)));
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

int session_begin(struct client *c)
{
    const struct control *ack = c->answer;
    uint32_t protocol = control_protocol(ack);
    uint32_t heartbeat = clamp(protocol == 1 ? HEARTBEAT_V1_MS : ack->heartbeat_ms,
                               HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
    const struct session_config config = {
        .protocol = protocol,
        .opens_odd = false,
        .window = SMALL_WINDOW,
        .peer_window = ack->window,
        .max_frame = ack->max_frame,
        .heartbeat_ms = heartbeat,
        .timeout_ms = clamp(protocol == 1 ? TIMEOUT_V1_MS : ack->timeout_ms,
                            heartbeat + HEARTBEAT_MIN_MS, TIMEOUT_MAX_MS),
        .max_streams = (uint32_t)c->options->max_streams,
        .stream_window_max = STREAM_WINDOW,
        .session_window_max = SESSION_WINDOW,
        .open_timeout_ms = OPEN_TIMEOUT_MS,
        .budget = &c->budget,
        .stats = &c->stats,
        .name = c->options->client_id,
        .service = c->registered_id,
        .target = c->registered_target,
    };
    struct client_session *s = calloc(1, sizeof *s);
    if (s == NULL)
        return BURROW_ENOMEM;
    s->session = session_create(c->loop, c->log, c->link, &config, &client_session_events, s);
    if (s->session == NULL) {
        free(s);
        return BURROW_ENOMEM;
    }
    s->magic = CLIENT_SESSION_MAGIC;
    s->client = c;
    s->connected_ms = loop_now_ms(c->loop);
    c->current = s;
    c->link = NULL;
    c->state = CLIENT_CONNECTED;
    c->connects++;
    snprintf(c->session_id, sizeof c->session_id, "%s", ack->session_id);
    c->expires_ms = ack->expires_ms != 0 ? ack->expires_ms
                    : c->token != NULL   ? token_expiry_ms(c->token)
                                         : 0;
    say_connected(c);
    services_answered(c, ack, true);
    if (c->services_changed)
        services_send(c);
    close_the_empty(c);
    renew_begin(c);
    return BURROW_OK;
}

/* ---- the end ---- */

static void announce(struct client_session *s, uint32_t deadline_ms)
{
    struct control *drain = calloc(1, sizeof *drain);
    session_drain(s->session);
    if (drain == NULL)
        return; /* what the server opens is refused one by one then */
    drain->type = CONTROL_DRAIN;
    drain->deadline_ms = deadline_ms;
    (void)session_send_control(s->session, drain);
    free(drain);
}

bool sessions_drain(struct client *c, uint32_t deadline_ms)
{
    if (c->current != NULL)
        announce(c->current, deadline_ms);
    return has_streams(c);
}

void sessions_close(struct client *c, const char *why)
{
    struct client_session *s;
    if (c->current != NULL)
        session_close(c->current->session, BURROW_CLOSE_NORMAL, NULL, why);
    LIST_FOREACH(s, &c->leaving, entry)
    {
        session_close(s->session, BURROW_CLOSE_NORMAL, NULL, why);
    }
}

void sessions_destroy(struct client *c)
{
    if (c->current != NULL)
        client_session_free(c->current);
    while (!LIST_EMPTY(&c->leaving))
        client_session_free(LIST_FIRST(&c->leaving));
}
