/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from JWK (RFC 7517; RFC 7518, 6; RFC 8037, 2).
 *
 * Each member is judged here first. What libjose then turns into numbers for RSA and EC is a
 * new object that holds the judged members only; it never sees what a stranger wrote.
 */
#include "jwt/base64url.h"
#include "jwt/parts.h"
#include "jwt/sign.h"

#include <jose/openssl.h>
#include <openssl/err.h>
#include <string.h>

#define MEMBER_MAX 1025 /* bytes: an RSA modulus of 8192 bits with a zero in front */

/* How a kind is written: kty, crv, and the members that are numbers or points: those of a
 * public key, and those that a private one has besides. `bytes`: the exact size of each; 0: any
 * up to MEMBER_MAX. */
static const struct shape {
    const char *kty, *crv, *members[3], *secrets[7];
    size_t bytes;
} shapes[] = {
    {"RSA", NULL, {"n", "e", NULL}, {"d", "p", "q", "dp", "dq", "qi", NULL}, 0},
    {"EC", "P-256", {"x", "y", NULL}, {"d", NULL}, 32},
    {"EC", "P-384", {"x", "y", NULL}, {"d", NULL}, 48},
    {"EC", "P-521", {"x", "y", NULL}, {"d", NULL}, 66},
    {"OKP", "Ed25519", {"x", NULL}, {"d", NULL}, 32},
};

/* Members of private and symmetric keys. Where one of them is published, somebody else may
 * sign with the key. */
static const char *const private_members[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};

static const char *text_of(const json_t *jwk, const char *member)
{
    const char *text = json_string_value(json_object_get(jwk, member));
    return text ? text : "";
}

static const struct shape *find_shape(const json_t *jwk)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(text_of(jwk, "kty"), shapes[i].kty) == 0 &&
            (!shapes[i].crv || strcmp(text_of(jwk, "crv"), shapes[i].crv) == 0))
            return &shapes[i];
    return NULL;
}

/* use and key_ops, where given, must allow the operation: "verify" or "sign". */
static int check_use(const json_t *jwk, const char *operation, struct jwt_refusal *why)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *ops = json_object_get(jwk, "key_ops");
    if (use && strcmp(text_of(jwk, "use"), "sig") != 0)
        return jwt_bad_key(why, "the key's use is not \"sig\"");
    bool named = !ops;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const char *op = json_string_value(json_array_get(ops, i));
        named = named || (op && strcmp(op, operation) == 0);
    }
    return named ? BURROW_OK : jwt_bad_key(why, "the key's key_ops do not name \"%s\"", operation);
}

static int check_alg(const json_t *jwk, const struct jwt_alg **ret, struct jwt_refusal *why)
{
    if (!json_object_get(jwk, "alg"))
        return BURROW_OK;
    *ret = jwt_alg_find(text_of(jwk, "alg"));
    return *ret ? BURROW_OK : jwt_bad_key(why, "the key's alg is no signature algorithm we know");
}

/* Copies the named members to out. *ret_bytes are those of the last one, decoded. */
static int copy_members(const json_t *jwk, const char *const *names, size_t bytes, json_t *out,
                        uint8_t ret_bytes[MEMBER_MAX], struct jwt_refusal *why)
{
    for (size_t i = 0; names[i]; i++) {
        const char *text = text_of(jwk, names[i]);
        size_t n = 0;
        int r = base64url_decode(text, strlen(text), ret_bytes, MEMBER_MAX, &n);
        if (r < 0 || n == 0 || (bytes > 0 && n != bytes))
            return jwt_bad_key(why,
                               "the key's member %s is missing, no canonical base64url, or of a "
                               "wrong length",
                               names[i]);
        if (json_object_set_new(out, names[i], json_string(text)) < 0)
            return BURROW_ENOMEM;
    }
    return BURROW_OK;
}

/* A new JWK of the judged members alone, and the bytes of the last. */
static int clean_jwk(const json_t *jwk, const struct shape *shape, bool is_private, json_t *out,
                     uint8_t ret_bytes[MEMBER_MAX], struct jwt_refusal *why)
{
    if (json_object_set_new(out, "kty", json_string(shape->kty)) < 0 ||
        (shape->crv && json_object_set_new(out, "crv", json_string(shape->crv)) < 0))
        return BURROW_ENOMEM;
    int r = copy_members(jwk, shape->members, shape->bytes, out, ret_bytes, why);
    if (r == BURROW_OK && is_private)
        r = copy_members(jwk, shape->secrets, shape->bytes, out, ret_bytes, why);
    return r;
}

/* The two halves of a private key may come from different keys. */
static bool halves_fit(EVP_PKEY *pkey, const json_t *jwk)
{
    uint8_t given[32], derived[32];
    size_t len = sizeof derived, n = 0;
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
        const char *x = text_of(jwk, "x");
        return EVP_PKEY_get_raw_public_key(pkey, derived, &len) == 1 &&
               base64url_decode(x, strlen(x), given, sizeof given, &n) == BURROW_OK && n == len &&
               memcmp(given, derived, n) == 0;
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    bool fit = ctx && EVP_PKEY_pairwise_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return fit;
}

static int convert(const json_t *jwk, const struct shape *shape, bool is_private,
                   struct jwt_key *ret, struct jwt_refusal *why)
{
    json_t *clean = json_object();
    if (!clean)
        return BURROW_ENOMEM;
    uint8_t bytes[MEMBER_MAX];
    int r = clean_jwk(jwk, shape, is_private, clean, bytes, why);
    EVP_PKEY *pkey = NULL;
    if (r == BURROW_OK && strcmp(shape->kty, "OKP") != 0)
        pkey = jose_openssl_jwk_to_EVP_PKEY(NULL, clean);
    else if (r == BURROW_OK && is_private)
        pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, shape->bytes);
    else if (r == BURROW_OK)
        pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, shape->bytes);
    if (r == BURROW_OK && (!pkey || (is_private && !halves_fit(pkey, clean))))
        r = jwt_bad_key(why, "the key's numbers are no key of its kind");
    if (is_private)
        OPENSSL_cleanse(bytes, sizeof bytes);
    json_decref(clean);
    ERR_clear_error();
    if (r < 0) {
        EVP_PKEY_free(pkey);
        return r;
    }
    return jwt_key_take(pkey, ret, why);
}

static int read_jwk(const json_t *jwk, bool is_private, struct jwt_key *ret,
                    struct jwt_refusal *why)
{
    const struct shape *shape = find_shape(jwk);
    if (!shape)
        return jwt_bad_key(why, "the key is neither RSA, EC (P-256, P-384, P-521) nor OKP "
                                "(Ed25519)");
    const char *kid = "";
    const json_t *member = json_object_get(jwk, "kid");
    if (member && jwt_check_key_id(member, &kid, why) < 0)
        return jwt_bad_key(why,
                           "the key's kid is not 1 to %u bytes of printable ASCII, or looks "
                           "like a path or URL",
                           JWT_MAX_KID);
    const struct jwt_alg *only = NULL;
    struct jwt_key key;
    int r = check_use(jwk, is_private ? "sign" : "verify", why);
    if (r == BURROW_OK)
        r = check_alg(jwk, &only, why);
    if (r == BURROW_OK)
        r = convert(jwk, shape, is_private, &key, why);
    if (r < 0)
        return r;
    if (only && only->key != key.kind) {
        jwt_key_finish(&key);
        return jwt_bad_key(why, "the key's alg is %s, which %s does not fit", only->name,
                           jwt_key_kind_name(key.kind));
    }
    key.only = only;
    memcpy(key.kid, kid, strlen(kid) + 1);
    *ret = key;
    return BURROW_OK;
}

int jwt_key_from_jwk(const json_t *jwk, struct jwt_key *ret, struct jwt_refusal *why)
{
    for (size_t i = 0; i < sizeof private_members / sizeof private_members[0]; i++)
        if (json_object_get(jwk, private_members[i]))
            return jwt_bad_key(why,
                               "the key has the private member %s, so that others can sign with it",
                               private_members[i]);
    return read_jwk(jwk, false, ret, why);
}

int jwt_private_key_from_jwk(const json_t *jwk, struct jwt_key *ret, struct jwt_refusal *why)
{
    return read_jwk(jwk, true, ret, why);
}
