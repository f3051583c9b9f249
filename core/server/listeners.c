/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets at which clients and operators knock, and which transport serves each. */
#include "server/internal.h"
#include "server/routes.h"

#include "base/object.h"
#include "server/inherited.h"

#include <string.h>

static void on_accepted(void *arg, int fd, const struct burrow_addr *peer)
{
    struct listener *listener = arg;
    must_be(listener->server, SERVER_MAGIC);
    listener->server->stats.accepted++;
    workers_hand(listener, fd, peer);
    if (workers_full(listener->server))
        acceptor_pause(&listener->acceptor);
}

static const struct link_transport *transport_named(const struct server *server, const char *name)
{
    const struct worker *main = &server->workers[0];
    for (size_t i = 0; i < main->transport_count; i++)
        if (strcmp(main->transports[i].name, name) == 0)
            return &main->transports[i];
    return NULL;
}

static const struct link_transport *transport_http(const struct server *server)
{
    const struct worker *main = &server->workers[0];
    const struct link_transport *t = transport_named(server, "transport-ws");
    for (size_t i = 0; t == NULL && i < main->transport_count; i++)
        if (main->transports[i].ops->flags & BURROW_TRANSPORT_HTTP)
            t = &main->transports[i];
    return t;
}

static struct listener *next_free(struct server *server)
{
    struct listener *l = server->listeners;
    while (l->transport != NULL)
        must(++l < server->listeners + MAX_LISTENERS);
    l->server = server;
    return l;
}

static void log_listening(const struct listener *l)
{
    char addr[ACCEPTOR_TEXT];
    log_at(l->server->log, BURROW_LOG_INFO, "listening", burrow_str("role", "main"),
           burrow_str("addr", acceptor_text(&l->acceptor, addr)),
           burrow_str("transport", l->transport->name));
}

static int open_one(struct server *server, const struct link_transport *transport, const char *flag,
                    const char *variable, const char *text, struct error *err)
{
    struct endpoint ep;
    if (endpoint_parse(text, ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST, &ep, err) != BURROW_OK)
        return error_prefix(err, "--%s (%s)", flag, variable);
    int passed;
    if (inherited_socket(flag, &passed, err) != BURROW_OK)
        return err->code;
    struct listener *l = next_free(server);
    int rc = passed >= 0 ? acceptor_adopt(&l->acceptor, &server->guard, passed, on_accepted, l, err)
                         : acceptor_open(&l->acceptor, &server->guard, ep.host, ep.port,
                                         on_accepted, l, err);
    if (rc != BURROW_OK)
        return error_prefix(err, "--%s (%s)", flag, variable);
    l->transport = transport;
    log_listening(l);
    return BURROW_OK;
}

/* One item of --listen: any transport, at an address or a Unix socket. */
static int open_listen_item(struct server *server, const char *text, struct error *err)
{
    struct listen_item item;
    if (listen_item_parse(text, &item, err) != BURROW_OK)
        return err->code;
    const struct link_transport *transport = transport_named(server, item.transport);
    if (transport == NULL)
        return error_set(err, BURROW_EINVAL,
                         "--listen (BURROW_LISTEN): %s is no transport plugin in use",
                         item.transport);
    struct listener *l = next_free(server);
    int rc = item.path != NULL
                 ? acceptor_open_path(&l->acceptor, &server->guard, item.path, on_accepted, l, err)
                 : acceptor_open(&l->acceptor, &server->guard, item.at.host, item.at.port,
                                 on_accepted, l, err);
    if (rc != BURROW_OK)
        return error_prefix(err, "--listen (BURROW_LISTEN)");
    l->transport = transport;
    log_listening(l);
    return BURROW_OK;
}

static void *answer_admin(void *arg, const struct burrow_http *request, struct http_answer *ret,
                          answer_fn *fn, void *fn_arg)
{
    struct server *server = arg;
    must_be(server, SERVER_MAGIC);
    return routes_ask(&server->workers[0], request, ret, fn, fn_arg);
}

static void cancel_admin(void *asked)
{
    routes_cancel(asked);
}

static int open_admin(struct server *server, const struct link_transport *http, struct error *err)
{
    int passed;
    if (inherited_socket("admin-addr", &passed, err) != BURROW_OK)
        return err->code;
    const struct status_config config = {.loop = server->loop,
                                         .fd = passed,
                                         .log = server->log,
                                         .transport = http,
                                         .guard = &server->guard,
                                         .answer = answer_admin,
                                         .cancel = cancel_admin,
                                         .arg = server};
    return status_port_open(&config, server->options->admin_addr, &server->admin, err);
}

int listeners_open(struct server *server, struct error *err)
{
    const struct server_options *o = server->options;
    const struct link_transport *http = transport_http(server);
    const struct link_transport *tls = transport_named(server, "transport-tls");
    int rc = BURROW_OK;

    if (o->tls_addr != NULL && tls == NULL)
        return error_set(err, BURROW_EINVAL,
                         "--tls-addr (BURROW_TLS_ADDR): needs the plugin transport-tls, which is "
                         "not in use");
    if (o->admin_addr != NULL && http == NULL)
        return error_set(err, BURROW_EINVAL,
                         "--admin-addr (BURROW_ADMIN_ADDR): needs a transport plugin that speaks "
                         "HTTP, such as transport-ws; none is in use");
    if (http == NULL && o->tls_addr == NULL && o->listen.count == 0)
        return error_set(err, BURROW_EINVAL,
                         "nothing to listen at: use the plugin transport-ws, transport-tls with "
                         "--tls-addr (BURROW_TLS_ADDR), or another with --listen (BURROW_LISTEN)");
    if (http != NULL)
        rc = open_one(server, http, "server-addr", "BURROW_SERVER_ADDR", o->server_addr, err);
    if (rc == BURROW_OK && o->tls_addr != NULL)
        rc = open_one(server, tls, "tls-addr", "BURROW_TLS_ADDR", o->tls_addr, err);
    if (rc == BURROW_OK && o->admin_addr != NULL)
        rc = open_admin(server, http, err);
    for (size_t i = 0; rc == BURROW_OK && i < o->listen.count; i++)
        rc = open_listen_item(server, o->listen.items[i], err);
    return rc;
}

void listeners_close(struct server *server)
{
    status_port_close(server->admin);
    server->admin = NULL;
    for (int i = 0; i < MAX_LISTENERS; i++)
        acceptor_close(&server->listeners[i].acceptor);
}
