/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe carries bytes over a connected socket, plain or through an SSL, as fast as the
 * machine allows: it reads up to 256 KiB a turn into the loop's scratch memory and hands it
 * on in place; it queues buffers without copying them and writes them gathered (writev, or
 * whole runs of TLS records collected in a memory BIO) when it is told to flush. The
 * transports put their framing into the buffers before.
 */
#ifndef SHARED_PIPE_H
#define SHARED_PIPE_H

#include <burrow/transport.h>
#include <openssl/ssl.h>

struct pipe;

/* Called from the loop or from pipe_flush, never from inside another pipe_ call; after
 * `ended` no more come. Each may call pipe_close. */
struct pipe_events {
    /* n bytes, which the callee may change in place, valid until batch_end returned. */
    void (*data)(void *arg, uint8_t *p, size_t n);
    void (*batch_end)(void *arg);
    void (*drained)(void *arg);
    /* Buffers that were sent or given up, as they were queued. Also called from pipe_close. */
    void (*release)(void *arg, struct burrow_buf *chain);
    /* The peer's end (BURROW_CLOSE_PEER: an orderly EOF) or BURROW_CLOSE_LOST, _TLS. */
    void (*ended)(void *arg, uint32_t code, const char *reason);
};

/* ssl may be NULL; it must be past its handshake. The pipe drives fd and ssl from now on but
 * owns neither (libwebsockets or the caller frees them). It sets what it needs on ssl: a
 * memory write BIO, partial and moving writes, released buffers, read-ahead. NULL: out of
 * memory. */
struct pipe *pipe_create(const struct burrow_host *host, int fd, SSL *ssl,
                         const struct pipe_events *events, void *arg);
/* Stops the watch and releases all that is queued. No event but release follows. */
void pipe_close(struct pipe *pipe);

/* Queues buffers, the bytes base + off … + len each, as they are. They stay unchanged until
 * release. Nothing is written before pipe_flush. */
void pipe_send(struct pipe *pipe, struct burrow_buf *chain);
/* Queues a copy of a few bytes of the caller's (a CLOSE, a PONG, an HTTP response); 0 or
 * BURROW_ENOMEM. */
int pipe_send_copy(struct pipe *pipe, const void *p, size_t n);
size_t pipe_queued(const struct pipe *pipe);
void pipe_set_watermark(struct pipe *pipe, size_t bytes);
/* Uses the loop's scratch: inside `data` and `batch_end` of this pipe it is put off until they
 * have returned; it must not be called inside those of another. */
void pipe_flush(struct pipe *pipe);
void pipe_read_enable(struct pipe *pipe, int on);
/* Half of a farewell: after the queue is written, shut the sending side down (close_notify
 * and FIN). Needs no flush. Reading goes on; a peer that resets while reading is off is found
 * within a second. */
void pipe_shutdown(struct pipe *pipe);

#endif
