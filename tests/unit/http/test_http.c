/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client against a real server that answers as it should: requests, bodies, streams,
 * headers, cancelling, descriptors. */
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Answers with what was asked: request line, fields, body. */
static bool echo(void *arg, struct http_peer *peer)
{
    (void)arg;
    return http_peer_say(
        peer,
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Type: text/plain\r\n"
        "Content-Length: %zu\r\n\r\n%s|%s",
        strlen(peer->head) + 1 + peer->body_len, peer->head, peer->body);
}

static void a_get_brings_status_headers_and_body(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    struct http_ask ask = rig_ask(&rig, "/a/../b%2F?q=1", &said);
    const struct http_field fields[] = {{"X-One", "1"}, {"X-Empty", ""}};
    ask.fields = fields;
    ask.field_count = 2;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_OK);
    assert_int_equal(said.status, 200);
    assert_string_equal(said.cache_control, "max-age=60");
    assert_string_equal(said.content_type, "text/plain");
    assert_string_equal(said.retry_after, "-");
    assert_non_null(strstr(said.body, "GET /a/../b%2F?q=1 HTTP/1.1\r\n"));
    assert_non_null(strstr(said.body, "\r\nX-One: 1\r\n"));
    assert_non_null(strstr(said.body, "\r\nX-Empty:\r\n"));
    assert_non_null(strstr(said.body, "\r\nUser-Agent: burrow-test\r\n"));
    assert_null(strstr(said.body, "Accept-Encoding"));
    rig_finish(&rig);
}

static void bodies_go_with_every_method(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (size_t i = 0; i < 4; i++) {
        struct http_ask ask = rig_ask(&rig, "/x", &said);
        const struct http_field field = {"Content-Type", "application/merge-patch+json"};
        char line[64];
        ask.method = methods[i];
        ask.body = (struct http_bytes){"{\"a\":1}", 7};
        ask.fields = &field;
        ask.field_count = i == 0 ? 0 : 1;
        rig_get(&rig, &ask, &said);
        snprintf(line, sizeof line, "%s /x HTTP/1.1\r\n", methods[i]);
        assert_true(strncmp(said.body, line, strlen(line)) == 0);
        assert_non_null(strstr(said.body, "\r\nContent-Length: 7\r\n"));
        assert_non_null(strstr(said.body, "|{\"a\":1}"));
        assert_null(strstr(said.body, "Expect"));
        assert_null(strstr(said.body, "urlencoded"));
        assert_true(!strstr(said.body, "merge-patch") == (i == 0));
    }
    struct http_ask ask = rig_ask(&rig, "/x", &said);
    ask.method = "DELETE";
    rig_get(&rig, &ask, &said);
    assert_true(strncmp(said.body, "DELETE /x", 9) == 0);
    ask = rig_ask(&rig, "/x", &said);
    ask.method = "POST";
    ask.body = (struct http_bytes){"", 0};
    rig_get(&rig, &ask, &said);
    assert_non_null(strstr(said.body, "\r\nContent-Length: 0\r\n"));
    rig_finish(&rig);
}

static void requests_to_one_origin_share_a_connection(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    for (int i = 0; i < 5; i++) {
        struct http_ask ask = rig_ask(&rig, "/", &said);
        rig_get(&rig, &ask, &said);
    }
    assert_int_equal(http_server_connections(rig.server), 1);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    ask.fresh = true;
    rig_get(&rig, &ask, &said);
    assert_int_equal(http_server_connections(rig.server), 2);
    rig_finish(&rig);
}

static bool stream(void *arg, struct http_peer *peer)
{
    (void)arg;
    if (!http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n"))
        return false;
    for (int i = 0; i < 5; i++)
        if (!http_peer_say(peer, "4\r\ne%d;\n\r\n", i) || !http_peer_wait(peer, 50))
            return false;
    if (strcmp(peer->path, "/endless") == 0)
        while (http_peer_wait(peer, 50))
            continue;
    return http_peer_say(peer, "0\r\n\r\n");
}

static void a_watch_gets_its_head_and_then_each_piece_as_it_comes(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, stream, NULL);
    struct http_ask ask = rig_ask(&rig, "/watch", &said);
    ask.head = note_head;
    ask.data = note_data;
    ask.max_body = 0;
    rig_start(&rig, &ask, &said);
    rig_run(&rig, &said.heads, 1);
    assert_int_equal(said.head_status, 200);
    assert_string_equal(said.content_type, "application/json");
    rig_run(&rig, &said.chunks, 1);
    assert_int_equal(said.done, 0);
    rig_run(&rig, &said.done, 1);
    assert_int_equal(said.result, BURROW_OK);
    assert_true(said.chunks >= 2);
    assert_int_equal(said.streamed, 20);
    assert_int_equal(said.heads, 1);
    rig_finish(&rig);
}

static void a_silent_stream_ends_by_its_idle_limit(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, stream, NULL);
    struct http_ask ask = rig_ask(&rig, "/endless", &said);
    ask.data = note_data;
    ask.max_body = 0;
    ask.total_ms = 0;
    ask.idle_ms = 1000;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_int_equal(said.streamed, 20);
    assert_non_null(strstr(said.error, "nothing came from http://127.0.0.1:"));
    rig_finish(&rig);
}

static void a_cancelled_request_says_nothing_more(void **state)
{
    struct rig rig;
    struct said at_once, waiting, in_head, in_data;
    (void)state;
    rig_init(&rig, NULL, stream, NULL);
    struct http_ask ask = rig_ask(&rig, "/endless", &at_once);
    rig_start(&rig, &ask, &at_once);
    http_cancel(at_once.request);
    http_cancel(NULL);
    ask = rig_ask(&rig, "/endless", &waiting);
    ask.data = note_data;
    rig_start(&rig, &ask, &waiting);
    rig_run(&rig, &waiting.chunks, 1);
    http_cancel(waiting.request);
    unsigned chunks = waiting.chunks;
    ask = rig_ask(&rig, "/endless", &in_head);
    ask.head = note_head;
    ask.data = note_data;
    in_head.cancel_in_head = true;
    rig_start(&rig, &ask, &in_head);
    rig_run(&rig, &in_head.heads, 1);
    ask = rig_ask(&rig, "/endless", &in_data);
    ask.data = note_data;
    in_data.cancel_in_data = true;
    rig_start(&rig, &ask, &in_data);
    rig_run(&rig, &in_data.chunks, 1);
    assert_int_equal(http_pending(rig.client), 0);
    rig_linger(&rig, 300);
    assert_int_equal(at_once.done + waiting.done + in_head.done + in_data.done, 0);
    assert_int_equal(waiting.chunks, chunks);
    assert_int_equal(in_head.chunks, 0);
    assert_int_equal(in_data.chunks, 1);
    rig_finish(&rig);
}

static void one_request_may_cancel_another_from_its_data(void **state)
{
    struct rig rig;
    struct said victim, culprit;
    (void)state;
    rig_init(&rig, NULL, stream, NULL);
    struct http_ask ask = rig_ask(&rig, "/endless", &victim);
    rig_start(&rig, &ask, &victim);
    ask = rig_ask(&rig, "/watch", &culprit);
    ask.data = note_data;
    culprit.victim = &victim;
    rig_start(&rig, &ask, &culprit);
    rig_run(&rig, &culprit.done, 1);
    assert_int_equal(culprit.result, BURROW_OK);
    assert_int_equal(victim.done, 0);
    assert_int_equal(http_pending(rig.client), 0);
    rig_finish(&rig);
}

static void a_request_may_follow_from_done(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    struct http_ask ask = rig_ask(&rig, "/first", &said);
    said.again_in_done = true;
    rig_start(&rig, &ask, &said);
    rig_run(&rig, &said.done, 1);
    assert_non_null(strstr(said.body, "GET /again"));
    rig_finish(&rig);
}

static void the_client_may_end_with_requests_under_way(void **state)
{
    struct rig rig;
    struct said said[3];
    (void)state;
    rig_init(&rig, NULL, stream, NULL);
    for (int i = 0; i < 3; i++) {
        struct http_ask ask = rig_ask(&rig, "/endless", &said[i]);
        ask.data = note_data;
        rig_start(&rig, &ask, &said[i]);
        if (i < 2)
            rig_run(&rig, &said[i].chunks, 1);
    }
    rig_finish(&rig);
    assert_int_equal(said[0].done + said[1].done + said[2].done, 0);
}

static void descriptors_stay_flat_over_many_requests(void **state)
{
    struct rig rig;
    struct said said;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    unsigned before = open_descriptors();
    for (int i = 0; i < 200; i++) {
        struct http_ask ask = rig_ask(&rig, "/", &said);
        ask.fresh = true;
        rig_get(&rig, &ask, &said);
        assert_int_equal(said.result, BURROW_OK);
    }
    assert_true(open_descriptors() <= before + 8); /* the server's threads end a little later */
    rig_finish(&rig);
}

static void names_are_resolved_by_the_host(void **state)
{
    struct rig rig;
    struct said said;
    char url[64];
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "http://localhost:%u/", http_server_port(rig.server));
    ask.url = url;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.status, 200);
    snprintf(url, sizeof url, "http://idp.example:%u/", http_server_port(rig.server));
    ask = rig_ask(&rig, "/", &said);
    ask.url = url;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_string_equal(said.error, "cannot resolve idp.example: the name is not known");
    ask = rig_ask(&rig, "/", &said);
    ask.url = url;
    ask.connect_host = "127.0.0.1";
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.status, 200);
    assert_non_null(strstr(said.body, "Host: idp.example:"));
    rig_finish(&rig);
}

static void proxies_of_the_environment_count_only_when_asked_for(void **state)
{
    struct rig rig;
    struct said said;
    char proxy[64];
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", http_server_port(rig.server));
    setenv("http_proxy", proxy, 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "", 1);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    rig_get(&rig, &ask, &said);
    assert_true(strncmp(said.body, "GET / ", 6) == 0);
    ask = rig_ask(&rig, "/", &said);
    ask.url = "http://no.such.host.example/p";
    ask.proxy = HTTP_PROXY_ENVIRONMENT;
    rig_get(&rig, &ask, &said);
    assert_true(strncmp(said.body, "GET http://no.such.host.example/p ", 34) == 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    unsetenv("no_proxy");
    rig_finish(&rig);
}

static void asks_that_are_not_well_formed_are_refused(void **state)
{
    struct rig rig;
    struct said said;
    struct http_request *request = NULL;
    (void)state;
    rig_init(&rig, NULL, echo, NULL);
    const struct http_field bad[] = {{"X", "a\r\nY: b"}, {"X:", "a"},   {"", "a"},
                                     {"X Y", "a"},       {"X", "a\nb"}, {"X\r\n", "a"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct http_ask ask = rig_ask(&rig, "/", &said);
        ask.fields = &bad[i];
        ask.field_count = 1;
        assert_int_equal(http_start(rig.client, &ask, &request), BURROW_EINVAL);
    }
    struct http_ask ask = rig_ask(&rig, "/", &said);
    ask.method = "GET /";
    assert_int_equal(http_start(rig.client, &ask, &request), BURROW_EINVAL);
    ask = rig_ask(&rig, "/", &said);
    ask.url = "file:///etc/passwd";
    assert_int_equal(http_start(rig.client, &ask, &request), BURROW_EINVAL);
    ask = rig_ask(&rig, "/", &said);
    ask.cert = (struct http_bytes){"x", 1};
    assert_int_equal(http_start(rig.client, &ask, &request), BURROW_EINVAL);
    assert_null(request);
    rig_finish(&rig);
}

static void a_host_without_memory_ends_requests_with_that(void **state)
{
    (void)state;
    /* Each watch and timer of a request fails once. */
    for (unsigned k = 1; k < 12; k++) {
        struct rig rig;
        struct said said;
        rig_init(&rig, NULL, echo, NULL);
        struct http_ask ask = rig_ask(&rig, "/", &said);
        ask.connect_ms = ask.idle_ms = 15000;
        rig.host.fail_at = k;
        int r = http_start(rig.client, &ask, &said.request);
        if (r == BURROW_OK)
            rig_run(&rig, &said.done, 1);
        else
            said.result = r;
        if (rig.host.fail_at == 0)
            assert_true(said.result == BURROW_ENOMEM || said.result == BURROW_OK);
        if (k <= 4)
            assert_int_equal(said.result, BURROW_ENOMEM);
        rig.host.fail_at = 0;
        ask = rig_ask(&rig, "/", &said);
        rig_get(&rig, &ask, &said);
        assert_int_equal(said.result, BURROW_OK);
        rig_finish(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_brings_status_headers_and_body),
        cmocka_unit_test(bodies_go_with_every_method),
        cmocka_unit_test(requests_to_one_origin_share_a_connection),
        cmocka_unit_test(a_watch_gets_its_head_and_then_each_piece_as_it_comes),
        cmocka_unit_test(a_silent_stream_ends_by_its_idle_limit),
        cmocka_unit_test(a_cancelled_request_says_nothing_more),
        cmocka_unit_test(one_request_may_cancel_another_from_its_data),
        cmocka_unit_test(a_request_may_follow_from_done),
        cmocka_unit_test(the_client_may_end_with_requests_under_way),
        cmocka_unit_test(descriptors_stay_flat_over_many_requests),
        cmocka_unit_test(names_are_resolved_by_the_host),
        cmocka_unit_test(proxies_of_the_environment_count_only_when_asked_for),
        cmocka_unit_test(asks_that_are_not_well_formed_are_refused),
        cmocka_unit_test(a_host_without_memory_ends_requests_with_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
