/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer that the session fuzzer plays, and what it knows: which frames it has sent, what
 * it was allowed to send, and what the session has sent. It checks every frame of the
 * session against wire version 2, and remembers which of its own frames broke a rule, so
 * that a session that punishes a peer without a reason is found too.
 */
#ifndef FUZZ_SESSION_MODEL_H
#define FUZZ_SESSION_MODEL_H

#include "base/object.h"
#include "mock_transport.h"
#include "tunnel/session.h"

#define MODEL_STREAMS 48u

/* One stream as the peer sees it. "in" is towards the session. */
struct model_stream {
    uint64_t id;
    bool by_session;  /* the session opened it */
    bool in_accepted; /* the peer's ACCEPT was sent */
    bool in_fin, in_reset;
    uint64_t in_sent, in_limit;
    bool out_accepted; /* the session's ACCEPT came */
    bool out_fin, out_reset;
    uint32_t out_reset_code;
    uint64_t out_sent, out_limit, out_consumed;
    bool illegal; /* the peer broke a rule of this stream */
    bool doomed;  /* and in a way that cannot pass */
};

struct model {
    struct mock_conn *session_side, *peer_side;
    const struct session_config *config;
    struct model_stream streams[MODEL_STREAMS];
    size_t count;
    uint64_t peer_next;    /* id of the peer's next OPEN */
    uint64_t session_high; /* highest id that the session has opened */
    bool illegal;          /* the peer broke a rule of the connection */
    bool error_seen;       /* the session said error: nothing may follow */
    uint64_t opens, pings_sent, pongs_seen, last_ping;
    struct frame_parser parser;
    uint8_t gather[FRAME_MAX_CONTROL];
};

void model_init(struct model *m, struct mock_conn *session_side, struct mock_conn *peer_side,
                const struct session_config *config);
struct model_stream *model_find(struct model *m, uint64_t id);

/* Frames of the peer; each notes whether it is allowed. They reach the session when the
 * fuzzer lets it receive. */
void model_send_open(struct model *m, uint64_t id, uint64_t limit);
void model_send_data(struct model *m, uint64_t id, size_t n);
void model_send_accept(struct model *m, uint64_t id, uint64_t limit);
void model_send_window(struct model *m, uint64_t id, uint64_t consumed, uint64_t limit);
void model_send_fin(struct model *m, uint64_t id, uint64_t final_offset);
void model_send_reset(struct model *m, uint64_t id, uint32_t code);
void model_send_ping(struct model *m, enum frame_kind kind, uint64_t value);
void model_send_raw(struct model *m, const uint8_t *p, size_t n);

/* Takes and checks what the session has sent. */
void model_receive(struct model *m);

#endif
