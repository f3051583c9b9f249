/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-pem: lets in whoever shows a JWT that is signed with the private half of one of the
 * public keys in a PEM file (RS*, PS*, ES*, EdDSA). The token's sub is the client id that may
 * register.
 *
 * The plugin itself only reads options and the file, again when it changes, and tells the host;
 * what a good token is, the gate in shared/jwt decides. It answers within verify.
 */
#include "file.h"
#include "jwt/auth.h"
#include "jwt/public_file.h"

#include <stdlib.h>

#define AUTH_PEM_MAGIC 0x4d455041u /* "APEM" in memory order */

struct auth_pem_config {
    const char *file;
    struct jwt_options jwt;
};

#define CONFIG struct auth_pem_config
static const struct burrow_option options[] = {
    BURROW_OPTION_PATH(CONFIG, file, "jwt-public-key-file", NULL, "FILE", BURROW_OPT_RELOADABLE,
                       "PEM file with the public keys or certificates that verify tokens"),
    JWT_OPTION_ROWS(CONFIG, "RS256", JWT_PUBLIC_ALGS),
    BURROW_OPTION_END,
};
#undef CONFIG

/* What the configuration and its file say; taken over as a whole or not at all. */
struct settings {
    const struct auth_pem_config *config;
    struct jwt_rules rules; /* its strings are the config's, which outlives them */
    struct jwt_keys keys;
};

struct auth_pem {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct settings now;
    struct burrow_files *files;
};

static struct auth_pem *from_self(void *self)
{
    struct auth_pem *a = self;
    if (!a || a->magic != AUTH_PEM_MAGIC)
        abort();
    return a;
}

/* All that can be wrong in the configuration is found here. */
static int read_settings(const struct burrow_host *host, const struct auth_pem_config *config,
                         struct settings *ret)
{
    struct settings s = {.config = config};
    int r = jwt_rules_read(host, &config->jwt, "RS256", JWT_PUBLIC_ALGS, &s.rules);
    if (r == BURROW_OK)
        r = jwt_public_file_load(host, config->file, s.rules.alg, &s.keys);
    if (r == BURROW_OK)
        *ret = s;
    return r;
}

static int check(const struct burrow_host *host, const void *config)
{
    struct settings s;
    int r = read_settings(host, config, &s);
    if (r == BURROW_OK)
        jwt_keys_finish(&s.keys);
    return r;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_pem *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_PEM_MAGIC;
    a->host = host;
    int r = read_settings(host, config, &a->now);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

static void take_over(struct auth_pem *a, const struct settings *fresh)
{
    jwt_keys_finish(&a->now.keys);
    a->now = *fresh;
    jwt_rules_warn(a->host, &a->now.rules);
}

static int on_file(void *arg)
{
    struct auth_pem *a = from_self(arg);
    struct settings fresh;
    int r = read_settings(a->host, a->now.config, &fresh);
    if (r == BURROW_OK)
        take_over(a, &fresh);
    return r;
}

static int watch(struct auth_pem *a, const struct auth_pem_config *config,
                 struct burrow_files **ret)
{
    return file_watch(a->host, &config->file, 1, on_file, a, ret);
}

/* Read once more, as what has changed since create is no change to who watches from now on. */
static int start(void *self)
{
    struct auth_pem *a = from_self(self);
    int r = watch(a, a->now.config, &a->files);
    if (r == BURROW_OK)
        r = on_file(a);
    if (r < 0)
        file_unwatch(a->host, &a->files);
    return r;
}

/* Nothing is taken over before all that can fail has been done. What is watched before it is read
 * cannot change unnoticed. */
static int reload(void *self, const void *config)
{
    struct auth_pem *a = from_self(self);
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
    struct auth_pem *a = from_self(self);
    file_unwatch(a->host, &a->files);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_pem *a = from_self(self);
    jwt_keys_finish(&a->now.keys);
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
    struct auth_pem *a = from_self(self);
    jwt_answer(a->auth, request, credential, &a->now.rules, jwt_verify_keys, &a->now.keys);
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
    .config_size = sizeof(struct auth_pem_config),
    .name = "auth-pem",
    .version = BURROW_VERSION,
    .summary = "Lets in clients with a JWT that a public key verifies (RS*, PS*, ES*, EdDSA)",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
