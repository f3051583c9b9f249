/* SPDX-License-Identifier: Apache-2.0 */
/* What pipe.c (life, reading) and pipe_write.c (queue, flush) share. */
#ifndef SHARED_PIPE_INTERNAL_H
#define SHARED_PIPE_INTERNAL_H

#include "must.h"
#include "pipe.h"
#include "tls_reason.h"

#include <stdbool.h>

#define PIPE_MAGIC 0x45504950u /* "PIPE" */

/* One turn reads at most this much, and a flush of TLS works in as much: the loop's scratch. */
#define PIPE_SCRATCH (256u * 1024u)

struct pipe {
    uint32_t magic;
    int fd;
    SSL *ssl; /* NULL: plain */
    const struct burrow_host *host;
    const struct pipe_events *events;
    void *arg;
    struct burrow_watch *watch;
    int interest;               /* what the watch waits for now */
    unsigned depth;             /* how many of our frames are on the stack: no free before 0 */
    struct burrow_timer *probe; /* looks for a reset while nothing is watched */

    /* Buffers not yet written (plain) or not yet encrypted (TLS). */
    struct burrow_buf *head, **tail;
    size_t queue_bytes; /* of them, without head_sent */
    size_t head_sent;   /* bytes of head that are gone */

    /* TLS: records that the kernel has not taken yet, and what SSL writes outside a flush. */
    uint8_t *cipher;
    size_t cipher_off, cipher_len, cipher_capacity;
    /* TLS: the part of the scratch where a flush collects records; NULL outside one. */
    uint8_t *collect;
    size_t collect_len, collect_capacity;
    BIO_METHOD *method;
    BIO *ssl_own_wbio; /* what ssl wrote to before us, put back by pipe_close */

    size_t watermark;
    bool above;        /* the queue has reached the watermark; drained is due */
    bool reading;      /* pipe_read_enable */
    bool in_data;      /* data or batch_end is being called: the scratch is in use */
    bool flush_wanted; /* pipe_flush came meanwhile */
    bool want_write;   /* the kernel was full, or a shutdown is due */
    bool send_failed;  /* nothing can be sent any more; reading may still tell why */
    bool fin_wanted, notify_done, fin_done;
    bool ended, closed;
    bool end_due; /* a failed send ends the pipe, as soon as what it released is told */
    uint32_t end_code;
    char reason[TLS_REASON]; /* why sending failed */
};

static inline void pipe_enter(struct pipe *pipe)
{
    must(pipe != NULL && pipe->magic == PIPE_MAGIC);
    pipe->depth++;
}
/* Frees the pipe if it was closed meanwhile: the last thing a frame does with it. */
void pipe_leave(struct pipe *pipe);

/* Raises `ended`, once, and stops watching. */
void pipe_end(struct pipe *pipe, uint32_t code, const char *reason);
/* Makes the watch wait for what the pipe waits for. */
void pipe_update_interest(struct pipe *pipe);

/* Puts the write BIO on ssl; BURROW_ENOMEM leaves ssl as it was. And the reverse. */
int pipe_tls_attach(struct pipe *pipe);
void pipe_tls_detach(struct pipe *pipe);
/* Writes until the queue is empty or the kernel is full. Raises release, drained, ended. */
void pipe_write(struct pipe *pipe);
/* Gives every queued buffer back and forgets all unsent bytes. Raises release. */
void pipe_give_up_queue(struct pipe *pipe);

#endif
