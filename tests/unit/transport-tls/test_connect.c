/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of transport-tls that come about, and strangers that must not. */
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void both_ends_learn_that_it_is_open_once(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.connected, 1);
    assert_int_equal(client.accepted, 0);
    assert_int_equal(server.accepted, 1);
    assert_int_equal(server.authenticated, 0); /* register carries the token */
    assert_string_equal(SSL_get_version(((struct conn *)client.conn)->ssl), "TLSv1.3");
    rig_drop(rig, &client, &server);
}

static void tls_1_2_works_and_older_does_not(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct burrow_link client = {0}, server = {0};
        SSL_CTX *ctx = ((struct transport *)rig->client.self)->client;
        SSL_CTX_set_security_level(ctx, 0);
        SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(ctx, versions[i]);
        SSL_CTX_set_max_proto_version(ctx, versions[i]);
        if (versions[i] == TLS1_2_VERSION) {
            rig_open(rig, &client, &server);
            fake_link_send(&client, "by 1.2", 6);
            while (server.total < 6)
                fake_host_turn(&rig->host, 20);
            SSL *ssl = ((struct conn *)server.conn)->ssl;
            assert_string_equal(SSL_get_version(ssl), "TLSv1.2");
            assert_non_null(strstr(SSL_get_cipher_name(ssl), "GCM"));
        } else {
            rig_fail(rig, "localhost", &client, &server);
            assert_int_equal(client.code, BURROW_CLOSE_TLS);
            assert_int_equal(server.code, BURROW_CLOSE_TLS);
            assert_non_null(strstr(server.reason, "1.2"));
        }
        rig_drop(rig, &client, &server);
    }
}

/* A blocking TLS client of the library's own, with this ALPN offer. */
static void dial_with_alpn(struct rig *rig, const char *alpn, struct burrow_link *server)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    if (alpn != NULL) {
        unsigned char wire[32];
        wire[0] = (unsigned char)strlen(alpn);
        memcpy(wire + 1, alpn, strlen(alpn));
        assert_int_equal(SSL_set_alpn_protos(ssl, wire, 1u + wire[0]), 0);
    }
    int fd = rig_connect_fd(rig);
    assert_int_equal(fake_link_accept(server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    SSL_set_fd(ssl, fd);
    struct timeval wait = {.tv_usec = 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (int i = 0; i < 1000 && !server->closed; i++) {
        (void)SSL_connect(ssl);
        fake_host_turn(&rig->host, 1);
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    close(fd);
}

static void a_client_of_another_protocol_is_refused_with_a_reason(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const char *const offers[] = {"http/1.1", "burrow/1", "burrow/22", NULL};
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        struct burrow_link server = {0};
        unsigned lines = rig->host.log_count;
        dial_with_alpn(rig, offers[i], &server);
        rig_until_closed(rig, &server);
        assert_int_equal(server.accepted, 0);
        assert_int_equal(server.code, BURROW_CLOSE_TLS);
        assert_non_null(strstr(server.reason, "ALPN"));
        assert_int_equal(rig->host.log_count, lines); /* the host logs the reason */
        fake_link_finish(&server);
    }
}

static void a_server_of_another_protocol_is_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    SSL_CTX_set_alpn_select_cb(((struct transport *)rig->server.self)->server, NULL, NULL);
    rig_fail(rig, "localhost", &client, &server);
    assert_int_equal(client.connected, 0);
    assert_int_equal(client.code, BURROW_CLOSE_TLS);
    assert_non_null(strstr(client.reason, "burrow/2"));
    rig_drop(rig, &client, &server);
}

static void what_is_not_tls_is_refused_with_a_reason(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const char *const greetings[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\n",
        "\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"};
    for (size_t i = 0; i < sizeof greetings / sizeof greetings[0]; i++) {
        struct burrow_link server = {0};
        unsigned lines = rig->host.log_count;
        int fd = rig_connect_fd(rig);
        assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
        assert_true(write(fd, greetings[i], strlen(greetings[i])) > 0);
        shutdown(fd, SHUT_WR);
        rig_until_closed(rig, &server);
        assert_int_equal(server.accepted, 0);
        assert_int_equal(rig->host.log_count, lines); /* the host logs the reason */
        if (i == 0)
            assert_non_null(strstr(server.reason, "HTTP"));
        fake_link_finish(&server);
        close(fd);
    }
    assert_int_equal(rig->host.metrics[METRIC_HANDSHAKE_FAILURES], 4);
}

static void a_server_that_is_not_tls_is_refused(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    int fd = rig_accept_fd(rig);
    assert_true(write(fd, "220 mail.example ESMTP\r\n", 24) == 24);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_TLS);
    assert_string_equal(client.reason, "the peer does not speak TLS");
    fake_link_finish(&client);
    close(fd);
}

/* Copies n bytes from one socket to another; fewer when the sender has ended. */
static size_t copy(struct rig *rig, int from, int to, size_t n)
{
    size_t done = 0;
    for (int idle = 0; done < n && idle < 20;) {
        uint8_t p[512];
        ssize_t r = recv(from, p, n - done < sizeof p ? n - done : sizeof p, MSG_DONTWAIT);
        if (r > 0) {
            assert_int_equal(send(to, p, (size_t)r, MSG_NOSIGNAL), r);
            done += (size_t)r;
            idle = 0;
        } else {
            fake_host_turn(&rig->host, 1);
            idle++;
        }
    }
    return done;
}

/* Two real ends with the test in the middle, which passes on only so many bytes of the client's
 * and then cuts both lines. */
static size_t cut_after(struct rig *rig, size_t n, bool reset)
{
    struct burrow_link client = {0}, server = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    int near = rig_accept_fd(rig);
    int far = rig_connect_fd(rig);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    size_t up = 0, down;
    do {
        size_t want = n - up < 64 ? n - up : 64;
        size_t got = copy(rig, near, far, want);
        up += got;
        fake_host_turn(&rig->host, 1);
        down = copy(rig, far, near, 8192);
        if (got == 0 && down == 0)
            break;
    } while (up < n);
    if (reset) {
        struct linger linger = {.l_onoff = 1};
        setsockopt(near, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        setsockopt(far, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(near);
    close(far);
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    fake_link_finish(&client);
    fake_link_finish(&server);
    return up;
}

static void a_cut_in_any_place_ends_both_sides(void **state)
{
    struct rig *rig = (struct rig *)*state;
    size_t most = 0;
    for (size_t n = 0; n < 700; n += 41) {
        size_t up = cut_after(rig, n, n % 2 != 0);
        most = up > most ? up : most;
    }
    assert_true(most > 300); /* past the client's hello and Finished */
}

static void a_silent_client_is_closed_after_ten_seconds(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_connect_fd(rig);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    fake_host_advance(&rig->host, 9999);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(server.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_TLS);
    fake_link_finish(&server);
    close(fd);
}

static void a_silent_server_is_given_up_after_the_dials_timeout(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    dial.timeout_ms = 1500;
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    int fd = rig_accept_fd(rig);
    fake_host_settle(&rig->host, 20);
    fake_host_advance(&rig->host, 1499);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &client);
    assert_non_null(strstr(client.reason, "1500 ms"));
    fake_link_finish(&client);
    close(fd);
}

static void a_dial_of_another_scheme_is_an_error(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    dial.scheme = "wss";
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_EINVAL);
    fake_link_finish(&client);
    int fd = rig_accept_fd(rig);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0); /* its descriptor is closed nevertheless */
    close(fd);
}

static void ipv6_works(void **state)
{
    struct rig *rig = (struct rig *)*state;
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t size = sizeof addr;
    if (listener < 0 || bind(listener, (const struct sockaddr *)&addr, sizeof addr) != 0) {
        if (listener >= 0)
            close(listener);
        skip(); /* a machine without IPv6 */
    }
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &size), 0);
    struct burrow_link client = {0}, server = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    dial.addr = (struct burrow_addr){.family = 6, .port = ntohs(addr.sin6_port)};
    dial.addr.bytes[15] = 1;
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_int_equal(fake_link_accept(&server, &rig->server, fd), BURROW_OK);
    fake_host_run(&rig->host, fake_link_is_open, &client);
    fake_host_run(&rig->host, fake_link_is_open, &server);
    rig_drop(rig, &client, &server);
    close(listener);
}

static void close_during_the_handshake_is_the_end(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct burrow_dial dial = rig_dial(rig, "localhost");
    assert_int_equal(fake_link_dial(&client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(&server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "changed my mind");
    assert_int_equal(client.closed, 0);
    rig_until_closed(rig, &client);
    assert_int_equal(client.connected, 0);
    assert_string_equal(client.reason, "changed my mind");
    rig_until_closed(rig, &server);
    assert_int_equal(server.accepted, 0);
    rig_drop(rig, &client, &server);
}

static void an_accepted_descriptor_is_closed_when_accept_fails(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_connect_fd(rig);
    /* The client's instance has no certificate. */
    assert_int_equal(fake_link_accept(&server, &rig->client, rig_accept_fd(rig)), BURROW_EINVAL);
    assert_true(fake_host_logged(&rig->host, BURROW_LOG_ERROR, "--tls-cert"));
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    fake_link_finish(&server);
    close(fd);
}

static void whatever_allocation_of_the_host_fails_nothing_leaks(void **state)
{
    struct rig *rig = (struct rig *)*state;
    unsigned opened = 0;
    for (unsigned n = 1; n < 12; n++) {
        struct burrow_link client = {0}, server = {0};
        struct burrow_dial dial = rig_dial(rig, "localhost");
        rig->host.fail_at = n;
        int dialled = fake_link_dial(&client, &rig->client, &dial);
        int fd = -1;
        int accepted = BURROW_ENOMEM;
        if (dialled == BURROW_OK) {
            fd = rig_accept_fd(rig);
            accepted = fake_link_accept(&server, &rig->server, fd);
        }
        for (int i = 0; i < 50; i++)
            fake_host_turn(&rig->host, 1);
        rig->host.fail_at = 0;
        bool open = client.connected && server.accepted && !client.closed && !server.closed;
        opened += open;
        if (dialled == BURROW_OK) {
            if (!client.closed)
                fake_link_close(&client, BURROW_CLOSE_ABORT, NULL);
            rig_until_closed(rig, &client);
        }
        if (accepted == BURROW_OK) {
            if (!server.closed)
                fake_link_close(&server, BURROW_CLOSE_ABORT, NULL);
            rig_until_closed(rig, &server);
        }
        fake_link_finish(&client);
        if (dialled == BURROW_OK)
            fake_link_finish(&server);
        else
            close(rig_accept_fd(rig));
    }
    assert_true(opened > 0 && opened < 11);
}

static void the_second_dial_resumes_the_first_session(void **state)
{
    struct rig *rig = (struct rig *)*state;
    for (int i = 0; i < 3; i++) {
        struct burrow_link client = {0}, server = {0};
        rig_open(rig, &client, &server);
        fake_link_send(&server, "x", 1); /* the ticket comes before it */
        while (client.total < 1)
            fake_host_turn(&rig->host, 20);
        /* Whatever the way it ends: the ticket stays good. */
        rig_drop(rig, &client, &server);
    }
    assert_int_equal(rig->host.metrics[METRIC_HANDSHAKES], 6);
    assert_int_equal(rig->host.metrics[METRIC_RESUMPTIONS], 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(both_ends_learn_that_it_is_open_once),
        TEST(tls_1_2_works_and_older_does_not),
        TEST(a_client_of_another_protocol_is_refused_with_a_reason),
        TEST(a_server_of_another_protocol_is_refused),
        TEST(what_is_not_tls_is_refused_with_a_reason),
        TEST(a_server_that_is_not_tls_is_refused),
        TEST(a_cut_in_any_place_ends_both_sides),
        TEST(a_silent_client_is_closed_after_ten_seconds),
        TEST(a_silent_server_is_given_up_after_the_dials_timeout),
        TEST(a_dial_of_another_scheme_is_an_error),
        TEST(ipv6_works),
        TEST(close_during_the_handshake_is_the_end),
        TEST(an_accepted_descriptor_is_closed_when_accept_fails),
        TEST(whatever_allocation_of_the_host_fails_nothing_leaks),
        TEST(the_second_dial_resumes_the_first_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
