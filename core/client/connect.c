/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to reach the server: token, look-up, each address in turn, register and its
 * answer. What fails ends in client_retry; what succeeds ends in session_begin.
 */
#include "client/internal.h"

#include "base/address.h"
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BURROW_VERSION
#error "BURROW_VERSION is set by the build"
#endif

static void dial_next(struct client *c, const char *why_not);

void connect_drop(struct client *c, const char *why)
{
    loop_timer_stop(c->timer);
    loop_resolve_cancel(c->lookup);
    c->lookup = NULL;
    if (c->link != NULL)
        link_abandon(c->link, BURROW_CLOSE_NORMAL, why);
    c->link = NULL;
    free(c->gather);
    c->gather = NULL;
    if (c->answer != NULL) {
        control_finish(c->answer);
        free(c->answer);
        c->answer = NULL;
    }
}

static void fail(struct client *c, enum backoff_cause cause, const char *code, const char *reason)
{
    char copy[sizeof((struct error *)0)->text];
    snprintf(copy, sizeof copy, "%s", reason); /* it may lie in what is dropped now */
    connect_drop(c, "giving up");
    client_retry(c, cause, code, copy);
}

/* ---- register ---- */

/* Where the transport has no place for a token, as raw TLS has none, it goes there. */
static bool token_goes_in_register(const struct client *c)
{
    return c->options->token_in_register || !(c->transport.ops->flags & BURROW_TRANSPORT_TOKEN);
}

static int fill_register(struct client *c, struct control *reg)
{
    reg->type = CONTROL_REGISTER;
    snprintf(reg->client_id, sizeof reg->client_id, "%s", c->options->client_id);
    snprintf(reg->target, sizeof reg->target, "%s", c->targets[0].text);
    snprintf(reg->previous_session_id, sizeof reg->previous_session_id, "%s", c->session_id);
    reg->has_meta = true;
    reg->protocol = 2;
    snprintf(reg->instance, sizeof reg->instance, "%s", c->instance);
    snprintf(reg->agent, sizeof reg->agent, "burrow/%s", BURROW_VERSION);
    reg->window = SMALL_WINDOW;
    reg->max_frame = FRAME_MAX_PAYLOAD;
    services_offer(c, reg);
    if (c->token != NULL && token_goes_in_register(c)) {
        reg->token = strdup(c->token);
        if (reg->token == NULL)
            return BURROW_ENOMEM;
    }
    return BURROW_OK;
}

static int send_register(struct client *c)
{
    struct control *reg = calloc(1, sizeof *reg);
    if (reg == NULL)
        return BURROW_ENOMEM;
    services_renumber(c);
    c->services_changed = false;
    int rc = fill_register(c, reg);
    if (rc == BURROW_OK)
        rc = link_send_control(c->link, FRAME_V1, reg);
    control_finish(reg);
    free(reg);
    return rc;
}

static void on_open(void *arg)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->gather = malloc(FRAME_MAX_CONTROL);
    if (c->gather == NULL) {
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
        return;
    }
    frame_parser_init(&c->parser, FRAME_V1, c->gather);
    c->state = CLIENT_REGISTERING;
    loop_timer_set(c->timer, REGISTER_MS);
    if (send_register(c) != BURROW_OK)
        fail(c, BACKOFF_NETWORK, NULL, "register could not be sent");
}

/* ---- the answer ---- */

static int on_frame(void *arg, const struct frame_header *head, const uint8_t *payload)
{
    struct client *c = arg;
    struct error err = {0};
    if (head->kind != FRAME_CONTROL)
        return BURROW_EPROTO;
    struct control *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return BURROW_ENOMEM;
    if (control_decode(answer, payload, head->length, &err) != BURROW_OK) {
        free(answer);
        return BURROW_EPROTO;
    }
    if (answer->type == CONTROL_UNKNOWN) {
        control_finish(answer);
        free(answer);
        return BURROW_OK; /* of a later version: not the answer yet */
    }
    c->answer = answer;
    return FRAME_STOP;
}

static int on_data_frame(void *arg, uint64_t stream, const uint8_t *p, size_t n, bool end)
{
    (void)arg, (void)stream, (void)p, (void)n, (void)end;
    return BURROW_EPROTO;
}

static const struct frame_sink answer_sink = {.frame = on_frame, .data = on_data_frame};

static void on_answer(struct client *c, const uint8_t *rest, size_t n)
{
    struct control *answer = c->answer;
    if (answer->type == CONTROL_ERROR) {
        char code[sizeof answer->code];
        snprintf(code, sizeof code, "%s", answer->code[0] != '\0' ? answer->code : "error");
        fail(c, client_cause(c, code), code, answer->message);
        return;
    }
    if (answer->type != CONTROL_REGISTER_ACK) {
        fail(c, BACKOFF_REFUSED, "protocol", "the server did not answer the register");
        return;
    }
    /* The protocol of the connection is known here. A server without meta speaks version 1,
     * which would branch off to its own kind of session. */
    if (!answer->has_meta || answer->protocol != 2) {
        fail(c, BACKOFF_REFUSED, "protocol",
             "the server speaks wire protocol 1; this client needs 2");
        return;
    }
    loop_timer_stop(c->timer);
    if (session_begin(c) != BURROW_OK) {
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
        return;
    }
    free(c->gather);
    c->gather = NULL;
    control_finish(answer);
    free(answer);
    c->answer = NULL;
    if (n > 0)
        session_feed(c->session, rest, n);
}

static void on_data(void *arg, const uint8_t *p, size_t n, bool message_end)
{
    struct client *c = arg;
    (void)message_end;
    must_be(c, CLIENT_MAGIC);
    if (c->state != CLIENT_REGISTERING)
        return;
    const char *reason = "the server's first frame is not an answer";
    int rc = frame_parser_feed(&c->parser, p, n, &answer_sink, c, &reason);
    if (rc == FRAME_STOP)
        on_answer(c, p + c->parser.consumed, n - c->parser.consumed);
    else if (rc < 0)
        fail(c, BACKOFF_REFUSED, "protocol", reason);
}

/* ---- the end of a link that did not get far ---- */

static void refused_by_http(struct client *c, const struct burrow_close_info *info)
{
    char code[32];
    if (info->auth_code != 0 && info->auth_code != BURROW_CODE_VERIFIER_CONFIG)
        snprintf(code, sizeof code, "%s",
                 info->auth_code == BURROW_CODE_MISSING_BEARER        ? "missing_bearer"
                 : info->auth_code == BURROW_CODE_TOKEN_EXPIRED       ? "token_expired"
                 : info->auth_code == BURROW_CODE_TOKEN_NOT_YET_VALID ? "token_not_yet_valid"
                                                                      : "invalid_token");
    else if (info->auth_code == BURROW_CODE_VERIFIER_CONFIG)
        snprintf(code, sizeof code, "verifier_config");
    else
        snprintf(code, sizeof code, "http_%u", info->http_status);
    bool passing = info->http_status >= 500; /* a proxy without a server, or one that starts */
    fail(c, passing ? BACKOFF_NETWORK : client_cause(c, code), code, info->reason);
}

static void on_closed(void *arg, const struct burrow_close_info *info)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->link = NULL;
    if (info->code == BURROW_CLOSE_REFUSED)
        refused_by_http(c, info);
    else if (c->state == CLIENT_DIALING)
        dial_next(c, info->reason);
    else
        fail(c, BACKOFF_NETWORK, NULL, info->reason);
}

static const struct link_events connect_events = {
    .open = on_open, .data = on_data, .closed = on_closed};

/* ---- dialling ---- */

/* Told at every connect, since a warning at start is soon forgotten. */
static void warn_of_clear_text(const struct client *c, const struct burrow_addr *addr)
{
    if (c->token != NULL && !c->url.encrypted && addr->family != 0 && !address_is_loopback(addr))
        log_at(c->log, BURROW_LOG_WARN, "insecure",
               burrow_str("reason", "the bearer token and all data go over the network in clear "
                                    "text; use wss:// or tls://"),
               burrow_str("url", c->options->server_url));
}

/* Tries the next address; why_not: what became of the one before. */
static void dial_next(struct client *c, const char *why_not)
{
    while (c->addr_next < c->addr_count) {
        const struct burrow_addr *addr = &c->addrs[c->addr_next++];
        const struct burrow_dial dial = {
            .size = sizeof dial,
            .scheme = c->url.scheme,
            .host = c->url.host,
            .port = c->url.port,
            .timeout_ms = DIAL_SERVER_MS,
            .path = c->url.path,
            .token = token_goes_in_register(c) ? NULL : c->token,
            .addr = *addr,
        };
        char text[ADDRESS_TEXT];
        c->state = CLIENT_DIALING;
        log_at(c->log, BURROW_LOG_INFO, "connecting", burrow_str("url", c->options->server_url),
               burrow_str("addr", address_format(addr, text)));
        warn_of_clear_text(c, addr);
        c->link = link_dial(&c->transport, &dial, &connect_events, c);
        if (c->link != NULL)
            return;
        why_not = "the transport could not dial";
    }
    fail(c, BACKOFF_NETWORK, NULL, why_not);
}

static void on_resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->lookup = NULL;
    if (result < 0 || n == 0) {
        char reason[300];
        snprintf(reason, sizeof reason, "%s: %s", c->connect_host,
                 error != NULL ? error : "no address");
        fail(c, BACKOFF_NETWORK, NULL, reason);
        return;
    }
    c->addr_count = n < MAX_ADDRESSES ? n : MAX_ADDRESSES;
    c->addr_next = 0;
    memcpy(c->addrs, addrs, c->addr_count * sizeof *addrs);
    dial_next(c, "no address");
}

void connect_begin(struct client *c)
{
    struct error err = {0};
    c->state = CLIENT_RESOLVING;
    c->end_code[0] = c->end_text[0] = '\0';
    token_free(c->token);
    c->token = NULL;
    if (token_load(&c->token_source, &c->token, &err) != BURROW_OK) {
        fail(c, BACKOFF_EXPIRED_FILE, NULL, err.text);
        return;
    }
    if (c->connect_host[0] == '\0') {
        /* The transport dials by the path alone: one attempt, without an address. */
        c->addr_count = 1;
        c->addr_next = 0;
        memset(c->addrs, 0, sizeof *c->addrs);
        dial_next(c, "no address");
        return;
    }
    c->lookup = loop_resolve(c->loop, c->connect_host, c->connect_port, on_resolved, c);
    if (c->lookup == NULL)
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
}
