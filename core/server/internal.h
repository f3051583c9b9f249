/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the server share. server.c owns it all; listeners.c accepts clients'
 * connections and hands them to workers (workers.c), handshake.c takes each to a session or
 * refuses it, seat.c keeps the session; question.c asks for verdicts, claim.c for the client id.
 * clients.c keeps one record per client id, right.c looks after its token, bridges.c its
 * listeners, registrar.c tells registries, routes.c answers HTTP, drain.c lets streams end before
 * a stop. Nobody outside core/server includes it.
 *
 * Two sides, which may be on different threads and never touch what is the other's:
 *
 *   main loop   struct server, listener, client_record, bridge, attachment, registrations; auth
 *   worker      struct worker but for `handed` of it, handshake, seat; the transports, the links
 *
 * They talk by posted calls, first in, first out; where both are on one loop, by direct calls of
 * the same functions (worker_call, main_call).
 */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include "auth/chain.h"
#include "auth/ticket.h"
#include "base/map.h"
#include "loop/acceptor.h"
#include "loop/calls.h"
#include "server/options.h"
#include "server/server.h"
#include "status/port.h"
#include "tunnel/session.h"
#include "wire/control.h"

#include <burrow/registry.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#define SERVER_MAGIC 0x53525630u
#define MAX_LISTENERS (2 + SERVER_MAX_LISTEN)
#define MAX_PENDING 256u       /* handshakes of a worker; at the limit the oldest goes */
#define PENDING_YOUNG_MS 2000u /* until then it does not: who comes has to wait */
#define PENDING_OVER 64u       /* of those who come nevertheless */
#define HANDSHAKE_MS 10000u    /* until the first message may flow; also an idle HTTP connection */
#define REGISTER_MS 5000u      /* until the register frame is complete */
#define TAKEOVERS_A_MINUTE 4u  /* of one client id; who comes then has to wait */
#define SMALL_WINDOW 16384u
#define STREAM_WINDOW (4u << 20)
#define SESSION_WINDOW (16u << 20)
#define OPEN_TIMEOUT_MS 10000u
#define OPEN_TIMEOUT_V1_MS                                                                         \
    30000u                    /* a stream that is full may hold the answer up for half of this */
#define LEAVE_MAX_MS 3600000u /* that a client may take to drain, as long as its option allows */
#define SERVICES_A_SECOND 10u /* changes of one client's list; more is a flood */
#define SESSION_ID_TEXT 32

struct handshake;
struct seat;
struct client_record;
struct attachment;
struct bridge;
struct registrar;
struct registration;
TAILQ_HEAD(handshake_list, handshake);
TAILQ_HEAD(seat_list, seat);
TAILQ_HEAD(record_list, client_record);
TAILQ_HEAD(attachment_list, attachment);
TAILQ_HEAD(bridge_list, bridge);

struct listener {
    struct server *server;
    const struct link_transport *transport; /* of worker 0; the others have it at the same place */
    struct acceptor acceptor;
};

/* The main loop reads count and oldest_ms when it chooses whom to hand a connection. */
struct pending {
    struct handshake_list list; /* oldest first */
    atomic_size_t count;
    _Atomic uint64_t oldest_ms; /* when it began */
};

/* What a worker counts. */
struct worker_stats {
    uint64_t refused[AUTH_CODES];         /* by code of the denial; 0: unavailable */
    uint64_t registered, register_failed; /* sessions begun; registers refused otherwise */
    uint64_t dropped_pending;             /* the oldest that had to go, and those too slow */
    uint64_t bridge_refused;              /* by a session that was over */
};

/* One loop with its transports, and the clients that were handed to it. Worker 0 is on the main
 * loop, each other one on a thread of its own. */
struct worker {
    uint32_t magic;
    struct server *server;
    size_t index;
    struct loop *loop;
    const struct log *log;
    struct link_transport *transports;
    size_t transport_count;
    struct pending pending;
    struct seat_list seats;
    struct budget budget; /* an equal share of --buffer-limit */
    struct session_stats sessions_stats;
    struct worker_stats stats;
    struct log_sample refusal_sample;
    bool draining, token_in_register; /* as the server has them */
};

struct server_stats {
    uint64_t accepted; /* by the listeners for clients */
    uint64_t bridge_accepted, bridge_refused;
    uint64_t stale_deleted;
    uint64_t renewals_taken, renewals_refused;
    uint64_t takeovers_taken, takeovers_refused;
    uint64_t grant_refused[GRANT_COUNT];
};

struct server {
    uint32_t magic;
    struct server_config config;
    const struct server_options *options;
    struct loop *loop;
    const struct log *log;

    struct worker *workers; /* array */
    size_t worker_count, next_worker;
    struct auth_chain *chain;
    struct registrar *registrars; /* array */
    size_t registrar_count;

    struct accept_guard guard;
    struct port_range bridge_range;
    uint8_t bridge_ports[(UINT16_MAX + 1) / 8]; /* a bit for each that a bridge has */
    struct listener listeners[MAX_LISTENERS];
    struct status_port *admin; /* NULL: no --admin-addr */

    struct client_record *clients; /* hash by id */
    size_t record_count, session_count;
    struct record_list gone;         /* without a session, longest first */
    struct attachment_list sessions; /* all, also those that are leaving */
    size_t drain_awaited;            /* of these, those that have not told that they are empty */
    uint64_t next_session;
    _Atomic uint64_t next_request; /* any worker's */
    struct loop_timer *sweep_timer;

    struct log_sample grant_sample, service_sample, api_sample;
    struct server_stats stats;

    bool started, draining, stopping, ended;
    struct loop_timer *stop_timer; /* the end of the drain, then of the sessions */
    struct loop_call stopped;      /* behind all that the workers have still to say */
};

/* ---- workers.c ---- */
int server_workers_create(struct server *server, struct error *err);
void server_workers_destroy(struct server *server); /* no handshake and no session is left */
/* Puts what workers have of the options, and whether the server drains, into force. */
void workers_update(struct server *server);
/* Ends all handshakes. */
void workers_drop_handshakes(struct server *server);
/* Ends what sessions are left. What they tell then is in the main loop's queue. */
void workers_end_sessions(struct server *server);
/* Streams that are open, of all workers; what was handed to them before counts. */
uint64_t workers_streams(const struct server *server);
/* Runs a call where a worker lives, or on the main loop: at once when both are on one loop. */
void worker_call(const struct worker *worker, struct loop_call *call);
void main_call(const struct worker *worker, struct loop_call *call);
/* The worker is on the main loop: calls are direct. */
bool worker_is_main(const struct worker *worker);
/* Gives an accepted connection to the next worker. */
void workers_hand(const struct listener *listener, int fd, const struct burrow_addr *peer);
/* As many handshakes as there may be, with every worker, and none of them late: better accept
 * nobody for a moment. */
bool workers_full(const struct server *server);

/* ---- listeners.c ---- */
/* The listeners that the options ask for; each is told by event=listening. */
int listeners_open(struct server *server, struct error *err);
void listeners_close(struct server *server);

/* ---- handshake.c ---- */
void handshake_begin(struct worker *worker, const struct link_transport *transport, int fd,
                     const struct burrow_addr *peer);
/* From any thread. */
bool handshakes_full(const struct worker *worker);
void handshake_drop_all(struct worker *worker, const char *why);

/* Counts and logs a credential that was not allowed. */
void refusal_note(struct worker *worker, const struct burrow_addr *peer, uint64_t request_id,
                  const struct auth_verdict *verdict);

/* ---- question.c ---- */
struct question;
/* auth_ask for workers: the chain is on the main loop. */
struct question *question_ask(struct worker *worker, const struct burrow_credential *credential,
                              auth_done_fn *done, void *arg);
void question_cancel(struct question *question); /* NULL is allowed; done is not called */

/* ---- claim.c ---- */
/* What a verdict gave to its client. */
struct right {
    char auth[64];         /* the plugin that said so, or "" */
    int64_t expires_ms;    /* Unix time, 0: never */
    struct grants *grants; /* NULL: no limits beyond the server's */
};

/* A register on its way to the main loop, and the answer on its way back. Each part is used where
 * the claim is at the moment. */
struct claim {
    uint32_t magic;
    struct loop_call call;
    struct worker *worker;
    /* There. */
    struct control *reg; /* owned */
    struct right right;  /* with a reference */
    struct burrow_addr peer;
    const char *transport; /* outlives the server */
    /* Back: code and message of a refusal, or the seat for the session and what the client is
     * told. */
    const char *code, *message;
    struct seat *seat;
    struct control *ack; /* owned */
    struct session_config session;
    /* On the worker, and once: takes the answer. arg NULL: nobody is there any more. */
    void (*done)(void *arg, struct claim *claim);
    void *arg;
};
/* Takes over reg, which its owner may read until `done` is called or claim_abandon. On failure, for
 * want of memory, it has taken nothing. */
struct claim *claim_make(struct worker *worker, struct control *reg, const struct right *right,
                         const struct burrow_link *link);
/* done follows, perhaps from inside; the claim and what it owns are gone when it has returned. */
void claim_send(struct claim *claim, void (*done)(void *arg, struct claim *claim), void *arg);
void claim_abandon(struct claim *claim); /* done is not called */

/* ---- seat.c ---- */
#define SEAT_MAGIC 0x53454154u
/* A session on its worker, and the way between it and its attachment on the main loop. Both are
 * made together; the seat goes when its attachment has heard of the end and let it go, so that
 * whoever has something for the other finds it. */
struct seat {
    uint32_t magic;
    struct worker *worker;
    struct attachment *attachment; /* the main loop's */
    struct session *session;       /* NULL: not begun, or over */
    bool over, leaving;            /* leaving: the client drains it */
    bool renewing;                 /* its newer token is being judged */
    bool killed;                   /* the main loop's */
    uint64_t services_second;      /* of the last lists of services, and how many came in it */
    uint32_t services_in_second;
    char reason[160]; /* of the end */
    TAILQ_ENTRY(seat) entry;
    struct loop_call ended, emptied; /* to the main loop */
    struct loop_call kill, let_go;   /* to the worker */
};

/* Main loop. NULL: out of memory. */
struct seat *seat_create(struct worker *worker, struct attachment *attachment);
/* The attachment has heard of the end, or the seat has never been anybody's: frees it. */
void seat_let_go(struct seat *seat);
/* Ends the session without a word; attachment_ended follows. */
void seat_kill(struct seat *seat);
/* Like session_close, with texts that live for ever. */
void seat_close(struct seat *seat, uint32_t code, const char *error_code, const char *message);
/* Sends it, and frees it in any case. */
void seat_send(struct seat *seat, struct control *control);
void seat_set_limits(struct seat *seat, uint32_t max_streams, uint64_t bytes_per_second);
/* Announces it to the client and takes no new streams; attachment_emptied follows. */
void seat_drain(struct seat *seat, uint32_t deadline_ms);
/* Makes a stream of a user's connection, which is the seat's from here on. stats: a reference that
 * goes to the seat. granted: streams that the grants allow. attachment_refused may follow. */
void seat_open(struct seat *seat, int fd, const struct frame_open *open,
               struct service_stats *stats, uint32_t granted);

/* Worker. Makes the session, which takes over the link. On failure the seat is over. */
int seat_begin(struct seat *seat, struct burrow_link *link, const struct session_config *config);
/* There will be no session. */
void seat_fail(struct seat *seat, const char *reason);
/* Ends all sessions of the worker. */
void seats_end(struct worker *worker);

/* ---- clients.c ---- */
#define ATTACHMENT_MAGIC 0x41544330u
/* What the service ids of a session stand for: hashes of names, 0 for an id that was not used. */
struct service_meanings {
    uint32_t *hashes;
    size_t count;
};

/* What the main loop knows of one session; outlives its record's interest in it while it leaves. */
struct attachment {
    uint32_t magic;
    struct server *server;
    struct client_record *record; /* NULL: superseded, leaving */
    struct seat *seat;
    struct burrow_addr peer;
    struct loop_timer *expiry;
    int64_t expires_ms; /* 0: the right never ends */
    struct auth_request *renewal;
    uint32_t renewal_serial;
    uint64_t renewal_request;
    bool leaving;               /* the client drains it: no new streams */
    uint64_t leave_by_ms;       /* until then */
    size_t left_streams;        /* that it had then: there are no more of them now */
    struct client_record *left; /* whose client has a newer session; in its `leaving` */
    bool emptied;               /* it takes no streams and has none */
    bool drain_awaits;          /* counts in server.drain_awaited */
    uint32_t protocol;          /* the version of the wire */
    uint64_t next_stream;       /* of version 1: no stream has had this id */
    TAILQ_ENTRY(attachment) entry;
    char client_id[CONTROL_MAX_CLIENT_ID + 1];
    char session_id[SESSION_ID_TEXT];
    char instance[CONTROL_INSTANCE];
    struct service_meanings meanings;
};

/* What is known of a client id; it stays, with its bridges, for stale-service-age after the
 * session has ended. */
struct client_record {
    uint32_t magic;
    struct server *server;
    UT_hash_handle hh;
    char id[CONTROL_MAX_CLIENT_ID + 1];
    struct attachment *attachment; /* NULL: gone */
    struct grants *grants;         /* of the present session; NULL: no limits */
    struct attachment *leaving;    /* its client's own older session, whose streams end */
    char last_instance[CONTROL_INSTANCE];
    uint64_t takeover_ms; /* when the first of these takeovers was */
    uint32_t takeovers;
    uint64_t next_stream; /* of version 1: ids rise over all its sessions */
    uint64_t gone_ms;
    TAILQ_ENTRY(client_record) gone_entry; /* while attachment is NULL */
    struct bridge_list bridges;
    size_t bridge_count;
    struct registration *registrations; /* one per registrar */
    bool withdrawing;
};

struct client_record *clients_find(struct server *server, const char *id);
/* The record of an id, made when there is none. NULL: out of memory or too many. */
struct client_record *clients_get(struct server *server, const char *id);
/*
 * Admits the client that registered: ends an older session of its id, opens the bridges and fills
 * the claim's answer, with the seat that is to begin the session; or with a code for an error
 * control.
 */
void clients_register(struct claim *claim);
/* What a seat tells. */
void attachment_ended(struct attachment *attachment, const char *reason);
void attachment_emptied(struct attachment *attachment);
void attachment_control(struct attachment *attachment, const struct control *control,
                        size_t streams);
/* A user's connection has been reset. full: as many streams as the grants allow. */
void attachment_refused(struct attachment *attachment, uint16_t service, const char *reason,
                        size_t streams, bool full);
/* The grants of a renewed token count from now on, for all that comes anew; streams that are
 * under way go on. Keeps a reference of its own; NULL: no limits. */
void attachment_set_grants(struct attachment *attachment, struct grants *grants);
/* The server's limits have changed. */
void clients_apply_limits(struct server *server);
void clients_sweep(struct server *server, uint64_t now_ms);
/* The registries know nothing of it any more: frees a record that is gone. */
void clients_withdrawn(struct client_record *record);
void clients_close_sessions(struct server *server);
void clients_destroy(struct server *server);

/* ---- right.c ---- */
/* The client may have new streams. */
bool right_holds(const struct attachment *attachment);
int right_begin(struct attachment *attachment, int64_t expires_ms);
void right_end(struct attachment *attachment);
/* A `token` control: judges it and answers. */
void right_renew(struct attachment *attachment, const struct control *control);

/* ---- drain.c ---- */
/* Nobody new, no new streams; false when no stream is there to be waited for. */
bool drain_begin(struct server *server, uint32_t deadline_ms);
/* A stream or a session has ended: the last one ends the drain. */
void drain_look(struct server *server);
/* A client's `drain` control; streams: that it has. */
void drain_announced(struct attachment *attachment, const struct control *control, size_t streams);

/* ---- bridges.c ---- */
/* A listener for one service of a client. It stays for the record's life, so that its port
 * does; without a session, or without the service in it, connections are reset. */
struct bridge {
    uint32_t magic;
    struct client_record *record;
    TAILQ_ENTRY(bridge) entry;
    struct acceptor acceptor; /* closed when bridges are off */
    bool active;              /* the present session has the service */
    bool was_active;          /* before the list that is being applied */
    uint16_t service_id;
    struct service_stats **stats; /* of each worker, written there; NULL until it is used */
    uint64_t accepted, refused;   /* connections */
    uint64_t idle_ms;             /* since when it is not active */
    char name[64];
    char target[256];
};

/* Makes the record's bridges those of the services that a register offers, and fills ack's
 * services. */
void bridges_apply(struct client_record *record, struct service_meanings *meanings,
                   const struct control *offer, struct control *ack);
/* A `services` control of an established session: applies it, answers, tells registries. */
void bridges_change(struct attachment *attachment, const struct control *offer);
/* Logs the bridges that are active and were not before the last list was applied. */
void bridges_say(const struct client_record *record);
void bridges_deactivate(struct client_record *record);
/* Closes those that have not been active since before_ms. */
void bridges_sweep(struct client_record *record, uint64_t before_ms);
void bridges_close(struct client_record *record);
/* Users are refused by the kernel from now on, and the ports are free for a successor. */
void bridges_stop_listening(struct client_record *record);
struct bridge *bridges_find(struct client_record *record, const char *name);
/* A user of an active service was reset on the worker. */
void bridge_refused(struct attachment *attachment, uint16_t service, const char *reason,
                    size_t streams, bool full);
/* HOST:PORT, or "" for a bridge without a listener. */
const char *bridge_address(const struct bridge *bridge, char buf[ADDRESS_TEXT]);

/* ---- permit.c ---- */
/* Whether the grants of the record's session allow it; a refusal is counted and logged. */
bool permit_service(const struct client_record *record, const char *name);
bool permit_port(const struct client_record *record, const char *service, uint16_t port);
/* One more stream of this bridge, whose record has a session; how many there are is seen where
 * they are, and a refusal noted by permit_full. */
bool permit_stream(const struct bridge *bridge);
void permit_full(const struct client_record *record, const char *service, size_t streams);
/* Tells the log what a client may do, if its grants limit it. */
void permit_say(const struct client_record *record);
void record_set_grants(struct client_record *record, struct grants *grants);

/* ---- ports.c ---- */
/* Opens the bridge's listener at the wanted port, 0 for the server's choice. On failure
 * *ret_code is what the client is told, and err why. */
int ports_open(struct bridge *bridge, uint16_t wanted, acceptor_fn *fn, const char **ret_code,
               struct error *err);
void ports_release(struct server *server, uint16_t port);

/* ---- registrar.c ---- */
int registrars_create(struct server *server);
/* Asks what is published: by an earlier life of this server, or by a replica that is gone. */
void registrars_list(struct server *server);
void registrars_stop(struct server *server); /* cancels what is under way */
void registrars_destroy(struct server *server);
int registrations_create(struct client_record *record);
void registrations_destroy(struct client_record *record);
void registrations_publish(struct client_record *record);
/* clients_withdrawn follows, perhaps at once. */
void registrations_withdraw(struct client_record *record);

#endif
