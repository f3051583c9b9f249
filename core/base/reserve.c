/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One area that is not touched before it is needed, so that it costs address space alone. Blocks
 * are taken from its front one behind the other, each with its size in front, and all of it is free
 * again when the last of them has gone: arrays that double need no more. libev has one allocator
 * for the process and no argument for it, which makes this one of the process too.
 */
#include "base/reserve.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* An array of libev's has at most 16 bytes a descriptor, and doubles beside the old one. */
#define RESERVE_BYTES (4u << 20)

struct block {
    size_t size;
    max_align_t data[];
};

static _Atomic(uint8_t *) area; /* NULL: not yet; then the same for ever */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t used, live; /* bytes and blocks of it; under the lock */

void reserve_fill(void)
{
    if (atomic_load(&area) != NULL)
        return;
    uint8_t *none = NULL, *mine = malloc(RESERVE_BYTES);
    if (!atomic_compare_exchange_strong(&area, &none, mine))
        free(mine);
}

static bool is_ours(const void *p)
{
    uintptr_t start = (uintptr_t)atomic_load(&area), at = (uintptr_t)p;
    return start != 0 && at >= start && at - start < RESERVE_BYTES;
}

static struct block *block_of(void *p)
{
    return (struct block *)(void *)((uint8_t *)p - offsetof(struct block, data));
}

static void *take(size_t n)
{
    uint8_t *start = atomic_load(&area);
    struct block *block = NULL;
    if (start == NULL || n > RESERVE_BYTES)
        return NULL;
    size_t need = (offsetof(struct block, data) + n + _Alignof(max_align_t) - 1) /
                  _Alignof(max_align_t) * _Alignof(max_align_t);
    pthread_mutex_lock(&lock);
    if (need <= RESERVE_BYTES - used) {
        block = (struct block *)(void *)(start + used);
        block->size = n;
        used += need;
        live++;
    }
    pthread_mutex_unlock(&lock);
    return block != NULL ? block->data : NULL;
}

static void give_back(void *p)
{
    if (!is_ours(p)) {
        free(p);
        return;
    }
    pthread_mutex_lock(&lock);
    if (--live == 0)
        used = 0;
    pthread_mutex_unlock(&lock);
}

static size_t size_of(void *p)
{
    return is_ours(p) ? block_of(p)->size : malloc_usable_size(p);
}

void *reserve_realloc(void *p, long n)
{
    if (n <= 0) {
        give_back(p);
        return NULL;
    }
    size_t size = (size_t)n;
    bool ours = is_ours(p);
    void *grown = realloc(ours ? NULL : p, size);
    if (grown != NULL && !ours)
        return grown;
    if (grown == NULL)
        grown = take(size);
    if (grown == NULL || p == NULL)
        return grown;
    size_t had = size_of(p);
    memcpy(grown, p, had < size ? had : size);
    give_back(p);
    return grown;
}
