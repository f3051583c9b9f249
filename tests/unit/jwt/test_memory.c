/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation may fail: then nobody is let in by mistake, and nothing is leaked. The
 * gate's own calls of malloc come here by the linker's --wrap. */
#include "helper.h"
#include "jwt/secret.h"
#include "keys.h"

#include "jwt/sign.h"
#include <openssl/crypto.h>

void *__wrap_malloc(size_t n);
void *__real_malloc(size_t n);

static struct {
    unsigned calls, fail_at;               /* the parser's n-th call fails; 0: none */
    bool exhausted;                        /* the gate's own calls fail */
    unsigned crypto_calls, crypto_fail_at; /* the same for OpenSSL's */
} memory;                                  /* json_set_alloc_funcs passes no pointer of ours */

static void *failing_malloc(size_t n)
{
    return ++memory.calls == memory.fail_at ? NULL : malloc(n);
}

static void *crypto_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return ++memory.crypto_calls == memory.crypto_fail_at ? NULL : __real_malloc(n);
}

static void *crypto_realloc(void *old, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return ++memory.crypto_calls == memory.crypto_fail_at ? NULL : realloc(old, n);
}

static void crypto_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

/* OpenSSL takes other functions only before it has allocated anything, and the constructors
 * of libjose make it do so: this runs before those. */
static void take_over(void)
{
    if (CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free) != 1)
        abort();
}
__attribute__((section(".preinit_array"), used)) static void (*const early)(void) = take_over;

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
    rules.grants = "x";
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

/* Whatever OpenSSL cannot allocate: a bad signature is never let in, and a good one is let in
 * under its name or not at all. */
static void openssl_without_memory_lets_nobody_in_by_mistake(void **state)
{
    (void)state;
    for (size_t i = 0; key_algs[i]; i += 2) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i]));
        const struct jwt_keys keys = {&key, 1};
        const struct jwt_rules rules = {.alg = jwt_alg_find(key_algs[i])};
        const char claims[] = GOOD_CLAIMS "}";
        char *token = NULL, *forged = NULL;
        assert_int_equal(
            jwt_mint(rules.alg, jwt_sign_key, &key, NULL, claims, strlen(claims), &token), 0);
        forged = strdup(token);
        char *last = strrchr(forged, '.') + 1;
        *last = *last == 'A' ? 'B' : 'A';
        unsigned failed = 0;
        for (unsigned n = 1; n == 1 || memory.crypto_calls >= n - 1; n++) {
            struct jwt_identity who;
            struct jwt_refusal why;
            for (int good = 0; good < 2; good++) {
                const char *shown = good ? token : forged;
                memory.crypto_calls = 0;
                memory.crypto_fail_at = n;
                int r = jwt_check(shown, strlen(shown), &rules, jwt_verify_keys, &keys, NOW_MS,
                                  &who, &why);
                memory.crypto_fail_at = 0;
                assert_true(r == BURROW_EIO || r == BURROW_EDENIED || r == BURROW_EAGAIN ||
                            (good && r == BURROW_OK));
                failed += r == BURROW_EIO;
            }
        }
        assert_true(failed > 0);
        free(token);
        free(forged);
        jwt_key_finish(&key);
    }
}

/* Reading keys, each allocation failing in turn: an error or a sound key, and no leak. */
static void reading_keys_without_memory_fails(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i += 3) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i]));
        char *pem = public_pem(&key);
        unsigned failed = 0;
        for (unsigned n = 1; n == 1 || memory.crypto_calls >= n - 1; n++) {
            struct jwt_keys keys;
            struct jwt_refusal why;
            memory.crypto_calls = 0;
            memory.crypto_fail_at = n;
            int r = jwt_keys_from_pem(pem, strlen(pem), &keys, &why);
            memory.crypto_fail_at = 0;
            assert_true(r == BURROW_OK || r == BURROW_ENOMEM || r == BURROW_EINVAL);
            failed += r != BURROW_OK;
            if (r == BURROW_OK)
                jwt_keys_finish(&keys);
        }
        assert_true(failed > 3);
        free(pem);
        jwt_key_finish(&key);
    }
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
        cmocka_unit_test(openssl_without_memory_lets_nobody_in_by_mistake),
        cmocka_unit_test(reading_keys_without_memory_fails),
        cmocka_unit_test(minting_without_memory_fails),
        cmocka_unit_test(loading_a_secret_without_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
