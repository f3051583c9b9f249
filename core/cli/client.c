/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow client`: its options, its place in the runtime, and its signals. */
#include "client/client.h"

#include "cli/limits.h"
#include "cli/runtime.h"
#include "client/url.h"

#include <signal.h>
#include <string.h>

#define STOP_MS 1000u

struct client_run {
    struct runtime *rt;
    struct client *client;
    struct loop_signal *terminate, *interrupt;
};

static int check(const struct runtime *rt, struct error *err)
{
    const struct client_options *o = rt->options;
    int rc = client_options_check(o, err);
    if (rc != BURROW_OK)
        return rc;
    struct server_url url;
    rc = server_url_parse(o->server_url, &url, err);
    for (size_t i = 0; rc == BURROW_OK && i < rt->plugin_count; i++) {
        const struct burrow_plugin *d = plugin_descriptor(rt->plugins[i]);
        const struct burrow_transport_ops *ops = d->ops;
        if (d->kind != BURROW_KIND_TRANSPORT)
            continue;
        for (const char *const *s = ops->schemes; *s != NULL; s++)
            if (strcmp(*s, url.scheme) == 0)
                return BURROW_OK;
    }
    if (rc == BURROW_OK)
        rc = error_set(err, BURROW_EINVAL,
                       "--server-url (BURROW_SERVER_URL): no transport plugin in use speaks %s://",
                       url.scheme);
    return rc;
}

static void on_terminate(void *arg)
{
    struct client_run *run = arg;
    client_stop(run->client, "SIGTERM");
}

static void on_interrupt(void *arg)
{
    struct client_run *run = arg;
    client_stop(run->client, "SIGINT");
}

static void on_stopped(void *arg)
{
    struct client_run *run = arg;
    loop_break(run->rt->loop);
}

static int start(struct client_run *run, struct error *err)
{
    struct runtime *rt = run->rt;
    const struct client_config config = {
        .options = rt->options,
        .loop = rt->loop,
        .log = &rt->log,
        .instances = rt->instances,
        .instance_count = rt->plugin_count,
        .stopped = on_stopped,
        .arg = run,
    };
    int rc = client_create(&config, &run->client, err);
    if (rc != BURROW_OK)
        return rc;
    run->terminate = loop_signal(rt->loop, SIGTERM, on_terminate, run);
    run->interrupt = loop_signal(rt->loop, SIGINT, on_interrupt, run);
    if (run->terminate == NULL || run->interrupt == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    rc = runtime_start(rt, err);
    if (rc == BURROW_OK)
        client_start(run->client);
    return rc;
}

static int run_client(struct runtime *rt)
{
    struct client_run run = {.rt = rt};
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
    client_destroy(run.client);
    return code;
}

const struct cli_command cli_client = {
    .name = "client",
    .summary = "dial out to a server and join its bridge to a local target",
    .options = client_option_table,
    .options_size = sizeof(struct client_options),
    .kinds = 1u << BURROW_KIND_TRANSPORT,
    .check = check,
    .run = run_client,
};
