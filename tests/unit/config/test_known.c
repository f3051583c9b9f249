/* SPDX-License-Identifier: Apache-2.0 */
/* Which plugins follow from the other options. */
#include "config/known.h"
#include "sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct choice {
    const char *names[KNOWN_CHOICE_MAX];
    size_t n;
};

static int choose(struct fixture *f, const char *command, uint32_t kind, struct choice *ret)
{
    memset(ret, 0, sizeof *ret);
    assert_int_equal(read_first(f), 0);
    return known_choose(f->config, "/", command, kind, ret->names, &ret->n, &f->err);
}

static void the_server_speaks_websocket(void **state)
{
    struct choice c;
    assert_int_equal(choose(*state, "server", BURROW_KIND_TRANSPORT, &c), 0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.names[0], "transport-ws");
}

static void tls_addr_adds_raw_tls(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    variable(f, "BURROW_TLS_ADDR=:8443");
    assert_int_equal(choose(f, "server", BURROW_KIND_TRANSPORT, &c), 0);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.names[1], "transport-tls");
}

static void the_clients_transport_follows_from_the_scheme(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    assert_int_equal(choose(f, "client", BURROW_KIND_TRANSPORT, &c), 0);
    assert_string_equal(c.names[0], "transport-ws");
    config_destroy(f->config);
    FLAGS(f, "--server-url", "tls://h:1");
    assert_int_equal(choose(f, "client", BURROW_KIND_TRANSPORT, &c), 0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.names[0], "transport-tls");
}

static void the_auth_plugin_follows_from_the_key(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    file(f, "jwks-url: https://x\n");
    assert_int_equal(choose(f, "server", BURROW_KIND_AUTH, &c), 0);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.names[0], "auth-jwks");
    assert_string_equal(known_package("auth-jwks"), "burrow-plugin-jwks");
}

static void several_key_sources_are_refused_by_name(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    variable(f, "BURROW_JWT_HMAC_SECRET=s3cret");
    FLAGS(f, "--jwt-public-key-file", "k.pem");
    assert_int_equal(choose(f, "server", BURROW_KIND_AUTH, &c), BURROW_EINVAL);
    assert_says(f, "--jwt-hmac-secret (BURROW_JWT_HMAC_SECRET), --jwt-public-key-file");
    assert_says(f, "several key sources");
    assert_says_not(f, "s3cret");
}

static void without_a_key_the_ways_to_give_one_are_named(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    FLAGS(f, "--jwt-hmac-secret=");
    assert_int_equal(choose(f, "server", BURROW_KIND_AUTH, &c), BURROW_EINVAL);
    assert_says(f, "--jwks-url");
    assert_says(f, "auth-none");
}

static void the_registry_is_noop_unless_kubernetes_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct choice c;
    FLAGS(f, "--enable-kube-api", "auto");
    assert_int_equal(choose(f, "server", BURROW_KIND_REGISTRY, &c), 0);
    assert_string_equal(c.names[0], "registry-noop");
    config_destroy(f->config);
    FLAGS(f, "--enable-kube-api=true");
    assert_int_equal(choose(f, "server", BURROW_KIND_REGISTRY, &c), 0);
    assert_string_equal(c.names[0], "registry-kubernetes");
}

static void kinds_are_read_from_names_and_paths(void **state)
{
    (void)state;
    assert_int_equal(known_kind("auth-hmac"), BURROW_KIND_AUTH);
    assert_int_equal(known_kind("/x/transport-quic.so"), BURROW_KIND_TRANSPORT);
    assert_int_equal(known_kind("auth"), 0);
    assert_int_equal(known_kind("nonsense-x"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_server_speaks_websocket),
        TEST(tls_addr_adds_raw_tls),
        TEST(the_clients_transport_follows_from_the_scheme),
        TEST(the_auth_plugin_follows_from_the_key),
        TEST(several_key_sources_are_refused_by_name),
        TEST(without_a_key_the_ways_to_give_one_are_named),
        TEST(the_registry_is_noop_unless_kubernetes_is_asked_for),
        TEST(kinds_are_read_from_names_and_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
