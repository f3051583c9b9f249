/* SPDX-License-Identifier: Apache-2.0 */
/* The outer form: three strict segments, of a bounded size, each a JSON object but the last. */
#include "helper.h"

#include "jwt/base64url.h"

#include <stdio.h>

static char *good(void)
{
    return claims_token(GOOD_CLAIMS "}");
}

/* The good token with `text` put in at the byte `at`. */
static char *good_with(size_t at, const char *text)
{
    char *token = good();
    size_t len = strlen(token), n = strlen(text);
    char *out = malloc(len + n + 1);
    assert_non_null(out);
    memcpy(out, token, at);
    memcpy(out + at, text, n);
    memcpy(out + at + n, token + at, len - at + 1);
    free(token);
    return out;
}

static void refuses_form(char *token, const char *part)
{
    struct jwt_rules rules = plain_rules();
    refuses(token, &rules, BURROW_CODE_INVALID_TOKEN, part);
}

static char *copy(const char *text)
{
    char *out = strdup(text);
    assert_non_null(out);
    return out;
}

static void a_good_token_gives_subject_and_end(void **state)
{
    (void)state;
    char *token = good();
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
    assert_string_equal(who.subject, "client-a");
    assert_int_equal(who.subject_len, 8);
    assert_int_equal(who.expires_ms, NOW_MS + 600000);
    free(token);
}

static void no_token_is_missing_bearer(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    assert_int_equal(jwt_check(NULL, 0, &rules, jwt_verify_hmac, &test_secret, NOW_MS, &who, &why),
                     BURROW_EDENIED);
    assert_int_equal(why.code, BURROW_CODE_MISSING_BEARER);
    why.code = 0;
    assert_int_equal(ask("", &rules, &who, &why), BURROW_EDENIED);
    assert_int_equal(why.code, BURROW_CODE_MISSING_BEARER);
}

static void one_segment_is_refused(void **state)
{
    (void)state;
    refuses_form(copy("abcd"), "fewer segments");
}

static void two_segments_are_refused(void **state)
{
    (void)state;
    char *token = good();
    *strrchr(token, '.') = '\0';
    refuses_form(token, "fewer segments");
}

static void four_and_five_segments_are_refused(void **state)
{
    (void)state;
    char *token = good();
    size_t len = strlen(token);
    free(token);
    refuses_form(good_with(len, ".AAAA"), "more segments");
    refuses_form(good_with(len, ".AAAA.AAAA"), "more segments");
    refuses_form(good_with(len, "."), "more segments");
}

static void empty_segments_are_refused(void **state)
{
    (void)state;
    refuses_form(copy(".."), "header is empty");
    refuses_form(copy("."), "header is empty");
    char *token = good();
    strrchr(token, '.')[1] = '\0';
    refuses_form(token, "signature is empty");
    char *head = good();
    char *dot = strchr(head, '.');
    memmove(dot + 1, strrchr(head, '.'), strlen(strrchr(head, '.')) + 1);
    refuses_form(head, "payload is empty");
}

static void padding_is_refused(void **state)
{
    (void)state;
    char *token = good();
    size_t first = (size_t)(strchr(token, '.') - token), len = strlen(token);
    free(token);
    refuses_form(good_with(first, "="), "header is no canonical base64url");
    refuses_form(good_with(len, "="), "signature is no canonical base64url");
}

static void white_space_is_refused_everywhere(void **state)
{
    (void)state;
    char *token = good();
    size_t len = strlen(token);
    free(token);
    static const char *const spaces[] = {" ", "\n", "\r\n", "\t"};
    for (size_t i = 0; i < 4; i++) {
        refuses_form(good_with(0, spaces[i]), "no canonical base64url");
        refuses_form(good_with(len, spaces[i]), "no canonical base64url");
        refuses_form(good_with(len / 2, spaces[i]), "no canonical base64url");
    }
}

static void non_canonical_base64_is_refused(void **state)
{
    (void)state;
    /* 32 bytes leave two bits over in the last of 43 characters: set one. */
    char *token = good();
    char *last = token + strlen(token) - 1;
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    *last = alphabet[(strchr(alphabet, *last) - alphabet) | 1];
    refuses_form(token, "signature is no canonical base64url");
}

static void a_byte_of_nul_is_refused(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    char *token = good();
    size_t len = strlen(token);
    assert_int_equal(
        jwt_check(token, len + 1, &rules, jwt_verify_hmac, &test_secret, NOW_MS, &who, &why),
        BURROW_EDENIED);
    assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
    free(token);
}

/* A good token of exactly len bytes: its header and payload are filled up. */
static char *token_of_length(size_t len)
{
    for (int kid = 1; kid <= 4; kid++) {
        char header[96];
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%.*s\"}", kid, "aaaa");
        for (size_t fill = len * 3 / 4 - 200; fill < len * 3 / 4; fill++) {
            char *payload = malloc(fill + 200);
            assert_non_null(payload);
            int n = sprintf(payload, "%s,\"x\":\"", GOOD_CLAIMS);
            memset(payload + n, 'x', fill);
            strcpy(payload + (size_t)n + fill, "\"}");
            char *token = seal(header, payload);
            free(payload);
            if (strlen(token) == len)
                return token;
            free(token);
        }
    }
    fail_msg("no token has %zu bytes", len);
    return NULL;
}

static void a_token_of_8191_or_8192_bytes_is_accepted(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    accepts(token_of_length(8191), &rules);
    accepts(token_of_length(8192), &rules);
}

static void a_token_of_8193_bytes_is_refused(void **state)
{
    (void)state;
    refuses_form(token_of_length(8193), "8193 bytes");
}

static void a_header_that_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]", "\"HS256\"", "null", "{", "{}x", "\xff\xfe", "1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses_header(bad[i], "header is no JSON object");
}

static void a_payload_that_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[1]", "\"x\"", "null", "{\"a\":1,}", "{}{}", "{\"sub\":\"\xff\"}", "\xef\xbb\xbf{}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuses_claims(bad[i], "payload is no JSON object");
}

static void duplicate_members_are_refused(void **state)
{
    (void)state;
    refuses_header("{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "duplicate");
    refuses_header("{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}", "duplicate");
    refuses_claims(GOOD_CLAIMS ",\"sub\":\"client-b\"}", "duplicate");
    refuses_claims(GOOD_CLAIMS ",\"x\":{\"a\":1,\"a\":2}}", "duplicate");
}

static void deep_nesting_is_refused(void **state)
{
    (void)state;
    char payload[5000];
    int n = sprintf(payload, "%s,\"x\":", GOOD_CLAIMS);
    memset(payload + n, '[', 2100);
    strcpy(payload + n + 2100, "}");
    refuses_claims(payload, "payload is no JSON object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_token_gives_subject_and_end),
        cmocka_unit_test(no_token_is_missing_bearer),
        cmocka_unit_test(one_segment_is_refused),
        cmocka_unit_test(two_segments_are_refused),
        cmocka_unit_test(four_and_five_segments_are_refused),
        cmocka_unit_test(empty_segments_are_refused),
        cmocka_unit_test(padding_is_refused),
        cmocka_unit_test(white_space_is_refused_everywhere),
        cmocka_unit_test(non_canonical_base64_is_refused),
        cmocka_unit_test(a_byte_of_nul_is_refused),
        cmocka_unit_test(a_token_of_8191_or_8192_bytes_is_accepted),
        cmocka_unit_test(a_token_of_8193_bytes_is_refused),
        cmocka_unit_test(a_header_that_is_no_object_is_refused),
        cmocka_unit_test(a_payload_that_is_no_object_is_refused),
        cmocka_unit_test(duplicate_members_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
