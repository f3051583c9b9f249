/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow server`: its options and its place in the runtime. */
#include "server/server.h"

#include "cli/limits.h"
#include "cli/service.h"
#include "config/known.h"

#define STOP_MS 2000u

/* A client's transport-tls needs no certificate, so that the plugin itself cannot ask. */
static bool has_certificate(const struct runtime *rt)
{
    const char *const *cert = runtime_option(rt, "transport-tls", "tls-cert", BURROW_OPT_PATH);
    return cert == NULL || *cert != NULL;
}

/* The transports that --listen names are in use. */
static int check_listen(const struct runtime *rt, const struct server_options *o, struct error *err)
{
    struct listen_item item;
    for (size_t i = 0; i < o->listen.count; i++) {
        if (listen_item_parse(o->listen.items[i], &item, err) != BURROW_OK)
            return err->code;
        if (!runtime_has(rt, item.transport) || known_kind(item.transport) != BURROW_KIND_TRANSPORT)
            return error_set(err, BURROW_EINVAL,
                             "--listen (BURROW_LISTEN): %s is no transport plugin in use; name it "
                             "by --plugin, too",
                             item.transport);
    }
    return BURROW_OK;
}

static int check(const struct runtime *rt, struct error *err)
{
    bool has_auth = false;
    const struct server_options *o = rt->options;
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct burrow_plugin *d = plugin_descriptor(rt->plugins[i]);
        has_auth = has_auth || d->kind == BURROW_KIND_AUTH;
    }
    if (!has_auth)
        return error_set(err, BURROW_EINVAL,
                         "no auth plugin is in use: give a key, such as --jwt-hmac-secret "
                         "(BURROW_JWT_HMAC_SECRET), or let everyone in with --plugin auth-none");
    if (runtime_check_admin(rt, o->admin_addr, err) != BURROW_OK)
        return err->code;
    if (o->tls_addr != NULL && !runtime_has(rt, "transport-tls"))
        return error_set(err, BURROW_EINVAL,
                         "--tls-addr (BURROW_TLS_ADDR): needs the plugin transport-tls, which is "
                         "not in use");
    if (o->tls_addr != NULL && !has_certificate(rt))
        return error_set(err, BURROW_EINVAL,
                         "--tls-addr (BURROW_TLS_ADDR): needs --tls-cert (BURROW_TLS_CERT) and "
                         "--tls-key (BURROW_TLS_KEY)");
    if (o->tls_addr == NULL && !runtime_speaks_http(rt) && o->listen.count == 0)
        return error_set(err, BURROW_EINVAL,
                         "nothing to listen at: use the plugin transport-ws, transport-tls with "
                         "--tls-addr (BURROW_TLS_ADDR), or another with --listen (BURROW_LISTEN)");
    int rc = server_options_check(o, err);
    return rc == BURROW_OK ? check_listen(rt, o, err) : rc;
}

static size_t workers(const struct runtime *rt)
{
    const struct server_options *o = rt->options;
    size_t n = 1;
    (void)workers_parse(o->workers, &n, NULL); /* check allowed it */
    if (n == 0)
        n = limits_cores();
    return n < SERVER_MAX_WORKERS ? n : SERVER_MAX_WORKERS;
}

static int create(struct runtime *rt, burrow_timer_fn *stopped, void *arg, void **ret_self,
                  struct error *err)
{
    const struct server_config config = {
        .options = rt->options,
        .loop = rt->loop,
        .log = &rt->log,
        .reloads = &rt->reloads,
        .instances = rt->workers[0].instances,
        .instance_count = rt->workers[0].instance_count,
        .workers = rt->workers,
        .worker_count = rt->worker_count,
        .stopped = stopped,
        .arg = arg,
    };
    struct server *server;
    int rc = server_create(&config, &server, err);
    if (rc == BURROW_OK)
        *ret_self = server;
    return rc;
}

static int start(void *self, struct error *err)
{
    return server_start(self, err);
}

static void stop(void *self, const char *signal_name)
{
    server_stop(self, signal_name);
}

static int reload(void *self, const void *options, struct error *err)
{
    return server_reload(self, options, err);
}

static void destroy(void *self)
{
    server_destroy(self);
}

static void status(void *self, char *buf, size_t size)
{
    server_status(self, buf, size);
}

static int run_server(struct runtime *rt)
{
    static const struct service service = {create, start, stop, reload, destroy, status, STOP_MS};
    return service_run(rt, &service);
}

const struct cli_command cli_server = {
    .name = "server",
    .summary = "let clients in and open a bridge port for each",
    .options = server_option_table,
    .options_size = sizeof(struct server_options),
    .kinds = 1u << BURROW_KIND_TRANSPORT | 1u << BURROW_KIND_AUTH | 1u << BURROW_KIND_REGISTRY,
    .owns_file = true,
    .check = check,
    .workers = workers,
    .run = run_server,
};
