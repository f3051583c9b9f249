/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that lives and ends together, overwritten when it is freed. */
#include "config/arena.h"

#include "base/checked.h"
#include "base/object.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAGIC 0x4e455241u

struct block {
    struct block *next;
    size_t size; /* of the data behind the header */
    max_align_t data[];
};

struct arena {
    uint32_t magic;
    struct block *blocks;
};

struct arena *arena_create(void)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena)
        arena->magic = ARENA_MAGIC;
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    must_be(arena, ARENA_MAGIC);
    while (arena->blocks) {
        struct block *block = arena->blocks;
        arena->blocks = block->next;
        explicit_bzero(block->data, block->size);
        free(block);
    }
    arena->magic = 0;
    free(arena);
}

/* One block per allocation: there are a few hundred in a process, all made at start-up, and
 * this way the sanitizers see each end. */
void *arena_alloc(struct arena *arena, size_t n)
{
    must_be(arena, ARENA_MAGIC);
    size_t total;
    if (!checked_add_size(sizeof(struct block), n, &total))
        return NULL;
    struct block *block = calloc(1, total);
    if (!block)
        return NULL;
    block->size = n;
    block->next = arena->blocks;
    arena->blocks = block;
    return block->data;
}

char *arena_copy(struct arena *arena, const char *p, size_t n)
{
    size_t total;
    if (!checked_add_size(n, 1, &total))
        return NULL;
    char *copy = arena_alloc(arena, total);
    if (copy && n > 0)
        memcpy(copy, p, n);
    return copy;
}
