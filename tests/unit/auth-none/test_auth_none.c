/* SPDX-License-Identifier: Apache-2.0 */
/* auth-none lets everyone in, and never quietly. */
#include "../auth-hmac/loaded.h"

#include <burrow/auth.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

struct burrow_auth_request {
    unsigned answers;
    struct burrow_verdict verdict;
};

static void answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    request->answers++;
    request->verdict = *verdict;
}

static const struct burrow_auth_host auth_host = {.size = sizeof auth_host, .answer = answer};

static void everyone_is_allowed_under_any_client_id(void **state)
{
    (void)state;
    struct loaded l;
    loaded_init(&l, PLUGIN_FILE, "auth-none", BURROW_KIND_AUTH);
    void *self = loaded_start(&l);
    const struct burrow_auth_ops *ops = l.plugin->ops;
    ops->bind(self, &auth_host);
    static const char *const tokens[] = {NULL, "", "garbage"};
    for (size_t i = 0; i < 3; i++) {
        const struct burrow_credential credential = {
            .size = sizeof credential,
            .token = tokens[i],
            .token_len = tokens[i] ? strlen(tokens[i]) : 0,
        };
        struct burrow_auth_request request = {.answers = 0};
        ops->verify(self, &request, &credential);
        assert_int_equal(request.answers, 1);
        assert_int_equal(request.verdict.result, BURROW_AUTH_ALLOW);
        assert_null(request.verdict.subject);
        assert_int_equal(request.verdict.expires_ms, 0);
    }
    loaded_end(&l, self);
    loaded_finish(&l);
}

static void each_start_warns(void **state)
{
    (void)state;
    struct loaded l;
    loaded_init(&l, PLUGIN_FILE, "auth-none", BURROW_KIND_AUTH);
    for (unsigned starts = 1; starts <= 2; starts++) {
        void *self = loaded_start(&l);
        assert_int_equal(fake_host_log_lines(&l.host, BURROW_LOG_WARN), starts);
        loaded_end(&l, self);
    }
    assert_true(fake_host_logged(&l.host, BURROW_LOG_WARN, "no_authentication"));
    loaded_finish(&l);
}

static void the_summary_says_what_it_does(void **state)
{
    (void)state;
    struct loaded l;
    loaded_init(&l, PLUGIN_FILE, "auth-none", BURROW_KIND_AUTH);
    assert_non_null(strstr(l.plugin->summary, "EVERYONE"));
    loaded_finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_is_allowed_under_any_client_id),
        cmocka_unit_test(each_start_warns),
        cmocka_unit_test(the_summary_says_what_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
