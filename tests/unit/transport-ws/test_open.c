/* SPDX-License-Identifier: Apache-2.0 */
/* How connections of transport-ws open and are refused, each plain and behind TLS. */
#include "rig.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void a_client_and_a_server_open_and_exchange_messages(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_send(&client, "up", 2);
    rig_until_bytes(rig, &server, 2);
    fake_link_send(&server, "down", 4);
    rig_until_bytes(rig, &client, 4);
    assert_memory_equal(server.got, "up", 2);
    assert_memory_equal(client.got, "down", 4);
    assert_int_equal(server.messages, 1);
    assert_int_equal(client.messages, 1);
    rig_drop(rig, &client, &server);
}

static void the_server_may_speak_first(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.on_authenticate = admit_at_once};
    rig_begin(rig, &client, &server);
    fake_host_run(&rig->host, fake_link_is_open, &server);
    fake_link_send(&server, "hello", 5); /* perhaps in one packet with the response */
    rig_until_bytes(rig, &client, 5);
    assert_memory_equal(client.got, "hello", 5);
    rig_drop(rig, &client, &server);
}

static void note_credential(struct burrow_link *link, const struct burrow_credential *credential)
{
    char *text = (char *)link->arg;
    int n = snprintf(text, 256, "%.*s|", (int)credential->token_len,
                     credential->token != NULL ? credential->token : "");
    assert_int_equal(credential->method, BURROW_CREDENTIAL_HEADER);
    assert_int_equal(credential->peer.family, 4);
    for (size_t i = 0; i < credential->header_count; i++)
        n += snprintf(text + n, 256 - (size_t)n, "%s=%s|", credential->headers[i].name,
                      credential->headers[i].value);
}

static void the_host_may_judge_turns_later(void **state)
{
    struct rig *rig = (struct rig *)*state;
    char text[256] = "";
    struct burrow_link client = {0}, server = {.on_authenticate = note_credential, .arg = text};
    rig_begin(rig, &client, &server);
    rig_until(rig, &server.authenticated, 1);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.connected + server.accepted, 0);
    assert_non_null(strstr(text, "a.b.c|"));
    assert_non_null(strstr(text, "user-agent=burrow|"));
    struct burrow_verdict verdict = {.size = sizeof verdict, .result = BURROW_AUTH_ALLOW};
    fake_link_admit(&server, &verdict);
    fake_host_run(&rig->host, fake_link_is_open, &server);
    fake_host_run(&rig->host, fake_link_is_open, &client);
    rig_drop(rig, &client, &server);
}

static void a_refusal_tells_the_client_its_code(void **state)
{
    struct rig *rig = (struct rig *)*state;
    for (uint32_t code = BURROW_CODE_MISSING_BEARER; code <= BURROW_CODE_VERIFIER_CONFIG; code++) {
        struct burrow_link client = {0}, server = {0};
        struct burrow_verdict verdict = {
            .size = sizeof verdict, .result = BURROW_AUTH_DENY, .code = code};
        rig_begin(rig, &client, &server);
        rig_until(rig, &server.authenticated, 1);
        fake_link_admit(&server, &verdict);
        rig_until_closed(rig, &client);
        rig_until_closed(rig, &server);
        assert_int_equal(client.code, BURROW_CLOSE_REFUSED);
        assert_int_equal(client.http_status, 401);
        assert_int_equal(client.auth_code, code);
        assert_int_equal(server.code, BURROW_CLOSE_POLICY);
        fake_link_finish(&client);
        fake_link_finish(&server);
    }
}

static void a_server_that_cannot_judge_says_503(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct burrow_verdict verdict = {.size = sizeof verdict, .result = BURROW_AUTH_UNAVAILABLE};
    rig_begin(rig, &client, &server);
    rig_until(rig, &server.authenticated, 1);
    fake_link_admit(&server, &verdict);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_REFUSED);
    assert_int_equal(client.http_status, 503);
    assert_int_equal(client.auth_code, 0);
    rig_drop(rig, &client, &server);
}

static void closing_while_the_host_judges_is_orderly(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_begin(rig, &client, &server);
    rig_until(rig, &server.authenticated, 1);
    fake_link_close(&server, BURROW_CLOSE_GOING_AWAY, "stopping");
    rig_until_closed(rig, &server);
    rig_until_closed(rig, &client);
    assert_int_equal(server.code, BURROW_CLOSE_GOING_AWAY);
    assert_int_equal(client.code, BURROW_CLOSE_LOST);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void a_dial_that_no_one_answers_times_out(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig);
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    fake_host_settle(&rig->host, 20);
    fake_host_advance(&rig->host, 4999);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_UNREACHABLE);
    fake_link_finish(&client);
    close(rig_accept_fd(rig));
}

static void a_closed_dial_goes_at_once(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig);
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "changed our mind");
    assert_int_equal(client.closed, 0);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_NORMAL);
    fake_link_finish(&client);
    close(rig_accept_fd(rig));
}

static void a_token_that_breaks_a_header_is_not_sent(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig);
    dial.token = "a\r\nX: y";
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_EINVAL);
    fake_link_finish(&client);
}

/* A server of the test's own says this; the client closes with that. */
static void meet(struct rig *rig, const char *response, size_t step, struct burrow_link *client)
{
    struct burrow_dial dial = rig_dial(rig);
    char request[1024];
    assert_int_equal(fake_link_dial(client, &rig->client, &dial), BURROW_OK);
    int fd = rig_accept_fd(rig);
    raw_read(rig, fd, request, 100);
    for (size_t at = 0, n = strlen(response); at < n; at += step) {
        raw_send(fd, response + at, n - at < step ? n - at : step);
        fake_host_settle(&rig->host, 1);
    }
    shutdown(fd, SHUT_WR);
    rig_until_closed(rig, client);
    close(fd);
}

static void a_refusal_is_understood_in_any_split(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const char refusal[] =
        "HTTP/1.1 401 Unauthorized\r\nX: y\r\n\r\nunauthorized: code=token_expired reason=x\n";
    for (size_t step = 1; step < sizeof refusal; step += 13) {
        struct burrow_link client = {0};
        meet(rig, refusal, step, &client);
        assert_int_equal(client.code, BURROW_CLOSE_REFUSED);
        assert_int_equal(client.http_status, 401);
        assert_int_equal(client.auth_code, BURROW_CODE_TOKEN_EXPIRED);
        fake_link_finish(&client);
    }
}

static void a_redirect_is_a_refusal_and_is_not_followed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    meet(rig, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         1000, &client);
    assert_int_equal(client.code, BURROW_CLOSE_REFUSED);
    assert_int_equal(client.http_status, 302);
    fake_link_finish(&client);
}

static void a_server_that_does_not_answer_our_key_is_left(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    meet(rig,
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
         1000, &client);
    assert_int_equal(client.code, BURROW_CLOSE_PROTOCOL);
    fake_link_finish(&client);
}

static void a_response_without_end_is_bounded(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    size_t size = 40000;
    char *response = (char *)malloc(size);
    assert_non_null(response);
    memset(response, 'x', size);
    memcpy(response, "HTTP/1.1 200 OK\r\n", 17);
    response[size - 1] = '\0';
    meet(rig, response, size, &client);
    assert_int_equal(client.code, BURROW_CLOSE_PROTOCOL);
    fake_link_finish(&client);
    free(response);
}

static void tls_to_the_wrong_name_fails(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct burrow_dial dial = rig_dial(rig);
    dial.host = "other.example";
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(client.code, BURROW_CLOSE_TLS);
    assert_int_equal(client.auth_code, 0);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void plaintext_to_the_tls_port_is_closed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    char buf[256];
    int fd = rig_raw(rig, &server);
    raw_send_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    raw_read_all(rig, fd, buf, sizeof buf);
    rig_until_closed(rig, &server);
    fake_link_finish(&server);
    close(fd);
}

static void a_tls_handshake_that_stalls_is_closed_after_ten_seconds(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_raw(rig, &server);
    raw_send(fd, "\x16\x03\x01", 3);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(server.closed, 0);
    fake_host_advance(&rig->host, 10000);
    rig_until_closed(rig, &server);
    fake_link_finish(&server);
    close(fd);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void many_connects_and_closes_leave_no_descriptor(void **state)
{
    struct rig *rig = (struct rig *)*state;
    unsigned before = 0;
    for (unsigned i = 0; i < 250; i++) {
        struct burrow_link client = {0}, server = {0};
        rig_open(rig, &client, &server);
        struct burrow_link *first = i % 2 ? &client : &server;
        fake_link_close(first, i % 4 < 2 ? BURROW_CLOSE_NORMAL : BURROW_CLOSE_ABORT, "again");
        rig_until_closed(rig, &client);
        rig_until_closed(rig, &server);
        fake_link_finish(&client);
        fake_link_finish(&server);
        if (i == 10)
            before = open_descriptors();
    }
    assert_int_equal(open_descriptors(), before);
}

static void stopping_ends_what_is_open(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct fake_transport another;
    rig_open(rig, &client, &server);
    /* A second instance works beside the first, and ends its own connections alone. */
    fake_transport_init(&another, &rig->host, &burrow_plugin_v0, &rig->client_config);
    struct burrow_link lonely = {0};
    struct burrow_dial dial = rig_dial(rig);
    assert_int_equal(fake_link_dial(&lonely, &another, &dial), BURROW_OK);
    another.plugin->stop(another.self);
    rig_until_closed(rig, &lonely);
    assert_int_equal(lonely.code, BURROW_CLOSE_GOING_AWAY);
    fake_link_finish(&lonely);
    fake_transport_finish(&another);
    close(rig_accept_fd(rig));
    assert_int_equal(client.closed + server.closed, 0);
    rig_drop(rig, &client, &server);
}

#define PLAIN(name) cmocka_unit_test_setup_teardown(name, rig_setup_plain, rig_teardown)
#define TLS(name) cmocka_unit_test_setup_teardown(name, rig_setup_tls, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(a_client_and_a_server_open_and_exchange_messages),
        TLS(a_client_and_a_server_open_and_exchange_messages),
        PLAIN(the_server_may_speak_first),
        TLS(the_server_may_speak_first),
        PLAIN(the_host_may_judge_turns_later),
        TLS(the_host_may_judge_turns_later),
        PLAIN(a_refusal_tells_the_client_its_code),
        TLS(a_refusal_tells_the_client_its_code),
        PLAIN(a_server_that_cannot_judge_says_503),
        PLAIN(closing_while_the_host_judges_is_orderly),
        TLS(closing_while_the_host_judges_is_orderly),
        PLAIN(a_dial_that_no_one_answers_times_out),
        TLS(a_dial_that_no_one_answers_times_out),
        PLAIN(a_closed_dial_goes_at_once),
        PLAIN(a_token_that_breaks_a_header_is_not_sent),
        PLAIN(a_refusal_is_understood_in_any_split),
        PLAIN(a_redirect_is_a_refusal_and_is_not_followed),
        PLAIN(a_server_that_does_not_answer_our_key_is_left),
        PLAIN(a_response_without_end_is_bounded),
        TLS(tls_to_the_wrong_name_fails),
        TLS(plaintext_to_the_tls_port_is_closed),
        TLS(a_tls_handshake_that_stalls_is_closed_after_ten_seconds),
        PLAIN(many_connects_and_closes_leave_no_descriptor),
        TLS(many_connects_and_closes_leave_no_descriptor),
        PLAIN(stopping_ends_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
