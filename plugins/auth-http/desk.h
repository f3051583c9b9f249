/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desk at which questions to the service are asked: the same question once at a time, a
 * bounded number at once, the others in a bounded queue.
 */
#ifndef AUTH_HTTP_DESK_H
#define AUTH_HTTP_DESK_H

#include "cache.h"

#define DESK_MAX_WAITING 1024u /* requests of the host, asked or queued */
#define DESK_CONNECT_MS 3000u
#define DESK_CA_OPTION "auth-http-ca"

/* What the operator says; strings are the config's. */
struct desk_rules {
    const char *url;
    const char *ca; /* or NULL */
    uint32_t timeout_ms;
    size_t max_requests, max_cached;
};

/* The metrics of the plugin, in the order of its table. */
enum {
    DESK_METRIC_REQUESTS,
    DESK_METRIC_FAILURES,
    DESK_METRIC_HITS,
    DESK_METRIC_CACHED,
    DESK_METRIC_WAITING,
};

struct desk;

int desk_create(const struct burrow_host *host, const struct desk_rules *rules, struct desk **ret);
void desk_bind(struct desk *desk, const struct burrow_auth_host *auth);
/* Reads the authorities. Explains what is wrong, as desk_replace does. */
int desk_start(struct desk *desk);
/* New rules; forgets what was kept. On failure nothing has changed. */
int desk_replace(struct desk *desk, const struct desk_rules *rules);
/* Answers who waits (unavailable) and asks nothing any more. */
void desk_close(struct desk *desk);
void desk_destroy(struct desk *desk); /* NULL is allowed */

/* Answers now or later. The token has been checked to be one that can stand in a header; peer
 * is the client's address, "" when it has none. */
void desk_ask(struct desk *desk, struct burrow_auth_request *request, const char *token,
              size_t token_len, const char *peer);
void desk_cancel(struct desk *desk, const struct burrow_auth_request *request);

#endif
