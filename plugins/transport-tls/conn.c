/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection from the end of its handshake to `closed`. Between the pipe's events and the
 * host's there is no framing: in version 2 of the wire a connection is a byte stream.
 *
 * The end has one way: conn_over notes why and feeds the watch; on the turn that this brings,
 * conn_finish frees everything and raises `closed`. So `closed` is never inside an op or another
 * event, and the memory that `data` lent stays until `batch_end`.
 */
#include "transport.h"

#include <sys/socket.h>
#include <unistd.h>

static struct conn *conn_of(void *p)
{
    struct conn *conn = (struct conn *)p;
    must(conn != NULL && conn->magic == CONN_MAGIC);
    return conn;
}

static void on_data(void *arg, uint8_t *p, size_t n)
{
    struct conn *conn = conn_of(arg);
    if (conn->stage != STAGE_OPEN)
        return; /* a farewell reads on only to find the peer's end */
    conn->in_batch = true;
    conn->transport->events->data(conn->link, p, n, 0);
}

static void on_batch_end(void *arg)
{
    struct conn *conn = conn_of(arg);
    if (!conn->in_batch)
        return;
    conn->in_batch = false;
    conn->transport->events->batch_end(conn->link);
}

static void on_drained(void *arg)
{
    struct conn *conn = conn_of(arg);
    if (conn->stage == STAGE_OPEN)
        conn->transport->events->drained(conn->link);
}

static void on_release(void *arg, struct burrow_buf *chain)
{
    struct conn *conn = conn_of(arg);
    conn->transport->events->release(conn->link, chain);
}

static void on_ended(void *arg, uint32_t code, const char *reason)
{
    struct conn *conn = conn_of(arg);
    if (conn->stage == STAGE_FAREWELL)
        conn_over(conn, conn->code, conn->reason); /* as the host closed it */
    else
        conn_over(conn, code, reason);
}

static const struct pipe_events pipe_events = {.data = on_data,
                                               .batch_end = on_batch_end,
                                               .drained = on_drained,
                                               .release = on_release,
                                               .ended = on_ended};

void conn_open(struct conn *conn)
{
    const struct burrow_host *host = conn->transport->host;
    conn->pipe = pipe_create(host, conn->fd, conn->ssl, &pipe_events, conn);
    if (conn->pipe == NULL) {
        conn_over(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    (void)host->rewatch(conn->watch, 0);
    host->cancel(conn->timer);
    conn->timer = NULL;
    conn->stage = STAGE_OPEN;
    if (conn->watermark > 0)
        pipe_set_watermark(conn->pipe, conn->watermark);
    if (!conn->reading)
        pipe_read_enable(conn->pipe, 0);
    if (conn->dialled)
        conn->transport->events->connected(conn->link);
    else
        conn->transport->events->accepted(conn->link);
}

void conn_over(struct conn *conn, uint32_t code, const char *reason)
{
    if (conn->stage == STAGE_OVER)
        return;
    conn->stage = STAGE_OVER;
    conn->code = code;
    if (reason != conn->reason)
        snprintf(conn->reason, sizeof conn->reason, "%s", reason);
    conn->transport->host->cancel(conn->timer);
    conn->timer = NULL;
    if (conn->pipe != NULL)
        pipe_read_enable(conn->pipe, 0);
    /* A paused watch would keep what it is fed until it is wanted. */
    (void)conn->transport->host->rewatch(conn->watch, BURROW_READ);
    conn->transport->host->feed(conn->watch, BURROW_READ);
}

/* Everything but the memory of conn itself. */
static void free_parts(struct conn *conn)
{
    const struct burrow_host *host = conn->transport->host;
    if (conn->pipe != NULL) {
        pipe_close(conn->pipe);
        /* Else OpenSSL would take the session for broken and its ticket for useless. */
        if (conn->code != BURROW_CLOSE_TLS)
            SSL_set_shutdown(conn->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(conn->ssl);
    host->cancel(conn->timer);
    host->unwatch(conn->watch);
    close(conn->fd);
    free(conn->host);
    conn->host = NULL;
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else if (conn->transport->conns == conn)
        conn->transport->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
}

void conn_discard(struct conn *conn)
{
    free_parts(conn);
    conn->magic = 0;
    free(conn);
}

void conn_finish(struct conn *conn)
{
    struct transport *transport = conn->transport;
    free_parts(conn);
    struct burrow_close_info info = {
        .size = sizeof info, .code = conn->code, .reason = conn->reason};
    transport->events->closed(conn->link, &info);
    conn->magic = 0;
    free(conn);
    if (transport->stopping && transport->conns == NULL)
        transport->host->stopped(transport->host->self);
}

int conn_send(void *p, struct burrow_buf *chain)
{
    struct conn *conn = conn_of(p);
    if (conn->stage == STAGE_OPEN) {
        pipe_send(conn->pipe, chain);
        return BURROW_OK;
    }
    conn->transport->events->release(conn->link, chain);
    if (conn->stage >= STAGE_FAREWELL)
        return BURROW_EIO;
    conn_over(conn, BURROW_CLOSE_INTERNAL, "sent to before it was open");
    return BURROW_EINVAL;
}

size_t conn_queued(void *p)
{
    struct conn *conn = conn_of(p);
    return conn->pipe != NULL ? pipe_queued(conn->pipe) : 0;
}

void conn_set_watermark(void *p, size_t bytes)
{
    struct conn *conn = conn_of(p);
    conn->watermark = bytes > 0 ? bytes : 1;
    if (conn->pipe != NULL)
        pipe_set_watermark(conn->pipe, bytes);
}

void conn_flush(void *p)
{
    struct conn *conn = conn_of(p);
    if (conn->stage == STAGE_OPEN || conn->stage == STAGE_FAREWELL)
        pipe_flush(conn->pipe);
}

void conn_read_enable(void *p, uint32_t on)
{
    struct conn *conn = conn_of(p);
    conn->reading = on != 0;
    if (conn->stage == STAGE_OPEN)
        pipe_read_enable(conn->pipe, on != 0);
}

static void on_farewell_over(void *arg)
{
    struct conn *conn = conn_of(arg);
    conn->timer = NULL;
    conn_over(conn, conn->code, conn->reason);
}

/* What the kernel still holds is dropped too, and the peer learns it at once. */
static void reset_on_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

void conn_close(void *p, uint32_t code, const char *why)
{
    struct conn *conn = conn_of(p);
    const struct burrow_host *host = conn->transport->host;
    if (why == NULL)
        why = "closed";
    if (code == BURROW_CLOSE_ABORT)
        reset_on_close(conn->fd);
    if (conn->stage == STAGE_FAREWELL) {
        conn_over(conn, conn->code, conn->reason);
    } else if (conn->stage != STAGE_OPEN || code == BURROW_CLOSE_ABORT) {
        conn_over(conn, code, why);
    } else {
        conn->stage = STAGE_FAREWELL;
        conn->code = code;
        snprintf(conn->reason, sizeof conn->reason, "%s", why);
        pipe_shutdown(conn->pipe);
        pipe_read_enable(conn->pipe, 1);
        conn->timer = host->after(host->self, FAREWELL_MS, on_farewell_over, conn);
        if (conn->timer == NULL)
            conn_over(conn, conn->code, conn->reason);
    }
}
