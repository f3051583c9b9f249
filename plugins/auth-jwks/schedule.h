/* SPDX-License-Identifier: Apache-2.0 */
/* When the key set is asked for again: pure functions of what happened and a random number. */
#ifndef JWKS_SCHEDULE_H
#define JWKS_SCHEDULE_H

#include <stdint.h>

/* A response's max-age below this counts as this (or as the refresh, if that is shorter). */
#define JWKS_SHORTEST_MS 30000
#define JWKS_FIRST_RETRY_MS 1000
#define JWKS_LONGEST_RETRY_MS 60000
/* Unknown key ids set off one fetch in this time, however many tokens show them. */
#define JWKS_COOLDOWN_MS 30000

/* After a success. cache_ms is http_cache_ms's: a positive one may bring the next fetch forward,
 * nothing may put it off. Up to a tenth is taken off, so that replicas drift apart. */
int64_t jwks_refresh_in(int64_t refresh_ms, int64_t cache_ms, uint32_t random);
/* After that many failures in a row: between half of and the whole of a pause that doubles up to
 * a minute or the refresh. retry_after_ms (-1: none) is honoured up to JWKS_LONGEST_RETRY_MS. */
int64_t jwks_retry_in(int64_t refresh_ms, uint32_t failures, int64_t retry_after_ms,
                      uint32_t random);

#endif
