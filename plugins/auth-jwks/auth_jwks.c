/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-jwks: lets in whoever shows a JWT that is signed with a key of an identity provider's
 * key set (RFC 7517), which is fetched and kept fresh. The token's sub is the client id.
 *
 * What a good token is, the gate in shared/jwt decides; which keys there are, source.c. What
 * is here: options, life, and the requests that wait because their token names a key that only
 * a load under way may bring. A request waits for one load at most.
 */
#include "http/ca.h"
#include "jwt/auth.h"
#include "jwt/key.h"
#include "must.h"
#include "source.h"
#include "utc.h"
#include "waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_JWKS_MAGIC 0x534b4a41u /* "AJKS" in memory order */

struct auth_jwks_config {
    const char *url;
    const char *ca;
    int64_t refresh_ms;
    int64_t keep_ms;
    uint8_t allow_http;
    struct jwt_options jwt;
};

#define CONFIG struct auth_jwks_config
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(CONFIG, url, "jwks-url", NULL, "URL", BURROW_OPT_REQUIRED, NULL,
                         "key set that signs tokens: https://HOST/PATH or file:/PATH"),
    BURROW_OPTION_DURATION(CONFIG, refresh_ms, "jwks-refresh", "5m", BURROW_OPT_RELOADABLE, 100,
                           86400000, "how often to fetch the key set; its max-age may say sooner"),
    BURROW_OPTION_DURATION(CONFIG, keep_ms, "jwks-keep", "24h", BURROW_OPT_RELOADABLE, 100,
                           31536000000, "how long keys count that could not be fetched again"),
    BURROW_OPTION_PATH(CONFIG, ca, "jwks-ca", NULL, "FILE", BURROW_OPT_RELOADABLE,
                       "certificates to trust for the key set, PEM, instead of the system's"),
    BURROW_OPTION_BOOL(CONFIG, allow_http, "jwks-allow-http", NULL, 0,
                       "fetch the key set without TLS from other machines too, with a warning"),
    JWT_OPTION_ROWS(CONFIG, "RS256", JWT_PUBLIC_ALGS),
    BURROW_OPTION_END,
};
#undef CONFIG

static const struct burrow_metric metrics[] = {
    [JWKS_METRIC_LOADS] = {"fetches_total", BURROW_METRIC_COUNTER, 0, "Loads of the key set begun"},
    [JWKS_METRIC_FAILURES] = {"fetch_failures_total", BURROW_METRIC_COUNTER, 0,
                              "Loads that brought no key set that can be used"},
    [JWKS_METRIC_SKIPPED] = {"keys_skipped_total", BURROW_METRIC_COUNTER, 0,
                             "Keys of loaded sets that cannot be used"},
    [JWKS_METRIC_KEYS] = {"keys", BURROW_METRIC_GAUGE, 0, "Keys in force"},
    [JWKS_METRIC_WAITING] = {"waiting", BURROW_METRIC_GAUGE, 0,
                             "Requests that wait for the load under way"},
    {NULL, 0, 0, NULL},
};

struct auth_jwks {
    uint32_t magic;
    bool stopping;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct jwt_rules rules; /* its strings are the config's */
    struct jwks_place place;
    struct source *source;
    struct waiters waiters;
};

static struct auth_jwks *from_self(void *self)
{
    struct auth_jwks *a = self;
    must(a != NULL && a->magic == AUTH_JWKS_MAGIC);
    return a;
}

/* All that can be wrong in the configuration is found here. Nothing is fetched: a provider that
 * is away must not keep a server from starting. */
static int read_config(const struct burrow_host *host, const struct auth_jwks_config *config,
                       struct jwks_place *ret_place, struct jwt_rules *ret_rules)
{
    struct jwks_place place;
    struct jwt_rules rules;
    int r = jwt_rules_read(host, &config->jwt, "RS256", JWT_PUBLIC_ALGS, &rules);
    if (r == BURROW_OK)
        r = jwks_place_read(host, config->url, config->allow_http != 0, &place);
    if (r == BURROW_OK)
        r = http_ca_check(host, JWKS_CA_OPTION, config->ca);
    if (r < 0)
        return r;
    place.ca = jwt_if_given(config->ca);
    place.refresh_ms = config->refresh_ms;
    place.keep_ms = config->keep_ms;
    *ret_place = place;
    *ret_rules = rules;
    return BURROW_OK;
}

/* ---- verdicts ---- */

static void answer_unavailable(struct auth_jwks *a, struct burrow_auth_request *request,
                               const char *reason)
{
    const struct burrow_verdict verdict = {
        .size = sizeof verdict,
        .result = BURROW_AUTH_UNAVAILABLE,
        .reason = reason,
    };
    a->auth->answer(request, &verdict);
}

/*
 * No key of the set may verify the token, and there is nothing to wait for. Without any set that
 * cannot be told; with one that could not be refreshed, the key may be newer than the set, and
 * the denial says whose fault it is.
 */
static void answer_unknown_key(struct auth_jwks *a, struct burrow_auth_request *request,
                               const struct jwt_refusal *why)
{
    char reason[sizeof why->text + 300];
    struct burrow_verdict verdict;
    const char *trouble = source_trouble(a->source);
    if (source_keys(a->source)->count == 0) {
        snprintf(reason, sizeof reason, "there is no key set yet: %s", trouble);
        answer_unavailable(a, request, reason);
        return;
    }
    jwt_to_verdict(BURROW_EAGAIN, NULL, why, &verdict);
    if (trouble[0]) {
        snprintf(reason, sizeof reason, "%s; the key set could not be refreshed: %s", why->text,
                 trouble);
        verdict.code = BURROW_CODE_VERIFIER_CONFIG;
        verdict.reason = reason;
    }
    a->auth->answer(request, &verdict);
}

/* Judges a token with the keys of now. BURROW_EAGAIN, unanswered: another set might verify it. */
static int judge(struct auth_jwks *a, struct burrow_auth_request *request, const char *token,
                 size_t len, struct jwt_refusal *why)
{
    struct jwt_identity who;
    struct burrow_verdict verdict;
    int r = jwt_check(token, len, &a->rules, jwt_verify_keys, source_keys(a->source), utc_now_ms(),
                      &who, why);
    if (r == BURROW_EAGAIN)
        return r;
    jwt_to_verdict(r, &who, why, &verdict);
    a->auth->answer(request, &verdict);
    return BURROW_OK;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct auth_jwks *a = from_self(self);
    struct jwt_refusal why = {.code = 0};
    if (a->stopping) {
        answer_unavailable(a, request, "stopping");
        return;
    }
    if (judge(a, request, credential->token, credential->token_len, &why) != BURROW_EAGAIN)
        return;
    if (!source_miss(a->source)) {
        answer_unknown_key(a, request, &why);
        return;
    }
    if (!waiters_add(&a->waiters, request, credential->token, credential->token_len)) {
        answer_unavailable(a, request, "too many requests wait for the key set");
        return;
    }
    a->host->metric_add(a->host->self, JWKS_METRIC_WAITING, 1);
}

static void cancel(void *self, struct burrow_auth_request *request)
{
    struct auth_jwks *a = from_self(self);
    if (waiters_remove(&a->waiters, request))
        a->host->metric_add(a->host->self, JWKS_METRIC_WAITING, -1);
}

/* Answers those who wait now; who comes meanwhile may wait for another load. */
static void on_tried(void *arg)
{
    struct auth_jwks *a = from_self(arg);
    for (size_t left = a->waiters.count; left > 0; left--) {
        struct jwt_refusal why = {.code = 0};
        struct waiter *w = waiters_take(&a->waiters);
        if (!w)
            return;
        a->host->metric_add(a->host->self, JWKS_METRIC_WAITING, -1);
        if (a->stopping)
            answer_unavailable(a, w->request, "stopping");
        else if (judge(a, w->request, w->token, w->token_len, &why) == BURROW_EAGAIN)
            answer_unknown_key(a, w->request, &why);
        waiter_free(w);
    }
}

/* ---- life ---- */

static int check(const struct burrow_host *host, const void *config)
{
    struct jwks_place place;
    struct jwt_rules rules;
    return read_config(host, config, &place, &rules);
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_jwks *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_JWKS_MAGIC;
    a->host = host;
    waiters_init(&a->waiters);
    int r = read_config(host, config, &a->place, &a->rules);
    if (r == BURROW_OK && source_create(host, &a->place, on_tried, a, &a->source) < 0)
        r = burrow_error(host, BURROW_ENOMEM, "out of memory");
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

static void warn(const struct auth_jwks *a)
{
    if (a->place.plain) {
        const struct burrow_field fields[] = {
            http_url_field(a->place.url),
            burrow_str("hint", "whoever is on the way can put in keys (jwks-allow-http)"),
        };
        a->host->event(a->host->self, BURROW_LOG_WARN, "jwks_without_tls", fields, 2);
    }
    jwt_rules_warn(a->host, &a->rules);
}

static int start(void *self)
{
    struct auth_jwks *a = from_self(self);
    warn(a);
    return source_start(a->source);
}

static int reload(void *self, const void *config)
{
    struct auth_jwks *a = from_self(self);
    struct jwks_place place;
    struct jwt_rules rules;
    int r = read_config(a->host, config, &place, &rules);
    if (r == BURROW_OK && strcmp(place.url, a->place.url) != 0)
        r = burrow_error(a->host, BURROW_EINVAL,
                         "--jwks-url (BURROW_JWKS_URL): another key set needs a restart");
    if (r == BURROW_OK)
        r = source_replace(a->source, &place);
    if (r < 0)
        return r;
    a->rules = rules;
    a->place = place;
    warn(a);
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_jwks *a = from_self(self);
    a->stopping = true;
    source_stop(a->source);
    on_tried(a);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_jwks *a = from_self(self);
    source_destroy(a->source);
    for (struct waiter *w = waiters_take(&a->waiters); w; w = waiters_take(&a->waiters))
        waiter_free(w);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
    .cancel = cancel,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct auth_jwks_config),
    .name = "auth-jwks",
    .version = BURROW_VERSION,
    .summary =
        "Lets in clients with a JWT signed by a key of an identity provider's key set (JWKS)",
    .options = options,
    .metrics = metrics,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
