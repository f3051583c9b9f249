/* SPDX-License-Identifier: Apache-2.0 */
/* Makes tokens and their signatures, and reads the private keys for that. */
#include "jwt/sign.h"

#include "jwt/base64url.h"
#include "jwt/parts.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL gives r and s in DER; JWS has them side by side (RFC 7518, 3.4). */
static int ecdsa_raw(const uint8_t *der, size_t der_len, size_t size, uint8_t *out)
{
    const uint8_t *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    if (!pair)
        return BURROW_ENOMEM;
    int half = (int)(size / 2);
    bool fits = BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, half) == half &&
                BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, half) == half;
    ECDSA_SIG_free(pair);
    return fits ? BURROW_OK : BURROW_EIO;
}

int jwt_sign_key(const void *key, const struct jwt_alg *alg, const uint8_t *text, size_t text_len,
                 uint8_t *out, size_t *ret_len)
{
    const struct jwt_key *signer = key;
    uint8_t made[JWT_MAX_SIGNATURE];
    size_t len = sizeof made;
    struct jwt_padding padding;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx &&
                EVP_DigestSignInit_ex(ctx, NULL, alg->digest, NULL, NULL, signer->pkey,
                                      jwt_padding(alg, &padding)) == 1 &&
                EVP_DigestSign(ctx, made, &len, text, text_len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    if (!done)
        return BURROW_EIO;
    if (EVP_PKEY_get_base_id(signer->pkey) == EVP_PKEY_EC) {
        *ret_len = alg->signature_size;
        return ecdsa_raw(made, len, alg->signature_size, out);
    }
    memcpy(out, made, len);
    *ret_len = len;
    return BURROW_OK;
}

/* A passphrase cannot be asked for: what calls may have no terminal. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)arg = true;
    return -1;
}

static int read_pem(const char *text, size_t len, struct jwt_key *ret, struct jwt_refusal *why)
{
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    if (!bio)
        return BURROW_ENOMEM;
    bool encrypted = false;
    EVP_PKEY *pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted);
    BIO_free(bio);
    ERR_clear_error();
    if (pkey)
        return jwt_key_take(pkey, ret, why);
    if (encrypted)
        return jwt_bad_key(why, "the private key is encrypted; an unencrypted one is needed "
                                "(openssl pkey)");
    return jwt_bad_key(why, "there is no private key, in PEM or as a JWK");
}

int jwt_private_key_read(const char *text, size_t len, struct jwt_key *ret, struct jwt_refusal *why)
{
    if (len > JWT_MAX_PEM)
        return jwt_bad_key(why, "the key is longer than %u bytes", JWT_MAX_PEM);
    size_t space = 0;
    while (space < len && strchr(" \t\r\n", text[space]))
        space++;
    if (space == len || text[space] != '{')
        return read_pem(text, len, ret, why);
    json_t *jwk;
    int r = jwt_parse_object((const uint8_t *)text, len, "JWK", &jwk, why);
    if (r == BURROW_EDENIED) /* what the parser says may quote the key */
        return jwt_bad_key(why, "the key begins as a JWK and is no JSON object");
    if (r < 0)
        return r;
    r = jwt_private_key_from_jwk(jwk, ret, why);
    json_decref(jwk);
    return r;
}

int jwt_seal(const struct jwt_alg *alg, jwt_sign_fn *sign, const void *key, const char *header,
             size_t header_len, const char *payload, size_t payload_len, char **ret_token)
{
    if (header_len > JWT_MAX_TOKEN || payload_len > JWT_MAX_TOKEN)
        return BURROW_EINVAL;
    size_t signed_len = BASE64URL_ENCODED(header_len) + 1 + BASE64URL_ENCODED(payload_len);
    if (signed_len > JWT_MAX_TOKEN)
        return BURROW_EINVAL;
    char *token = malloc(signed_len + 1 + BASE64URL_ENCODED(JWT_MAX_SIGNATURE) + 1);
    if (!token)
        return BURROW_ENOMEM;
    char *at = token;
    at += base64url_encode((const uint8_t *)header, header_len, at);
    *at++ = '.';
    at += base64url_encode((const uint8_t *)payload, payload_len, at);
    uint8_t signature[JWT_MAX_SIGNATURE];
    size_t len = 0;
    int r = sign(key, alg, (const uint8_t *)token, signed_len, signature, &len);
    if (r == BURROW_OK && signed_len + 1 + BASE64URL_ENCODED(len) > JWT_MAX_TOKEN)
        r = BURROW_EINVAL;
    if (r < 0) {
        free(token);
        return r;
    }
    *at++ = '.';
    at += base64url_encode(signature, len, at);
    *at = '\0';
    *ret_token = token;
    return BURROW_OK;
}

int jwt_mint(const struct jwt_alg *alg, jwt_sign_fn *sign, const void *key, const char *kid,
             const char *claims, size_t claims_len, char **ret_token)
{
    json_t *header = json_pack("{s:s, s:s}", "alg", alg->name, "typ", "JWT");
    int r = BURROW_ENOMEM;
    bool whole = header && (!kid || json_object_set_new(header, "kid", json_string(kid)) == 0);
    char *text = whole ? json_dumps(header, JSON_COMPACT) : NULL;
    if (text)
        r = jwt_seal(alg, sign, key, text, strlen(text), claims, claims_len, ret_token);
    free(text);
    json_decref(header);
    return r;
}
