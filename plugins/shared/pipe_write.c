/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipe's sending side: the queue, the gathered write, and the TLS records.
 *
 * Plain buffers go out by one sendmsg for many of them. Behind TLS a write BIO of our own takes
 * the records instead of the socket: a flush encrypts a run of buffers into the loop's scratch
 * memory and sends them with one call, which is worth 30 to 50 % over a call per record. What
 * the kernel does not take is kept; nothing more is encrypted until it is gone, so at most one
 * run waits. Small neighbours share a record.
 */
#include "pipe_internal.h"
#include "tls_reason.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define IOV_RUN 128
#define RECORD 16384u
/* More than a record's header, nonce, tag and padding in any suite. */
#define RECORD_OVERHEAD 512u
/* Records are collected up to about here, then sent. */
#define COLLECT (128u * 1024u)
/* Bound for what the library writes on its own account (KeyUpdate answers) to a peer that does
 * not read, on top of one run. */
#define CIPHER_MAX (512u * 1024u)

/* A copy of pipe_send_copy is told from a host's buffer by capacity 0, which no host's has. */
static bool is_copy(const struct burrow_buf *buf)
{
    return buf->capacity == 0;
}

/* Frees our copies in the chain and gives the rest back. */
static void release(struct pipe *pipe, struct burrow_buf *chain)
{
    struct burrow_buf *theirs = NULL, **tail = &theirs;
    while (chain != NULL) {
        struct burrow_buf *next = chain->next;
        if (is_copy(chain)) {
            free(chain);
        } else {
            *tail = chain;
            tail = &chain->next;
        }
        chain = next;
    }
    *tail = NULL;
    if (theirs != NULL)
        pipe->events->release(pipe->arg, theirs);
}

void pipe_give_up_queue(struct pipe *pipe)
{
    struct burrow_buf *chain = pipe->head;
    pipe->head = NULL;
    pipe->tail = &pipe->head;
    pipe->queue_bytes = 0;
    pipe->head_sent = 0;
    free(pipe->cipher);
    pipe->cipher = NULL;
    pipe->cipher_off = pipe->cipher_len = pipe->cipher_capacity = 0;
    release(pipe, chain);
}

static void queued_more(struct pipe *pipe)
{
    if (pipe_queued(pipe) >= pipe->watermark)
        pipe->above = true;
}

void pipe_send(struct pipe *pipe, struct burrow_buf *chain)
{
    must(pipe->magic == PIPE_MAGIC && !pipe->closed);
    *pipe->tail = chain;
    while (*pipe->tail != NULL) {
        pipe->queue_bytes += (*pipe->tail)->len;
        pipe->tail = &(*pipe->tail)->next;
    }
    queued_more(pipe);
}

int pipe_send_copy(struct pipe *pipe, const void *p, size_t n)
{
    if (n > UINT32_MAX - sizeof(struct burrow_buf))
        return BURROW_ENOMEM;
    struct burrow_buf *buf = (struct burrow_buf *)malloc(sizeof *buf + n);
    if (buf == NULL)
        return BURROW_ENOMEM;
    *buf = (struct burrow_buf){.base = (uint8_t *)(buf + 1), .len = (uint32_t)n};
    memcpy(buf->base, p, n);
    pipe_send(pipe, buf);
    return BURROW_OK;
}

size_t pipe_queued(const struct pipe *pipe)
{
    return pipe->queue_bytes + (pipe->cipher_len - pipe->cipher_off);
}

void pipe_set_watermark(struct pipe *pipe, size_t bytes)
{
    must(pipe->magic == PIPE_MAGIC);
    pipe->watermark = bytes > 0 ? bytes : 1;
    queued_more(pipe);
}

void pipe_shutdown(struct pipe *pipe)
{
    must(pipe->magic == PIPE_MAGIC);
    pipe->fin_wanted = true;
    pipe->want_write = true;
    pipe_update_interest(pipe);
}

/* Takes n bytes from the queue's head and appends the buffers that are done to *tail. */
static struct burrow_buf **consume(struct pipe *pipe, size_t n, struct burrow_buf **tail)
{
    pipe->queue_bytes -= n;
    n += pipe->head_sent;
    while (pipe->head != NULL && n >= pipe->head->len) {
        struct burrow_buf *buf = pipe->head;
        n -= buf->len;
        pipe->head = buf->next;
        *tail = buf;
        tail = &buf->next;
    }
    if (pipe->head == NULL)
        pipe->tail = &pipe->head;
    pipe->head_sent = n;
    *tail = NULL;
    return tail;
}

/* A send failed with errno. What came before a reset can still be read and may tell why (a TLS
 * alert, an error frame), so the end waits for the reading side if that is on. */
static void failed(struct pipe *pipe)
{
    int error = errno;
    pipe->send_failed = true;
    pipe->want_write = false;
    snprintf(pipe->reason, sizeof pipe->reason, "%s", strerror(error));
    pipe->end_due = !pipe->reading || (error != EPIPE && error != ECONNRESET);
    pipe->end_code = BURROW_CLOSE_LOST;
}

/* true: the kernel was full. false: errno tells a failure. */
static bool is_full(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static void write_plain(struct pipe *pipe, struct burrow_buf **done)
{
    while (pipe->head != NULL) {
        struct iovec iov[IOV_RUN];
        size_t count = 0, total = 0, skip = pipe->head_sent;
        for (struct burrow_buf *buf = pipe->head; buf != NULL && count < IOV_RUN; buf = buf->next) {
            iov[count].iov_base = buf->base + buf->off + skip;
            iov[count].iov_len = buf->len - skip;
            total += iov[count++].iov_len;
            skip = 0;
        }
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
        ssize_t n = sendmsg(pipe->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && !is_full()) {
            failed(pipe);
            return;
        }
        if (n >= 0)
            done = consume(pipe, (size_t)n, done);
        if (n < 0 || (size_t)n < total) {
            pipe->want_write = true;
            return;
        }
    }
}

/* Sends the kept records. true: all are gone. */
static bool send_kept(struct pipe *pipe)
{
    while (pipe->cipher_len > pipe->cipher_off) {
        ssize_t n = send(pipe->fd, pipe->cipher + pipe->cipher_off,
                         pipe->cipher_len - pipe->cipher_off, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            if (is_full())
                pipe->want_write = true;
            else
                failed(pipe);
            return false;
        }
        pipe->cipher_off += (size_t)n;
    }
    pipe->cipher_off = pipe->cipher_len = 0;
    return true;
}

/* Appends records to the kept ones. */
static int keep(struct pipe *pipe, const uint8_t *p, size_t n)
{
    if (n > CIPHER_MAX - pipe->cipher_len)
        return BURROW_ENOMEM;
    size_t need = pipe->cipher_len + n;
    if (need > pipe->cipher_capacity) {
        size_t capacity = pipe->cipher_capacity > 0 ? pipe->cipher_capacity : 256;
        while (capacity < need)
            capacity *= 2;
        uint8_t *grown = (uint8_t *)realloc(pipe->cipher, capacity);
        if (grown == NULL)
            return BURROW_ENOMEM;
        pipe->cipher = grown;
        pipe->cipher_capacity = capacity;
    }
    memcpy(pipe->cipher + pipe->cipher_len, p, n);
    pipe->cipher_len = need;
    return BURROW_OK;
}

static int bio_write(BIO *bio, const char *data, size_t n, size_t *ret_written)
{
    struct pipe *pipe = (struct pipe *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (pipe->collect != NULL && pipe->cipher_len == 0 &&
        n <= pipe->collect_capacity - pipe->collect_len) {
        memcpy(pipe->collect + pipe->collect_len, data, n);
        pipe->collect_len += n;
    } else if (keep(pipe, (const uint8_t *)data, n) < 0) {
        return 0;
    }
    *ret_written = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *p)
{
    (void)bio;
    (void)number;
    (void)p;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP ? 1 : 0;
}

int pipe_tls_attach(struct pipe *pipe)
{
    /* A method per pipe: a shared one would be a mutable global. */
    pipe->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "burrow pipe");
    if (pipe->method == NULL)
        return BURROW_ENOMEM;
    BIO *bio = NULL;
    if (BIO_meth_set_write_ex(pipe->method, bio_write) != 1 ||
        BIO_meth_set_ctrl(pipe->method, bio_ctrl) != 1 || (bio = BIO_new(pipe->method)) == NULL) {
        BIO_meth_free(pipe->method);
        return BURROW_ENOMEM;
    }
    BIO_set_data(bio, pipe);
    BIO_set_init(bio, 1);
    pipe->ssl_own_wbio = SSL_get_wbio(pipe->ssl);
    if (pipe->ssl_own_wbio != NULL)
        BIO_up_ref(pipe->ssl_own_wbio);
    SSL_set0_wbio(pipe->ssl, bio);
    SSL_set_mode(pipe->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_set_options(pipe->ssl, SSL_OP_NO_RENEGOTIATION);
    return BURROW_OK;
}

void pipe_tls_detach(struct pipe *pipe)
{
    SSL_set0_wbio(pipe->ssl, pipe->ssl_own_wbio); /* frees ours */
    BIO_meth_free(pipe->method);
    pipe->ssl_own_wbio = NULL;
    pipe->method = NULL;
}

/*
 * Picks what goes into the next record: the rest of the head, up to a record, or as many whole
 * small buffers as fit in one, copied to `staging`. Returns its start and length.
 */
static const uint8_t *next_record(const struct pipe *pipe, uint8_t *staging, size_t *ret_n)
{
    const struct burrow_buf *buf = pipe->head;
    size_t rest = buf->len - pipe->head_sent;
    const uint8_t *p = buf->base + buf->off + pipe->head_sent;
    if (rest >= RECORD || buf->next == NULL || buf->next->len > RECORD - rest) {
        *ret_n = rest < RECORD ? rest : RECORD;
        return p;
    }
    memcpy(staging, p, rest);
    for (buf = buf->next; buf != NULL && buf->len <= RECORD - rest; buf = buf->next) {
        memcpy(staging + rest, buf->base + buf->off, buf->len);
        rest += buf->len;
    }
    *ret_n = rest;
    return staging;
}

/* Encrypts one run of records into the scratch. */
static int encrypt_run(struct pipe *pipe, uint8_t *staging, struct burrow_buf ***done)
{
    while (pipe->head != NULL && pipe->collect_len < COLLECT &&
           pipe->collect_capacity - pipe->collect_len >= RECORD + RECORD_OVERHEAD) {
        size_t n;
        const uint8_t *p = next_record(pipe, staging, &n);
        if (n > 0) {
            ERR_clear_error();
            errno = 0;
            int r = SSL_write(pipe->ssl, p, (int)n);
            if (r <= 0) {
                int system_error = errno;
                pipe->end_code =
                    tls_reason(pipe->ssl, SSL_get_error(pipe->ssl, r), system_error, pipe->reason);
                pipe->send_failed = pipe->end_due = true;
                return BURROW_EIO;
            }
            n = (size_t)r;
        }
        *done = consume(pipe, n, *done);
    }
    return BURROW_OK;
}

static void write_tls(struct pipe *pipe, struct burrow_buf **done)
{
    if (!send_kept(pipe))
        return;
    uint8_t *scratch = NULL;
    while (pipe->head != NULL && !pipe->send_failed) {
        if (scratch == NULL)
            scratch = (uint8_t *)pipe->host->scratch(pipe->host->self, PIPE_SCRATCH);
        if (scratch == NULL) {
            errno = ENOMEM;
            failed(pipe);
            return;
        }
        pipe->collect = scratch + RECORD;
        pipe->collect_capacity = PIPE_SCRATCH - RECORD;
        pipe->collect_len = 0;
        int r = encrypt_run(pipe, scratch, &done);
        const uint8_t *run = pipe->collect;
        size_t length = pipe->collect_len;
        pipe->collect = NULL;
        if (r < 0)
            return;
        ssize_t n = send(pipe->fd, run, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && !is_full()) {
            failed(pipe);
            return;
        }
        size_t sent = n > 0 ? (size_t)n : 0;
        if (sent < length) {
            if (keep(pipe, run + sent, length - sent) < 0) {
                errno = ENOMEM;
                failed(pipe);
            }
            pipe->want_write = true;
            return;
        }
    }
}

/* All is written: says farewell if that was asked for. */
static void finish(struct pipe *pipe)
{
    if (pipe->ssl != NULL && !pipe->notify_done) {
        pipe->notify_done = true;
        ERR_clear_error();
        (void)SSL_shutdown(pipe->ssl);
        if (!send_kept(pipe))
            return;
    }
    pipe->fin_done = true;
    (void)shutdown(pipe->fd, SHUT_WR);
}

void pipe_write(struct pipe *pipe)
{
    struct burrow_buf *done = NULL;
    pipe->want_write = false;
    pipe->flush_wanted = false;
    if (!pipe->send_failed && pipe->ssl != NULL)
        write_tls(pipe, &done);
    else if (!pipe->send_failed)
        write_plain(pipe, &done);
    if (!pipe->send_failed && pipe_queued(pipe) == 0) {
        free(pipe->cipher);
        pipe->cipher = NULL;
        pipe->cipher_capacity = 0;
        if (pipe->fin_wanted && !pipe->fin_done)
            finish(pipe);
    }
    if (done != NULL)
        release(pipe, done);
    if (pipe->closed)
        return;
    if (pipe->send_failed) {
        pipe_give_up_queue(pipe);
        if (pipe->end_due)
            pipe_end(pipe, pipe->end_code, pipe->reason);
    } else if (pipe->above && pipe_queued(pipe) < pipe->watermark) {
        pipe->above = false;
        pipe->events->drained(pipe->arg);
    }
}

void pipe_flush(struct pipe *pipe)
{
    pipe_enter(pipe);
    if (pipe->in_data)
        pipe->flush_wanted = true; /* the scratch holds what data passed */
    else if (!pipe->closed && !pipe->ended)
        pipe_write(pipe);
    pipe_update_interest(pipe);
    pipe_leave(pipe);
}
