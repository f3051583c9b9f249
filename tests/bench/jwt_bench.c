/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many tokens a second the JWT gate judges, beside how many signatures OpenSSL alone
 * verifies: what parsing, checks and claims cost on top. One line for each algorithm.
 *   jwt-bench [SECONDS]      for each figure; default 0.5
 */
#include "jwt/auth.h"
#include "jwt/sign.h"
#include "utc.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CLAIMS                                                                                     \
    "{\"sub\":\"client-a\",\"iss\":\"https://idp.example\",\"aud\":\"burrow\",\"iat\":1790000000," \
    "\"exp\":253402300799}"
#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct row {
    const struct jwt_alg *alg;
    struct jwt_key key;
    struct jwt_keys keys;
    struct burrow_secret secret;
    char *token;
    size_t signed_len;
    uint8_t signature[JWT_MAX_SIGNATURE]; /* as OpenSSL has it: ECDSA in DER */
    size_t signature_len;
};

typedef bool once_fn(const struct row *row);

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double per_second(const struct row *row, once_fn *once, double seconds)
{
    double begin = now_s(), end;
    unsigned long n = 0;
    do {
        for (unsigned i = 0; i < 16; i++, n++)
            if (!once(row)) {
                fprintf(stderr, "%s: a good signature does not verify\n", row->alg->name);
                exit(1);
            }
        end = now_s();
    } while (end - begin < seconds);
    return (double)n / (end - begin);
}

static bool gate(const struct row *row)
{
    const struct jwt_rules rules = {
        .alg = row->alg, .issuer = "https://idp.example", .audience = "burrow", .grants = "burrow"};
    struct jwt_identity who;
    struct jwt_refusal why;
    bool hmac = row->alg->key == JWT_KEY_SECRET;
    return jwt_check(row->token, strlen(row->token), &rules,
                     hmac ? jwt_verify_hmac : jwt_verify_keys,
                     hmac ? (const void *)&row->secret : &row->keys, utc_now_ms(), &who,
                     &why) == BURROW_OK;
}

/* A context with the padding of the algorithm, ready to sign or to verify. */
static EVP_MD_CTX *bare_context(const struct row *row, bool sign)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    const EVP_MD *md = row->alg->digest ? EVP_get_digestbyname(row->alg->digest) : NULL;
    int ready = sign ? EVP_DigestSignInit(ctx, &pctx, md, NULL, row->key.pkey)
                     : EVP_DigestVerifyInit(ctx, &pctx, md, NULL, row->key.pkey);
    if (ready == 1 && row->alg->pss) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    return ctx;
}

static bool bare(const struct row *row)
{
    const uint8_t *text = (const uint8_t *)row->token;
    if (row->alg->key == JWT_KEY_SECRET) {
        uint8_t mac[EVP_MAX_MD_SIZE];
        return HMAC(EVP_get_digestbyname(row->alg->digest), row->secret.data, (int)row->secret.len,
                    text, row->signed_len, mac, NULL) != NULL;
    }
    EVP_MD_CTX *ctx = bare_context(row, false);
    bool good =
        EVP_DigestVerify(ctx, row->signature, row->signature_len, text, row->signed_len) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static EVP_PKEY *generate(uint32_t kind)
{
    switch (kind) {
    case JWT_KEY_RSA:
        return EVP_RSA_gen(2048u);
    case JWT_KEY_P256:
        return EVP_EC_gen("P-256");
    case JWT_KEY_P384:
        return EVP_EC_gen("P-384");
    case JWT_KEY_P521:
        return EVP_EC_gen("P-521");
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
}

static void prepare(struct row *row, const char *name)
{
    static const struct burrow_secret secret = {(const uint8_t *)SECRET, sizeof SECRET - 1};
    struct jwt_refusal why;
    memset(row, 0, sizeof *row);
    row->alg = jwt_alg_find(name);
    row->secret = secret;
    bool hmac = row->alg->key == JWT_KEY_SECRET;
    bool made = hmac || jwt_key_take(generate(row->alg->key), &row->key, &why) == BURROW_OK;
    made = made && jwt_mint(row->alg, hmac ? jwt_sign_hmac : jwt_sign_key,
                            hmac ? (const void *)&row->secret : &row->key, NULL, CLAIMS,
                            strlen(CLAIMS), &row->token) == BURROW_OK;
    if (!made) {
        fprintf(stderr, "%s: no token can be made\n", name);
        exit(1);
    }
    row->keys.items = &row->key;
    row->keys.count = 1;
    row->signed_len = (size_t)(strrchr(row->token, '.') - row->token);
    if (hmac)
        return;
    EVP_MD_CTX *ctx = bare_context(row, true);
    row->signature_len = sizeof row->signature;
    EVP_DigestSign(ctx, row->signature, &row->signature_len, (const uint8_t *)row->token,
                   row->signed_len);
    EVP_MD_CTX_free(ctx);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"HS256", "HS384", "HS512", "RS256", "RS384",
                                        "RS512", "PS256", "PS384", "PS512", "ES256",
                                        "ES384", "ES512", "EdDSA"};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.5;
    if (argc > 2 || !(seconds > 0 && seconds < 60)) {
        fprintf(stderr, "usage: jwt-bench [SECONDS]\n");
        return 2;
    }
    printf("JWT verifications a second (RSA of 2048 bits)\n%-8s %12s %12s %8s\n", "alg", "gate",
           "OpenSSL", "ratio");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct row row;
        prepare(&row, names[i]);
        double ours = per_second(&row, gate, seconds), theirs = per_second(&row, bare, seconds);
        printf("%-8s %12.0f %12.0f %8.2f\n", names[i], ours, theirs, ours / theirs);
        free(row.token);
        jwt_key_finish(&row.key);
    }
    return 0;
}
