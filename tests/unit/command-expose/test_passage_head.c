/* SPDX-License-Identifier: Apache-2.0 */
/* The head of a request on its way to the API server. */
#include "passage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define SECRET "00112233445566778899aabbccddeeff"
#define FIELDS "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static void line_host_and_authorization_become_those_of_the_cluster(void **state)
{
    (void)state;
    char buf[400];
    static const char head[] = "GET /" SECRET " HTTP/1.1\r\nHost: 127.0.0.1:9\r\n"
                               "authorization: Bearer mine\r\n" FIELDS "\r\n";
    static const char expected[] = "GET /api/x/proxy/ws HTTP/1.1\r\nHost: api:6443\r\n"
                                   "Authorization: Bearer theirs\r\n" FIELDS "\r\n";
    size_t n =
        passage_head(head, SECRET, "/api/x/proxy/ws", "api:6443", "Bearer theirs", buf, sizeof buf);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(buf, expected, n);
}

static void without_a_token_there_is_no_authorization(void **state)
{
    (void)state;
    char buf[400] = "";
    size_t n =
        passage_head("GET /" SECRET " HTTP/1.1\r\n\r\n", SECRET, "/p", "h", NULL, buf, sizeof buf);
    assert_int_equal(n, strlen("GET /p HTTP/1.1\r\nHost: h\r\n\r\n"));
    buf[n] = '\0';
    assert_null(strstr(buf, "Authorization"));
}

static void whoever_does_not_know_the_secret_gets_nothing(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "GET /00112233445566778899aabbccddeefe HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        ("GET /" SECRET "/../secrets HTTP/1.1\r\n\r\n"),
        ("GET /" SECRET " HTTP/1.0\r\n\r\n"),
        ("POST /" SECRET " HTTP/1.1\r\n\r\n"),
        ("GET /" SECRET),
        "",
    };
    char buf[400];
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        assert_int_equal(passage_head(heads[i], SECRET, "/p", "h", NULL, buf, sizeof buf), 0);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    char buf[60];
    assert_int_equal(passage_head("GET /" SECRET " HTTP/1.1\r\n" FIELDS "\r\n", SECRET, "/p", "h",
                                  NULL, buf, sizeof buf),
                     0);
    assert_int_equal(passage_head("GET /" SECRET " HTTP/1.1\r\n\r\n", SECRET, "/p", "h",
                                  "Bearer a-token-that-is-longer-than-all-of-the-buffer-is", buf,
                                  sizeof buf),
                     0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_host_and_authorization_become_those_of_the_cluster),
        cmocka_unit_test(without_a_token_there_is_no_authorization),
        cmocka_unit_test(whoever_does_not_know_the_secret_gets_nothing),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
