/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepted sockets in libwebsockets: it does TLS and HTTP on the host's libev loop, until an
 * upgrade comes. Then its connection is parked, and our pipe drives the socket and the SSL.
 *
 * A plain request is parked in HTTP as it is, answered through the pipe and closed: libwebsockets
 * spins on a socket whose peer sends on while an answer is pending.
 *
 * An upgrade takes a turn more, so that an idle connection does not keep the memory of its head.
 * It is not libwebsockets' own upgrade, which wants to be told yes or no at once, while the
 * host may take its time over a credential. In HTTP_CONFIRM_UPGRADE the word "websocket" is
 * taken out of the head, which is ours to change there, so that the request goes on as a plain
 * GET. In HTTP its head is copied and the transaction is declared complete: libwebsockets frees
 * its header memory, asks once whether the socket is writable, and is idle. A watch of our own
 * waits for the same; one turn later libwebsockets has had its answer, and its reading is
 * switched off. From then on it touches the socket no more but to close it.
 *
 * A client must not send anything before it has our response (RFC 6455, 4.1). One that does
 * loses those bytes that came in one read with its request.
 *
 * libwebsockets' own timeouts do not run on a foreign libev loop; ours are the host's timers.
 */
#include "ws.h"

#include <libwebsockets.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Tables of libwebsockets are as long as the limit of descriptors, which may be 10^9. */
#define FDS_MAX 262144u
/* Heads that are being read; the host bounds the connections that are not admitted yet. */
#define HEADS_MAX 1024u

/* ---- parking --------------------------------------------------------------------------- */

/* libwebsockets reads and times no more; the pipe has the socket. 0 or BURROW_ENOMEM. */
static int take_over(struct ws_conn *conn, struct lws *wsi)
{
    (void)lws_rx_flow_control(wsi, 0);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    if (ws_conn_attach(conn, lws_get_socket_fd(wsi), lws_get_ssl(wsi)) < 0) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return BURROW_ENOMEM;
    }
    pipe_read_enable(conn->pipe, 0);
    return BURROW_OK;
}

static void on_settled(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    must(conn->magic == WS_CONN_MAGIC);
    conn->timer = NULL;
    if (conn->wsi == NULL || take_over(conn, conn->wsi) < 0)
        return; /* closed follows */
    conn->state = WS_ASKING;
    ws_upgrade_ask(conn);
}

/* The socket is writable: libwebsockets hears of it in this turn of the loop too. */
static void on_writable(void *arg, int events)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    (void)events;
    conn->self->host->unwatch(conn->settle);
    conn->settle = NULL;
    ws_timer(conn, 0, on_settled);
}

static int park(struct ws_conn *conn, struct lws *wsi)
{
    const struct burrow_host *host = conn->self->host;
    if (lws_http_transaction_completed(wsi) != 0)
        return -1;
    conn->settle = host->watch(host->self, lws_get_socket_fd(wsi), BURROW_WRITE, on_writable, conn);
    if (conn->settle == NULL) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return -1;
    }
    conn->state = WS_SETTLING;
    return 0;
}

/* ---- libwebsockets' callback ----------------------------------------------------------- */

static int on_confirm_upgrade(struct ws_conn *conn, char *protocol)
{
    if (conn->state != WS_HTTP)
        return -1;
    bool websocket = strcasecmp(protocol, "websocket") == 0;
    if (!websocket && strcasecmp(protocol, "h2c") != 0)
        return -1; /* libwebsockets has answered 403 */
    protocol[0] = '\0';
    conn->upgrade_seen = websocket ? WS_UPGRADE_WEBSOCKET : WS_UPGRADE_OTHER;
    return 0;
}

/* A head is whole. Everything but an upgrade that may stand is answered through the pipe at
 * once, while the head can still be read. */
static int on_request(struct ws_conn *conn, struct lws *wsi)
{
    struct ws_refusal refusal = {0, NULL, NULL};
    if (conn->state != WS_HTTP)
        return -1; /* something was sent behind the request for an upgrade */
    if (conn->upgrade_seen == WS_UPGRADE_WEBSOCKET && ws_upgrade_take(conn, wsi, &refusal) == 0)
        return park(conn, wsi);
    if (take_over(conn, wsi) < 0)
        return -1;
    if (conn->upgrade_seen == WS_UPGRADE_WEBSOCKET)
        ws_http_refuse(conn, &refusal);
    else
        ws_http_request(conn, wsi);
    return 0;
}

/* libwebsockets has freed the connection and its socket. */
static void on_gone(struct ws_conn *conn)
{
    conn->wsi = NULL;
    if (conn->adopting)
        return;
    /* Nothing may watch the descriptor any longer. */
    conn->self->host->unwatch(conn->settle);
    conn->settle = NULL;
    if (conn->pipe != NULL)
        pipe_close(conn->pipe);
    conn->pipe = NULL;
    ws_doom(conn, BURROW_CLOSE_PEER, "the peer closed the connection");
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    (void)len;
    if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
        return ws_tls_fill((struct ws_instance *)lws_context_user(lws_get_context(wsi)),
                           (SSL_CTX *)user);
    if (reason == LWS_CALLBACK_RAW_ADOPT || reason == LWS_CALLBACK_RAW_RX)
        return -1; /* the method CONNECT leads there */
    if (reason != LWS_CALLBACK_HTTP_CONFIRM_UPGRADE && reason != LWS_CALLBACK_HTTP &&
        reason != LWS_CALLBACK_CLOSED_HTTP && reason != LWS_CALLBACK_WSI_DESTROY)
        return 0;

    struct ws_conn *conn = (struct ws_conn *)lws_get_opaque_user_data(wsi);
    if (conn == NULL)
        return 0; /* we are done with it, and it is being closed */
    must(conn->magic == WS_CONN_MAGIC);
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return on_confirm_upgrade(conn, (char *)in);
    case LWS_CALLBACK_HTTP:
        return on_request(conn, wsi);
    default:
        on_gone(conn); /* CLOSED_HTTP does not come for each, DESTROY does */
        return 0;
    }
}

/* ---- the context ----------------------------------------------------------------------- */

static const struct lws_protocols protocols[] = {
    {"http", callback, 0, 128, 0, NULL, 0},
    {NULL, NULL, 0, 0, 0, NULL, 0},
};

/* No pings of libwebsockets' in the stream. */
static const lws_retry_bo_t no_idle_policy;

static void fill_info(struct ws_instance *self, struct lws_context_creation_info *info)
{
    memset(info, 0, sizeof *info);
    info->port = CONTEXT_PORT_NO_LISTEN;
    info->protocols = protocols;
    info->retry_and_idle_policy = &no_idle_policy;
    info->alpn = "http/1.1";
    info->user = self;
    info->gid = -1;
    info->uid = -1;
}

static struct lws_context *create_context(struct ws_instance *self)
{
    struct lws_context_creation_info info;
    void *loops[1] = {self->host->native_loop(self->host->self, "libev")};
    fill_info(self, &info);
    info.options = LWS_SERVER_OPTION_LIBEV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.foreign_loops = loops;
    info.pt_serv_buf_size = 32768;
    info.max_http_header_data2 = WS_HEAD_MAX;
    info.max_http_header_pool2 = HEADS_MAX;
    info.timeout_secs = WS_REQUEST_MS / 1000;

    struct rlimit limit = {0}, lower;
    bool lowered = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > FDS_MAX;
    lower = limit;
    lower.rlim_cur = FDS_MAX;
    if (lowered)
        lowered = setrlimit(RLIMIT_NOFILE, &lower) == 0;
    lws_set_log_level(0, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (lowered)
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    return context;
}

static int create_vhosts(struct ws_instance *self)
{
    struct lws_context_creation_info info;
    fill_info(self, &info);
    info.vhost_name = "plain";
    self->plain = lws_create_vhost(self->lws, &info);
    if (self->plain == NULL || self->config.tls.cert == NULL)
        return self->plain != NULL ? BURROW_OK : BURROW_ENOMEM;
    /* Another number than the plain one's, so that no Host header leads from one to the other,
     * and the one with which libwebsockets makes a server's TLS context without listening. */
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.vhost_name = "tls";
    info.options = LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    /* Or it makes one for clients, too, with the system's authorities, and does not free it when a
     * second context of its was made since: the index under which it keeps it is global. */
    self->idle_tls = SSL_CTX_new(TLS_client_method());
    if (self->idle_tls == NULL)
        return BURROW_ENOMEM;
    info.provided_client_ssl_ctx = self->idle_tls;
    self->tls = lws_create_vhost(self->lws, &info);
    return self->tls != NULL ? BURROW_OK : BURROW_EIO;
}

/* An instance that only dials needs no context, so the first accept makes it. */
static int ensure_context(struct ws_instance *self)
{
    if (self->lws != NULL)
        return BURROW_OK;
    self->lws = create_context(self);
    if (self->lws != NULL && create_vhosts(self) == BURROW_OK)
        return BURROW_OK;
    ws_server_finish(self);
    burrow_log(self->host, BURROW_LOG_ERROR, "libwebsockets cannot be started");
    return BURROW_EIO;
}

void ws_server_finish(struct ws_instance *self)
{
    if (self->lws != NULL)
        lws_context_destroy(self->lws);
    SSL_CTX_free(self->idle_tls);
    self->idle_tls = NULL;
    self->lws = NULL;
    self->plain = self->tls = NULL;
}

/* ---- accepting ------------------------------------------------------------------------- */

static void on_request_late(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    must(conn->magic == WS_CONN_MAGIC);
    conn->timer = NULL;
    ws_doom(conn, BURROW_CLOSE_POLICY, "no whole request within %u s", WS_REQUEST_MS / 1000);
}

int ws_server_accept(struct ws_instance *self, const struct burrow_accept *accept,
                     struct burrow_link *link, void **ret_conn)
{
    struct ws_conn *conn = NULL;
    bool tls = accept->tls != 0 && self->config.tls.cert != NULL;
    if (self->stopping || ensure_context(self) < 0 || (conn = ws_conn_new(self, link)) == NULL) {
        close(accept->fd);
        return self->stopping ? BURROW_EAGAIN : BURROW_ENOMEM;
    }
    conn->role = accept->role;
    conn->peer = accept->peer;
    ws_timer(conn, WS_REQUEST_MS, on_request_late);
    lws_adopt_desc_t adopt = {
        .vh = tls ? self->tls : self->plain,
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | (tls ? LWS_ADOPT_ALLOW_SSL : 0),
        .fd.sockfd = accept->fd,
        .opaque = conn,
    };
    conn->adopting = 1;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&adopt); /* closes fd if it fails */
    conn->adopting = 0;
    conn->wsi = wsi;
    if (wsi == NULL || conn->state == WS_DOOMED) {
        ws_conn_discard(conn);
        return BURROW_EIO;
    }
    *ret_conn = conn;
    return BURROW_OK;
}

void ws_server_release(struct ws_conn *conn)
{
    struct lws *wsi = conn->wsi;
    if (wsi == NULL)
        return;
    conn->wsi = NULL;
    lws_set_opaque_user_data(wsi, NULL);
    /* An error page of its own that the peer does not take would keep it alive; without the
     * socket it ends. */
    if (lws_partial_buffered(wsi))
        (void)shutdown(lws_get_socket_fd(wsi), SHUT_RDWR);
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}
