/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command-token: `burrow token mint`, `inspect` and `verify`, with the option names of the
 * server's auth plugins. This file has the options and finds the token to look at; each
 * subcommand has a file of its own. verify asks these plugins themselves, by the host.
 */
#include "token.h"

#include <burrow/command.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_TOKEN_MAGIC 0x4e4b4f54u /* "TOKN" in memory order */
#define TEN_YEARS_MS (int64_t)315360000000

#define CONFIG struct token_config
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(CONFIG, sub, "sub", NULL, "ID", 0, NULL,
                         "mint: the client id that the token is for"),
    BURROW_OPTION_STRING(CONFIG, jwt.alg, "jwt-alg", NULL, "ALG", 0, JWT_ALL_ALGS,
                         "the signature algorithm (default: HS256 with a secret, else what goes "
                         "with the key)"),
    JWT_SECRET_ROWS(CONFIG, "shared secret of HS256, HS384 and HS512",
                    "allow a secret shorter than the algorithm's hash"),
    BURROW_OPTION_PATH(CONFIG, private_key_file, "private-key-file", NULL, "FILE", 0,
                       "mint: the private key that signs, PEM or JWK"),
    BURROW_OPTION_STRING(CONFIG, kid, "kid", NULL, "ID", 0, NULL,
                         "mint: the key's id in the header (default: that of the JWK)"),
    BURROW_OPTION_STRING(CONFIG, jwt.issuer, "jwt-issuer", NULL, "ISSUER", 0, NULL,
                         "the claim iss"),
    BURROW_OPTION_STRING(CONFIG, jwt.audience, "jwt-audience", NULL, "AUDIENCE", 0, NULL,
                         "the claim aud"),
    BURROW_OPTION_STRING(CONFIG, jwt.grants, "jwt-grants-claim", JWT_GRANTS_CLAIM, "NAME", 0, NULL,
                         "the claim that says what the client may do"),
    BURROW_OPTION_STRING(CONFIG, granted, "grants", NULL, "JSON", 0, NULL,
                         "mint: what the client may do, a JSON object"),
    BURROW_OPTION_DURATION(CONFIG, expires_in_ms, "expires-in", "1h", 0, 1000, TEN_YEARS_MS,
                           "mint: how long the token is valid, from now"),
    BURROW_OPTION_STRING(CONFIG, not_before, "not-before", NULL, "WHEN", 0, NULL,
                         "mint: when it begins to be valid: Unix seconds, 2026-11-21T08:00:00Z, or "
                         "5m from now"),
    BURROW_OPTION_LIST(CONFIG, claims, "claim", "NAME=TEXT", 0,
                       "mint: a further claim; NAME:=JSON for a value that is no text; repeatable"),
    BURROW_OPTION_END,
};
#undef CONFIG

struct command_token {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    const struct token_config *config;
};

static struct command_token *from_self(void *self)
{
    struct command_token *t = self;
    if (!t || t->magic != COMMAND_TOKEN_MAGIC)
        abort();
    return t;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct command_token *t = calloc(1, sizeof *t);
    if (!t)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    t->magic = COMMAND_TOKEN_MAGIC;
    t->host = host;
    t->config = config;
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
    t->magic = 0;
    free(t);
}

static void bind_host(void *self, const struct burrow_command_host *host)
{
    from_self(self)->command = host;
}

/* The token of the argument, or of standard input: there it does not show in the list of
 * processes. White space around it does not count. One byte more than fits is read, so that a
 * token that is too long is judged as that. */
static int read_token(const struct burrow_host *host, const char *argument,
                      char ret[JWT_MAX_TOKEN + 2])
{
    static const char space[] = " \t\r\n";
    size_t n = 0;
    if (argument && strcmp(argument, "-") != 0) {
        argument += strspn(argument, space);
        n = strnlen(argument, JWT_MAX_TOKEN + 1);
        memcpy(ret, argument, n);
    } else {
        int c;
        while (n <= JWT_MAX_TOKEN && (c = getchar()) != EOF)
            if (n > 0 || !strchr(space, c))
                ret[n++] = (char)c;
        if (ferror(stdin))
            return burrow_error(host, BURROW_EIO, "cannot read standard input: %s",
                                strerror(errno));
    }
    while (n > 0 && strchr(space, ret[n - 1]))
        n--;
    ret[n] = '\0';
    if (n == 0)
        return burrow_error(host, BURROW_EINVAL,
                            "no token; give one as the argument or on standard input");
    return BURROW_OK;
}

/* 0, 1 for a token that is not accepted or a failure, 2 for bad options. */
static void finish(const struct command_token *t, int r, bool good)
{
    int32_t code = good ? 0 : 1;
    if (r < 0)
        code = r == BURROW_EINVAL ? 2 : 1;
    t->command->finished(t->host->self, code);
}

static void on_judged(void *arg, const struct burrow_judgement *judgement)
{
    const struct command_token *t = from_self(arg);
    bool accepted = false;
    int r = token_show_judgement(t->host, judgement, &accepted);
    finish(t, r, accepted);
}

static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    struct command_token *t = from_self(self);
    char token[JWT_MAX_TOKEN + 2];
    unsigned problems = 0;
    if (strcmp(subcommand, "mint") == 0) {
        finish(t, token_mint(t->host, t->config), true);
        return;
    }
    int r = read_token(t->host, arg_count > 0 ? args[0] : NULL, token);
    bool judging = r == BURROW_OK && strcmp(subcommand, "verify") == 0;
    if (judging)
        r = token_verify(t->host, t->command, token, on_judged, t);
    else if (r == BURROW_OK)
        r = token_inspect(t->host, token, &problems);
    explicit_bzero(token, sizeof token);
    if (!judging || r < 0)
        finish(t, r, problems == 0);
}

static const struct burrow_subcommand subcommands[] = {
    {"mint", "", "Makes a token for a client and prints it", 0, 0},
    {"inspect", "[TOKEN|-]", "Shows what a token says, without verifying it", 0, 1},
    {"verify", "[TOKEN|-]", "Tells whether a server with these options accepts a token", 0, 1},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
    .judging = "verify",
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .config_size = sizeof(struct token_config),
    .name = "command-token",
    .version = BURROW_VERSION,
    .summary = "Makes, shows and verifies tokens of clients",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
