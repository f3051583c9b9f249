/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the key set by HTTP or from a file and keeps the last good one, see source.h. */
#include "source.h"

#include "http/ca.h"
#include "must.h"
#include "schedule.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define SOURCE_MAGIC 0x534b574au /* "JWKS" in memory order */
#define SKIPPED_SHOWN 10u        /* keys of one document that are named in the log */

struct source {
    uint32_t magic;
    const struct burrow_host *host;
    struct jwks_place place;
    source_tried_fn *tried;
    void *arg;
    struct http_client *client; /* NULL: a file */
    struct http_ca ca;
    struct http_request *request; /* the load that is under way */
    struct burrow_timer *next;
    struct burrow_files *files;
    struct jwt_keys keys;
    bool loaded;
    uint64_t loaded_ms; /* when the set in force was last seen to be right */
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len;
    bool missed;
    uint64_t missed_ms; /* when an unknown key last set off a load */
    uint32_t failures;  /* in a row */
    uint32_t skipped;   /* keys of the document that is being read */
    char trouble[256];
};

static struct source *source_of(void *arg)
{
    struct source *s = arg;
    must(s != NULL && s->magic == SOURCE_MAGIC);
    return s;
}

static void count(struct source *s, uint32_t metric, int64_t delta)
{
    s->host->metric_add(s->host->self, metric, delta);
}

static uint32_t draw(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = 0; /* early at boot: jitter is a courtesy */
    return random;
}

static void drop_keys(struct source *s)
{
    count(s, JWKS_METRIC_KEYS, -(int64_t)s->keys.count);
    jwt_keys_finish(&s->keys);
    s->keys = (struct jwt_keys){.count = 0};
    s->loaded = false;
    s->digest_len = 0;
}

/* ---- what has come ---- */

static void load_failed(struct source *s, const char *reason)
{
    s->failures += s->failures < UINT32_MAX;
    snprintf(s->trouble, sizeof s->trouble, "%s", reason);
    count(s, JWKS_METRIC_FAILURES, 1);
    const struct burrow_field fields[] = {
        http_url_field(s->place.url),
        burrow_str("reason", s->trouble),
        burrow_uint("keys_kept", s->keys.count),
        burrow_uint("failures", s->failures),
    };
    s->host->event(s->host->self, BURROW_LOG_WARN, "jwks_failed", fields, 4);
}

static void on_skipped(void *arg, size_t index, const char *kid, const char *reason)
{
    struct source *s = source_of(arg);
    count(s, JWKS_METRIC_SKIPPED, 1);
    if (++s->skipped > SKIPPED_SHOWN)
        return;
    const struct burrow_field fields[] = {
        burrow_uint("index", index),
        burrow_str("kid", kid),
        burrow_str("reason", reason),
    };
    s->host->event(s->host->self, BURROW_LOG_WARN, "jwks_key_skipped", fields, 3);
}

/* The set is right as of now. What has not changed is not worth a line. */
static void confirm(struct source *s, bool changed)
{
    bool was_failing = s->failures > 0;
    s->loaded = true;
    s->loaded_ms = s->host->now_ms(s->host->self);
    s->failures = 0;
    s->trouble[0] = '\0';
    const struct burrow_field fields[] = {
        http_url_field(s->place.url),
        burrow_uint("keys", s->keys.count),
        burrow_uint("skipped", s->skipped),
    };
    s->host->event(s->host->self, changed || was_failing ? BURROW_LOG_INFO : BURROW_LOG_DEBUG,
                   "jwks_loaded", fields, 3);
}

/* Takes a document over, or leaves all as it is with the reason in *why. */
static int take_document(struct source *s, const char *text, size_t len, struct jwt_refusal *why)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    if (EVP_Digest(text, len, digest, &digest_len, EVP_sha256(), NULL) != 1)
        digest_len = 0;
    if (s->loaded && digest_len > 0 && digest_len == s->digest_len &&
        memcmp(digest, s->digest, digest_len) == 0) {
        confirm(s, false);
        return BURROW_OK;
    }
    struct jwt_keys keys;
    s->skipped = 0;
    int r = jwt_keys_from_jwks(text, len, on_skipped, s, &keys, why);
    if (r < 0)
        return r;
    drop_keys(s);
    s->keys = keys;
    memcpy(s->digest, digest, digest_len);
    s->digest_len = digest_len;
    count(s, JWKS_METRIC_KEYS, (int64_t)keys.count);
    confirm(s, true);
    return BURROW_OK;
}

/* ---- by HTTP ---- */

static void on_next(void *arg);

static void schedule(struct source *s, int64_t ms)
{
    s->host->cancel(s->next);
    s->next = s->host->after(s->host->self, (uint64_t)ms, on_next, s);
    if (!s->next) /* unknown keys and SIGHUP still load */
        burrow_log(s->host, BURROW_LOG_ERROR, "out of memory: no refresh of the keys is planned");
}

static void schedule_retry(struct source *s, int64_t retry_after_ms)
{
    schedule(s, jwks_retry_in(s->place.refresh_ms, s->failures, retry_after_ms, draw()));
}

static void on_done(void *arg, int result, const struct http_response *response, const char *error)
{
    struct source *s = source_of(arg);
    struct jwt_refusal why = {.code = 0};
    char text[64];
    s->request = NULL;
    if (result == BURROW_OK && response->status == 200)
        result = take_document(s, response->body.data, response->body.len, &why);
    else if (result == BURROW_OK)
        snprintf(text, sizeof text, "the answer has status %d, not 200", (int)response->status);
    if (result == BURROW_OK && response->status == 200) {
        int64_t cache_ms = http_keep_ms(response);
        schedule(s, jwks_refresh_in(s->place.refresh_ms, cache_ms, draw()));
    } else {
        const char *reason = error[0] ? error : why.text[0] ? why.text : "out of memory";
        load_failed(s, result == BURROW_OK ? text : reason);
        const char *retry_after = http_header(response, "Retry-After");
        schedule_retry(s, http_retry_after_ms(retry_after, (int64_t)time(NULL)));
    }
    s->tried(s->arg);
}

/* Asks the server, unless that is under way already. */
static void fetch(struct source *s)
{
    static const struct http_field accept = {"Accept",
                                             "application/jwk-set+json, application/json"};
    struct http_ask ask = {
        .url = s->place.url,
        .fields = &accept,
        .field_count = 1,
        .connect_ms = JWKS_CONNECT_MS,
        .total_ms = JWKS_TOTAL_MS,
        .max_body = JWKS_MAX_DOCUMENT,
        .redirects = HTTP_REDIRECT_SAME_ORIGIN,
        .fresh = true, /* fetches are rare: no idle connection, and each sees the newest CA */
        .done = on_done,
        .arg = s,
    };
    if (s->request)
        return;
    s->host->cancel(s->next);
    s->next = NULL;
    count(s, JWKS_METRIC_LOADS, 1);
    http_ca_use(&s->ca, &ask);
    if (http_start(s->client, &ask, &s->request) < 0) {
        load_failed(s, "out of memory");
        schedule_retry(s, -1);
    }
}

/* A load that failed before it began has kept nobody waiting. */
static void on_next(void *arg)
{
    struct source *s = source_of(arg);
    s->next = NULL;
    fetch(s);
}

/* ---- from a file ---- */

static int read_file(struct source *s, char *ret_why, size_t size)
{
    struct jwt_refusal why = {.code = 0};
    char reason[FILE_WHY] = "out of memory";
    struct file_bytes bytes = {NULL, 0};
    count(s, JWKS_METRIC_LOADS, 1);
    int r = file_read(s->place.path, JWKS_MAX_DOCUMENT, true, &bytes, reason);
    if (r == BURROW_OK)
        r = take_document(s, bytes.data, bytes.len, &why);
    file_free(&bytes);
    if (r < 0)
        snprintf(ret_why, size, "%s", why.text[0] ? why.text : reason);
    return r;
}

static void load_file(struct source *s)
{
    char why[256];
    if (read_file(s, why, sizeof why) < 0)
        load_failed(s, why);
    s->tried(s->arg);
}

static int on_file(void *arg)
{
    struct source *s = source_of(arg);
    char why[256];
    int r = read_file(s, why, sizeof why);
    if (r < 0) {
        load_failed(s, why);
        r = burrow_error(s->host, r, "--jwks-url (BURROW_JWKS_URL): %s", why);
    }
    s->tried(s->arg);
    return r;
}

/* ---- life ---- */

int source_create(const struct burrow_host *host, const struct jwks_place *place,
                  source_tried_fn *tried, void *arg, struct source **ret)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return BURROW_ENOMEM;
    s->magic = SOURCE_MAGIC;
    s->host = host;
    s->place = *place;
    s->tried = tried;
    s->arg = arg;
    if (!place->path && http_client_create(host, "burrow", &s->client) < 0) {
        source_destroy(s);
        return BURROW_ENOMEM;
    }
    *ret = s;
    return BURROW_OK;
}

int source_start(struct source *s)
{
    int r;
    if (!s->place.path) {
        r = http_ca_set(&s->ca, s->host, JWKS_CA_OPTION, s->place.ca);
        if (r == BURROW_OK)
            fetch(s);
        return r;
    }
    /* Watched before it is read: no change goes unnoticed. */
    r = file_watch(s->host, &s->place.path, 1, on_file, s, &s->files);
    if (r == BURROW_OK)
        load_file(s);
    return r;
}

int source_replace(struct source *s, const struct jwks_place *place)
{
    int r = place->path ? BURROW_OK : http_ca_set(&s->ca, s->host, JWKS_CA_OPTION, place->ca);
    if (r < 0)
        return r;
    s->place = *place;
    if (place->path)
        load_file(s);
    else
        fetch(s);
    return BURROW_OK;
}

void source_stop(struct source *s)
{
    http_cancel(s->request);
    http_client_destroy(s->client);
    s->host->cancel(s->next);
    file_unwatch(s->host, &s->files);
    http_ca_finish(&s->ca);
    s->request = NULL;
    s->client = NULL;
    s->next = NULL;
}

void source_destroy(struct source *s)
{
    if (!s)
        return;
    source_of(s);
    source_stop(s);
    drop_keys(s);
    s->magic = 0;
    free(s);
}

const struct jwt_keys *source_keys(struct source *s)
{
    /* A file is watched: its keys do not age. */
    if (s->loaded && !s->place.path && s->place.keep_ms > 0 &&
        s->host->now_ms(s->host->self) - s->loaded_ms > (uint64_t)s->place.keep_ms) {
        const struct burrow_field fields[] = {
            http_url_field(s->place.url),
            burrow_uint("keys", s->keys.count),
            burrow_str("hint", "they could not be refreshed within jwks-keep and count no more"),
        };
        s->host->event(s->host->self, BURROW_LOG_ERROR, "jwks_expired", fields, 3);
        drop_keys(s);
    }
    return &s->keys;
}

bool source_miss(struct source *s)
{
    if (s->request)
        return true;
    uint64_t now = s->host->now_ms(s->host->self);
    /* Without any key it is not the token that is new: the retries are on their way. */
    if (s->place.path || !s->loaded || (s->missed && now - s->missed_ms < JWKS_COOLDOWN_MS))
        return false;
    s->missed = true;
    s->missed_ms = now;
    fetch(s);
    return s->request != NULL;
}

const char *source_trouble(const struct source *s)
{
    return s->trouble;
}
