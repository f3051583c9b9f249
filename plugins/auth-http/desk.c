/* SPDX-License-Identifier: Apache-2.0 */
/* Single flight, queue and cache of the questions to the service, see desk.h. */
#include "desk.h"

#include "http/ca.h"
#include "must.h"
#include "utc.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DESK_MAGIC 0x4b534544u     /* "DESK" in memory order */
#define QUESTION_MAGIC 0x54534551u /* "QEST" */

struct waiting {
    struct waiting *next;
    struct burrow_auth_request *request;
};

/* One question, asked or queued, with all who wait for its answer. */
struct question {
    uint32_t magic;
    uint32_t generation; /* of the rules that it is asked by */
    bool settling;       /* its answer is being told: nobody joins any more */
    struct desk *desk;
    struct question *next; /* in the order of arrival */
    struct waiting *waiting;
    struct http_request *request; /* NULL: queued */
    uint8_t key[CACHE_KEY];
    char peer[64];
    size_t header_len;
    char header[]; /* the Authorization header's value */
};

struct desk {
    uint32_t magic;
    uint32_t generation; /* of the rules */
    bool closed, failing;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct desk_rules rules;
    struct http_ca ca;
    struct http_client *client;
    struct cache *cache;
    struct question *questions;
    size_t asked, waiting;
};

static void count(struct desk *d, uint32_t metric, int64_t delta)
{
    if (delta != 0)
        d->host->metric_add(d->host->self, metric, delta);
}

static void question_free(struct question *q)
{
    explicit_bzero(q->header, q->header_len);
    q->magic = 0;
    free(q);
}

static void take_out(struct desk *d, struct question *q)
{
    struct question **p = &d->questions;
    while (*p != q) {
        must(*p != NULL);
        p = &(*p)->next;
    }
    *p = q->next;
}

/* No request of it is under way any more. */
static void unask(struct desk *d, struct question *q)
{
    if (q->request)
        d->asked--;
    q->request = NULL;
}

/* The one end of a question that was not cancelled by all who asked it. An answer may set off a
 * cancellation of another who waits for the same. */
static void settle(struct desk *d, struct question *q, const struct opinion *opinion)
{
    q->settling = true;
    while (q->waiting) {
        struct waiting *w = q->waiting;
        q->waiting = w->next;
        d->waiting--;
        count(d, DESK_METRIC_WAITING, -1);
        opinion_answer(opinion, d->auth, w->request);
        free(w);
    }
    take_out(d, q);
    question_free(q);
}

/* One line when the service goes and one when it is back: how often is in the metrics. */
static void note_health(struct desk *d, bool failed, const char *reason)
{
    if (failed)
        count(d, DESK_METRIC_FAILURES, 1);
    if (failed == d->failing)
        return;
    d->failing = failed;
    const struct burrow_field fields[] = {
        http_url_field(d->rules.url),
        burrow_str("reason", reason),
    };
    d->host->event(d->host->self, failed ? BURROW_LOG_WARN : BURROW_LOG_INFO,
                   failed ? "auth_http_failing" : "auth_http_recovered", fields, failed ? 2 : 1);
}

static void ask_next(struct desk *d);

static void on_done(void *arg, int result, const struct http_response *response, const char *error)
{
    struct question *q = arg;
    must(q->magic == QUESTION_MAGIC);
    struct desk *d = q->desk;
    struct opinion opinion;
    int64_t keep_ms = 0;
    unask(d, q);
    if (result == BURROW_OK)
        opinion_read(response, utc_now_ms(), &opinion, &keep_ms);
    else
        opinion_unavailable(error, &opinion);
    note_health(d, opinion.result == BURROW_AUTH_UNAVAILABLE, opinion.reason);
    if (keep_ms > 0 && q->generation == d->generation) {
        int64_t before = (int64_t)cache_count(d->cache);
        cache_put(d->cache, q->key, &opinion, d->host->now_ms(d->host->self) + (uint64_t)keep_ms);
        count(d, DESK_METRIC_CACHED, (int64_t)cache_count(d->cache) - before);
    }
    settle(d, q, &opinion);
    opinion_finish(&opinion);
    ask_next(d);
}

/* Sends the question. False: it was answered, for it could not be asked. */
static bool ask(struct desk *d, struct question *q)
{
    const struct http_field fields[] = {
        {"Authorization", q->header},
        {"Accept", "application/json"},
        {"X-Burrow-Peer", q->peer},
    };
    struct http_ask asked = {
        .url = d->rules.url,
        .fields = fields,
        .field_count = q->peer[0] ? 3 : 2,
        .connect_ms = DESK_CONNECT_MS,
        .total_ms = d->rules.timeout_ms,
        .max_body = OPINION_MAX_BODY,
        .redirects = HTTP_REDIRECT_NONE, /* a token goes to the one place that was named */
        .done = on_done,
        .arg = q,
    };
    http_ca_use(&d->ca, &asked);
    if (http_start(d->client, &asked, &q->request) < 0) {
        static const char why[] = "the question could not be put";
        struct opinion opinion;
        opinion_unavailable(why, &opinion);
        note_health(d, true, why);
        settle(d, q, &opinion);
        return false;
    }
    d->asked++;
    count(d, DESK_METRIC_REQUESTS, 1);
    return true;
}

/* Fills the free places with those who wait longest. */
static void ask_next(struct desk *d)
{
    while (!d->closed && d->asked < d->rules.max_requests) {
        struct question *q = d->questions;
        while (q && (q->request || q->settling))
            q = q->next;
        if (!q)
            return;
        ask(d, q);
    }
}

/* ---- the counter ---- */

/* An answer may depend on where the client is, so that the address is part of the question. */
static bool make_key(const char *token, size_t token_len, const char *peer, uint8_t key[CACHE_KEY])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned n = 0;
    bool made = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(ctx, peer, strlen(peer) + 1) == 1 &&
                EVP_DigestUpdate(ctx, token, token_len) == 1 &&
                EVP_DigestFinal_ex(ctx, key, &n) == 1 && n == CACHE_KEY;
    EVP_MD_CTX_free(ctx);
    return made;
}

static struct question *find(struct desk *d, const uint8_t key[CACHE_KEY])
{
    struct question *q = d->questions;
    while (q &&
           (q->settling || q->generation != d->generation || memcmp(q->key, key, CACHE_KEY) != 0))
        q = q->next;
    return q;
}

static struct question *question_create(struct desk *d, const uint8_t key[CACHE_KEY],
                                        const char *token, size_t token_len, const char *peer)
{
    static const char scheme[] = "Bearer ";
    size_t len = strlen(scheme) + token_len + 1;
    struct question *q = calloc(1, sizeof *q + len);
    if (!q)
        return NULL;
    q->magic = QUESTION_MAGIC;
    q->generation = d->generation;
    q->desk = d;
    q->header_len = len;
    snprintf(q->header, len, "%s%.*s", scheme, (int)token_len, token);
    snprintf(q->peer, sizeof q->peer, "%s", peer);
    memcpy(q->key, key, CACHE_KEY);
    struct question **end = &d->questions;
    while (*end)
        end = &(*end)->next;
    *end = q;
    return q;
}

static void refuse(struct desk *d, struct burrow_auth_request *request, const char *reason)
{
    struct opinion opinion;
    opinion_unavailable(reason, &opinion);
    opinion_answer(&opinion, d->auth, request);
}

void desk_ask(struct desk *d, struct burrow_auth_request *request, const char *token,
              size_t token_len, const char *peer)
{
    must(d->magic == DESK_MAGIC);
    uint8_t key[CACHE_KEY];
    if (d->closed || d->waiting >= DESK_MAX_WAITING || !make_key(token, token_len, peer, key)) {
        refuse(d, request, d->closed ? "stopping" : "too many requests wait for the service");
        return;
    }
    int64_t before = (int64_t)cache_count(d->cache);
    const struct opinion *kept = cache_get(d->cache, key, d->host->now_ms(d->host->self));
    count(d, DESK_METRIC_CACHED, (int64_t)cache_count(d->cache) - before);
    /* The host's clock and the calendar may part, in sleep or by a correction. */
    if (kept && (kept->expires_ms == 0 || kept->expires_ms > utc_now_ms())) {
        count(d, DESK_METRIC_HITS, 1);
        opinion_answer(kept, d->auth, request);
        return;
    }
    struct waiting *w = calloc(1, sizeof *w);
    struct question *q = find(d, key);
    bool is_new = !q;
    if (w && is_new)
        q = question_create(d, key, token, token_len, peer);
    if (!w || !q) {
        free(w);
        refuse(d, request, "out of memory");
        return;
    }
    w->request = request;
    w->next = q->waiting;
    q->waiting = w;
    d->waiting++;
    count(d, DESK_METRIC_WAITING, 1);
    if (is_new)
        ask_next(d);
}

static bool remove_waiting(struct question *q, const struct burrow_auth_request *request)
{
    for (struct waiting **p = &q->waiting; *p; p = &(*p)->next) {
        struct waiting *w = *p;
        if (w->request != request)
            continue;
        *p = w->next;
        free(w);
        return true;
    }
    return false;
}

void desk_cancel(struct desk *d, const struct burrow_auth_request *request)
{
    for (struct question *q = d->questions; q; q = q->next) {
        if (!remove_waiting(q, request))
            continue;
        d->waiting--;
        count(d, DESK_METRIC_WAITING, -1);
        if (!q->waiting && !q->settling) { /* nobody wants to know any more */
            http_cancel(q->request);
            unask(d, q);
            take_out(d, q);
            question_free(q);
            ask_next(d);
        }
        return;
    }
}

/* ---- life ---- */

int desk_create(const struct burrow_host *host, const struct desk_rules *rules, struct desk **ret)
{
    struct desk *d = calloc(1, sizeof *d);
    if (!d)
        return BURROW_ENOMEM;
    d->magic = DESK_MAGIC;
    d->host = host;
    d->rules = *rules;
    d->cache = cache_create(rules->max_cached);
    if (!d->cache || http_client_create(host, "burrow", &d->client) < 0) {
        desk_destroy(d);
        return BURROW_ENOMEM;
    }
    *ret = d;
    return BURROW_OK;
}

void desk_bind(struct desk *d, const struct burrow_auth_host *auth)
{
    d->auth = auth;
}

int desk_start(struct desk *d)
{
    return http_ca_set(&d->ca, d->host, DESK_CA_OPTION, d->rules.ca);
}

int desk_replace(struct desk *d, const struct desk_rules *rules)
{
    struct cache *cache = cache_create(rules->max_cached);
    if (!cache)
        return burrow_error(d->host, BURROW_ENOMEM, "out of memory");
    int r = http_ca_set(&d->ca, d->host, DESK_CA_OPTION, rules->ca);
    if (r < 0) {
        cache_destroy(cache);
        return r;
    }
    count(d, DESK_METRIC_CACHED, -(int64_t)cache_count(d->cache));
    cache_destroy(d->cache);
    d->cache = cache;
    d->rules = *rules;
    d->generation++;
    return BURROW_OK;
}

void desk_close(struct desk *d)
{
    d->closed = true;
    while (d->questions) {
        struct opinion opinion;
        opinion_unavailable("stopping", &opinion);
        http_cancel(d->questions->request);
        unask(d, d->questions);
        settle(d, d->questions, &opinion);
    }
    http_client_destroy(d->client);
    http_ca_finish(&d->ca);
    d->client = NULL;
}

void desk_destroy(struct desk *d)
{
    if (!d)
        return;
    desk_close(d);
    cache_destroy(d->cache);
    d->magic = 0;
    free(d);
}
