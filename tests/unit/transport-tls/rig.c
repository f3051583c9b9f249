/* SPDX-License-Identifier: Apache-2.0 */
/* The rig, see rig.h. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
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
    assert_int_equal(listen(rig->listener, 16), 0);
    assert_int_equal(getsockname(rig->listener, (struct sockaddr *)&addr, &size), 0);
    rig->port = ntohs(addr.sin_port);
}

int rig_setup(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    struct rig *rig = (struct rig *)calloc(1, sizeof *rig);
    assert_non_null(rig);
    rig->dir = test_dir_make();
    rig->ca = test_cert_make(&(struct test_cert_plan){.name = "test authority", .is_ca = 1});
    rig->leaf = test_cert_make(&(struct test_cert_plan){
        .name = "server", .alt = "DNS:localhost,IP:127.0.0.1", .issuer = &rig->ca});
    rig->ca_file = test_cert_write(&rig->ca, rig->dir, "ca.pem");
    rig->cert_file = test_cert_write(&rig->leaf, rig->dir, "cert.pem");
    rig->key_file = test_key_write(&rig->leaf, rig->dir, "key.pem", NULL);
    rig->server_config = (struct config){.tls.cert = rig->cert_file, .tls.key = rig->key_file};
    rig->client_config = (struct config){.tls.ca = rig->ca_file};
    listen_on_loopback(rig);
    fake_host_init(&rig->host);
    fake_transport_init(&rig->server, &rig->host, &burrow_plugin_v0, &rig->server_config);
    fake_transport_init(&rig->client, &rig->host, &burrow_plugin_v0, &rig->client_config);
    *state = rig;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *rig = (struct rig *)*state;
    fake_transport_finish(&rig->client);
    fake_transport_finish(&rig->server);
    fake_host_finish(&rig->host);
    close(rig->listener);
    test_cert_free(&rig->ca);
    test_cert_free(&rig->leaf);
    free(rig->ca_file);
    free(rig->cert_file);
    free(rig->key_file);
    test_dir_remove(rig->dir);
    free(rig);
    return 0;
}

struct burrow_dial rig_dial(const struct rig *rig, const char *host)
{
    struct burrow_dial dial = {.size = sizeof dial,
                               .scheme = "tls",
                               .host = host,
                               .port = rig->port,
                               .timeout_ms = 5000,
                               .path = ""};
    dial.addr = (struct burrow_addr){.family = 4, .port = rig->port, .bytes = {127, 0, 0, 1}};
    return dial;
}

int rig_accept_fd(const struct rig *rig)
{
    int fd = accept4(rig->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

int rig_connect_fd(const struct rig *rig)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(rig->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
    return fd;
}

static void begin(struct rig *rig, const char *host, struct burrow_link *client,
                  struct burrow_link *server)
{
    struct burrow_dial dial = rig_dial(rig, host);
    assert_int_equal(fake_link_dial(client, &rig->client, &dial), BURROW_OK);
    assert_int_equal(fake_link_accept(server, &rig->server, rig_accept_fd(rig)), BURROW_OK);
}

void rig_open(struct rig *rig, struct burrow_link *client, struct burrow_link *server)
{
    begin(rig, "localhost", client, server);
    fake_host_run(&rig->host, fake_link_is_open, client);
    fake_host_run(&rig->host, fake_link_is_open, server);
}

void rig_until_closed(struct rig *rig, struct burrow_link *link)
{
    fake_host_run(&rig->host, fake_link_is_closed, link);
}

void rig_fail(struct rig *rig, const char *host, struct burrow_link *client,
              struct burrow_link *server)
{
    begin(rig, host, client, server);
    rig_until_closed(rig, client);
    rig_until_closed(rig, server);
}

void rig_drop(struct rig *rig, struct burrow_link *a, struct burrow_link *b)
{
    for (int i = 0; i < 2; i++) {
        struct burrow_link *link = i == 0 ? a : b;
        if (!link->closed)
            fake_link_close(link, BURROW_CLOSE_ABORT, "dropped by the test");
        rig_until_closed(rig, link);
        fake_link_finish(link);
    }
}
