/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-http: lets in whom an external service lets in. Each token is shown to the service in a
 * GET with the client's own Authorization header; a 200 with {"subject": …} says who it is.
 *
 * What is here: options, life, and what a token must look like before it may stand in a header.
 * How questions are put is in desk.c, what answers mean in opinion.c.
 */
#include "desk.h"
#include "http/ca.h"
#include "must.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_HTTP_MAGIC 0x50544841u /* "AHTP" in memory order */

struct auth_http_config {
    const char *url;
    const char *ca;
    int64_t timeout_ms;
    int64_t max_requests;
    int64_t cache;
    uint8_t allow_http;
};

#define CONFIG struct auth_http_config
#define FLAGS BURROW_OPT_RELOADABLE
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(CONFIG, url, "auth-http-url", NULL, "URL", FLAGS | BURROW_OPT_REQUIRED,
                         NULL, "service that judges tokens: https://HOST/PATH"),
    BURROW_OPTION_PATH(CONFIG, ca, "auth-http-ca", NULL, "FILE", FLAGS,
                       "certificates to trust for the service, PEM, instead of the system's"),
    BURROW_OPTION_DURATION(CONFIG, timeout_ms, "auth-http-timeout", "5s", FLAGS, 100, 9000,
                           "how long the service may take for an answer"),
    BURROW_OPTION_INT(CONFIG, max_requests, "auth-http-max-requests", "32", "COUNT", FLAGS, 1, 1000,
                      "questions to the service under way at once; others wait"),
    BURROW_OPTION_INT(CONFIG, cache, "auth-http-cache", "1000", "COUNT", FLAGS, 0, 1000000,
                      "answers to keep as long as their Cache-Control allows; 0 keeps none"),
    BURROW_OPTION_BOOL(CONFIG, allow_http, "auth-http-allow-http", NULL, FLAGS,
                       "send tokens to other machines without TLS, with a warning"),
    BURROW_OPTION_END,
};
#undef CONFIG

static const struct burrow_metric metrics[] = {
    [DESK_METRIC_REQUESTS] = {"requests_total", BURROW_METRIC_COUNTER, 0,
                              "Questions put to the service"},
    [DESK_METRIC_FAILURES] = {"failures_total", BURROW_METRIC_COUNTER, 0,
                              "Questions without an answer that can be used"},
    [DESK_METRIC_HITS] = {"cache_hits_total", BURROW_METRIC_COUNTER, 0,
                          "Tokens judged by an answer that was kept"},
    [DESK_METRIC_CACHED] = {"cached", BURROW_METRIC_GAUGE, 0, "Answers that are kept"},
    [DESK_METRIC_WAITING] = {"waiting", BURROW_METRIC_GAUGE, 0,
                             "Requests that wait for the service"},
    {NULL, 0, 0, NULL},
};

struct auth_http {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct desk_rules rules;
    bool plain; /* http to another machine, which was allowed */
    struct desk *desk;
};

static struct auth_http *from_self(void *self)
{
    struct auth_http *a = self;
    must(a != NULL && a->magic == AUTH_HTTP_MAGIC);
    return a;
}

#define BY_URL "--auth-http-url (BURROW_AUTH_HTTP_URL)"

/* All that can be wrong in the configuration is found here. */
static int read_config(const struct burrow_host *host, const struct auth_http_config *config,
                       struct desk_rules *ret_rules, bool *ret_plain)
{
    struct http_url url;
    const char *why = NULL;
    if (!config->url || http_url_parse(config->url, &url, &why) < 0)
        return burrow_error(host, BURROW_EINVAL,
                            BY_URL ": not a URL of a service: %s; expected https://HOST/PATH",
                            config->url ? why : "it is missing");
    bool plain = !url.https && !url.loopback;
    if (plain && !config->allow_http)
        return burrow_error(host, BURROW_EINVAL,
                            BY_URL ": %s is plain http, where tokens can be read on the way; use "
                                   "https (or --auth-http-allow-http)",
                            url.origin);
    int r = http_ca_check(host, DESK_CA_OPTION, config->ca);
    if (r < 0)
        return r;
    *ret_rules = (struct desk_rules){
        .url = config->url,
        .ca = config->ca,
        .timeout_ms = (uint32_t)config->timeout_ms,
        .max_requests = (size_t)config->max_requests,
        .max_cached = (size_t)config->cache,
    };
    *ret_plain = plain;
    return BURROW_OK;
}

/* ---- verdicts ---- */

/* The characters of RFC 6750, 2.1: what else could come would have to be escaped, and a line
 * end would begin a header of the client's choice. */
static bool can_be_shown(const char *token, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = token[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("-._~+/=", c)))
            return false;
    }
    return true;
}

static void abstain(struct auth_http *a, struct burrow_auth_request *request, uint32_t code,
                    const char *reason)
{
    const struct burrow_verdict verdict = {
        .size = sizeof verdict,
        .result = BURROW_AUTH_ABSTAIN,
        .code = code,
        .reason = reason,
    };
    a->auth->answer(request, &verdict);
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct auth_http *a = from_self(self);
    const struct burrow_addr *addr = &credential->peer;
    char peer[INET6_ADDRSTRLEN] = "";
    if (!credential->token || credential->token_len == 0) {
        abstain(a, request, BURROW_CODE_MISSING_BEARER, "no bearer token was shown");
        return;
    }
    if (!can_be_shown(credential->token, credential->token_len)) {
        abstain(a, request, BURROW_CODE_INVALID_TOKEN,
                "the token has characters that a bearer token cannot have");
        return;
    }
    if (addr->family != 0)
        inet_ntop(addr->family == 6 ? AF_INET6 : AF_INET, addr->bytes, peer, sizeof peer);
    desk_ask(a->desk, request, credential->token, credential->token_len, peer);
}

static void cancel(void *self, struct burrow_auth_request *request)
{
    desk_cancel(from_self(self)->desk, request);
}

/* ---- life ---- */

static int check(const struct burrow_host *host, const void *config)
{
    struct desk_rules rules;
    bool plain;
    return read_config(host, config, &rules, &plain);
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_http *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_HTTP_MAGIC;
    a->host = host;
    int r = read_config(host, config, &a->rules, &a->plain);
    if (r == BURROW_OK && desk_create(host, &a->rules, &a->desk) < 0)
        r = burrow_error(host, BURROW_ENOMEM, "out of memory");
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

static void warn(const struct auth_http *a)
{
    if (a->plain) {
        const struct burrow_field fields[] = {
            http_url_field(a->rules.url),
            burrow_str("hint", "tokens can be read on the way (auth-http-allow-http)"),
        };
        a->host->event(a->host->self, BURROW_LOG_WARN, "auth_http_without_tls", fields, 2);
    }
}

static int start(void *self)
{
    struct auth_http *a = from_self(self);
    warn(a);
    return desk_start(a->desk);
}

static int reload(void *self, const void *config)
{
    struct auth_http *a = from_self(self);
    struct desk_rules rules;
    bool plain;
    int r = read_config(a->host, config, &rules, &plain);
    if (r == BURROW_OK)
        r = desk_replace(a->desk, &rules);
    if (r < 0)
        return r;
    a->rules = rules;
    a->plain = plain;
    warn(a);
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_http *a = from_self(self);
    desk_close(a->desk);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_http *a = from_self(self);
    desk_destroy(a->desk);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    struct auth_http *a = from_self(self);
    a->auth = host;
    desk_bind(a->desk, host);
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
    .config_size = sizeof(struct auth_http_config),
    .name = "auth-http",
    .version = BURROW_VERSION,
    .summary = "Lets in whom an external HTTP service lets in",
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
