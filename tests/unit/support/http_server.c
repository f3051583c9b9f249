/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' HTTP server, see http_server.h. It is not polite to its peers, only to the test:
 * whatever a thread waits for, the server's end ends. */
#include "http_server.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_CONNECTIONS 256

struct http_server {
    int fd;
    uint16_t port;
    SSL_CTX *tls;
    http_server_fn *fn;
    void *arg;
    atomic_bool stopping;
    atomic_uint requests, connections;
    pthread_t acceptor;
    pthread_t threads[MAX_CONNECTIONS]; /* used by the acceptor until it is joined */
    size_t count;
};

/* Waits for the socket; false: the server stops, or an error. */
static bool ready(const struct http_server *server, int fd, short events)
{
    while (!atomic_load(&server->stopping)) {
        struct pollfd p = {fd, events, 0};
        if (poll(&p, 1, 20) > 0)
            return true;
    }
    return false;
}

static bool tls_wants(struct http_peer *peer, int r)
{
    int error = SSL_get_error(peer->ssl, r);
    if (error == SSL_ERROR_WANT_READ)
        return ready(peer->server, peer->fd, POLLIN);
    if (error == SSL_ERROR_WANT_WRITE)
        return ready(peer->server, peer->fd, POLLOUT);
    return false;
}

static ssize_t peer_read(struct http_peer *peer, void *out, size_t size)
{
    for (;;) {
        if (peer->ssl) {
            int r = SSL_read(peer->ssl, out, (int)size);
            if (r > 0)
                return r;
            if (!tls_wants(peer, r))
                return -1;
            continue;
        }
        ssize_t n = recv(peer->fd, out, size, MSG_DONTWAIT);
        if (n > 0)
            return n;
        if (n == 0 || (errno != EAGAIN && errno != EINTR) || !ready(peer->server, peer->fd, POLLIN))
            return -1;
    }
}

bool http_peer_write(struct http_peer *peer, const void *data, size_t n)
{
    const char *p = data;
    while (n > 0) {
        ssize_t w;
        if (peer->ssl) {
            w = SSL_write(peer->ssl, p, n > 65536 ? 65536 : (int)n);
            if (w <= 0 && !tls_wants(peer, (int)w))
                return false;
        } else {
            w = send(peer->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (w < 0 &&
                ((errno != EAGAIN && errno != EINTR) || !ready(peer->server, peer->fd, POLLOUT)))
                return false;
        }
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        }
    }
    return true;
}

bool http_peer_say(struct http_peer *peer, const char *fmt, ...)
{
    char text[16384];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return n >= 0 && (size_t)n < sizeof text && http_peer_write(peer, text, (size_t)n);
}

bool http_peer_ok(struct http_peer *peer, const char *fields, const char *body)
{
    return http_peer_say(peer, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", fields,
                         strlen(body)) &&
           http_peer_write(peer, body, strlen(body));
}

bool http_peer_wait(struct http_peer *peer, unsigned ms)
{
    for (unsigned waited = 0; waited < ms; waited += 10) {
        struct pollfd p = {peer->fd, POLLRDHUP, 0};
        if (atomic_load(&peer->server->stopping) || poll(&p, 1, 10) > 0)
            return false;
    }
    return true;
}

static bool read_body(struct http_peer *peer, const char *rest, size_t n)
{
    const char *field = strcasestr(peer->head, "\r\ncontent-length:");
    size_t want = field ? strtoul(field + 17, NULL, 10) : 0;
    if (want >= sizeof peer->body || n > want)
        return false;
    memcpy(peer->body, rest, n);
    while (n < want) {
        ssize_t got = peer_read(peer, peer->body + n, want - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    peer->body[n] = '\0';
    peer->body_len = n;
    return true;
}

static bool read_request(struct http_peer *peer)
{
    size_t n = 0;
    for (;;) {
        if (n + 1 >= sizeof peer->head)
            return false;
        ssize_t got = peer_read(peer, peer->head + n, sizeof peer->head - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        peer->head[n] = '\0';
        char *end = strstr(peer->head, "\r\n\r\n");
        if (!end)
            continue;
        char rest[sizeof peer->body];
        size_t rest_len = n - (size_t)(end + 4 - peer->head);
        if (rest_len >= sizeof rest)
            return false;
        memcpy(rest, end + 4, rest_len);
        end[2] = '\0';
        if (sscanf(peer->head, "%*s %511s", peer->path) != 1)
            return false;
        return read_body(peer, rest, rest_len);
    }
}

static bool tls_accept(struct http_peer *peer)
{
    peer->ssl = SSL_new(peer->server->tls);
    if (!peer->ssl || SSL_set_fd(peer->ssl, peer->fd) != 1)
        return false;
    for (;;) {
        int r = SSL_accept(peer->ssl);
        if (r == 1)
            break;
        if (!tls_wants(peer, r))
            return false;
    }
    X509 *cert = SSL_get_peer_certificate(peer->ssl);
    peer->client_cert = cert && SSL_get_verify_result(peer->ssl) == X509_V_OK;
    X509_free(cert);
    return true;
}

static void *connection(void *arg)
{
    struct http_peer *peer = arg;
    struct http_server *server = peer->server;
    bool open = !server->tls || tls_accept(peer);
    while (open && read_request(peer)) {
        atomic_fetch_add(&server->requests, 1);
        open = server->fn(server->arg, peer);
    }
    if (peer->ssl && open)
        SSL_shutdown(peer->ssl);
    SSL_free(peer->ssl);
    close(peer->fd);
    free(peer);
    return NULL;
}

static void *accept_all(void *arg)
{
    struct http_server *server = arg;
    while (ready(server, server->fd, POLLIN) && server->count < MAX_CONNECTIONS) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | (server->tls ? SOCK_NONBLOCK : 0));
        if (fd < 0)
            continue;
        struct http_peer *peer = calloc(1, sizeof *peer);
        if (!peer)
            abort();
        peer->server = server;
        peer->fd = fd;
        atomic_fetch_add(&server->connections, 1);
        if (pthread_create(&server->threads[server->count], NULL, connection, peer) != 0)
            abort();
        server->count++;
    }
    return NULL;
}

struct http_server *http_server_start(SSL_CTX *tls, http_server_fn *fn, void *arg)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    struct http_server *server = calloc(1, sizeof *server);
    assert_non_null(server);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    server->tls = tls;
    server->fn = fn;
    server->arg = arg;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(server->fd >= 0);
    assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(listen(server->fd, 64), 0);
    assert_int_equal(getsockname(server->fd, (struct sockaddr *)&addr, &len), 0);
    server->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
    return server;
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    atomic_store(&server->stopping, true);
    pthread_join(server->acceptor, NULL);
    for (size_t i = 0; i < server->count; i++)
        pthread_join(server->threads[i], NULL);
    close(server->fd);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

unsigned http_server_requests(struct http_server *server)
{
    return atomic_load(&server->requests);
}

unsigned http_server_connections(struct http_server *server)
{
    return atomic_load(&server->connections);
}
