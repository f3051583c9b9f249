/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a session share: session.c (life and timers), receive.c (bytes in, to
 * streams), stream.c (one stream's states), credit.c (windows and budgets) and output.c (the
 * scheduler) are alike for both versions of the wire; v2.c and v1.c are the two tables of what
 * differs. Nobody outside core/tunnel includes it.
 */
#ifndef TUNNEL_INTERNAL_H
#define TUNNEL_INTERNAL_H

#include "base/map.h"
#include "base/object.h"
#include "tunnel/rate.h"
#include "tunnel/session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define SESSION_MAGIC 0x53455353u
#define STREAM_MAGIC 0x5354524du

#define LINK_WATERMARK (16u * POOL_LARGE) /* bytes queued below the scheduler: one full read */
#define CONTROL_WATERMARK (2u * LINK_WATERMARK) /* control frames wait above this */
#define CONTROL_QUEUE_MAX (4u * LINK_WATERMARK) /* above this no CONTROL is sent any more */
#define OPENS_QUEUE_MAX (2u * LINK_WATERMARK)   /* of waiting control frames; above, no OPEN */
#define LAST_WORDS 64u                          /* bytes of control frames that end a stream */
/* What a loopback socket with an ungrown window has at every visit; of twice as much it has
 * every other time less, and streams with larger windows ran half as fast again. */
#define QUANTUM_MIN (2u * POOL_LARGE)
#define QUANTUM_MAX LINK_WATERMARK
#define MAX_WAITING_REFUSALS 1024u
#define MAX_PINGS_A_SECOND 10u
#define CREDIT_FLOOR 4096u /* a stream's window when the budgets are used up */
#define RX_PIECES 512u     /* of DATA in one batch before it is delivered early */

TAILQ_HEAD(stream_list, stream);

/* A piece of DATA in the transport's memory, waiting for the end of the batch. */
struct rx_piece {
    const uint8_t *p;
    size_t n;
    struct rx_piece *next;
};

struct rx_batch {
    size_t used;
    struct rx_piece pieces[RX_PIECES];
};

struct stream {
    uint32_t magic;
    uint64_t id;
    struct session *session;
    const struct stream_ops *ops; /* NULL: not taken yet, or nobody listens any more */
    void *end;
    UT_hash_handle by_id;
    TAILQ_ENTRY(stream) ready_entry, touched_entry, window_entry, dead_entry, rate_entry;

    bool local;    /* opened by this side */
    bool accepted; /* ACCEPT was sent or received */
    bool ready, touched, window_due, starved;
    bool rate_waiting; /* in the line for credit, rate.c */
    bool grown;        /* its window is more than the small one */
    bool dead, tell;   /* ended; its end still has to hear so */
    uint32_t end_code; /* RESET_* or 0 */
    char *end_text;    /* of the peer's RESET, or NULL */
    bool fin_sent, fin_received, fin_delivered;
    bool discard; /* the peer takes no more: what the local side sends goes nowhere */

    uint64_t sent, send_limit;
    uint64_t received, consumed, limit; /* limit - consumed is what the peer may hold us to */
    uint64_t window, epoch_consumed, epoch_us;
    uint64_t opened_ms, opened_us;
    struct service_stats *service; /* NULL: counted in the session's sums only */

    /* Version 1: */
    bool close_sent, lingers;
    bool hears_on;                     /* data came after the local side's EOF */
    bool full;                         /* the link is not read since too much waits here */
    uint64_t full_mark, full_since_ms; /* when no more than that waits, it is read again */
    uint64_t moved_ms;                 /* the last byte that came or was taken */
    uint64_t answered;                 /* bytes that were sent when the peer last did */

    struct rx_piece *rx_head, *rx_tail;
    struct burrow_buf *held, *held_tail; /* DATA before stream_accept, copied */
};

/* Buffers on their way to the link. */
struct chain {
    struct burrow_buf *head, *tail;
    size_t bytes;
    size_t passed_over; /* bytes that were read and are not in it: nobody wants them */
};

/* What the versions of the wire do differently; every entry is there. */
struct wire {
    uint8_t version; /* in the header of each frame */
    bool one_flow;   /* no credit: a slow stream holds up all */
    void (*begin)(struct session *s);
    /* Bytes of the link: through the parser to the streams. */
    void (*receive)(struct session *s, const uint8_t *p, size_t n, bool message_end);

    /* Each of these five tells the peer; a failure to do so has ended the session. */
    int (*open)(struct stream *st, const struct frame_open *open); /* takes the id as well */
    void (*accept)(struct stream *st);
    void (*reset)(struct stream *st, uint32_t code, const char *text);
    /* The local side has sent all (eof) or was reset: behind the stream's data in out. */
    void (*local_end)(struct stream *st, struct chain *out, bool eof);
    /* The last words, and the code to close the link with. error_code may be NULL. */
    uint32_t (*part)(struct session *s, uint32_t close_code, const char *error_code,
                     const char *reason);

    void (*delivered)(struct stream *st); /* its part of a batch was handed over or held */
    void (*consumed)(struct stream *st, size_t n);
    void (*finished)(struct stream *st); /* it ends now: forget it */

    void (*write_due)(struct session *s); /* puts what has waited for this into the queue */
    uint64_t (*due_ms)(const struct session *s, uint64_t now); /* when to call pulse */
    /* Heartbeats, and what is late; a silent peer is seen by the caller. */
    void (*pulse)(struct session *s, uint64_t now);
};
extern const struct wire wire_v1, wire_v2;

struct session {
    uint32_t magic;
    const struct wire *wire;
    struct loop *loop;
    const struct log *log;
    struct burrow_link *link; /* NULL after it closed */
    struct session_config config;
    const struct session_events *events;
    void *arg;
    char *name, *target;

    struct frame_parser parser;
    uint8_t *gather;
    bool in_batch, over, ended_told;
    bool draining, emptied_told; /* no new streams; the last one has ended */
    uint32_t over_code;
    char over_reason[192];
    struct loop_task end_task;

    struct stream *streams, *last_found;
    uint32_t stream_count;
    uint64_t next_id, peer_high;
    uint32_t opens_pending; /* streams of ours without ACCEPT */
    uint32_t starved_count;
    uint32_t half_closed; /* streams whose local side has sent EOF */
    struct stream_list ready, touched, window_due, dead;
    uint32_t ready_count;
    struct rx_batch *rx;
    uint32_t grown_count; /* streams whose window is more than the small one */
    uint64_t top_window;  /* the largest window since there are any such */
    uint64_t credit_out;  /* sum of limit - consumed */

    struct rate *rate; /* NULL: no limit of speed */
    struct loop_task output_task;
    struct burrow_buf *control, *control_tail; /* frames that go before data */
    size_t control_bytes;                      /* of them */
    uint32_t refusals_waiting;

    uint32_t unread_reasons; /* version 1: full streams, a rate; the link is not read for them */
    uint32_t lingering;      /* streams that wait for the local side's end after the peer's */
    uint32_t acks_due;       /* heartbeats that were not answered yet */
    uint64_t last_beat_ms;
    bool message_done; /* the present message had its frame */

    struct loop_timer *timer;
    uint64_t timer_due_ms, last_rx_ms, last_ping_ms;
    uint64_t ping_value; /* of the PING under way, 0: none */
    uint64_t rtt_us;
    bool pong_due;
    uint64_t pong_value;
    uint64_t ping_second;
    uint32_t pings_in_second;

    struct log_sample refusal_sample, violation_sample;
};

/* session.c */
/* The session is over: the link closes now; streams and owner hear it from end_task. */
void session_fail(struct session *s, uint32_t close_code, const char *error_code,
                  const char *reason);
void session_arm(struct session *s); /* sets the timer to the next thing that is due */

/* v2.c */
/* Sends a PING to measure the round trip, at most five a second. */
void session_measure(struct session *s);
/* Gives the peer what credit the stream may have, and tells it. */
void credit_tell(struct stream *st);

/* v1.c */
/* The link is not read while there is a reason not to; one call of the second for each of the
 * first. */
void session_stop_reading(struct session *s);
void session_read_again(struct session *s);

/* receive.c */
extern const struct link_events session_link_events;
/* Keeps a piece of DATA, borrowed, for the end of the batch. Negative: the session is over. */
int receive_data(struct stream *st, const uint8_t *p, size_t n);
void receive_touch(struct stream *st);   /* receive_flush is to look at it */
void receive_flush(struct session *s);   /* delivers what the batch holds */
void receive_deliver(struct stream *st); /* of one stream */
struct stream *session_find(struct session *s, uint64_t id);

/* stream.c */
struct stream *stream_new(struct session *s, uint64_t id, bool local);
/* Takes the stream out of everything. At the end of the turn its end hears `ended` when
 * tell, and it is freed. text (may be NULL) is copied. */
void stream_finish(struct stream *st, uint32_t code, const char *text, size_t n, bool tell);
void stream_accepted(struct stream *st);   /* one of this side's, by the peer */
void stream_maybe_done(struct stream *st); /* both directions ended and all consumed? */
void streams_bury(struct session *s);      /* tells and frees the dead */
void stream_raise_limit(struct stream *st, uint64_t limit); /* of what may be sent */
/* Resets it, tells the own end: the peer broke a rule of this stream. */
void stream_violation(struct stream *st, const char *text);

/* credit.c */
void credit_begin(struct stream *st, uint64_t window);
uint64_t credit_small_window(const struct session *s); /* for a new stream of our own */
void credit_consumed(struct stream *st, uint64_t n);
void credit_finish(struct stream *st);
/* Without credit on the wire: n more bytes have come for the stream. */
void credit_received(struct stream *st, uint64_t n);
/* How much may wait for it, at most `most`, as far as the budgets allow. */
uint64_t credit_allowance(const struct stream *st, uint64_t most);
/* Raises the limit as far as window and budgets allow; true if a WINDOW is worth sending. */
bool credit_renew(struct stream *st);

/* output.c */
void chain_add(struct chain *c, struct burrow_buf *b);
void output_schedule(struct session *s);
void output_task(void *arg);
/* Room for one small frame in the control queue, or NULL when out of memory; the encoder's
 * length is then added by output_commit. */
uint8_t *output_reserve(struct session *s);
void output_commit(struct session *s, size_t n);
void output_push(struct session *s, struct burrow_buf *frame); /* one frame, one message */
/* False: the peer reads so little of what it makes us say that the session has been ended. */
bool output_has_room(struct session *s);
/* False: so many refusals wait to be sent that the session has been ended. */
bool output_may_refuse(struct session *s);
void output_refusal(struct session *s, uint64_t id, uint32_t code, const char *text);
void output_drop(struct session *s);

#endif
