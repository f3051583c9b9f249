/* SPDX-License-Identifier: Apache-2.0 */
/* Fresh private keys for tests, and all algorithms that use them. */
#ifndef TEST_JWT_KEYS_H
#define TEST_JWT_KEYS_H

#include "jwt/sign.h"

extern const char *const key_algs[]; /* "RS256" … "EdDSA"; NULL ends them */

/* A new key that alg signs with. The caller finishes it. */
struct jwt_key make_key(const struct jwt_alg *alg);
/* Its public half as PEM; malloc'd. */
char *public_pem(const struct jwt_key *key);

#endif
