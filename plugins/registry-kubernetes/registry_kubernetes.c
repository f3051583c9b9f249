/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-kubernetes: each client is a Kubernetes Service, so that pods reach its services by a
 * name of the cluster's DNS. README.md tells what it does and which rights it uses.
 */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct settings, enable, "enable-kube-api", "auto", "WHEN", 0, "auto|true|false",
                         "publish clients as Kubernetes Services: in a cluster, always, never"),
    BURROW_OPTION_STRING(struct settings, name_space, "namespace", NULL, "NAMESPACE", 0, NULL,
                         "namespace of the Services; by default that of the pod or of the kubeconfig's context"),
    BURROW_OPTION_STRING(struct settings, selector, "bridge-pod-selector", "app=burrow-server", "LABEL=VALUE[,...]", 0, NULL,
                         "labels of the server's pods, which the Services select"),
    BURROW_OPTION_STRING(struct settings, endpoints, "kube-endpoints", "auto", "HOW", 0, "auto|selector|slice",
                         "how a Service leads to the server: by the selector, or by an EndpointSlice to this very pod, "
                         "which several replicas need; auto prefers the latter where POD_NAME, POD_IP and the Role allow it"),
    BURROW_OPTION_STRING(struct settings, policy, "kube-network-policy", NULL, "LABEL=VALUE[,...]", 0, NULL,
                         "let only pods of the namespace with these labels reach a client's services, by a NetworkPolicy "
                         "for each client; {client} stands for its id"),
    BURROW_OPTION_PATH(struct settings, kubeconfig, "kubeconfig", NULL, "FILE", 0,
                       "kubeconfig to use outside of a cluster; by default KUBECONFIG or ~/.kube/config"),
    BURROW_OPTION_STRING(struct settings, context, "kube-context", NULL, "CONTEXT", 0, NULL,
                         "context of the kubeconfig; by default the current one"),
    BURROW_OPTION_BOOL(struct settings, allow_exec, "kube-allow-exec", NULL, 0,
                       "run the exec program of a kubeconfig for credentials"),
    BURROW_OPTION_END,
};
/* clang-format on */

static const struct burrow_metric metrics[] = {
    [METRIC_WRITES] = {"writes_total", BURROW_METRIC_COUNTER, 0,
                       "Requests that create, replace or delete an object"},
    [METRIC_FAILURES] = {"failures_total", BURROW_METRIC_COUNTER, 0,
                         "Operations that failed and are tried again"},
    [METRIC_FOREIGN] = {"foreign_total", BURROW_METRIC_COUNTER, 0,
                        "Services of a client's name that are not burrow's, left alone"},
    {NULL, 0, 0, NULL},
};

static struct registry *from_self(void *self)
{
    struct registry *r = self;
    must(r != NULL && r->magic == REGISTRY_MAGIC);
    return r;
}

static bool is_enabled(const struct settings *s)
{
    if (strcmp(s->enable, "auto") == 0)
        return kube_config_is_in_cluster(NULL);
    return strcmp(s->enable, "true") == 0;
}

static int load(const struct settings *s, struct kube_config *ret, char why[KUBE_WHY])
{
    const struct kube_config_choice choice = {s->kubeconfig, s->context, s->allow_exec != 0};
    if (s->kubeconfig == NULL && s->context == NULL && kube_config_is_in_cluster(NULL))
        return kube_config_in_cluster(NULL, ret, why);
    return kube_config_load(&choice, ret, why);
}

static int check(const struct burrow_host *host, const void *config)
{
    const struct settings *s = config;
    struct kube_config kube;
    char why[KUBE_WHY] = "out of memory";
    json_t *selector = selector_from(s->selector);
    json_decref(selector);
    if (selector == NULL)
        return burrow_error(
            host, BURROW_EINVAL,
            "--bridge-pod-selector (BURROW_BRIDGE_POD_SELECTOR): \"%.80s\": expected "
            "labels such as app=burrow-server,tier=edge",
            s->selector);
    json_t *admitted = s->policy != NULL ? admitted_pods(s->policy, "a") : json_null();
    json_decref(admitted);
    if (admitted == NULL)
        return burrow_error(
            host, BURROW_EINVAL,
            "--kube-network-policy (BURROW_KUBE_NETWORK_POLICY): \"%.80s\": expected "
            "labels such as access=burrow or access.example.com/{client}=true",
            s->policy);
    if (s->name_space != NULL &&
        (strlen(s->name_space) > 63 ||
         strspn(s->name_space, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(s->name_space)))
        return burrow_error(
            host, BURROW_EINVAL,
            "--namespace (BURROW_NAMESPACE): \"%.80s\": expected a name of a-z, 0-9 "
            "and hyphens, at most 63 long",
            s->name_space);
    if (!is_enabled(s))
        return BURROW_OK;
    int rc = load(s, &kube, why);
    if (rc != BURROW_OK)
        return burrow_error(host, rc, "--enable-kube-api (BURROW_ENABLE_KUBE_API): %s", why);
    kube_config_finish(&kube);
    return BURROW_OK;
}

static void destroy(void *self)
{
    if (self == NULL)
        return;
    struct registry *r = from_self(self);
    operations_drop(r);
    changes_end(r);
    identity_cancel(r);
    events_drop(r);
    kube_client_destroy(r->client);
    kube_config_finish(&r->config);
    json_decref(r->selector);
    r->magic = 0;
    free(r);
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    char why[KUBE_WHY] = "out of memory";
    struct registry *r = calloc(1, sizeof *r);
    if (r == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    r->magic = REGISTRY_MAGIC;
    r->host = host;
    r->settings = config;
    LIST_INIT(&r->operations);
    r->enabled = is_enabled(r->settings);
    r->selector = selector_from(r->settings->selector);
    int rc = r->selector != NULL ? BURROW_OK : BURROW_ENOMEM;
    if (rc == BURROW_OK && r->enabled)
        rc = load(r->settings, &r->config, why);
    if (rc == BURROW_OK && r->enabled)
        rc = kube_client_create(host, &r->config, &r->client);
    if (rc != BURROW_OK) {
        destroy(r);
        return burrow_error(host, rc, "%s", why);
    }
    r->name_space =
        r->settings->name_space != NULL ? r->settings->name_space : r->config.name_space;
    *ret_self = r;
    return BURROW_OK;
}

static int start(void *self)
{
    struct registry *r = from_self(self);
    if (!r->enabled)
        return BURROW_OK;
    if (r->config.skip_verify)
        burrow_log(r->host, BURROW_LOG_WARN,
                   "the kubeconfig says insecure-skip-tls-verify: anybody in between can read and "
                   "change everything");
    identify(r);
    return BURROW_OK;
}

static void stop(void *self)
{
    struct registry *r = from_self(self);
    operations_drop(r);
    changes_end(r);
    identity_cancel(r);
    kube_client_destroy(r->client);
    r->client = NULL;
    r->host->stopped(r->host->self);
}

/* ---- the core's operations ---- */

static void bind_host(void *self, const struct burrow_registry_host *host)
{
    from_self(self)->core = host;
}

static void publish(void *self, struct burrow_registry_op *op,
                    const struct burrow_publication *publication)
{
    struct registry *r = from_self(self);
    if (r->enabled)
        operation_begin(r, PUBLISH, op, publication, NULL);
    else
        r->core->done(op, BURROW_OK, NULL);
}

static void withdraw(void *self, struct burrow_registry_op *op, const char *client_id)
{
    struct registry *r = from_self(self);
    if (r->enabled)
        operation_begin(r, WITHDRAW, op, NULL, client_id);
    else
        r->core->done(op, BURROW_OK, NULL);
}

static void list(void *self, struct burrow_registry_op *op)
{
    struct registry *r = from_self(self);
    if (r->enabled)
        operation_begin(r, LIST, op, NULL, NULL);
    else
        r->core->done(op, BURROW_OK, NULL);
}

static void cancel(void *self, struct burrow_registry_op *op)
{
    operation_cancel(from_self(self), op);
}

static const struct burrow_registry_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .publish = publish,
    .withdraw = withdraw,
    .list = list,
    .cancel = cancel,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_REGISTRY,
    .kind_abi = BURROW_REGISTRY_ABI,
    .config_size = sizeof(struct settings),
    .name = "registry-kubernetes",
    .version = BURROW_VERSION,
    .summary = "Publishes each client as a Kubernetes Service",
    .options = options,
    .metrics = metrics,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
};
