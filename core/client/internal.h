/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client share: client.c (life, pauses, stopping), connect.c (from a
 * look-up to an admitted session), client_session.c (sessions), renew.c (a newer token for the
 * session), services.c (what it offers), streams.c (joining streams to targets). Nobody outside
 * core/client includes it.
 */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "client/backoff.h"
#include "client/client.h"
#include "client/proxy_connect.h"
#include "client/target.h"
#include "client/token.h"
#include "client/url.h"
#include "loop/connect.h"
#include "status/port.h"
#include "tunnel/session.h"
#include "wire/control.h"

#include <stdbool.h>
#include <sys/queue.h>

#define CLIENT_MAGIC 0x434c4930u
#define CLIENT_SESSION_MAGIC 0x434c5331u
/* The server's name: longer than the system waits for two name servers that are dead, 5 s each,
 * since an answer that comes when nobody waits for it is lost. */
#define LOOK_UP_MS 15000u
#define DIAL_TCP_MS 5000u     /* TCP to the server or to a proxy, at the third SYN the latest */
#define DIAL_SERVER_MS 10000u /* each: the proxy's answer, TLS and upgrade */
#define REGISTER_MS 10000u    /* until register_ack */
#define SMALL_WINDOW 16384u
#define STREAM_WINDOW (4u << 20)
#define SESSION_WINDOW (16u << 20)
#define OPEN_TIMEOUT_MS 10000u
#define LEAVING_MAX 4u /* sessions that are left at once; beyond that the oldest ends */
/* A server of version 1 does not tell its own. */
#define HEARTBEAT_V1_MS 10000u
#define TIMEOUT_V1_MS 30000u
/* What a server may ask of a session's pulse; beyond that it is set to the limit. */
#define HEARTBEAT_MIN_MS 100u
#define HEARTBEAT_MAX_MS 3600000u
#define TIMEOUT_MAX_MS 86400000u

enum client_state {
    CLIENT_IDLE,
    CLIENT_WAITING,     /* for the next attempt */
    CLIENT_RESOLVING,   /* the server's name */
    CLIENT_DIALING,     /* TCP, proxy, the transport's handshake */
    CLIENT_REGISTERING, /* register is sent, register_ack is not here */
    CLIENT_CONNECTED,
    CLIENT_STOPPING,
};

struct joining;
LIST_HEAD(joining_list, joining);

/* A session and what belongs to it alone. Besides the one in use a client has those that it
 * leaves, since their server drains: they take no new streams and end with their last. */
struct client_session {
    uint32_t magic;
    struct client *client;
    struct session *session;
    LIST_ENTRY(client_session) entry; /* while it is left */
    bool leaving, empty;              /* empty: it is left, and its last stream has ended */
    uint64_t connected_ms;
    char end_code[32];  /* of the server's error control, "" if none */
    char end_text[256]; /* its message */
};
LIST_HEAD(client_session_list, client_session);

struct client {
    uint32_t magic;
    enum client_state state;
    struct client_config config;
    const struct client_options *options;
    struct loop *loop;
    const struct log *log;

    struct server_url url;
    char connect_host[256];
    uint16_t connect_port;
    struct proxy proxy;
    struct target *targets;
    size_t target_count;
    uint16_t last_service_id; /* the highest that was given to a target */
    uint32_t services_serial; /* of the last `services` */
    bool services_changed;    /* since the register that is under way */
    uint16_t registered_id;   /* the first service of the register: version 1 has no other */
    char registered_target[sizeof((struct target *)0)->text];
    struct backoff services_backoff;
    struct loop_timer *services_timer; /* until refused ones are asked for again */
    struct token_source token_source;
    struct link_transport transport, http; /* http: for the admin address, or without ops */
    struct accept_guard guard;
    struct status_port *admin;
    char instance[CONTROL_INSTANCE];

    struct loop_timer *timer;   /* the pause, look-up, dial, register_ack, the end */
    struct loop_timer *refresh; /* look for a newer token; its answer */
    struct loop_lookup *lookup;
    struct burrow_addr addrs[CONNECT_MAX_ADDRESSES]; /* still to be tried */
    size_t addr_count;
    struct burrow_addr addr; /* that let us in */
    struct loop_connect *connecting;
    struct proxy_connect *proxying;
    char *token; /* of this attempt or session */
    struct burrow_link *link;
    struct frame_parser parser;
    uint8_t *gather;
    struct control *answer; /* register_ack or error */

    struct client_session *current; /* NULL: none, or an attempt is under way */
    struct client_session_list leaving;
    struct joining_list joinings; /* streams whose target is being dialled */
    char session_id[64];          /* the last one's */
    int64_t expires_ms;           /* of the current session's token, 0: never */
    bool refreshing;              /* the session was closed for a newer token */
    bool draining;                /* stopping, but streams may end in order */
    char *offered;                /* a newer token that the server has not judged yet */
    char *refused;                /* the last one that it did not take: not offered again */
    uint32_t offer_serial;        /* of the last offer */

    struct backoff backoff;
    enum backoff_cause waits_for; /* while it waits: what the pause is for */
    struct budget budget;
    struct session_stats stats;
    struct log_sample target_sample, unknown_sample;
    uint64_t connects, failures[BACKOFF_CAUSES];
};

/* ---- client.c ---- */
uint32_t client_random(void);
/* The next attempt is made after a pause for the cause. */
void client_wait(struct client *c, enum backoff_cause cause, uint64_t pause_ms);
/* The attempt or session is over: logs why, waits, begins anew. code: a refusal's, or NULL. */
void client_retry(struct client *c, enum backoff_cause cause, const char *code, const char *reason);
/* The code of an error control; version 1 has none, so its messages stand for some. */
const char *client_error_code(const struct control *error);
/* What an error code of the server, one of the five of a 401 among them, means for the pause. */
enum backoff_cause client_cause(const struct client *c, const char *code);

/* ---- connect.c ---- */
void connect_begin(struct client *c);
/* The look-up, TCP or the proxy took too long. */
void connect_timed_out(struct client *c);
/* Gives up what is under way, without a word. */
void connect_drop(struct client *c, const char *why);

/* ---- client_session.c ---- */
/* Takes the link over after a register_ack; or BURROW_ENOMEM, with the link as it was. */
int session_begin(struct client *c);
/* The current session is left for another: it takes no new streams, and an attempt begins. */
void session_leave(struct client *c, uint64_t pause_ms);
/* No session takes new streams any more; true when streams are still there. */
bool sessions_drain(struct client *c, uint32_t deadline_ms);
void sessions_close(struct client *c, const char *why);
void sessions_destroy(struct client *c);

/* ---- renew.c ---- */
/* The session has begun: looks after its token from now on. */
void renew_begin(struct client *c);
void renew_stop(struct client *c);
/* The timer's. */
void renew_due(void *arg);
void renew_answered(struct client *c, const struct control *ack);
/* The token's source may have changed: offers the token now if it is another one. */
void renew_now(struct client *c);

/* ---- services.c ---- */
const struct target *services_find(const struct client *c, uint16_t id);
/* Fills ret's services with the client's. */
void services_offer(struct client *c, struct control *ret);
/* Before a register: ids that have grown high begin anew. */
void services_renumber(struct client *c);
/* A timer's: tells the session's peer the whole list. */
void services_send(void *arg);
/* A server of version 1 has answered: it serves the first service, and says no more. */
void services_fill_v1(const struct client *c, struct control *ret_answer);
/* The server's answer to a register (is_first) or to services_send. */
void services_answered(struct client *c, const struct control *answer, bool is_first);

/* ---- status.c ---- */
/* Serves --admin-addr, if it is given. */
int client_status_open(struct client *c, struct error *err);
void client_status_close(struct client *c);

/* ---- streams.c ---- */
void streams_opened(struct client *c, struct stream *stream, const struct frame_open *open);

#endif
