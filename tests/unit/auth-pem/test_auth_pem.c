/* SPDX-License-Identifier: Apache-2.0 */
/* auth-pem from outside: its options, its verdicts, its file. What a good token or key is, the
 * tests of the gate say. */
#include "../auth-hmac/loaded.h"
#include "../jwt/keys.h"

#include <burrow/auth.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* What the host was answered; the host's name for a request is the test's own struct. */
struct burrow_auth_request {
    unsigned answers;
    uint32_t result, code;
    char subject[64], reason[256];
};

static void answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    request->answers++;
    request->result = verdict->result;
    request->code = verdict->code;
    snprintf(request->subject, sizeof request->subject, "%.*s", (int)verdict->subject_len,
             verdict->subject ? verdict->subject : "");
    snprintf(request->reason, sizeof request->reason, "%s", verdict->reason ? verdict->reason : "");
}

static const struct burrow_auth_host auth_host = {.size = sizeof auth_host, .answer = answer};

struct rig {
    struct loaded plugin;
    char path[64];
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    loaded_init(&rig->plugin, PLUGIN_FILE, "auth-pem", BURROW_KIND_AUTH);
    strcpy(rig->path, "/tmp/burrow-pem-XXXXXX");
    close(mkstemp(rig->path));
    loaded_set_string(&rig->plugin, "jwt-public-key-file", rig->path);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    unlink(rig->path);
    loaded_finish(&rig->plugin);
    free(rig);
    return 0;
}

static void *begin(struct rig *rig)
{
    void *self = loaded_start(&rig->plugin);
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)->bind(self, &auth_host);
    return self;
}

/* The file has the public halves of n keys. */
static void write_keys(const struct rig *rig, const struct jwt_key *keys, size_t n)
{
    FILE *file = fopen(rig->path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < n; i++) {
        char *pem = public_pem(&keys[i]);
        assert_true(fputs(pem, file) >= 0);
        free(pem);
    }
    fclose(file);
}

static struct burrow_auth_request ask(struct rig *rig, void *self, const char *alg,
                                      const struct jwt_key *key, int64_t in_s)
{
    char claims[128], *token = NULL;
    int n = snprintf(claims, sizeof claims, "{\"sub\":\"client-a\",\"exp\":%lld}",
                     (long long)time(NULL) + in_s);
    assert_int_equal(
        jwt_mint(jwt_alg_find(alg), jwt_sign_key, key, "any", claims, (size_t)n, &token),
        BURROW_OK);
    const struct burrow_credential credential = {
        .size = sizeof credential, .token = token, .token_len = strlen(token)};
    struct burrow_auth_request request = {.answers = 0};
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)->verify(self, &request, &credential);
    assert_int_equal(request.answers, 1);
    free(token);
    return request;
}

static void every_algorithm_lets_in_by_its_key(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; key_algs[i]; i++) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i]));
        write_keys(rig, &key, 1);
        loaded_set_string(&rig->plugin, "jwt-alg", key_algs[i]);
        void *self = begin(rig);
        struct burrow_auth_request request = ask(rig, self, key_algs[i], &key, 60);
        assert_int_equal(request.result, BURROW_AUTH_ALLOW);
        assert_string_equal(request.subject, "client-a");
        loaded_end(&rig->plugin, self);
        jwt_key_finish(&key);
    }
}

static void each_key_of_the_file_lets_in_and_no_other(void **state)
{
    struct rig *rig = *state;
    struct jwt_key keys[3];
    for (size_t i = 0; i < 3; i++)
        keys[i] = make_key(jwt_alg_find("ES256"));
    write_keys(rig, keys, 2);
    loaded_set_string(&rig->plugin, "jwt-alg", "ES256");
    void *self = begin(rig);
    assert_int_equal(ask(rig, self, "ES256", &keys[0], 60).result, BURROW_AUTH_ALLOW);
    assert_int_equal(ask(rig, self, "ES256", &keys[1], 60).result, BURROW_AUTH_ALLOW);
    struct burrow_auth_request request = ask(rig, self, "ES256", &keys[2], 60);
    assert_int_equal(request.result, BURROW_AUTH_ABSTAIN); /* another plugin may know the key */
    assert_int_equal(request.code, BURROW_CODE_INVALID_TOKEN);
    request = ask(rig, self, "ES256", &keys[0], -60);
    assert_int_equal(request.result, BURROW_AUTH_DENY);
    assert_int_equal(request.code, BURROW_CODE_TOKEN_EXPIRED);
    loaded_end(&rig->plugin, self);
    for (size_t i = 0; i < 3; i++)
        jwt_key_finish(&keys[i]);
}

static void refuses(struct rig *rig, const char *part)
{
    const struct burrow_plugin *plugin = rig->plugin.plugin;
    void *self = NULL;
    assert_int_equal(plugin->check(&rig->plugin.host.table, rig->plugin.config), BURROW_EINVAL);
    if (!strstr(rig->plugin.host.error, part))
        fail_msg("%s", rig->plugin.host.error);
    assert_non_null(strstr(rig->plugin.host.error, "BURROW_JWT_"));
    assert_int_equal(plugin->create(&rig->plugin.host.table, rig->plugin.config, &self),
                     BURROW_EINVAL);
    assert_null(self);
}

static void what_is_wrong_with_options_and_file_is_told(void **state)
{
    struct rig *rig = *state;
    refuses(rig, "there is no PEM block");
    struct jwt_key key = make_key(jwt_alg_find("ES256"));
    write_keys(rig, &key, 1);
    refuses(rig, "block 1 is a P-256 key; --jwt-alg (BURROW_JWT_ALG) is RS256, which needs an RSA");
    loaded_set_string(&rig->plugin, "jwt-alg", "HS256");
    refuses(rig, "--jwt-alg (BURROW_JWT_ALG): \"HS256\" does not go with this kind of key");
    loaded_set_string(&rig->plugin, "jwt-alg", "RS25");
    refuses(rig, "\"RS25\" does not go");
    loaded_set_string(&rig->plugin, "jwt-alg", "ES256");
    assert_int_equal(chmod(rig->path, 0606), 0);
    refuses(rig, "chmod o-w");
    loaded_set_string(&rig->plugin, "jwt-public-key-file", "/");
    refuses(rig, "not a regular file");
    loaded_set_string(&rig->plugin, "jwt-public-key-file", "");
    refuses(rig, "--jwt-public-key-file (BURROW_JWT_PUBLIC_KEY_FILE) is missing");
    jwt_key_finish(&key);
}

static void a_changed_file_is_read_again_and_a_broken_one_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct jwt_key old = make_key(jwt_alg_find("ES256")), new = make_key(jwt_alg_find("ES256"));
    write_keys(rig, &old, 1);
    loaded_set_string(&rig->plugin, "jwt-alg", "ES256");
    void *self = begin(rig);
    assert_int_equal(truncate(rig->path, 60), 0);
    assert_int_equal(fake_host_touch(&rig->plugin.host, rig->path), BURROW_EINVAL);
    assert_non_null(strstr(rig->plugin.host.error, "broken PEM"));
    assert_int_equal(ask(rig, self, "ES256", &old, 60).result, BURROW_AUTH_ALLOW);
    write_keys(rig, &new, 1);
    assert_int_equal(fake_host_touch(&rig->plugin.host, rig->path), BURROW_OK);
    assert_int_equal(ask(rig, self, "ES256", &old, 60).result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(ask(rig, self, "ES256", &new, 60).result, BURROW_AUTH_ALLOW);
    loaded_end(&rig->plugin, self);
    jwt_key_finish(&old);
    jwt_key_finish(&new);
}

static void a_file_that_changes_between_create_and_start_counts(void **state)
{
    struct rig *rig = *state;
    struct jwt_key old = make_key(jwt_alg_find("ES256")), new = make_key(jwt_alg_find("ES256"));
    write_keys(rig, &old, 1);
    loaded_set_string(&rig->plugin, "jwt-alg", "ES256");
    const struct burrow_plugin *plugin = rig->plugin.plugin;
    void *self = NULL;
    assert_int_equal(plugin->create(&rig->plugin.host.table, rig->plugin.config, &self), BURROW_OK);
    ((const struct burrow_auth_ops *)plugin->ops)->bind(self, &auth_host);
    write_keys(rig, &new, 1);
    assert_int_equal(plugin->start(self), BURROW_OK);
    assert_int_equal(ask(rig, self, "ES256", &old, 60).result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(ask(rig, self, "ES256", &new, 60).result, BURROW_AUTH_ALLOW);
    loaded_end(&rig->plugin, self);
    jwt_key_finish(&old);
    jwt_key_finish(&new);
}

static void a_reload_takes_new_options_or_changes_nothing(void **state)
{
    struct rig *rig = *state;
    struct jwt_key key = make_key(jwt_alg_find("ES256"));
    write_keys(rig, &key, 1);
    loaded_set_string(&rig->plugin, "jwt-alg", "ES256");
    void *self = begin(rig);
    struct loaded next;
    loaded_init(&next, PLUGIN_FILE, "auth-pem", BURROW_KIND_AUTH);
    assert_int_equal(rig->plugin.plugin->reload(self, next.config), BURROW_EINVAL);
    loaded_set_string(&next, "jwt-public-key-file", rig->path);
    loaded_set_string(&next, "jwt-alg", "ES256");
    loaded_set_string(&next, "jwt-issuer", "idp");
    rig->plugin.host.fail_at = 1; /* the file cannot be watched */
    assert_int_equal(rig->plugin.plugin->reload(self, next.config), BURROW_ENOMEM);
    assert_int_equal(ask(rig, self, "ES256", &key, 60).result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig->plugin.plugin->reload(self, next.config), BURROW_OK);
    assert_non_null(strstr(ask(rig, self, "ES256", &key, 60).reason, "jwt-issuer"));
    loaded_end(&rig->plugin, self);
    loaded_finish(&next);
    jwt_key_finish(&key);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(every_algorithm_lets_in_by_its_key),
        WITH_RIG(each_key_of_the_file_lets_in_and_no_other),
        WITH_RIG(what_is_wrong_with_options_and_file_is_told),
        WITH_RIG(a_changed_file_is_read_again_and_a_broken_one_changes_nothing),
        WITH_RIG(a_file_that_changes_between_create_and_start_counts),
        WITH_RIG(a_reload_takes_new_options_or_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
