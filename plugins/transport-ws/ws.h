/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the plugin share: the instance, the connection, and who does what with it.
 *
 *   ws_plugin.c  the descriptor, the instance's life, and the work left for a later turn
 *   ws_conn.c    an open WebSocket on its pipe: messages, pings, the closing handshake
 *   ws_server.c  libwebsockets: adopts sockets, does TLS and HTTP, finds upgrades, is parked
 *   ws_http.c    requests that are no upgrade
 *   ws_admit.c   the credential of an upgrade, and the answer to it
 *   ws_client.c  dials
 *   ws_tls.c     the TLS contexts, which follow their files
 */
#ifndef TRANSPORT_WS_H
#define TRANSPORT_WS_H

#include "ws_frame.h"
#include "ws_handshake.h"

#include <burrow/transport.h>
#include <must.h>
#include <openssl/ssl.h>
#include <pipe.h>
#include <tls_context.h>

struct lws;
struct lws_context;
struct lws_vhost;

#define WS_INSTANCE_MAGIC 0x49535742u
#define WS_CONN_MAGIC 0x43535742u

/* A message of ours is one frame of the tunnel: 64 KiB and its header. */
#define WS_MESSAGE_MAX (65536u + 14u)
/* A request or a TLS handshake that is not done by then is closed. */
#define WS_REQUEST_MS 10000u
/* How long a farewell may take. */
#define WS_FAREWELL_MS 1000u

struct ws_config {
    const char *path;
    struct burrow_list origins;
    struct tls_options tls;
};

enum ws_state {
    WS_HTTP,      /* accepted: libwebsockets reads requests */
    WS_SETTLING,  /* an upgrade was asked for; libwebsockets finishes its part */
    WS_ASKING,    /* parked; the host judges the credential */
    WS_ANSWERING, /* the host owes an answer to a plain request */
    WS_PARTING,   /* a last answer is on its way out, and no frame */
    WS_DIALING,   /* ws_client.c */
    WS_OPEN,
    WS_CLOSING, /* a Close frame was queued or came; no event but closed follows */
    WS_DOOMED,  /* closed follows on a later turn */
};

/* What an upgrade brought, until it is answered: ws_admit.c. */
struct ws_upgrade;
/* An answer with an error: a constant text without a newline; extra is a header line or NULL. */
struct ws_refusal {
    unsigned status;
    const char *text, *extra;
};

#define WS_UPGRADE_WEBSOCKET 1u
#define WS_UPGRADE_OTHER 2u
/* A dial until it is open or has failed: ws_client.c. */
struct ws_dialing;

struct ws_conn {
    uint32_t magic;
    enum ws_state state;
    struct ws_instance *self;
    struct burrow_link *link;
    struct ws_conn *prev, *next; /* of the instance */
    struct ws_conn *later_next;
    struct pipe *pipe; /* from WS_ASKING or the end of the dial on */
    struct burrow_timer *timer;
    size_t watermark;
    struct ws_parser parser;
    struct burrow_addr peer;
    uint32_t role;        /* BURROW_ROLE_* of an accepted connection */
    uint8_t client;       /* we dialled */
    uint8_t later;        /* WS_LATER_* */
    uint8_t later_listed; /* in the instance's list */
    uint8_t close_sent, close_received;
    uint8_t delivered; /* data was called, batch_end is due */
    uint8_t pong_wanted, pong_len;
    uint8_t paused;       /* read_enable(0) */
    uint8_t upgrade_seen; /* WS_UPGRADE_*: what the request asks for, or 0 */
    uint8_t http_pending; /* the host owes the answer to a request */
    uint8_t http_head;    /* it was HEAD: no body */
    uint8_t adopting;     /* inside the call that makes wsi */
    uint8_t pong[WS_CONTROL_MAX];

    struct lws *wsi; /* accepted: while libwebsockets has it */
    struct burrow_watch *settle;
    struct ws_upgrade *upgrade;

    struct ws_dialing *dialing;
    int fd;   /* dialled: ours; -1 otherwise */
    SSL *ssl; /* dialled: ours */

    /* What closed will say. */
    struct burrow_close_info info;
    char reason[192];
};

#define WS_LATER_OPEN 1u /* tell accepted, and read */
#define WS_LATER_END 2u  /* closed, and free */

struct ws_instance {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_transport_host *transport;
    struct ws_config config;
    struct ws_conn *conns;
    struct ws_conn *later_head, **later_tail;
    int wake_fd; /* never readable: its watch is fed */
    struct burrow_watch *wake;
    uint8_t stopping, stopped;

    uint8_t keys[256 * 4]; /* random masks, used from the end */
    size_t keys_left;

    struct lws_context *lws; /* made by the first accept */
    struct lws_vhost *plain, *tls;
    SSL_CTX *serve_tls; /* NULL: no certificate */
    SSL_CTX *dial_tls;  /* made by the first dial of wss */
    SSL_CTX *idle_tls;  /* libwebsockets' own for dialling, which it never does */
    struct burrow_files *files;
};

/* ws_plugin.c */
struct ws_conn *ws_conn_new(struct ws_instance *self, struct burrow_link *link);
/* Frees a connection that the host never heard of. */
void ws_conn_discard(struct ws_conn *conn);
/* Lets the flagged work be done on a later turn; cannot fail. */
void ws_later(struct ws_conn *conn, uint8_t flag);
/* The connection ends: closed follows on a later turn, with this reason if it is the first. */
__attribute__((format(printf, 3, 4))) void ws_doom(struct ws_conn *conn, uint32_t code,
                                                   const char *fmt, ...);
/* Replaces the connection's timer. Without memory for one the connection ends. */
void ws_timer(struct ws_conn *conn, uint64_t ms, burrow_timer_fn *fn);
void ws_timer_stop(struct ws_conn *conn);

/* ws_conn.c */
/* Drives fd and ssl from now on, which libwebsockets or conn owns. 0 or BURROW_ENOMEM. */
int ws_conn_attach(struct ws_conn *conn, int fd, SSL *ssl);
/* From now on bytes are frames. */
void ws_conn_open(struct ws_conn *conn);
/* Bytes of the peer that a handshake had not used. */
void ws_conn_receive(struct ws_conn *conn, uint8_t *p, size_t n);
int ws_conn_send(struct ws_conn *conn, struct burrow_buf *chain);
void ws_conn_flush(struct ws_conn *conn);
void ws_conn_close(struct ws_conn *conn, uint32_t code, const char *why);
/* A last answer that is no frame: sends it within so many ms, then ends with the code and
 * reason. */
void ws_conn_part(struct ws_conn *conn, const char *text, size_t len, uint64_t ms, uint32_t code,
                  const char *reason);

/* ws_server.c */
int ws_server_accept(struct ws_instance *self, const struct burrow_accept *accept,
                     struct burrow_link *link, void **ret_conn);
/* Lets libwebsockets free the connection's socket. */
void ws_server_release(struct ws_conn *conn);
void ws_server_finish(struct ws_instance *self);

/* ws_http.c; the pipe has the socket, and the head of wsi can still be read */
void ws_http_request(struct ws_conn *conn, struct lws *wsi);
void ws_http_refuse(struct ws_conn *conn, const struct ws_refusal *refusal);
void ws_http_respond(struct ws_conn *conn, const struct burrow_http_response *response);
/* The connection ends: cancels a request that the host has not answered. */
void ws_http_abandon(struct ws_conn *conn);

/* ws_admit.c */
/* Takes what the request's head says. 0, or negative with ret filled. */
int ws_upgrade_take(struct ws_conn *conn, struct lws *wsi, struct ws_refusal *ret);
/* The connection is parked: asks the host. */
void ws_upgrade_ask(struct ws_conn *conn);
void ws_upgrade_admit(struct ws_conn *conn, const struct burrow_verdict *verdict);
void ws_upgrade_free(struct ws_upgrade *upgrade);

/* ws_tls.c */
int ws_tls_create(struct ws_instance *self); /* self->serve_tls, if there is a certificate */
/* The context that libwebsockets has made: its connections get the one that is in force. 0 or -1.
 */
int ws_tls_fill(struct ws_instance *self, SSL_CTX *ctx);
int ws_tls_dial(struct ws_instance *self); /* self->dial_tls is there, or negative */
/* Watches the files, and reads them once more: they may have changed since create. */
int ws_tls_start(struct ws_instance *self);
/* On failure the contexts are what they were. */
int ws_tls_reload(struct ws_instance *self, const struct tls_options *tls);
void ws_tls_unwatch(struct ws_instance *self);
void ws_tls_finish(struct ws_instance *self);

/* ws_client.c */
int ws_client_dial(struct ws_instance *self, const struct burrow_dial *dial,
                   struct burrow_link *link, void **ret_conn);
void ws_client_data(struct ws_conn *conn, uint8_t *p, size_t n);
/* The response ended before it was whole. */
void ws_client_ended(struct ws_conn *conn, uint32_t code, const char *reason);
/* Ends a dial that is under way, if there is one. */
void ws_client_free(struct ws_conn *conn);

#endif
