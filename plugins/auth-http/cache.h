/* SPDX-License-Identifier: Apache-2.0 */
/* Opinions that the service allows to keep, by the hash of what was asked: as many as the
 * operator says, and when there are more the one that was used longest ago goes. */
#ifndef AUTH_HTTP_CACHE_H
#define AUTH_HTTP_CACHE_H

#include "opinion.h"

#define CACHE_KEY 32u /* bytes: a SHA-256, so that no token lies in memory for long */

struct cache;

struct cache *cache_create(size_t limit); /* NULL: out of memory. limit 0: keeps nothing */
void cache_destroy(struct cache *cache);  /* NULL is allowed */
void cache_clear(struct cache *cache);
size_t cache_count(const struct cache *cache);

/* Keeps a copy until the host's time until_ms. Without memory nothing is kept. */
void cache_put(struct cache *cache, const uint8_t key[CACHE_KEY], const struct opinion *opinion,
               uint64_t until_ms);
/* NULL: there is none that counts at now_ms. Borrowed until the next call. */
const struct opinion *cache_get(struct cache *cache, const uint8_t key[CACHE_KEY], uint64_t now_ms);

#endif
