/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-hmac: lets in whoever shows a JWT that is signed with the shared secret (HS256, HS384
 * or HS512), or with the one that it replaces. The token's sub is the client id that may
 * register.
 *
 * The plugin itself only reads options and files, again when they change, and tells the host;
 * what a good token is, the gate in shared/jwt decides. It answers within verify.
 */
#include "file.h"
#include "jwt/auth.h"
#include "jwt/key.h"
#include "jwt/secret.h"

#include <stdlib.h>

#define AUTH_HMAC_MAGIC 0x48484d41u /* "AMHH" in memory order */

struct auth_hmac_config {
    struct jwt_secret_options secrets;
    struct jwt_options jwt;
};

#define CONFIG struct auth_hmac_config
static const struct burrow_option options[] = {
    JWT_SECRET_ROWS(CONFIG, "shared secret that signs tokens",
                    "accept a secret shorter than the algorithm's hash, with a warning"),
    JWT_PREVIOUS_SECRET_ROWS(CONFIG),
    JWT_OPTION_ROWS(CONFIG, "HS256", JWT_SECRET_ALGS),
    BURROW_OPTION_END,
};
#undef CONFIG

enum { METRIC_PREVIOUS };
static const struct burrow_metric metrics[] = {
    {"previous_secret_total", BURROW_METRIC_COUNTER, 0,
     "Tokens that only the second secret verified; while it rises, somebody still has such tokens"},
    {NULL, 0, 0, NULL},
};

/* What the configuration and its files say; taken over as a whole or not at all. */
struct settings {
    const struct auth_hmac_config *config;
    struct jwt_rules rules; /* its strings are the config's, which outlives them */
    struct jwt_secrets secrets;
};

struct auth_hmac {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct settings now;
    struct burrow_files *files;
};

static struct auth_hmac *from_self(void *self)
{
    struct auth_hmac *a = self;
    if (!a || a->magic != AUTH_HMAC_MAGIC)
        abort();
    return a;
}

/* All that can be wrong in the configuration is found here. */
static int read_settings(const struct burrow_host *host, const struct auth_hmac_config *config,
                         struct settings *ret)
{
    struct settings s = {.config = config};
    int r = jwt_rules_read(host, &config->jwt, "HS256", JWT_SECRET_ALGS, &s.rules);
    if (r == BURROW_OK)
        r = jwt_secrets_load(host, &config->secrets, s.rules.alg, &s.secrets);
    if (r == BURROW_OK)
        *ret = s;
    return r;
}

static int check(const struct burrow_host *host, const void *config)
{
    struct settings s;
    int r = read_settings(host, config, &s);
    if (r == BURROW_OK)
        jwt_secrets_finish(&s.secrets);
    return r;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_hmac *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_HMAC_MAGIC;
    a->host = host;
    int r = read_settings(host, config, &a->now);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

static void warn(const struct auth_hmac *a)
{
    const struct jwt_secret *secrets[] = {&a->now.secrets.current, &a->now.secrets.previous};
    for (size_t i = 0; i < 2; i++)
        if (secrets[i]->weak) {
            const struct burrow_field fields[] = {
                burrow_uint("bytes", secrets[i]->value.len),
                burrow_uint("needed", a->now.rules.alg->min_secret),
                burrow_str("hint", "it can be guessed from one token: for development only"),
            };
            a->host->event(a->host->self, BURROW_LOG_WARN, "weak_jwt_secret", fields, 3);
        }
    jwt_rules_warn(a->host, &a->now.rules);
}

static void take_over(struct auth_hmac *a, const struct settings *fresh)
{
    jwt_secrets_finish(&a->now.secrets);
    a->now = *fresh;
    warn(a);
}

static int on_files(void *arg)
{
    struct auth_hmac *a = from_self(arg);
    struct settings fresh;
    int r = read_settings(a->host, a->now.config, &fresh);
    if (r == BURROW_OK)
        take_over(a, &fresh);
    return r;
}

static int watch(struct auth_hmac *a, const struct auth_hmac_config *config,
                 struct burrow_files **ret)
{
    const char *const paths[] = {config->secrets.file, config->secrets.previous_file};
    return file_watch(a->host, paths, 2, on_files, a, ret);
}

/* Read once more, as what has changed since create is no change to who watches from now on. */
static int start(void *self)
{
    struct auth_hmac *a = from_self(self);
    int r = watch(a, a->now.config, &a->files);
    if (r == BURROW_OK)
        r = on_files(a);
    if (r < 0)
        file_unwatch(a->host, &a->files);
    return r;
}

/* Nothing is taken over before all that can fail has been done. What is watched before it is read
 * cannot change unnoticed. */
static int reload(void *self, const void *config)
{
    struct auth_hmac *a = from_self(self);
    struct burrow_files *files = NULL;
    struct settings fresh;
    int r = watch(a, config, &files);
    if (r == BURROW_OK)
        r = read_settings(a->host, config, &fresh);
    if (r < 0) {
        file_unwatch(a->host, &files);
        return r;
    }
    file_unwatch(a->host, &a->files);
    a->files = files;
    take_over(a, &fresh);
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_hmac *a = from_self(self);
    file_unwatch(a->host, &a->files);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_hmac *a = from_self(self);
    jwt_secrets_finish(&a->now.secrets);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct auth_hmac *a = from_self(self);
    bool previous = false;
    const struct jwt_secret_try key = {&a->now.secrets, &previous};
    jwt_answer(a->auth, request, credential, &a->now.rules, jwt_verify_secrets, &key);
    if (previous)
        a->host->metric_add(a->host->self, METRIC_PREVIOUS, 1);
}

/* Every request is answered within verify, so cancel is never needed. */
static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct auth_hmac_config),
    .name = "auth-hmac",
    .version = BURROW_VERSION,
    .summary = "Lets in clients with a JWT signed by a shared secret (HS256, HS384, HS512)",
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
