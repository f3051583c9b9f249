/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command-expose: `burrow expose` puts a server into a Kubernetes cluster, connects a client to it
 * and takes it away again; `burrow expose delete` takes away what a run left. This file has the
 * options, the instance and its end; the way there is plan.c → apply.c → wait.c → tunnel.c.
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
                         "LoadBalancer, and where none appears the way through the API server"),
    BURROW_OPTION_STRING(CONFIG, connect_addr, "connect-addr", NULL, "HOST[:PORT]", 0, NULL,
                         "connect here instead of to the host name or address of the server"),
    BURROW_OPTION_STRING(CONFIG, tls_secret, "tls-secret", NULL, "NAME", 0, NULL,
                         "TLS Secret of the Ingress; without it the controller's own certificate"),
    BURROW_OPTION_STRING(CONFIG, ingress_class, "ingress-class", NULL, "NAME", 0, NULL,
                         "class of the Ingress; without it the cluster's default"),
    BURROW_OPTION_LIST(CONFIG, ingress_annotation, "ingress-annotation", "KEY=VALUE", 0,
                       "a further annotation of the Ingress; repeatable"),
    BURROW_OPTION_STRING(CONFIG, image, "image", "burrow:" BURROW_VERSION, "IMAGE", 0, NULL,
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
    BURROW_OPTION_BOOL(CONFIG, reuse, "reuse", NULL, 0,
                       "connect to a server that an earlier run has kept"),
    BURROW_OPTION_BOOL(CONFIG, keep, "keep", NULL, 0,
                       "leave the server in the cluster when the tunnel ends"),
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

const char *expose_delete_command(const struct expose *e, char buf[EXPOSE_COMMAND])
{
    const struct expose_config *c = e->config;
    const char *const words[][2] = {{"--server-name", e->wanted.server_name},
                                    {"--namespace", e->name_space},
                                    {"--kube-context", c->kube_context},
                                    {"--kubeconfig", c->kubeconfig}};
    size_t used = (size_t)snprintf(buf, EXPOSE_COMMAND, "burrow expose delete");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *value = words[i][1];
        int n = value != NULL && *value != '\0'
                    ? snprintf(buf + used, EXPOSE_COMMAND - used, " %s %s", words[i][0], value)
                    : 0;
        if (n < 0 || (size_t)n >= EXPOSE_COMMAND - used) {
            buf[used] = '\0'; /* what does not fit is left out whole */
            break;
        }
        used += (size_t)n;
    }
    return buf;
}

void expose_fail(struct expose *e, int result, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    e->host->verror(e->host->self, result, format, ap);
    va_end(ap);
    expose_end(e, result == BURROW_EINVAL ? 2 : 1);
}

void expose_end(struct expose *e, int32_t exit_code)
{
    if (e->ending)
        return;
    e->exit_code = exit_code;
    e->ending = true;
    if (!e->creating)
        expose_wind_up(e);
}

void expose_wind_up(struct expose *e)
{
    kube_cancel(e->call);
    e->call = NULL;
    e->host->cancel(e->timer);
    e->timer = NULL;
    tunnel_end(e);
}

void expose_clean_up(struct expose *e)
{
    char names[600], command[EXPOSE_COMMAND];
    if (!e->config->keep || !e->tunnelled || e->config->reuse) {
        apply_undo(e);
    } else {
        apply_standing(e, names, sizeof names);
        expose_say("kept in namespace %s: %s; `%s` removes it", e->name_space, names,
                   expose_delete_command(e, command));
        expose_finished(e);
    }
}

void expose_finished(struct expose *e)
{
    if (e->deleting && e->deleted == 0 && !e->lost)
        expose_say("nothing to delete in namespace %s", e->name_space);
    if (e->lost && e->exit_code == 0)
        e->exit_code = 1;
    e->command->finished(e->host->self, e->exit_code);
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

/* Gives back all that is the host's. */
static void let_go(struct expose *e)
{
    kube_cancel(e->call);
    e->call = NULL;
    e->host->cancel(e->timer);
    e->timer = NULL;
    tunnel_destroy(e);
    kube_client_destroy(e->client);
    e->client = NULL;
}

static void stop(void *self)
{
    struct expose *e = expose_of(self);
    let_go(e);
    e->host->stopped(e->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct expose *e = expose_of(self);
    let_go(e);
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

/* Up to where the cluster is asked; a dry run is over then. */
static int begin(struct expose *e)
{
    int r = plan_check(e->host, e->config, e->deleting);
    if (r == BURROW_OK)
        r = plan_connect(e);
    if (r == BURROW_OK)
        r = plan_objects(e);
    if (r < 0)
        return r;
    if (e->config->dry_run && !e->deleting)
        return plan_print(e);
    if (e->kube.skip_verify)
        burrow_log(e->host, BURROW_LOG_WARN,
                   "the kubeconfig says insecure-skip-tls-verify: anybody in between can read and "
                   "change what goes to the cluster");
    r = kube_client_create(e->host, &e->kube, &e->client);
    return r < 0 ? burrow_error(e->host, r, "out of memory") : BURROW_OK;
}

static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    struct expose *e = expose_of(self);
    (void)args;
    (void)arg_count;
    e->deleting = strcmp(subcommand, "delete") == 0;
    int r = begin(e);
    if (r < 0 || !e->client)
        e->command->finished(e->host->self, r == BURROW_OK ? 0 : r == BURROW_EINVAL ? 2 : 1);
    else if (e->deleting)
        apply_delete_all(e);
    else
        apply_begin(e);
}

/* The first Ctrl-C. A second one ends the process, so what would stay is said now. */
static void interrupt(void *self)
{
    struct expose *e = expose_of(self);
    char names[600], command[EXPOSE_COMMAND];
    bool stays = apply_standing(e, names, sizeof names) > 0 && !e->deleting;
    if (stays && !(e->config->keep && e->tunnelled))
        expose_say("cleaning up; interrupted again, burrow leaves at once, and these stay in "
                   "namespace %s until `%s`: %s",
                   e->name_space, expose_delete_command(e, command), names);
    if (!e->deleting) {
        expose_end(e, e->tunnelled ? 0 : 130);
        return;
    }
    kube_cancel(e->call);
    e->call = NULL;
    e->command->finished(e->host->self, 130);
}

static const struct burrow_subcommand subcommands[] = {
    {"delete", "", "Deletes what an earlier run has kept or left", 0, 0},
    {"", "", "Puts a server into a Kubernetes cluster and connects a client to it", 0, 0},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
    .interrupt = interrupt,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .config_size = sizeof(struct expose_config),
    .name = "command-expose",
    .version = BURROW_VERSION,
    .summary = "Makes a local service reachable in a Kubernetes cluster",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
