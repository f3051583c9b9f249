/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport over Unix sockets: client and server on one machine, for example in two
 * containers that share a folder. The server listens by --listen transport-unix=unix:PATH, the
 * client dials --server-url unix:///PATH.
 *
 * It is the smallest transport that keeps every sentence of transport.h: a queue of buffers,
 * one watch and one timer per connection. Whatever must come "on a later turn" comes by
 * host->feed on the connection's own watch, which takes no memory and so cannot fail.
 */
#include <burrow/transport.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define READ_SIZE 65536u
#define READS_A_TURN 4
#define IOVECS 64
#define FAREWELL_MS 1000u

enum state { OPENING, OPEN, CLOSING, FAILED };

struct unix_transport {
    const struct burrow_host *host;
    const struct burrow_transport_host *events;
    unsigned conns;
    int stopping;
};

struct conn {
    struct unix_transport *transport;
    struct burrow_link *link;
    int fd;
    enum state state;
    int incoming, reading, told_end; /* told_end: our side is shut down */
    struct burrow_watch *watch;
    struct burrow_timer *farewell;
    struct burrow_buf *head, **tail;
    size_t queued, watermark, sent; /* sent: bytes of the first buffer */
    int over;                       /* the queue has reached the watermark */
    uint32_t code;                  /* for closed */
    const char *why;
};

static void answer_stop(struct unix_transport *t)
{
    if (t->stopping && t->conns == 0)
        t->host->stopped(t->host->self);
}

/* The end of a connection: nothing of it is left afterwards. Never called inside an op. */
static void end(struct conn *c, uint32_t code, const char *why)
{
    struct unix_transport *t = c->transport;
    const struct burrow_close_info info = {.size = sizeof info, .code = code, .reason = why};
    t->host->unwatch(c->watch);
    t->host->cancel(c->farewell);
    close(c->fd);
    if (c->head != NULL)
        t->events->release(c->link, c->head);
    t->events->closed(c->link, &info);
    free(c);
    t->conns--;
    answer_stop(t);
}

/* on_ready runs on the next turn, whatever the socket says. */
static void wake(struct conn *c)
{
    const struct burrow_host *h = c->transport->host;
    h->rewatch(c->watch, BURROW_READ | BURROW_WRITE);
    h->feed(c->watch, BURROW_WRITE);
}

static void fail_later(struct conn *c, uint32_t code, const char *why)
{
    c->state = FAILED;
    c->code = code;
    c->why = why;
    wake(c);
}

static void set_interest(struct conn *c)
{
    int events = c->reading || c->state == CLOSING ? BURROW_READ : 0;
    c->transport->host->rewatch(c->watch, events | (c->head != NULL ? BURROW_WRITE : 0));
}

/* Gives back what the socket has taken: n bytes. */
static void took(struct conn *c, size_t n)
{
    struct burrow_buf *done = c->head, **last = &done;
    c->queued -= n;
    n += c->sent;
    while (*last != NULL && n >= (*last)->len) {
        n -= (*last)->len;
        last = &(*last)->next;
    }
    c->sent = n;
    c->head = *last;
    if (c->head == NULL)
        c->tail = &c->head;
    *last = NULL;
    if (done != NULL)
        c->transport->events->release(c->link, done);
}

/* 0, or negative when the socket is broken. */
static int write_queue(struct conn *c)
{
    while (c->head != NULL) {
        struct iovec iov[IOVECS];
        int n = 0;
        size_t skip = c->sent;
        for (struct burrow_buf *b = c->head; b != NULL && n < IOVECS; b = b->next, skip = 0) {
            iov[n].iov_base = b->base + b->off + skip;
            iov[n++].iov_len = b->len - skip;
        }
        const struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? BURROW_OK : BURROW_EIO;
        took(c, (size_t)sent);
    }
    return BURROW_OK;
}

/* Writes, and tells of room where there was none. */
static void push(struct conn *c)
{
    if (write_queue(c) != BURROW_OK) {
        fail_later(c, BURROW_CLOSE_LOST, "the connection broke");
        return;
    }
    if (c->state == CLOSING && c->head == NULL && !c->told_end) {
        shutdown(c->fd, SHUT_WR);
        c->told_end = 1;
    }
    if (c->over && c->queued < c->watermark) {
        c->over = 0;
        if (c->state == OPEN)
            c->transport->events->drained(c->link);
    }
    if (c->state != FAILED)
        set_interest(c);
}

/* Reads some; returns 0 when the connection has ended, and is gone. */
static int pull(struct conn *c)
{
    struct unix_transport *t = c->transport;
    uint8_t *room = (uint8_t *)t->host->scratch(t->host->self, READ_SIZE);
    int any = 0, ended = 0;
    for (int i = 0; i < READS_A_TURN && room != NULL && !ended; i++) {
        if (c->state != CLOSING && (c->state != OPEN || !c->reading))
            break;
        ssize_t n = recv(c->fd, room, READ_SIZE, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        ended = n <= 0 ? (n == 0 ? 1 : 2) : 0;
        if (n > 0 && c->state == OPEN) {
            any = 1;
            t->events->data(c->link, room, (size_t)n, 0); /* may call send and close */
        }
    }
    if (any)
        t->events->batch_end(c->link);
    if (!ended)
        return 1;
    if (c->state == CLOSING)
        end(c, c->code, c->why);
    else if (c->state == FAILED)
        return 1; /* its own end follows */
    else
        end(c, ended == 1 ? BURROW_CLOSE_PEER : BURROW_CLOSE_LOST,
            ended == 1 ? "the peer has closed" : "the connection broke");
    return 0;
}

static void on_ready(void *arg, int events)
{
    struct conn *c = (struct conn *)arg;
    if (c->state == FAILED) {
        end(c, c->code, c->why);
        return;
    }
    if (c->state == OPENING) {
        c->state = OPEN;
        set_interest(c);
        if (c->incoming)
            c->transport->events->accepted(c->link);
        else
            c->transport->events->connected(c->link);
        return;
    }
    if ((events & BURROW_READ) && !pull(c))
        return;
    if (events & BURROW_WRITE)
        push(c);
}

/* The peer has not taken its leave in time. */
static void on_farewell_over(void *arg)
{
    struct conn *c = (struct conn *)arg;
    c->farewell = NULL;
    end(c, c->code, c->why);
}

/* Takes fd over, also when it fails. */
static int conn_create(struct unix_transport *t, int fd, struct burrow_link *link, int incoming,
                       struct conn **ret)
{
    struct conn *c = (struct conn *)calloc(1, sizeof *c);
    struct burrow_watch *watch = NULL;
    if (c != NULL)
        watch = t->host->watch(t->host->self, fd, BURROW_READ | BURROW_WRITE, on_ready, c);
    if (watch == NULL) {
        free(c);
        close(fd);
        return BURROW_ENOMEM;
    }
    c->transport = t;
    c->link = link;
    c->fd = fd;
    c->watch = watch;
    c->incoming = incoming;
    c->reading = 1;
    c->tail = &c->head;
    c->watermark = 256 * 1024;
    t->conns++;
    wake(c);
    *ret = c;
    return BURROW_OK;
}

/* ---- ops ---- */

static void op_bind(void *self, const struct burrow_transport_host *events)
{
    struct unix_transport *t = (struct unix_transport *)self;
    t->events = events;
}

static int op_accept(void *self, const struct burrow_accept *accept, struct burrow_link *link,
                     void **ret_conn)
{
    struct conn *c;
    int rc = conn_create((struct unix_transport *)self, accept->fd, link, 1, &c);
    if (rc == BURROW_OK)
        *ret_conn = c;
    return rc;
}

static int op_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
                   void **ret_conn)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct conn *c;
    size_t n = strlen(dial->path);
    if (n == 0 || n >= sizeof address.sun_path)
        return BURROW_EINVAL;
    memcpy(address.sun_path, dial->path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return BURROW_EIO;
    int refused = connect(fd, (const struct sockaddr *)(const void *)&address, sizeof address);
    const char *why = strerror(errno);
    int rc = conn_create((struct unix_transport *)self, fd, link, 0, &c);
    if (rc != BURROW_OK)
        return rc;
    if (refused)
        fail_later(c, BURROW_CLOSE_UNREACHABLE, why);
    *ret_conn = c;
    return BURROW_OK;
}

/* Nobody is asked: authenticate is never called, so the token is in the register frame. */
static int op_send(void *conn, struct burrow_buf *chain)
{
    struct conn *c = (struct conn *)conn;
    if (c->state != OPEN) {
        c->transport->events->release(c->link, chain);
        if (c->state == OPENING)
            fail_later(c, BURROW_CLOSE_INTERNAL, "the host sent before the connection was open");
        return BURROW_EIO;
    }
    *c->tail = chain;
    for (struct burrow_buf *b = chain; b != NULL; b = b->next) {
        c->queued += b->len;
        c->tail = &b->next;
    }
    if (c->queued >= c->watermark)
        c->over = 1;
    return BURROW_OK;
}

static size_t op_queued(void *conn)
{
    const struct conn *c = (const struct conn *)conn;
    return c->queued;
}

static void op_set_watermark(void *conn, size_t bytes)
{
    struct conn *c = (struct conn *)conn;
    c->watermark = bytes;
}

static void op_flush(void *conn)
{
    struct conn *c = (struct conn *)conn;
    if (c->state == OPEN)
        push(c);
}

static void op_read_enable(void *conn, uint32_t on)
{
    struct conn *c = (struct conn *)conn;
    c->reading = on != 0;
    if (c->state == OPEN)
        set_interest(c);
}

static void op_close(void *conn, uint32_t code, const char *why)
{
    struct conn *c = (struct conn *)conn;
    const struct burrow_host *h = c->transport->host;
    (void)why; /* plain bytes have no place for it */
    if (c->state == FAILED)
        return;
    int again = c->state == CLOSING;
    c->code = code;
    c->why = "closed by this side";
    c->state = CLOSING;
    if (c->farewell == NULL)
        c->farewell = h->after(h->self, FAREWELL_MS, on_farewell_over, c);
    if (code == BURROW_CLOSE_ABORT || c->farewell == NULL || again)
        fail_later(c, code, c->why);
    else
        wake(c);
}

/* ---- the plugin ---- */

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct unix_transport *t = (struct unix_transport *)calloc(1, sizeof *t);
    (void)config;
    if (t == NULL)
        return BURROW_ENOMEM;
    t->host = host;
    *ret_self = t;
    return BURROW_OK;
}

/* The host has closed the links, or closes them now; the last one answers. */
static void stop(void *self)
{
    struct unix_transport *t = (struct unix_transport *)self;
    t->stopping = 1;
    answer_stop(t);
}

static const char *const schemes[] = {"unix", NULL};

static const struct burrow_transport_ops ops = {
    .size = sizeof ops,
    .schemes = schemes,
    .bind = op_bind,
    .accept = op_accept,
    .dial = op_dial,
    .send = op_send,
    .queued = op_queued,
    .set_watermark = op_set_watermark,
    .flush = op_flush,
    .read_enable = op_read_enable,
    .close = op_close,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_TRANSPORT,
    .kind_abi = BURROW_TRANSPORT_ABI,
    .name = "transport-unix",
    .version = "1.0.0",
    .summary = "Sessions over Unix sockets (unix:///path)",
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = free,
};
