/* SPDX-License-Identifier: Apache-2.0 */
/* Which proxy leads where, NO_PROXY's rules, and proxies' URLs good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/proxy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void no_proxy_is_read_as_go_reads_it(void **state)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool excepted;
    } rows[] = {
        {NULL, "a.example", 80, false},
        {"", "a.example", 80, false},
        {"*", "a.example", 80, true},
        {"*", "192.0.2.1", 80, true},
        {"a.example", "a.example", 80, true},
        {"A.Example", "a.eXample", 80, true},
        {"a.example", "b.a.example", 80, true},
        {"a.example", "ba.example", 80, false},
        {"a.example", "example", 80, false},
        {".example", "a.example", 80, true},
        {".example", "example", 80, false},
        {"*.example", "a.b.example", 80, true},
        {"*.example", "example", 80, false},
        {"a.example.", "a.example", 80, true},
        {"a.example", "a.example.", 80, true},
        {"a.example:8080", "a.example", 8080, true},
        {"a.example:8080", "a.example", 80, false},
        {"x, a.example ,y", "a.example", 80, true},
        {"x a.example\ty", "a.example", 80, true},
        {",,", "a.example", 80, false},
        {"192.0.2.1", "192.0.2.1", 80, true},
        {"192.0.2.1", "192.0.2.10", 80, false},
        {"192.0.2.1:80", "192.0.2.1", 80, true},
        {"192.0.2.1:81", "192.0.2.1", 80, false},
        {"192.0.2.0/24", "192.0.2.255", 80, true},
        {"192.0.2.0/24", "192.0.3.1", 80, false},
        {"192.0.2.128/25", "192.0.2.127", 80, false},
        {"192.0.2.128/25", "192.0.2.129", 80, true},
        {"0.0.0.0/0", "203.0.113.9", 80, true},
        {"0.0.0.0/0", "a.example", 80, false},
        {"192.0.2.0/33", "192.0.2.1", 80, false},
        {"192.0.2.0/", "192.0.2.1", 80, false},
        {"192.0.2.0/2x", "192.0.2.1", 80, false},
        {"2001:db8::1", "2001:db8::1", 80, true},
        {"[2001:db8::1]", "2001:db8:0::1", 80, true},
        {"[2001:db8::1]:80", "2001:db8::1", 80, true},
        {"[2001:db8::1]:81", "2001:db8::1", 80, false},
        {"2001:db8::/33", "2001:db8:7fff::1", 80, true},
        {"2001:db8::/33", "2001:db8:8000::1", 80, false},
        {"2001:db8::/32", "192.0.2.1", 80, false},
        {"2.1", "192.0.2.1", 80, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (proxy_is_excepted(rows[i].list, rows[i].host, rows[i].port) != rows[i].excepted)
            fail_msg("%s with %s:%u", rows[i].list, rows[i].host, (unsigned)rows[i].port);
}

static int choose(const char *http, const char *https, const char *except, const char *url_text,
                  const char *connect_host, struct proxy *ret, struct error *err)
{
    char values[3][1024];
    snprintf(values[0], sizeof values[0], "%s", http != NULL ? http : "");
    snprintf(values[1], sizeof values[1], "%s", https != NULL ? https : "");
    snprintf(values[2], sizeof values[2], "%s", except != NULL ? except : "");
    const struct proxy_settings settings = {
        .http = {"HTTP_PROXY", http != NULL ? values[0] : NULL},
        .https = {"https_proxy", https != NULL ? values[1] : NULL},
        .no_proxy = {"NO_PROXY", except != NULL ? values[2] : NULL},
    };
    struct server_url url;
    assert_int_equal(server_url_parse(url_text, &url, NULL), BURROW_OK);
    return proxy_choose(&settings, &url, connect_host != NULL ? connect_host : url.host, url.port,
                        ret, err);
}

static void the_scheme_chooses_the_variable(void **state)
{
    static const char *const urls[][2] = {{"ws://s.example/ws", "plain.test"},
                                          {"wss://s.example/ws", "secure.test"},
                                          {"tls://s.example:1", "secure.test"}};
    struct proxy proxy;
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(choose("http://plain.test:3128", "http://secure.test:3129", NULL,
                                urls[i][0], NULL, &proxy, NULL),
                         BURROW_OK);
        assert_string_equal(proxy.host, urls[i][1]);
        assert_int_equal(proxy.port, i == 0 ? 3128 : 3129);
        assert_string_equal(proxy.variable, i == 0 ? "HTTP_PROXY" : "https_proxy");
        assert_string_equal(proxy.authorization, "");
    }
    assert_int_equal(
        choose("http://plain.test", NULL, NULL, "wss://s.example/ws", NULL, &proxy, NULL),
        BURROW_OK);
    assert_string_equal(proxy.host, "");
}

static void this_machine_and_what_no_proxy_names_are_reached_directly(void **state)
{
    static const struct {
        const char *url, *connect_host, *except;
        bool direct;
    } rows[] = {
        {"ws://127.0.0.1/ws", NULL, NULL, true},
        {"ws://127.9.9.9/ws", NULL, NULL, true},
        {"ws://[::1]/ws", NULL, NULL, true},
        {"ws://LocalHost/ws", NULL, NULL, true},
        {"ws://192.0.2.1/ws", NULL, NULL, false},
        {"ws://192.0.2.1/ws", NULL, "192.0.2.1", true},
        {"ws://s.example/ws", NULL, "s.example:80", true},
        {"ws://s.example/ws", NULL, "s.example:81", false},
        /* --connect-addr is what is reached; NO_PROXY may name it or the URL's host. */
        {"ws://s.example/ws", "127.0.0.1", NULL, true},
        {"ws://s.example/ws", "192.0.2.1", NULL, false},
        {"ws://s.example/ws", "192.0.2.1", "192.0.2.0/24", true},
        {"ws://s.example/ws", "192.0.2.1", "example", true},
        {"ws://127.0.0.1/ws", "192.0.2.1", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy proxy;
        assert_int_equal(choose("proxy.test:3128", NULL, rows[i].except, rows[i].url,
                                rows[i].connect_host, &proxy, NULL),
                         BURROW_OK);
        if ((proxy.host[0] == '\0') != rows[i].direct)
            fail_msg("%s by %s without %s", rows[i].url,
                     rows[i].connect_host != NULL ? rows[i].connect_host : "itself",
                     rows[i].except != NULL ? rows[i].except : "anything");
    }
}

static void proxies_are_understood_in_all_their_forms(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *authorization;
    } rows[] = {
        {"http://p.test:3128", "p.test", 3128, ""},
        {"HTTP://p.test:3128/", "p.test", 3128, ""},
        {"p.test:3128", "p.test", 3128, ""},
        {"p.test", "p.test", 80, ""},
        {"http://192.0.2.7", "192.0.2.7", 80, ""},
        {"http://[2001:db8::1]:8080", "2001:db8::1", 8080, ""},
        {"http://user:pass@p.test:1", "p.test", 1, "Basic dXNlcjpwYXNz"},
        {"user:p@ss@p.test:1", "p.test", 1, "Basic dXNlcjpwQHNz"},
        {"http://us%65r:p%40%3As%2Fs@p.test:1", "p.test", 1, "Basic dXNlcjpwQDpzL3M="},
        {"http://user@p.test:1", "p.test", 1, "Basic dXNlcjo="},
        {"http://user:@p.test:1", "p.test", 1, "Basic dXNlcjo="},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct proxy proxy;
        assert_int_equal(choose(rows[i].text, NULL, NULL, "ws://s.example/ws", NULL, &proxy, NULL),
                         BURROW_OK);
        assert_string_equal(proxy.host, rows[i].host);
        assert_int_equal(proxy.port, rows[i].port);
        assert_string_equal(proxy.authorization, rows[i].authorization);
    }
}

static void a_bad_proxy_is_refused_by_name_and_its_value_is_kept_secret(void **state)
{
    static const char *const bad[] = {
        "https://user:hush@p.test:1",
        "socks5://user:hush@p.test:1",
        "http://user:hush@",
        "http://user:hush@p.test:0",
        "http://user:hush@p.test:65536",
        "http://user:hush@p.test:x",
        "http://user:hush@p.test/path",
        "http://us%zz:hush@p.test",
        "http://us%0aer:hush@p.test",
        "http://us%0:hush@p.test",
        "http://@p.test",
        "http://user:hush@[::1",
        "http://",
        "http://user:hush@p t",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct proxy proxy;
        struct error err = {0};
        if (choose(bad[i], NULL, NULL, "ws://s.example/ws", NULL, &proxy, &err) != BURROW_EINVAL)
            fail_msg("%s was let through", bad[i]);
        assert_non_null(strstr(err.text, "HTTP_PROXY: "));
        assert_null(strstr(err.text, "hush"));
        /* It is nobody's business where the way is direct. */
        assert_int_equal(choose(bad[i], NULL, "*", "ws://s.example/ws", NULL, &proxy, NULL),
                         BURROW_OK);
    }
}

static void credentials_have_a_limit(void **state)
{
    char text[PROXY_MAX_CREDENTIALS + 32] = "http://";
    struct proxy proxy;
    (void)state;
    for (size_t n = PROXY_MAX_CREDENTIALS; n <= PROXY_MAX_CREDENTIALS + 1; n++) {
        memset(text + 7, 'u', n);
        memcpy(text + 7 + n, "@p.test", sizeof "@p.test");
        assert_int_equal(choose(text, NULL, NULL, "ws://s.example/ws", NULL, &proxy, NULL),
                         n > PROXY_MAX_CREDENTIALS ? BURROW_EINVAL : BURROW_OK);
    }
}

static void the_environment_is_read_upper_case_first_and_wiped(void **state)
{
    struct proxy_settings settings;
    (void)state;
    setenv("HTTP_PROXY", "http://user:hush@upper.test", 1);
    setenv("http_proxy", "lower.test", 1);
    setenv("HTTPS_PROXY", "", 1);
    setenv("https_proxy", "lower:hush@lower.test", 1);
    setenv("NO_PROXY", "", 1);
    unsetenv("no_proxy");
    proxy_settings_read(&settings);
    assert_string_equal(settings.http.name, "HTTP_PROXY");
    assert_string_equal(settings.https.name, "https_proxy");
    assert_null(settings.no_proxy.value);
    proxy_settings_wipe(&settings);
    assert_string_equal(getenv("HTTP_PROXY"), "http://*********@upper.test");
    assert_string_equal(getenv("https_proxy"), "**********@lower.test");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_proxy_is_read_as_go_reads_it),
        cmocka_unit_test(the_scheme_chooses_the_variable),
        cmocka_unit_test(this_machine_and_what_no_proxy_names_are_reached_directly),
        cmocka_unit_test(proxies_are_understood_in_all_their_forms),
        cmocka_unit_test(a_bad_proxy_is_refused_by_name_and_its_value_is_kept_secret),
        cmocka_unit_test(credentials_have_a_limit),
        cmocka_unit_test(the_environment_is_read_upper_case_first_and_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
