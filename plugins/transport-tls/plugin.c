/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin transport-tls: its options, and the life of an instance. */
#include "transport.h"

#include "tls_option_rows.h"

static const struct burrow_option options[] = {
    TLS_OPTION_ROWS(struct config, BURROW_OPT_RELOADABLE), BURROW_OPTION_END};

static const struct burrow_metric metrics[] = {
    [METRIC_HANDSHAKES] = {"handshakes_total", BURROW_METRIC_COUNTER, 0,
                           "TLS handshakes that succeeded"},
    [METRIC_HANDSHAKE_FAILURES] = {"handshake_failures_total", BURROW_METRIC_COUNTER, 0,
                                   "TLS handshakes that failed or took too long"},
    [METRIC_RESUMPTIONS] = {"resumptions_total", BURROW_METRIC_COUNTER, 0,
                            "TLS handshakes that resumed an earlier session"},
    {NULL, 0, 0, NULL}};

static int check(const struct burrow_host *host, const void *config)
{
    struct tls_error err;
    int r = tls_check(&((const struct config *)config)->tls, &err);
    return r < 0 ? burrow_error(host, r, "%s", err.text) : BURROW_OK;
}

/* Called by OpenSSL for each ticket of a dialled server; 1: the session is ours to free. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct conn *conn = (struct conn *)SSL_get_app_data(ssl);
    must(conn != NULL && conn->magic == CONN_MAGIC);
    struct transport *transport = conn->transport;
    SSL_SESSION_free(transport->session);
    transport->session = session;
    snprintf(transport->session_host, sizeof transport->session_host, "%s", conn->host);
    transport->session_port = conn->port;
    return 1;
}

/* Replaces the contexts by what the config names; on failure nothing changed. Connections keep
 * theirs. A session of before is forgotten: it was judged by the old rules. */
static int configure(struct transport *transport, const struct config *config)
{
    struct tls_error err;
    const struct tls_options *tls = &config->tls;
    SSL_CTX *server = NULL, *client = NULL;
    int r = tls_client_context(tls, ALPN, &client, &err);
    if (r == BURROW_OK && tls->cert != NULL)
        r = tls_server_context(tls, ALPN, &server, &err);
    if (r < 0) {
        SSL_CTX_free(client);
        return burrow_error(transport->host, r, "%s", err.text);
    }
    SSL_CTX_sess_set_new_cb(client, on_session);
    SSL_CTX_free(transport->client);
    SSL_CTX_free(transport->server);
    SSL_SESSION_free(transport->session);
    transport->client = client;
    transport->server = server;
    transport->session = NULL;
    transport->skip_verify = tls->skip_verify != 0;
    return BURROW_OK;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct transport *transport = (struct transport *)calloc(1, sizeof *transport);
    if (transport == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    transport->magic = TRANSPORT_MAGIC;
    transport->host = host;
    transport->config = (const struct config *)config;
    int r = configure(transport, (const struct config *)config);
    if (r < 0) {
        free(transport);
        return r;
    }
    *ret_self = transport;
    return BURROW_OK;
}

static struct transport *transport_of(void *self)
{
    struct transport *transport = (struct transport *)self;
    must(transport != NULL && transport->magic == TRANSPORT_MAGIC);
    return transport;
}

static int on_files(void *arg)
{
    struct transport *transport = transport_of(arg);
    return configure(transport, transport->config);
}

/* An older host watches nothing: then the files are read again at a reload. */
static int watch(struct transport *transport, const struct config *config)
{
    const struct burrow_host *host = transport->host;
    const struct tls_options *tls = &config->tls;
    const char *const paths[] = {tls->cert, tls->key, tls->ca, tls->client_ca};
    if (!BURROW_HAS(host, watch_files))
        return BURROW_OK;
    struct burrow_files *files = host->watch_files(host->self, paths, 4, on_files, transport);
    if (files == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    host->unwatch_files(transport->files);
    transport->files = files;
    return BURROW_OK;
}

static void unwatch(struct transport *transport)
{
    if (transport->files != NULL)
        transport->host->unwatch_files(transport->files);
    transport->files = NULL;
}

static int start(void *self)
{
    struct transport *transport = transport_of(self);
    int r = watch(transport, transport->config);
    /* Once more: what has changed since create is no change to who watches from now on. */
    if (r == BURROW_OK)
        r = configure(transport, transport->config);
    if (r < 0)
        unwatch(transport);
    return r;
}

static int reload(void *self, const void *arg)
{
    struct transport *transport = transport_of(self);
    const struct config *config = (const struct config *)arg;
    int r = check(transport->host, config);
    if (r == BURROW_OK)
        r = watch(transport, config);
    if (r == BURROW_OK)
        r = configure(transport, config);
    if (r == BURROW_OK)
        transport->config = config;
    return r;
}

static void bind_host(void *self, const struct burrow_transport_host *events)
{
    transport_of(self)->events = events;
}

static void stop(void *self)
{
    struct transport *transport = transport_of(self);
    transport->stopping = true;
    unwatch(transport);
    for (struct conn *conn = transport->conns; conn != NULL; conn = conn->next)
        if (conn->stage < STAGE_FAREWELL)
            conn_close(conn, BURROW_CLOSE_GOING_AWAY, "stopping");
    if (transport->conns == NULL)
        transport->host->stopped(transport->host->self);
}

static void destroy(void *self)
{
    if (self == NULL)
        return;
    struct transport *transport = transport_of(self);
    must(transport->conns == NULL);
    SSL_CTX_free(transport->client);
    SSL_CTX_free(transport->server);
    SSL_SESSION_free(transport->session);
    transport->magic = 0;
    free(transport);
}

static const char *const schemes[] = {"tls", NULL};

static const struct burrow_transport_ops ops = {
    .size = sizeof ops,
    .flags = 0,
    .schemes = schemes,
    .bind = bind_host,
    .accept = conn_accept,
    .dial = conn_dial,
    .admit = conn_admit,
    .send = conn_send,
    .queued = conn_queued,
    .set_watermark = conn_set_watermark,
    .flush = conn_flush,
    .read_enable = conn_read_enable,
    .close = conn_close,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_TRANSPORT,
    .kind_abi = BURROW_TRANSPORT_ABI,
    .config_size = sizeof(struct config),
    .name = "transport-tls",
    .version = BURROW_VERSION,
    .summary = "Sessions over raw TLS 1.2 or 1.3 (tls://), without HTTP",
    .options = options,
    .metrics = metrics,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
