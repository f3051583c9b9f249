/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport plugins: carry the frames of a session over a connection.
 *
 * The host owns the listening sockets, the name look-ups and the way to a server, which may
 * lead through a proxy: a transport is handed accepted or connected descriptors. Life of an
 * incoming connection:
 *
 *   ops->accept → [host->authenticate → ops->admit] → host->accepted →
 *   {host->data … host->batch_end, ops->send, ops->flush …} → host->closed
 *
 * and of an outgoing one: ops->dial → host->connected → {…} → host->closed. A failure at
 * any stage is host->closed, with the reason; `closed` is always the last event of a link,
 * and the conn is gone when it returns. It is never called from inside an op: accept, dial
 * and send return an error, or it follows on a later turn.
 */
#ifndef BURROW_TRANSPORT_H
#define BURROW_TRANSPORT_H

#include <burrow/auth.h>
#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_TRANSPORT_ABI 0u /* kind_abi of this header */

struct burrow_link;         /* the host's name for one connection */
struct burrow_http_request; /* the host's name for one HTTP request under way */

/* Bytes before the payload that a buffer always has free, for the transport's header. */
#define BURROW_HEADROOM 50u

/*
 * One message to send: `len` bytes at base + off. The host sees to it that off is at least
 * BURROW_HEADROOM and that off + len <= capacity, and mask is zero. A transport may write
 * below off and use `next` to queue it. When it gives the buffer back, off and len are as they
 * were, and so is the payload but for a mask that was laid over it in place: byte i is XORed
 * with mask[i & 3] (RFC 6455, 5.3). Who needs the bytes again takes it off; who does not,
 * which is nearly always, saves that pass over them.
 */
struct burrow_buf {
    struct burrow_buf *next; /* of a chain, or NULL */
    uint8_t *base;           /* the host's memory */
    uint32_t capacity;       /* bytes at base */
    uint32_t off;            /* where the payload begins */
    uint32_t len;            /* bytes of payload */
    uint8_t mask[4];         /* what was laid over the payload; zero: nothing */
};

/* Why a link is closed; a transport maps it to its own codes (RFC 6455, 7.4.1). */
#define BURROW_CLOSE_NORMAL 0u     /* this side is done */
#define BURROW_CLOSE_GOING_AWAY 1u /* this side is stopping or restarting: try again */
#define BURROW_CLOSE_PROTOCOL 2u   /* the peer broke a rule */
#define BURROW_CLOSE_POLICY 3u     /* the peer is not allowed */
#define BURROW_CLOSE_INTERNAL 4u   /* this side failed */
#define BURROW_CLOSE_TOO_BIG 5u    /* a message over the limit */
#define BURROW_CLOSE_ABORT 6u      /* drop at once, send nothing more */
/* Only in `closed`: */
#define BURROW_CLOSE_PEER 7u         /* the peer ended it in order */
#define BURROW_CLOSE_LOST 8u         /* the network or the peer's process failed */
#define BURROW_CLOSE_REFUSED 9u      /* dial: the peer answered with a refusal; see details */
#define BURROW_CLOSE_UNREACHABLE 10u /* dial: no connection */
#define BURROW_CLOSE_TLS 11u         /* the TLS handshake or certificate check failed */

/* Borrowed during host->closed. */
struct burrow_close_info {
    uint32_t size;        /* sizeof of this struct, as its giver knows it */
    uint32_t code;        /* BURROW_CLOSE_* */
    uint32_t http_status; /* with REFUSED by an HTTP transport, else 0 */
    uint32_t auth_code;   /* with REFUSED: BURROW_CODE_* as far as the peer named one, else 0 */
    const char *reason;   /* one short line for the log; never NULL */
};

#define BURROW_ROLE_MAIN 1u  /* a listener for clients */
#define BURROW_ROLE_ADMIN 2u /* --admin-addr: HTTP requests only, no sessions */

/* An accepted, non-blocking TCP (or Unix) socket of a listener that the host opened: of
 * --server-addr, --tls-addr or --admin-addr, or of `--listen NAME=ADDRESS` for the transport NAME.
 * The transport owns fd from the call on, also when accept fails. */
struct burrow_accept {
    uint32_t size;            /* sizeof of this struct, as its giver knows it */
    uint32_t role;            /* BURROW_ROLE_* */
    int32_t fd;               /* the transport's from now on */
    uint32_t tls;             /* ADMIN is plain (0); MAIN as the transport is configured */
    struct burrow_addr peer;  /* who has connected */
    struct burrow_addr local; /* to which address */
};

/* One attempt to reach a server, by a connected, non-blocking socket. The transport owns fd
 * from the call on, also when dial fails. */
struct burrow_dial {
    uint32_t size;           /* sizeof of this struct, as its giver knows it */
    int32_t fd;              /* the transport's from now on; -1: see addr */
    const char *scheme;      /* one of ops->schemes: "ws", "tls", or a plugin's own */
    const char *host;        /* of the URL: Host header, SNI and certificate name; no brackets;
                                "" in x:///PATH */
    uint16_t port;           /* of the URL */
    uint16_t reserved2;      /* 0 */
    uint32_t timeout_ms;     /* TLS and upgrade together */
    const char *path;        /* "/ws", with query if any; "" for schemes without paths */
    const char *token;       /* for the Authorization header; NULL: none is sent */
    struct burrow_addr addr; /* what fd is connected to: the server, or a proxy; family 0
                                and fd -1: connect by path alone (x:///PATH) */
};

#define BURROW_HTTP_TRUSTED_PEER 1u /* loopback peer that sent no forwarding header */

/* One HTTP request that is not an upgrade to a session. Borrowed during http_request. */
struct burrow_http {
    uint32_t size;             /* sizeof of this struct, as its giver knows it */
    uint32_t role;             /* BURROW_ROLE_* of the listener it came by */
    uint32_t flags;            /* BURROW_HTTP_* */
    uint32_t reserved;         /* 0 */
    const char *method;        /* "GET", "HEAD"; other methods the transport refuses with 405 */
    const char *path;          /* decoded and normalised, without the query */
    const char *query;         /* raw, without '?'; "" if none */
    const char *authorization; /* the header's value, or NULL */
    struct burrow_addr peer;   /* who is connected */
};

/* The answer to one HTTP request. */
struct burrow_http_response {
    uint32_t size;            /* sizeof of this struct, as its giver knows it */
    uint32_t status;          /* 200 and its like */
    const char *content_type; /* the header's value */
    const char *body;         /* borrowed until http_respond returns */
    size_t body_len;          /* bytes at body; may be 0 */
};

/* Flags of ops. */
#define BURROW_TRANSPORT_HTTP 1u     /* carries HTTP requests */
#define BURROW_TRANSPORT_MESSAGES 2u /* keeps message borders (version 1 needs them) */
/* Shows burrow_dial.token to the peer, whose transport passes it to host->authenticate. Without
 * it the client puts its token into the register frame. */
#define BURROW_TRANSPORT_TOKEN 4u

/* What the host gives to transport plugins, by ops->bind. */
struct burrow_transport_host {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    /* The peer has shown its credential; the transport waits for ops->admit. Skipped where
     * the transport has no place for one: then the register frame must carry a token. */
    void (*authenticate)(struct burrow_link *, const struct burrow_credential *);
    void (*accepted)(struct burrow_link *);  /* incoming: messages may flow */
    void (*connected)(struct burrow_link *); /* outgoing: messages may flow */
    /* Received bytes in any split, borrowed until batch_end. message_end: a message of the
     * peer ends with these bytes (always 0 without BURROW_TRANSPORT_MESSAGES). n may be 0
     * only with message_end. The host may call send and close inside. */
    void (*data)(struct burrow_link *, const uint8_t *p, size_t n, uint32_t message_end);
    /* Nothing of what data passed is needed by the transport any more; called once after
     * each series of data calls, before the memory is used again. The transport itself
     * must have returned from all its own work on the link's state that close may end. */
    void (*batch_end)(struct burrow_link *);
    /* The queue, which had reached the watermark, has fallen below it: once per crossing. */
    void (*drained)(struct burrow_link *);
    /* Call ops->flush at the end of this turn, though no send came (for PONG, CLOSE). */
    void (*want_flush)(struct burrow_link *);
    void (*release)(struct burrow_link *, struct burrow_buf *chain); /* all buffers of it */
    /* The last event of every link, exactly once, after all buffers were released. */
    void (*closed)(struct burrow_link *, const struct burrow_close_info *);
    /* Answered exactly once by ops->http_respond, perhaps later, or cancelled by
     * http_cancel when the peer is gone. `token` is the transport's name for it. */
    void (*http_request)(struct burrow_link *, void *token, const struct burrow_http *);
    /* The peer of a request is gone: it is not answered any more. */
    void (*http_cancel)(struct burrow_link *, void *token);
};

/* What a transport plugin does. */
struct burrow_transport_ops {
    uint32_t size;              /* sizeof of this struct, as its giver knows it */
    uint32_t flags;             /* a set of BURROW_TRANSPORT_* */
    const char *const *schemes; /* that dial understands; ends with NULL */
    void (*bind)(void *self, const struct burrow_transport_host *host); /* once, before start */
    /* Takes a connection of a listener of the host's: 0 with *ret_conn, and `accepted` or `closed`
     * follows on a later turn; or a negative result, and then no event comes. */
    int (*accept)(void *self, const struct burrow_accept *, struct burrow_link *, void **ret_conn);
    /* Begins a session with a server, in the same way; `connected` or `closed` follows. */
    int (*dial)(void *self, const struct burrow_dial *, struct burrow_link *, void **ret_conn);
    /* Answers authenticate: goes on to accepted, or refuses in the transport's own way
     * (401 with the code, 503) and closes. Of the verdict, result, code and request_id are
     * for it. */
    void (*admit)(void *conn, const struct burrow_verdict *);
    /* Queues the whole chain, or fails, releases it and closes the link on a later turn.
     * Each buffer is one message. Nothing is written before flush. */
    int (*send)(void *conn, struct burrow_buf *chain);
    /* Bytes that were given to send and have not been released, with transport overhead as
     * far as known. */
    size_t (*queued)(void *conn);
    void (*set_watermark)(void *conn, size_t bytes); /* default 256 KiB */
    void (*flush)(void *conn); /* writes what the socket takes; called at the end of a turn */
    void (*read_enable)(void *conn, uint32_t on); /* on at first */
    /* Sends what is queued and the transport's own farewell, at most for a second (not with
     * ABORT), then closed. No data or drained event comes after it. Calling it again is
     * allowed and shortens the wait. */
    void (*close)(void *conn, uint32_t code, const char *why);
    /* Answers http_request; not after http_cancel or `closed`. Optional without
     * BURROW_TRANSPORT_HTTP. */
    void (*http_respond)(void *self, void *token, const struct burrow_http_response *);
};

#ifdef __cplusplus
}
#endif
#endif
