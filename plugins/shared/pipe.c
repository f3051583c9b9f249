/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipe's life, its reading side and its watch. pipe_write.c has the sending side.
 *
 * Reading is one bounded batch a turn, so that one busy connection cannot keep the loop from
 * the others; the descriptor is level-triggered and calls again. Behind TLS, what the library
 * has already taken from the socket triggers nothing: the watch is fed then.
 *
 * A peer that resets the connection is noticed by reading; while reading is off, by the wait
 * for room to write; while nothing is awaited at all, by a look at the socket once a second.
 * An orderly end stands behind the data that came before it, so it is not looked for while
 * reading is off.
 */
#include "pipe.h"

#include "pipe_internal.h"
#include "tls_reason.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define WATERMARK_DEFAULT (256u * 1024u)
#define PROBE_MS 1000u
/* Room for several records: fewer reads from the socket. Released when it is empty. */
#define TLS_READ_BUFFER (64u * 1024u)
/* What the kernel may hold unsent: enough to keep the line busy between two turns, little
 * enough that a keystroke does not stand behind megabytes of a bulk copy. */
#define NOTSENT_LOWAT (128 * 1024)

void pipe_leave(struct pipe *pipe)
{
    must(pipe->depth > 0);
    if (--pipe->depth > 0 || !pipe->closed)
        return;
    pipe->magic = 0;
    free(pipe);
}

void pipe_end(struct pipe *pipe, uint32_t code, const char *reason)
{
    if (pipe->ended || pipe->closed)
        return;
    pipe->ended = true;
    pipe_update_interest(pipe);
    pipe->events->ended(pipe->arg, code, reason);
}

static void on_probe(void *arg)
{
    struct pipe *pipe = (struct pipe *)arg;
    pipe_enter(pipe);
    pipe->probe = NULL;
    struct pollfd pollfd = {.fd = pipe->fd, .events = 0};
    if (pipe->interest == 0 && !pipe->ended && poll(&pollfd, 1, 0) == 1 &&
        (pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        pipe_end(pipe, BURROW_CLOSE_LOST, "connection reset by the peer");
    else
        pipe_update_interest(pipe);
    pipe_leave(pipe);
}

void pipe_update_interest(struct pipe *pipe)
{
    if (pipe->closed)
        return;
    int interest = 0;
    if (!pipe->ended)
        interest = (pipe->reading ? BURROW_READ : 0) | (pipe->want_write ? BURROW_WRITE : 0);
    if (interest != pipe->interest && pipe->host->rewatch(pipe->watch, interest) == BURROW_OK)
        pipe->interest = interest;
    if (interest == 0 && !pipe->ended && pipe->probe == NULL)
        pipe->probe = pipe->host->after(pipe->host->self, PROBE_MS, on_probe, pipe);
}

/* Hands a batch on. The callee may close the pipe in either call. */
static void deliver(struct pipe *pipe, uint8_t *p, size_t n)
{
    pipe->in_data = true;
    pipe->events->data(pipe->arg, p, n);
    if (!pipe->closed)
        pipe->events->batch_end(pipe->arg);
    pipe->in_data = false;
}

/* The socket's end or failure, told with the reason that says most. */
static void end_of_input(struct pipe *pipe, uint32_t code, const char *reason)
{
    if (pipe->send_failed && code != BURROW_CLOSE_TLS)
        pipe_end(pipe, BURROW_CLOSE_LOST, pipe->reason);
    else
        pipe_end(pipe, code, reason);
}

static void read_plain(struct pipe *pipe)
{
    uint8_t *p = (uint8_t *)pipe->host->scratch(pipe->host->self, PIPE_SCRATCH);
    if (p == NULL) {
        pipe_end(pipe, BURROW_CLOSE_LOST, "out of memory");
        return;
    }
    ssize_t n = recv(pipe->fd, p, PIPE_SCRATCH, MSG_DONTWAIT);
    if (n > 0)
        deliver(pipe, p, (size_t)n);
    else if (n == 0)
        end_of_input(pipe, BURROW_CLOSE_PEER, "the peer closed the connection");
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        end_of_input(pipe, BURROW_CLOSE_LOST, strerror(errno));
}

/* Fills the scratch record by record and hands it on in one piece: the host writes one gathered
 * batch per turn, not one per record. */
static void read_tls(struct pipe *pipe)
{
    uint8_t *p = (uint8_t *)pipe->host->scratch(pipe->host->self, PIPE_SCRATCH);
    if (p == NULL) {
        pipe_end(pipe, BURROW_CLOSE_LOST, "out of memory");
        return;
    }
    size_t n = 0;
    int error = SSL_ERROR_NONE, system_error = 0;
    while (n < PIPE_SCRATCH) {
        ERR_clear_error();
        errno = 0;
        int r = SSL_read(pipe->ssl, p + n, (int)(PIPE_SCRATCH - n));
        if (r <= 0) {
            system_error = errno;
            error = SSL_get_error(pipe->ssl, r);
            break;
        }
        n += (size_t)r;
    }
    uint32_t code = BURROW_CLOSE_PEER;
    char reason[TLS_REASON] = "the peer closed the connection";
    bool over =
        error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    if (over && error != SSL_ERROR_ZERO_RETURN)
        code = tls_reason(pipe->ssl, error, system_error, reason);
    if (n > 0)
        deliver(pipe, p, n);
    if (pipe->closed || pipe->ended)
        return;
    if (over)
        end_of_input(pipe, code, reason);
    else if (n == PIPE_SCRATCH && pipe->reading && SSL_has_pending(pipe->ssl))
        pipe->host->feed(pipe->watch, BURROW_READ);
}

static void on_ready(void *arg, int events)
{
    struct pipe *pipe = (struct pipe *)arg;
    pipe_enter(pipe);
    if ((events & BURROW_WRITE) != 0 && !pipe->ended)
        pipe_write(pipe);
    if ((events & BURROW_READ) != 0 && pipe->reading && !pipe->ended && !pipe->closed) {
        if (pipe->ssl != NULL)
            read_tls(pipe);
        else
            read_plain(pipe);
        /* SSL_read may have written too (KeyUpdate, alerts). */
        bool wrote = pipe->cipher_len > pipe->cipher_off && !pipe->want_write;
        if (!pipe->closed && !pipe->ended && (pipe->flush_wanted || wrote))
            pipe_write(pipe);
    }
    pipe_update_interest(pipe);
    pipe_leave(pipe);
}

static void prepare_socket(int fd)
{
    /* Both fail harmlessly on a Unix socket. */
    int on = 1, unsent = NOTSENT_LOWAT;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
}

struct pipe *pipe_create(const struct burrow_host *host, int fd, SSL *ssl,
                         const struct pipe_events *events, void *arg)
{
    struct pipe *pipe = (struct pipe *)calloc(1, sizeof *pipe);
    if (pipe == NULL)
        return NULL;
    pipe->magic = PIPE_MAGIC;
    pipe->host = host;
    pipe->fd = fd;
    pipe->ssl = ssl;
    pipe->events = events;
    pipe->arg = arg;
    pipe->tail = &pipe->head;
    pipe->watermark = WATERMARK_DEFAULT;
    pipe->reading = true;
    pipe->interest = BURROW_READ;
    if (ssl != NULL && pipe_tls_attach(pipe) < 0)
        goto no_tls;
    pipe->watch = host->watch(host->self, fd, BURROW_READ, on_ready, pipe);
    if (pipe->watch == NULL)
        goto no_watch;
    prepare_socket(fd);
    if (ssl != NULL) {
        SSL_set_read_ahead(ssl, 1);
        SSL_set_default_read_buffer_len(ssl, TLS_READ_BUFFER);
        /* The handshake may have taken data from the socket already. */
        if (SSL_has_pending(ssl))
            host->feed(pipe->watch, BURROW_READ);
    }
    return pipe;
no_watch:
    if (ssl != NULL)
        pipe_tls_detach(pipe);
no_tls:
    free(pipe);
    return NULL;
}

void pipe_close(struct pipe *pipe)
{
    pipe_enter(pipe);
    must(!pipe->closed);
    pipe->closed = true;
    pipe->host->unwatch(pipe->watch);
    pipe->watch = NULL;
    pipe->host->cancel(pipe->probe);
    pipe->probe = NULL;
    bool cut = pipe->cipher_len > pipe->cipher_off;
    pipe_give_up_queue(pipe);
    if (pipe->ssl != NULL) {
        /* A close_notify after half a record would be noise. */
        if (cut)
            SSL_set_quiet_shutdown(pipe->ssl, 1);
        pipe_tls_detach(pipe);
    }
    pipe_leave(pipe);
}

void pipe_read_enable(struct pipe *pipe, int on)
{
    must(pipe->magic == PIPE_MAGIC);
    if (pipe->reading == (on != 0) || pipe->closed || pipe->ended)
        return;
    pipe->reading = on != 0;
    pipe_update_interest(pipe);
    if (pipe->reading && pipe->ssl != NULL && SSL_has_pending(pipe->ssl))
        pipe->host->feed(pipe->watch, BURROW_READ);
}
