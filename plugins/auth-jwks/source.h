/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key set of auth-jwks: where it comes from, how old it may be, and when it is asked for.
 *
 * One load runs at a time. A load that fails for whatever reason leaves the set in force as it
 * is, until that has not been confirmed for so long that it may not be used any more.
 */
#ifndef JWKS_SOURCE_H
#define JWKS_SOURCE_H

#include "jwt/key.h"

#include <burrow/plugin.h>
#include <stdbool.h>

#define JWKS_MAX_DOCUMENT (1024u * 1024u)
#define JWKS_CONNECT_MS 4000u
#define JWKS_CA_OPTION "jwks-ca"
#define JWKS_TOTAL_MS 8000u /* below the host's deadline for an answer */

/* What the operator says of it; strings are the config's. */
struct jwks_place {
    const char *url;  /* https, http, or file: */
    const char *path; /* of a file: URL, inside url; else NULL */
    const char *ca;   /* or NULL */
    bool plain;       /* http to another machine, which was allowed */
    int64_t refresh_ms, keep_ms;
};

/* The metrics of the plugin, in the order of its table. */
enum {
    JWKS_METRIC_LOADS,
    JWKS_METRIC_FAILURES,
    JWKS_METRIC_SKIPPED,
    JWKS_METRIC_KEYS,
    JWKS_METRIC_WAITING,
};

/* A load has ended, well or not. On a turn of its own; may call source_miss. */
typedef void source_tried_fn(void *arg);

struct source;

/* Reads and checks the URL; explains by host->verror. */
int jwks_place_read(const struct burrow_host *host, const char *url, bool allow_http,
                    struct jwks_place *ret);

int source_create(const struct burrow_host *host, const struct jwks_place *place,
                  source_tried_fn *tried, void *arg, struct source **ret);
/* Begins to load. A set that cannot be loaded now is tried again. */
int source_start(struct source *source);
/* Takes over the new place, whose URL is the same, and loads at once. Explains what is wrong with
 * its authorities, and then nothing has changed. */
int source_replace(struct source *source, const struct jwks_place *place);
/* Nothing runs any more; the host is not needed after it but by source_destroy. */
void source_stop(struct source *source);
void source_destroy(struct source *source); /* NULL is allowed */

/* The keys that may be used now; none: an empty set. Borrowed until the next turn. */
const struct jwt_keys *source_keys(struct source *source);
/* A token shows a key that is not in the set. Whether a load is under way that may bring it:
 * begins one when that is allowed. */
bool source_miss(struct source *source);
/* Why the newest load failed; "" when it did not. */
const char *source_trouble(const struct source *source);

#endif
