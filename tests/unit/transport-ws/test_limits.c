/* SPDX-License-Identifier: Apache-2.0 */
/* What transport-ws does with wrong options, with too little memory, and with client
 * certificates. */
#include "rig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int check(struct rig *rig, const struct ws_config *config)
{
    rig->host.error[0] = '\0';
    return burrow_plugin_v0.check(&rig->host.table, config);
}

static void options_that_cannot_work_are_named(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const char *const origins[] = {"example.com"};
    const struct {
        struct ws_config config;
        const char *names;
    } cases[] = {
        {{.path = "ws"}, "--ws-path"},
        {{.path = ""}, "--ws-path"},
        {{.path = "/a//b"}, "--ws-path"},
        {{.path = "/../ws"}, "--ws-path"},
        {{.path = "/ws?x"}, "--ws-path"},
        {{.path = "/ws", .origins = {origins, 1}}, "--ws-origin"},
        {{.path = "/ws", .tls.cert = rig->cert_file}, "--tls-key"},
        {{.path = "/ws", .tls.cert = rig->key_file, .tls.key = rig->key_file}, "tls-cert"},
        {{.path = "/ws", .tls.ca = "/nonexistent/ca.pem"}, "tls-ca"},
        {{.path = "/ws", .tls.client_ca = rig->ca_file}, "--tls-client-ca"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(check(rig, &cases[i].config) < 0);
        assert_non_null(strstr(rig->host.error, cases[i].names));
    }
    assert_int_equal(check(rig, &rig->server_config), BURROW_OK);
    assert_int_equal(check(rig, &rig->client_config), BURROW_OK);
}

/* Every watch and timer fails in turn: both sides close in order, or open. */
static void without_memory_a_connection_fails_and_nothing_else(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    rig_drop(rig, &client, &server);
    for (unsigned n = 1; n <= 12; n++) {
        struct burrow_dial dial = rig_dial(rig);
        client = (struct burrow_link){0};
        server = (struct burrow_link){.on_authenticate = admit_at_once};
        rig->host.fail_at = n;
        bool dialled = fake_link_dial(&client, &rig->client, &dial) == BURROW_OK;
        bool accepted =
            dialled && fake_link_accept(&server, &rig->server, rig_accept_fd(rig)) == BURROW_OK;
        fake_host_settle(&rig->host, 10);
        rig->host.fail_at = 0;
        if (accepted)
            rig_drop(rig, &server, NULL);
        else if (server.transport != NULL)
            fake_link_finish(&server);
        if (dialled)
            rig_drop(rig, &client, NULL);
        else
            fake_link_finish(&client);
        if (!dialled) { /* its connection waits at the listener, if it got that far */
            int fd = accept4(rig->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0)
                close(fd);
        }
    }
    client = server = (struct burrow_link){0};
    rig_open(rig, &client, &server);
    rig_drop(rig, &client, &server);
}

static void note_certificate(struct burrow_link *link, const struct burrow_credential *credential)
{
    const unsigned char *der = credential->client_cert_der;
    assert_non_null(der);
    X509 *cert = d2i_X509(NULL, &der, (long)credential->client_cert_len);
    assert_non_null(cert);
    X509_NAME_oneline(X509_get_subject_name(cert), (char *)link->arg, 128);
    X509_free(cert);
    admit_at_once(link, credential);
}

static void a_client_certificate_is_demanded_and_shown_to_the_host(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char name[128] = "";
    struct test_cert other =
        test_cert_make(&(struct test_cert_plan){.name = "client-a", .issuer = &rig->ca});
    char *cert = test_cert_write(&other, rig->dir, "client.pem");
    char *key = test_key_write(&other, rig->dir, "client.key", NULL);
    struct ws_config server_config = rig->server_config, client_config = rig->client_config;
    server_config.tls.client_ca = rig->ca_file;
    server_config.tls.client_required = 1;
    client_config.tls.cert = cert;
    client_config.tls.key = key;
    struct fake_transport strict, known;
    fake_transport_init(&strict, &rig->host, &burrow_plugin_v0, &server_config);
    fake_transport_init(&known, &rig->host, &burrow_plugin_v0, &client_config);

    struct burrow_link client = {0}, server = {.on_authenticate = note_certificate, .arg = name};
    struct burrow_dial dial = rig_dial(rig);
    assert_int_equal(fake_link_dial(&client, &known, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &strict, rig_accept_fd(rig)), BURROW_OK);
    fake_host_run(&rig->host, fake_link_is_open, &client);
    assert_string_equal(name, "/CN=client-a");
    rig_drop(rig, &client, &server);

    /* Without one, nothing opens. */
    client = server = (struct burrow_link){0};
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &strict, rig_accept_fd(rig)), BURROW_OK);
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(client.connected + server.authenticated, 0);
    fake_link_finish(&client);
    fake_link_finish(&server);

    fake_transport_finish(&known);
    fake_transport_finish(&strict);
    test_cert_free(&other);
    free(cert);
    free(key);
}

static void skipping_the_verification_warns_at_every_dial(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct ws_config config = {.path = "/ws", .tls.skip_verify = 1};
    struct fake_transport careless;
    fake_transport_init(&careless, &rig->host, &burrow_plugin_v0, &config);
    for (unsigned i = 1; i <= 2; i++) {
        struct burrow_link client = {0}, server = {.on_authenticate = admit_at_once};
        struct burrow_dial dial = rig_dial(rig);
        dial.host = "other.example";
        assert_int_equal(fake_link_dial(&client, &careless, &dial), BURROW_OK);
        assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
        fake_host_run(&rig->host, fake_link_is_open, &client);
        assert_int_equal(fake_host_log_lines(&rig->host, BURROW_LOG_WARN), i);
        rig_drop(rig, &client, &server);
    }
    fake_transport_finish(&careless);
}

#define PLAIN(name) cmocka_unit_test_setup_teardown(name, rig_setup_plain, rig_teardown)
#define TLS(name) cmocka_unit_test_setup_teardown(name, rig_setup_tls, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TLS(options_that_cannot_work_are_named),
        PLAIN(without_memory_a_connection_fails_and_nothing_else),
        TLS(without_memory_a_connection_fails_and_nothing_else),
        TLS(a_client_certificate_is_demanded_and_shown_to_the_host),
        TLS(skipping_the_verification_warns_at_every_dial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
