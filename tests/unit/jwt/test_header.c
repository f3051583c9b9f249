/* SPDX-License-Identifier: Apache-2.0 */
/* The header: exactly the configured algorithm, nothing that steers the verifier. */
#include "helper.h"

#include <stdio.h>

static int must_not_be_called(const void *key, const struct jwt_signed *token,
                              struct jwt_refusal *why)
{
    (void)key;
    (void)token;
    (void)why;
    fail_msg("the verifier saw a token with a bad header");
    return BURROW_OK;
}

static void only_the_configured_algorithm_is_accepted(void **state)
{
    (void)state;
    static const char *const bad[] = {"none",   "NoNe",  "None",  "hs256",      "HS384",
                                      "HS512",  "RS256", "ES256", "EdDSA",      "HS256 ",
                                      "HS2567", "HS25",  "",      "HS256,HS384"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char header[64];
        snprintf(header, sizeof header, "{\"alg\":\"%s\"}", bad[i]);
        refuses_header(header, "only HS256 is accepted");
    }
    accepts_header("{\"alg\":\"HS256\"}");
}

static void another_algorithm_of_the_family_is_refused_though_its_mac_is_right(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    refuses(seal_with("SHA512", "{\"alg\":\"HS512\"}", GOOD_CLAIMS "}"), &rules,
            BURROW_CODE_INVALID_TOKEN, "alg is \"HS512\"");
    rules.alg = jwt_alg_find("HS512");
    accepts(seal_with("SHA512", "{\"alg\":\"HS512\"}", GOOD_CLAIMS "}"), &rules);
}

static void alg_that_is_no_string_is_refused(void **state)
{
    (void)state;
    refuses_header("{\"alg\":[\"HS256\"]}", "alg in the header is not a string");
    refuses_header("{\"alg\":null}", "alg in the header is not a string");
    refuses_header("{\"alg\":256}", "alg in the header is not a string");
    refuses_header("{\"alg\":{\"HS256\":1}}", "alg in the header is not a string");
    refuses_header("{}", "alg in the header is not a string");
    refuses_header("{\"Alg\":\"HS256\"}", "alg in the header is not a string");
}

static void members_that_steer_the_verifier_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"crit\":[\"exp\"]", "\"crit\":[]",   "\"b64\":false",
        "\"b64\":true",       "\"jku\":\"x\"", "\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}",
        "\"x5u\":\"x\"",      "\"jwk\":null"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",%s}", bad[i]);
        refuses_header(header, "in the header is not accepted");
    }
}

static void typ_of_jwts_is_accepted_in_any_case(void **state)
{
    (void)state;
    accepts_header("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    accepts_header("{\"alg\":\"HS256\",\"typ\":\"jwt\"}");
    accepts_header("{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}");
    accepts_header("{\"alg\":\"HS256\",\"typ\":\"application/jwt\"}");
}

static void other_types_are_refused(void **state)
{
    (void)state;
    refuses_header("{\"alg\":\"HS256\",\"typ\":\"JOSE+JSON\"}", "is not that of a JWT");
    refuses_header("{\"alg\":\"HS256\",\"typ\":\"JOSE\"}", "is not that of a JWT");
    refuses_header("{\"alg\":\"HS256\",\"typ\":\"id+jwt\"}", "is not that of a JWT");
    refuses_header("{\"alg\":\"HS256\",\"typ\":\"secevent+jwt\"}", "is not that of a JWT");
    refuses_header("{\"alg\":\"HS256\",\"typ\":\"\"}", "is not that of a JWT");
    refuses_header("{\"alg\":\"HS256\",\"typ\":7}", "typ in the header is not a string");
}

static int note_kid(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    (void)why;
    if (token->kid == NULL)
        assert_null(key);
    else
        assert_string_equal(token->kid, key);
    return BURROW_OK;
}

static void verifier_sees(const char *header, const char *kid)
{
    char *token = seal(header, GOOD_CLAIMS "}");
    struct jwt_rules rules = plain_rules();
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(jwt_check(token, strlen(token), &rules, note_kid, kid, NOW_MS, &who, &why),
                     BURROW_OK);
    free(token);
}

static void the_verifier_is_told_the_key_id(void **state)
{
    (void)state;
    verifier_sees("{\"alg\":\"HS256\",\"kid\":\"key-1\"}", "key-1");
    verifier_sees("{\"alg\":\"HS256\",\"kid\":\"/Td/Jg+SnzA=\"}", "/Td/Jg+SnzA=");
    verifier_sees("{\"alg\":\"HS256\",\"kid\":\"a.b:c/d\"}", "a.b:c/d");
    verifier_sees("{\"alg\":\"HS256\"}", NULL);
}

static void path_like_key_ids_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "../../etc/passwd",   "/dev/null",         "./key",    "~/key", "a/../b",
        "file:///etc/passwd", "https://x.example", "c:\\\\key"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", bad[i]);
        refuses_header(header, "looks like a path or URL");
    }
}

static void key_ids_of_wrong_form_are_refused(void **state)
{
    (void)state;
    refuses_header("{\"alg\":\"HS256\",\"kid\":7}", "kid is not a string");
    refuses_header("{\"alg\":\"HS256\",\"kid\":\"\"}", "kid is not a string");
    refuses_header("{\"alg\":\"HS256\",\"kid\":\"a\\nb\"}", "not printable ASCII");
    refuses_header("{\"alg\":\"HS256\",\"kid\":\"\\u00fc\"}", "not printable ASCII");
    refuses_header("{\"alg\":\"HS256\",\"kid\":\"a\\u007f\"}", "not printable ASCII");
    char header[400];
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%0256d\"}", 0);
    accepts_header(header);
    snprintf(header, sizeof header, "{\"alg\":\"HS256\",\"kid\":\"%0257d\"}", 0);
    refuses_header(header, "kid is not a string");
}

static void a_bad_header_never_reaches_the_verifier(void **state)
{
    (void)state;
    static const char *const bad[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\",\"jwk\":{}}",
                                      "{\"alg\":\"HS256\",\"typ\":\"x\"}",
                                      "{\"alg\":\"HS256\",\"kid\":\"../x\"}", "[]"};
    struct jwt_rules rules = plain_rules();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *token = seal(bad[i], GOOD_CLAIMS "}");
        struct jwt_identity who;
        struct jwt_refusal why;
        assert_int_equal(
            jwt_check(token, strlen(token), &rules, must_not_be_called, NULL, NOW_MS, &who, &why),
            BURROW_EDENIED);
        free(token);
    }
}

static void the_refusal_shows_no_byte_that_could_harm_a_log(void **state)
{
    (void)state;
    struct jwt_rules rules = plain_rules();
    char *token = seal("{\"alg\":\"\\u001b[31m\\n\\u00fc0123456789012345678901234567890123456789"
                       "0123456789012345678901234567890123456789\"}",
                       "{}");
    struct jwt_identity who;
    struct jwt_refusal why;
    assert_int_equal(ask(token, &rules, &who, &why), BURROW_EDENIED);
    assert_non_null(strstr(why.text, "alg is \"?[31m???0123456789"));
    for (const char *c = why.text; *c; c++)
        assert_true(*c >= 0x20 && *c < 0x7f);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_configured_algorithm_is_accepted),
        cmocka_unit_test(another_algorithm_of_the_family_is_refused_though_its_mac_is_right),
        cmocka_unit_test(alg_that_is_no_string_is_refused),
        cmocka_unit_test(members_that_steer_the_verifier_are_refused),
        cmocka_unit_test(typ_of_jwts_is_accepted_in_any_case),
        cmocka_unit_test(other_types_are_refused),
        cmocka_unit_test(the_verifier_is_told_the_key_id),
        cmocka_unit_test(path_like_key_ids_are_refused),
        cmocka_unit_test(key_ids_of_wrong_form_are_refused),
        cmocka_unit_test(a_bad_header_never_reaches_the_verifier),
        cmocka_unit_test(the_refusal_shows_no_byte_that_could_harm_a_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
