/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared secrets of HS* as operators give them: by option or by a file, long enough for the
 * algorithm; and a second one, which the first is about to replace. Server and `burrow token`
 * read them here, so that what one signs with the other verifies with.
 */
#ifndef JWT_SECRET_H
#define JWT_SECRET_H

#include "jwt/jwt.h"

#define JWT_MAX_SECRET 4096u /* bytes */

/* The options of one plugin that name secrets; empty values count as unset. */
struct jwt_secret_options {
    struct burrow_secret secret;   /* --jwt-hmac-secret */
    const char *file;              /* --jwt-hmac-secret-file */
    struct burrow_secret previous; /* --jwt-hmac-secret-previous */
    const char *previous_file;     /* --jwt-hmac-secret-previous-file */
    uint8_t allow_weak;            /* --jwt-allow-weak-secret */
};

/* The rows of the option table of a plugin whose config struct S has a member `secrets`. */
#define JWT_SECRET_ROWS(S, help, weak_help)                                                        \
    BURROW_OPTION_SECRET(S, secrets.secret, "jwt-hmac-secret", "SECRET", BURROW_OPT_RELOADABLE,    \
                         help "; a file keeps it out of sight"),                                   \
        BURROW_OPTION_PATH(S, secrets.file, "jwt-hmac-secret-file", NULL, "FILE",                  \
                           BURROW_OPT_RELOADABLE,                                                  \
                           "file with the shared secret; a line end after it does not count"),     \
        BURROW_OPTION_BOOL(S, secrets.allow_weak, "jwt-allow-weak-secret", NULL,                   \
                           BURROW_OPT_RELOADABLE, weak_help)
#define JWT_PREVIOUS_SECRET_ROWS(S)                                                                \
    BURROW_OPTION_SECRET(S, secrets.previous, "jwt-hmac-secret-previous", "SECRET",                \
                         BURROW_OPT_RELOADABLE,                                                    \
                         "a second secret that verifies too, while tokens of it are about"),       \
        BURROW_OPTION_PATH(S, secrets.previous_file, "jwt-hmac-secret-previous-file", NULL,        \
                           "FILE", BURROW_OPT_RELOADABLE, "file with the second secret")

/* A copy of a secret, wiped by jwt_secret_finish. */
struct jwt_secret {
    struct burrow_secret value;
    bool weak; /* shorter than the algorithm asks, and allowed to be */
};

struct jwt_secrets {
    struct jwt_secret current, previous; /* previous without data: there is none */
};

/* Reads the one secret that the options name, and the second one if they do. On failure
 * explains it by host->verror and returns the code that it gave there. */
int jwt_secrets_load(const struct burrow_host *host, const struct jwt_secret_options *options,
                     const struct jwt_alg *alg, struct jwt_secrets *ret);
void jwt_secrets_finish(struct jwt_secrets *secrets); /* all zero is allowed */

/* The key of jwt_verify_secrets. */
struct jwt_secret_try {
    const struct jwt_secrets *secrets;
    bool *ret_previous; /* set when it was the second that verified; may be NULL */
};
/* jwt_verify_hmac with either secret. */
int jwt_verify_secrets(const void *key, const struct jwt_signed *token, struct jwt_refusal *why);

#endif
