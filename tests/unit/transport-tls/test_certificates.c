/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, keys and authorities: what is refused at the start, what in the handshake, and
 * how a reload changes them. */
#include "rig.h"

#include <setjmp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_server_of_an_unknown_authority_is_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct test_cert other =
        test_cert_make(&(struct test_cert_plan){.name = "other authority", .is_ca = 1});
    char *file = test_cert_write(&other, rig->dir, "other-ca.pem");
    struct config config = {.tls.ca = file};
    assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &config), BURROW_OK);
    struct burrow_link client = {0}, server = {0};
    rig_fail(rig, "localhost", &client, &server);
    assert_int_equal(client.code, BURROW_CLOSE_TLS);
    assert_non_null(strstr(client.reason, "unable to get local issuer certificate"));
    assert_int_equal(server.code, BURROW_CLOSE_TLS);
    rig_drop(rig, &client, &server);
    test_cert_free(&other);
    free(file);
}

static void a_server_of_another_name_is_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const struct {
        const char *host, *reason;
    } cases[] = {{"example.org", "hostname mismatch"}, {"127.0.0.2", "IP address mismatch"}};
    for (size_t i = 0; i < 2; i++) {
        struct burrow_link client = {0}, server = {0};
        rig_fail(rig, cases[i].host, &client, &server);
        assert_int_equal(client.code, BURROW_CLOSE_TLS);
        assert_non_null(strstr(client.reason, cases[i].reason));
        rig_drop(rig, &client, &server);
    }
}

static void a_server_may_be_named_by_its_address(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct burrow_dial dial = rig_dial(rig, "127.0.0.1");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    fake_host_run(&rig->host, fake_link_is_open, &client);
    fake_host_run(&rig->host, fake_link_is_open, &server);
    assert_null(SSL_get_servername(((struct conn *)server.conn)->ssl, TLSEXT_NAMETYPE_host_name));
    rig_drop(rig, &client, &server);
}

static void the_server_is_told_the_name_that_is_dialled(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    assert_string_equal(
        SSL_get_servername(((struct conn *)server.conn)->ssl, TLSEXT_NAMETYPE_host_name),
        "localhost");
    rig_drop(rig, &client, &server);
}

static void skip_verify_accepts_any_server_and_warns_every_time(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct config config = {.tls.skip_verify = 1};
    assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &config), BURROW_OK);
    for (unsigned i = 1; i <= 2; i++) {
        struct burrow_link client = {0}, server = {0};
        rig_open(rig, &client, &server);
        assert_int_equal(fake_host_log_lines(&rig->host, BURROW_LOG_WARN), i);
        assert_true(fake_host_logged(&rig->host, BURROW_LOG_WARN, "tls-skip-verify"));
        rig_drop(rig, &client, &server);
    }
}

/* An unverified session must not be resumed once verification is on. */
static void a_session_of_skip_verify_is_forgotten_when_verification_is_turned_on(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct config config = {.tls.skip_verify = 1};
    assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &config), BURROW_OK);
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_send(&server, "x", 1);
    while (client.total < 1)
        fake_host_turn(&rig->host, 20);
    rig_drop(rig, &client, &server);
    assert_non_null(((struct transport *)rig->client.self)->session);
    config.tls.skip_verify = 0; /* the system's store does not know our authority */
    assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &config), BURROW_OK);
    rig_fail(rig, "localhost", &client, &server);
    assert_int_equal(client.code, BURROW_CLOSE_TLS);
    rig_drop(rig, &client, &server);
}

static bool is_ended(void *p)
{
    struct burrow_link **two = (struct burrow_link **)p;
    return two[0]->closed > 0 && two[1]->closed > 0;
}

/* The host's answers about a certificate. */
static void answer(struct burrow_link *link, uint32_t result)
{
    const struct burrow_verdict verdict = {
        .size = sizeof verdict, .result = result, .code = BURROW_CODE_INVALID_TOKEN};
    fake_link_admit(link, &verdict);
}

static void let_in(struct burrow_link *link, const struct burrow_credential *credential)
{
    const unsigned char *at = credential->client_cert_der;
    X509 *cert = d2i_X509(NULL, &at, (long)credential->client_cert_len);
    assert_non_null(cert);
    assert_null(credential->token);
    assert_int_equal(credential->method, BURROW_CREDENTIAL_CERTIFICATE);
    assert_int_equal(credential->peer.family, 4);
    X509_free(cert);
    answer(link, BURROW_AUTH_ALLOW);
}

static void keep_out(struct burrow_link *link, const struct burrow_credential *credential)
{
    (void)credential;
    answer(link, BURROW_AUTH_DENY);
}

static void say_nothing(struct burrow_link *link, const struct burrow_credential *credential)
{
    (void)link;
    (void)credential;
}

/* A server that asks for certificates, and a client that has one or not. */
static void set_up_asking(struct rig *rig, bool with_certificate)
{
    struct config config = rig->server_config, mine = {.tls.ca = rig->ca_file};
    struct test_cert good =
        test_cert_make(&(struct test_cert_plan){.name = "good client", .issuer = &rig->ca});
    char *cert = test_cert_write(&good, rig->dir, "good.pem");
    char *key = test_key_write(&good, rig->dir, "good-key.pem", NULL);
    config.tls.client_ca = rig->ca_file;
    mine.tls.cert = with_certificate ? cert : NULL;
    mine.tls.key = with_certificate ? key : NULL;
    assert_int_equal(burrow_plugin_v0.reload(rig->server.self, &config), BURROW_OK);
    assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &mine), BURROW_OK);
    test_cert_free(&good);
    free(cert);
    free(key);
}

static void who_shows_no_certificate_is_accepted_without_a_question(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.on_authenticate = keep_out};
    set_up_asking(rig, false);
    rig_open(rig, &client, &server);
    assert_int_equal(server.authenticated, 0);
    rig_drop(rig, &client, &server);
}

static void a_resumed_session_shows_its_certificate_again(void **state)
{
    struct rig *rig = (struct rig *)*state;
    set_up_asking(rig, true);
    for (int i = 0; i < 3; i++) {
        struct burrow_link client = {0}, server = {.on_authenticate = let_in};
        rig_open(rig, &client, &server);
        fake_link_send(&server, "a ticket comes before this", 26);
        while (client.total < 26)
            fake_host_turn(&rig->host, 20);
        assert_int_equal(server.authenticated, 1);
        assert_int_equal(SSL_session_reused(((struct conn *)server.conn)->ssl), i > 0);
        rig_drop(rig, &client, &server);
    }
}

static void a_certificate_that_the_host_refuses_ends_the_connection(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.on_authenticate = keep_out};
    set_up_asking(rig, true);
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    struct burrow_link *links[] = {&client, &server};
    fake_host_run(&rig->host, is_ended, links);
    assert_int_equal(server.accepted, 0);
    assert_int_equal(server.code, BURROW_CLOSE_POLICY);
    rig_drop(rig, &client, &server);
}

static bool is_asked(void *p)
{
    return ((struct burrow_link *)p)->authenticated > 0;
}

static void data_that_comes_before_the_answer_waits_for_it(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.on_authenticate = say_nothing};
    set_up_asking(rig, true);
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    fake_host_run(&rig->host, is_asked, &server);
    fake_host_run(&rig->host, fake_link_is_open, &client);
    fake_link_send(&client, "register", 8);
    fake_host_turn(&rig->host, 20);
    assert_int_equal(server.accepted, 0);
    assert_int_equal(server.total, 0);
    answer(&server, BURROW_AUTH_ALLOW);
    while (server.total < 8)
        fake_host_turn(&rig->host, 20);
    assert_int_equal(server.accepted, 1);
    rig_drop(rig, &client, &server);
}

static void a_host_may_close_while_it_owes_the_answer(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.on_authenticate = say_nothing};
    set_up_asking(rig, true);
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    fake_host_run(&rig->host, is_asked, &server);
    conn_close(server.conn, BURROW_CLOSE_POLICY, "too late");
    struct burrow_link *links[] = {&client, &server};
    fake_host_run(&rig->host, is_ended, links);
    assert_int_equal(server.accepted, 0);
    rig_drop(rig, &client, &server);
}

static void a_required_client_certificate_is_checked(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct test_cert stranger_ca =
        test_cert_make(&(struct test_cert_plan){.name = "stranger's authority", .is_ca = 1});
    struct test_cert good =
        test_cert_make(&(struct test_cert_plan){.name = "good client", .issuer = &rig->ca});
    struct test_cert bad =
        test_cert_make(&(struct test_cert_plan){.name = "bad client", .issuer = &stranger_ca});
    char *good_cert = test_cert_write(&good, rig->dir, "good.pem");
    char *good_key = test_key_write(&good, rig->dir, "good-key.pem", NULL);
    char *bad_cert = test_cert_write(&bad, rig->dir, "bad.pem");
    char *bad_key = test_key_write(&bad, rig->dir, "bad-key.pem", NULL);
    struct config config = rig->server_config;
    config.tls.client_ca = rig->ca_file;
    config.tls.client_required = 1;
    assert_int_equal(burrow_plugin_v0.reload(rig->server.self, &config), BURROW_OK);
    const struct {
        const char *cert, *key, *client_reason;
    } cases[] = {{NULL, NULL, "requires a client certificate"},
                 {bad_cert, bad_key, "its authority is unknown there"},
                 {good_cert, good_key, NULL}};
    for (size_t i = 0; i < 3; i++) {
        struct config mine = {
            .tls.ca = rig->ca_file, .tls.cert = cases[i].cert, .tls.key = cases[i].key};
        assert_int_equal(burrow_plugin_v0.reload(rig->client.self, &mine), BURROW_OK);
        struct burrow_link client = {0}, server = {0};
        if (cases[i].client_reason == NULL) {
            server.on_authenticate = let_in;
            rig_open(rig, &client, &server);
            assert_int_equal(server.authenticated, 1);
            rig_drop(rig, &client, &server);
            continue;
        }
        struct burrow_dial dial = rig_dial(rig, "localhost");
        assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
        assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
        struct burrow_link *links[] = {&client, &server};
        fake_host_run(&rig->host, is_ended, links);
        assert_int_equal(server.accepted, 0);
        assert_int_equal(client.code, BURROW_CLOSE_TLS);
        assert_non_null(strstr(client.reason, cases[i].client_reason));
        rig_drop(rig, &client, &server);
    }
    free(good_cert);
    free(good_key);
    free(bad_cert);
    free(bad_key);
    test_cert_free(&good);
    test_cert_free(&bad);
    test_cert_free(&stranger_ca);
}

/* Asks check and create, which must agree and hold nothing afterwards. */
static void expect_refusal(struct rig *rig, struct config config, const char *part_a,
                           const char *part_b)
{
    rig->host.error[0] = '\0';
    int r = burrow_plugin_v0.check(&rig->host.table, &config);
    if (r != BURROW_EINVAL || strstr(rig->host.error, part_a) == NULL ||
        strstr(rig->host.error, part_b) == NULL || strchr(rig->host.error, '\n') != NULL)
        fail_msg("check gave %d, \"%s\"; wanted \"%s\" and \"%s\"", r, rig->host.error, part_a,
                 part_b);
    if (config.tls.client_ca != NULL && config.tls.cert == NULL)
        return;
    void *self = NULL;
    assert_int_equal(burrow_plugin_v0.create(&rig->host.table, &config, &self), BURROW_EINVAL);
    assert_null(self);
}

static void unusable_files_are_refused_by_option_file_and_cause(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct test_cert other = test_cert_make(&(struct test_cert_plan){.name = "other"});
    struct test_cert weak =
        test_cert_make(&(struct test_cert_plan){.name = "weak", .rsa_bits = 1024});
    struct test_cert old =
        test_cert_make(&(struct test_cert_plan){.name = "old", .from_days = -20, .until_days = -1});
    struct test_cert early =
        test_cert_make(&(struct test_cert_plan){.name = "early", .from_days = 1, .until_days = 20});
    char *files[] = {test_key_write(&other, rig->dir, "other-key.pem", NULL),
                     test_key_write(&rig->leaf, rig->dir, "locked-key.pem", "secret"),
                     test_cert_write(&weak, rig->dir, "weak.pem"),
                     test_key_write(&weak, rig->dir, "weak-key.pem", NULL),
                     test_cert_write(&old, rig->dir, "old.pem"),
                     test_key_write(&old, rig->dir, "old-key.pem", NULL),
                     test_cert_write(&early, rig->dir, "early.pem"),
                     test_key_write(&early, rig->dir, "early-key.pem", NULL),
                     test_text_write(rig->dir, "empty.pem", ""),
                     test_text_write(rig->dir, "half.pem",
                                     "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIH\n")};
    char *cert = rig->cert_file, *key = rig->key_file;
    expect_refusal(rig, (struct config){.tls.cert = cert}, "--tls-cert", "without --tls-key");
    expect_refusal(rig, (struct config){.tls.key = key}, "--tls-key", "without --tls-cert");
    expect_refusal(rig, (struct config){.tls.client_ca = rig->ca_file}, "--tls-client-ca",
                   "without");
    expect_refusal(rig, (struct config){.tls.cert = "/nowhere/c.pem", .tls.key = key}, "--tls-cert",
                   "\"/nowhere/c.pem\": No such file");
    expect_refusal(rig, (struct config){.tls.cert = rig->dir, .tls.key = key}, "--tls-cert",
                   "not a regular file");
    expect_refusal(rig, (struct config){.tls.cert = "/dev/zero", .tls.key = key}, "--tls-cert",
                   "not a regular file");
    expect_refusal(rig, (struct config){.tls.cert = cert, .tls.key = files[0]}, "other-key.pem",
                   "does not belong to the certificate");
    expect_refusal(rig, (struct config){.tls.cert = cert, .tls.key = files[1]}, "locked-key.pem",
                   "is encrypted");
    expect_refusal(rig, (struct config){.tls.cert = cert, .tls.key = cert}, "--tls-key",
                   "holds no PEM private key");
    expect_refusal(rig, (struct config){.tls.cert = key, .tls.key = key}, "--tls-cert",
                   "holds no PEM certificate");
    expect_refusal(rig, (struct config){.tls.cert = files[2], .tls.key = files[3]}, "weak.pem",
                   "1024 bits; at least 2048");
    expect_refusal(rig, (struct config){.tls.cert = files[4], .tls.key = files[5]}, "old.pem",
                   "expired at");
    expect_refusal(rig, (struct config){.tls.cert = files[6], .tls.key = files[7]}, "early.pem",
                   "not valid before");
    expect_refusal(rig, (struct config){.tls.cert = files[8], .tls.key = key}, "empty.pem",
                   "holds no PEM certificate");
    expect_refusal(rig, (struct config){.tls.cert = files[9], .tls.key = key}, "half.pem",
                   "certificate 1");
    expect_refusal(rig, (struct config){.tls.ca = files[8]}, "--tls-ca",
                   "holds no PEM certificate");
    expect_refusal(rig, (struct config){.tls.ca = files[9]}, "--tls-ca", "certificate 1");
    expect_refusal(rig,
                   (struct config){.tls.cert = cert, .tls.key = key, .tls.client_ca = files[8]},
                   "--tls-client-ca", "holds no PEM certificate");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        free(files[i]);
    test_cert_free(&other);
    test_cert_free(&weak);
    test_cert_free(&old);
    test_cert_free(&early);
}

static void good_files_pass_the_check(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct config config = rig->server_config;
    config.tls.client_ca = rig->ca_file;
    config.tls.ca = rig->ca_file;
    assert_int_equal(burrow_plugin_v0.check(&rig->host.table, &config), BURROW_OK);
    config = (struct config){0};
    assert_int_equal(burrow_plugin_v0.check(&rig->host.table, &config), BURROW_OK);
    assert_string_equal(rig->host.error, "");
}

static void a_chain_is_sent_so_that_the_client_needs_only_the_root(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct test_cert middle = test_cert_make(
        &(struct test_cert_plan){.name = "intermediate", .issuer = &rig->ca, .is_ca = 1});
    struct test_cert leaf = test_cert_make(&(struct test_cert_plan){
        .name = "server", .alt = "DNS:localhost", .issuer = &middle, .rsa_bits = 2048});
    char *chain = test_cert_write(&leaf, rig->dir, "chain.pem");
    free(test_cert_write(&middle, rig->dir, "chain.pem"));
    char *key = test_key_write(&leaf, rig->dir, "chain-key.pem", NULL);
    struct config config = {.tls.cert = chain, .tls.key = key};
    assert_int_equal(burrow_plugin_v0.reload(rig->server.self, &config), BURROW_OK);
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    rig_drop(rig, &client, &server);
    free(chain);
    free(key);
    test_cert_free(&leaf);
    test_cert_free(&middle);
}

static void a_reload_changes_new_connections_and_keeps_old_ones(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link old_client = {0}, old_server = {0}, client = {0}, server = {0};
    rig_open(rig, &old_client, &old_server);
    struct test_cert other = test_cert_make(
        &(struct test_cert_plan){.name = "renewed", .alt = "DNS:localhost", .issuer = &rig->ca});
    char *cert = test_cert_write(&other, rig->dir, "renewed.pem");
    char *key = test_key_write(&other, rig->dir, "renewed-key.pem", NULL);
    struct config config = {.tls.cert = cert, .tls.key = key};
    assert_int_equal(burrow_plugin_v0.reload(rig->server.self, &config), BURROW_OK);
    rig_open(rig, &client, &server);
    X509 *shown = SSL_get1_peer_certificate(((struct conn *)client.conn)->ssl);
    assert_int_equal(X509_cmp(shown, other.cert), 0);
    X509_free(shown);
    fake_link_send(&old_client, "still here", 10);
    while (old_server.total < 10)
        fake_host_turn(&rig->host, 20);
    rig_drop(rig, &client, &server);
    rig_drop(rig, &old_client, &old_server);
    free(cert);
    free(key);
    test_cert_free(&other);
}

static void a_reload_that_fails_changes_nothing(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct config config = {.tls.cert = rig->cert_file, .tls.key = "/nowhere/key.pem"};
    assert_int_equal(burrow_plugin_v0.reload(rig->server.self, &config), BURROW_EINVAL);
    assert_non_null(strstr(rig->host.error, "/nowhere/key.pem"));
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    rig_drop(rig, &client, &server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_server_of_an_unknown_authority_is_refused),
        TEST(a_server_of_another_name_is_refused),
        TEST(a_server_may_be_named_by_its_address),
        TEST(the_server_is_told_the_name_that_is_dialled),
        TEST(skip_verify_accepts_any_server_and_warns_every_time),
        TEST(a_session_of_skip_verify_is_forgotten_when_verification_is_turned_on),
        TEST(a_required_client_certificate_is_checked),
        TEST(who_shows_no_certificate_is_accepted_without_a_question),
        TEST(a_resumed_session_shows_its_certificate_again),
        TEST(a_certificate_that_the_host_refuses_ends_the_connection),
        TEST(data_that_comes_before_the_answer_waits_for_it),
        TEST(a_host_may_close_while_it_owes_the_answer),
        TEST(unusable_files_are_refused_by_option_file_and_cause),
        TEST(good_files_pass_the_check),
        TEST(a_chain_is_sent_so_that_the_client_needs_only_the_root),
        TEST(a_reload_changes_new_connections_and_keeps_old_ones),
        TEST(a_reload_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
