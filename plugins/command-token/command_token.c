/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command-token: `burrow token mint` makes the tokens that auth-hmac accepts, with the same
 * option names. Each token is shown to the gate before it is printed, so that none leaves
 * that a server with these options would refuse.
 */
#include "claims.h"
#include "jwt/key.h"
#include "jwt/secret.h"
#include "jwt/sign.h"

#include <burrow/command.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND_TOKEN_MAGIC 0x4e4b4f54u /* "TOKN" in memory order */
#define TEN_YEARS_MS (int64_t)315360000000

#define CONFIG struct token_config
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(CONFIG, sub, "sub", NULL, "ID", BURROW_OPT_REQUIRED, NULL,
                         "the client id that the token is for"),
    BURROW_OPTION_STRING(CONFIG, alg, "jwt-alg", "HS256", "ALG", 0, "HS256|HS384|HS512",
                         "the signature algorithm"),
    BURROW_OPTION_SECRET(CONFIG, secret, "jwt-hmac-secret", "SECRET", 0,
                         "shared secret that signs the token; a file keeps it out of sight"),
    BURROW_OPTION_PATH(CONFIG, secret_file, "jwt-hmac-secret-file", NULL, "FILE", 0,
                       "file with the shared secret; a line end after it does not count"),
    BURROW_OPTION_BOOL(CONFIG, allow_weak_secret, "jwt-allow-weak-secret", NULL, 0,
                       "sign with a secret shorter than the algorithm's hash, with a warning"),
    BURROW_OPTION_STRING(CONFIG, issuer, "jwt-issuer", NULL, "ISSUER", 0, NULL, "the claim iss"),
    BURROW_OPTION_STRING(CONFIG, audience, "jwt-audience", NULL, "AUDIENCE", 0, NULL,
                         "the claim aud"),
    BURROW_OPTION_DURATION(CONFIG, expires_in_ms, "expires-in", "1h", 0, 1000, TEN_YEARS_MS,
                           "how long the token is valid, from now"),
    BURROW_OPTION_STRING(CONFIG, not_before, "not-before", NULL, "WHEN", 0, NULL,
                         "when it begins to be valid: Unix seconds, 2026-11-21T08:00:00Z, or 5m "
                         "from now"),
    BURROW_OPTION_LIST(CONFIG, claims, "claim", "NAME=TEXT", 0,
                       "A further claim; NAME:=JSON for a value that is no text; repeatable"),
    BURROW_OPTION_END,
};
#undef CONFIG

struct command_token {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    char *token;
};

static struct command_token *from_self(void *self)
{
    struct command_token *t = self;
    if (!t || t->magic != COMMAND_TOKEN_MAGIC)
        abort();
    return t;
}

/* Signs the claims and asks the gate whether they would be accepted when they begin to be. */
static int sign(const struct burrow_host *host, const struct jwt_rules *rules,
                struct burrow_secret secret, const char *claims, int64_t valid_s, char **ret_token)
{
    char *token;
    int r = jwt_mint(rules->alg, jwt_sign_hmac, &secret, NULL, claims, strlen(claims), &token);
    if (r == BURROW_EINVAL)
        return burrow_error(host, r, "the token would be longer than %u bytes: give fewer claims",
                            JWT_MAX_TOKEN);
    if (r < 0)
        return burrow_error(host, r, "the token cannot be signed");
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    r = jwt_check(token, strlen(token), rules, jwt_verify_hmac, &secret, valid_s * 1000, &who,
                  &why);
    if (r < 0) {
        free(token);
        return burrow_error(host, BURROW_EINVAL, "a server would refuse this token: %s",
                            r == BURROW_EDENIED ? why.text : "it cannot be checked");
    }
    *ret_token = token;
    return BURROW_OK;
}

static const char *if_given(const char *text)
{
    return text && text[0] ? text : NULL;
}

static int mint(const struct burrow_host *host, const struct token_config *config, char **ret_token)
{
    const char *name = if_given(config->alg) ? config->alg : "HS256";
    const struct jwt_rules rules = {
        .alg = jwt_alg_find(name),
        .issuer = if_given(config->issuer),
        .audience = if_given(config->audience),
    };
    if (!rules.alg || rules.alg->key != JWT_KEY_SECRET)
        return burrow_error(host, BURROW_EINVAL,
                            "--jwt-alg (BURROW_JWT_ALG): \"%s\" does not go with a shared secret; "
                            "use HS256, HS384 or HS512",
                            name);
    int64_t valid_s = 0;
    char *claims = NULL;
    int r = claims_build(host, config, (int64_t)time(NULL), &claims, &valid_s);
    if (r < 0)
        return r;
    const struct jwt_secret_options from = {
        .secret = config->secret,
        .file = config->secret_file,
        .allow_weak = config->allow_weak_secret != 0,
    };
    struct jwt_secret secret;
    r = jwt_secret_load(host, &from, rules.alg, &secret);
    if (r == BURROW_OK) {
        r = sign(host, &rules, secret.value, claims, valid_s, ret_token);
        if (r == BURROW_OK && secret.weak)
            burrow_log(host, BURROW_LOG_WARN,
                       "the secret has %zu bytes, %s needs %zu: for development only",
                       secret.value.len, rules.alg->name, rules.alg->min_secret);
        jwt_secret_finish(&secret);
    }
    free(claims);
    return r;
}

/* The token is made here and only printed by run: what is wrong with the options is then a
 * usage error like any other. */
static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct command_token *t = calloc(1, sizeof *t);
    if (!t)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    t->magic = COMMAND_TOKEN_MAGIC;
    t->host = host;
    int r = mint(host, config, &t->token);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret_self = t;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct command_token *t = from_self(self);
    t->host->stopped(t->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct command_token *t = from_self(self);
    free(t->token);
    t->magic = 0;
    free(t);
}

static void bind_host(void *self, const struct burrow_command_host *host)
{
    from_self(self)->command = host;
}

/* There is one subcommand, mint; the host lets no other pass. */
static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    (void)subcommand;
    (void)args;
    (void)arg_count;
    struct command_token *t = from_self(self);
    int32_t exit_code = 0;
    if (printf("%s\n", t->token) < 0 || fflush(stdout) != 0) {
        burrow_log(t->host, BURROW_LOG_ERROR, "cannot write the token: %s", strerror(errno));
        exit_code = 1;
    }
    t->command->finished(t->host->self, exit_code);
}

static const struct burrow_subcommand subcommands[] = {
    {"mint", "", "Makes a token for a client and prints it", 0, 0},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .config_size = sizeof(struct token_config),
    .name = "command-token",
    .version = "0.1.0",
    .summary = "Makes tokens for clients",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
