/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a signature with public keys: which of a set may be tried, and the trying. */
#include "jwt/key.h"
#include "jwt/parts.h"

#include <openssl/err.h>
#include <string.h>

#define COORDINATE_MAX 66u                     /* bytes of r or s, for P-521 */
#define DER_MAX (3 + 2 * (COORDINATE_MAX + 3)) /* SEQUENCE of two INTEGERs with a zero in front */

/* One unsigned big-endian number as a DER INTEGER; returns its length. */
static size_t put_integer(uint8_t *out, const uint8_t *number, size_t len)
{
    while (len > 1 && number[0] == 0) {
        number++;
        len--;
    }
    size_t pad = number[0] >> 7;
    out[0] = 0x02;
    out[1] = (uint8_t)(len + pad);
    out[2] = 0;
    memcpy(out + 2 + pad, number, len);
    return 2 + pad + len;
}

/* JWS has r and s side by side (RFC 7518, 3.4), OpenSSL wants them in DER. */
static size_t ecdsa_der(const uint8_t *signature, size_t len, uint8_t out[DER_MAX])
{
    uint8_t numbers[DER_MAX];
    size_t n = put_integer(numbers, signature, len / 2);
    n += put_integer(numbers + n, signature + len / 2, len / 2);
    size_t head = 0;
    out[head++] = 0x30;
    if (n > 127)
        out[head++] = 0x81; /* the length has one byte of its own */
    out[head++] = (uint8_t)n;
    memcpy(out + head, numbers, n);
    return head + n;
}

/* BURROW_OK, BURROW_EDENIED without a reason, or BURROW_EIO. */
static int try_key(const struct jwt_key *key, const struct jwt_signed *token)
{
    const struct jwt_alg *alg = token->alg;
    const uint8_t *signature = token->signature;
    size_t len = token->signature_len;
    uint8_t der[DER_MAX];
    if (key->kind == JWT_KEY_RSA && len != (size_t)EVP_PKEY_get_size(key->pkey))
        return BURROW_EDENIED;
    if (key->kind == JWT_KEY_P256 || key->kind == JWT_KEY_P384 || key->kind == JWT_KEY_P521) {
        len = ecdsa_der(signature, len, der);
        signature = der;
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    struct jwt_padding padding;
    int r = BURROW_EIO;
    if (ctx && EVP_DigestVerifyInit_ex(ctx, NULL, alg->digest, NULL, NULL, key->pkey,
                                       jwt_padding(alg, &padding)) == 1)
        r = EVP_DigestVerify(ctx, signature, len, token->text, token->text_len) == 1
                ? BURROW_OK
                : BURROW_EDENIED;
    EVP_MD_CTX_free(ctx);
    return r;
}

static bool may_verify(const struct jwt_key *key, const struct jwt_signed *token)
{
    bool named = !token->kid || key->kid[0] == '\0' || strcmp(key->kid, token->kid) == 0;
    return named && jwt_key_fits(key, token->alg);
}

int jwt_verify_keys(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    const struct jwt_keys *keys = key;
    const struct jwt_alg *alg = token->alg;
    if (alg->signature_size > 0 && token->signature_len != alg->signature_size)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the signature has %zu bytes, not %zu",
                          token->signature_len, alg->signature_size);
    size_t tries = 0;
    for (size_t i = 0; i < keys->count; i++)
        tries += may_verify(&keys->items[i], token);
    if (tries == 0) {
        jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "no %s key is known%s%.64s%s", alg->name,
                   token->kid ? " with the kid \"" : "", token->kid ? token->kid : "",
                   token->kid ? "\"" : "");
        return BURROW_EAGAIN;
    }
    if (tries > JWT_MAX_TRIES)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "the token names no key (kid), and more than %u could be meant",
                          JWT_MAX_TRIES);
    int r = BURROW_EDENIED;
    bool named = false; /* the key that the token names was among them */
    ERR_clear_error();
    for (size_t i = 0; i < keys->count && r != BURROW_OK; i++)
        if (may_verify(&keys->items[i], token)) {
            int one = try_key(&keys->items[i], token);
            if (one != BURROW_EDENIED)
                r = one;
            named |= token->kid && keys->items[i].kid[0] != '\0';
        }
    ERR_clear_error();
    if (r == BURROW_EDENIED)
        jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the signature does not match the key");
    return r == BURROW_EDENIED && !named ? BURROW_EAGAIN : r;
}
