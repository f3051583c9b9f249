/* SPDX-License-Identifier: Apache-2.0 */
/* The rig, see rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void listen_on_loopback(struct rig *rig)
{
    rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof addr;
    assert_int_equal(bind(rig->listener, (const struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(rig->listener, 128), 0);
    assert_int_equal(getsockname(rig->listener, (struct sockaddr *)&addr, &size), 0);
    rig->port = ntohs(addr.sin_port);
}

static void make_certificates(struct rig *rig)
{
    rig->dir = test_dir_make();
    rig->ca = test_cert_make(&(struct test_cert_plan){.name = "test authority", .is_ca = 1});
    rig->leaf = test_cert_make(&(struct test_cert_plan){
        .name = "server", .alt = "DNS:localhost,IP:127.0.0.1", .issuer = &rig->ca});
    rig->ca_file = test_cert_write(&rig->ca, rig->dir, "ca.pem");
    rig->cert_file = test_cert_write(&rig->leaf, rig->dir, "cert.pem");
    rig->key_file = test_key_write(&rig->leaf, rig->dir, "key.pem", NULL);
}

static int setup(void **state, bool tls)
{
    static const char *const origins[] = {"https://good.example"};
    signal(SIGPIPE, SIG_IGN);
    struct rig *rig = (struct rig *)calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->tls = tls;
    rig->server_config = (struct ws_config){.path = "/ws", .origins = {origins, 1}};
    rig->client_config = (struct ws_config){.path = "/ws"};
    if (tls) {
        make_certificates(rig);
        rig->server_config.tls.cert = rig->cert_file;
        rig->server_config.tls.key = rig->key_file;
        rig->client_config.tls.ca = rig->ca_file;
    }
    listen_on_loopback(rig);
    fake_host_init(&rig->host);
    fake_transport_init(&rig->server, &rig->host, &burrow_plugin_v0, &rig->server_config);
    fake_transport_init(&rig->client, &rig->host, &burrow_plugin_v0, &rig->client_config);
    *state = rig;
    return 0;
}

int rig_setup_plain(void **state)
{
    return setup(state, false);
}

int rig_setup_tls(void **state)
{
    return setup(state, true);
}

int rig_teardown(void **state)
{
    struct rig *rig = (struct rig *)*state;
    fake_transport_finish(&rig->client);
    fake_transport_finish(&rig->server);
    fake_host_finish(&rig->host);
    close(rig->listener);
    if (rig->tls) {
        test_cert_free(&rig->ca);
        test_cert_free(&rig->leaf);
        test_dir_remove(rig->dir);
    }
    free(rig->ca_file);
    free(rig->cert_file);
    free(rig->key_file);
    free(rig);
    return 0;
}

struct burrow_dial rig_dial(const struct rig *rig)
{
    struct burrow_dial dial = {.size = sizeof dial,
                               .scheme = rig->tls ? "wss" : "ws",
                               .host = "localhost",
                               .port = rig->port,
                               .timeout_ms = 5000,
                               .path = "/ws",
                               .token = "a.b.c"};
    dial.addr = (struct burrow_addr){.family = 4, .port = rig->port, .bytes = {127, 0, 0, 1}};
    return dial;
}

int rig_accept_fd(const struct rig *rig)
{
    int fd = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

void admit_at_once(struct burrow_link *link, const struct burrow_credential *credential)
{
    struct burrow_verdict verdict = {.size = sizeof verdict, .result = BURROW_AUTH_ALLOW};
    (void)credential;
    fake_link_admit(link, &verdict);
}

void rig_begin(struct rig *rig, struct burrow_link *client, struct burrow_link *server)
{
    struct burrow_dial dial = rig_dial(rig);
    assert_int_equal(fake_link_dial(client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
}

void rig_open(struct rig *rig, struct burrow_link *client, struct burrow_link *server)
{
    server->on_authenticate = admit_at_once;
    rig_begin(rig, client, server);
    fake_host_run(&rig->host, fake_link_is_open, server);
    fake_host_run(&rig->host, fake_link_is_open, client);
}

void rig_until_closed(struct rig *rig, struct burrow_link *link)
{
    fake_host_run(&rig->host, fake_link_is_closed, link);
}

struct reach {
    const unsigned *counter;
    const uint64_t *total;
    uint64_t n;
};

static bool has_reached(void *arg)
{
    const struct reach *reach = (const struct reach *)arg;
    return (reach->counter != NULL ? *reach->counter : *reach->total) >= reach->n;
}

void rig_until(struct rig *rig, const unsigned *counter, unsigned n)
{
    struct reach reach = {counter, NULL, n};
    fake_host_run(&rig->host, has_reached, &reach);
}

void rig_until_bytes(struct rig *rig, const struct burrow_link *link, uint64_t n)
{
    struct reach reach = {NULL, &link->total, n};
    fake_host_run(&rig->host, has_reached, &reach);
}

void rig_drop(struct rig *rig, struct burrow_link *a, struct burrow_link *b)
{
    for (int i = 0; i < 2; i++) {
        struct burrow_link *link = i == 0 ? a : b;
        if (link == NULL)
            continue;
        if (!link->closed)
            fake_link_close(link, BURROW_CLOSE_ABORT, "dropped by the test");
        rig_until_closed(rig, link);
        fake_link_finish(link);
    }
}

int rig_raw(struct rig *rig, struct burrow_link *link)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(fake_link_accept(link, &rig->server, rig_accept_fd(rig)), BURROW_OK);
    return fd;
}

void raw_send(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

void raw_send_text(int fd, const char *text)
{
    raw_send(fd, text, strlen(text));
}

struct reading {
    int fd;
    uint8_t *p;
    size_t n, got;
    bool end;
};

static bool read_some(void *arg)
{
    struct reading *reading = (struct reading *)arg;
    while (reading->got < reading->n && !reading->end) {
        ssize_t n =
            recv(reading->fd, reading->p + reading->got, reading->n - reading->got, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0)
            reading->end = true;
        else
            reading->got += (size_t)n;
    }
    return reading->end || reading->got == reading->n;
}

size_t raw_read(struct rig *rig, int fd, void *p, size_t n)
{
    struct reading reading = {.fd = fd, .p = (uint8_t *)p, .n = n};
    fake_host_run(&rig->host, read_some, &reading);
    return reading.got;
}

void raw_read_all(struct rig *rig, int fd, char *buf, size_t size)
{
    size_t n = raw_read(rig, fd, buf, size - 1);
    assert_true(n < size - 1);
    buf[n] = '\0';
}

int rig_raw_open(struct rig *rig, struct burrow_link *link)
{
    static const char request[] = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                                  "Connection: keep-alive, Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Sec-WebSocket-Version: 13\r\n\r\n";
    static const char response[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    char got[sizeof response] = "";
    link->on_authenticate = admit_at_once;
    int fd = rig_raw(rig, link);
    raw_send_text(fd, request);
    raw_read(rig, fd, got, sizeof response - 1);
    assert_string_equal(got, response);
    fake_host_run(&rig->host, fake_link_is_open, link);
    return fd;
}
