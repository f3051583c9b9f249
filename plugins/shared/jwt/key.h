/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys that verify tokens, one by one and as sets, from PEM and from JWK (RFC 7517).
 *
 * A key gets into a struct jwt_key only when it is one that signatures may rest on: RSA of
 * 2048 to 8192 bits with an odd exponent of 65537 to 2^64, a point of P-256, P-384 or P-521,
 * or an Ed25519 point that is not of small order. What is not is refused with a reason.
 *
 * Reasons come in a struct jwt_refusal with BURROW_CODE_VERIFIER_CONFIG. They quote nothing
 * but the key's id and the names of its members, both made printable.
 */
#ifndef JWT_KEY_H
#define JWT_KEY_H

#include "jwt/jwt.h"

#include <jansson.h>
#include <openssl/evp.h>

#define JWT_MAX_KEYS 100u           /* of a set */
#define JWT_MAX_PEM (1024u * 1024u) /* bytes of a PEM text */
/* Keys that one token is tried with: a stranger's token costs no more than so many checks. */
#define JWT_MAX_TRIES 16u

/* The algorithms as the choices of an option: of public keys, and all. */
#define JWT_PUBLIC_ALGS "RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA"
#define JWT_SECRET_ALGS "HS256|HS384|HS512"
#define JWT_ALL_ALGS JWT_SECRET_ALGS "|" JWT_PUBLIC_ALGS

/* What a key is, which decides what it verifies: struct jwt_alg's key names one of these. */
#define JWT_KEY_SECRET 0u /* HS*: no struct jwt_key */
#define JWT_KEY_RSA 1u    /* RS*, PS* */
#define JWT_KEY_P256 2u   /* ES256 */
#define JWT_KEY_P384 3u   /* ES384 */
#define JWT_KEY_P521 4u   /* ES512 */
#define JWT_KEY_ED25519 5u
/* For messages: "an RSA key", "a P-256 key" … */
const char *jwt_key_kind_name(uint32_t kind);

struct jwt_key {
    EVP_PKEY *pkey;
    uint32_t kind;
    const struct jwt_alg *only; /* the JWK's alg: no other; NULL: all that its kind fits */
    char kid[JWT_MAX_KID + 1];  /* "": the key has no id */
};

/* All zero is an empty set. */
struct jwt_keys {
    struct jwt_key *items;
    size_t count;
};

void jwt_key_finish(struct jwt_key *key); /* all zero is allowed */
void jwt_keys_finish(struct jwt_keys *keys);

/* Whether signatures of alg may be verified with the key. */
bool jwt_key_fits(const struct jwt_key *key, const struct jwt_alg *alg);

/* Takes pkey, also on failure, when it is one of the kinds above and sound. BURROW_EINVAL:
 * *why tells what is wrong with it. */
int jwt_key_take(EVP_PKEY *pkey, struct jwt_key *ret, struct jwt_refusal *why);

/* Reads a JWK for verification. BURROW_EINVAL with *why filled: no signature key of a known
 * kind (kty oct too), unsound, with private members, for another use (use, key_ops, alg), or
 * with a kid that the gate would not let pass. BURROW_ENOMEM. */
int jwt_key_from_jwk(const json_t *jwk, struct jwt_key *ret, struct jwt_refusal *why);

/* Reads all blocks of a PEM text: SubjectPublicKeyInfo ("PUBLIC KEY") and certificates that
 * are valid now. Any other block, a broken one or none fails; nothing is skipped. Keys of PEM
 * have no id. At most JWT_MAX_TRIES. */
int jwt_keys_from_pem(const char *text, size_t len, struct jwt_keys *ret, struct jwt_refusal *why);

/* Told of each key of a JWKS that is left out: its place from 0, its kid ("" when it has none
 * that can be shown) and why. Strings are borrowed for the call. */
typedef void jwt_skipped_fn(void *arg, size_t index, const char *kid, const char *reason);

/* Reads a JWKS document (RFC 7517, 5). A key that cannot be used, and one whose kid came
 * before, is told to `skipped` (which may be NULL) and left out. BURROW_EINVAL: no JSON object
 * with `keys`, members given twice, more than JWT_MAX_KEYS keys, or none that can be used. */
int jwt_keys_from_jwks(const char *text, size_t len, jwt_skipped_fn *skipped, void *arg,
                       struct jwt_keys *ret, struct jwt_refusal *why);

/*
 * The jwt_verify_fn of RS*, PS*, ES* and EdDSA; `key` is a const struct jwt_keys *. A token
 * with a kid is tried with the key of that id, and with keys that have none; a token without
 * one, with all that fit. BURROW_EAGAIN, with *why filled as for a denial: no key of the set
 * may verify this token, or none that was tried is the one that it names; another set might
 * verify it. BURROW_EDENIED: the key that it names does not.
 */
int jwt_verify_keys(const void *key, const struct jwt_signed *token, struct jwt_refusal *why);

#endif
