/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays: one local socket and its stream. Reading happens when the session pulls, into as
 * many pooled buffers as the last reads filled; writing happens per batch, gathered, and
 * only what the socket does not take is copied. The copy is bounded by the stream's window.
 */
#include "tunnel/relay.h"

#include "base/object.h"
#include "base/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RELAY_MAGIC 0x52454c59u
#define READ_BUFFERS 16u
#define WRITE_IOV 64
#define SMALL_STEP (128 * 1024) /* bytes */

struct relay {
    uint32_t magic;
    int fd;
    struct loop *loop;
    struct loop_watch *watch;
    struct stream *stream;
    bool reading;      /* the watch waits for data */
    bool fin_pending;  /* shut the socket's sending side once all is written */
    uint8_t read_hint; /* buffers for the next read */
    struct burrow_buf *pending, *pending_tail;
    size_t first; /* bytes at the front of pending that are not the stream's */
};

static void relay_free(struct relay *r, bool reset)
{
    loop_unwatch(r->watch);
    pool_put(loop_pool(r->loop), r->pending);
    if (reset)
        socket_reset(r->fd);
    else
        close(r->fd);
    r->magic = 0;
    free(r);
}

/* The local side is broken: the peer gets a RESET. */
static void relay_break(struct relay *r)
{
    stream_reset(r->stream, RESET_PEER_RESET, "");
    relay_free(r, true);
}

static void relay_rewatch(struct relay *r)
{
    int events = (r->reading ? BURROW_READ : 0) | (r->pending ? BURROW_WRITE : 0);

    must(loop_rewatch(r->watch, events) == BURROW_OK);
}

/* ---- from the socket to the stream ------------------------------------------------------- */

static unsigned take_buffers(struct relay *r, size_t max, struct iovec iov[READ_BUFFERS],
                             struct burrow_buf **ret_chain)
{
    struct burrow_buf **last = ret_chain;
    unsigned n = 0;

    while (n < r->read_hint && max > 0) {
        size_t room = max < POOL_LARGE ? max : POOL_LARGE;
        struct burrow_buf *b = pool_get(loop_pool(r->loop), POOL_LARGE);

        if (!b)
            break;
        b->next = NULL;
        *last = b;
        last = &b->next;
        iov[n++] = (struct iovec){.iov_base = buf_data(b), .iov_len = room};
        max -= room;
    }
    return n;
}

/* Sets the lengths of what was filled and gives the rest of the chain back. */
static void trim_chain(struct pool *pool, struct burrow_buf **chain, size_t got)
{
    while (*chain && got > 0) {
        struct burrow_buf *b = *chain;

        b->len = (uint32_t)(got < POOL_LARGE ? got : POOL_LARGE);
        got -= b->len;
        chain = &b->next;
    }
    pool_put(pool, *chain);
    *chain = NULL;
}

/* A keystroke does not hold a large buffer while the link is busy. */
static void shrink(struct pool *pool, struct burrow_buf **chain)
{
    struct burrow_buf *large = *chain, *small;

    if (large->next || large->len > POOL_SMALL)
        return;
    small = pool_get(pool, large->len);
    if (!small)
        return;
    memcpy(buf_data(small), buf_data(large), large->len);
    small->len = large->len;
    small->next = NULL;
    pool_put(pool, large);
    *chain = small;
}

static void learn(struct relay *r, size_t got, size_t asked, unsigned buffers)
{
    if (got == asked && buffers == r->read_hint && r->read_hint < READ_BUFFERS)
        r->read_hint = (uint8_t)(2 * r->read_hint);
    else if (got < asked / 4 && r->read_hint > 1)
        r->read_hint = (uint8_t)(r->read_hint / 2);
}

static ssize_t relay_read(void *end, size_t max, struct burrow_buf **ret_chain, bool *ret_more)
{
    struct relay *r = end;
    struct pool *pool = loop_pool(r->loop);
    struct burrow_buf *chain = NULL;
    struct iovec iov[READ_BUFFERS];
    size_t asked = 0;
    unsigned i, n;
    ssize_t got;

    must_be(r, RELAY_MAGIC);
    n = take_buffers(r, max, iov, &chain);
    if (n == 0)
        return BURROW_ENOMEM;
    for (i = 0; i < n; i++)
        asked += iov[i].iov_len;
    do
        got = readv(r->fd, iov, (int)n);
    while (got < 0 && errno == EINTR);
    if (got <= 0) {
        bool again = got < 0 && errno == EAGAIN;

        pool_put(pool, chain);
        r->reading = again;
        relay_rewatch(r);
        return again ? BURROW_EAGAIN : got == 0 ? 0 : BURROW_EIO;
    }
    learn(r, (size_t)got, asked, n);
    trim_chain(pool, &chain, (size_t)got);
    shrink(pool, &chain);
    *ret_chain = chain;
    *ret_more = (size_t)got == asked;
    if (!*ret_more) {
        r->reading = true;
        relay_rewatch(r);
    }
    return got;
}

/* ---- from the stream to the socket ------------------------------------------------------- */

/* Bytes that the socket took, or -1 when it is broken. */
static ssize_t write_some(int fd, const struct iovec *iov, int count)
{
    ssize_t n;

    do
        n = writev(fd, iov, count);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    return n;
}

/* Copies what lies behind the first `skip` bytes of iov to the pending chain. */
static int keep(struct relay *r, const struct iovec *iov, int count, size_t skip)
{
    int ret = BURROW_OK;

    for (; count > 0 && ret == BURROW_OK; iov++, count--) {
        const uint8_t *p = iov->iov_base;
        size_t over = skip < iov->iov_len ? skip : iov->iov_len;

        skip -= over;
        ret = pool_append(loop_pool(r->loop), &r->pending, &r->pending_tail, p + over,
                          iov->iov_len - over);
    }
    return ret;
}

static void finish_writing(struct relay *r)
{
    if (r->fin_pending && !r->pending) {
        r->fin_pending = false;
        shutdown(r->fd, SHUT_WR);
    }
}

static void relay_deliver(void *end, const struct iovec *iov, int count, bool fin)
{
    struct relay *r = end;
    size_t total = 0;
    ssize_t n = 0;
    int i;

    must_be(r, RELAY_MAGIC);
    for (i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (!r->pending && total > 0)
        n = write_some(r->fd, iov, count);
    if (n < 0 || ((size_t)n < total && keep(r, iov, count, (size_t)n) < 0)) {
        relay_break(r);
        return;
    }
    r->fin_pending = r->fin_pending || fin;
    finish_writing(r);
    if (r->pending)
        relay_rewatch(r);
    if (n > 0)
        stream_consumed(r->stream, (size_t)n);
}

static void drop_written(struct relay *r, size_t n)
{
    while (n > 0) {
        struct burrow_buf *b = r->pending;
        uint32_t part = n < b->len ? (uint32_t)n : b->len;

        b->off += part;
        b->len -= part;
        n -= part;
        if (b->len == 0) {
            r->pending = b->next;
            b->next = NULL;
            pool_put(loop_pool(r->loop), b);
        }
    }
}

static void write_pending(struct relay *r)
{
    struct iovec iov[WRITE_IOV];
    struct burrow_buf *b;
    ssize_t n;
    size_t own;
    int count = 0;

    for (b = r->pending; b && count < WRITE_IOV; b = b->next)
        iov[count++] = (struct iovec){.iov_base = buf_data(b), .iov_len = b->len};
    n = write_some(r->fd, iov, count);
    if (n < 0) {
        relay_break(r);
        return;
    }
    drop_written(r, (size_t)n);
    finish_writing(r);
    relay_rewatch(r);
    own = (size_t)n < r->first ? (size_t)n : r->first;
    r->first -= own;
    if ((size_t)n > own)
        stream_consumed(r->stream, (size_t)n - own);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void relay_io(void *arg, int events)
{
    struct relay *r = arg;

    must_be(r, RELAY_MAGIC);
    if ((events & BURROW_READ) && r->reading) {
        r->reading = false; /* until the session has pulled */
        relay_rewatch(r);
        stream_ready(r->stream);
    }
    if ((events & BURROW_WRITE) && r->pending)
        write_pending(r);
}

static void relay_ended(void *end, uint32_t code, const char *text)
{
    struct relay *r = end;

    (void)text;
    must_be(r, RELAY_MAGIC);
    relay_free(r, code != 0);
}

static bool relay_broken(void *end)
{
    const struct relay *r = end;
    struct pollfd p = {.fd = r->fd};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

const struct stream_ops relay_stream_ops = {
    .read = relay_read,
    .deliver = relay_deliver,
    .ended = relay_ended,
    .broken = relay_broken,
};

struct relay *relay_create(struct loop *loop, int fd)
{
    struct relay *r = calloc(1, sizeof *r);
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* a Unix socket has none */
    if (r) {
        r->magic = RELAY_MAGIC;
        r->fd = fd;
        r->loop = loop;
        r->read_hint = 1;
        r->watch = loop_watch(loop, fd, 0, relay_io, r);
        if (r->watch)
            return r;
    }
    free(r);
    socket_reset(fd);
    return NULL;
}

int relay_write_first(struct relay *r, const void *p, size_t n)
{
    union {
        const void *in;
        void *out; /* iovec has no const form; writev only reads */
    } base = {.in = p};
    struct iovec iov = {.iov_base = base.out, .iov_len = n};
    ssize_t written;

    must_be(r, RELAY_MAGIC);
    must(!r->stream && !r->pending);
    written = write_some(r->fd, &iov, 1);
    if (written < 0)
        return BURROW_OK; /* reading will tell */
    r->first = n - (size_t)written;
    return r->first > 0 ? keep(r, &iov, 1, (size_t)written) : BURROW_OK;
}

void relay_attach(struct relay *r, struct stream *stream)
{
    must_be(r, RELAY_MAGIC);
    int step = SMALL_STEP;

    r->stream = stream;
    /* Else the kernel asks for more only when a third of megabytes has gone out. */
    if (stream_holds_up_others(stream))
        setsockopt(r->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &step, sizeof step);
    r->reading = true;
    relay_rewatch(r);
}

void relay_destroy(struct relay *r)
{
    if (r)
        relay_free(r, true);
}
