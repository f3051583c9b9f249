/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-hmac: lets in whoever shows a JWT that is signed with the shared secret (HS256, HS384
 * or HS512). The token's sub is the client id that may register.
 *
 * The plugin itself only reads options and tells the host; what a good token is, the gate
 * in shared/jwt decides. It answers within verify.
 */
#include "jwt/key.h"
#include "jwt/secret.h"

#include <stdlib.h>
#include <time.h>

#define AUTH_HMAC_MAGIC 0x48484d41u /* "AMHH" in memory order */

struct auth_hmac_config {
    struct burrow_secret secret;
    const char *secret_file;
    const char *alg;
    const char *issuer;
    const char *audience;
    uint8_t allow_weak_secret;
    uint8_t allow_no_exp;
};

#define CONFIG struct auth_hmac_config
static const struct burrow_option options[] = {
    BURROW_OPTION_SECRET(CONFIG, secret, "jwt-hmac-secret", "SECRET", 0,
                         "shared secret that signs tokens; a file keeps it out of sight"),
    BURROW_OPTION_PATH(CONFIG, secret_file, "jwt-hmac-secret-file", NULL, "FILE", 0,
                       "file with the shared secret; a line end after it does not count"),
    BURROW_OPTION_STRING(CONFIG, alg, "jwt-alg", "HS256", "ALG", 0, "HS256|HS384|HS512",
                         "the one signature algorithm that is accepted"),
    BURROW_OPTION_STRING(CONFIG, issuer, "jwt-issuer", NULL, "ISSUER", 0, NULL,
                         "tokens must have this iss"),
    BURROW_OPTION_STRING(CONFIG, audience, "jwt-audience", NULL, "AUDIENCE", 0, NULL,
                         "tokens must name this in aud"),
    BURROW_OPTION_BOOL(CONFIG, allow_weak_secret, "jwt-allow-weak-secret", NULL, 0,
                       "accept a secret shorter than the algorithm's hash, with a warning"),
    BURROW_OPTION_BOOL(CONFIG, allow_no_exp, "jwt-allow-no-exp", NULL, 0,
                       "accept tokens that never expire, with a warning"),
    BURROW_OPTION_END,
};
#undef CONFIG

struct auth_hmac {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct jwt_secret secret;
    struct jwt_rules rules; /* its strings are the config's, which outlives the instance */
};

static struct auth_hmac *from_self(void *self)
{
    struct auth_hmac *a = self;
    if (!a || a->magic != AUTH_HMAC_MAGIC)
        abort();
    return a;
}

/* NULL for what is empty: an empty value means unset. */
static const char *if_given(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* All that can be wrong in the configuration is found here. */
static int read_config(const struct burrow_host *host, const struct auth_hmac_config *config,
                       struct jwt_secret *ret_secret, struct jwt_rules *ret_rules)
{
    const char *name = if_given(config->alg) ? config->alg : "HS256";
    const struct jwt_alg *alg = jwt_alg_find(name);
    if (!alg || alg->key != JWT_KEY_SECRET)
        return burrow_error(host, BURROW_EINVAL,
                            "--jwt-alg (BURROW_JWT_ALG): \"%s\" does not go with a shared secret; "
                            "use HS256, HS384 or HS512",
                            name);
    const struct jwt_secret_options secret = {
        .secret = config->secret,
        .file = config->secret_file,
        .allow_weak = config->allow_weak_secret != 0,
    };
    int r = jwt_secret_load(host, &secret, alg, ret_secret);
    if (r < 0)
        return r;
    ret_rules->alg = alg;
    ret_rules->issuer = if_given(config->issuer);
    ret_rules->audience = if_given(config->audience);
    ret_rules->allow_no_exp = config->allow_no_exp != 0;
    return BURROW_OK;
}

static int check(const struct burrow_host *host, const void *config)
{
    struct jwt_secret secret = {.weak = false};
    struct jwt_rules rules;
    int r = read_config(host, config, &secret, &rules);
    jwt_secret_finish(&secret);
    return r;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_hmac *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_HMAC_MAGIC;
    a->host = host;
    int r = read_config(host, config, &a->secret, &a->rules);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

static int start(void *self)
{
    struct auth_hmac *a = from_self(self);
    if (a->secret.weak) {
        const struct burrow_field fields[] = {
            burrow_uint("bytes", a->secret.value.len),
            burrow_uint("needed", a->rules.alg->min_secret),
            burrow_str("hint", "it can be guessed from one token: for development only"),
        };
        a->host->event(a->host->self, BURROW_LOG_WARN, "weak_jwt_secret", fields, 3);
    }
    if (a->rules.allow_no_exp) {
        const struct burrow_field fields[] = {
            burrow_str("hint", "tokens without exp are accepted for ever (jwt-allow-no-exp)"),
        };
        a->host->event(a->host->self, BURROW_LOG_WARN, "jwt_without_exp_allowed", fields, 1);
    }
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_hmac *a = from_self(self);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_hmac *a = from_self(self);
    jwt_secret_finish(&a->secret);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

/* Unix time in milliseconds; tokens speak of no other clock. */
static int64_t unix_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct auth_hmac *a = from_self(self);
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    struct burrow_verdict verdict;
    int r = jwt_check(credential->token, credential->token_len, &a->rules, jwt_verify_hmac,
                      &a->secret.value, unix_ms(), &who, &why);
    jwt_to_verdict(r, &who, &why, &verdict);
    a->auth->answer(request, &verdict);
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
    .version = "0.1.0",
    .summary = "Lets in clients with a JWT signed by a shared secret (HS256, HS384, HS512)",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
};
