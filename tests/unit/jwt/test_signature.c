/* SPDX-License-Identifier: Apache-2.0 */
/* The signature: known vectors, other programs' tokens, and every token but the right one. */
#include "helper.h"
#include "jwt/sign.h"

#include "jwt/base64url.h"

#include <stdio.h>

/* RFC 7515, A.1 */
#define RFC7515_A1_SIGNED                                                                          \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"                                                     \
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"    \
    "cnVlfQ"
#define RFC7515_A1 RFC7515_A1_SIGNED ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RFC7515_A1_KEY                                                                             \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define RFC7515_A1_EXP_MS 1300819380000

struct counted {
    struct burrow_secret secret;
    unsigned *verified;
};

static int counting_verify(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    const struct counted *counted = key;
    int r = jwt_verify_hmac(&counted->secret, token, why);
    *counted->verified += r == BURROW_OK;
    return r;
}

/* Returns jwt_check's result and how many signatures were found good. */
static int ask_rfc(const char *token, struct jwt_refusal *why, unsigned *ret_verified)
{
    uint8_t bytes[64];
    struct counted key = {.secret = {bytes, 0}, .verified = ret_verified};
    assert_int_equal(base64url_decode(RFC7515_A1_KEY, strlen(RFC7515_A1_KEY), bytes, sizeof bytes,
                                      &key.secret.len),
                     BURROW_OK);
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    *ret_verified = 0;
    return jwt_check(token, strlen(token), &rules, counting_verify, &key, RFC7515_A1_EXP_MS - 1000,
                     &who, why);
}

/* The vector's claims have no sub, so nobody is let in by it; its signature is good. */
static void the_vector_of_rfc_7515_a1_verifies_and_names_nobody(void **state)
{
    (void)state;
    struct jwt_refusal why;
    unsigned verified = 0;
    assert_int_equal(ask_rfc(RFC7515_A1, &why, &verified), BURROW_EDENIED);
    assert_int_equal(verified, 1);
    assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
    assert_string_equal(why.text, "sub is missing");
}

static void the_vector_with_another_signature_does_not_verify(void **state)
{
    (void)state;
    struct jwt_refusal why;
    unsigned verified = 0;
    assert_int_equal(
        ask_rfc(RFC7515_A1_SIGNED ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXg", &why, &verified),
        BURROW_EDENIED);
    assert_int_equal(verified, 0);
    assert_string_equal(why.text, "the signature does not match the secret");
}

static void the_signature_is_judged_before_the_claims(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    char *token = claims_token("{\"sub\":\"client-a\",\"exp\":1}");
    char *first = strrchr(token, '.') + 1;
    *first = *first == 'A' ? 'B' : 'A';
    refuses(token, &rules, BURROW_CODE_INVALID_TOKEN, "signature does not match");
    char *broken = claims_token("this is not JSON");
    first = strrchr(broken, '.') + 1;
    *first = *first == 'A' ? 'B' : 'A';
    refuses(broken, &rules, BURROW_CODE_INVALID_TOKEN, "signature does not match");
}

static void a_truncated_mac_is_refused(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    /* 16 of 32 bytes, canonical: 21 characters and one with four zero bits. */
    char *token = claims_token(GOOD_CLAIMS "}");
    char *mac = strrchr(token, '.') + 1;
    mac[21] = 'A';
    mac[22] = '\0';
    refuses(token, &rules, BURROW_CODE_INVALID_TOKEN, "signature has 16 bytes, not 32");
}

static void a_longer_mac_is_refused(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    refuses(seal_with("SHA512", GOOD_HEADER, GOOD_CLAIMS "}"), &rules, BURROW_CODE_INVALID_TOKEN,
            "signature has 64 bytes, not 32");
}

static void another_secret_is_refused(void **state)
{
    (void)state;
    char *token = claims_token(GOOD_CLAIMS "}");
    struct burrow_secret other = {test_secret.data, test_secret.len - 1};
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(
        jwt_check(token, strlen(token), &rules, jwt_verify_hmac, &other, NOW_MS, &who, &why),
        BURROW_EDENIED);
    assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
    free(token);
}

static void an_empty_secret_verifies_nothing(void **state)
{
    (void)state;
    char *token = claims_token(GOOD_CLAIMS "}");
    const struct burrow_secret empty[] = {{NULL, 0}, {test_secret.data, 0}, {NULL, 5}};
    struct jwt_rules rules = plain_rules();
    for (size_t i = 0; i < 3; i++) {
        struct jwt_identity who;
        struct jwt_refusal why;
        assert_int_equal(
            jwt_check(token, strlen(token), &rules, jwt_verify_hmac, &empty[i], NOW_MS, &who, &why),
            BURROW_EDENIED);
        assert_int_equal(why.code, BURROW_CODE_VERIFIER_CONFIG);
    }
    free(token);
}

static int cannot_tell(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    (void)key;
    (void)token;
    (void)why;
    return BURROW_EAGAIN;
}

static void what_the_verifier_cannot_tell_is_passed_on(void **state)
{
    (void)state;
    char *token = claims_token(GOOD_CLAIMS "}");
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who = {.subject_len = 77};
    struct jwt_refusal why;
    assert_int_equal(jwt_check(token, strlen(token), &rules, cannot_tell, NULL, NOW_MS, &who, &why),
                     BURROW_EAGAIN);
    assert_int_equal(who.subject_len, 77);
    free(token);
}

static void openssl_without_the_hash_is_no_denial(void **state)
{
    (void)state;
    const struct jwt_alg odd = {"HS256", "NO-SUCH-HASH", 32, 32, 0, 0};
    const struct jwt_alg wrong_size = {"HS256", "SHA384", 32, 32, 0, 0};
    char *token = claims_token(GOOD_CLAIMS "}");
    struct jwt_rules rules = {.alg = &odd};
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_EIO);
    rules.alg = &wrong_size;
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_EIO);
    char *minted = NULL;
    assert_int_equal(jwt_mint(&odd, jwt_sign_hmac, &test_secret, NULL, "{}", 2, &minted),
                     BURROW_EIO);
    assert_null(minted);
    free(token);
}

static const struct {
    const char *name, *digest;
} algs[] = {{"HS256", "SHA256"}, {"HS384", "SHA384"}, {"HS512", "SHA512"}};

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    for (size_t a = 0; a < 3; a++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", algs[a].name);
        char *token = seal_with(algs[a].digest, header, GOOD_CLAIMS "}");
        size_t len = strlen(token);
        struct jwt_rules rules = {.alg = jwt_alg_find(algs[a].name)};
        struct jwt_identity who;
        struct jwt_refusal why;
        assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
        for (size_t at = 0; at < len; at++) {
            for (unsigned flip = 1; flip < 256; flip++) {
                token[at] = (char)((uint8_t)token[at] ^ flip);
                assert_int_equal(jwt_check(token, len, &rules, jwt_verify_hmac, &test_secret,
                                           NOW_MS, &who, &why),
                                 BURROW_EDENIED);
                assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
                token[at] = (char)((uint8_t)token[at] ^ flip);
            }
        }
        assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
        free(token);
    }
}

static void every_shorter_token_is_refused(void **state)
{
    (void)state;
    char *token = claims_token(GOOD_CLAIMS "}");
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why;
    for (size_t len = strlen(token) - 1; len > 0; len--)
        assert_int_equal(
            jwt_check(token, len, &rules, jwt_verify_hmac, &test_secret, NOW_MS, &who, &why),
            BURROW_EDENIED);
    free(token);
}

static void unknown_algorithms_are_not_found(void **state)
{
    (void)state;
    assert_null(jwt_alg_find("none"));
    assert_null(jwt_alg_find(""));
    assert_null(jwt_alg_find("hs256"));
    assert_string_equal(jwt_alg_find("HS384")->name, "HS384");
}

static void minted_tokens_pass_the_gate(void **state)
{
    (void)state;
    for (size_t a = 0; a < 3; a++) {
        struct jwt_rules rules = {.alg = jwt_alg_find(algs[a].name)};
        char *token = NULL;
        const char claims[] = GOOD_CLAIMS "}";
        assert_int_equal(
            jwt_mint(rules.alg, jwt_sign_hmac, &test_secret, NULL, claims, strlen(claims), &token),
            BURROW_OK);
        accepts(token, &rules);
    }
}

static void no_token_is_minted_that_the_gate_finds_too_long(void **state)
{
    (void)state;
    static char claims[JWT_MAX_TOKEN + 2];
    memset(claims, ' ', sizeof claims);
    char *token = NULL;
    const struct jwt_alg *alg = jwt_alg_find("HS256");
    size_t longest = 0;
    for (size_t n = 6000; n < 6200; n++) {
        int r = jwt_mint(alg, jwt_sign_hmac, &test_secret, NULL, claims, n, &token);
        if (r == BURROW_OK) {
            longest = strlen(token);
            free(token);
        } else {
            assert_int_equal(r, BURROW_EINVAL);
        }
    }
    assert_in_range(longest, JWT_MAX_TOKEN - 1, JWT_MAX_TOKEN);
    token = NULL;
    assert_int_equal(
        jwt_mint(alg, jwt_sign_hmac, &test_secret, NULL, claims, sizeof claims, &token),
        BURROW_EINVAL);
    assert_int_equal(
        jwt_seal(alg, jwt_sign_hmac, &test_secret, claims, sizeof claims, "{}", 2, &token),
        BURROW_EINVAL);
    assert_null(token);
}

static void tokens_of_python_pass_the_gate(void **state)
{
    (void)state;
    char command[1024], line[JWT_MAX_TOKEN + 16];
    snprintf(command, sizeof command, "python3 '%s' make %lld", JWT_VECTORS_SCRIPT,
             (long long)NOW_S);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    unsigned count = 0;
    while (fgets(line, sizeof line, out)) {
        line[strcspn(line, "\n")] = '\0';
        char *space = strchr(line, ' ');
        assert_non_null(space);
        *space = '\0';
        struct jwt_rules rules = {.alg = jwt_alg_find(line), .audience = "b"};
        assert_non_null(rules.alg);
        accepts(strdup(space + 1), &rules);
        count++;
    }
    assert_int_equal(pclose(out), 0);
    assert_int_equal(count, 36);
}

static void python_verifies_our_tokens(void **state)
{
    (void)state;
    for (size_t a = 0; a < 3; a++) {
        char *token = NULL;
        const char claims[] = "{\"sub\":\"\xc3\x9cn\xc3\xaf\",\"exp\":1790000600}";
        assert_int_equal(jwt_mint(jwt_alg_find(algs[a].name), jwt_sign_hmac, &test_secret, NULL,
                                  claims, strlen(claims), &token),
                         BURROW_OK);
        char command[2048];
        snprintf(command, sizeof command, "python3 '%s' check %s %s > /dev/null",
                 JWT_VECTORS_SCRIPT, algs[a].name, token);
        free(token);
        assert_int_equal(system(command), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vector_of_rfc_7515_a1_verifies_and_names_nobody),
        cmocka_unit_test(the_vector_with_another_signature_does_not_verify),
        cmocka_unit_test(the_signature_is_judged_before_the_claims),
        cmocka_unit_test(a_truncated_mac_is_refused),
        cmocka_unit_test(a_longer_mac_is_refused),
        cmocka_unit_test(another_secret_is_refused),
        cmocka_unit_test(an_empty_secret_verifies_nothing),
        cmocka_unit_test(what_the_verifier_cannot_tell_is_passed_on),
        cmocka_unit_test(openssl_without_the_hash_is_no_denial),
        cmocka_unit_test(every_flipped_byte_is_refused),
        cmocka_unit_test(every_shorter_token_is_refused),
        cmocka_unit_test(unknown_algorithms_are_not_found),
        cmocka_unit_test(minted_tokens_pass_the_gate),
        cmocka_unit_test(no_token_is_minted_that_the_gate_finds_too_long),
        cmocka_unit_test(tokens_of_python_pass_the_gate),
        cmocka_unit_test(python_verifies_our_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
