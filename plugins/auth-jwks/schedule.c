/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of refreshes and retries, see schedule.h. */
#include "schedule.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* From 0 up to and without n. */
static int64_t part_of(int64_t n, uint32_t random)
{
    return n > 0 ? (int64_t)random % n : 0;
}

int64_t jwks_refresh_in(int64_t refresh_ms, int64_t cache_ms, uint32_t random)
{
    int64_t in = refresh_ms;
    if (cache_ms > 0)
        in = smaller(in, cache_ms > JWKS_SHORTEST_MS ? cache_ms : JWKS_SHORTEST_MS);
    return in - part_of(in / 10, random);
}

int64_t jwks_retry_in(int64_t refresh_ms, uint32_t failures, int64_t retry_after_ms,
                      uint32_t random)
{
    int64_t in = JWKS_FIRST_RETRY_MS;
    for (uint32_t i = 1; i < failures && in < JWKS_LONGEST_RETRY_MS; i++)
        in *= 2;
    in = smaller(smaller(in, JWKS_LONGEST_RETRY_MS), refresh_ms);
    in = in - part_of(in / 2, random);
    if (retry_after_ms > in)
        in = smaller(retry_after_ms, JWKS_LONGEST_RETRY_MS);
    return in;
}
