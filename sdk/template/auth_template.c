/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An auth plugin to begin with: lets a client in when it shows the one token that the option
 * `token` holds, under any client id. Copy the folder, rename it, and put your own judgement
 * into verify. It compiles as C11 and as C++17.
 */
#include <burrow/auth.h>

#include <stdlib.h>
#include <string.h>

/* What the user may set; the host fills it by the table below. */
struct config {
    struct burrow_secret token;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_SECRET(struct config, token, "token", "TOKEN", BURROW_OPT_REQUIRED,
                         "the token that lets a client in"),
    BURROW_OPTION_END,
};

enum { METRIC_ALLOWED };

static const struct burrow_metric metrics[] = {
    {"allowed_total", BURROW_METRIC_COUNTER, 0, "Clients that were let in."},
    {NULL, 0, 0, NULL},
};

/* One instance. All state lives here and none in globals. */
struct template_auth {
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    const struct config *config;
};

/* In the same time whatever differs, so that it does not tell how much was right. */
static int same(const struct burrow_secret *secret, const char *token, size_t len)
{
    unsigned char differs = secret->len != len;
    for (size_t i = 0; i < len && secret->len > 0; i++)
        differs |= (unsigned char)(secret->data[i % secret->len] ^ (unsigned char)token[i]);
    return secret->len > 0 && !differs;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct template_auth *t = (struct template_auth *)self;
    struct burrow_verdict verdict;
    memset(&verdict, 0, sizeof verdict);
    verdict.size = sizeof verdict;
    if (credential->token == NULL) {
        verdict.result = BURROW_AUTH_ABSTAIN; /* not ours to judge */
    } else if (same(&t->config->token, credential->token, credential->token_len)) {
        verdict.result = BURROW_AUTH_ALLOW;
        t->host->metric_add(t->host->self, METRIC_ALLOWED, 1);
    } else {
        verdict.result = BURROW_AUTH_DENY;
        verdict.code = BURROW_CODE_INVALID_TOKEN;
        verdict.reason = "another token";
    }
    t->auth->answer(request, &verdict);
}

static void bind_host(void *self, const struct burrow_auth_host *auth)
{
    ((struct template_auth *)self)->auth = auth;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct template_auth *t = (struct template_auth *)calloc(1, sizeof *t);
    if (t == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    t->host = host;
    t->config = (const struct config *)config; /* the host keeps it until destroy */
    *ret_self = t;
    return BURROW_OK;
}

static void stop(void *self)
{
    const struct burrow_host *host = ((struct template_auth *)self)->host;
    host->stopped(host->self);
}

static const struct burrow_auth_ops ops = {
    sizeof(struct burrow_auth_ops), bind_host, verify, NULL /* cancel: verify always answers */
};

/* In the order of struct burrow_plugin, which C and C++ both read. */
BURROW_PLUGIN = {
    BURROW_PLUGIN_MAGIC,
    sizeof(struct burrow_plugin),
    BURROW_ABI_MINOR,
    BURROW_KIND_AUTH,
    BURROW_AUTH_ABI,
    sizeof(struct config),
    "auth-template",
    "1.0.0",
    "Lets in who shows one token",
    options,
    metrics,
    &ops,
    NULL, /* check */
    create,
    NULL, /* start */
    NULL, /* reload */
    stop,
    free,
};
