/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a connection comes about: an accepted or a connected descriptor, then the TLS
 * handshake without blocking, under one deadline, then the check that both sides mean
 * burrow/2. What a stranger did wrong goes to the host with `closed`, which logs it.
 */
#include "transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void handshake_failed(struct conn *conn, uint32_t code, const char *reason)
{
    const struct burrow_host *host = conn->transport->host;
    host->metric_add(host->self, METRIC_HANDSHAKE_FAILURES, 1);
    if (!conn->dialled) {
        /* Closing a socket with unread bytes resets it, and the reset may overtake the alert
         * that tells the peer what is wrong. */
        uint8_t rest[16384];
        (void)shutdown(conn->fd, SHUT_WR);
        (void)recv(conn->fd, rest, sizeof rest, MSG_DONTWAIT);
    }
    conn_over(conn, code, reason);
}

/* Raw TLS has no place for a credential but a client certificate; without one the register
 * frame must carry a token. True: the host answers by conn_admit, perhaps inside. */
static bool ask_about_certificate(struct conn *conn)
{
    struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_CERTIFICATE,
        .peer = conn->peer,
    };
    unsigned char *der =
        conn->dialled ? NULL : tls_peer_certificate(conn->ssl, &credential.client_cert_len);
    if (der == NULL)
        return false;
    credential.client_cert_der = der;
    conn->stage = STAGE_ASKING;
    (void)conn->transport->host->rewatch(conn->watch, 0);
    conn->transport->events->authenticate(conn->link, &credential);
    OPENSSL_free(der);
    return true;
}

void conn_admit(void *p, const struct burrow_verdict *verdict)
{
    struct conn *conn = (struct conn *)p;
    must(conn != NULL && conn->magic == CONN_MAGIC);
    if (conn->stage != STAGE_ASKING)
        return;
    if (verdict->result != BURROW_AUTH_ALLOW) {
        handshake_failed(conn, BURROW_CLOSE_POLICY, "the client's certificate is refused");
        return;
    }
    /* It opens on a turn of its own: no event comes from inside an op. */
    conn->stage = STAGE_ADMITTED;
    (void)conn->transport->host->rewatch(conn->watch, BURROW_READ);
    conn->transport->host->feed(conn->watch, BURROW_READ);
}

static void handshake_done(struct conn *conn)
{
    const struct burrow_host *host = conn->transport->host;
    if (!tls_has_alpn(conn->ssl, ALPN)) {
        handshake_failed(conn, BURROW_CLOSE_TLS,
                         conn->dialled ? "the server does not speak " ALPN " (ALPN)"
                                       : "the client does not offer " ALPN " (ALPN)");
        return;
    }
    host->metric_add(host->self, METRIC_HANDSHAKES, 1);
    if (SSL_session_reused(conn->ssl))
        host->metric_add(host->self, METRIC_RESUMPTIONS, 1);
    if (!ask_about_certificate(conn))
        conn_open(conn);
}

static void handshake(struct conn *conn)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_do_handshake(conn->ssl);
    if (r == 1) {
        handshake_done(conn);
        return;
    }
    int system_error = errno;
    int error = SSL_get_error(conn->ssl, r);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        int interest = error == SSL_ERROR_WANT_READ ? BURROW_READ : BURROW_WRITE;
        if (conn->transport->host->rewatch(conn->watch, interest) != BURROW_OK)
            handshake_failed(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    char reason[TLS_REASON];
    uint32_t code = tls_reason(conn->ssl, error, system_error, reason);
    handshake_failed(conn, code, reason);
}

static void on_ready(void *arg, int events)
{
    (void)events;
    struct conn *conn = (struct conn *)arg;
    must(conn != NULL && conn->magic == CONN_MAGIC);
    if (conn->stage == STAGE_HANDSHAKE)
        handshake(conn);
    else if (conn->stage == STAGE_ADMITTED)
        conn_open(conn);
    else if (conn->stage == STAGE_OVER)
        conn_finish(conn);
}

static void on_deadline(void *arg)
{
    struct conn *conn = (struct conn *)arg;
    must(conn != NULL && conn->magic == CONN_MAGIC);
    conn->timer = NULL;
    char reason[TLS_REASON];
    if (conn->stage == STAGE_HANDSHAKE) {
        snprintf(reason, sizeof reason, "no TLS handshake within %u ms",
                 (unsigned)conn->timeout_ms);
        handshake_failed(conn, BURROW_CLOSE_TLS, reason);
    }
}

/* A connection on fd, which it owns from now on, also when it fails. */
static int conn_create(struct transport *transport, struct burrow_link *link, int fd, SSL_CTX *ctx,
                       int interest, uint32_t timeout_ms, struct conn **ret)
{
    const struct burrow_host *host = transport->host;
    struct conn *conn = (struct conn *)calloc(1, sizeof *conn);
    if (conn == NULL) {
        close(fd);
        return BURROW_ENOMEM;
    }
    conn->magic = CONN_MAGIC;
    conn->stage = STAGE_HANDSHAKE;
    conn->transport = transport;
    conn->link = link;
    conn->fd = fd;
    conn->reading = true;
    conn->timeout_ms = timeout_ms;
    conn->next = transport->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    transport->conns = conn;
    ERR_clear_error();
    conn->ssl = SSL_new(ctx);
    if (conn->ssl != NULL && SSL_set_fd(conn->ssl, fd) == 1 &&
        SSL_set_app_data(conn->ssl, conn) == 1)
        conn->watch = host->watch(host->self, fd, interest, on_ready, conn);
    if (conn->watch != NULL)
        conn->timer = host->after(host->self, timeout_ms, on_deadline, conn);
    if (conn->timer == NULL) {
        conn_discard(conn);
        return BURROW_ENOMEM;
    }
    *ret = conn;
    return BURROW_OK;
}

static struct transport *transport_of(void *self)
{
    struct transport *transport = (struct transport *)self;
    must(transport != NULL && transport->magic == TRANSPORT_MAGIC);
    return transport;
}

int conn_accept(void *self, const struct burrow_accept *accept, struct burrow_link *link,
                void **ret_conn)
{
    struct transport *transport = transport_of(self);
    if (accept->role != BURROW_ROLE_MAIN || transport->server == NULL || transport->stopping) {
        if (transport->server == NULL && !transport->said_no_certificate)
            burrow_log(transport->host, BURROW_LOG_ERROR,
                       "refusing connections: no certificate, give --tls-cert and --tls-key");
        transport->said_no_certificate |= transport->server == NULL;
        close(accept->fd);
        return BURROW_EINVAL;
    }
    struct conn *conn;
    int r = conn_create(transport, link, accept->fd, transport->server, BURROW_READ, HANDSHAKE_MS,
                        &conn);
    if (r < 0)
        return r;
    conn->peer = accept->peer;
    SSL_set_accept_state(conn->ssl);
    *ret_conn = conn;
    return BURROW_OK;
}

/* Readies ssl for the server: name, verification, and the session of last time. */
static int prepare_client(struct conn *conn, const struct burrow_dial *dial)
{
    struct transport *transport = conn->transport;
    conn->dialled = true;
    conn->port = dial->port;
    conn->host = strdup(dial->host);
    if (conn->host == NULL)
        return BURROW_ENOMEM;
    SSL_set_connect_state(conn->ssl);
    int r = tls_client_name(conn->ssl, conn->host);
    if (r < 0)
        return r;
    if (transport->session != NULL && transport->session_port == conn->port &&
        strcmp(transport->session_host, conn->host) == 0 &&
        SSL_SESSION_is_resumable(transport->session))
        (void)SSL_set_session(conn->ssl, transport->session);
    return BURROW_OK;
}

int conn_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link, void **ret_conn)
{
    struct transport *transport = transport_of(self);
    if (strcmp(dial->scheme, "tls") != 0 || transport->stopping || dial->fd < 0 ||
        strlen(dial->host) >= HOST_SIZE) {
        if (dial->fd >= 0)
            close(dial->fd);
        return BURROW_EINVAL;
    }
    struct conn *conn;
    uint32_t timeout_ms = dial->timeout_ms > 0 ? dial->timeout_ms : HANDSHAKE_MS;
    int r =
        conn_create(transport, link, dial->fd, transport->client, BURROW_WRITE, timeout_ms, &conn);
    if (r < 0)
        return r;
    r = prepare_client(conn, dial);
    if (r < 0) {
        conn_discard(conn);
        return r;
    }
    if (transport->skip_verify)
        burrow_log(transport->host, BURROW_LOG_WARN,
                   "the certificate of %s is not verified (--tls-skip-verify)", conn->host);
    *ret_conn = conn;
    return BURROW_OK;
}
