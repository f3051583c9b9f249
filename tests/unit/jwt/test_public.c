/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens signed with private keys: the standards' examples, and every signature but the right
 * one. */
#include "helper.h"
#include "jwt/base64url.h"
#include "keys.h"
#include "rfc_vectors.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <stdio.h>

static const char claims[] = GOOD_CLAIMS "}";

static char *mint(const char *alg, const struct jwt_key *key, const char *kid)
{
    char *token = NULL;
    assert_int_equal(
        jwt_mint(jwt_alg_find(alg), jwt_sign_key, key, kid, claims, strlen(claims), &token),
        BURROW_OK);
    return token;
}

/* The gate's answer at NOW, with keys. */
static int judge(const char *alg, const char *token, size_t len, struct jwt_key *items, size_t n,
                 struct jwt_refusal *why)
{
    const struct jwt_keys keys = {items, n};
    const struct jwt_rules rules = {.alg = jwt_alg_find(alg)};
    struct jwt_identity who;
    return jwt_check(token, len, &rules, jwt_verify_keys, &keys, NOW_MS, &who, why);
}

/* Either is a refusal; BURROW_EAGAIN where other keys might say otherwise. */
static bool refused(int r)
{
    return r == BURROW_EDENIED || r == BURROW_EAGAIN;
}

/* Refused as invalid, before the claims were looked at. */
static void refuses_signature(const char *alg, const char *token, struct jwt_key *key,
                              const char *part)
{
    struct jwt_refusal why = {.code = 0};
    assert_true(refused(judge(alg, token, strlen(token), key, 1, &why)));
    assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(why.verified, 0);
    if (!strstr(why.text, part))
        fail_msg("%s", why.text);
}

/* The token with other bytes for its signature. malloc'd. */
static char *with_signature(const char *token, const uint8_t *bytes, size_t n)
{
    size_t head = (size_t)(strrchr(token, '.') + 1 - token);
    char *other = malloc(head + BASE64URL_ENCODED(n) + 1);
    assert_non_null(other);
    memcpy(other, token, head);
    other[head + base64url_encode(bytes, n, other + head)] = '\0';
    return other;
}

/* Bytes of "header.payload". */
static size_t signed_length(const char *token)
{
    size_t n = strlen(token);
    while (token[n - 1] != '.')
        n--;
    return n - 1;
}

static size_t signature_of(const char *token, uint8_t out[JWT_MAX_SIGNATURE])
{
    size_t n = 0;
    const char *text = strrchr(token, '.') + 1;
    assert_int_equal(base64url_decode(text, strlen(text), out, JWT_MAX_SIGNATURE, &n), BURROW_OK);
    return n;
}

static void the_examples_of_the_standards_verify_and_name_nobody(void **state)
{
    (void)state;
    for (size_t i = 0; i < RFC_VECTORS; i++) {
        const struct rfc_vector *v = &rfc_vectors[i];
        const struct jwt_rules rules = {.alg = jwt_alg_find(v->alg)};
        json_t *jwk = json_loads(v->jwk, 0, NULL);
        struct jwt_identity who;
        struct jwt_refusal why = {.code = 0};
        struct jwt_key key;
        int r;
        if (rules.alg->key == JWT_KEY_SECRET) {
            uint8_t bytes[64];
            struct burrow_secret secret = {bytes, 0};
            const char *k = json_string_value(json_object_get(jwk, "k"));
            assert_int_equal(base64url_decode(k, strlen(k), bytes, sizeof bytes, &secret.len), 0);
            r = jwt_check(v->token, strlen(v->token), &rules, jwt_verify_hmac, &secret, NOW_MS,
                          &who, &why);
        } else {
            assert_int_equal(jwt_key_from_jwk(jwk, &key, &why), BURROW_OK);
            r = judge(v->alg, v->token, strlen(v->token), &key, 1, &why);
            jwt_key_finish(&key);
        }
        json_decref(jwk);
        if (r != BURROW_EDENIED || !why.verified || !strstr(why.text, v->refused))
            fail_msg("%s: %d %s", v->name, r, why.text);
    }
}

/* RSA with PKCS #1 and Ed25519 sign alike every time. */
static void signing_the_examples_again_gives_their_signatures(void **state)
{
    (void)state;
    unsigned count = 0;
    for (size_t i = 0; i < RFC_VECTORS; i++) {
        const struct rfc_vector *v = &rfc_vectors[i];
        if (!v->private_jwk)
            continue;
        struct jwt_key key;
        struct jwt_refusal why;
        uint8_t expected[JWT_MAX_SIGNATURE], made[JWT_MAX_SIGNATURE];
        size_t n = 0, len = signature_of(v->token, expected);
        assert_int_equal(jwt_private_key_read(v->private_jwk, strlen(v->private_jwk), &key, &why),
                         BURROW_OK);
        assert_int_equal(jwt_sign_key(&key, jwt_alg_find(v->alg), (const uint8_t *)v->token,
                                      signed_length(v->token), made, &n),
                         BURROW_OK);
        assert_int_equal(n, len);
        if (key.kind == JWT_KEY_RSA || key.kind == JWT_KEY_ED25519)
            assert_memory_equal(made, expected, n);
        jwt_key_finish(&key);
        count++;
    }
    assert_int_equal(count, 4);
}

static void each_algorithm_verifies_its_own_and_no_other(void **state)
{
    (void)state;
    for (size_t i = 0; key_algs[i]; i++) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i]));
        char *token = mint(key_algs[i], &key, NULL);
        struct jwt_refusal why;
        for (size_t j = 0; key_algs[j]; j++)
            assert_int_equal(judge(key_algs[j], token, strlen(token), &key, 1, &why),
                             i == j ? BURROW_OK : BURROW_EDENIED);
        struct jwt_key other = make_key(jwt_alg_find(key_algs[i]));
        refuses_signature(key_algs[i], token, &other, "signature does not match");
        jwt_key_finish(&other);
        jwt_key_finish(&key);
        free(token);
    }
}

/* The header names one algorithm, the signature is by its sister with the same key. */
static void a_signature_of_the_same_family_is_refused(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("RS256"));
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++) {
            char header[64], *token = NULL;
            int n = snprintf(header, sizeof header, "{\"alg\":\"%s\"}", key_algs[i]);
            assert_int_equal(jwt_seal(jwt_alg_find(key_algs[j]), jwt_sign_key, &key, header,
                                      (size_t)n, claims, strlen(claims), &token),
                             BURROW_OK);
            if (i != j)
                refuses_signature(key_algs[i], token, &key, "signature does not match");
            free(token);
        }
    jwt_key_finish(&key);
}

static void the_public_key_is_no_shared_secret(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("RS256"));
    char *pem = public_pem(&key), *token = NULL;
    const struct burrow_secret secret = {(const uint8_t *)pem, strlen(pem)};
    assert_int_equal(jwt_mint(jwt_alg_find("HS256"), jwt_sign_hmac, &secret, NULL, claims,
                              strlen(claims), &token),
                     BURROW_OK);
    refuses_signature("RS256", token, &key, "alg is \"HS256\", only RS256");
    free(token);
    free(pem);
    jwt_key_finish(&key);
}

static void every_flipped_byte_is_refused_for_every_algorithm(void **state)
{
    (void)state;
    for (size_t i = 0; key_algs[i]; i++) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i]));
        char *token = mint(key_algs[i], &key, NULL);
        size_t len = strlen(token);
        struct jwt_refusal why;
        for (size_t at = 0; at < len; at++)
            for (unsigned bit = 1; bit < 64; bit <<= 2) { /* each stays in or near the alphabet */
                token[at] = (char)((uint8_t)token[at] ^ bit);
                assert_true(refused(judge(key_algs[i], token, len, &key, 1, &why)));
                assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
                token[at] = (char)((uint8_t)token[at] ^ bit);
            }
        assert_int_equal(judge(key_algs[i], token, len, &key, 1, &why), BURROW_OK);
        free(token);
        jwt_key_finish(&key);
    }
}

static void ecdsa_numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const curves[] = {"ES256", "ES384", "ES512"};
    for (size_t c = 0; c < 3; c++) {
        struct jwt_key key = make_key(jwt_alg_find(curves[c]));
        char *token = mint(curves[c], &key, NULL);
        uint8_t good[JWT_MAX_SIGNATURE], order[66];
        size_t len = signature_of(token, good), half = len / 2;
        BIGNUM *n = NULL;
        assert_int_equal(EVP_PKEY_get_bn_param(key.pkey, OSSL_PKEY_PARAM_EC_ORDER, &n), 1);
        assert_int_equal(BN_bn2binpad(n, order, (int)half), (int)half);
        BN_free(n);
        /* Each half in turn, then both: zero, the order, and all ones. */
        for (unsigned halves = 1; halves < 4; halves++)
            for (unsigned value = 0; value < 3; value++) {
                uint8_t bad[JWT_MAX_SIGNATURE];
                memcpy(bad, good, len);
                for (unsigned h = 0; h < 2; h++) {
                    uint8_t *at = bad + h * half;
                    if (!(halves & 1u << h))
                        continue;
                    memset(at, value == 0 ? 0 : 0xff, half);
                    if (value == 1)
                        memcpy(at, order, half);
                }
                char *forged = with_signature(token, bad, len);
                refuses_signature(curves[c], forged, &key, "signature does not match");
                free(forged);
            }
        free(token);
        jwt_key_finish(&key);
    }
}

static void ecdsa_in_der_is_refused(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("ES256"));
    char *token = mint("ES256", &key, NULL);
    uint8_t raw[JWT_MAX_SIGNATURE], *der = NULL;
    signature_of(token, raw);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    ECDSA_SIG_set0(pair, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
    int n = i2d_ECDSA_SIG(pair, &der);
    assert_true(n > 64);
    char *forged = with_signature(token, der, (size_t)n);
    refuses_signature("ES256", forged, &key, "bytes, not 64");
    free(forged);
    ECDSA_SIG_free(pair);
    OPENSSL_free(der);
    free(token);
    jwt_key_finish(&key);
}

static void a_signature_of_another_length_is_refused(void **state)
{
    (void)state;
    static const char *const algs[] = {"RS256", "PS256", "ES512", "EdDSA"};
    for (size_t i = 0; i < 4; i++) {
        struct jwt_key key = make_key(jwt_alg_find(algs[i]));
        char *token = mint(algs[i], &key, NULL);
        uint8_t bytes[JWT_MAX_SIGNATURE] = {0};
        size_t len = signature_of(token, bytes);
        for (size_t n = len - 1; n <= len + 1; n += 2) {
            char *other = with_signature(token, bytes, n);
            refuses_signature(algs[i], other, &key, "signature ");
            free(other);
        }
        free(token);
        jwt_key_finish(&key);
    }
}

/* RFC 7518, 3.5: the salt is as long as the hash. */
static void pss_with_a_salt_of_another_length_is_refused(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("PS256"));
    char *token = mint("PS256", &key, NULL);
    uint8_t bytes[JWT_MAX_SIGNATURE];
    size_t len = sizeof bytes;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL, key.pkey), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0);
    assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 20) > 0);
    assert_int_equal(EVP_DigestSign(ctx, bytes, &len, (const uint8_t *)token, signed_length(token)),
                     1);
    EVP_MD_CTX_free(ctx);
    char *forged = with_signature(token, bytes, len);
    refuses_signature("PS256", forged, &key, "signature does not match");
    free(forged);
    free(token);
    jwt_key_finish(&key);
}

static void the_kid_chooses_the_key(void **state)
{
    (void)state;
    struct jwt_key keys[2] = {make_key(jwt_alg_find("ES256")), make_key(jwt_alg_find("ES256"))};
    memcpy(keys[0].kid, "one", 4);
    memcpy(keys[1].kid, "two", 4);
    struct jwt_refusal why;
    char *named = mint("ES256", &keys[1], "two"), *wrong = mint("ES256", &keys[1], "one");
    char *unknown = mint("ES256", &keys[1], "three"), *unnamed = mint("ES256", &keys[1], NULL);
    assert_int_equal(judge("ES256", named, strlen(named), keys, 2, &why), BURROW_OK);
    assert_int_equal(judge("ES256", wrong, strlen(wrong), keys, 2, &why), BURROW_EDENIED);
    assert_int_equal(judge("ES256", unnamed, strlen(unnamed), keys, 2, &why), BURROW_OK);
    assert_int_equal(judge("ES256", unknown, strlen(unknown), keys, 2, &why), BURROW_EAGAIN);
    assert_string_equal(why.text, "no ES256 key is known with the kid \"three\"");
    assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(judge("ES256", unnamed, strlen(unnamed), keys, 0, &why), BURROW_EAGAIN);
    assert_string_equal(why.text, "no ES256 key is known");
    /* Keys may change without a name: only the failure of the named one is final. */
    assert_int_equal(judge("ES256", unnamed, strlen(unnamed), keys, 1, &why), BURROW_EAGAIN);
    assert_string_equal(why.text, "the signature does not match the key");
    keys[1].kid[0] = '\0'; /* a key without an id may be meant by any */
    assert_int_equal(judge("ES256", unknown, strlen(unknown), keys, 2, &why), BURROW_OK);
    keys[0].kid[0] = '\0';
    assert_int_equal(judge("ES256", unknown, strlen(unknown), keys, 1, &why), BURROW_EAGAIN);
    assert_string_equal(why.text, "the signature does not match the key");
    memcpy(keys[0].kid, "one", 4);
    keys[1].only = jwt_alg_find("ES384"); /* but not against its alg */
    assert_int_equal(judge("ES256", unknown, strlen(unknown), keys, 2, &why), BURROW_EAGAIN);
    free(named);
    free(wrong);
    free(unknown);
    free(unnamed);
    jwt_key_finish(&keys[0]);
    jwt_key_finish(&keys[1]);
}

static void a_token_costs_no_more_than_sixteen_tries(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("EdDSA")), many[JWT_MAX_TRIES + 1];
    for (size_t i = 0; i <= JWT_MAX_TRIES; i++)
        many[i] = key;
    char *token = mint("EdDSA", &key, NULL);
    struct jwt_refusal why;
    assert_int_equal(judge("EdDSA", token, strlen(token), many, JWT_MAX_TRIES, &why), BURROW_OK);
    assert_int_equal(judge("EdDSA", token, strlen(token), many, JWT_MAX_TRIES + 1, &why),
                     BURROW_EDENIED);
    assert_non_null(strstr(why.text, "more than 16 could be meant"));
    free(token);
    jwt_key_finish(&key);
}

static void openssl_without_the_hash_is_no_denial(void **state)
{
    (void)state;
    static const struct jwt_alg odd = {"RS256", "NO-SUCH-HASH", 0, 0, JWT_KEY_RSA, 0};
    struct jwt_key pair[2] = {make_key(jwt_alg_find("RS256")), make_key(jwt_alg_find("RS256"))};
    char *token = mint("RS256", &pair[0], NULL), *minted = NULL;
    const struct jwt_keys keys = {pair, 2};
    struct jwt_rules rules = {.alg = &odd};
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(
        jwt_check(token, strlen(token), &rules, jwt_verify_keys, &keys, NOW_MS, &who, &why),
        BURROW_EIO);
    assert_int_equal(jwt_mint(&odd, jwt_sign_key, &pair[0], NULL, "{}", 2, &minted), BURROW_EIO);
    free(token);
    jwt_key_finish(&pair[0]);
    jwt_key_finish(&pair[1]);
}

static void the_form_is_judged_without_a_key_and_tells_the_kid(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("EdDSA"));
    char *named = mint("EdDSA", &key, "2026-11"), *unnamed = mint("EdDSA", &key, NULL);
    char kid[JWT_MAX_KID + 1] = "?";
    struct jwt_refusal why;
    const struct jwt_alg *alg = jwt_alg_find("EdDSA");
    assert_int_equal(jwt_check_form(named, strlen(named), alg, kid, &why), BURROW_OK);
    assert_string_equal(kid, "2026-11");
    assert_int_equal(jwt_check_form(unnamed, strlen(unnamed), alg, kid, &why), BURROW_OK);
    assert_string_equal(kid, "");
    assert_int_equal(jwt_check_form("a.b", 3, alg, kid, &why), BURROW_EDENIED);
    free(named);
    free(unnamed);
    jwt_key_finish(&key);
}

static void verdicts_follow_from_what_the_gate_found(void **state)
{
    (void)state;
    struct jwt_identity who = {.subject = "a", .subject_len = 1, .expires_ms = 7};
    struct jwt_refusal why = {.code = BURROW_CODE_TOKEN_EXPIRED, .text = "x"};
    struct burrow_verdict verdict;
    jwt_to_verdict(BURROW_OK, &who, &why, &verdict);
    assert_int_equal(verdict.result, BURROW_AUTH_ALLOW);
    assert_null(verdict.grants_json);
    assert_int_equal(verdict.expires_ms, 7);
    strcpy(who.grants, "{}");
    jwt_to_verdict(BURROW_OK, &who, &why, &verdict);
    assert_string_equal(verdict.grants_json, "{}");
    static const struct {
        int r;
        uint32_t verified, result;
    } cases[] = {
        {BURROW_EDENIED, 1, BURROW_AUTH_DENY},    {BURROW_EDENIED, 0, BURROW_AUTH_ABSTAIN},
        {BURROW_EAGAIN, 0, BURROW_AUTH_ABSTAIN},  {BURROW_ENOMEM, 0, BURROW_AUTH_UNAVAILABLE},
        {BURROW_EIO, 0, BURROW_AUTH_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        why.verified = cases[i].verified;
        jwt_to_verdict(cases[i].r, &who, &why, &verdict);
        assert_int_equal(verdict.result, cases[i].result);
        assert_null(verdict.subject);
        assert_non_null(verdict.reason);
        assert_int_equal(verdict.code, cases[i].result == BURROW_AUTH_UNAVAILABLE ? 0 : why.code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standards_verify_and_name_nobody),
        cmocka_unit_test(signing_the_examples_again_gives_their_signatures),
        cmocka_unit_test(each_algorithm_verifies_its_own_and_no_other),
        cmocka_unit_test(a_signature_of_the_same_family_is_refused),
        cmocka_unit_test(the_public_key_is_no_shared_secret),
        cmocka_unit_test(every_flipped_byte_is_refused_for_every_algorithm),
        cmocka_unit_test(ecdsa_numbers_out_of_range_are_refused),
        cmocka_unit_test(ecdsa_in_der_is_refused),
        cmocka_unit_test(a_signature_of_another_length_is_refused),
        cmocka_unit_test(pss_with_a_salt_of_another_length_is_refused),
        cmocka_unit_test(the_kid_chooses_the_key),
        cmocka_unit_test(a_token_costs_no_more_than_sixteen_tries),
        cmocka_unit_test(openssl_without_the_hash_is_no_denial),
        cmocka_unit_test(the_form_is_judged_without_a_key_and_tells_the_kid),
        cmocka_unit_test(verdicts_follow_from_what_the_gate_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
