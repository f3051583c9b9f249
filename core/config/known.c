/* SPDX-License-Identifier: Apache-2.0 */
/* What the core knows of the bundled plugins before it opens any. */
#include "config/known.h"

#include "config/sources.h"
#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SERVICE_ACCOUNT_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"
#define TRANSPORT (1u << BURROW_KIND_TRANSPORT)
#define AUTH (1u << BURROW_KIND_AUTH)
#define REGISTRY (1u << BURROW_KIND_REGISTRY)

static const struct {
    const char *name, *package;
} bundled[] = {
    {"transport-ws", "burrow"},
    {"transport-tls", "burrow"},
    {"auth-hmac", "burrow"},
    {"auth-pem", "burrow"},
    {"auth-jwks", "burrow-plugin-jwks"},
    {"auth-static", "burrow"},
    {"auth-http", "burrow-plugin-jwks"},
    {"auth-mtls", "burrow"},
    {"auth-none", "burrow"},
    {"registry-noop", "burrow"},
    {"registry-kubernetes", "burrow-plugin-kubernetes"},
    {"command-token", "burrow"},
    {"command-expose", "burrow-plugin-kubernetes"},
};

static const struct {
    const char *name;
    uint32_t kind;
} kinds[] = {
    {"transport", BURROW_KIND_TRANSPORT},
    {"auth", BURROW_KIND_AUTH},
    {"registry", BURROW_KIND_REGISTRY},
    {"command", BURROW_KIND_COMMAND},
};

#define VERIFIERS "auth-hmac, auth-pem and auth-jwks"
#define BOTH_TRANSPORTS "transport-ws and transport-tls"

/* Well-known options that belong to plugins. `selects`: with this option set and no plugin
 * of that kind named, the plugin is used. `inert`: values that need no plugin ("*": any). */
static const struct {
    const char *option, *owner;
    uint32_t kinds;
    const char *selects, *inert;
} options[] = {
    {"jwt-hmac-secret", "auth-hmac", AUTH, "auth-hmac", NULL},
    {"jwt-hmac-secret-file", "auth-hmac", AUTH, "auth-hmac", NULL},
    {"jwt-hmac-secret-previous", "auth-hmac", AUTH, NULL, NULL},
    {"jwt-hmac-secret-previous-file", "auth-hmac", AUTH, NULL, NULL},
    {"jwt-public-key-file", "auth-pem", AUTH, "auth-pem", NULL},
    {"jwks-url", "auth-jwks", AUTH, "auth-jwks", NULL},
    {"jwks-refresh", "auth-jwks", AUTH, NULL, NULL},
    {"jwks-keep", "auth-jwks", AUTH, NULL, NULL},
    {"jwks-ca", "auth-jwks", AUTH, NULL, NULL},
    {"jwks-allow-http", "auth-jwks", AUTH, NULL, NULL},
    {"jwt-alg", VERIFIERS, AUTH, NULL, NULL},
    {"jwt-issuer", VERIFIERS, AUTH, NULL, NULL},
    {"jwt-audience", VERIFIERS, AUTH, NULL, NULL},
    {"jwt-grants-claim", VERIFIERS, AUTH, NULL, NULL},
    {"jwt-allow-no-exp", VERIFIERS, AUTH, NULL, NULL},
    {"jwt-allow-weak-secret", "auth-hmac", AUTH, NULL, NULL},
    {"auth-static-file", "auth-static", AUTH, "auth-static", NULL},
    {"auth-http-url", "auth-http", AUTH, "auth-http", NULL},
    {"auth-http-ca", "auth-http", AUTH, NULL, NULL},
    {"auth-http-timeout", "auth-http", AUTH, NULL, NULL},
    {"auth-http-max-requests", "auth-http", AUTH, NULL, NULL},
    {"auth-http-cache", "auth-http", AUTH, NULL, NULL},
    {"auth-http-allow-http", "auth-http", AUTH, NULL, NULL},
    {"mtls-subject", "auth-mtls", AUTH, NULL, NULL},
    {"tls-cert", BOTH_TRANSPORTS, TRANSPORT, NULL, NULL},
    {"tls-key", BOTH_TRANSPORTS, TRANSPORT, NULL, NULL},
    {"tls-client-ca", BOTH_TRANSPORTS, TRANSPORT, "auth-mtls", NULL},
    {"tls-client-required", BOTH_TRANSPORTS, TRANSPORT, NULL, NULL},
    {"tls-ca", BOTH_TRANSPORTS, TRANSPORT, NULL, NULL},
    {"tls-skip-verify", BOTH_TRANSPORTS, TRANSPORT, NULL, NULL},
    {"enable-kube-api", "registry-kubernetes", REGISTRY, "registry-kubernetes", "auto|false"},
    {"namespace", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"bridge-pod-selector", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"kube-endpoints", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"kubeconfig", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"kube-context", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"kube-allow-exec", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"sweep-interval", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
    {"stale-service-age", "registry-kubernetes", REGISTRY, NULL, KNOWN_ANY},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

bool known_is_bundled(const char *plugin)
{
    for (size_t i = 0; i < COUNT(bundled); i++)
        if (strcmp(bundled[i].name, plugin) == 0)
            return true;
    return false;
}

const char *known_package(const char *plugin)
{
    for (size_t i = 0; i < COUNT(bundled); i++)
        if (strcmp(bundled[i].name, plugin) == 0)
            return bundled[i].package;
    return NULL;
}

const char *known_bundled(size_t n)
{
    return n < COUNT(bundled) ? bundled[n].name : NULL;
}

uint32_t known_kind(const char *plugin)
{
    char name[128];
    plugin_short_name(plugin, name, sizeof name);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        size_t n = strlen(kinds[i].name);
        if (strncmp(name, kinds[i].name, n) == 0 && name[n] == '-' && name[n + 1] != '\0')
            return kinds[i].kind;
    }
    return 0;
}

const char *known_kind_name(uint32_t kind)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].name;
    return NULL;
}

const char *known_owner(const char *option, uint32_t *ret_kinds)
{
    for (size_t i = 0; i < COUNT(options); i++) {
        if (strcmp(options[i].option, option) == 0) {
            *ret_kinds = options[i].kinds;
            return options[i].owner;
        }
    }
    return NULL;
}

bool known_is_inert(const char *option, const char *value)
{
    for (size_t i = 0; i < COUNT(options); i++)
        if (strcmp(options[i].option, option) == 0 && options[i].inert)
            return strcmp(options[i].inert, KNOWN_ANY) == 0 || *value == '\0' ||
                   text_in_choices(value, options[i].inert);
    return false;
}

const char *known_option(size_t n)
{
    return n < COUNT(options) ? options[n].option : NULL;
}

/* The plugins that options select. *ret_said: the options, for an error. Returns how many
 * options did. */
static size_t selected(const struct config *config, uint32_t kind, const char **ret_plugin,
                       char *said, size_t size)
{
    size_t n = 0, used = 0;
    char variable[64];
    for (size_t i = 0; i < COUNT(options); i++) {
        if (!options[i].selects || known_kind(options[i].selects) != kind)
            continue;
        const char *value = config_peek(config, options[i].option);
        if (!value || known_is_inert(options[i].option, value))
            continue;
        *ret_plugin = options[i].selects;
        option_variable(options[i].option, variable, sizeof variable);
        int w = snprintf(said + used, size - used, "%s--%s (%s)", n > 0 ? ", " : "",
                         options[i].option, variable);
        used += w > 0 && (size_t)w < size - used ? (size_t)w : 0;
        n++;
    }
    return n;
}

static int choose_auth(const struct config *config, const char **ret, size_t *n, struct error *err)
{
    char said[400] = "";
    const char *plugin = NULL;
    size_t sources = selected(config, BURROW_KIND_AUTH, &plugin, said, sizeof said);
    if (sources > 1)
        return error_set(err, BURROW_EINVAL,
                         "%s: several key sources are set; expected exactly one, or a `plugins:` "
                         "list with an auth plugin for each",
                         said);
    if (sources == 0)
        return error_set(
            err, BURROW_EINVAL,
            "--jwt-hmac-secret (BURROW_JWT_HMAC_SECRET): no key source is set; "
            "expected it, --jwt-hmac-secret-file, --jwt-public-key-file, "
            "--jwks-url or --auth-static-file (or --plugin auth-none, which lets everybody in)");
    ret[(*n)++] = plugin;
    return 0;
}

/* Without a word about it, a server in a cluster publishes its clients there, if it can. */
static bool in_cluster_with(const struct config *config, const char *plugin_dir, const char *plugin)
{
    char path[4096];
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *enable = config_peek(config, "enable-kube-api");
    snprintf(path, sizeof path, "%s/%s.so", plugin_dir, plugin);
    return host != NULL && *host != '\0' && (enable == NULL || strcmp(enable, "auto") == 0) &&
           access(SERVICE_ACCOUNT_TOKEN, R_OK) == 0 && access(path, R_OK) == 0;
}

int known_choose(const struct config *config, const char *plugin_dir, const char *command,
                 uint32_t kind, const char *ret[KNOWN_CHOICE_MAX], size_t *ret_n, struct error *err)
{
    bool client = strcmp(command, "client") == 0;
    char said[400] = "";
    const char *plugin = NULL, *url;
    switch (kind) {
    case BURROW_KIND_AUTH:
        return choose_auth(config, ret, ret_n, err);
    case BURROW_KIND_TRANSPORT:
        url = client ? config_peek(config, "server-url") : NULL;
        if (url && strncasecmp(url, "tls:", 4) == 0) {
            ret[(*ret_n)++] = "transport-tls";
            if (config_peek(config, "admin-addr")) /* which HTTP carries */
                ret[(*ret_n)++] = "transport-ws";
            return 0;
        }
        ret[(*ret_n)++] = "transport-ws";
        if (!client && config_peek(config, "tls-addr"))
            ret[(*ret_n)++] = "transport-tls";
        return 0;
    case BURROW_KIND_REGISTRY:
        if (client)
            return 0;
        selected(config, kind, &plugin, said, sizeof said);
        if (!plugin && in_cluster_with(config, plugin_dir, "registry-kubernetes"))
            plugin = "registry-kubernetes";
        ret[(*ret_n)++] = plugin ? plugin : "registry-noop";
        return 0;
    default:
        return 0;
    }
}
