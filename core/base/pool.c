/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers for messages in two sizes, each with a bounded list of free ones, last in first
 * out so that the next buffer is warm in the cache. One block holds the book-keeping and
 * the bytes; a fresh payload begins on a cache line.
 */
#include "base/pool.h"
#include "base/object.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif
#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define POOL_MAGIC 0x504f4f4cu
#define BLOCK_OUT 0x424f5554u /* magic of a buffer that is out */
#define BLOCK_FREE 0x42465245u
#define BLOCK_ALIGN 64u
#define POOL_BIGGEST (64u * 1024u)

enum size_class { SMALL, LARGE, CLASSES, SINGLE = CLASSES };

/* Payload bytes of a class, and how many free buffers of it are kept: 256 KiB of small
 * ones, 8 MiB of large ones. */
static const struct {
    uint32_t payload, kept;
} classes[CLASSES] = {
    [SMALL] = {POOL_SMALL, 256u * 1024u / (2 * BLOCK_ALIGN + POOL_SMALL)},
    [LARGE] = {POOL_LARGE, 8u * 1024u * 1024u / (2 * BLOCK_ALIGN + POOL_LARGE)},
};

struct block {
    struct burrow_buf buf;
    uint32_t magic;
    uint32_t size_class;
    struct block *next_free;
};

struct pool {
    uint32_t magic;
    size_t in_use;
    struct block *free[CLASSES];
    uint32_t free_count[CLASSES];
};

_Static_assert(sizeof(struct block) <= BLOCK_ALIGN, "the bytes begin one cache line on");
_Static_assert(POOL_HEADROOM % BLOCK_ALIGN == 0, "a fresh payload begins on a cache line");
_Static_assert(POOL_HEADROOM >= BURROW_HEADROOM + POOL_MUX_HEADER, "room for both headers");

struct pool *pool_create(void)
{
    struct pool *pool = calloc(1, sizeof *pool);
    if (pool != NULL)
        pool->magic = POOL_MAGIC;
    return pool;
}

void pool_destroy(struct pool *pool)
{
    if (pool == NULL)
        return;
    must_be(pool, POOL_MAGIC);
    must(pool->in_use == 0);
    for (int c = 0; c < CLASSES; c++) {
        while (pool->free[c] != NULL) {
            struct block *block = pool->free[c];
            pool->free[c] = block->next_free;
            free(block);
        }
    }
    pool->magic = 0;
    free(pool);
}

static struct block *block_new(uint32_t size_class, size_t payload)
{
    size_t size = BLOCK_ALIGN + POOL_HEADROOM + payload;
    size = (size + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    struct block *block = aligned_alloc(BLOCK_ALIGN, size);
    if (block == NULL)
        return NULL;
    block->size_class = size_class;
    block->next_free = NULL;
    /* Exactly the payload of the class: who fills all the room sends full TLS records. */
    block->buf.capacity = POOL_HEADROOM + (uint32_t)payload;
    block->buf.base = (uint8_t *)block + BLOCK_ALIGN;
    return block;
}

struct burrow_buf *pool_get(struct pool *pool, size_t n)
{
    if (n > POOL_BIGGEST)
        return NULL;
    uint32_t c = n <= POOL_SMALL ? SMALL : n <= POOL_LARGE ? LARGE : SINGLE;
    struct block *block;
    if (c < CLASSES && pool->free[c] != NULL) {
        block = pool->free[c];
        must_be(block, BLOCK_FREE);
        pool->free[c] = block->next_free;
        pool->free_count[c]--;
        ASAN_UNPOISON_MEMORY_REGION(block->buf.base, block->buf.capacity);
    } else {
        block = block_new(c, c < CLASSES ? classes[c].payload : n);
        if (block == NULL)
            return NULL;
    }
    block->magic = BLOCK_OUT;
    pool->in_use += block->buf.capacity;
    block->buf.next = NULL;
    block->buf.off = POOL_HEADROOM;
    block->buf.len = 0;
    memset(block->buf.mask, 0, sizeof block->buf.mask);
    return &block->buf;
}

void pool_put(struct pool *pool, struct burrow_buf *chain)
{
    while (chain != NULL) {
        struct block *block = container_of(chain, struct block, buf);
        chain = chain->next;
        must_be(block, BLOCK_OUT);
        block->magic = BLOCK_FREE;
        pool->in_use -= block->buf.capacity;
        uint32_t c = block->size_class;
        if (c < CLASSES && pool->free_count[c] < classes[c].kept) {
            ASAN_POISON_MEMORY_REGION(block->buf.base, block->buf.capacity);
            block->next_free = pool->free[c];
            pool->free[c] = block;
            pool->free_count[c]++;
        } else {
            free(block);
        }
    }
}

int pool_append(struct pool *pool, struct burrow_buf **head, struct burrow_buf **tail,
                const void *p, size_t n)
{
    const uint8_t *from = p;

    while (n > 0) {
        struct burrow_buf *last = *head != NULL ? *tail : NULL;
        size_t part;

        if (last == NULL || buf_room(last) == 0) {
            struct burrow_buf *fresh = pool_get(pool, n <= POOL_SMALL ? n : POOL_LARGE);

            if (fresh == NULL)
                return BURROW_ENOMEM;
            fresh->next = NULL;
            if (last != NULL)
                last->next = fresh;
            else
                *head = fresh;
            *tail = last = fresh;
        }
        part = n < buf_room(last) ? n : buf_room(last);
        memcpy(buf_data(last) + last->len, from, part);
        last->len += (uint32_t)part;
        from += part;
        n -= part;
    }
    return BURROW_OK;
}

size_t pool_in_use(const struct pool *pool)
{
    return pool->in_use;
}
