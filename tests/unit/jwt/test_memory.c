/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of the JSON parser may fail: then nobody is let in by mistake. */
#include "helper.h"

static struct {
    unsigned calls, fail_at; /* the n-th call fails; 0: none */
} memory;                    /* json_set_alloc_funcs passes no pointer of ours */

static void *failing_malloc(size_t n)
{
    return ++memory.calls == memory.fail_at ? NULL : malloc(n);
}

static void a_failed_allocation_never_lets_in_the_wrong_one(void **state)
{
    (void)state;
    char *token = claims_token(GOOD_CLAIMS ",\"iat\":1.5,\"aud\":[\"a\",\"b\"],\"x\":{\"c\":1.5}}");
    struct jwt_rules rules = plain_rules();
    rules.audience = "b";
    unsigned unavailable = 0, calls = 0;
    json_set_alloc_funcs(failing_malloc, free);
    for (unsigned n = 1; calls == 0; n++) {
        struct jwt_identity who = {.subject_len = 77};
        struct jwt_refusal why = {.code = 0};
        memory.calls = 0;
        memory.fail_at = n;
        int r = ask(token, &rules, &who, &why);
        if (memory.calls < n)
            calls = n;
        if (r == BURROW_OK) {
            assert_string_equal(who.subject, "client-a");
            assert_int_equal(who.expires_ms, NOW_MS + 600000 + JWT_LEEWAY_MS);
            continue;
        }
        assert_int_equal(calls, 0);
        assert_int_equal(who.subject_len, 77);
        if (r == BURROW_EDENIED)
            assert_int_equal(why.code, BURROW_CODE_INVALID_TOKEN);
        else
            assert_int_equal(r, BURROW_ENOMEM);
        unavailable += r == BURROW_ENOMEM;
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(calls > 20);
    assert_true(unavailable > 10);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_never_lets_in_the_wrong_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
