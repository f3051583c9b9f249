/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to reach the server: token, look-up, a TCP connection, through a proxy where one
 * is configured, then the transport's handshake, register and its answer. An address that lets
 * TCP in but fails the transport is left out, and the others are tried. What fails ends in
 * client_retry; what succeeds ends in session_begin.
 */
#include "client/internal.h"

#include "base/address.h"
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void dial_addresses(struct client *c, const char *why_not);

void connect_drop(struct client *c, const char *why)
{
    loop_timer_stop(c->timer);
    loop_resolve_cancel(c->lookup);
    c->lookup = NULL;
    loop_connect_cancel(c->connecting);
    c->connecting = NULL;
    proxy_connect_cancel(c->proxying);
    c->proxying = NULL;
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
    c->registered_id = c->targets[0].id;
    snprintf(c->registered_target, sizeof c->registered_target, "%s", c->targets[0].text);
    snprintf(reg->target, sizeof reg->target, "%s", c->registered_target);
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
    if (answer->type != CONTROL_REGISTER_ACK && answer->type != CONTROL_ERROR) {
        control_finish(answer);
        free(answer);
        return BURROW_OK; /* a heartbeat, or of a later version: not the answer yet */
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

/* The protocol of the connection is known here. NULL, or why it cannot go on; rest: bytes
 * behind the answer in the same message. */
static const char *unspeakable(const struct client *c, const struct control *answer, size_t rest)
{
    if (control_protocol(answer) > 2)
        return "the server chose a wire protocol that was not offered";
    if (control_protocol(answer) == 2)
        return NULL;
    if (!link_keeps_messages(c->link))
        return "the server speaks wire protocol 1; tls:// needs 2";
    return rest > 0 ? "the server's answer is not as long as its message" : NULL;
}

static void on_answer(struct client *c, const uint8_t *rest, size_t n)
{
    struct control *answer = c->answer;
    if (answer->type == CONTROL_ERROR) {
        char code[sizeof answer->code];
        snprintf(code, sizeof code, "%s", client_error_code(answer));
        fail(c, client_cause(c, code), code, answer->message);
        return;
    }
    const char *wrong = unspeakable(c, answer, n);
    if (wrong != NULL) {
        fail(c, BACKOFF_REFUSED, "protocol", wrong);
        return;
    }
    loop_timer_stop(c->timer);
    if (control_protocol(answer) == 1)
        services_fill_v1(c, answer);
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
        session_feed(c->current->session, rest, n);
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
        dial_addresses(c, info->reason);
    else
        fail(c, BACKOFF_NETWORK, NULL, info->reason);
}

static const struct link_events connect_events = {
    .open = on_open, .data = on_data, .closed = on_closed};

/* ---- dialling ---- */

static bool has_proxy(const struct client *c)
{
    return c->proxy.host[0] != '\0';
}

/* A server behind a proxy is looked up by the proxy. */
static const char *dialled_host(const struct client *c)
{
    return has_proxy(c) ? c->proxy.host : c->connect_host;
}

/* Told at every connect, since a warning at start is soon forgotten. */
static void warn_of_clear_text(const struct client *c, const struct burrow_addr *addr)
{
    bool near = addr->family == 0 || address_is_loopback(addr);
    if (c->token != NULL && !c->url.encrypted && (has_proxy(c) || !near))
        log_at(c->log, BURROW_LOG_WARN, "insecure",
               burrow_str("reason", "the bearer token and all data go over the network in clear "
                                    "text; use wss:// or tls://"),
               burrow_str("url", c->options->server_url));
}

/* fd leads to the server. */
static void dial_transport(struct client *c, int fd)
{
    const struct burrow_dial dial = {
        .size = sizeof dial,
        .fd = fd,
        .scheme = c->url.scheme,
        .host = c->url.host,
        .port = c->url.port,
        .timeout_ms = DIAL_SERVER_MS,
        .path = c->url.path,
        .token = token_goes_in_register(c) ? NULL : c->token,
        .addr = c->addr,
    };
    loop_timer_stop(c->timer);
    warn_of_clear_text(c, &c->addr);
    c->link = link_dial(&c->transport, &dial, &connect_events, c);
    if (c->link == NULL)
        dial_addresses(c, "the transport could not dial");
}

static void on_proxied(void *arg, int fd, unsigned status, const char *reason)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->proxying = NULL;
    if (fd >= 0) {
        dial_transport(c, fd);
        return;
    }
    char text[300], code[32];
    snprintf(text, sizeof text, "%s (%s)", reason, c->proxy.variable);
    snprintf(code, sizeof code, "proxy_%u", status);
    /* A gateway's 5xx tells of a server that is not there now; the rest is the proxy's own will. */
    fail(c, status == 0 || status >= 500 ? BACKOFF_NETWORK : BACKOFF_REFUSED,
         status != 0 ? code : NULL, text);
}

static void on_trying(void *arg, const struct burrow_addr *addr)
{
    struct client *c = arg;
    char text[ADDRESS_TEXT];
    if (has_proxy(c))
        log_at(c->log, BURROW_LOG_INFO, "connecting", burrow_str("url", c->options->server_url),
               burrow_str("addr", address_format(addr, text)), burrow_str("proxy", c->proxy.host));
    else
        log_at(c->log, BURROW_LOG_INFO, "connecting", burrow_str("url", c->options->server_url),
               burrow_str("addr", address_format(addr, text)));
}

static void on_connected(void *arg, int fd, const struct burrow_addr *addr, int error)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->connecting = NULL;
    if (fd < 0) {
        char reason[300];
        snprintf(reason, sizeof reason, "%s%s%sconnect: %s", has_proxy(c) ? "proxy " : "",
                 has_proxy(c) ? c->proxy.host : "", has_proxy(c) ? ": " : "", strerror(error));
        fail(c, BACKOFF_NETWORK, NULL, reason);
        return;
    }
    c->addr = *addr;
    for (size_t i = 0, n = c->addr_count; i < n; i++)
        if (memcmp(&c->addrs[i], addr, sizeof *addr) == 0) {
            c->addrs[i] = c->addrs[--c->addr_count];
            break;
        }
    if (!has_proxy(c)) {
        dial_transport(c, fd);
        return;
    }
    loop_timer_set(c->timer, DIAL_SERVER_MS);
    c->proxying = proxy_connect(c->loop, fd, c->connect_host, c->connect_port,
                                c->proxy.authorization, on_proxied, c);
    if (c->proxying == NULL)
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
}

static const struct loop_connect_events server_events = {.trying = on_trying, .done = on_connected};

/* Tries the addresses that are left; why_not: what became of the one before. */
static void dial_addresses(struct client *c, const char *why_not)
{
    if (c->addr_count == 0) {
        fail(c, BACKOFF_NETWORK, NULL, why_not);
        return;
    }
    c->state = CLIENT_DIALING;
    loop_timer_set(c->timer, DIAL_TCP_MS);
    c->connecting = loop_connect(c->loop, c->addrs, c->addr_count, &server_events, c);
    if (c->connecting == NULL)
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
}

void connect_timed_out(struct client *c)
{
    char reason[300];
    if (c->state == CLIENT_RESOLVING)
        snprintf(reason, sizeof reason, "%s: no name server answered in time", dialled_host(c));
    else
        snprintf(reason, sizeof reason, "%s",
                 c->proxying != NULL ? "the proxy did not answer CONNECT in time"
                                     : "timed out: no connection");
    fail(c, BACKOFF_NETWORK, NULL, reason);
}

static void on_resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    c->lookup = NULL;
    if (result < 0 || n == 0) {
        char reason[300];
        snprintf(reason, sizeof reason, "%s: %s", dialled_host(c),
                 error != NULL ? error : "no address");
        fail(c, BACKOFF_NETWORK, NULL, reason);
        return;
    }
    c->addr_count = n < CONNECT_MAX_ADDRESSES ? n : CONNECT_MAX_ADDRESSES;
    memcpy(c->addrs, addrs, c->addr_count * sizeof *addrs);
    dial_addresses(c, "no address");
}

void connect_begin(struct client *c)
{
    struct error err = {0};
    c->state = CLIENT_RESOLVING;
    token_free(c->token);
    c->token = NULL;
    if (token_load(&c->token_source, &c->token, &err) != BURROW_OK) {
        fail(c, BACKOFF_EXPIRED_FILE, NULL, err.text);
        return;
    }
    if (c->connect_host[0] == '\0') {
        /* The transport connects by the path alone: one attempt, without an address. */
        c->state = CLIENT_DIALING;
        c->addr_count = 0;
        c->addr = (struct burrow_addr){0};
        on_trying(c, &c->addr);
        dial_transport(c, -1);
        return;
    }
    loop_timer_set(c->timer, LOOK_UP_MS);
    c->lookup = loop_resolve(c->loop, dialled_host(c),
                             has_proxy(c) ? c->proxy.port : c->connect_port, on_resolved, c);
    if (c->lookup == NULL)
        fail(c, BACKOFF_NETWORK, NULL, "out of memory");
}
