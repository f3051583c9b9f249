/* SPDX-License-Identifier: Apache-2.0 */
/* HS256, HS384 and HS512 (RFC 7518, 3.2): the check and the making of tokens. */
#include "jwt/base64url.h"
#include "jwt/parts.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAC_MAX 64

/* The MAC of text, alg->signature_size bytes. */
static int compute_mac(const struct jwt_alg *alg, struct burrow_secret secret, const uint8_t *text,
                       size_t text_len, uint8_t out[MAC_MAX])
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

int jwt_seal_hmac(const struct jwt_alg *alg, struct burrow_secret secret, const char *header,
                  size_t header_len, const char *payload, size_t payload_len, char **ret_token)
{
    if (header_len > JWT_MAX_TOKEN || payload_len > JWT_MAX_TOKEN)
        return BURROW_EINVAL;
    size_t signed_len = BASE64URL_ENCODED(header_len) + 1 + BASE64URL_ENCODED(payload_len);
    size_t len = signed_len + 1 + BASE64URL_ENCODED(alg->signature_size);
    if (len > JWT_MAX_TOKEN)
        return BURROW_EINVAL;
    char *token = malloc(len + 1);
    if (!token)
        return BURROW_ENOMEM;

    char *at = token;
    at += base64url_encode((const uint8_t *)header, header_len, at);
    *at++ = '.';
    at += base64url_encode((const uint8_t *)payload, payload_len, at);
    uint8_t mac[MAC_MAX];
    int r = compute_mac(alg, secret, (const uint8_t *)token, signed_len, mac);
    if (r < 0) {
        free(token);
        return r;
    }
    *at++ = '.';
    at += base64url_encode(mac, alg->signature_size, at);
    *at = '\0';
    *ret_token = token;
    return BURROW_OK;
}

int jwt_mint_hmac(const struct jwt_alg *alg, struct burrow_secret secret, const char *claims,
                  size_t claims_len, char **ret_token)
{
    char header[64];
    int n = snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg->name);
    return jwt_seal_hmac(alg, secret, header, (size_t)n, claims, claims_len, ret_token);
}
