/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow server`: its options, its place in the runtime, and its signals. */
#include "server/server.h"

#include "cli/limits.h"
#include "cli/runtime.h"

#include <signal.h>

#define STOP_MS 2000u

struct server_run {
    struct runtime *rt;
    struct server *server;
    struct loop_signal *terminate, *interrupt;
};

/* A client's transport-tls needs no certificate, so that the plugin itself cannot ask. */
static bool has_certificate(const struct runtime *rt)
{
    const char *const *cert = runtime_option(rt, "transport-tls", "tls-cert", BURROW_OPT_PATH);
    return cert == NULL || *cert != NULL;
}

static int check(const struct runtime *rt, struct error *err)
{
    bool has_auth = false, has_http = false;
    const struct server_options *o = rt->options;
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct burrow_plugin *d = plugin_descriptor(rt->plugins[i]);
        has_auth = has_auth || d->kind == BURROW_KIND_AUTH;
        if (d->kind == BURROW_KIND_TRANSPORT) {
            const struct burrow_transport_ops *ops = d->ops;
            has_http = has_http || (ops->flags & BURROW_TRANSPORT_HTTP) != 0;
        }
    }
    if (!has_auth)
        return error_set(err, BURROW_EINVAL,
                         "no auth plugin is in use: give a key, such as --jwt-hmac-secret "
                         "(BURROW_JWT_HMAC_SECRET), or let everyone in with --plugin auth-none");
    if (o->admin_addr != NULL && !has_http)
        return error_set(err, BURROW_EINVAL,
                         "--admin-addr (BURROW_ADMIN_ADDR): needs a transport plugin that speaks "
                         "HTTP, such as transport-ws; none is in use");
    if (o->tls_addr != NULL && !runtime_has(rt, "transport-tls"))
        return error_set(err, BURROW_EINVAL,
                         "--tls-addr (BURROW_TLS_ADDR): needs the plugin transport-tls, which is "
                         "not in use");
    if (o->tls_addr != NULL && !has_certificate(rt))
        return error_set(err, BURROW_EINVAL,
                         "--tls-addr (BURROW_TLS_ADDR): needs --tls-cert (BURROW_TLS_CERT) and "
                         "--tls-key (BURROW_TLS_KEY)");
    if (o->tls_addr == NULL && !has_http)
        return error_set(err, BURROW_EINVAL,
                         "nothing to listen at: use the plugin transport-ws, or transport-tls "
                         "with --tls-addr (BURROW_TLS_ADDR)");
    return server_options_check(o, err);
}

static void on_terminate(void *arg)
{
    struct server_run *run = arg;
    server_stop(run->server, "SIGTERM");
}

static void on_interrupt(void *arg)
{
    struct server_run *run = arg;
    server_stop(run->server, "SIGINT");
}

static void on_stopped(void *arg)
{
    struct server_run *run = arg;
    loop_break(run->rt->loop);
}

static int start(struct server_run *run, struct error *err)
{
    struct runtime *rt = run->rt;
    const struct server_config config = {
        .options = rt->options,
        .loop = rt->loop,
        .log = &rt->log,
        .instances = rt->instances,
        .instance_count = rt->plugin_count,
        .stopped = on_stopped,
        .arg = run,
    };
    int rc = server_create(&config, &run->server, err);
    if (rc != BURROW_OK)
        return rc;
    run->terminate = loop_signal(rt->loop, SIGTERM, on_terminate, run);
    run->interrupt = loop_signal(rt->loop, SIGINT, on_interrupt, run);
    if (run->terminate == NULL || run->interrupt == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    rc = runtime_start(rt, err);
    return rc == BURROW_OK ? server_start(run->server, err) : rc;
}

static int run_server(struct runtime *rt)
{
    struct server_run run = {.rt = rt};
    struct error err = {0};
    int code = 0;
    limits_raise_descriptors(&rt->log);
    if (start(&run, &err) != BURROW_OK)
        code = cli_fail(&err);
    else
        loop_run(rt->loop);
    /* A second signal does not wait for anybody's good-bye. */
    loop_signal_destroy(run.terminate);
    loop_signal_destroy(run.interrupt);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    runtime_stop(rt, STOP_MS);
    if (code == 0)
        log_at(&rt->log, BURROW_LOG_INFO, "stopped", burrow_int("code", 0));
    server_destroy(run.server);
    return code;
}

const struct cli_command cli_server = {
    .name = "server",
    .summary = "let clients in and open a bridge port for each",
    .options = server_option_table,
    .options_size = sizeof(struct server_options),
    .kinds = 1u << BURROW_KIND_TRANSPORT | 1u << BURROW_KIND_AUTH | 1u << BURROW_KIND_REGISTRY,
    .check = check,
    .run = run_server,
};
