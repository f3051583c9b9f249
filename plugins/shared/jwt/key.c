/* SPDX-License-Identifier: Apache-2.0 */
/* What a public key must be before signatures may rest on it, and the life of keys and sets. */
#include "jwt/key.h"

#include "jwt/parts.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192 /* one check with it takes some 200 us */
#define RSA_MIN_EXPONENT 65537
#define RSA_MAX_EXPONENT_BITS 64

int jwt_bad_key(struct jwt_refusal *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    why->code = BURROW_CODE_VERIFIER_CONFIG;
    why->verified = 0;
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    return BURROW_EINVAL;
}

void jwt_key_finish(struct jwt_key *key)
{
    EVP_PKEY_free(key->pkey);
    key->pkey = NULL;
}

void jwt_keys_finish(struct jwt_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        jwt_key_finish(&keys->items[i]);
    free(keys->items);
    keys->items = NULL;
    keys->count = 0;
}

bool jwt_key_fits(const struct jwt_key *key, const struct jwt_alg *alg)
{
    return key->kind == alg->key && (!key->only || key->only == alg);
}

/* Whether the modulus has two prime factors is not asked: that takes long, and whoever may
 * choose the key may as well sign with it. */
static int check_rsa(EVP_PKEY *pkey, struct jwt_refusal *why)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS)
        return jwt_bad_key(why, "the RSA key has %d bits, not %d to %d", bits, RSA_MIN_BITS,
                           RSA_MAX_BITS);
    BIGNUM *n = NULL, *e = NULL;
    int r = BURROW_ENOMEM;
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1) {
        bool sound = BN_is_odd(n) && BN_is_odd(e) && BN_num_bits(e) <= RSA_MAX_EXPONENT_BITS &&
                     BN_get_word(e) >= RSA_MIN_EXPONENT;
        r = sound ? BURROW_OK
                  : jwt_bad_key(why, "the RSA key has an even modulus, or an exponent that is not "
                                     "odd and from 65537 to 2^64");
    }
    BN_free(n);
    BN_free(e);
    return r;
}

static int check_ec(EVP_PKEY *pkey, uint32_t *ret_kind, struct jwt_refusal *why)
{
    static const struct {
        const char *group;
        uint32_t kind;
    } curves[] = {
        {"prime256v1", JWT_KEY_P256}, {"secp384r1", JWT_KEY_P384}, {"secp521r1", JWT_KEY_P521}};
    char group[64] = "unnamed";
    EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL);
    uint32_t kind = 0;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
        if (strcmp(group, curves[i].group) == 0)
            kind = curves[i].kind;
    if (kind == 0)
        return jwt_bad_key(why, "the EC key's curve is not P-256, P-384 or P-521");
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
    if (!ctx)
        return BURROW_ENOMEM;
    bool sound = EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    if (!sound)
        return jwt_bad_key(why, "the EC key is no point of its curve");
    *ret_kind = kind;
    return BURROW_OK;
}

static int check_kind(EVP_PKEY *pkey, uint32_t *ret_kind, struct jwt_refusal *why)
{
    uint8_t point[32];
    size_t len = sizeof point;
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        *ret_kind = JWT_KEY_RSA;
        return check_rsa(pkey, why);
    case EVP_PKEY_EC:
        return check_ec(pkey, ret_kind, why);
    case EVP_PKEY_ED25519:
        *ret_kind = JWT_KEY_ED25519;
        if (EVP_PKEY_get_raw_public_key(pkey, point, &len) != 1)
            return BURROW_ENOMEM;
        return jwt_check_ed25519(point, why);
    default:
        return jwt_bad_key(why, "the key is neither RSA, EC nor Ed25519");
    }
}

int jwt_key_take(EVP_PKEY *pkey, struct jwt_key *ret, struct jwt_refusal *why)
{
    uint32_t kind = 0;
    int r = check_kind(pkey, &kind, why);
    ERR_clear_error();
    if (r < 0) {
        EVP_PKEY_free(pkey);
        return r;
    }
    memset(ret, 0, sizeof *ret);
    ret->pkey = pkey;
    ret->kind = kind;
    return BURROW_OK;
}
