/* SPDX-License-Identifier: Apache-2.0 */
/* The transport in memory; see mock_transport.h. */
#include "mock_transport.h"

#include "base/object.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

static int mock_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
                     void **ret_conn)
{
    struct mock_transport *mock = self;
    struct mock_conn *conn = &mock->end[mock->next++];

    (void)dial;
    conn->link = link;
    *ret_conn = conn;
    return BURROW_OK;
}

static int mock_send(void *c, struct burrow_buf *chain)
{
    struct mock_conn *conn = c;
    struct burrow_buf **last = &conn->queue, *b;

    must(!conn->closing && !conn->closed);
    while (*last)
        last = &(*last)->next;
    *last = chain;
    for (b = chain; b; b = b->next) {
        must(b->off >= BURROW_HEADROOM && b->off + b->len <= b->capacity);
        conn->queued += b->len;
    }
    if (conn->queued >= conn->watermark)
        conn->over_watermark = true;
    return BURROW_OK;
}

static size_t mock_queued(void *c)
{
    return ((struct mock_conn *)c)->queued;
}

static void mock_set_watermark(void *c, size_t bytes)
{
    ((struct mock_conn *)c)->watermark = bytes;
}

void mock_inject(struct mock_conn *conn, const void *p, size_t n)
{
    if (conn->inbox_len + n > conn->inbox_capacity) {
        conn->inbox_capacity = 2 * (conn->inbox_len + n);
        conn->inbox = realloc(conn->inbox, conn->inbox_capacity);
        must(conn->inbox != NULL);
    }
    if (n > 0)
        memcpy(conn->inbox + conn->inbox_len, p, n);
    conn->inbox_len += n;
}

void mock_flush(struct mock_conn *conn)
{
    while (conn->queue && conn->room > 0) {
        struct burrow_buf *b = conn->queue;
        size_t n = b->len - conn->head_sent;

        n = n < conn->room ? n : conn->room;
        mock_inject(conn->peer, buf_data(b) + conn->head_sent, n);
        if (conn->room != SIZE_MAX)
            conn->room -= n;
        conn->queued -= n;
        conn->head_sent += n;
        if (conn->head_sent == b->len) {
            conn->head_sent = 0;
            conn->queue = b->next;
            b->next = NULL;
            link_transport_host.release(conn->link, b);
        }
    }
    if (conn->over_watermark && conn->queued < conn->watermark) {
        conn->over_watermark = false;
        if (!conn->closing)
            link_transport_host.drained(conn->link);
    }
}

static void end(struct mock_conn *conn, uint32_t code)
{
    struct burrow_close_info info = {.size = sizeof info, .code = code, .reason = "mock"};
    struct burrow_buf *queue = conn->queue;

    conn->queue = NULL;
    conn->queued = 0;
    if (queue)
        link_transport_host.release(conn->link, queue);
    conn->closed = true;
    link_transport_host.closed(conn->link, &info);
    conn->link = NULL;
}

static void mock_op_flush(void *c)
{
    struct mock_conn *conn = c;

    mock_flush(conn);
}

static void mock_read_enable(void *c, uint32_t on)
{
    ((struct mock_conn *)c)->read_off = !on;
}

static void mock_close(void *c, uint32_t code, const char *why)
{
    struct mock_conn *conn = c;

    (void)why;
    conn->closing = true;
    conn->close_code = code;
}

static const char *const schemes[] = {"mock", NULL};

static const struct burrow_transport_ops mock_ops = {
    .size = sizeof mock_ops,
    .schemes = schemes,
    .dial = mock_dial,
    .send = mock_send,
    .queued = mock_queued,
    .set_watermark = mock_set_watermark,
    .flush = mock_op_flush,
    .read_enable = mock_read_enable,
    .close = mock_close,
};

void mock_init(struct mock_transport *mock, struct loop *loop, const struct log *log)
{
    *mock = (struct mock_transport){
        .transport = {.ops = &mock_ops, .self = mock, .loop = loop, .log = log, .name = "mock"}};
    mock->end[0].peer = &mock->end[1];
    mock->end[1].peer = &mock->end[0];
    mock->end[0].room = mock->end[1].room = SIZE_MAX;
    mock->end[0].watermark = mock->end[1].watermark = 256 * 1024;
}

struct burrow_link *mock_link(struct mock_transport *mock, const struct link_events *events,
                              void *arg)
{
    struct burrow_dial dial = {.size = sizeof dial, .scheme = "mock", .host = "", .path = ""};

    return link_dial(&mock->transport, &dial, events, arg);
}

/* The length of the frame that p begins with; 0: its header is not here yet. */
static size_t frame_size(const uint8_t *p, size_t n)
{
    struct frame_header h;

    if (n < FRAME_HEADER)
        return 0;
    frame_header_decode(&h, p);
    return FRAME_HEADER + h.length;
}

void mock_message(struct mock_conn *conn, const void *p, size_t n)
{
    link_transport_host.data(conn->link, p, n, 1);
    link_transport_host.batch_end(conn->link);
}

size_t mock_receive(struct mock_conn *conn, size_t max, size_t piece)
{
    size_t n = conn->inbox_len < max ? conn->inbox_len : max, done = 0, at;
    uint8_t *batch;

    if (n == 0 || conn->closed || conn->closing || conn->read_off)
        return 0;
    for (at = conn->message_left; conn->messages && at < n;) {
        size_t size = frame_size(conn->inbox + at, conn->inbox_len - at);

        if (size == 0 || n - at < FRAME_HEADER) /* a batch does not end inside a header */
            n = at;
        at += size;
    }
    if (n == 0)
        return 0;
    batch = malloc(n); /* its own block, so that ASan sees what is kept too long */
    must(batch != NULL);
    memcpy(batch, conn->inbox, n);
    memmove(conn->inbox, conn->inbox + n, conn->inbox_len - n);
    conn->inbox_len -= n;
    while (done < n && !conn->closing) {
        size_t part = n - done < piece ? n - done : piece;
        bool last = false;

        if (conn->messages) {
            if (conn->message_left == 0)
                conn->message_left = frame_size(batch + done, n - done);
            part = part < conn->message_left ? part : conn->message_left;
            conn->message_left -= part;
            last = conn->message_left == 0;
        }
        link_transport_host.data(conn->link, batch + done, part, last);
        done += part;
    }
    link_transport_host.batch_end(conn->link);
    free(batch);
    return n;
}

void mock_lose(struct mock_conn *conn)
{
    if (conn->link)
        end(conn, conn->closing ? conn->close_code : BURROW_CLOSE_LOST);
}

void mock_finish(struct mock_transport *mock)
{
    mock_lose(&mock->end[0]);
    mock_lose(&mock->end[1]);
    free(mock->end[0].inbox);
    free(mock->end[1].inbox);
    mock->end[0].inbox = mock->end[1].inbox = NULL;
}
