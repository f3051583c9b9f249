/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, connect addresses and targets: what is taken and what is refused in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/options.h"
#include "client/url.h"
#include "config/option.h"

#include <string.h>

static void good_urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *scheme, *host;
        uint16_t port;
        const char *path;
        bool encrypted;
    } rows[] = {
        {"ws://127.0.0.1:8080/ws", "ws", "127.0.0.1", 8080, "/ws", false},
        {"wss://burrow.example.com", "wss", "burrow.example.com", 443, "/ws", true},
        {"ws://h", "ws", "h", 80, "/ws", false},
        {"wss://h/a/b?c=d", "wss", "h", 443, "/a/b?c=d", true},
        {"wss://h?c=d", "wss", "h", 443, "/ws?c=d", true},
        {"ws://[::1]:81/", "ws", "::1", 81, "/", false},
        {"ws://[::1]", "ws", "::1", 80, "/ws", false},
        {"tls://h:7000", "tls", "h", 7000, "", true},
        {"tls://[::1]:7000/", "tls", "::1", 7000, "", true},
        {"own+2://h:7000/x?y", "own+2", "h", 7000, "/x?y", false},
        {"unix:///run/x.sock", "unix", "", 0, "/run/x.sock", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server_url url;
        struct error err = {0};
        assert_int_equal(server_url_parse(rows[i].text, &url, &err), 0);
        assert_string_equal(url.scheme, rows[i].scheme);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_string_equal(url.path, rows[i].path);
        assert_int_equal(url.encrypted, rows[i].encrypted);
    }
}

static void bad_urls_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "h",
        "h:80",
        "http://h/ws",
        "unix://",
        "Unix:///run/x.sock",
        "averylongschemename://h:1",
        "ws:/h",
        "ws://",
        "ws://:80",
        "ws://h:0",
        "ws://h:65536",
        "ws://h:x",
        "ws://[::1",
        "ws://::1:80",
        "ws://h /ws",
        "ws://h/#a",
        "ws://h/\x01",
        "ws://\xc3\xa4",
        "tls://h",
        "tls://h:1/x",
        "tls://h:1?a",
        "ws://h:80:80",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server_url url;
        struct error err = {0};
        assert_true(server_url_parse(rows[i], &url, &err) < 0);
        assert_non_null(strstr(err.text, "expected ws://"));
    }
}

static void a_password_in_a_url_is_not_repeated(void **state)
{
    (void)state;
    struct server_url url;
    struct error err = {0};
    assert_true(server_url_parse("ws://user:hunter2@h/ws", &url, &err) < 0);
    assert_null(strstr(err.text, "hunter2"));
}

static void a_connect_address_may_leave_the_port_to_the_url(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } rows[] = {{"10.0.0.1", "10.0.0.1", 443},
                {"10.0.0.1:80", "10.0.0.1", 80},
                {"h", "h", 443},
                {"h:80", "h", 80},
                {"::1", "::1", 443},
                {"[::1]:80", "::1", 80},
                {"[::1]", "::1", 443}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char host[256];
        uint16_t port = 443;
        struct error err = {0};
        assert_int_equal(connect_addr_parse(rows[i].text, host, &port, &err), 0);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
    static const char *const bad[] = {"", ":80", "h:", "h:0", "h:65536", "[::1", "a b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char host[256];
        uint16_t port = 1;
        struct error err = {0};
        assert_true(connect_addr_parse(bad[i], host, &port, &err) < 0);
        assert_int_equal(port, 1);
    }
}

static struct client_options good(void)
{
    static const char *const targets[] = {"127.0.0.1:80", "127.0.0.1:81"};
    struct client_options o = {.server_url = "ws://h/ws",
                               .client_id = "pg",
                               .local_target = {.items = targets, .count = 1}};
    return o;
}

static void wrong(const struct client_options *o, const char *flag, const char *variable)
{
    struct error err = {0};
    assert_int_equal(client_options_check(o, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, flag));
    assert_non_null(strstr(err.text, variable));
}

static void each_option_is_named_when_it_is_wrong(void **state)
{
    (void)state;
    struct client_options o = good();
    assert_int_equal(client_options_check(&o, NULL), 0);
    o.client_id = NULL;
    wrong(&o, "--client-id (", "BURROW_CLIENT_ID): required");
    o.client_id = "a\nb";
    wrong(&o, "--client-id (", "BURROW_CLIENT_ID)");
    o = good();
    o.local_target.count = 2;
    wrong(&o, "--local-target (", "BURROW_LOCAL_TARGET)");
    o.local_target.count = 0;
    wrong(&o, "--local-target (", "BURROW_LOCAL_TARGET): required");
    o = good();
    o.server_url = "x";
    wrong(&o, "--server-url (", "BURROW_SERVER_URL)");
    o = good();
    o.connect_addr = ":1";
    wrong(&o, "--connect-addr (", "BURROW_CONNECT_ADDR)");
    o = good();
    o.bearer_token = (struct burrow_secret){(const uint8_t *)"a b", 3};
    wrong(&o, "--bearer-token (", "BURROW_BEARER_TOKEN)");
    o.bearer_token = (struct burrow_secret){(const uint8_t *)"ab", 2};
    o.bearer_token_file = "f";
    wrong(&o, "--bearer-token-file (", "--bearer-token (");
}

static void a_client_id_has_1_to_128_bytes(void **state)
{
    (void)state;
    char id[130];
    memset(id, 'i', sizeof id);
    struct client_options o = good();
    o.client_id = id;
    id[128] = '\0';
    assert_int_equal(client_options_check(&o, NULL), 0);
    id[128] = 'i';
    id[129] = '\0';
    wrong(&o, "--client-id (", "129 bytes");
    o.client_id = "";
    wrong(&o, "--client-id (", "required");
}

static void the_option_table_is_sound(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(option_table_check(client_option_table, sizeof(struct client_options), &err),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_urls_are_taken_apart),
        cmocka_unit_test(bad_urls_are_refused),
        cmocka_unit_test(a_password_in_a_url_is_not_repeated),
        cmocka_unit_test(a_connect_address_may_leave_the_port_to_the_url),
        cmocka_unit_test(each_option_is_named_when_it_is_wrong),
        cmocka_unit_test(a_client_id_has_1_to_128_bytes),
        cmocka_unit_test(the_option_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
