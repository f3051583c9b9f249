/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of the gate, between its own files and for its tests; others use jwt.h. */
#ifndef JWT_PARTS_H
#define JWT_PARTS_H

#include "jwt/jwt.h"

#include <jansson.h>
#include <openssl/params.h>

/* Room for a value in a refusal's text. */
#define JWT_SHOWN 64
/* Copies at most JWT_SHOWN - 1 bytes for the log, with '?' for all but printable ASCII.
 * Returns out. */
const char *jwt_show(char out[JWT_SHOWN], const char *text, size_t len);

/* Parses a segment's bytes as a JSON object without duplicate members. `what` names it in
 * the refusal. BURROW_ENOMEM when memory ran out. The caller drops the reference. */
int jwt_parse_object(const uint8_t *text, size_t len, const char *what, json_t **ret,
                     struct jwt_refusal *why);

/* The header step: exactly alg, nothing that would change the meaning of the signature.
 * *ret_kid (NULL: none) is borrowed from header. */
int jwt_check_header(const json_t *header, const struct jwt_alg *alg, const char **ret_kid,
                     struct jwt_refusal *why);

/* Whether a key id may be compared with others: 1 to JWT_MAX_KID bytes of printable ASCII that
 * look like neither path nor URL. *ret_kid is borrowed from member. */
int jwt_check_key_id(const json_t *member, const char **ret_kid, struct jwt_refusal *why);

/* The last step: the claims of a token whose signature is good. */
int jwt_check_claims(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms,
                     struct jwt_identity *ret, struct jwt_refusal *why);

/* Fills *why for a key that cannot be used, and returns BURROW_EINVAL. */
__attribute__((format(printf, 2, 3))) int jwt_bad_key(struct jwt_refusal *why, const char *fmt,
                                                      ...);

/* OpenSSL's parameters of PS*: the salt is as long as the hash (RFC 7518, 3.5). NULL for other
 * algorithms. The result points into room. */
struct jwt_padding {
    char mode[8], salt[8];
    OSSL_PARAM params[3];
};
const OSSL_PARAM *jwt_padding(const struct jwt_alg *alg, struct jwt_padding *room);

/* Whether 32 bytes are a sound Ed25519 public key: a point, and not of small order. */
int jwt_check_ed25519(const uint8_t key[32], struct jwt_refusal *why);

#endif
