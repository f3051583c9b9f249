/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin transport-ws: its description and options, the instance's life, and the work that
 * is left for a later turn.
 *
 * Connections end in one place only, on_wake: a connection that has failed or is done is put on
 * a list and a watch is fed, so that `closed` never comes from inside a call of the host's, of
 * libwebsockets' or of the pipe's, and needs no memory that might not be there.
 */
#include "ws.h"

#include <tls_option_rows.h>

#include <libwebsockets.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct ws_config, path, "ws-path", "/ws", "PATH", 0, NULL,
                         "path of the WebSocket on the server's HTTP port"),
    BURROW_OPTION_LIST(struct ws_config, origins, "ws-origin", "ORIGIN", 0,
                       "origin of a browser's page that may connect; * allows any"),
    TLS_OPTION_ROWS(struct ws_config, BURROW_OPT_RELOADABLE),
    BURROW_OPTION_END,
};

/* ---- connections ----------------------------------------------------------------------- */

struct ws_conn *ws_conn_new(struct ws_instance *self, struct burrow_link *link)
{
    struct ws_conn *conn = (struct ws_conn *)calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->magic = WS_CONN_MAGIC;
    conn->self = self;
    conn->link = link;
    conn->fd = -1;
    conn->watermark = 256u * 1024u;
    conn->info.size = sizeof conn->info;
    conn->next = self->conns;
    if (conn->next != NULL)
        conn->next->prev = conn;
    self->conns = conn;
    return conn;
}

/* Takes a connection out of the list of later work. */
static void unlist(struct ws_conn *conn)
{
    struct ws_instance *self = conn->self;
    if (!conn->later_listed)
        return;
    struct ws_conn **at = &self->later_head;
    while (*at != conn)
        at = &(*at)->later_next;
    *at = conn->later_next;
    if (self->later_tail == &conn->later_next)
        self->later_tail = at;
    conn->later_listed = 0;
}

/* Gives up all that the connection holds but itself. */
static void strip(struct ws_conn *conn)
{
    struct ws_instance *self = conn->self;
    unlist(conn);
    ws_timer_stop(conn);
    self->host->unwatch(conn->settle);
    conn->settle = NULL;
    if (conn->pipe != NULL)
        pipe_close(conn->pipe);
    conn->pipe = NULL;
    ws_server_release(conn);
    ws_client_free(conn);
    ws_upgrade_free(conn->upgrade);
    conn->upgrade = NULL;
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}

void ws_conn_discard(struct ws_conn *conn)
{
    struct ws_instance *self = conn->self;
    strip(conn);
    if (conn->prev != NULL)
        conn->prev->next = conn->next;
    else
        self->conns = conn->next;
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    conn->magic = 0;
    free(conn);
}

void ws_later(struct ws_conn *conn, uint8_t flag)
{
    struct ws_instance *self = conn->self;
    conn->later |= flag;
    if (!conn->later_listed) {
        conn->later_listed = 1;
        conn->later_next = NULL;
        *self->later_tail = conn;
        self->later_tail = &conn->later_next;
    }
    self->host->feed(self->wake, BURROW_READ);
}

void ws_doom(struct ws_conn *conn, uint32_t code, const char *fmt, ...)
{
    if (conn->state == WS_DOOMED)
        return;
    if (conn->reason[0] == '\0') {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(conn->reason, sizeof conn->reason, fmt, ap);
        va_end(ap);
        conn->info.code = code;
    }
    conn->state = WS_DOOMED;
    ws_timer_stop(conn);
    ws_later(conn, WS_LATER_END);
}

void ws_timer_stop(struct ws_conn *conn)
{
    conn->self->host->cancel(conn->timer);
    conn->timer = NULL;
}

void ws_timer(struct ws_conn *conn, uint64_t ms, burrow_timer_fn *fn)
{
    ws_timer_stop(conn);
    conn->timer = conn->self->host->after(conn->self->host->self, ms, fn, conn);
    if (conn->timer == NULL)
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
}

/* ---- the later turn -------------------------------------------------------------------- */

/* The pipe gives back what is queued, then the socket goes, then the host hears of it. */
static void end_conn(struct ws_conn *conn)
{
    ws_http_abandon(conn);
    strip(conn);
    conn->info.reason = conn->reason;
    conn->self->transport->closed(conn->link, &conn->info);
    ws_conn_discard(conn);
}

static void do_later(struct ws_conn *conn)
{
    uint8_t later = conn->later;
    conn->later = 0;
    if (later & WS_LATER_END) {
        end_conn(conn);
    } else if (later & WS_LATER_OPEN && conn->state == WS_OPEN) {
        conn->self->transport->accepted(conn->link);
        if (conn->state == WS_OPEN && !conn->paused)
            pipe_read_enable(conn->pipe, 1);
    }
}

static void finish_stop(struct ws_instance *self)
{
    if (!self->stopping || self->stopped || self->conns != NULL)
        return;
    self->stopped = 1;
    ws_server_finish(self);
    self->host->unwatch(self->wake);
    self->wake = NULL;
    self->host->stopped(self->host->self);
}

static void on_wake(void *arg, int events)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    (void)events;
    must(self->magic == WS_INSTANCE_MAGIC);
    /* What is listed from now on belongs to the next turn. */
    struct ws_conn *last =
        self->later_tail == &self->later_head
            ? NULL
            : (struct ws_conn *)((char *)self->later_tail - offsetof(struct ws_conn, later_next));
    for (bool more = last != NULL; more;) {
        struct ws_conn *conn = self->later_head;
        must(conn != NULL && conn->magic == WS_CONN_MAGIC);
        more = conn != last;
        unlist(conn);
        do_later(conn);
    }
    finish_stop(self);
}

/* ---- the instance ---------------------------------------------------------------------- */

static int plugin_check(const struct burrow_host *host, const void *arg)
{
    const struct ws_config *config = (const struct ws_config *)arg;
    struct tls_error err = {""};
    if (config->path == NULL || config->path[0] != '/' ||
        config->path[strcspn(config->path, "?#% \t\r\n")] != '\0' ||
        strstr(config->path, "//") != NULL || strstr(config->path, "/.") != NULL)
        return burrow_error(host, BURROW_EINVAL,
                            "--ws-path: expected a plain path like /ws, got \"%s\"",
                            config->path != NULL ? config->path : "");
    for (size_t i = 0; i < config->origins.count; i++) {
        const char *origin = config->origins.items[i];
        if (strcmp(origin, "*") != 0 && strstr(origin, "://") == NULL)
            return burrow_error(host, BURROW_EINVAL,
                                "--ws-origin: expected an origin like https://example.com, got "
                                "\"%s\"",
                                origin);
    }
    int r = tls_check(&config->tls, &err);
    return r < 0 ? burrow_error(host, r, "%s", err.text) : BURROW_OK;
}

static int plugin_create(const struct burrow_host *host, const void *config, void **ret_self)
{
    /* Debian's build has no build hash; structs of another version must not be passed. */
    if (strncmp(lws_get_library_version(), LWS_LIBRARY_VERSION, strlen(LWS_LIBRARY_VERSION)) != 0)
        return burrow_error(host, BURROW_ENOSYS, "built for libwebsockets %s, but %s is installed",
                            LWS_LIBRARY_VERSION, lws_get_library_version());
    if (host->native_loop(host->self, "libev") == NULL)
        return burrow_error(host, BURROW_ENOSYS, "transport-ws needs a libev loop");
    struct ws_instance *self = (struct ws_instance *)calloc(1, sizeof *self);
    if (self == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    self->magic = WS_INSTANCE_MAGIC;
    self->host = host;
    self->config = *(const struct ws_config *)config;
    self->later_tail = &self->later_head;
    self->wake_fd = -1;
    int r = ws_tls_create(self);
    if (r < 0) {
        free(self);
        return r;
    }
    *ret_self = self;
    return BURROW_OK;
}

static void plugin_bind(void *arg, const struct burrow_transport_host *transport)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    self->transport = transport;
}

static int plugin_start(void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->wake_fd < 0)
        return burrow_error(self->host, BURROW_EIO, "no descriptor: %m");
    self->wake = self->host->watch(self->host->self, self->wake_fd, BURROW_READ, on_wake, self);
    if (self->wake == NULL)
        return burrow_error(self->host, BURROW_ENOMEM, "out of memory");
    return ws_tls_start(self);
}

/* Path and origins need a restart: the host passes them as they were. */
static int plugin_reload(void *arg, const void *config)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    const struct ws_config *fresh = (const struct ws_config *)config;
    must(self->magic == WS_INSTANCE_MAGIC);
    int r = plugin_check(self->host, config);
    if (r == BURROW_OK)
        r = ws_tls_reload(self, &fresh->tls);
    if (r == BURROW_OK)
        self->config = *fresh;
    return r;
}

static void plugin_stop(void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    self->stopping = 1;
    ws_tls_unwatch(self);
    for (struct ws_conn *conn = self->conns; conn != NULL; conn = conn->next)
        ws_doom(conn, BURROW_CLOSE_GOING_AWAY, "stopping");
    if (self->wake != NULL)
        self->host->feed(self->wake, BURROW_READ);
    else
        self->host->stopped(self->host->self);
}

static void plugin_destroy(void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    if (self == NULL)
        return;
    must(self->magic == WS_INSTANCE_MAGIC && self->conns == NULL);
    ws_server_finish(self);
    ws_tls_finish(self);
    self->host->unwatch(self->wake);
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    OPENSSL_cleanse(self->keys, sizeof self->keys);
    self->magic = 0;
    free(self);
}

/* ---- ops ------------------------------------------------------------------------------- */

static struct ws_conn *conn_of(void *arg)
{
    struct ws_conn *conn = (struct ws_conn *)arg;
    must(conn != NULL && conn->magic == WS_CONN_MAGIC);
    return conn;
}

static struct ws_instance *instance_of(void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    must(self != NULL && self->magic == WS_INSTANCE_MAGIC);
    return self;
}

static int op_accept(void *self, const struct burrow_accept *accept, struct burrow_link *link,
                     void **ret_conn)
{
    return ws_server_accept(instance_of(self), accept, link, ret_conn);
}

static int op_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
                   void **ret_conn)
{
    return ws_client_dial(instance_of(self), dial, link, ret_conn);
}

static void op_admit(void *conn, const struct burrow_verdict *verdict)
{
    ws_upgrade_admit(conn_of(conn), verdict);
}

static int op_send(void *conn, struct burrow_buf *chain)
{
    return ws_conn_send(conn_of(conn), chain);
}

static size_t op_queued(void *arg)
{
    const struct ws_conn *conn = conn_of(arg);
    return conn->pipe != NULL ? pipe_queued(conn->pipe) : 0;
}

static void op_set_watermark(void *arg, size_t bytes)
{
    struct ws_conn *conn = conn_of(arg);
    conn->watermark = bytes > 0 ? bytes : 1;
    if (conn->pipe != NULL)
        pipe_set_watermark(conn->pipe, conn->watermark);
}

static void op_flush(void *conn)
{
    ws_conn_flush(conn_of(conn));
}

static void op_read_enable(void *arg, uint32_t on)
{
    struct ws_conn *conn = conn_of(arg);
    conn->paused = on == 0;
    if (conn->state == WS_OPEN && !(conn->later & WS_LATER_OPEN))
        pipe_read_enable(conn->pipe, on != 0);
}

static void op_close(void *conn, uint32_t code, const char *why)
{
    ws_conn_close(conn_of(conn), code, why);
}

static void op_http_respond(void *self, void *token, const struct burrow_http_response *response)
{
    (void)instance_of(self);
    ws_http_respond(conn_of(token), response);
}

static const char *const schemes[] = {"ws", "wss", NULL};

static const struct burrow_transport_ops ops = {
    .size = sizeof ops,
    .flags = BURROW_TRANSPORT_HTTP | BURROW_TRANSPORT_MESSAGES | BURROW_TRANSPORT_TOKEN,
    .schemes = schemes,
    .bind = plugin_bind,
    .accept = op_accept,
    .dial = op_dial,
    .admit = op_admit,
    .send = op_send,
    .queued = op_queued,
    .set_watermark = op_set_watermark,
    .flush = op_flush,
    .read_enable = op_read_enable,
    .close = op_close,
    .http_respond = op_http_respond,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_TRANSPORT,
    .kind_abi = BURROW_TRANSPORT_ABI,
    .config_size = sizeof(struct ws_config),
    .name = "transport-ws",
    .version = BURROW_VERSION,
    .summary = "WebSocket (ws, wss), and HTTP on the server's port",
    .options = options,
    .ops = &ops,
    .check = plugin_check,
    .create = plugin_create,
    .start = plugin_start,
    .reload = plugin_reload,
    .stop = plugin_stop,
    .destroy = plugin_destroy,
};
