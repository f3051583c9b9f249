/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses survive the way to text and to the kernel; HOST:PORT is taken
 * strictly. */
#include "base/address.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void format_is(const char *literal, uint16_t port, const char *expected)
{
    struct burrow_addr addr;
    char text[ADDRESS_TEXT];
    assert_int_equal(address_parse_literal(literal, port, &addr), 0);
    assert_string_equal(address_format(&addr, text), expected);
}

static void literals_are_formatted_with_their_port(void **state)
{
    (void)state;
    format_is("127.0.0.1", 80, "127.0.0.1:80");
    format_is("::1", 65535, "[::1]:65535");
    format_is("2001:DB8::1", 1, "[2001:db8::1]:1");
    format_is("fe80::1%4294967295", 1, "[fe80::1%4294967295]:1");
}

static void an_address_of_no_family_is_an_empty_text(void **state)
{
    (void)state;
    struct burrow_addr addr = {0};
    char text[ADDRESS_TEXT] = "x";
    assert_string_equal(address_format(&addr, text), "");
}

static void a_mapped_address_is_an_ipv4_address(void **state)
{
    (void)state;
    format_is("::ffff:10.0.0.7", 4242, "10.0.0.7:4242");
}

static void names_are_not_literals(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",    "localhost", "1.2.3",         "1.2.3.4.5", "256.1.1.1",      "[::1]",     "::1%",
        ":::", "1.2.3.4 ",  "::1%nosuchif0", "12345::",   "::1%4294967296", "0x7f.0.0.1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct burrow_addr addr = {.port = 7};
        assert_int_equal(address_parse_literal(bad[i], 1, &addr), BURROW_EINVAL);
        assert_int_equal(addr.port, 7);
    }
}

static void an_address_survives_the_way_to_the_kernel_and_back(void **state)
{
    (void)state;
    static const char *const literals[] = {"192.0.2.1", "2001:db8::2", "fe80::3%7"};
    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        struct burrow_addr before, after;
        struct sockaddr_storage ss;
        assert_int_equal(address_parse_literal(literals[i], 8080, &before), 0);
        socklen_t n = address_to_sockaddr(&before, &ss);
        assert_int_equal(n, before.family == 4 ? sizeof(struct sockaddr_in)
                                               : sizeof(struct sockaddr_in6));
        address_from_sockaddr(&after, (struct sockaddr *)&ss);
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void a_unix_socket_has_no_family(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_storage ss = {0};
    struct burrow_addr addr = {.family = 4};
    address_from_sockaddr(&addr, (struct sockaddr *)&un);
    assert_int_equal(addr.family, 0);
    assert_int_equal(address_to_sockaddr(&addr, &ss), 0);
}

static void loopback_is_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1", true},        {"127.255.0.3", true}, {"::1", true},      {"128.0.0.1", false},
        {"::ffff:127.0.0.1", true}, {"::2", false},        {"0.0.0.0", false}, {"::", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct burrow_addr addr;
        assert_int_equal(address_parse_literal(cases[i].text, 1, &addr), 0);
        assert_int_equal(address_is_loopback(&addr), cases[i].loopback);
    }
    struct burrow_addr none = {0};
    assert_false(address_is_loopback(&none));
}

#define LISTEN (ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST)

static void endpoints_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned flags;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:80", 0, "127.0.0.1", 80},
        {"[::1]:80", 0, "::1", 80},
        {"[fe80::1%1]:80", 0, "fe80::1%1", 80},
        {"localhost:1", 0, "localhost", 1},
        {"my_db.example.com.:65535", 0, "my_db.example.com.", 65535},
        {":8080", LISTEN, "", 8080},
        {"0.0.0.0:0", LISTEN, "0.0.0.0", 0},
        {"3com.com:443", 0, "3com.com", 443},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint ep;
        struct error err = {0};
        assert_int_equal(endpoint_parse(cases[i].text, cases[i].flags, &ep, &err), 0);
        assert_false(ep.is_unix);
        assert_string_equal(ep.host, cases[i].host);
        assert_int_equal(ep.port, cases[i].port);
        assert_string_equal(ep.path, "");
    }
}

static void a_unix_path_is_taken_where_it_is_allowed(void **state)
{
    (void)state;
    struct endpoint ep;
    struct error err = {0};
    assert_int_equal(endpoint_parse("unix:/run/x.sock", ENDPOINT_UNIX, &ep, &err), 0);
    assert_true(ep.is_unix);
    assert_string_equal(ep.path, "/run/x.sock");
    assert_int_equal(endpoint_parse("unix:/run/x.sock", 0, &ep, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "Unix socket"));
}

static void a_unix_path_must_fit_into_a_socket_address(void **state)
{
    (void)state;
    struct endpoint ep;
    struct error err = {0};
    char text[5 + 109] = "unix:";
    memset(text + 5, '/', 107);
    assert_int_equal(endpoint_parse(text, ENDPOINT_UNIX, &ep, &err), 0);
    assert_int_equal(strlen(ep.path), 107);
    text[5 + 107] = 'x';
    assert_int_equal(endpoint_parse(text, ENDPOINT_UNIX, &ep, &err), BURROW_EINVAL);
}

static void bad_endpoints_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned flags;
        const char *says;
    } cases[] = {
        {"", 0, "empty"},
        {":80", 0, "no host"},
        {"h:", 0, "\"\" is not a port"},
        {"h", 0, "no port"},
        {"h:0", 0, "expected 1 to 65535"},
        {"h:65536", LISTEN, "expected 0 to 65535"},
        {"h:99999999999999999999", LISTEN, "is not a port"},
        {"h:-1", LISTEN, "is not a port"},
        {"h:+1", 0, "is not a port"},
        {"h: 1", 0, "is not a port"},
        {"h:1x", 0, "is not a port"},
        {"[::1]", 0, "no port"},
        {"[::1", 0, "no port"},
        {"[::1]80", 0, "no port"},
        {"[]:80", LISTEN, "is not an IPv6 address"},
        {"[127.0.0.1]:80", 0, "is not an IPv6 address"},
        {"[localhost]:80", 0, "is not an IPv6 address"},
        {"::1:80", 0, "brackets"},
        {"::1", 0, "brackets"},
        {"1.2.3:80", 0, "not a host name or IPv4 address"},
        {"256.0.0.1:80", 0, "not a host name or IPv4 address"},
        {"a..b:80", 0, "not a host name"},
        {".a:80", 0, "not a host name"},
        {"a b:80", 0, "not a host name"},
        {"a/b:80", 0, "not a host name"},
        {"h\xc3\xa9:80", 0, "not a host name"},
        {"unix:", ENDPOINT_UNIX, "absolute path"},
        {"unix:run", ENDPOINT_UNIX, "absolute path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct endpoint ep = {.port = 7};
        struct error err = {0};
        assert_int_equal(endpoint_parse(cases[i].text, cases[i].flags, &ep, &err), BURROW_EINVAL);
        assert_non_null(strstr(err.text, cases[i].says));
        assert_non_null(strstr(err.text, cases[i].text));
        assert_int_equal(ep.port, 7);
    }
}

static void host_names_have_the_lengths_of_dns(void **state)
{
    (void)state;
    struct endpoint ep;
    char text[400];
    char label[65];
    memset(label, 'a', 64);
    label[64] = '\0';
    snprintf(text, sizeof text, "%.63s:80", label);
    assert_int_equal(endpoint_parse(text, 0, &ep, NULL), 0);
    snprintf(text, sizeof text, "%.64s:80", label);
    assert_int_equal(endpoint_parse(text, 0, &ep, NULL), BURROW_EINVAL);
    snprintf(text, sizeof text, "%.63s.%.63s.%.63s.%.61s:80", label, label, label, label);
    assert_int_equal(endpoint_parse(text, 0, &ep, NULL), 0);
    snprintf(text, sizeof text, "%.63s.%.63s.%.63s.%.62s:80", label, label, label, label);
    assert_int_equal(endpoint_parse(text, 0, &ep, NULL), BURROW_EINVAL);
    snprintf(text, sizeof text, "%.63s.%.63s.%.63s.%.63s.:80", label, label, label, label);
    assert_int_equal(endpoint_parse(text, 0, &ep, NULL), BURROW_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_formatted_with_their_port),
        cmocka_unit_test(an_address_of_no_family_is_an_empty_text),
        cmocka_unit_test(a_mapped_address_is_an_ipv4_address),
        cmocka_unit_test(names_are_not_literals),
        cmocka_unit_test(an_address_survives_the_way_to_the_kernel_and_back),
        cmocka_unit_test(a_unix_socket_has_no_family),
        cmocka_unit_test(loopback_is_recognised),
        cmocka_unit_test(endpoints_are_taken_apart),
        cmocka_unit_test(a_unix_path_is_taken_where_it_is_allowed),
        cmocka_unit_test(a_unix_path_must_fit_into_a_socket_address),
        cmocka_unit_test(bad_endpoints_are_refused_by_name),
        cmocka_unit_test(host_names_have_the_lengths_of_dns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
