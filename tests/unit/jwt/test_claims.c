/* SPDX-License-Identifier: Apache-2.0 */
/* The claims: types, values and times, each with its code. */
#include "helper.h"

#include <stdio.h>

/* Claims with these times and a good subject. */
static char *timed(const char *members)
{
    char payload[256];
    snprintf(payload, sizeof payload, "{\"sub\":\"client-a\"%s}", members);
    return claims_token(payload);
}

static void accepts_times(const char *members)
{
    struct jwt_rules rules = plain_rules();
    accepts(timed(members), &rules);
}

static void refuses_times(const char *members, uint32_t code, const char *part)
{
    struct jwt_rules rules = plain_rules();
    refuses(timed(members), &rules, code, part);
}

static void a_token_expires_thirty_seconds_after_exp(void **state)
{
    (void)state;
    accepts_times(",\"exp\":1789999971"); /* now - 29 s */
    refuses_times(",\"exp\":1789999970", BURROW_CODE_TOKEN_EXPIRED, "expired 30 s ago");
    refuses_times(",\"exp\":1789999969", BURROW_CODE_TOKEN_EXPIRED, "expired 31 s ago");
    refuses_times(",\"exp\":0", BURROW_CODE_TOKEN_EXPIRED, "expired");
}

static void exp_may_be_a_fraction(void **state)
{
    (void)state;
    accepts_times(",\"exp\":1790000600.75");
    accepts_times(",\"exp\":1.7900006e9");
    accepts_times(",\"exp\":1789999970.001");
    refuses_times(",\"exp\":1789999969.999", BURROW_CODE_TOKEN_EXPIRED, "expired");
}

static void exp_of_a_wrong_type_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"1790000600\"", "null",         "true",  "[1790000600]",       "{}", "-1", "-0.5",
        "-1790000600",    "253402300800", "1e300", "9223372036854775807"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char members[64];
        snprintf(members, sizeof members, ",\"exp\":%s", bad[i]);
        refuses_times(members, BURROW_CODE_INVALID_TOKEN, "exp is not a number of seconds");
    }
    accepts_times(",\"exp\":253402300799");
}

static void a_number_beyond_any_double_is_refused(void **state)
{
    (void)state;
    refuses_times(",\"exp\":1e400", BURROW_CODE_INVALID_TOKEN, "payload is no JSON object");
    refuses_times(",\"exp\":9223372036854775808", BURROW_CODE_INVALID_TOKEN,
                  "payload is no JSON object");
    refuses_times(",\"exp\":NaN", BURROW_CODE_INVALID_TOKEN, "payload is no JSON object");
}

static void a_missing_exp_is_refused_with_the_remedy(void **state)
{
    (void)state;
    refuses_times("", BURROW_CODE_INVALID_TOKEN, "--jwt-allow-no-exp");
}

static void a_missing_exp_may_be_allowed(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.allow_no_exp = true;
    struct jwt_identity who = {.expires_ms = -1};
    struct jwt_refusal why;
    char *token = timed("");
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
    assert_int_equal(who.expires_ms, 0);
    free(token);
    refuses(timed(",\"exp\":1"), &rules, BURROW_CODE_TOKEN_EXPIRED, "expired");
    refuses(timed(",\"exp\":null"), &rules, BURROW_CODE_INVALID_TOKEN, "exp is not a number");
}

static void nbf_may_be_thirty_seconds_ahead(void **state)
{
    (void)state;
    accepts_times(",\"exp\":1790000600,\"nbf\":1789999999");
    accepts_times(",\"exp\":1790000600,\"nbf\":1790000030");
    refuses_times(",\"exp\":1790000600,\"nbf\":1790000031", BURROW_CODE_TOKEN_NOT_YET_VALID,
                  "nbf is 31 s in the future");
    refuses_times(",\"exp\":1790000600,\"nbf\":1790000030.5", BURROW_CODE_TOKEN_NOT_YET_VALID,
                  "nbf is 30 s in the future");
    refuses_times(",\"exp\":1790000600,\"nbf\":\"0\"", BURROW_CODE_INVALID_TOKEN,
                  "nbf is not a number");
}

static void iat_may_be_thirty_seconds_ahead(void **state)
{
    (void)state;
    accepts_times(",\"exp\":1790000600,\"iat\":1790000030");
    refuses_times(",\"exp\":1790000600,\"iat\":1790000031", BURROW_CODE_TOKEN_NOT_YET_VALID,
                  "iat is 31 s in the future");
    refuses_times(",\"exp\":1790000600,\"iat\":-1", BURROW_CODE_INVALID_TOKEN,
                  "iat is not a number");
}

static void the_subject_is_a_string_of_1_to_128_bytes(void **state)
{
    (void)state;
    char payload[512];
    for (int n = 127; n <= 128; n++) {
        snprintf(payload, sizeof payload, "{\"sub\":\"%0*d\",\"exp\":1790000600}", n, 0);
        accepts_claims(payload);
    }
    snprintf(payload, sizeof payload, "{\"sub\":\"%0129d\",\"exp\":1790000600}", 0);
    refuses_claims(payload, "sub has 129 bytes, not 1 to 128");
    snprintf(payload, sizeof payload, "{\"sub\":\"%0256d\",\"exp\":1790000600}", 0);
    refuses_claims(payload, "sub has 256 bytes, not 1 to 128");
    refuses_claims("{\"sub\":\"\",\"exp\":1790000600}", "sub has 0 bytes");
    refuses_claims("{\"exp\":1790000600}", "sub is missing");
    refuses_claims("{\"sub\":7,\"exp\":1790000600}", "sub is not a string");
    refuses_claims("{\"sub\":null,\"exp\":1790000600}", "sub is not a string");
    refuses_claims("{\"sub\":[\"client-a\"],\"exp\":1790000600}", "sub is not a string");
}

static void the_subject_has_no_control_characters(void **state)
{
    (void)state;
    refuses_claims("{\"sub\":\"a\\u0000b\",\"exp\":1790000600}", "payload is no JSON object");
    refuses_claims("{\"sub\":\"a\\nb\",\"exp\":1790000600}", "control character");
    refuses_claims("{\"sub\":\"a\\u007f\",\"exp\":1790000600}", "control character");
    refuses_claims("{\"sub\":\"\\u009b\",\"exp\":1790000600}", "control character");
    accepts_claims("{\"sub\":\"\\u00a0\\u00dcn\\u00efcode\",\"exp\":1790000600}");
    accepts_claims("{\"sub\":\"user@example.com/a b\",\"exp\":1790000600}");
}

static void the_issuer_must_be_the_configured_one(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.issuer = "https://idp.example";
    accepts(claims_token(GOOD_CLAIMS ",\"iss\":\"https://idp.example\"}"), &rules);
    refuses(claims_token(GOOD_CLAIMS ",\"iss\":\"https://idp.example/\"}"), &rules,
            BURROW_CODE_INVALID_TOKEN,
            "iss is \"https://idp.example/\", \"https://idp.example\" is expected");
    refuses(claims_token(GOOD_CLAIMS ",\"iss\":[\"https://idp.example\"]}"), &rules,
            BURROW_CODE_INVALID_TOKEN, "iss is not a string");
    refuses(claims_token(GOOD_CLAIMS "}"), &rules, BURROW_CODE_INVALID_TOKEN, "iss is missing");
}

static void an_issuer_nobody_asked_for_is_only_looked_at(void **state)
{
    (void)state;
    accepts_claims(GOOD_CLAIMS ",\"iss\":\"anybody\"}");
    refuses_claims(GOOD_CLAIMS ",\"iss\":7}", "iss is not a string");
}

static void the_audience_must_be_named(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.audience = "burrow";
    accepts(claims_token(GOOD_CLAIMS ",\"aud\":\"burrow\"}"), &rules);
    accepts(claims_token(GOOD_CLAIMS ",\"aud\":[\"other\",\"burrow\"]}"), &rules);
    static const char *const bad[] = {"\"other\"", "\"Burrow\"",      "\"\"", "[]", "[\"other\"]",
                                      "[\"\"]",    "\"burrow other\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char payload[128];
        snprintf(payload, sizeof payload, "%s,\"aud\":%s}", GOOD_CLAIMS, bad[i]);
        refuses(claims_token(payload), &rules, BURROW_CODE_INVALID_TOKEN,
                "aud does not name \"burrow\"");
    }
    refuses(claims_token(GOOD_CLAIMS "}"), &rules, BURROW_CODE_INVALID_TOKEN, "aud is missing");
}

static void an_audience_of_a_wrong_type_is_refused(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    for (int configured = 0; configured < 2; configured++) {
        rules.audience = configured ? "burrow" : NULL;
        refuses(claims_token(GOOD_CLAIMS ",\"aud\":{\"burrow\":1}}"), &rules,
                BURROW_CODE_INVALID_TOKEN, "aud is neither a string nor an array");
        refuses(claims_token(GOOD_CLAIMS ",\"aud\":null}"), &rules, BURROW_CODE_INVALID_TOKEN,
                "aud is neither a string nor an array");
        refuses(claims_token(GOOD_CLAIMS ",\"aud\":[\"burrow\",7]}"), &rules,
                BURROW_CODE_INVALID_TOKEN, "aud contains what is not a string");
        refuses(claims_token(GOOD_CLAIMS ",\"aud\":[[\"burrow\"]]}"), &rules,
                BURROW_CODE_INVALID_TOKEN, "aud contains what is not a string");
    }
}

static void an_audience_nobody_asked_for_is_only_looked_at(void **state)
{
    (void)state;
    accepts_claims(GOOD_CLAIMS ",\"aud\":\"anybody\"}");
    accepts_claims(GOOD_CLAIMS ",\"aud\":[]}");
}

static void what_time_cannot_mend_is_told_before_the_times(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.issuer = "idp";
    refuses(timed(",\"exp\":1,\"iss\":\"other\""), &rules, BURROW_CODE_INVALID_TOKEN, "iss is");
    refuses(timed(",\"exp\":1,\"nbf\":1790009999,\"iss\":\"idp\""), &rules,
            BURROW_CODE_TOKEN_EXPIRED, "expired");
}

static void claims_that_the_gate_does_not_know_are_ignored(void **state)
{
    (void)state;
    accepts_claims(GOOD_CLAIMS ",\"jti\":\"x\",\"scope\":[1,2,{}],\"admin\":true}");
}

static void grants_are_an_object(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.grants = "burrow";
    struct jwt_identity who;
    struct jwt_refusal why;
    char *token = claims_token(GOOD_CLAIMS ",\"burrow\": {\"streams\" : 3}}");
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
    assert_string_equal(who.grants, "{\"streams\":3}");
    rules.grants = NULL; /* nobody asks for them */
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_OK);
    assert_string_equal(who.grants, "");
    free(token);
    rules.grants = "burrow";
    static const char *const bad[] = {"null", "[]", "\"x\"", "true"};
    for (size_t i = 0; i < 4; i++) {
        char claims[128];
        snprintf(claims, sizeof claims, GOOD_CLAIMS ",\"burrow\":%s}", bad[i]);
        refuses(claims_token(claims), &rules, BURROW_CODE_INVALID_TOKEN,
                "burrow, the claim of grants, is no object");
    }
}

/* A token has fewer bytes than that; a number such as 1e9 is longer as it goes to the host. */
static void grants_have_at_most_8192_bytes(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    rules.grants = "burrow";
    static char claims[JWT_MAX_GRANTS];
    for (size_t len = JWT_MAX_GRANTS; len <= JWT_MAX_GRANTS + 1; len++) {
        int n = snprintf(claims, sizeof claims, GOOD_CLAIMS ",\"burrow\":{\"x\":[0");
        for (size_t i = 0; i < 600; i++)
            n += snprintf(claims + n, sizeof claims - (size_t)n, ",1e9");
        /* {"x":[0 then 600 times ,1000000000.0 then ],"y":" and "} around the text */
        size_t text = len - 7 - 600 * 13 - 9;
        n += snprintf(claims + n, sizeof claims - (size_t)n, "],\"y\":\"%0*d\"}}", (int)text, 0);
        assert_true((size_t)n < sizeof claims);
        if (len == JWT_MAX_GRANTS)
            accepts(claims_token(claims), &rules);
        else
            refuses(claims_token(claims), &rules, BURROW_CODE_INVALID_TOKEN, "more than 8192");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_expires_thirty_seconds_after_exp),
        cmocka_unit_test(exp_may_be_a_fraction),
        cmocka_unit_test(exp_of_a_wrong_type_is_refused),
        cmocka_unit_test(a_number_beyond_any_double_is_refused),
        cmocka_unit_test(a_missing_exp_is_refused_with_the_remedy),
        cmocka_unit_test(a_missing_exp_may_be_allowed),
        cmocka_unit_test(nbf_may_be_thirty_seconds_ahead),
        cmocka_unit_test(iat_may_be_thirty_seconds_ahead),
        cmocka_unit_test(the_subject_is_a_string_of_1_to_128_bytes),
        cmocka_unit_test(the_subject_has_no_control_characters),
        cmocka_unit_test(the_issuer_must_be_the_configured_one),
        cmocka_unit_test(an_issuer_nobody_asked_for_is_only_looked_at),
        cmocka_unit_test(the_audience_must_be_named),
        cmocka_unit_test(an_audience_of_a_wrong_type_is_refused),
        cmocka_unit_test(an_audience_nobody_asked_for_is_only_looked_at),
        cmocka_unit_test(what_time_cannot_mend_is_told_before_the_times),
        cmocka_unit_test(claims_that_the_gate_does_not_know_are_ignored),
        cmocka_unit_test(grants_are_an_object),
        cmocka_unit_test(grants_have_at_most_8192_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
