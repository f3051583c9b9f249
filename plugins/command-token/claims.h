/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `burrow token mint`, and the claims that they ask for. */
#ifndef COMMAND_TOKEN_CLAIMS_H
#define COMMAND_TOKEN_CLAIMS_H

#include <burrow/plugin.h>

struct token_config {
    const char *sub;
    const char *alg;
    struct burrow_secret secret;
    const char *secret_file;
    const char *issuer;
    const char *audience;
    int64_t expires_in_ms;
    const char *not_before;
    struct burrow_list claims;
    uint8_t allow_weak_secret;
};

/* The claims as compact JSON, which the caller frees; *ret_valid_s is when the token begins
 * to be valid (now_s or later). A failure is explained by host->verror. */
int claims_build(const struct burrow_host *host, const struct token_config *config, int64_t now_s,
                 char **ret_json, int64_t *ret_valid_s);

#endif
