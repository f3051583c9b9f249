/* SPDX-License-Identifier: Apache-2.0 */
/* The recording transport. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- plugin/plugin.h ---- */

uint32_t instance_kind(const struct instance *instance)
{
    return instance->kind;
}

const char *instance_name(const struct instance *instance)
{
    return instance->name;
}

const void *instance_ops(const struct instance *instance)
{
    return instance->ops;
}

void *instance_self(const struct instance *instance)
{
    return instance->self;
}

struct plugin_faults *instance_faults(struct instance *instance)
{
    static const struct log silent = {.fd = -1, .level = BURROW_LOG_ERROR + 1};
    instance->faults.log = &silent;
    instance->faults.plugin = instance->name;
    return &instance->faults;
}

const struct burrow_metric *instance_metrics(const struct instance *instance,
                                             const int64_t **ret_values)
{
    static const int64_t values[1] = {7};
    static const struct burrow_metric metrics[] = {
        {"checks_total", BURROW_METRIC_COUNTER, 0, "Checks."}, {NULL, 0, 0, NULL}};
    *ret_values = values;
    return instance->kind == BURROW_KIND_AUTH ? metrics : NULL;
}

struct file_counts instance_file_counts(const struct instance *instance)
{
    (void)instance;
    return (struct file_counts){0, 0};
}

/* ---- ops ---- */

static void bind_host(void *self, const struct burrow_transport_host *host)
{
    (void)self, (void)host;
}

static struct recorder_conn *add(struct recorder *r, struct burrow_link *link, void **ret_conn)
{
    struct recorder_conn *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->recorder = r;
    c->link = link;
    c->next = r->conns;
    r->conns = c;
    r->count++;
    *ret_conn = c;
    return c;
}

static int op_accept(void *self, const struct burrow_accept *accept, struct burrow_link *link,
                     void **ret_conn)
{
    struct recorder *r = self;
    close(accept->fd);
    if (r->refuse)
        return BURROW_EIO;
    struct recorder_conn *c = add(r, link, ret_conn);
    c->incoming = true;
    c->role = accept->role;
    return 0;
}

static int op_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
                   void **ret_conn)
{
    struct recorder *r = self;
    close(dial->fd);
    if (r->refuse)
        return BURROW_EIO;
    struct recorder_conn *c = add(r, link, ret_conn);
    snprintf(c->token, sizeof c->token, "%s", dial->token != NULL ? dial->token : "");
    c->addr = dial->addr;
    return 0;
}

static void op_admit(void *conn, const struct burrow_verdict *verdict)
{
    struct recorder_conn *c = conn;
    assert_int_equal(c->admitted, 0);
    c->admitted = verdict->result;
    c->admit_code = verdict->code;
    c->admit_request = verdict->request_id;
}

static int op_send(void *conn, struct burrow_buf *chain)
{
    struct recorder_conn *c = conn;
    assert_false(c->closing);
    for (struct burrow_buf *b = chain; b != NULL; b = b->next) {
        assert_true(b->off >= BURROW_HEADROOM);
        assert_true(c->out_len + b->len <= sizeof c->out);
        memcpy(c->out + c->out_len, b->base + b->off, b->len);
        c->out_len += b->len;
    }
    link_transport_host.release(c->link, chain);
    return 0;
}

static size_t op_queued(void *conn)
{
    const struct recorder_conn *c = conn;
    return c->queued;
}

static void op_set_watermark(void *conn, size_t bytes)
{
    (void)conn, (void)bytes;
}

static void op_flush(void *conn)
{
    (void)conn;
}

static void op_read_enable(void *conn, uint32_t on)
{
    ((struct recorder_conn *)conn)->read_off = on == 0;
}

static void op_close(void *conn, uint32_t code, const char *why)
{
    struct recorder_conn *c = conn;
    c->closing = true;
    c->close_code = code;
    snprintf(c->why, sizeof c->why, "%s", why);
}

static void op_respond(void *self, void *token, const struct burrow_http_response *response)
{
    struct recorder_conn *c = token;
    (void)self;
    c->status = response->status;
    assert_true(response->body_len < sizeof c->body);
    memcpy(c->body, response->body, response->body_len);
    c->body[response->body_len] = '\0';
}

static const char *const SCHEMES[] = {"ws", "wss", "tls", NULL};

static const struct burrow_transport_ops recorder_ops = {
    .size = sizeof recorder_ops,
    .flags = BURROW_TRANSPORT_HTTP | BURROW_TRANSPORT_TOKEN | BURROW_TRANSPORT_MESSAGES,
    .schemes = SCHEMES,
    .bind = bind_host,
    .accept = op_accept,
    .dial = op_dial,
    .admit = op_admit,
    .send = op_send,
    .queued = op_queued,
    .set_watermark = op_set_watermark,
    .flush = op_flush,
    .read_enable = op_read_enable,
    .close = op_close,
    .http_respond = op_respond,
};

/* ---- the test's side ---- */

void recorder_init(struct recorder *recorder, const char *name)
{
    memset(recorder, 0, sizeof *recorder);
    recorder->ops = recorder_ops;
    recorder->instance = (struct instance){
        .kind = BURROW_KIND_TRANSPORT, .name = name, .ops = &recorder->ops, .self = recorder};
}

void recorder_closed(struct recorder_conn *conn, uint32_t code, uint32_t http_status,
                     uint32_t auth_code, const char *reason)
{
    const struct burrow_close_info info = {.size = sizeof info,
                                           .code = code,
                                           .http_status = http_status,
                                           .auth_code = auth_code,
                                           .reason = reason};
    assert_false(conn->closed);
    conn->closed = true;
    link_transport_host.closed(conn->link, &info);
}

void recorder_settle(struct recorder *recorder)
{
    for (struct recorder_conn *c = recorder->conns; c != NULL; c = c->next)
        if (c->closing && !c->closed)
            recorder_closed(c, c->close_code, 0, 0, c->why);
}

void recorder_finish(struct recorder *recorder)
{
    while (recorder->conns != NULL) {
        struct recorder_conn *c = recorder->conns;
        assert_true(c->closed);
        recorder->conns = c->next;
        free(c);
    }
}

void recorder_credential(struct recorder_conn *conn, const char *token)
{
    const struct burrow_credential credential = {.size = sizeof credential,
                                                 .method = BURROW_CREDENTIAL_HEADER,
                                                 .token = token,
                                                 .token_len = token != NULL ? strlen(token) : 0};
    link_transport_host.authenticate(conn->link, &credential);
}

void recorder_certificate(struct recorder_conn *conn, uint32_t method)
{
    static const uint8_t der[] = "no certificate, but bytes";
    const struct burrow_credential credential = {.size = sizeof credential,
                                                 .method = method,
                                                 .client_cert_der = der,
                                                 .client_cert_len = sizeof der};
    link_transport_host.authenticate(conn->link, &credential);
}

void recorder_open(struct recorder_conn *conn)
{
    if (conn->incoming)
        link_transport_host.accepted(conn->link);
    else
        link_transport_host.connected(conn->link);
}

void recorder_data(struct recorder_conn *conn, const void *p, size_t n)
{
    link_transport_host.data(conn->link, p, n, 1);
    link_transport_host.batch_end(conn->link);
}

void recorder_control(struct recorder_conn *conn, uint8_t version, const struct control *control)
{
    static uint8_t bytes[FRAME_HEADER + FRAME_MAX_CONTROL];
    char *text;
    size_t n;
    assert_int_equal(control_encode(control, &text, &n), 0);
    const struct frame_header head = {
        .version = version, .kind = FRAME_CONTROL, .length = (uint32_t)n};
    frame_header_encode(bytes, &head);
    memcpy(bytes + FRAME_HEADER, text, n);
    control_text_free(text, n);
    recorder_data(conn, bytes, FRAME_HEADER + n);
}

void recorder_http(struct recorder_conn *conn, const struct burrow_http *request)
{
    link_transport_host.http_request(conn->link, conn, request);
}

bool recorder_find(const struct recorder_conn *conn, enum control_type type, struct control *ret,
                   uint8_t *ret_version)
{
    for (size_t at = 0; at + FRAME_HEADER <= conn->out_len;) {
        struct frame_header h;
        frame_header_decode(&h, conn->out + at);
        const uint8_t *payload = conn->out + at + FRAME_HEADER;
        at += FRAME_HEADER + h.length;
        assert_true(at <= conn->out_len);
        if (h.kind != FRAME_CONTROL)
            continue;
        assert_int_equal(control_decode(ret, payload, h.length, NULL), 0);
        if (ret->type == type) {
            if (ret_version != NULL)
                *ret_version = h.version;
            return true;
        }
        control_finish(ret);
    }
    return false;
}
