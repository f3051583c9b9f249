/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command-expose: `burrow expose` puts a server into a Kubernetes cluster, connects a client to it
 * and takes it away again; `burrow expose delete` takes away what a run left. This file has the
 * options and the instance; plan.c says what will be made.
 */
#include "expose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG struct expose_config
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(CONFIG, client_id, "client-id", NULL, "ID", 0, NULL,
                         "the name of this client; required"),
    BURROW_OPTION_LIST(CONFIG, local_target, "local-target", "[NAME=]HOST:PORT|unix:PATH", 0,
                       "where connections that come through the tunnel go; repeatable; required "
                       "unless --dry-run"),
    BURROW_OPTION_STRING(CONFIG, hostname, "hostname", NULL, "NAME", 0, NULL,
                         "make an Ingress for this host name"),
    BURROW_OPTION_STRING(CONFIG, service_type, "service-type", "auto", "TYPE", 0,
                         "auto|ClusterIP|NodePort|LoadBalancer|None",
                         "type of the server's Service; auto is ClusterIP with --hostname, else "
                         "LoadBalancer"),
    BURROW_OPTION_STRING(CONFIG, connect_addr, "connect-addr", NULL, "HOST[:PORT]", 0, NULL,
                         "connect here instead of to the host name or address of the server"),
    BURROW_OPTION_STRING(CONFIG, tls_secret, "tls-secret", NULL, "NAME", 0, NULL,
                         "TLS Secret of the Ingress; without it the controller's own certificate"),
    BURROW_OPTION_STRING(CONFIG, ingress_class, "ingress-class", NULL, "NAME", 0, NULL,
                         "class of the Ingress; without it the cluster's default"),
    BURROW_OPTION_LIST(CONFIG, ingress_annotation, "ingress-annotation", "KEY=VALUE", 0,
                       "a further annotation of the Ingress; repeatable"),
    BURROW_OPTION_STRING(CONFIG, image, "image", "burrow:0.1.0", "IMAGE", 0, NULL,
                         "container image of the server"),
    BURROW_OPTION_INT(CONFIG, server_port, "server-port", "8080", "PORT", 0, 1, 65535,
                      "port of the server and of its Service"),
    BURROW_OPTION_STRING(CONFIG, server_name, "server-name", NULL, "NAME", 0, NULL,
                         "the objects are called burrow-NAME; by default the client id"),
    BURROW_OPTION_STRING(CONFIG, name_space, "namespace", NULL, "NAMESPACE", 0, NULL,
                         "where the objects are made; by default the context's"),
    BURROW_OPTION_STRING(CONFIG, kube_context, "kube-context", NULL, "CONTEXT", 0, NULL,
                         "context of the kubeconfig; by default the current one"),
    BURROW_OPTION_PATH(CONFIG, kubeconfig, "kubeconfig", NULL, "FILE", 0,
                       "kubeconfig to use; by default KUBECONFIG or ~/.kube/config"),
    BURROW_OPTION_BOOL(CONFIG, allow_exec, "kube-allow-exec", NULL, 0,
                       "run the exec program of a kubeconfig for credentials"),
    BURROW_OPTION_DURATION(CONFIG, wait_ms, "wait-timeout", "2m", 0, 1000, 24 * 3600 * 1000,
                           "how long to wait for the server and its address"),
    BURROW_OPTION_BOOL(CONFIG, dry_run, "dry-run", NULL, 0,
                       "print the objects as YAML and change nothing"),
    BURROW_OPTION_STRING(CONFIG, patch_deployment, "patch-deployment", NULL, "JSON", 0, NULL,
                         "strategic merge patch for the Deployment"),
    BURROW_OPTION_STRING(CONFIG, patch_service, "patch-service", NULL, "JSON", 0, NULL,
                         "strategic merge patch for the Service"),
    BURROW_OPTION_STRING(CONFIG, patch_ingress, "patch-ingress", NULL, "JSON", 0, NULL,
                         "strategic merge patch for the Ingress"),
    BURROW_OPTION_END,
};
#undef CONFIG

void expose_say(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct expose *e = calloc(1, sizeof *e);
    if (!e)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    e->magic = EXPOSE_MAGIC;
    e->host = host;
    e->config = config;
    e->child_fd = -1;
    *ret_self = e;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct expose *e = expose_of(self);
    e->host->stopped(e->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct expose *e = expose_of(self);
    kube_client_destroy(e->client);
    for (int i = 0; i < OBJECT_COUNT; i++)
        json_decref(e->objects[i]);
    kube_config_finish(&e->kube);
    free(e->name_space);
    explicit_bzero(e, sizeof *e);
    free(e);
}

static void bind_host(void *self, const struct burrow_command_host *host)
{
    expose_of(self)->command = host;
}

static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    struct expose *e = expose_of(self);
    (void)args;
    (void)arg_count;
    (void)subcommand;
    int r = plan_check(e->host, e->config, false);
    if (r == BURROW_OK && !e->config->dry_run)
        r = burrow_error(e->host, BURROW_EINVAL,
                         "--dry-run (BURROW_DRY_RUN): required; the objects are only printed");
    if (r == BURROW_OK)
        r = plan_connect(e);
    if (r == BURROW_OK)
        r = plan_objects(e);
    if (r == BURROW_OK)
        r = plan_print(e);
    e->command->finished(e->host->self, r == BURROW_OK ? 0 : r == BURROW_EINVAL ? 2 : 1);
}

static const struct burrow_subcommand subcommands[] = {
    {"", "", "Prints the objects of a server in a Kubernetes cluster (--dry-run)", 0, 0},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .config_size = sizeof(struct expose_config),
    .name = "command-expose",
    .version = "0.1.0",
    .summary = "Makes a local service reachable in a Kubernetes cluster",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
