/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dialling, from the socket that the host has connected: TLS with the URL's name, the request,
 * and the server's response.
 *
 * This side does not use libwebsockets: version 4.1.6 reads a response in large pieces and keeps
 * what follows the head to itself, so that the body of a refusal, which names its code, and a
 * frame that comes with the 101 are both out of reach; and it follows redirects, to which a
 * token must not be sent. What a client has to check of a response is little (RFC 6455, 4.1,
 * in ws_handshake.c), and on our own pipe nothing is read too early.
 */
#include "ws.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tls_reason.h>
#include <unistd.h>

enum dial_stage { DIAL_BEGIN, DIAL_TLS, DIAL_HEAD, DIAL_BODY };

struct ws_dialing {
    enum dial_stage stage;
    struct burrow_watch *watch; /* until the pipe has the socket */
    char *host;
    char *request;
    size_t request_len;
    char accept[WS_ACCEPT_LEN + 1];
    struct ws_response response;
    size_t len;              /* of the head or body so far */
    char input[WS_HEAD_MAX]; /* the head, then the body's beginning */
};

void ws_client_free(struct ws_conn *conn)
{
    struct ws_dialing *dialing = conn->dialing;
    if (dialing == NULL)
        return;
    conn->dialing = NULL;
    conn->self->host->unwatch(dialing->watch);
    if (dialing->request != NULL)
        OPENSSL_cleanse(dialing->request, dialing->request_len);
    free(dialing->request);
    free(dialing->host);
    free(dialing);
}

/* ---- the response ---------------------------------------------------------------------- */

static void refused(struct ws_conn *conn)
{
    struct ws_dialing *dialing = conn->dialing;
    conn->info.http_status = dialing->response.status;
    conn->info.auth_code = ws_code_find(dialing->input, dialing->len);
    if (conn->info.auth_code != 0)
        ws_doom(conn, BURROW_CLOSE_REFUSED, "the server refused the upgrade with %u (%s)",
                dialing->response.status, ws_code_name(conn->info.auth_code));
    else
        ws_doom(conn, BURROW_CLOSE_REFUSED, "the server refused the upgrade with %u",
                dialing->response.status);
}

static void opened(struct ws_conn *conn, uint8_t *p, size_t n)
{
    ws_client_free(conn);
    ws_conn_open(conn);
    conn->self->transport->connected(conn->link);
    if (conn->state == WS_OPEN && n > 0)
        ws_conn_receive(conn, p, n);
}

static void on_head(struct ws_conn *conn, size_t head, uint8_t *rest, size_t rest_len)
{
    struct ws_dialing *dialing = conn->dialing;
    if (ws_response_parse(dialing->input, head, dialing->accept, &dialing->response) < 0) {
        ws_doom(conn, BURROW_CLOSE_PROTOCOL, "%s", dialing->response.fault);
        return;
    }
    if (dialing->response.upgraded) {
        opened(conn, rest, rest_len);
        return;
    }
    dialing->stage = DIAL_BODY;
    dialing->len = 0;
    ws_client_data(conn, rest, rest_len);
}

/* The body of a refusal: until it is whole, or long enough, or names a code. */
static void on_body(struct ws_conn *conn, const uint8_t *p, size_t n)
{
    struct ws_dialing *dialing = conn->dialing;
    size_t room = WS_BODY_MAX - dialing->len;
    if (n > room)
        n = room;
    memcpy(dialing->input + dialing->len, p, n);
    dialing->len += n;
    if (dialing->len == WS_BODY_MAX ||
        (dialing->response.length_known && dialing->len >= dialing->response.length))
        refused(conn);
}

void ws_client_data(struct ws_conn *conn, uint8_t *p, size_t n)
{
    struct ws_dialing *dialing = conn->dialing;
    if (dialing->stage == DIAL_BODY) {
        on_body(conn, p, n);
        return;
    }
    size_t before = dialing->len;
    size_t take = n < WS_HEAD_MAX - before ? n : WS_HEAD_MAX - before;
    memcpy(dialing->input + before, p, take);
    dialing->len += take;
    size_t head = ws_head_length(dialing->input, dialing->len);
    if (head > 0)
        on_head(conn, head, p + (head - before), n - (head - before));
    else if (dialing->len == WS_HEAD_MAX)
        ws_doom(conn, BURROW_CLOSE_PROTOCOL, "the server's response has no end");
}

void ws_client_ended(struct ws_conn *conn, uint32_t code, const char *reason)
{
    if (conn->dialing->stage == DIAL_BODY)
        refused(conn);
    else if (code == BURROW_CLOSE_PEER)
        ws_doom(conn, BURROW_CLOSE_LOST, "%s without a response", reason);
    else
        ws_doom(conn, code, "%s", reason);
}

/* ---- TLS and the request --------------------------------------------------------------- */

/* The socket is ready for the request. */
static void send_request(struct ws_conn *conn)
{
    struct ws_dialing *dialing = conn->dialing;
    conn->self->host->unwatch(dialing->watch);
    dialing->watch = NULL;
    if (ws_conn_attach(conn, conn->fd, conn->ssl) < 0 ||
        pipe_send_copy(conn->pipe, dialing->request, dialing->request_len) < 0) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    dialing->stage = DIAL_HEAD;
    pipe_flush(conn->pipe);
}

static void step_tls(struct ws_conn *conn)
{
    ERR_clear_error();
    errno = 0;
    int r = SSL_connect(conn->ssl);
    if (r == 1) {
        send_request(conn);
        return;
    }
    int system_error = errno, error = SSL_get_error(conn->ssl, r);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        (void)conn->self->host->rewatch(conn->dialing->watch,
                                        error == SSL_ERROR_WANT_READ ? BURROW_READ : BURROW_WRITE);
        return;
    }
    char reason[TLS_REASON];
    uint32_t code = tls_reason(conn->ssl, error, system_error, reason);
    ws_doom(conn, code, "%s", reason);
}

static int begin_tls(struct ws_conn *conn)
{
    conn->ssl = SSL_new(conn->self->dial_tls);
    if (conn->ssl == NULL || SSL_set_fd(conn->ssl, conn->fd) != 1)
        return BURROW_ENOMEM;
    return tls_client_name(conn->ssl, conn->dialing->host);
}

static void step_begin(struct ws_conn *conn)
{
    if (conn->dialing->host == NULL) {
        send_request(conn);
    } else if (begin_tls(conn) < 0) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
    } else {
        conn->dialing->stage = DIAL_TLS;
        step_tls(conn);
    }
}

static void on_ready(void *arg, int events)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    (void)events;
    must(conn->magic == WS_CONN_MAGIC);
    if (conn->state != WS_DIALING) {
        (void)conn->self->host->rewatch(conn->dialing->watch, 0); /* closed is on its way */
        return;
    }
    if (conn->dialing->stage == DIAL_BEGIN)
        step_begin(conn);
    else
        step_tls(conn);
}

static void on_late(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    static const char *const waiting_for[] = {
        [DIAL_BEGIN] = "turn", [DIAL_TLS] = "TLS handshake", [DIAL_HEAD] = "response"};
    conn->timer = NULL;
    if (conn->dialing->stage == DIAL_BODY)
        refused(conn);
    else
        ws_doom(conn, BURROW_CLOSE_UNREACHABLE, "timed out: no %s",
                waiting_for[conn->dialing->stage]);
}

/* ---- dial ------------------------------------------------------------------------------ */

static int make_request(struct ws_dialing *dialing, const struct burrow_dial *dial, bool tls)
{
    char key[WS_KEY_LEN + 1];
    if (ws_key_new(key) < 0 || ws_accept_value(key, WS_KEY_LEN, dialing->accept) < 0)
        return BURROW_EIO;
    struct ws_request request = {
        .host = dial->host,
        .path = dial->path[0] != '\0' ? dial->path : "/",
        .token = dial->token,
        .key = key,
        .port = dial->port,
        .tls = tls,
    };
    return ws_request_text(&request, &dialing->request, &dialing->request_len);
}

int ws_client_dial(struct ws_instance *self, const struct burrow_dial *dial,
                   struct burrow_link *link, void **ret_conn)
{
    bool tls = strcmp(dial->scheme, "wss") == 0;
    if (dial->fd < 0)
        return BURROW_EINVAL;
    int r = self->stopping ? BURROW_EAGAIN : tls ? ws_tls_dial(self) : BURROW_OK;
    struct ws_conn *conn = r == BURROW_OK ? ws_conn_new(self, link) : NULL;
    if (conn == NULL) {
        close(dial->fd);
        return r == BURROW_OK ? BURROW_ENOMEM : r;
    }
    conn->client = 1;
    conn->state = WS_DIALING;
    conn->fd = dial->fd;
    conn->dialing = (struct ws_dialing *)calloc(1, sizeof *conn->dialing);
    r = BURROW_ENOMEM;
    if (conn->dialing == NULL || (tls && (conn->dialing->host = strdup(dial->host)) == NULL) ||
        (r = make_request(conn->dialing, dial, tls)) < 0)
        goto failed;
    /* The socket is writable: the work begins on the next turn, and so does what may fail. */
    r = BURROW_ENOMEM;
    conn->dialing->watch =
        self->host->watch(self->host->self, conn->fd, BURROW_WRITE, on_ready, conn);
    ws_timer(conn, dial->timeout_ms, on_late);
    if (conn->dialing->watch == NULL || conn->timer == NULL)
        goto failed;
    if (tls && self->config.tls.skip_verify)
        burrow_log(self->host, BURROW_LOG_WARN,
                   "the certificate of %s is not verified (--tls-skip-verify)", dial->host);
    *ret_conn = conn;
    return BURROW_OK;
failed:
    ws_conn_discard(conn);
    return r;
}
