/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session over one link, the same code on both ends: it reads frames, keeps the streams
 * and their credit, schedules who may send, and watches that the peer lives. It begins after
 * register and register_ack, which server/ and client/ exchange and which decide the version
 * of the wire that it speaks.
 *
 * Data is pulled: a stream with data stands in the session's round and is asked by
 * `stream_ops.read` when the link has room, so that what waits, waits in the kernel. What
 * arrives is handed to `stream_ops.deliver` once per batch, gathered. Nothing is copied
 * unless the local socket is slower than the peer.
 *
 * Sessions belong to one loop. No entry calls back into its caller: endpoints hear of
 * events only from the loop (data, a pull, the end).
 */
#ifndef TUNNEL_SESSION_H
#define TUNNEL_SESSION_H

#include "base/count.h"
#include "base/latency.h"
#include "base/log.h"
#include "tunnel/link.h"
#include "wire/frame.h"

#include <stdatomic.h>
#include <sys/uio.h>

struct control; /* wire/control.h */
struct session;
struct stream;

/* What one end of a stream does; implemented by tunnel/relay.c for sockets and by tests. */
struct stream_ops {
    /* The peer accepted: only for streams that this side opened. */
    void (*accepted)(void *end);
    /* Fills buffers with at most max bytes. Returns the bytes put into *ret_chain (buffers
     * of the loop's pool, off at POOL_HEADROOM), or BURROW_EAGAIN: nothing now, the end
     * calls stream_ready later; 0: end of data, sends FIN; BURROW_EIO: the local side was
     * reset. *ret_more: more is likely there at once. */
    ssize_t (*read)(void *end, size_t max, struct burrow_buf **ret_chain, bool *ret_more);
    /* Bytes from the peer, in order, borrowed for the call: takes all of it (it copies what
     * its socket does not take) and reports progress with stream_consumed. fin: the peer
     * sends no more after this. */
    void (*deliver)(void *end, const struct iovec *iov, int iovcnt, bool fin);
    /* The last call: both directions ended (code 0) or the stream was reset, by the peer
     * or with the session. The stream is gone afterwards. */
    void (*ended)(void *end, uint32_t code, const char *text);
    /* Asked about once a second for ends that wait for credit: true when the local side was
     * reset meanwhile. May be NULL. */
    bool (*broken)(void *end);
};

struct session_events {
    /* A peer opened a stream. Inside this call either take it by stream_set_end, so that the
     * end hears of a reset, or refuse it by stream_reset. A stream that was taken is
     * accepted (stream_accept) when the target is connected, or reset when it cannot be. */
    void (*opened)(void *arg, struct stream *stream, const struct frame_open *open);
    /* A CONTROL frame of an established session, borrowed for the call. An `error` is left
     * to the owner, who ends the session; types that are unknown are not told. */
    void (*control)(void *arg, const struct control *control);
    /* After session_drain: the last stream has ended, and all that had to be sent is with the
     * link. Once, unless the session is over before; may close it. May be NULL. */
    void (*emptied)(void *arg);
    /* The session is over: all streams have ended, the link is closed or closing. Called
     * once, last, on a fresh turn; the owner then calls session_destroy. */
    void (*ended)(void *arg, uint32_t close_code, const char *reason);
};

struct session_config {
    uint32_t protocol;            /* the version of the wire: 1 or 2 */
    bool opens_odd;               /* the server's side */
    uint32_t window, peer_window; /* small window before ACCEPT, bytes, each way */
    uint32_t max_frame;           /* payload bytes that the peer takes */
    uint64_t heartbeat_ms, timeout_ms;
    uint32_t max_streams;        /* alive at once, opened by either side */
    uint32_t stream_window_max;  /* 4 MiB */
    uint64_t session_window_max; /* 16 MiB of credit outstanding */
    uint64_t open_timeout_ms;    /* 10 s without ACCEPT: RESET 3 */
    uint64_t bytes_per_second;   /* of all streams, in each direction; 0: no limit */
    struct budget *budget;       /* of the process, shared by sessions; never NULL */
    struct session_stats *stats; /* shared sums for metrics; never NULL */
    const char *name;            /* client id, for logs; copied */
    /* Version 1 only. */
    uint16_t service;   /* what `open` means; the asked side's */
    const char *target; /* that was registered, for `open`; copied */
    uint64_t first_id;  /* of the streams that this side opens; 0: 1 */
};

/* Process-wide bound on credit given out (--buffer-limit). */
struct budget {
    uint64_t limit, used;
};

/* Sums over sessions; plain integers of one loop. */
struct session_stats {
    uint64_t streams_active, streams_opened, bytes_in, bytes_out;
    uint64_t stream_ends[11];    /* by reset code, 0: in order */
    uint64_t rate_waits;         /* times that something waited for bytes_per_second */
    uint64_t streams_stalled;    /* version 1: closed, since they held up all others */
    struct latency open_latency; /* from OPEN to ACCEPT, of streams that this side opened */
    struct latency round_trip;   /* as PINGs measure it */
};

/* What the streams of one service come to, on one loop. Belongs to all who count in it and to
 * whoever shows it, perhaps on another thread (base/count.h); the last reference frees it. */
struct service_stats {
    atomic_uint refs;
    uint64_t streams_active, bytes_in, bytes_out;
    uint64_t stream_ends[11];    /* as above */
    struct latency open_latency; /* likewise */
};
struct service_stats *service_stats_create(void); /* one reference; NULL: out of memory */
struct service_stats *service_stats_ref(struct service_stats *stats);
void service_stats_unref(struct service_stats *stats);

/* Takes over the link (link_set_owner). NULL: out of memory. */
struct session *session_create(struct loop *loop, const struct log *log, struct burrow_link *link,
                               const struct session_config *config,
                               const struct session_events *events, void *arg);
/* Ends what is left: streams hear `ended`, the link is abandoned, no session event follows. */
void session_destroy(struct session *session);
/* Sends an error control (code may be NULL), closes the link in order; `ended` follows. */
void session_close(struct session *session, uint32_t close_code, const char *error_code,
                   const char *message);
uint32_t session_protocol(const struct session *session);
/* Sends a CONTROL frame of version 2 (EINVAL in a session of version 1), ahead of what waits for
 * its turn. What the peer does not read must not pile up: with too much waiting the session ends
 * (`flood`).
 */
int session_send_control(struct session *session, const struct control *control);
/* From now on: streams alive at once, for those that are opened anew; payload bytes a second,
 * 0 for no limit. */
void session_set_limits(struct session *session, uint32_t max_streams, uint64_t bytes_per_second);
/* No new streams from now on: those that the peer opens are refused (RESET 7), stream_open
 * fails with EAGAIN, `emptied` follows, perhaps on the next turn. Says nothing to the peer. */
void session_drain(struct session *session);
/* The id of the next stream that this side opens. */
uint64_t session_next_id(const struct session *session);
size_t session_stream_count(const struct session *session);
size_t session_queued(const struct session *session);   /* bytes that wait for the network */
uint64_t session_rtt_us(const struct session *session); /* 0: not measured yet */
/* Feeds bytes that the owner of the link received behind the register frame. */
void session_feed(struct session *session, const uint8_t *p, size_t n);

/* Opens a stream to a service of the peer. end->accepted or ->ended follows. On failure
 * (too many streams, session over, no memory; EAGAIN: it drains, or the peer has not read the
 * opens of before) *ret is untouched. */
int stream_open(struct session *session, const struct frame_open *open,
                const struct stream_ops *ops, void *end, struct stream **ret);
/* For a stream that the peer opened; may be set anew (from what dials to the relay). Data
 * that came is delivered after stream_accept. */
void stream_set_end(struct stream *stream, const struct stream_ops *ops, void *end);
void stream_accept(struct stream *stream);
/* The end has data (or EOF, or an error) to be pulled. */
void stream_ready(struct stream *stream);
/* The end's socket took n more bytes of what was delivered. */
void stream_consumed(struct stream *stream, size_t n);
/* Ends the stream now, both ways; `ended` is not called for the caller's own end. */
void stream_reset(struct stream *stream, uint32_t code, const char *text);
/* From now on the stream counts in stats too, to which it takes a reference; once. */
void stream_count_in(struct stream *stream, struct service_stats *stats);
struct session *stream_session(const struct stream *stream);
uint64_t stream_id(const struct stream *stream);
/* The peer cannot be told to hold this stream alone back: its end should take its bytes in
 * small steps, since while it takes none all streams may have to wait. */
bool stream_holds_up_others(const struct stream *stream);

#endif
