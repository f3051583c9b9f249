/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared secret of HS* as operators give it: by --jwt-hmac-secret or by a file, long
 * enough for the algorithm. Server and `burrow token` read it here, so that what one signs
 * with the other verifies with.
 */
#ifndef JWT_SECRET_H
#define JWT_SECRET_H

#include "jwt/jwt.h"

#define JWT_MAX_SECRET 4096u /* bytes */

/* The options of one plugin that name a secret; empty values count as unset. */
struct jwt_secret_options {
    struct burrow_secret secret; /* --jwt-hmac-secret */
    const char *file;            /* --jwt-hmac-secret-file */
    bool allow_weak;             /* --jwt-allow-weak-secret */
};

/* A copy of the secret, wiped by jwt_secret_finish. */
struct jwt_secret {
    struct burrow_secret value;
    bool weak; /* shorter than the algorithm asks, and allowed to be */
};

/* Reads the one secret that the options name. On failure explains it by host->verror and
 * returns the code that it gave there. */
int jwt_secret_load(const struct burrow_host *host, const struct jwt_secret_options *options,
                    const struct jwt_alg *alg, struct jwt_secret *ret);
void jwt_secret_finish(struct jwt_secret *secret); /* all zero is allowed */

#endif
