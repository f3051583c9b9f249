/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from JWK (RFC 7517; RFC 7518, 6; RFC 8037, 2).
 *
 * Each member is judged here first. What libjose then turns into numbers for RSA and EC is a
 * new object that holds the judged members only; it never sees what a stranger wrote.
 */
#include "jwt/base64url.h"
#include "jwt/key.h"
#include "jwt/parts.h"

#include <jose/openssl.h>
#include <string.h>

#define MEMBER_MAX 1025 /* bytes: an RSA modulus of 8192 bits with a zero in front */

/* How a kind is written: kty, crv, and the members that are numbers or points. `bytes`: the
 * exact size of each; 0: any up to MEMBER_MAX. */
static const struct shape {
    const char *kty, *crv, *members[3];
    size_t bytes;
} shapes[] = {
    {"RSA", NULL, {"n", "e", NULL}, 0},        {"EC", "P-256", {"x", "y", NULL}, 32},
    {"EC", "P-384", {"x", "y", NULL}, 48},     {"EC", "P-521", {"x", "y", NULL}, 66},
    {"OKP", "Ed25519", {"x", NULL, NULL}, 32},
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

/* use and key_ops, where given, must allow to verify. */
static int check_use(const json_t *jwk, struct jwt_refusal *why)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *ops = json_object_get(jwk, "key_ops");
    if (use && strcmp(text_of(jwk, "use"), "sig") != 0)
        return jwt_bad_key(why, "the key's use is not \"sig\"");
    bool verify = !ops;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const char *op = json_string_value(json_array_get(ops, i));
        verify = verify || (op && strcmp(op, "verify") == 0);
    }
    return verify ? BURROW_OK : jwt_bad_key(why, "the key's key_ops do not name \"verify\"");
}

static int check_alg(const json_t *jwk, const struct jwt_alg **ret, struct jwt_refusal *why)
{
    if (!json_object_get(jwk, "alg"))
        return BURROW_OK;
    *ret = jwt_alg_find(text_of(jwk, "alg"));
    return *ret ? BURROW_OK : jwt_bad_key(why, "the key's alg is no signature algorithm we know");
}

/* Decodes the members of the shape into a fresh JWK that has nothing else. */
static int copy_members(const json_t *jwk, const struct shape *shape, json_t *out,
                        uint8_t ret_bytes[MEMBER_MAX], struct jwt_refusal *why)
{
    for (size_t i = 0; shape->members[i]; i++) {
        const char *name = shape->members[i];
        const json_t *member = json_object_get(jwk, name);
        size_t n = 0;
        if (base64url_decode(text_of(jwk, name), json_string_length(member), ret_bytes, MEMBER_MAX,
                             &n) < 0 ||
            n == 0 || (shape->bytes > 0 && n != shape->bytes))
            return jwt_bad_key(why,
                               "the key's member %s is missing, no canonical base64url, or "
                               "of a wrong length",
                               name);
        if (json_object_set_new(out, name, json_string(text_of(jwk, name))) < 0)
            return BURROW_ENOMEM;
    }
    if (json_object_set_new(out, "kty", json_string(shape->kty)) < 0 ||
        (shape->crv && json_object_set_new(out, "crv", json_string(shape->crv)) < 0))
        return BURROW_ENOMEM;
    return BURROW_OK;
}

static int convert(const json_t *jwk, const struct shape *shape, struct jwt_key *ret,
                   struct jwt_refusal *why)
{
    json_t *clean = json_object();
    if (!clean)
        return BURROW_ENOMEM;
    uint8_t bytes[MEMBER_MAX];
    EVP_PKEY *pkey = NULL;
    int r = copy_members(jwk, shape, clean, bytes, why);
    if (r == BURROW_OK) {
        pkey = strcmp(shape->kty, "OKP") == 0
                   ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, shape->bytes)
                   : jose_openssl_jwk_to_EVP_PKEY(NULL, clean);
        r = pkey ? jwt_key_take(pkey, ret, why)
                 : jwt_bad_key(why, "the key's numbers are no key of its kind");
    }
    json_decref(clean);
    return r;
}

int jwt_key_from_jwk(const json_t *jwk, struct jwt_key *ret, struct jwt_refusal *why)
{
    const struct shape *shape = find_shape(jwk);
    if (!shape)
        return jwt_bad_key(why, "the key is neither RSA, EC (P-256, P-384, P-521) nor OKP "
                                "(Ed25519)");
    for (size_t i = 0; i < sizeof private_members / sizeof private_members[0]; i++)
        if (json_object_get(jwk, private_members[i]))
            return jwt_bad_key(why,
                               "the key has the private member %s, so that others can sign "
                               "with it",
                               private_members[i]);
    const char *kid = "";
    const json_t *member = json_object_get(jwk, "kid");
    if (member && jwt_check_key_id(member, &kid, why) < 0) {
        why->code = BURROW_CODE_VERIFIER_CONFIG;
        return BURROW_EINVAL;
    }
    const struct jwt_alg *only = NULL;
    struct jwt_key key;
    int r = check_use(jwk, why);
    if (r == BURROW_OK)
        r = check_alg(jwk, &only, why);
    if (r == BURROW_OK)
        r = convert(jwk, shape, &key, why);
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
