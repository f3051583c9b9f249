/* SPDX-License-Identifier: Apache-2.0 */
/* The making of tokens: private keys from PEM or JWK, and signatures of all algorithms. */
#ifndef JWT_SIGN_H
#define JWT_SIGN_H

#include "jwt/key.h"

/* Signs text into out, which has room for JWT_MAX_SIGNATURE bytes. BURROW_EIO: OpenSSL failed;
 * BURROW_ENOMEM. */
#define JWT_MAX_SIGNATURE 1024u
typedef int jwt_sign_fn(const void *key, const struct jwt_alg *alg, const uint8_t *text,
                        size_t text_len, uint8_t *out, size_t *ret_len);
jwt_sign_fn jwt_sign_hmac; /* HS*; `key` is a struct burrow_secret */
jwt_sign_fn jwt_sign_key;  /* the others; `key` is a struct jwt_key with its private half */

/* A private key, unencrypted: a JWK when the text begins with a brace, else PEM (PKCS #8, or
 * OpenSSL's older forms). It verifies, too, what it signs. BURROW_EINVAL with *why filled, or
 * BURROW_ENOMEM. */
int jwt_private_key_read(const char *text, size_t len, struct jwt_key *ret,
                         struct jwt_refusal *why);
/* As jwt_key_from_jwk, for a JWK with its private members. */
int jwt_private_key_from_jwk(const json_t *jwk, struct jwt_key *ret, struct jwt_refusal *why);

/* Signs a JSON object of claims; kid NULL: none in the header. *ret_token ends with NUL; the
 * caller frees it. BURROW_EINVAL: the token would be longer than JWT_MAX_TOKEN; BURROW_ENOMEM;
 * BURROW_EIO. */
int jwt_mint(const struct jwt_alg *alg, jwt_sign_fn *sign, const void *key, const char *kid,
             const char *claims, size_t claims_len, char **ret_token);

/* Signs any header and payload, as they are. As jwt_mint; the tests make bad tokens with good
 * signatures by it. */
int jwt_seal(const struct jwt_alg *alg, jwt_sign_fn *sign, const void *key, const char *header,
             size_t header_len, const char *payload, size_t payload_len, char **ret_token);

#endif
