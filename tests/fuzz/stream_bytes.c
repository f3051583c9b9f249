/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of fuzzed streams; see stream_bytes.h. Built without instruments: they
 * watched every byte, which took most of the fuzzers' time. AddressSanitizer is asked about each
 * piece as a whole instead. */
#include "stream_bytes.h"

#include "base/object.h"

#include <sanitizer/asan_interface.h>

static void must_be_ours(const void *p, size_t n)
{
    /* It takes what it asks about as not const. */
    must(n == 0 || __asan_region_is_poisoned((void *)(uintptr_t)p, n) == NULL);
}

static uint8_t byte_at(enum way way, uint64_t id, uint64_t offset)
{
    if (way == WAY_IN)
        return (uint8_t)(offset * 131 + (offset >> 8) * 7 + id * 29);
    return (uint8_t)(offset * 137 + (offset >> 8) * 11 + id * 53 + 1);
}

void stream_bytes_fill(enum way way, uint64_t id, uint64_t offset, uint8_t *p, size_t n)
{
    must_be_ours(p, n);
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(way, id, offset + i);
}

bool stream_bytes_match(enum way way, uint64_t id, uint64_t offset, const uint8_t *p, size_t n)
{
    uint8_t differs = 0;
    must_be_ours(p, n);
    for (size_t i = 0; i < n; i++)
        differs |= p[i] ^ byte_at(way, id, offset + i);
    return differs == 0;
}
