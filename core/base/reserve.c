/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block that is never touched, so that it costs address space alone. libev has one allocator
 * for the process and no argument for it, which makes this one of the process too.
 */
#include "base/reserve.h"

#include <stdatomic.h>
#include <stdlib.h>

/* An array of libev's has at most 16 bytes a descriptor, and doubles beside the old one. */
#define RESERVE_BYTES (2u << 20)

static _Atomic(void *) reserve;

void reserve_fill(void)
{
    if (atomic_load_explicit(&reserve, memory_order_relaxed) != NULL)
        return;
    void *none = NULL, *block = malloc(RESERVE_BYTES);
    if (!atomic_compare_exchange_strong(&reserve, &none, block))
        free(block);
}

void *reserve_realloc(void *p, long n)
{
    if (n <= 0) {
        free(p);
        return NULL;
    }
    void *grown = realloc(p, (size_t)n);
    if (grown != NULL)
        return grown;
    free(atomic_exchange(&reserve, NULL));
    return realloc(p, (size_t)n);
}
