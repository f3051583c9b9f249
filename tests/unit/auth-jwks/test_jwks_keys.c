/* SPDX-License-Identifier: Apache-2.0 */
/* auth-jwks over time: rotation, refresh, unknown key ids, waiting requests, files, its end. */
#include "rig.h"
#include "test_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Two keys of a provider and its documents with the one, the other and both. */
struct rotation {
    struct signer one, two;
    char *only_one, *only_two, *both;
};

static struct rotation rotation_make(void)
{
    struct rotation r = {signer_make("one"), signer_make("two"), NULL, NULL, NULL};
    const struct signer *const list[] = {&r.one, &r.two};
    r.only_one = jwks_of(list, 1);
    r.only_two = jwks_of(list + 1, 1);
    r.both = jwks_of(list, 2);
    return r;
}

static void rotation_free(struct rotation *r)
{
    signer_free(&r->one);
    signer_free(&r->two);
    free(r->only_one);
    free(r->only_two);
    free(r->both);
}

static uint32_t verdict_of(struct rig *rig, const struct signer *signer)
{
    return rig_verdict(rig, token_for(signer, signer->kid, "client-a")).result;
}

static void a_signed_token_is_allowed_under_its_subject(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    /* It comes before the first load has ended, and waits for it. */
    struct burrow_auth_request request;
    rig_ask(&rig, &request, token_for(&r.one, "one", "client-a"));
    assert_int_equal(request.answers, 0);
    rig_until(&rig, &request.answers, 1);
    assert_int_equal(request.result, BURROW_AUTH_ALLOW);
    assert_string_equal(request.subject, "client-a");
    assert_true(rig_logged(&rig, "event=jwks_loaded"));
    rig_finish(&rig);
    rotation_free(&r);
}

static void a_token_without_form_causes_no_load_and_no_wait(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    static const char *const bad[] = {"", "a.b", "e30.e30.AA", "eyJhbGciOiJub25lIn0.e30.AA",
                                      "eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9.e30.AA"};
    for (size_t i = 0; i < 5; i++) {
        struct burrow_auth_request request;
        rig_ask(&rig, &request, bad[i]); /* the first load is under way */
        assert_int_equal(request.answers, 1);
        assert_true(request.result == BURROW_AUTH_ABSTAIN || request.result == BURROW_AUTH_DENY);
    }
    rig_until_logged(&rig, "event=jwks_loaded");
    assert_int_equal(rig.plugin.host.metrics[0], 1);
    rig_finish(&rig);
    rotation_free(&r);
}

static void a_new_key_is_found_by_its_first_token(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.document = r.both});
    assert_int_equal(verdict_of(&rig, &r.two), BURROW_AUTH_ALLOW);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    assert_int_equal(rig.plugin.host.metrics[0], 2);
    rig_finish(&rig);
    rotation_free(&r);
}

static void a_revoked_key_is_gone_after_the_refresh(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.both});
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.document = r.only_two});
    rig_forget_log(&rig);
    rig_pass(&rig, 300000);
    rig_until_logged(&rig, "event=jwks_loaded");
    struct burrow_auth_request request = rig_verdict(&rig, token_for(&r.one, "one", "a"));
    assert_int_equal(request.result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(request.code, BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(verdict_of(&rig, &r.two), BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    rotation_free(&r);
}

static char *jwks_without_kid(const struct signer *signer)
{
    char *jwk = jwk_of(signer), *document = NULL;
    assert_true(asprintf(&document, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",%s]}",
                         strstr(jwk, "\"x\"")) > 0);
    free(jwk);
    return document;
}

/* Some providers have one key without a name, and exchange it. */
static void a_new_key_without_kid_is_found_by_its_first_token(void **state)
{
    (void)state;
    struct rig rig;
    struct signer old = signer_make(""), new = signer_make(""), strange = signer_make("");
    char *before = jwks_without_kid(&old), *after = jwks_without_kid(&new);
    rig_init(&rig, (struct manner){.document = before});
    rig_start(&rig);
    assert_int_equal(rig_verdict(&rig, token_for(&old, NULL, "a")).result, BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.document = after});
    assert_int_equal(rig_verdict(&rig, token_for(&new, NULL, "a")).result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig_verdict(&rig, token_for(&old, NULL, "a")).result, BURROW_AUTH_ABSTAIN);
    for (int i = 0; i < 100; i++) { /* one fetch per cooldown here, too */
        struct burrow_auth_request r = rig_verdict(&rig, token_for(&strange, NULL, "a"));
        assert_int_equal(r.result, BURROW_AUTH_ABSTAIN);
        assert_int_equal(r.code, BURROW_CODE_INVALID_TOKEN);
    }
    assert_int_equal(http_server_requests(rig.idp.server), 2);
    rig_finish(&rig);
    free(before);
    free(after);
    signer_free(&old);
    signer_free(&new);
    signer_free(&strange);
}

static void the_query_of_the_url_is_not_logged(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    char url[200];
    rig_init(&rig, (struct manner){.document = r.only_one});
    snprintf(url, sizeof url, "%s?key=hidden", rig.idp.url);
    loaded_set_string(&rig.plugin, "jwks-url", url);
    rig_start(&rig);
    rig_until_logged(&rig, "event=jwks_loaded");
    idp_set(&rig.idp, (struct manner){.document = "{}"});
    rig_pass(&rig, 300000);
    rig_until_logged(&rig, "event=jwks_failed");
    assert_true(rig_logged(&rig, rig.idp.url));
    assert_false(rig_logged(&rig, "hidden"));
    rig_finish(&rig);
    rotation_free(&r);
}

/* The fault of Burrow 0.5 that this plugin was made without. */
static void two_hundred_unknown_key_ids_make_one_fetch_per_cooldown(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    struct burrow_auth_request requests[200];
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 200; i++) {
            char kid[32];
            snprintf(kid, sizeof kid, "random-%d-%d", round, i);
            rig_ask(&rig, &requests[i], token_for(&r.two, kid, "a"));
        }
        for (int i = 0; i < 200; i++) {
            rig_until(&rig, &requests[i].answers, 1);
            assert_int_equal(requests[i].result, BURROW_AUTH_ABSTAIN);
            assert_int_equal(requests[i].code, BURROW_CODE_INVALID_TOKEN);
        }
        /* And those that come within the cooldown are answered at once. */
        struct burrow_auth_request late;
        rig_ask(&rig, &late, token_for(&r.two, "late", "a"));
        assert_int_equal(late.answers, 1);
        assert_int_equal(rig.plugin.host.metrics[0], 1 + round);
        assert_int_equal(http_server_requests(rig.idp.server), 1 + (unsigned)round);
        rig_pass(&rig, 30000);
    }
    rig_finish(&rig);
    rotation_free(&r);
}

static bool stall(void *arg, struct http_peer *peer)
{
    (void)arg;
    while (http_peer_wait(peer, 100))
        continue;
    return false;
}

static void waiting_requests_are_bounded_and_can_be_cancelled(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    struct burrow_auth_request requests[300];
    rig_init(&rig, (struct manner){.fn = stall});
    rig_start(&rig);
    const char *token = token_for(&r.one, "one", "a");
    for (int i = 0; i < 300; i++) {
        rig_ask(&rig, &requests[i], token);
        assert_int_equal(requests[i].answers, i < 256 ? 0 : 1);
        if (i >= 256)
            assert_int_equal(requests[i].result, BURROW_AUTH_UNAVAILABLE);
    }
    assert_int_equal(rig.plugin.host.metrics[4], 256);
    const struct burrow_auth_ops *ops = rig.plugin.plugin->ops;
    ops->cancel(rig.self, &requests[0]);
    ops->cancel(rig.self, &requests[255]);
    ops->cancel(rig.self, &requests[100]);
    ops->cancel(rig.self, &requests[299]); /* answered long ago */
    assert_int_equal(rig.plugin.host.metrics[4], 253);
    for (int i = 0; i < 40; i++)
        rig_pass(&rig, 250);
    rig_until(&rig, &requests[1].answers, 1);
    for (int i = 0; i < 256; i++) {
        bool cancelled = i == 0 || i == 255 || i == 100;
        assert_int_equal(requests[i].answers, cancelled ? 0 : 1);
    }
    assert_int_equal(rig.plugin.host.metrics[4], 0);
    rig_finish(&rig);
    rotation_free(&r);
}

static void stop_answers_who_waits_and_holds_nothing(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    struct burrow_auth_request request;
    rig_init(&rig, (struct manner){.fn = stall});
    rig_start(&rig);
    rig_ask(&rig, &request, token_for(&r.one, "one", "a"));
    for (int i = 0; i < 10; i++)
        rig_turn(&rig); /* the request is under way */
    rig.plugin.plugin->stop(rig.self);
    assert_true(rig.plugin.host.stopped);
    assert_int_equal(rig.plugin.host.left_at_stop, 0);
    assert_int_equal(request.answers, 1);
    assert_int_equal(request.result, BURROW_AUTH_UNAVAILABLE);
    rig.plugin.plugin->destroy(rig.self);
    rig.self = NULL;
    rig_finish(&rig);
    rotation_free(&r);
}

static void an_unknown_key_during_an_outage_is_the_servers_fault(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.raw = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"});
    struct burrow_auth_request request = rig_verdict(&rig, token_for(&r.two, "two", "a"));
    assert_int_equal(request.result, BURROW_AUTH_ABSTAIN);
    assert_int_equal(request.code, BURROW_CODE_VERIFIER_CONFIG);
    assert_non_null(strstr(request.reason, "status 503"));
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    rotation_free(&r);
}

static void keys_that_cannot_be_refreshed_end_with_jwks_keep(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    loaded_set_number(&rig.plugin, "jwks-keep", 3600000);
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.raw = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"});
    rig_pass(&rig, 3500000);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    rig_pass(&rig, 200000);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_UNAVAILABLE);
    assert_true(fake_host_logged(&rig.plugin.host, BURROW_LOG_ERROR, "event=jwks_expired"));
    idp_set(&rig.idp, (struct manner){.document = r.only_one});
    rig_forget_log(&rig);
    rig_pass(&rig, 60000);
    rig_until_logged(&rig, "event=jwks_loaded");
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    rotation_free(&r);
}

static void max_age_brings_the_refresh_forward_but_not_under_30_s(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        uint64_t quiet_ms, loads_by_ms;
    } rows[] = {
        {"", 269000, 301000},
        {"Cache-Control: public, max-age=60\r\n", 53000, 61000},
        {"Cache-Control: max-age=1\r\n", 26000, 31000},
        {"Cache-Control: max-age=86400\r\n", 269000, 301000},
        {"Cache-Control: no-store\r\n", 269000, 301000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rig rig;
        struct rotation r = rotation_make();
        rig_init(&rig, (struct manner){.document = r.only_one, .fields = rows[i].fields});
        rig_start(&rig);
        rig_until_logged(&rig, "event=jwks_loaded");
        rig_pass(&rig, rows[i].quiet_ms);
        for (int j = 0; j < 5; j++)
            rig_turn(&rig);
        assert_int_equal(rig.plugin.host.metrics[0], 1);
        rig_pass(&rig, rows[i].loads_by_ms - rows[i].quiet_ms);
        rig_until_loads(&rig, 2);
        rig_finish(&rig);
        rotation_free(&r);
    }
}

static void retry_after_is_honoured(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, (struct manner){.raw = "HTTP/1.1 503 No\r\nRetry-After: 40\r\n"
                                          "Content-Length: 0\r\n\r\n"});
    rig_start(&rig);
    rig_until_logged(&rig, "event=jwks_failed");
    rig_pass(&rig, 38000);
    for (int j = 0; j < 5; j++)
        rig_turn(&rig);
    assert_int_equal(rig.plugin.host.metrics[0], 1);
    rig_pass(&rig, 3000);
    rig_until_loads(&rig, 2);
    rig_finish(&rig);
}

/* Replaces the file by rename, as volume mounts do, and tells the plugin as a host would.
 * Returns what the plugin says to it. */
static int put_file(struct rig *rig, const char *dir, const char *path, const char *text)
{
    char *next = test_text_write(dir, "next", text);
    assert_int_equal(rename(next, path), 0);
    free(next);
    return fake_host_touch(&rig->plugin.host, path);
}

static void a_mounted_file_is_read_again_when_it_changes(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    char *dir = test_dir_make(), *path = test_text_write(dir, "jwks.json", r.only_one), url[512];
    rig_init(&rig, (struct manner){.document = "{}"});
    snprintf(url, sizeof url, "file://%s", path);
    loaded_set_string(&rig.plugin, "jwks-url", url);
    rig_start(&rig);
    struct burrow_auth_request request;
    rig_ask(&rig, &request, token_for(&r.one, "one", "a")); /* there is nothing to wait for */
    assert_int_equal(request.answers, 1);
    assert_int_equal(request.result, BURROW_AUTH_ALLOW);
    rig_ask(&rig, &request, token_for(&r.two, "two", "a"));
    assert_int_equal(request.answers, 1);
    assert_int_equal(request.result, BURROW_AUTH_ABSTAIN);

    assert_int_equal(put_file(&rig, dir, path, "{\"keys\":"), BURROW_EINVAL);
    assert_true(rig_logged(&rig, "event=jwks_failed"));
    assert_non_null(strstr(rig.plugin.host.error, "--jwks-url (BURROW_JWKS_URL)"));
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);

    assert_int_equal(put_file(&rig, dir, path, r.only_two), BURROW_OK);
    assert_int_equal(verdict_of(&rig, &r.two), BURROW_AUTH_ALLOW);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ABSTAIN);
    assert_int_equal(http_server_requests(rig.idp.server), 0);
    rig_finish(&rig);
    free(path);
    test_dir_remove(dir);
    rotation_free(&r);
}

static void a_file_that_comes_later_counts_when_it_is_there(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    char *dir = test_dir_make(), path[256], url[300];
    rig_init(&rig, (struct manner){.document = "{}"});
    snprintf(path, sizeof path, "%s/jwks.json", dir);
    snprintf(url, sizeof url, "file:%s", path);
    loaded_set_string(&rig.plugin, "jwks-url", url);
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_UNAVAILABLE);
    assert_int_equal(put_file(&rig, dir, path, r.only_one), BURROW_OK);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    test_dir_remove(dir);
    rotation_free(&r);
}

static void reload_loads_at_once_and_takes_over_the_rules(void **state)
{
    (void)state;
    struct rig rig;
    struct rotation r = rotation_make();
    rig_init(&rig, (struct manner){.document = r.only_one});
    rig_start(&rig);
    assert_int_equal(verdict_of(&rig, &r.one), BURROW_AUTH_ALLOW);
    idp_set(&rig.idp, (struct manner){.document = r.only_two});
    loaded_set_string(&rig.plugin, "jwt-issuer", "https://idp.example");
    assert_int_equal(rig.plugin.plugin->reload(rig.self, rig.plugin.config), BURROW_OK);
    struct burrow_auth_request request = rig_verdict(&rig, token_for(&r.two, "two", "a"));
    assert_int_equal(request.result, BURROW_AUTH_DENY);
    assert_non_null(strstr(request.reason, "iss is missing"));
    loaded_set_string(&rig.plugin, "jwks-url", "https://elsewhere.example/");
    assert_int_equal(rig.plugin.plugin->reload(rig.self, rig.plugin.config), BURROW_EINVAL);
    rig_finish(&rig);
    rotation_free(&r);
}

static void urls_that_cannot_be_trusted_are_refused_at_the_start(void **state)
{
    (void)state;
    static const struct {
        const char *url, *said;
    } rows[] = {
        {"", "is missing"},
        {"idp.example/jwks", "expected https://HOST/PATH or file:/PATH"},
        {"ftp://idp.example/jwks", "https://"},
        {"http://idp.example/jwks", "--jwks-allow-http"},
        {"http://10.0.0.1:8080/jwks", "http://10.0.0.1:8080 is plain http"},
        {"https://user:hunter2@idp.example/jwks", "user name or password"},
        {"file:jwks.json", "absolute path"},
        {"file://host/jwks.json", "absolute path"},
        {"file:", "absolute path"},
    };
    struct rig rig;
    rig_init(&rig, (struct manner){.document = "{}"});
    struct fake_host *host = &rig.plugin.host;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        loaded_set_string(&rig.plugin, "jwks-url", rows[i].url);
        assert_int_equal(rig.plugin.plugin->check(&host->table, rig.plugin.config), BURROW_EINVAL);
        assert_non_null(strstr(host->error, "--jwks-url (BURROW_JWKS_URL)"));
        assert_null(strstr(host->error, "hunter2"));
        if (!strstr(host->error, rows[i].said))
            fail_msg("\"%s\" is not in \"%s\"", rows[i].said, host->error);
    }
    loaded_set_string(&rig.plugin, "jwks-url", rig.idp.url); /* loopback */
    assert_int_equal(rig.plugin.plugin->check(&host->table, rig.plugin.config), BURROW_OK);
    loaded_set_string(&rig.plugin, "jwt-alg", "HS256");
    assert_int_equal(rig.plugin.plugin->check(&host->table, rig.plugin.config), BURROW_EINVAL);
    assert_non_null(strstr(host->error, "--jwt-alg"));
    loaded_set_string(&rig.plugin, "jwt-alg", "");
    loaded_set_string(&rig.plugin, "jwks-ca", "/no/such/file");
    assert_int_equal(rig.plugin.plugin->check(&host->table, rig.plugin.config), BURROW_EINVAL);
    assert_non_null(strstr(host->error, "--jwks-ca"));
    rig_finish(&rig);
}

static void plain_http_from_afar_is_warned_about(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, (struct manner){.document = "{}"});
    loaded_set_string(&rig.plugin, "jwks-url", "http://idp.example/jwks");
    loaded_set_bool(&rig.plugin, "jwks-allow-http", 1);
    rig_start(&rig);
    assert_true(fake_host_logged(&rig.plugin.host, BURROW_LOG_WARN, "event=jwks_without_tls"));
    rig_finish(&rig);
}

static void two_instances_keep_their_own_keys(void **state)
{
    (void)state;
    struct rig one, two;
    struct rotation r = rotation_make();
    rig_init(&one, (struct manner){.document = r.only_one});
    rig_init(&two, (struct manner){.document = r.only_two});
    rig_start(&one);
    rig_start(&two);
    assert_int_equal(verdict_of(&one, &r.one), BURROW_AUTH_ALLOW);
    assert_int_equal(verdict_of(&two, &r.two), BURROW_AUTH_ALLOW);
    assert_int_equal(verdict_of(&one, &r.two), BURROW_AUTH_ABSTAIN);
    one.plugin.plugin->destroy(NULL);
    rig_finish(&two);
    assert_int_equal(verdict_of(&one, &r.one), BURROW_AUTH_ALLOW);
    rig_finish(&one);
    rotation_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_token_is_allowed_under_its_subject),
        cmocka_unit_test(a_token_without_form_causes_no_load_and_no_wait),
        cmocka_unit_test(a_new_key_is_found_by_its_first_token),
        cmocka_unit_test(a_revoked_key_is_gone_after_the_refresh),
        cmocka_unit_test(a_new_key_without_kid_is_found_by_its_first_token),
        cmocka_unit_test(the_query_of_the_url_is_not_logged),
        cmocka_unit_test(two_hundred_unknown_key_ids_make_one_fetch_per_cooldown),
        cmocka_unit_test(waiting_requests_are_bounded_and_can_be_cancelled),
        cmocka_unit_test(stop_answers_who_waits_and_holds_nothing),
        cmocka_unit_test(an_unknown_key_during_an_outage_is_the_servers_fault),
        cmocka_unit_test(keys_that_cannot_be_refreshed_end_with_jwks_keep),
        cmocka_unit_test(max_age_brings_the_refresh_forward_but_not_under_30_s),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(a_mounted_file_is_read_again_when_it_changes),
        cmocka_unit_test(a_file_that_comes_later_counts_when_it_is_there),
        cmocka_unit_test(reload_loads_at_once_and_takes_over_the_rules),
        cmocka_unit_test(urls_that_cannot_be_trusted_are_refused_at_the_start),
        cmocka_unit_test(plain_http_from_afar_is_warned_about),
        cmocka_unit_test(two_instances_keep_their_own_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
