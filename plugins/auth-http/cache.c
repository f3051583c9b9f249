/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of opinions with a list in the order of use, see cache.h. Keys are hashes, so
 * that their first bytes spread as well as any function of them. */
#include "cache.h"

#include "must.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *chain;         /* of its bucket */
    struct entry *newer, *older; /* by use */
    uint64_t until_ms;
    uint8_t key[CACHE_KEY];
    struct opinion opinion;
};

struct cache {
    size_t limit, count, buckets; /* a power of two */
    struct entry **table;
    struct entry *newest, *oldest;
};

struct cache *cache_create(size_t limit)
{
    struct cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->limit = limit;
    for (c->buckets = 16; c->buckets < limit;)
        c->buckets *= 2;
    c->table = calloc(c->buckets, sizeof(struct entry *));
    if (!c->table) {
        free(c);
        return NULL;
    }
    return c;
}

static struct entry **bucket_of(const struct cache *c, const uint8_t *key)
{
    uint32_t hash;
    memcpy(&hash, key, sizeof hash);
    return &c->table[hash & (c->buckets - 1)];
}

static struct entry *find(const struct cache *c, const uint8_t *key)
{
    struct entry *e = *bucket_of(c, key);
    while (e && memcmp(e->key, key, CACHE_KEY) != 0)
        e = e->chain;
    return e;
}

static void unlist(struct cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void list_as_newest(struct cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(struct cache *c, struct entry *e)
{
    struct entry **p = bucket_of(c, e->key);
    while (*p != e) {
        must(*p != NULL);
        p = &(*p)->chain;
    }
    *p = e->chain;
    unlist(c, e);
    c->count--;
    opinion_finish(&e->opinion);
    free(e);
}

void cache_clear(struct cache *c)
{
    while (c->oldest)
        drop(c, c->oldest);
}

void cache_destroy(struct cache *c)
{
    if (!c)
        return;
    cache_clear(c);
    free(c->table);
    free(c);
}

size_t cache_count(const struct cache *c)
{
    return c->count;
}

void cache_put(struct cache *c, const uint8_t key[CACHE_KEY], const struct opinion *opinion,
               uint64_t until_ms)
{
    struct entry *e = find(c, key);
    if (e)
        drop(c, e);
    if (c->limit == 0)
        return;
    while (c->count >= c->limit)
        drop(c, c->oldest);
    e = calloc(1, sizeof *e);
    if (!e || !opinion_copy(opinion, &e->opinion)) {
        free(e);
        return;
    }
    memcpy(e->key, key, CACHE_KEY);
    e->until_ms = until_ms;
    struct entry **bucket = bucket_of(c, key);
    e->chain = *bucket;
    *bucket = e;
    list_as_newest(c, e);
    c->count++;
}

const struct opinion *cache_get(struct cache *c, const uint8_t key[CACHE_KEY], uint64_t now_ms)
{
    struct entry *e = find(c, key);
    if (!e)
        return NULL;
    if (now_ms >= e->until_ms) {
        drop(c, e);
        return NULL;
    }
    unlist(c, e);
    list_as_newest(c, e);
    return &e->opinion;
}
