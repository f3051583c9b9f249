/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against servers that stall, flood, lie, redirect and break off. */
#include "rig.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* The way of misbehaving is the path. */
static bool misbehave(void *arg, struct http_peer *peer)
{
    const char *other = arg;
    const char *path = peer->path;
    char chunk[16384];
    memset(chunk, 'x', sizeof chunk);
    if (strcmp(path, "/drip") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while (http_peer_write(peer, "x", 1) && http_peer_wait(peer, 100))
            continue;
    } else if (strcmp(path, "/silent") == 0) {
        while (http_peer_wait(peer, 100))
            continue;
    } else if (strcmp(path, "/flood") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n");
        while (http_peer_write(peer, chunk, sizeof chunk))
            continue;
    } else if (strcmp(path, "/chunks") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while (http_peer_say(peer, "4000\r\n") && http_peer_write(peer, chunk, sizeof chunk) &&
               http_peer_say(peer, "\r\n"))
            continue;
    } else if (strcmp(path, "/fields") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\n");
        while (http_peer_say(peer, "X-Field: 0123456789012345678901234567890123456789\r\n"))
            continue;
    } else if (strcmp(path, "/field") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\nX-Field: ");
        while (http_peer_write(peer, chunk, sizeof chunk))
            continue;
    } else if (strcmp(path, "/garbage") == 0) {
        http_peer_say(peer, "SSH-2.0-OpenSSH_9.2\r\n");
    } else if (strcmp(path, "/short") == 0) {
        http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    } else if (strcmp(path, "/204") == 0) {
        return http_peer_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    } else if (strcmp(path, "/500") == 0) {
        return http_peer_say(peer,
                             "HTTP/1.1 500 Oh\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno");
    } else if (strcmp(path, "/away") == 0) {
        return http_peer_say(
            peer, "HTTP/1.1 302 Found\r\nLocation: %s/ok\r\nContent-Length: 0\r\n\r\n", other);
    } else if (strcmp(path, "/to-file") == 0) {
        return http_peer_say(peer, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
                                   "Content-Length: 0\r\n\r\n");
    } else if (strcmp(path, "/near") == 0) {
        return http_peer_say(peer,
                             "HTTP/1.1 307 Go\r\nLocation: /ok\r\nContent-Length: 3\r\n\r\nxyz");
    } else if (strcmp(path, "/loop") == 0) {
        return http_peer_say(peer,
                             "HTTP/1.1 301 Go\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n");
    } else if (strcmp(path, "/nowhere") == 0) {
        return http_peer_say(peer, "HTTP/1.1 302 Found\r\nContent-Length: 4\r\n\r\nhere");
    } else if (strcmp(path, "/early") == 0) {
        http_peer_say(peer, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        return http_peer_ok(peer, "", "late");
    } else if (strcmp(path, "/ok") == 0) {
        return http_peer_ok(peer, "Content-Type: x/y\r\n", "fine");
    }
    return false;
}

static struct said fetch(struct rig *rig, const char *path, uint32_t redirects)
{
    struct said said;
    struct http_ask ask = rig_ask(rig, path, &said);
    ask.redirects = redirects;
    ask.total_ms = 15000;
    ask.head = note_head;
    rig_get(rig, &ask, &said);
    return said;
}

static void one_byte_now_and_then_ends_at_the_total_limit(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    struct http_ask ask = rig_ask(&rig, "/drip", &said);
    ask.total_ms = 1000;
    ask.idle_ms = 900;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_string_equal(said.error, "not done within 1000 ms");
    assert_int_equal(said.status, 0);
    assert_int_equal(said.body_len, 0);
    rig_finish(&rig);
}

static void a_server_that_never_answers_ends_at_a_limit(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    struct http_ask ask = rig_ask(&rig, "/silent", &said);
    ask.idle_ms = 500;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    ask = rig_ask(&rig, "/silent", &said);
    ask.total_ms = 500;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    rig_finish(&rig);
}

static void two_gigabytes_are_not_taken(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    static const char *const paths[] = {"/flood", "/chunks"};
    for (size_t i = 0; i < 2; i++) {
        struct said said = fetch(&rig, paths[i], HTTP_REDIRECT_NONE);
        assert_int_equal(said.result, BURROW_EPROTO);
        assert_non_null(strstr(said.error, "a body of more than 1048576 bytes"));
        assert_int_equal(said.body_len, 0);
    }
    rig_finish(&rig);
}

static void a_body_may_have_its_limit_and_no_byte_more(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    for (uint64_t max = 3; max <= 5; max++) {
        struct http_ask ask = rig_ask(&rig, "/ok", &said);
        ask.max_body = max;
        rig_get(&rig, &ask, &said);
        assert_int_equal(said.result, max < 4 ? BURROW_EPROTO : BURROW_OK);
        ask = rig_ask(&rig, "/ok", &said);
        ask.max_body = max;
        ask.data = note_data;
        rig_get(&rig, &ask, &said);
        assert_int_equal(said.result, max < 4 ? BURROW_EPROTO : BURROW_OK);
    }
    rig_finish(&rig);
}

static void endless_headers_are_not_taken(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    assert_int_equal(fetch(&rig, "/fields", 0).result, BURROW_EPROTO);
    struct said said = fetch(&rig, "/field", 0);
    assert_true(said.result == BURROW_EPROTO || said.result == BURROW_EIO ||
                said.result == BURROW_ENOMEM);
    rig_finish(&rig);
}

static void what_is_no_http_and_what_is_cut_short_fails(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    assert_int_equal(fetch(&rig, "/garbage", 0).result, BURROW_EPROTO);
    assert_int_equal(fetch(&rig, "/short", 0).result, BURROW_EPROTO);
    assert_int_equal(fetch(&rig, "/nothing", 0).result, BURROW_EPROTO);
    rig_finish(&rig);
}

static void statuses_are_told_and_not_judged(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, NULL, misbehave, "http://127.0.0.1:1");
    struct said said = fetch(&rig, "/500", 0);
    assert_int_equal(said.result, BURROW_OK);
    assert_int_equal(said.status, 500);
    assert_string_equal(said.retry_after, "7");
    assert_string_equal(said.body, "no");
    said = fetch(&rig, "/204", 0);
    assert_int_equal(said.status, 204);
    assert_int_equal(said.body_len, 0);
    said = fetch(&rig, "/away", HTTP_REDIRECT_NONE);
    assert_int_equal(said.result, BURROW_OK);
    assert_int_equal(said.status, 302);
    said = fetch(&rig, "/early", 0);
    assert_int_equal(said.status, 200);
    assert_int_equal(said.heads, 1);
    assert_string_equal(said.body, "late");
    rig_finish(&rig);
}

static void redirects_stay_with_their_origin(void **state)
{
    struct rig rig, other;
    char away[64];
    (void)state;
    rig_init(&other, NULL, misbehave, NULL);
    snprintf(away, sizeof away, "http://127.0.0.1:%u", http_server_port(other.server));
    rig_init(&rig, NULL, misbehave, away);
    struct said said = fetch(&rig, "/near", HTTP_REDIRECT_SAME_ORIGIN);
    assert_int_equal(said.result, BURROW_OK);
    assert_int_equal(said.status, 200);
    assert_string_equal(said.body, "fine");
    assert_string_equal(said.content_type, "x/y");
    assert_int_equal(said.heads, 1);
    said = fetch(&rig, "/away", HTTP_REDIRECT_SAME_ORIGIN);
    assert_int_equal(said.result, BURROW_EDENIED);
    assert_non_null(strstr(said.error, "only the same origin is followed"));
    assert_int_equal(http_server_requests(other.server), 0);
    said = fetch(&rig, "/to-file", HTTP_REDIRECT_SAME_ORIGIN);
    assert_int_equal(said.result, BURROW_EDENIED);
    unsigned before = http_server_requests(rig.server);
    said = fetch(&rig, "/loop", HTTP_REDIRECT_SAME_ORIGIN);
    assert_int_equal(said.result, BURROW_EPROTO);
    assert_int_equal(http_server_requests(rig.server), before + 1 + HTTP_MAX_REDIRECTS);
    said = fetch(&rig, "/nowhere", HTTP_REDIRECT_SAME_ORIGIN);
    assert_int_equal(said.result, BURROW_OK);
    assert_int_equal(said.status, 302);
    assert_string_equal(said.body, "here");
    rig_finish(&rig);
    rig_finish(&other);
}

/* A socket that listens and never accepts, or (listening false) is only bound. */
static int make_socket(bool listening, uint16_t *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof addr), 0);
    if (listening)
        assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static void who_refuses_or_does_not_finish_the_connection_is_told(void **state)
{
    struct rig rig;
    struct said said;
    uint16_t refusing, mute;
    char url[64];
    (void)state;
    rig_init(&rig, NULL, misbehave, NULL);
    int one = make_socket(false, &refusing), two = make_socket(true, &mute);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", refusing);
    ask.url = url;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_true(said.error[0] != '\0');
    ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", mute);
    ask.url = url;
    ask.connect_ms = 500;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_non_null(strstr(said.error, "no connection to https://127.0.0.1:"));
    close(one);
    close(two);
    rig_finish(&rig);
}

static void no_secret_of_a_request_is_in_an_error(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig, NULL, misbehave, "http://127.0.0.1:1");
    static const char *const paths[] = {"/short?key=hunter2", "/away?key=hunter2", "/gone?hunter2"};
    for (size_t i = 0; i < 3; i++) {
        struct said said;
        const struct http_field field = {"Authorization", "Bearer hunter2"};
        struct http_ask ask = rig_ask(&rig, paths[i], &said);
        ask.fields = &field;
        ask.field_count = 1;
        ask.redirects = HTTP_REDIRECT_SAME_ORIGIN;
        rig_get(&rig, &ask, &said);
        assert_true(said.result < 0);
        assert_null(strstr(said.error, "hunter2"));
    }
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_byte_now_and_then_ends_at_the_total_limit),
        cmocka_unit_test(a_server_that_never_answers_ends_at_a_limit),
        cmocka_unit_test(two_gigabytes_are_not_taken),
        cmocka_unit_test(a_body_may_have_its_limit_and_no_byte_more),
        cmocka_unit_test(endless_headers_are_not_taken),
        cmocka_unit_test(what_is_no_http_and_what_is_cut_short_fails),
        cmocka_unit_test(statuses_are_told_and_not_judged),
        cmocka_unit_test(redirects_stay_with_their_origin),
        cmocka_unit_test(who_refuses_or_does_not_finish_the_connection_is_told),
        cmocka_unit_test(no_secret_of_a_request_is_in_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
