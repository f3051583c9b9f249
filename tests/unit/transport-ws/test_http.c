/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP on the server's port, byte by byte from a raw socket: requests, refusals, upgrades and
 * what may not pass for one. */
#include "rig.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"

/* What the last http_request said, and its answer by and by. */
struct seen {
    char path[128], query[128], method[8], authorization[64];
    uint32_t role, flags;
    void *token;
};

static void note(struct burrow_link *link, void *token, const struct burrow_http *http)
{
    struct seen *seen = (struct seen *)link->arg;
    snprintf(seen->path, sizeof seen->path, "%s", http->path);
    snprintf(seen->query, sizeof seen->query, "%s", http->query);
    snprintf(seen->method, sizeof seen->method, "%s", http->method);
    snprintf(seen->authorization, sizeof seen->authorization, "%s",
             http->authorization != NULL ? http->authorization : "");
    seen->role = http->role;
    seen->flags = http->flags;
    seen->token = token;
}

static const struct burrow_http_response ok = {
    .size = sizeof ok, .status = 200, .content_type = "text/plain", .body = "ok", .body_len = 2};

/* Inside http_request, as the server's routes do. */
static void answer_ok(struct burrow_link *link, void *token, const struct burrow_http *http)
{
    note(link, token, http);
    fake_link_respond(link, token, &ok);
}

/* Sends a request on a connection of its own and reads all of the answer. */
static void ask(struct rig *rig, const char *request, char *buf, size_t size, struct seen *seen)
{
    struct burrow_link link = {.on_http = answer_ok, .arg = seen};
    memset(seen, 0, sizeof *seen);
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, request);
    raw_read_all(rig, fd, buf, size);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
}

static void assert_status(struct rig *rig, const char *request, const char *status)
{
    char buf[1024];
    struct seen seen;
    ask(rig, request, buf, sizeof buf, &seen);
    if (strncmp(buf, status, strlen(status)) != 0)
        fail_msg("expected %s for\n%s\nbut got\n%s", status, request, buf);
    assert_null(seen.token);
}

static void a_request_is_answered_by_the_host(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char buf[1024];
    struct seen seen;
    ask(rig, "GET /healthz?a=1&b=x%20y HTTP/1.1\r\nHost: x\r\nAuthorization: Basic eA==\r\n\r\n",
        buf, sizeof buf, &seen);
    assert_non_null(strstr(buf, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(buf, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(buf, "\r\nContent-Length: 2\r\n"));
    assert_non_null(strstr(buf, "\r\n\r\nok"));
    assert_string_equal(seen.method, "GET");
    assert_string_equal(seen.path, "/healthz");
    assert_string_equal(seen.query, "a=1&b=x%20y");
    assert_string_equal(seen.authorization, "Basic eA==");
    assert_int_equal(seen.role, BURROW_ROLE_MAIN);
}

static void head_is_answered_without_a_body(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char buf[1024];
    struct seen seen;
    ask(rig, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", buf, sizeof buf, &seen);
    assert_non_null(strstr(buf, "Content-Length: 2\r\n"));
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\n");
    assert_string_equal(seen.method, "HEAD");
}

static void http_1_0_and_connection_close_are_answered_too(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char buf[1024];
    struct seen seen;
    ask(rig, "GET /healthz HTTP/1.0\r\n\r\n", buf, sizeof buf, &seen);
    assert_non_null(strstr(buf, "\r\n\r\nok"));
    ask(rig, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", buf, sizeof buf,
        &seen);
    assert_non_null(strstr(buf, "\r\n\r\nok"));
}

static void an_answer_may_come_turns_later(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct seen seen = {.token = NULL};
    struct burrow_link link = {.on_http = note, .arg = &seen};
    char buf[1024];
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_until(rig, &link.http_requests, 1);
    fake_host_settle(&rig->host, 20);
    fake_link_respond(&link, seen.token, &ok);
    raw_read_all(rig, fd, buf, sizeof buf);
    assert_non_null(strstr(buf, "\r\n\r\nok"));
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
}

static void a_megabyte_is_answered_whole(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct seen seen = {.token = NULL};
    struct burrow_link link = {.on_http = note, .arg = &seen};
    size_t len = 1u << 20, size = len + 1024;
    char *body = (char *)malloc(len), *buf = (char *)malloc(size);
    assert_true(body != NULL && buf != NULL);
    memset(body, 'm', len);
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_until(rig, &link.http_requests, 1);
    struct burrow_http_response response = ok;
    response.body = body;
    response.body_len = len;
    fake_link_respond(&link, seen.token, &response);
    raw_read_all(rig, fd, buf, size);
    assert_memory_equal(strstr(buf, "\r\n\r\n") + 4, body, len);
    assert_int_equal(strlen(strstr(buf, "\r\n\r\n") + 4), len);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
    free(body);
    free(buf);
}

static void a_request_whose_link_is_closed_is_cancelled(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct seen seen = {.token = NULL};
    struct burrow_link link = {.on_http = note, .arg = &seen};
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_until(rig, &link.http_requests, 1);
    fake_link_close(&link, BURROW_CLOSE_GOING_AWAY, "stopping");
    rig_until_closed(rig, &link);
    assert_int_equal(link.http_cancelled, 1);
    fake_link_finish(&link);
    close(fd);
}

static void only_a_loopback_peer_without_a_proxy_is_trusted(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char buf[1024], request[256];
    struct seen seen;
    static const char *const forwarding[] = {"X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4",
                                             "X-Real-IP: 1.2.3.4",       "Via: 1.1 proxy",
                                             "X-Forwarded-Proto: https", "X-Forwarded-Host: h"};
    ask(rig, "GET /api HTTP/1.1\r\nHost: x\r\n\r\n", buf, sizeof buf, &seen);
    assert_int_equal(seen.flags, BURROW_HTTP_TRUSTED_PEER);
    for (size_t i = 0; i < sizeof forwarding / sizeof forwarding[0]; i++) {
        snprintf(request, sizeof request, "GET /api HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
                 forwarding[i]);
        ask(rig, request, buf, sizeof buf, &seen);
        assert_non_null(seen.token);
        assert_int_equal(seen.flags, 0);
    }
}

static void other_methods_and_bodies_are_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    assert_status(rig, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405");
    assert_status(rig, "PUT / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405");
    assert_status(rig, "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405");
    assert_status(rig, "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405");
    assert_status(rig, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
                  "HTTP/1.1 400");
    assert_status(rig, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                  "HTTP/1.1 400");
    assert_status(rig,
                  "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
                  "HTTP/1.1 400");
    assert_status(rig, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
                  "HTTP/1.1 400");
}

/* Whatever it is, it is never served. libwebsockets answers some of it by itself and waits for
 * more; then the time for a request ends the connection. */
static void garbage_is_never_served(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const char *const requests[] = {
        "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%00b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a%0d%0ab HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "SSH-2.0-OpenSSH_9.2\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        char buf[1024] = "";
        struct seen seen = {.token = NULL};
        struct burrow_link link = {.on_http = answer_ok, .arg = &seen};
        int fd = rig_raw(rig, &link);
        raw_send_text(fd, requests[i]);
        fake_host_settle(&rig->host, 5);
        fake_host_advance(&rig->host, 10000);
        raw_read_all(rig, fd, buf, sizeof buf);
        if (buf[0] != 0 && strncmp(buf, "HTTP/1.1 4", 10) != 0 &&
            strncmp(buf, "HTTP/1.0 4", 10) != 0)
            fail_msg("served %s as %s", requests[i], buf);
        assert_null(seen.token);
        close(fd);
        rig_until_closed(rig, &link);
        fake_link_finish(&link);
    }
}

static void dots_do_not_climb_out_of_the_path(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char buf[1024];
    struct seen seen;
    ask(rig, "GET /a/%2e%2e/../../healthz HTTP/1.1\r\nHost: x\r\n\r\n", buf, sizeof buf, &seen);
    assert_null(strstr(seen.path, ".."));
}

static void a_head_of_over_16_kib_is_not_served(void **state)
{
    struct rig *rig = (struct rig *)*state;
    size_t size = 20000;
    char *request = (char *)malloc(size), buf[1024];
    assert_non_null(request);
    int n = snprintf(request, size, "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ");
    memset(request + n, 'x', size - (size_t)n);
    memcpy(request + size - 5, "\r\n\r\n", 5);
    struct seen seen = {.token = NULL};
    struct burrow_link link = {.on_http = answer_ok, .arg = &seen};
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, request);
    raw_read_all(rig, fd, buf, sizeof buf);
    assert_null(seen.token);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
    free(request);
}

static void a_silent_or_slow_request_is_closed_after_ten_seconds(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link silent = {0}, slow = {0};
    int a = rig_raw(rig, &silent), b = rig_raw(rig, &slow);
    raw_send_text(b, "GET / HTTP/1.1\r\nHo");
    fake_host_settle(&rig->host, 20);
    fake_host_advance(&rig->host, 9999);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(silent.closed + slow.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &silent);
    rig_until_closed(rig, &slow);
    fake_link_finish(&silent);
    fake_link_finish(&slow);
    close(a);
    close(b);
}

static void a_peer_that_leaves_before_its_request_is_noticed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link link = {0};
    int fd = rig_raw(rig, &link);
    close(fd);
    rig_until_closed(rig, &link);
    assert_int_equal(link.code, BURROW_CLOSE_PEER);
    fake_link_finish(&link);
}

static void upgrades_that_break_the_rfc_are_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"GET /other HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n", "HTTP/1.1 404"},
        {"POST /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n", "HTTP/1.1 405"},
        {"GET /ws HTTP/1.0\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n", "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" KEY VERSION "\r\n",
         "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: close\r\n" KEY VERSION
         "\r\n",
         "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE VERSION "\r\n", "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE VERSION "Sec-WebSocket-Key: eA==\r\n\r\n",
         "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE VERSION KEY KEY "\r\n", "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY "\r\n", "HTTP/1.1 426"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY "Sec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION
         "Origin: https://evil.example\r\n\r\n",
         "HTTP/1.1 403"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "Content-Length: 3\r\n\r\nabc",
         "HTTP/1.1 400"},
        {"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426"},
        {"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
         "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
         "HTTP/1.1 400"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_status(rig, cases[i].request, cases[i].status);
}

/* What the host was asked; it refuses. */
struct asked {
    uint32_t method;
    bool token_shown;
    size_t token_len;
};

static void refuse_at_once(struct burrow_link *link, const struct burrow_credential *credential)
{
    const struct burrow_verdict verdict = {.size = sizeof verdict,
                                           .result = BURROW_AUTH_DENY,
                                           .code = BURROW_CODE_INVALID_TOKEN,
                                           .request_id = 4711};
    *(struct asked *)link->arg =
        (struct asked){credential->method, credential->token != NULL, credential->token_len};
    fake_link_admit(link, &verdict);
}

static struct asked upgrade_refused(struct rig *rig, const char *request)
{
    struct asked asked = {0};
    struct burrow_link link = {.on_authenticate = refuse_at_once, .arg = &asked};
    char buf[1024];
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, request);
    raw_read_all(rig, fd, buf, sizeof buf);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
    assert_int_equal(strncmp(buf, "HTTP/1.1 401", 12), 0);
    assert_non_null(strstr(buf, "\r\nX-Request-Id: 4711\r\n"));
    assert_non_null(
        strstr(buf, "\r\n\r\nunauthorized: code=invalid_token reason=the token is not valid\n"));
    return asked;
}

static void two_credentials_go_to_the_host_without_a_token(void **state)
{
    struct asked asked = upgrade_refused(
        (struct rig *)*state, "GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION
                              "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n");
    assert_int_equal(asked.method, BURROW_CREDENTIAL_SEVERAL);
    assert_false(asked.token_shown);
}

static void a_token_that_is_too_long_goes_to_the_host(void **state)
{
    static char request[10000];
    snprintf(request, sizeof request,
             "GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION
             "Authorization: Bearer %08193d\r\n\r\n",
             0);
    struct asked asked = upgrade_refused((struct rig *)*state, request);
    assert_int_equal(asked.method, BURROW_CREDENTIAL_HEADER);
    assert_int_equal(asked.token_len, 8193);
}

static void a_listed_origin_may_connect(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link link = {.on_authenticate = admit_at_once};
    char buf[13] = "";
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION
                      "Origin: https://GOOD.example\r\n\r\n");
    raw_read(rig, fd, buf, 12);
    assert_string_equal(buf, "HTTP/1.1 101");
    rig_drop(rig, &link, NULL);
    close(fd);
}

static void the_admin_listener_has_requests_and_no_sessions(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct seen seen = {.token = NULL};
    char buf[1024];
    struct burrow_link link = {.on_http = answer_ok, .arg = &seen, .role = BURROW_ROLE_ADMIN};
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read_all(rig, fd, buf, sizeof buf);
    assert_non_null(strstr(buf, "\r\n\r\nok"));
    assert_int_equal(seen.role, BURROW_ROLE_ADMIN);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
    link = (struct burrow_link){.role = BURROW_ROLE_ADMIN};
    fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n");
    raw_read_all(rig, fd, buf, sizeof buf);
    assert_memory_equal(buf, "HTTP/1.1 404", 12);
    close(fd);
    rig_until_closed(rig, &link);
    fake_link_finish(&link);
}

static void bytes_behind_an_upgrade_never_become_a_request(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct seen seen = {.token = NULL};
    char buf[2048];
    struct burrow_link link = {.on_http = answer_ok, .arg = &seen};
    int fd = rig_raw(rig, &link);
    raw_send_text(fd, "GET /ws HTTP/1.1\r\nHost: x\r\n" UPGRADE KEY VERSION "\r\n"
                      "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    fake_host_settle(&rig->host, 20);
    assert_null(seen.token);
    if (!link.closed)
        fake_link_close(&link, BURROW_CLOSE_ABORT, "done");
    rig_until_closed(rig, &link);
    raw_read_all(rig, fd, buf, sizeof buf);
    assert_string_equal(buf, "");
    fake_link_finish(&link);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup_plain, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered_by_the_host),
        TEST(head_is_answered_without_a_body),
        TEST(http_1_0_and_connection_close_are_answered_too),
        TEST(an_answer_may_come_turns_later),
        TEST(a_megabyte_is_answered_whole),
        TEST(a_request_whose_link_is_closed_is_cancelled),
        TEST(only_a_loopback_peer_without_a_proxy_is_trusted),
        TEST(other_methods_and_bodies_are_refused),
        TEST(garbage_is_never_served),
        TEST(dots_do_not_climb_out_of_the_path),
        TEST(a_head_of_over_16_kib_is_not_served),
        TEST(a_silent_or_slow_request_is_closed_after_ten_seconds),
        TEST(a_peer_that_leaves_before_its_request_is_noticed),
        TEST(upgrades_that_break_the_rfc_are_refused),
        TEST(two_credentials_go_to_the_host_without_a_token),
        TEST(a_token_that_is_too_long_goes_to_the_host),
        TEST(a_listed_origin_may_connect),
        TEST(the_admin_listener_has_requests_and_no_sessions),
        TEST(bytes_behind_an_upgrade_never_become_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
