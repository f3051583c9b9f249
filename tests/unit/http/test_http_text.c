/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client's pure parts: URLs, and headers that say a time. */
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void urls_of_http_and_https_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *origin;
        uint16_t port;
        bool https, loopback;
    } rows[] = {
        {"https://idp.example/jwks?x=y", "idp.example", "https://idp.example:443", 443, true,
         false},
        {"HTTP://localhost", "localhost", "http://localhost:80", 80, false, true},
        {"http://127.8.9.1:8080/", "127.8.9.1", "http://127.8.9.1:8080", 8080, false, true},
        {"https://[::1]:6443/api", "::1", "https://[::1]:6443", 6443, true, true},
        {"http://127.1/", "127.0.0.1", "http://127.0.0.1:80", 80, false, true},
        {"http://127.0.0.1.example/", "127.0.0.1.example", "http://127.0.0.1.example:80", 80, false,
         false},
        {"https://10.0.0.1:65535/", "10.0.0.1", "https://10.0.0.1:65535", 65535, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_url url;
        assert_int_equal(http_url_parse(rows[i].url, &url, NULL), BURROW_OK);
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.origin, rows[i].origin);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.https, rows[i].https);
        assert_int_equal(url.loopback, rows[i].loopback);
    }
}

static void other_urls_are_refused_with_a_reason_that_does_not_repeat_them(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "idp.example",
        "ftp://idp.example/",
        "file:///etc/passwd",
        "https:/x",
        "https://",
        "https://user:hunter2@idp.example/",
        "https://user@idp.example/",
        "https://idp.example/#hunter2",
        "https://idp.example:0/",
        "https://idp.example:65536/",
        "https://idp.example:x/",
        "https://idp example/",
        "https://idp.example/a b",
        "https://idp.example/\r\nX: y",
        "https://id\xc3\xb6.example/",
        "https://[fe80::1%25eth0]/",
        "https://idp%00.example/",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_url url = {.port = 7};
        const char *why = NULL;
        assert_int_equal(http_url_parse(bad[i], &url, &why), BURROW_EINVAL);
        assert_non_null(why);
        assert_null(strstr(why, "hunter2"));
        assert_int_equal(url.port, 7);
    }
    static char longest[HTTP_MAX_URL + 2] = "https://h/";
    memset(longest + 10, 'x', HTTP_MAX_URL - 10);
    struct http_url url;
    assert_int_equal(http_url_parse(longest, &url, NULL), BURROW_OK);
    longest[HTTP_MAX_URL] = 'x';
    assert_int_equal(http_url_parse(longest, &url, NULL), BURROW_EINVAL);
}

static void cache_control_says_how_long(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {NULL, -1},
        {"", -1},
        {"public", -1},
        {"max-age=60", 60000},
        {"public, Max-Age=300 , must-revalidate", 300000},
        {"max-age=\"5\"", 5000},
        {"max-age=60, no-store", 0},
        {"no-cache", 0},
        {"max-age=-1", -1},
        {"max-age=", -1},
        {"max-age=1e9", -1},
        {"s-maxage=10", -1},
        {"max-age=0", 0},
        {"max-age=60, max-age=3600", 60000},
        {"max-age=3600, max-age=60, max-age=x", 60000},
        {"max-age=99999999999999999999999", 31536000000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(http_cache_ms(rows[i].text), rows[i].ms);
}

static void retry_after_is_seconds_or_a_date(void **state)
{
    (void)state;
    assert_int_equal(http_retry_after_ms("120", 0), 120000);
    assert_int_equal(http_retry_after_ms("0", 0), 0);
    assert_int_equal(http_retry_after_ms("Fri, 31 Dec 1999 23:59:59 GMT", 946684789), 10000);
    assert_int_equal(http_retry_after_ms("Fri, 31 Dec 1999 23:59:59 GMT", 946684900), 0);
    assert_int_equal(http_retry_after_ms("soon", 0), -1);
    assert_int_equal(http_retry_after_ms("-5", 0), -1);
    assert_int_equal(http_retry_after_ms(NULL, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_of_http_and_https_are_taken_apart),
        cmocka_unit_test(other_urls_are_refused_with_a_reason_that_does_not_repeat_them),
        cmocka_unit_test(cache_control_says_how_long),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
