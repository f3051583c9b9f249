/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers for messages. A pool belongs to one loop and keeps a bounded number of free
 * buffers of two sizes: small ones for control frames and keystrokes, large ones for bulk.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <burrow/transport.h>

/* Room before the payload of a fresh buffer: the transport's headroom and a mux header. */
#define POOL_HEADROOM 64u
#define POOL_MUX_HEADER 14u
/* Payload of one large buffer: with a mux header and a masked WebSocket header it fills one
 * TLS record of 16384 bytes and no more. */
#define POOL_LARGE 16362u
#define POOL_SMALL 192u

struct pool;

struct pool *pool_create(void);
void pool_destroy(struct pool *pool); /* every buffer must be back */

/* A buffer with off = POOL_HEADROOM, len = 0 and room for at least n payload bytes (n up to
 * 64 KiB; above POOL_LARGE it is not kept for reuse). NULL: out of memory. */
struct burrow_buf *pool_get(struct pool *pool, size_t n);
/* Gives back a whole chain; NULL is allowed. */
void pool_put(struct pool *pool, struct burrow_buf *chain);

/* Copies n bytes behind the chain *head … *tail (*head NULL: empty), into the room of its
 * last buffer and new ones. BURROW_ENOMEM: a part may have been copied. */
int pool_append(struct pool *pool, struct burrow_buf **head, struct burrow_buf **tail,
                const void *p, size_t n);

/* Bytes of all buffers that are out, for limits and metrics. */
size_t pool_in_use(const struct pool *pool);

static inline uint8_t *buf_data(struct burrow_buf *b)
{
    return b->base + b->off;
}

static inline size_t buf_room(const struct burrow_buf *b)
{
    return (size_t)b->capacity - b->off - b->len;
}

#endif
