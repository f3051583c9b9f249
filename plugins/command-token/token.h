/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands of `burrow token` share: options, keys, and where a token comes from. */
#ifndef COMMAND_TOKEN_TOKEN_H
#define COMMAND_TOKEN_TOKEN_H

#include "jwt/auth.h"
#include "jwt/key.h"
#include "jwt/secret.h"

#include <burrow/command.h>

/* All of it is of mint; verify has the options of a server. */
struct token_config {
    const char *sub;
    int64_t expires_in_ms;
    const char *not_before;
    const char *granted; /* JSON */
    struct burrow_list claims;
    const char *private_key_file;
    const char *kid;
    struct jwt_secret_options secrets;
    struct jwt_options jwt;
};

/* Each returns BURROW_OK or a negative code that it has explained by host->verror. */

/* Prints a token, and nothing else. */
int token_mint(const struct burrow_host *host, const struct token_config *config);

/* Shows what is in a token, without a key. *ret_problems: how many things a server would not
 * like, whatever its key. */
int token_inspect(const struct burrow_host *host, const char *token, unsigned *ret_problems);

/* Asks the auth plugins that a server with these options would have; fn answers later. */
int token_verify(const struct burrow_host *host, const struct burrow_command_host *command,
                 const char *token, burrow_judged_fn *fn, void *arg);
/* Prints what they say. *ret_accepted: whether they let the token in. */
int token_show_judgement(const struct burrow_host *host, const struct burrow_judgement *judgement,
                         bool *ret_accepted);

/* The claims as compact JSON, which the caller frees; *ret_valid_s is when the token begins
 * to be valid (now_s or later). */
int claims_build(const struct burrow_host *host, const struct token_config *config, int64_t now_s,
                 char **ret_json, int64_t *ret_valid_s);

#endif
