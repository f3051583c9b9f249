/* SPDX-License-Identifier: Apache-2.0 */
/* HS256, HS384 and HS512 (RFC 7518, 3.2): the check and the making of signatures. */
#include "jwt/sign.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define MAC_MAX 64

/* The MAC of text, alg->signature_size bytes. */
static int compute_mac(const struct jwt_alg *alg, struct burrow_secret secret, const uint8_t *text,
                       size_t text_len, uint8_t *out)
{
    size_t written = 0;
    ERR_clear_error();
    bool done = EVP_Q_mac(NULL, "HMAC", NULL, alg->digest, NULL, secret.data, secret.len, text,
                          text_len, out, MAC_MAX, &written) != NULL;
    ERR_clear_error();
    return done && written == alg->signature_size ? BURROW_OK : BURROW_EIO;
}

int jwt_verify_hmac(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    const struct burrow_secret *secret = key;
    if (!secret->data || secret->len == 0) /* an empty key would let everyone sign */
        return jwt_refuse(why, BURROW_CODE_VERIFIER_CONFIG, "the verifier has no secret");
    if (token->signature_len != token->alg->signature_size)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the signature has %zu bytes, not %zu",
                          token->signature_len, token->alg->signature_size);
    uint8_t mac[MAC_MAX];
    int r = compute_mac(token->alg, *secret, token->text, token->text_len, mac);
    if (r < 0)
        return r;
    bool equal = CRYPTO_memcmp(mac, token->signature, token->signature_len) == 0;
    OPENSSL_cleanse(mac, sizeof mac);
    if (!equal)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "the signature does not match the secret");
    return BURROW_OK;
}

int jwt_sign_hmac(const void *key, const struct jwt_alg *alg, const uint8_t *text, size_t text_len,
                  uint8_t *out, size_t *ret_len)
{
    const struct burrow_secret *secret = key;
    *ret_len = alg->signature_size;
    return compute_mac(alg, *secret, text, text_len, out);
}
