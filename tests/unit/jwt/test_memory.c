/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation may fail: then nobody is let in by mistake, and nothing is leaked. The
 * gate's own calls of malloc come here by the linker's --wrap. */
#include "helper.h"
#include "jwt/secret.h"
#include "jwt/sign.h"

void *__wrap_malloc(size_t n);
void *__real_malloc(size_t n);

static struct {
    unsigned calls, fail_at; /* the parser's n-th call fails; 0: none */
    bool exhausted;          /* the gate's own calls fail */
} memory;                    /* json_set_alloc_funcs passes no pointer of ours */

static void *failing_malloc(size_t n)
{
    return ++memory.calls == memory.fail_at ? NULL : malloc(n);
}

void *__wrap_malloc(size_t n)
{
    return memory.exhausted ? NULL : __real_malloc(n);
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
            assert_int_equal(who.expires_ms, NOW_MS + 600000);
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

static void minting_without_memory_fails(void **state)
{
    (void)state;
    char *token = NULL;
    memory.exhausted = true;
    int r = jwt_mint(jwt_alg_find("HS256"), jwt_sign_hmac, &test_secret, NULL, "{}", 2, &token);
    memory.exhausted = false;
    assert_int_equal(r, BURROW_ENOMEM);
    assert_null(token);
}

static void take_error(struct burrow_self *self, int32_t code, const char *fmt, va_list ap)
{
    (void)fmt;
    (void)ap;
    *(int32_t *)(void *)self = code;
}

static void loading_a_secret_without_memory_fails(void **state)
{
    (void)state;
    int32_t code = 0;
    const struct burrow_host host = {
        .size = sizeof host, .self = (struct burrow_self *)(void *)&code, .verror = take_error};
    const struct jwt_secret_options options = {.secret = test_secret};
    struct jwt_secrets secret = {.current = {.weak = false}};
    memory.exhausted = true;
    int r = jwt_secrets_load(&host, &options, jwt_alg_find("HS256"), &secret);
    memory.exhausted = false;
    assert_int_equal(r, BURROW_ENOMEM);
    assert_int_equal(code, BURROW_ENOMEM);
    assert_null(secret.current.value.data);
    jwt_secrets_finish(&secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_allocation_never_lets_in_the_wrong_one),
        cmocka_unit_test(minting_without_memory_fails),
        cmocka_unit_test(loading_a_secret_without_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
