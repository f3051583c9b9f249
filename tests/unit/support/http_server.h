/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server for tests of clients: real sockets on loopback, a thread for each
 * connection, and a function of the test that answers as well or as badly as it likes.
 */
#ifndef SUPPORT_HTTP_SERVER_H
#define SUPPORT_HTTP_SERVER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_server;

/* One request on one connection, in the connection's own thread. */
struct http_peer {
    struct http_server *server;
    int fd;
    SSL *ssl;        /* NULL: plain */
    char head[8192]; /* request line and fields, up to the empty line */
    char path[512];
    char body[4096]; /* as Content-Length says */
    size_t body_len;
    bool client_cert; /* shown, and good */
};

/* Answers one request. False ends the connection. */
typedef bool http_server_fn(void *arg, struct http_peer *peer);

/* Listens on 127.0.0.1. tls may be NULL; it is borrowed. Fails the test when it cannot. */
struct http_server *http_server_start(SSL_CTX *tls, http_server_fn *fn, void *arg);
/* Ends all connections and joins all threads. */
void http_server_stop(struct http_server *server);
uint16_t http_server_port(const struct http_server *server);
/* Requests that came, and connections, until now. */
unsigned http_server_requests(struct http_server *server);
unsigned http_server_connections(struct http_server *server);

/* False: the peer is gone or the server stops. */
bool http_peer_write(struct http_peer *peer, const void *data, size_t n);
__attribute__((format(printf, 2, 3))) bool http_peer_say(struct http_peer *peer, const char *fmt,
                                                         ...);
/* A whole 200 response; fields are further lines, each with its line end. */
bool http_peer_ok(struct http_peer *peer, const char *fields, const char *body);
/* Waits; false: the server stops or the peer closed meanwhile. */
bool http_peer_wait(struct http_peer *peer, unsigned ms);

#endif
