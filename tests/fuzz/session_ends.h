/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local ends of the streams of a session that is fuzzed, of either version of the wire: they
 * read, write, stall, break and reset as the input says, and assert what every end may rely on.
 * What only one version promises is asserted by its fuzzer, which is asked.
 */
#ifndef FUZZ_SESSION_ENDS_H
#define FUZZ_SESSION_ENDS_H

#include "tunnel/session.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENDS 48u

/* The rest of the input; when it is used up, zeros. */
struct input {
    const uint8_t *p;
    size_t n;
};
uint8_t take_u8(struct input *in);
uint16_t take_u16(struct input *in);
/* A size: most often small, now and then tens of KiB. */
size_t take_size(struct input *in);

struct end {
    struct ends *ends;
    struct stream *stream; /* NULL: it has ended */
    uint64_t id;
    bool local, accepted;
    uint64_t to_send, sent, received, unread;
    bool eof, broken, hold, reset_in_deliver, got_fin, fin_sent, was_reset;
    unsigned ended;
};

struct ends {
    struct loop *loop;
    void *owner;
    /* It is known what bytes the end has to receive: none else may come. */
    bool (*judged)(const struct end *e);
    /* These two assert: after a delivery, and when the stream has ended. */
    void (*delivered)(const struct end *e);
    void (*ended)(const struct end *e, uint32_t code);
    struct end list[ENDS];
    size_t count;
};

/* One more end, for a stream that the peer has opened; not accepted yet. NULL: too many. */
struct end *end_new(struct ends *ends, struct stream *stream);
/* Opens a stream; nothing when the session refuses. */
void end_open(struct ends *ends, struct session *session, const struct frame_open *open);
void end_accept(struct end *e); /* if it has to be */
/* Lets one of them do something: `what` counts from 0 to 7. */
void end_do(struct ends *ends, struct input *in, uint8_t what);

#endif
