/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's speed limit: so many payload bytes a second over all its streams, in each
 * direction. Two token buckets, one for what goes out and one for the credit that is given for
 * what comes in. Nothing is dropped and nobody polls: what is too fast stays in the kernel of
 * whoever sends it, and one timer tells when to go on.
 *
 * A session without a limit has no struct rate; every function here takes it as it is.
 */
#ifndef TUNNEL_RATE_H
#define TUNNEL_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct stream;

/* Pure; bytes and microseconds. It holds a quarter of a second's worth, at least 16 KiB. */
struct bucket {
    uint64_t per_second;      /* 0: no limit */
    int64_t level;            /* negative: that much was taken too early */
    uint64_t filled_us, rest; /* rest: millionths of a byte */
};
void bucket_init(struct bucket *b, uint64_t per_second, uint64_t now_us); /* full */
void bucket_fill(struct bucket *b, uint64_t now_us);
/* What is worth being served at once: 20 ms' worth, but neither crumbs nor more than a second's. */
uint64_t bucket_lot(const struct bucket *b);
/* Bytes that may pass; 0 below a lot, so that what waits is served in lots. */
uint64_t bucket_room(const struct bucket *b);
void bucket_take(struct bucket *b, uint64_t n);
void bucket_give_back(struct bucket *b, uint64_t n);
uint64_t bucket_wait_us(const struct bucket *b); /* until there is a lot */

/* Sets, changes or (0) lifts the limit. BURROW_ENOMEM: nothing changed. */
int rate_set(struct session *s, uint64_t bytes_per_second);
void rate_destroy(struct session *s);

/* How much may be sent now, SIZE_MAX without a limit. 0: the output is scheduled when there is
 * room again. */
size_t rate_may_send(struct session *s);
void rate_sent(struct session *s, size_t n);

/* How much of the wanted credit the stream may be given now; it counts as given. 0: its turn
 * comes, and then it is renewed. */
uint64_t rate_credit(struct stream *st, uint64_t wanted);
/* Version 1, which has no credit: n bytes have come. The link is not read until they are paid. */
void rate_received(struct session *s, size_t n);
/* The stream ends with so much credit unused. */
void rate_finished(struct stream *st, uint64_t unused);

#endif
