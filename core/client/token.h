/* SPDX-License-Identifier: Apache-2.0 */
/* The client's bearer token: from the configuration, or from a file that is read afresh at
 * every connect, so that whoever renews it needs to tell nobody. */
#ifndef CLIENT_TOKEN_H
#define CLIENT_TOKEN_H

#include "base/error.h"

#include <stdbool.h>

#define TOKEN_MAX 8192u

struct token_source {
    struct burrow_secret literal; /* data NULL: none */
    const char *file;             /* NULL: none */
};

/* *ret is malloc'ed and NUL-terminated, or NULL when there is no source at all. err names the
 * file and never the token. */
int token_load(const struct token_source *source, char **ret, struct error *err);
/* A token is 1 to TOKEN_MAX printable ASCII characters without a space. */
bool token_is_sound(const char *p, size_t n);
void token_free(char *token); /* overwrites it; NULL is allowed */

/* The `exp` of a JWT in ms of Unix time, as the token claims it: nothing is verified, since
 * this only decides when to look for a newer one. 0: not a JWT, or without exp. */
int64_t token_expiry_ms(const char *token);

#endif
