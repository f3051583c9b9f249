/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow client`: its options and its place in the runtime. */
#include "client/client.h"

#include "cli/service.h"
#include "client/url.h"

#include <string.h>

#define STOP_MS 1000u

static int check(const struct runtime *rt, struct error *err)
{
    const struct client_options *o = rt->options;
    int rc = client_options_check(o, err);
    if (rc != BURROW_OK)
        return rc;
    rc = runtime_check_admin(rt, o->admin_addr, err);
    if (rc != BURROW_OK)
        return rc;
    struct server_url url;
    char host[256];
    uint16_t port;
    struct proxy_settings proxies;
    struct proxy proxy;
    proxy_settings_read(&proxies);
    rc = client_way(o, &proxies, &url, host, &port, &proxy, err);
    explicit_bzero(&proxy, sizeof proxy);
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

static int create(struct runtime *rt, burrow_timer_fn *stopped, void *arg, void **ret_self,
                  struct error *err)
{
    struct client_config config = {
        .options = rt->options,
        .loop = rt->loop,
        .log = &rt->log,
        .reloads = &rt->reloads,
        .instances = rt->workers[0].instances,
        .instance_count = rt->workers[0].instance_count,
        .stopped = stopped,
        .arg = arg,
    };
    proxy_settings_read(&config.proxies);
    struct client *client;
    int rc = client_create(&config, &client, err);
    proxy_settings_wipe(&config.proxies);
    if (rc == BURROW_OK)
        *ret_self = client;
    return rc;
}

static int start(void *self, struct error *err)
{
    return client_start(self, err);
}

static void stop(void *self, const char *signal_name)
{
    client_stop(self, signal_name);
}

static int reload(void *self, const void *options, struct error *err)
{
    return client_reload(self, options, err);
}

static void destroy(void *self)
{
    client_destroy(self);
}

static void status(void *self, char *buf, size_t size)
{
    client_status(self, buf, size);
}

static int run_client(struct runtime *rt)
{
    static const struct service service = {create, start, stop, reload, destroy, status, STOP_MS};
    return service_run(rt, &service);
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
