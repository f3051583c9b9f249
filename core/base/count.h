/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters that one thread writes and any may read. They are ordinary integers, and to the writer
 * they cost what those cost; a reader sees a value that was true a moment ago.
 */
#ifndef BASE_COUNT_H
#define BASE_COUNT_H

#include <stdint.h>

static inline void count_add(uint64_t *count, uint64_t n)
{
    __atomic_store_n(count, *count + n, __ATOMIC_RELAXED);
}

static inline uint64_t count_read(const uint64_t *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

#endif
