/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions on the two ends of a connection in memory, and stream ends that send a known
 * sequence of bytes and check what they get. Shared by the tests of this folder.
 */
#ifndef TUNNEL_PAIR_H
#define TUNNEL_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_loop.h"
#include "mock_transport.h"
#include "tunnel/session.h"

struct side;

/* One end of a stream. */
struct mock_end {
    struct side *side;
    struct stream *stream;
    uint64_t to_send, sent;    /* bytes of the sequence still to give, and given */
    bool eof_after, broken;    /* what follows the last byte: EOF; or the local side is reset */
    uint64_t received, unread; /* delivered, and of that not yet consumed */
    bool hold;                 /* does not consume by itself */
    bool wrong;                /* a byte that is not the sequence's came */
    bool got_fin, was_accepted;
    int ended; /* calls */
    uint32_t end_code;
};

struct side {
    struct loop *loop;
    struct session *session;
    struct mock_conn *conn;
    struct mock_end *last_opened; /* by the peer */
    struct frame_open last_open;
    bool accept, refuse; /* what `opened` does at once */
    uint32_t refuse_code;
    int session_ended, controls;
    uint32_t close_code;
    char reason[128];
    char last_control[256];
    struct mock_end *peer_ends[64]; /* in the order of opening */
    int peer_end_count;
};

struct pair {
    struct loop *loop;
    struct log log;
    struct mock_transport mock;
    struct budget budget[2];
    struct session_stats stats[2];
    struct session_config config[2];
    struct side side[2]; /* 0: the server's, opens odd ids */
};

int pair_setup(void **state); /* makes a pair and connects it */
int pair_teardown(void **state);
struct pair *pair_new(void);
void pair_connect(struct pair *p);
void pair_free(struct pair *p);

/* Turns and deliveries until nothing moves any more. */
void pair_run(struct pair *p);
/* One turn and at most max bytes each way, in pieces of `piece`. */
bool pair_step(struct pair *p, size_t max, size_t piece);

struct mock_end *end_open(struct pair *p, int side); /* a stream from this side */
struct mock_end *end_new(struct side *side);
void end_send(struct mock_end *e, uint64_t n);
void end_finish(struct mock_end *e); /* EOF after what is to be sent */
void end_consume(struct mock_end *e, uint64_t n);
extern const struct stream_ops mock_end_ops;

/* Puts a raw frame into a side's inbox. */
void inject(struct pair *p, int side, const uint8_t *frame, size_t n);

#endif
