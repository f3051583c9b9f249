/* SPDX-License-Identifier: Apache-2.0 */
/* auth-hmac from outside: its options, its verdicts, its log. What a good token is, the tests
 * of the gate say. */
#include "loaded.h"

#include "jwt/sign.h"

#include <burrow/auth.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* What the host was answered; the host's name for a request is the test's own struct. */
struct burrow_auth_request {
    unsigned answers;
    uint32_t result, code;
    char subject[200];
    int64_t expires_ms;
    char reason[256], grants[64];
};

static void answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    assert_int_equal(verdict->size, sizeof *verdict);
    snprintf(request->grants, sizeof request->grants, "%s",
             verdict->grants_json ? verdict->grants_json : "");
    request->answers++;
    request->result = verdict->result;
    request->code = verdict->code;
    request->expires_ms = verdict->expires_ms;
    snprintf(request->subject, sizeof request->subject, "%.*s", (int)verdict->subject_len,
             verdict->subject ? verdict->subject : "");
    snprintf(request->reason, sizeof request->reason, "%s", verdict->reason ? verdict->reason : "");
}

static const struct burrow_auth_host auth_host = {.size = sizeof auth_host, .answer = answer};

static int set_up(void **state)
{
    struct loaded *l = calloc(1, sizeof *l);
    assert_non_null(l);
    loaded_init(l, PLUGIN_FILE, "auth-hmac", BURROW_KIND_AUTH);
    loaded_set_string(l, "jwt-alg", loaded_option(l, "jwt-alg")->def);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    loaded_finish(*state);
    free(*state);
    return 0;
}

static void *begin(struct loaded *l)
{
    void *self = loaded_start(l);
    ((const struct burrow_auth_ops *)l->plugin->ops)->bind(self, &auth_host);
    return self;
}

static struct burrow_auth_request ask(struct loaded *l, void *self, const char *token)
{
    const struct burrow_auth_ops *ops = l->plugin->ops;
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_HEADER,
        .token = token,
        .token_len = token ? strlen(token) : 0,
    };
    struct burrow_auth_request request = {.answers = 0};
    ops->verify(self, &request, &credential);
    assert_int_equal(request.answers, 1);
    return request;
}

/* A token that ends in_s seconds from now. */
static char *mint(const char *alg, const char *secret, const char *sub, int64_t in_s)
{
    char claims[256], *token = NULL;
    int n = snprintf(claims, sizeof claims, "{\"sub\":\"%s\",\"exp\":%lld}", sub,
                     (long long)time(NULL) + in_s);
    const struct burrow_secret key = {(const uint8_t *)secret, strlen(secret)};
    assert_int_equal(
        jwt_mint(jwt_alg_find(alg), jwt_sign_hmac, &key, NULL, claims, (size_t)n, &token),
        BURROW_OK);
    return token;
}

static void a_good_token_is_allowed_under_its_subject(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *self = begin(l);
    int64_t before = (int64_t)time(NULL) * 1000;
    char *token = mint("HS256", SECRET, "client-a", 3600);
    struct burrow_auth_request request = ask(l, self, token);
    assert_int_equal(request.result, BURROW_AUTH_ALLOW);
    assert_string_equal(request.subject, "client-a");
    assert_true(request.expires_ms >= before + 3600000);
    assert_int_equal(l->host.log_count, 0);
    free(token);
    loaded_end(l, self);
}

static void no_token_is_missing_bearer(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *self = begin(l);
    assert_int_equal(ask(l, self, NULL).code, BURROW_CODE_MISSING_BEARER);
    assert_int_equal(ask(l, self, "").code, BURROW_CODE_MISSING_BEARER);
    assert_int_equal(ask(l, self, NULL).result, BURROW_AUTH_ABSTAIN);
    loaded_end(l, self);
}

static void an_expired_token_is_denied_with_its_code_and_reason(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *self = begin(l);
    char *token = mint("HS256", SECRET, "client-a", -3600);
    struct burrow_auth_request request = ask(l, self, token);
    assert_int_equal(request.result, BURROW_AUTH_DENY);
    assert_int_equal(request.code, BURROW_CODE_TOKEN_EXPIRED);
    assert_non_null(strstr(request.reason, "the token expired 3"));
    free(token);
    loaded_end(l, self);
}

static void another_secret_or_algorithm_is_not_its_to_judge(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *self = begin(l);
    char *token = mint("HS256", SECRET "x", "client-a", 3600);
    assert_int_equal(ask(l, self, token).code, BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ABSTAIN);
    free(token);
    token = mint("HS512", SECRET, "client-a", 3600);
    assert_int_equal(ask(l, self, token).code, BURROW_CODE_INVALID_TOKEN);
    free(token);
    loaded_end(l, self);
}

static void the_algorithm_is_chosen_by_option(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    static const char *const algs[] = {"HS256", "HS384", "HS512"};
    for (size_t i = 0; i < 3; i++) {
        loaded_set_string(l, "jwt-alg", algs[i]);
        void *self = begin(l);
        for (size_t j = 0; j < 3; j++) {
            char *token = mint(algs[j], SECRET, "client-a", 3600);
            assert_int_equal(ask(l, self, token).result,
                             i == j ? BURROW_AUTH_ALLOW : BURROW_AUTH_ABSTAIN);
            free(token);
        }
        loaded_end(l, self);
    }
}

static void issuer_and_audience_are_demanded_when_set(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    static const char *const names[] = {"jwt-issuer", "jwt-audience"};
    char *token = mint("HS256", SECRET, "client-a", 3600);
    for (size_t i = 0; i < 2; i++) {
        loaded_set_string(l, names[i], "");
        void *self = begin(l);
        assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ALLOW);
        loaded_end(l, self);
        loaded_set_string(l, names[i], "somebody");
        self = begin(l);
        struct burrow_auth_request request = ask(l, self, token);
        assert_int_equal(request.code, BURROW_CODE_INVALID_TOKEN);
        assert_non_null(strstr(request.reason, names[i]));
        loaded_end(l, self);
        loaded_set_string(l, names[i], NULL);
    }
    free(token);
}

static void check_and_create_refuse_alike(void **state)
{
    struct loaded *l = *state;
    void *self = NULL;
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "a secret is missing"));
    l->host.error[0] = '\0';
    assert_int_equal(l->plugin->create(&l->host.table, l->config, &self), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "a secret is missing"));
    assert_null(self);
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_OK);
}

static void an_algorithm_without_shared_secrets_is_refused(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    static const char *const bad[] = {"RS256", "none", "hs256"};
    for (size_t i = 0; i < 3; i++) {
        loaded_set_string(l, "jwt-alg", bad[i]);
        assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_EINVAL);
        assert_non_null(strstr(l->host.error, "--jwt-alg (BURROW_JWT_ALG)"));
    }
    loaded_set_string(l, "jwt-alg", "");
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_OK);
}

static void a_weak_secret_is_refused_or_warned_about(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", "dev-secret");
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "--jwt-allow-weak-secret"));
    loaded_set_bool(l, "jwt-allow-weak-secret", 1);
    void *self = begin(l);
    assert_true(fake_host_logged(&l->host, BURROW_LOG_WARN, "weak_jwt_secret"));
    assert_false(fake_host_logged(&l->host, -1, "dev-secret"));
    char *token = mint("HS256", "dev-secret", "client-a", 3600);
    assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ALLOW);
    free(token);
    loaded_end(l, self);
}

static void tokens_without_exp_are_denied_or_warned_about(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    const struct burrow_secret key = {(const uint8_t *)SECRET, strlen(SECRET)};
    char *token = NULL;
    const char claims[] = "{\"sub\":\"client-a\"}";
    assert_int_equal(
        jwt_mint(jwt_alg_find("HS256"), jwt_sign_hmac, &key, NULL, claims, strlen(claims), &token),
        BURROW_OK);
    void *self = begin(l);
    assert_non_null(strstr(ask(l, self, token).reason, "--jwt-allow-no-exp"));
    loaded_end(l, self);
    loaded_set_bool(l, "jwt-allow-no-exp", 1);
    self = begin(l);
    assert_true(fake_host_logged(&l->host, BURROW_LOG_WARN, "jwt_without_exp_allowed"));
    struct burrow_auth_request request = ask(l, self, token);
    assert_int_equal(request.result, BURROW_AUTH_ALLOW);
    assert_int_equal(request.expires_ms, 0);
    loaded_end(l, self);
    free(token);
}

static void the_secret_may_come_from_a_file(void **state)
{
    struct loaded *l = *state;
    char path[] = "/tmp/burrow-hmac-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SECRET "\n", strlen(SECRET) + 1), (ssize_t)strlen(SECRET) + 1);
    close(fd);
    loaded_set_string(l, "jwt-hmac-secret-file", path);
    void *self = begin(l);
    unlink(path);
    char *token = mint("HS256", SECRET, "client-a", 3600);
    assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ALLOW);
    free(token);
    loaded_end(l, self);
}

#define OLD "an older secret of more than thirty-two bytes, of which tokens are about"

static void write_secret(const char *path, const char *secret)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(secret, file) >= 0);
    fclose(file);
}

static void the_previous_secret_verifies_too_and_is_counted(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    loaded_set_secret(l, "jwt-hmac-secret-previous", OLD);
    void *self = begin(l);
    char *new = mint("HS256", SECRET, "client-a", 3600),
         *old = mint("HS256", OLD, "client-a", 3600);
    char *other = mint("HS256", OLD "x", "client-a", 3600);
    assert_int_equal(ask(l, self, new).result, BURROW_AUTH_ALLOW);
    assert_int_equal(l->host.metrics[0], 0);
    assert_int_equal(ask(l, self, old).result, BURROW_AUTH_ALLOW);
    assert_int_equal(l->host.metrics[0], 1);
    assert_int_equal(ask(l, self, other).result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(l->host.metrics[0], 1);
    free(new);
    free(old);
    free(other);
    loaded_end(l, self);
}

static void a_weak_previous_secret_is_refused(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    loaded_set_secret(l, "jwt-hmac-secret-previous", "short");
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "--jwt-hmac-secret-previous (BURROW_JWT"));
    loaded_set_string(l, "jwt-hmac-secret-previous-file", "/nonexistent");
    assert_int_equal(l->plugin->check(&l->host.table, l->config), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "give only one of --jwt-hmac-secret-previous "));
}

/* Of the two secrets of the tests only the new one counts. */
static void assert_new_alone(struct loaded *l, void *self)
{
    char *old = mint("HS256", OLD, "client-a", 3600),
         *new = mint("HS256", SECRET, "client-a", 3600);
    assert_int_equal(ask(l, self, old).result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(ask(l, self, new).result, BURROW_AUTH_ALLOW);
    free(old);
    free(new);
}

static void a_changed_file_is_read_again_and_a_broken_one_changes_nothing(void **state)
{
    struct loaded *l = *state;
    char path[] = "/tmp/burrow-hmac-XXXXXX";
    close(mkstemp(path));
    write_secret(path, OLD);
    loaded_set_string(l, "jwt-hmac-secret-file", path);
    void *self = begin(l);
    char *old = mint("HS256", OLD, "client-a", 3600);
    write_secret(path, "short");
    assert_int_equal(fake_host_touch(&l->host, path), BURROW_EINVAL);
    assert_non_null(strstr(l->host.error, "has 5 bytes"));
    assert_int_equal(ask(l, self, old).result, BURROW_AUTH_ALLOW);
    write_secret(path, SECRET);
    assert_int_equal(fake_host_touch(&l->host, path), BURROW_OK);
    assert_new_alone(l, self);
    unlink(path);
    free(old);
    loaded_end(l, self);
}

static void a_file_that_changes_between_create_and_start_counts(void **state)
{
    struct loaded *l = *state;
    char path[] = "/tmp/burrow-hmac-XXXXXX";
    close(mkstemp(path));
    write_secret(path, OLD);
    loaded_set_string(l, "jwt-hmac-secret-file", path);
    void *self = NULL;
    assert_int_equal(l->plugin->create(&l->host.table, l->config, &self), BURROW_OK);
    ((const struct burrow_auth_ops *)l->plugin->ops)->bind(self, &auth_host);
    write_secret(path, SECRET);
    assert_int_equal(l->plugin->start(self), BURROW_OK);
    assert_new_alone(l, self);
    unlink(path);
    loaded_end(l, self);
}

static void a_reload_takes_new_options_or_changes_nothing(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *self = begin(l);
    char *token = mint("HS256", SECRET, "client-a", 3600);
    struct loaded next;
    loaded_init(&next, PLUGIN_FILE, "auth-hmac", BURROW_KIND_AUTH);
    assert_int_equal(l->plugin->reload(self, next.config), BURROW_EINVAL); /* no secret */
    assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ALLOW);
    loaded_set_secret(&next, "jwt-hmac-secret", SECRET);
    loaded_set_string(&next, "jwt-audience", "somebody");
    l->host.fail_at = 1; /* the files cannot be watched */
    assert_int_equal(l->plugin->reload(self, next.config), BURROW_ENOMEM);
    assert_int_equal(ask(l, self, token).result, BURROW_AUTH_ALLOW);
    assert_int_equal(l->plugin->reload(self, next.config), BURROW_OK);
    assert_non_null(strstr(ask(l, self, token).reason, "jwt-audience"));
    free(token);
    loaded_end(l, self);
    loaded_finish(&next);
}

/* The host frees the configuration that was not taken: nothing of it may be in use then. */
static void a_failed_reload_leaves_the_old_configuration_though_its_file_is_gone(void **state)
{
    struct loaded *l = *state;
    char path[] = "/tmp/burrow-hmac-XXXXXX";
    close(mkstemp(path));
    write_secret(path, OLD);
    loaded_set_string(l, "jwt-hmac-secret-file", path);
    void *self = begin(l);
    unlink(path);
    char *old = mint("HS256", OLD, "client-a", 3600),
         *new = mint("HS256", SECRET, "client-a", 3600);
    struct loaded next;
    loaded_init(&next, PLUGIN_FILE, "auth-hmac", BURROW_KIND_AUTH);
    loaded_set_secret(&next, "jwt-hmac-secret", SECRET);
    l->host.fail_at = 1; /* the files cannot be watched */
    assert_int_equal(l->plugin->reload(self, next.config), BURROW_ENOMEM);
    loaded_finish(&next);
    assert_int_equal(ask(l, self, old).result, BURROW_AUTH_ALLOW);
    assert_int_equal(ask(l, self, new).result, BURROW_AUTH_ABSTAIN);
    write_secret(path, SECRET); /* and the old file is still the one that is watched */
    assert_int_equal(fake_host_touch(&l->host, path), BURROW_OK);
    assert_int_equal(ask(l, self, new).result, BURROW_AUTH_ALLOW);
    unlink(path);
    free(old);
    free(new);
    loaded_end(l, self);
}

static void grants_go_to_the_host_as_they_are(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    const struct burrow_secret key = {(const uint8_t *)SECRET, strlen(SECRET)};
    char claims[200], *token = NULL;
    snprintf(claims, sizeof claims,
             "{\"sub\":\"a\",\"exp\":%lld,\"burrow\":{\"services\": [\"x\"]},\"other\":7}",
             (long long)time(NULL) + 60);
    assert_int_equal(
        jwt_mint(jwt_alg_find("HS256"), jwt_sign_hmac, &key, NULL, claims, strlen(claims), &token),
        BURROW_OK);
    void *self = begin(l);
    assert_string_equal(ask(l, self, token).grants, "{\"services\":[\"x\"]}");
    loaded_end(l, self);
    loaded_set_string(l, "jwt-grants-claim", "other");
    self = begin(l);
    struct burrow_auth_request request = ask(l, self, token);
    assert_int_equal(request.result, BURROW_AUTH_DENY);
    assert_string_equal(request.reason, "other, the claim of grants, is no object");
    loaded_end(l, self);
    free(token);
}

static void two_instances_keep_their_own_secrets(void **state)
{
    struct loaded *l = *state;
    loaded_set_secret(l, "jwt-hmac-secret", SECRET);
    void *one = begin(l);
    loaded_set_secret(l, "jwt-hmac-secret", SECRET "two");
    void *two = begin(l);
    char *token = mint("HS256", SECRET, "client-a", 3600);
    assert_int_equal(ask(l, one, token).result, BURROW_AUTH_ALLOW);
    assert_int_equal(ask(l, two, token).result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(ask(l, one, token).result, BURROW_AUTH_ALLOW);
    free(token);
    loaded_end(l, one);
    loaded_end(l, two);
    l->plugin->destroy(NULL);
}

#define WITH_PLUGIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_PLUGIN(a_good_token_is_allowed_under_its_subject),
        WITH_PLUGIN(no_token_is_missing_bearer),
        WITH_PLUGIN(an_expired_token_is_denied_with_its_code_and_reason),
        WITH_PLUGIN(another_secret_or_algorithm_is_not_its_to_judge),
        WITH_PLUGIN(the_algorithm_is_chosen_by_option),
        WITH_PLUGIN(issuer_and_audience_are_demanded_when_set),
        WITH_PLUGIN(check_and_create_refuse_alike),
        WITH_PLUGIN(an_algorithm_without_shared_secrets_is_refused),
        WITH_PLUGIN(a_weak_secret_is_refused_or_warned_about),
        WITH_PLUGIN(tokens_without_exp_are_denied_or_warned_about),
        WITH_PLUGIN(the_secret_may_come_from_a_file),
        WITH_PLUGIN(the_previous_secret_verifies_too_and_is_counted),
        WITH_PLUGIN(a_weak_previous_secret_is_refused),
        WITH_PLUGIN(a_changed_file_is_read_again_and_a_broken_one_changes_nothing),
        WITH_PLUGIN(a_file_that_changes_between_create_and_start_counts),
        WITH_PLUGIN(a_reload_takes_new_options_or_changes_nothing),
        WITH_PLUGIN(a_failed_reload_leaves_the_old_configuration_though_its_file_is_gone),
        WITH_PLUGIN(grants_go_to_the_host_as_they_are),
        WITH_PLUGIN(two_instances_keep_their_own_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
