/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of transport-tls: an instance (plugin.c), how its connections come about
 * (connect.c), and their life from there on (conn.c).
 */
#ifndef TRANSPORT_TLS_H
#define TRANSPORT_TLS_H

#include "must.h"
#include "pipe.h"
#include "tls_context.h"
#include "tls_reason.h"

#define TRANSPORT_MAGIC 0x31534C54u /* "TLS1" */
#define CONN_MAGIC 0x434E4F43u      /* "CONC" */

#define ALPN "burrow/2"
#define HANDSHAKE_MS 10000u
#define FAREWELL_MS 1000u

/* A host name has at most 255 bytes. */
#define HOST_SIZE 256

enum metric { METRIC_HANDSHAKES, METRIC_HANDSHAKE_FAILURES, METRIC_RESUMPTIONS };

struct config {
    struct tls_options tls;
};

struct transport {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_transport_host *events;
    SSL_CTX *server; /* NULL: no certificate is configured */
    SSL_CTX *client;
    const struct config *config; /* whose files are watched */
    struct burrow_files *files;
    bool skip_verify, stopping, said_no_certificate;
    struct conn *conns;
    /* The newest session of the server that was dialled last: resuming it spares both sides
     * most of a handshake's work, which counts when many clients come back at once. */
    SSL_SESSION *session;
    char session_host[HOST_SIZE];
    uint16_t session_port;
};

enum stage {
    STAGE_HANDSHAKE, /* TLS is under way */
    STAGE_ASKING,    /* the host judges the client's certificate */
    STAGE_ADMITTED,  /* it may open, on the next turn */
    STAGE_OPEN,
    STAGE_FAREWELL, /* closed by the host: the rest is being sent */
    STAGE_OVER,     /* `closed` comes on the next turn */
};

struct conn {
    uint32_t magic;
    enum stage stage;
    struct transport *transport;
    struct conn *prev, *next;
    struct burrow_link *link;
    int fd;
    SSL *ssl;
    struct pipe *pipe; /* from STAGE_OPEN on */
    /* Drives the handshake; then it is paused until it is fed, to bring `closed` on a
     * turn of its own without an allocation that could fail. */
    struct burrow_watch *watch;
    struct burrow_timer *timer; /* deadline of the handshake or of the farewell */
    size_t watermark;           /* 0: the pipe's default */
    bool reading, dialled, in_batch;
    struct burrow_addr peer; /* when accepted */
    uint16_t port;           /* of the URL, when dialled */
    char *host;              /* likewise; else NULL */
    uint32_t timeout_ms;
    uint32_t code; /* for `closed` */
    char reason[TLS_REASON];
};

int conn_accept(void *self, const struct burrow_accept *accept, struct burrow_link *link,
                void **ret_conn);
int conn_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
              void **ret_conn);
/* The answer about the certificate, as an op. */
void conn_admit(void *conn, const struct burrow_verdict *verdict);
/* TLS stands: messages may flow. */
void conn_open(struct conn *conn);
/* The connection is over; `closed` follows on the next turn. */
void conn_over(struct conn *conn, uint32_t code, const char *reason);
/* Frees all of it and raises `closed`. */
void conn_finish(struct conn *conn);
/* Frees what was made so far, without an event; fd is closed too. */
void conn_discard(struct conn *conn);

int conn_send(void *conn, struct burrow_buf *chain);
size_t conn_queued(void *conn);
void conn_set_watermark(void *conn, size_t bytes);
void conn_flush(void *conn);
void conn_read_enable(void *conn, uint32_t on);
void conn_close(void *conn, uint32_t code, const char *why);

#endif
