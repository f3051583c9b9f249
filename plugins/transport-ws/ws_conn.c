/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An open WebSocket on its pipe, alike for both sides: messages in and out, pings, and the
 * closing handshake (RFC 6455, 5 to 7).
 *
 * A buffer of the host's becomes a frame in place: the header goes into the headroom, a client
 * masks the payload where it lies. When the pipe gives the buffer back, the key is still there
 * in the header, and both are undone.
 */
#include "ws.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

/* ---- ways to say why ------------------------------------------------------------------- */

/* A client of version 1 leaves for good on 1000 or 1001: a server never says these. */
static uint16_t wire_code(const struct ws_conn *conn, uint32_t code)
{
    switch (code) {
    case BURROW_CLOSE_NORMAL:
        return conn->client ? WS_CODE_NORMAL : WS_CODE_RESTART;
    case BURROW_CLOSE_GOING_AWAY:
        return conn->client ? WS_CODE_GOING_AWAY : WS_CODE_RESTART;
    case BURROW_CLOSE_PROTOCOL:
        return WS_CODE_PROTOCOL;
    case BURROW_CLOSE_POLICY:
        return WS_CODE_POLICY;
    case BURROW_CLOSE_TOO_BIG:
        return WS_CODE_TOO_BIG;
    default:
        return WS_CODE_INTERNAL;
    }
}

/* ---- sending --------------------------------------------------------------------------- */

/* The next random mask: a system's generator asked once for many. NULL: it fails. */
static const uint8_t *next_key(struct ws_instance *self)
{
    if (self->keys_left == 0) {
        if (RAND_bytes(self->keys, sizeof self->keys) != 1)
            return NULL;
        self->keys_left = sizeof self->keys / 4;
    }
    return self->keys + 4 * --self->keys_left;
}

static void unframe(struct burrow_buf *buf)
{
    uint8_t *p = buf->base + buf->off;
    uint8_t second = p[1];
    uint32_t header = (second & 0x7f) < 126 ? 2 : (second & 0x7f) == 126 ? 4 : 10;
    const uint8_t *key = p + header;
    if (second & 0x80) {
        memcpy(buf->mask, key, sizeof buf->mask); /* it stays on: see struct burrow_buf */
        header += 4;
    }
    buf->off += header;
    buf->len -= header;
}

static void give_back(struct ws_conn *conn, struct burrow_buf *chain)
{
    if (chain != NULL)
        conn->self->transport->release(conn->link, chain);
}

int ws_conn_send(struct ws_conn *conn, struct burrow_buf *chain)
{
    if (conn->state != WS_OPEN) {
        give_back(conn, chain);
        return BURROW_EIO; /* closed follows or has a caller that asked for it */
    }
    for (struct burrow_buf *buf = chain; buf != NULL; buf = buf->next) {
        const uint8_t *key = NULL;
        must(buf->off >= BURROW_HEADROOM && buf->len <= buf->capacity - buf->off);
        if (conn->client && (key = next_key(conn->self)) == NULL) {
            for (struct burrow_buf *done = chain; done != buf; done = done->next)
                unframe(done);
            give_back(conn, chain);
            ws_doom(conn, BURROW_CLOSE_INTERNAL, "no random bytes for masks");
            return BURROW_EIO;
        }
        uint32_t header = (uint32_t)ws_put_header(buf->base + buf->off, WS_BINARY, buf->len, key);
        if (key != NULL)
            ws_mask(buf->base + buf->off, buf->len, key, 0);
        buf->off -= header;
        buf->len += header;
    }
    if (chain != NULL)
        pipe_send(conn->pipe, chain);
    return BURROW_OK;
}

static void send_control(struct ws_conn *conn, uint8_t opcode, const void *p, size_t n)
{
    uint8_t frame[WS_CONTROL_MAX + 6];
    const uint8_t *key = NULL;
    if (conn->client && (key = next_key(conn->self)) == NULL) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "no random bytes for masks");
        return;
    }
    size_t len = ws_put_control(frame, opcode, p, n, key);
    if (pipe_send_copy(conn->pipe, frame, len) < 0)
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
}

/* Only the newest ping is answered (5.5.3), and none while a peer that does not read has let
 * the queue reach its watermark: so pings cannot make it grow. */
static void send_pong(struct ws_conn *conn)
{
    if (!conn->pong_wanted || conn->state != WS_OPEN || pipe_queued(conn->pipe) >= conn->watermark)
        return;
    conn->pong_wanted = 0;
    send_control(conn, WS_PONG, conn->pong, conn->pong_len);
}

void ws_conn_flush(struct ws_conn *conn)
{
    if (conn->state == WS_DOOMED || conn->pipe == NULL)
        return;
    send_pong(conn);
    if (conn->state != WS_DOOMED)
        pipe_flush(conn->pipe);
}

/* ---- the end --------------------------------------------------------------------------- */

/* The reason stands: ws_doom keeps the first. */
static void end_as_remembered(struct ws_conn *conn)
{
    ws_doom(conn, conn->info.code, "closed");
}

static void on_farewell_over(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    conn->timer = NULL;
    end_as_remembered(conn);
}

static void remember(struct ws_conn *conn, uint32_t code, const char *reason)
{
    conn->info.code = code;
    snprintf(conn->reason, sizeof conn->reason, "%s", reason);
}

/* Both Close frames are queued or have come: all that is left is the end of the TCP stream. */
static void begin_end(struct ws_conn *conn)
{
    if (conn->close_sent && conn->close_received)
        pipe_shutdown(conn->pipe);
}

static void send_close(struct ws_conn *conn, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t n = code == WS_CODE_NONE ? 0 : ws_put_close(payload, code, reason);
    conn->close_sent = 1;
    send_control(conn, WS_CLOSE, payload, n);
    if (conn->state == WS_DOOMED)
        return;
    begin_end(conn);
    conn->self->transport->want_flush(conn->link);
}

/* We end it, with a code of ours: the peer has a second to answer. */
static void say_goodbye(struct ws_conn *conn, uint32_t code, uint16_t wire, const char *why)
{
    conn->state = WS_CLOSING;
    remember(conn, code, why);
    pipe_read_enable(conn->pipe, 1); /* for the peer's Close */
    ws_timer(conn, WS_FAREWELL_MS, on_farewell_over);
    if (conn->state != WS_DOOMED)
        send_close(conn, wire, why);
}

void ws_conn_close(struct ws_conn *conn, uint32_t code, const char *why)
{
    if (conn->state == WS_DOOMED)
        return;
    if (why == NULL || *why == '\0')
        why = "closed";
    if (conn->state == WS_CLOSING || conn->state == WS_PARTING)
        end_as_remembered(conn);
    else if (code == BURROW_CLOSE_ABORT || conn->state != WS_OPEN)
        ws_doom(conn, code, "%s", why);
    else
        say_goodbye(conn, code, wire_code(conn, code), why);
}

void ws_conn_part(struct ws_conn *conn, const char *text, size_t len, uint64_t ms, uint32_t code,
                  const char *reason)
{
    conn->state = WS_PARTING;
    remember(conn, code, reason);
    if (pipe_send_copy(conn->pipe, text, len) < 0) {
        ws_doom(conn, code, "%s", reason);
        return;
    }
    pipe_shutdown(conn->pipe);
    pipe_read_enable(conn->pipe, 1); /* for the peer's end */
    ws_timer(conn, ms, on_farewell_over);
    if (conn->state != WS_DOOMED)
        conn->self->transport->want_flush(conn->link);
}

/* ---- receiving ------------------------------------------------------------------------- */

static void on_close_frame(struct ws_conn *conn, const struct ws_found *found)
{
    conn->close_received = 1;
    if (conn->close_sent) {
        begin_end(conn);
        conn->self->transport->want_flush(conn->link);
        return;
    }
    char why[sizeof conn->reason];
    conn->state = WS_CLOSING;
    if (found->code == WS_CODE_NONE)
        snprintf(why, sizeof why, "the peer closed the WebSocket");
    else
        snprintf(why, sizeof why, "the peer closed the WebSocket with %u%s%.*s", found->code,
                 found->n > 0 ? ": " : "", (int)found->n, (const char *)found->p);
    remember(conn, BURROW_CLOSE_PEER, why);
    ws_timer(conn, WS_FAREWELL_MS, on_farewell_over);
    if (conn->state != WS_DOOMED)
        send_close(conn, found->code, "");
}

static void on_control(struct ws_conn *conn, const struct ws_found *found)
{
    if (found->opcode == WS_CLOSE) {
        on_close_frame(conn, found);
    } else if (found->opcode == WS_PING && conn->state == WS_OPEN) {
        conn->pong_len = (uint8_t)found->n;
        memcpy(conn->pong, found->p, found->n);
        conn->pong_wanted = 1;
        conn->self->transport->want_flush(conn->link);
    }
}

static void on_fault(struct ws_conn *conn, const struct ws_found *found)
{
    if (conn->state != WS_OPEN) { /* we had said goodbye: no more patience */
        end_as_remembered(conn);
        return;
    }
    uint32_t code = found->code == WS_CODE_TOO_BIG ? BURROW_CLOSE_TOO_BIG : BURROW_CLOSE_PROTOCOL;
    conn->close_received = 1; /* what follows means nothing: it is not waited for */
    say_goodbye(conn, code, found->code, found->reason);
}

void ws_conn_receive(struct ws_conn *conn, uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    while (conn->state == WS_OPEN || (conn->state == WS_CLOSING && !conn->close_received)) {
        struct ws_found found;
        switch (ws_next(&conn->parser, &p, end, &found)) {
        case WS_MORE:
            return;
        case WS_DATA:
            if (conn->state != WS_OPEN)
                break;
            conn->delivered = 1;
            conn->self->transport->data(conn->link, found.p, found.n, found.message_end);
            break;
        case WS_CONTROL:
            on_control(conn, &found);
            break;
        case WS_ERROR:
            on_fault(conn, &found);
            return;
        }
    }
}

static void on_data(void *arg, uint8_t *p, size_t n)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    must(conn->magic == WS_CONN_MAGIC);
    if (conn->state == WS_DIALING)
        ws_client_data(conn, p, n);
    else
        ws_conn_receive(conn, p, n);
}

static void on_batch_end(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    if (!conn->delivered)
        return;
    conn->delivered = 0;
    conn->self->transport->batch_end(conn->link);
}

static void on_drained(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    if (conn->state != WS_OPEN)
        return;
    if (conn->pong_wanted)
        conn->self->transport->want_flush(conn->link);
    conn->self->transport->drained(conn->link);
}

static void on_release(void *arg, struct burrow_buf *chain)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    for (struct burrow_buf *buf = chain; buf != NULL; buf = buf->next)
        unframe(buf);
    give_back(conn, chain);
}

static void on_ended(void *arg, uint32_t code, const char *reason)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    switch (conn->state) {
    case WS_DIALING:
        ws_client_ended(conn, code, reason);
        break;
    case WS_CLOSING:
    case WS_PARTING:
        end_as_remembered(conn);
        break;
    case WS_OPEN:
        if (code == BURROW_CLOSE_PEER) /* an end, but not in the WebSocket's order */
            ws_doom(conn, BURROW_CLOSE_LOST, "%s without a Close frame", reason);
        else
            ws_doom(conn, code, "%s", reason);
        break;
    default:
        ws_doom(conn, code, "%s", reason);
        break;
    }
}

static const struct pipe_events pipe_events = {
    .data = on_data,
    .batch_end = on_batch_end,
    .drained = on_drained,
    .release = on_release,
    .ended = on_ended,
};

int ws_conn_attach(struct ws_conn *conn, int fd, SSL *ssl)
{
    conn->pipe = pipe_create(conn->self->host, fd, ssl, &pipe_events, conn);
    if (conn->pipe == NULL)
        return BURROW_ENOMEM;
    pipe_set_watermark(conn->pipe, conn->watermark);
    return BURROW_OK;
}

void ws_conn_open(struct ws_conn *conn)
{
    ws_timer_stop(conn);
    ws_parser_init(&conn->parser, !conn->client, WS_MESSAGE_MAX);
    conn->state = WS_OPEN;
}
