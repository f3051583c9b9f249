/* SPDX-License-Identifier: Apache-2.0 */
/* The session that an attempt has led to: its beginning, the server's words, a newer token,
 * its end. */
#include "client/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_CHECK_MS 60000 /* the wall clock may be set meanwhile */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    streams_opened(c, stream, open);
}

static void on_control(void *arg, const struct control *control)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    if (control->type == CONTROL_ERROR) {
        snprintf(c->end_code, sizeof c->end_code, "%s",
                 control->code[0] != '\0' ? control->code : "error");
        snprintf(c->end_text, sizeof c->end_text, "%s", control->message);
        session_close(c->session, BURROW_CLOSE_NORMAL, NULL, c->end_text);
    } else if (control->type == CONTROL_SERVICES_ACK) {
        services_answered(c, control, false);
    }
}

static void on_ended(void *arg, uint32_t close_code, const char *reason)
{
    struct client *c = arg;
    (void)close_code;
    must_be(c, CLIENT_MAGIC);
    char copy[256], code[sizeof c->end_code];
    snprintf(copy, sizeof copy, "%s", c->end_code[0] != '\0' ? c->end_text : reason);
    snprintf(code, sizeof code, "%s", c->end_code);
    session_destroy(c->session);
    c->session = NULL;
    loop_timer_stop(c->refresh);
    loop_timer_stop(c->services_timer);
    backoff_after_session(&c->backoff, loop_now_ms(c->loop) - c->connected_ms);
    if (c->state == CLIENT_STOPPING)
        return;
    /* A server that stops in order is not a refusal: it, or its successor, will be back. */
    bool refusal = code[0] != '\0' && strcmp(code, "draining") != 0;
    client_retry(c, code[0] != '\0' ? client_cause(c, code) : BACKOFF_NETWORK,
                 refusal ? code : NULL, copy);
}

static const struct session_events client_session_events = {
    .opened = on_opened, .control = on_control, .ended = on_ended};

static void say_connected(const struct client *c)
{
    const struct control *ack = c->answer;
    log_at(c->log, BURROW_LOG_INFO, "connected", burrow_str("client", c->options->client_id),
           burrow_str("session", ack->session_id), burrow_str("url", c->options->server_url));
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

int session_begin(struct client *c)
{
    const struct control *ack = c->answer;
    uint32_t heartbeat = clamp(ack->heartbeat_ms, HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
    const struct session_config config = {
        .opens_odd = false,
        .window = SMALL_WINDOW,
        .peer_window = ack->window,
        .max_frame = ack->max_frame,
        .heartbeat_ms = heartbeat,
        .timeout_ms = clamp(ack->timeout_ms, heartbeat + HEARTBEAT_MIN_MS, TIMEOUT_MAX_MS),
        .max_streams = (uint32_t)c->options->max_streams,
        .stream_window_max = STREAM_WINDOW,
        .session_window_max = SESSION_WINDOW,
        .open_timeout_ms = OPEN_TIMEOUT_MS,
        .budget = &c->budget,
        .stats = &c->stats,
        .name = c->options->client_id,
    };
    c->session = session_create(c->loop, c->log, c->link, &config, &client_session_events, c);
    if (c->session == NULL)
        return BURROW_ENOMEM;
    c->link = NULL;
    c->state = CLIENT_CONNECTED;
    c->connected_ms = loop_now_ms(c->loop);
    snprintf(c->session_id, sizeof c->session_id, "%s", ack->session_id);
    c->expires_ms = ack->expires_ms != 0 ? ack->expires_ms
                    : c->token != NULL   ? token_expiry_ms(c->token)
                                         : 0;
    say_connected(c);
    services_answered(c, ack, true);
    if (c->services_changed)
        services_send(c);
    if (c->token_source.file != NULL && c->expires_ms != 0)
        session_refresh(c);
    return BURROW_OK;
}

/* ---- a newer token ---- */

/* Shortly before the token ends its file is read again, every few seconds until there is a
 * newer one; only then is the session given up for a new one. With a token that cannot
 * change, to come back early would cut the streams for nothing. */
void session_refresh(void *arg)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    if (c->state != CLIENT_CONNECTED)
        return;
    int64_t left = c->expires_ms - c->options->token_refresh_window - loop_unix_ms(c->loop);
    if (left > 0) {
        loop_timer_set(c->refresh, (uint64_t)(left < REFRESH_CHECK_MS ? left : REFRESH_CHECK_MS));
        return;
    }
    char *token = NULL;
    struct error err = {0};
    int rc = token_load(&c->token_source, &token, &err);
    bool newer =
        rc == BURROW_OK && token != NULL && (c->token == NULL || strcmp(token, c->token) != 0);
    token_free(token);
    if (newer) {
        c->refreshing = true;
        session_close(c->session, BURROW_CLOSE_NORMAL, NULL, "reconnecting with a newer token");
        return;
    }
    loop_timer_set(c->refresh, backoff_next(&c->backoff, BACKOFF_EXPIRED_FILE, client_random()));
}
