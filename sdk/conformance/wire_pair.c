/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of links, see wire_pair.h. */
#include "wire_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Listens at a fresh Unix socket in p->path or at a port of its own, told in *ret_port. */
static void open_listener(struct pair *p, bool is_unix, uint16_t *ret_port)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    static unsigned serial;
    p->path[0] = '\0';
    p->listener =
        socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rc;
    if (is_unix) {
        const char *tmp = getenv("TMPDIR");
        snprintf(p->path, sizeof p->path, "%s/burrow-conformance-%d-%u", tmp != NULL ? tmp : "/tmp",
                 (int)getpid(), serial++);
        memcpy(un.sun_path, p->path, sizeof un.sun_path);
        rc = bind(p->listener, (struct sockaddr *)(void *)&un, sizeof un);
    } else {
        rc = bind(p->listener, (struct sockaddr *)(void *)&in, sizeof in);
    }
    if (p->listener < 0 || rc < 0 || listen(p->listener, 8) < 0)
        fake_host_fail("the kit cannot listen: %s", strerror(errno));
    if (!is_unix && getsockname(p->listener, (struct sockaddr *)(void *)&in, &len) == 0)
        *ret_port = ntohs(in.sin_port);
}

static void close_listener(struct pair *p)
{
    if (p->listener >= 0)
        close(p->listener);
    p->listener = -1;
    if (p->path[0] != '\0')
        unlink(p->path);
}

/* The token is not judged here: whoever shows one is admitted. */
static void on_authenticate(struct burrow_link *link, const struct burrow_credential *credential)
{
    static char admit_me;
    (void)credential;
    link->arg = &admit_me; /* on a fresh stack, as a host does it */
}

static void admit_waiting(struct burrow_link *link)
{
    static const struct burrow_verdict allow = {.size = sizeof allow, .result = BURROW_AUTH_ALLOW};
    if (link->arg == NULL || link->closed || link->accepted || link->conn == NULL)
        return;
    link->arg = NULL;
    fake_link_admit(link, &allow);
}

static int dial(struct life *life, struct burrow_link *link, const char *path, uint16_t port)
{
    const struct burrow_transport_ops *ops = life->d->ops;
    const char *scheme = life->subject->scheme != NULL ? life->subject->scheme : ops->schemes[0];
    struct burrow_dial d = {
        .size = sizeof d,
        .scheme = scheme,
        .host = path[0] != '\0' ? "" : "localhost",
        .port = port,
        .timeout_ms = 5000,
        .path = path[0] != '\0'              ? path
                : strcmp(scheme, "tls") == 0 ? ""
                                             : "/ws",
        .token = ops->flags & BURROW_TRANSPORT_TOKEN ? "a.token.of-the-kit" : NULL,
    };
    if (path[0] == '\0')
        d.addr = (struct burrow_addr){.family = 4, .port = port, .bytes = {127, 0, 0, 1}};
    return fake_link_dial(link, &life->transport, &d);
}

static void accept_one(struct pair *p)
{
    int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    close_listener(p);
    p->server_fd = fd; /* the number only: a copy would keep the connection alive */
    p->server.on_authenticate = on_authenticate;
    p->accepted = true;
    if (fake_link_accept(&p->server, &p->server_life->transport, fd) != BURROW_OK) {
        fake_link_finish(&p->server);
        p->accepted = false;
    }
}

void pair_dial(struct pair *p, struct life *client, struct life *server)
{
    uint16_t port = 0;
    memset(p, 0, sizeof *p);
    p->client_life = client;
    p->server_life = server;
    p->server_fd = -1;
    open_listener(p, client->subject->is_unix, &port);
    p->dialled = true;
    if (dial(client, &p->client, p->path, port) != BURROW_OK) {
        fake_link_finish(&p->client);
        p->dialled = false;
        close_listener(p);
    }
}

static bool is_over(const struct pair *p)
{
    return !p->dialled || p->client.closed || p->server.closed || (p->listener < 0 && !p->accepted);
}

static bool is_open(void *arg)
{
    struct pair *p = arg;
    if (p->listener >= 0)
        accept_one(p);
    if (p->accepted)
        admit_waiting(&p->server);
    return is_over(p) || (p->client.connected && p->server.accepted);
}

static bool wait_both(struct pair *p, bool (*done)(void *), void *arg)
{
    return life_wait(p->client_life, p->server_life != p->client_life ? p->server_life : NULL, done,
                     arg);
}

bool pair_wait_open(struct pair *p)
{
    return wait_both(p, is_open, p) && !is_over(p);
}

void pair_send_text(struct burrow_link *link, const char *text)
{
    if (link->transport != NULL && !link->closed && link->accepted + link->connected > 0)
        (void)fake_link_send(link, text, strlen(text));
}

struct wanted {
    struct pair *pair;
    size_t client, server;
};

static bool has_bytes(void *arg)
{
    const struct wanted *w = arg;
    return is_over(w->pair) ||
           (w->pair->client.total >= w->client && w->pair->server.total >= w->server);
}

bool pair_wait_bytes(struct pair *p, size_t client, size_t server)
{
    struct wanted w = {p, client, server};
    return wait_both(p, has_bytes, &w) && p->client.total >= client && p->server.total >= server;
}

static bool are_closed(void *arg)
{
    struct pair *p = arg;
    if (p->listener >= 0)
        accept_one(p);
    return (!p->dialled || p->client.closed) && (!p->accepted || p->server.closed);
}

bool pair_wait_closed(struct pair *p)
{
    return wait_both(p, are_closed, p);
}

void pair_idle(struct pair *p, uint64_t ms)
{
    for (int i = 0; i < 20; i++) {
        fake_host_advance(&p->client_life->host, ms / 20);
        fake_host_turn(&p->client_life->host, 1);
        if (p->server_life != p->client_life) {
            fake_host_advance(&p->server_life->host, ms / 20);
            fake_host_turn(&p->server_life->host, 1);
        }
    }
}

void pair_close(struct pair *p, uint32_t code)
{
    if (p->dialled && !p->client.closed)
        fake_link_close(&p->client, code, "the check is over");
    if (p->accepted && !p->server.closed)
        fake_link_close(&p->server, code, "the check is over");
}

void pair_cut(struct pair *p)
{
    shutdown(p->server_fd, SHUT_RDWR);
}

void pair_finish(struct pair *p)
{
    close_listener(p);
    if (!pair_wait_closed(p))
        fake_host_fail("broken: close is followed by `closed`, within a second or so");
    if (p->dialled)
        fake_link_finish(&p->client);
    if (p->accepted)
        fake_link_finish(&p->server);
}

void pair_sockets(struct life *life, int fds[2])
{
    struct pair p = {.listener = -1};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port = 0;
    if (life->subject->is_unix) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
            fake_host_fail("the kit has no sockets: %s", strerror(errno));
    } else {
        open_listener(&p, false, &port);
        in.sin_port = htons(port);
        fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fds[1], (struct sockaddr *)(void *)&in, sizeof in) < 0 ||
            (fds[0] = accept4(p.listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
            fake_host_fail("the kit has no sockets: %s", strerror(errno));
        close_listener(&p);
    }
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

int pair_dial_nobody(struct life *life, struct burrow_link *link)
{
    struct pair p = {.listener = -1};
    uint16_t port = 0;
    open_listener(&p, life->subject->is_unix, &port);
    char path[sizeof p.path];
    memcpy(path, p.path, sizeof path);
    close_listener(&p); /* its port was free a moment ago */
    return dial(life, link, path, port);
}
