/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a plugin's descriptor and the ops of its kind into full-sized copies, so that the
 * rest of the core need not ask for sizes, and refuses what does not keep the contract. The
 * requirements of each kind are a table of rows.
 */
#include "config/known.h"
#include "config/option.h"
#include "config/text.h"
#include "plugin/internal.h"

#include <string.h>

/* Nobody's table is larger; a size beyond is a sign of a struct that is something else. */
#define TABLE_MAX 65536u
#define CONFIG_MAX 65536u
#define METRICS_MAX 256u

struct required {
    const char *name;
    size_t offset;
};

#define REQUIRED(type, field)                                                                      \
    {                                                                                              \
#field, offsetof(struct type, field)                                                       \
    }
#define REQUIRED_END                                                                               \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static const struct required plugin_required[] = {
    REQUIRED(burrow_plugin, name),    REQUIRED(burrow_plugin, version),
    REQUIRED(burrow_plugin, summary), REQUIRED(burrow_plugin, ops),
    REQUIRED(burrow_plugin, create),  REQUIRED(burrow_plugin, stop),
    REQUIRED(burrow_plugin, destroy), REQUIRED_END,
};
static const struct required transport_required[] = {
    REQUIRED(burrow_transport_ops, schemes),
    REQUIRED(burrow_transport_ops, bind),
    REQUIRED(burrow_transport_ops, accept),
    REQUIRED(burrow_transport_ops, dial),
    REQUIRED(burrow_transport_ops, send),
    REQUIRED(burrow_transport_ops, queued),
    REQUIRED(burrow_transport_ops, set_watermark),
    REQUIRED(burrow_transport_ops, flush),
    REQUIRED(burrow_transport_ops, read_enable),
    REQUIRED(burrow_transport_ops, close),
    REQUIRED_END,
};
static const struct required auth_required[] = {
    REQUIRED(burrow_auth_ops, bind),
    REQUIRED(burrow_auth_ops, verify),
    REQUIRED_END,
};
static const struct required registry_required[] = {
    REQUIRED(burrow_registry_ops, bind),     REQUIRED(burrow_registry_ops, publish),
    REQUIRED(burrow_registry_ops, withdraw), REQUIRED(burrow_registry_ops, list),
    REQUIRED(burrow_registry_ops, cancel),   REQUIRED_END,
};
static const struct required command_required[] = {
    REQUIRED(burrow_command_ops, subcommands),
    REQUIRED(burrow_command_ops, bind),
    REQUIRED(burrow_command_ops, run),
    REQUIRED_END,
};

static const struct {
    uint32_t kind, abi;
    size_t size;
    const struct required *required;
} kinds[] = {
    {BURROW_KIND_TRANSPORT, BURROW_TRANSPORT_ABI, sizeof(struct burrow_transport_ops),
     transport_required},
    {BURROW_KIND_AUTH, BURROW_AUTH_ABI, sizeof(struct burrow_auth_ops), auth_required},
    {BURROW_KIND_REGISTRY, BURROW_REGISTRY_ABI, sizeof(struct burrow_registry_ops),
     registry_required},
    {BURROW_KIND_COMMAND, BURROW_COMMAND_ABI, sizeof(struct burrow_command_ops), command_required},
};

/* Every required field is a pointer. */
static int check_required(const void *table, const struct required *required, const char *what,
                          struct error *err)
{
    for (; required->name; required++) {
        void *value;
        memcpy(&value, (const char *)table + required->offset, sizeof value);
        if (!value)
            return error_set(err, BURROW_EINVAL, "its %s has no %s", what, required->name);
    }
    return 0;
}

static int check_texts(const struct burrow_plugin *d, struct error *err)
{
    size_t n = strnlen(d->name, 65);
    if (n == 0 || n > 64 || strspn(d->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return error_set(err, BURROW_EINVAL,
                         "its name is not lower-case-with-hyphens of at most 64 letters");
    if (known_kind(d->name) != d->kind)
        return error_set(err, BURROW_EINVAL,
                         "its name %s does not begin with its kind; expected %s-NAME", d->name,
                         known_kind_name(d->kind));
    if (strnlen(d->version, 65) > 64 || strnlen(d->summary, 257) > 256 ||
        !text_is_utf8(d->version) || !text_is_utf8(d->summary))
        return error_set(err, BURROW_EINVAL, "its version or summary is no short UTF-8 text");
    return 0;
}

static int check_metrics(const struct burrow_metric *metrics, struct error *err)
{
    for (size_t i = 0; metrics && metrics[i].name; i++) {
        size_t n = strnlen(metrics[i].name, 65);
        if (i == METRICS_MAX)
            return error_set(err, BURROW_EINVAL, "its metrics table has no end");
        if (n == 0 || n > 64 ||
            strspn(metrics[i].name, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
            return error_set(err, BURROW_EINVAL, "metric %zu: its name is not lower_snake_case", i);
        if (metrics[i].type != BURROW_METRIC_COUNTER && metrics[i].type != BURROW_METRIC_GAUGE)
            return error_set(err, BURROW_EINVAL, "metric %s: type %u is unknown", metrics[i].name,
                             metrics[i].type);
        if (!metrics[i].help)
            return error_set(err, BURROW_EINVAL, "metric %s: it has no help", metrics[i].name);
    }
    return 0;
}

static int read_ops(struct plugin *plugin, struct error *err)
{
    const struct burrow_plugin *d = &plugin->descriptor;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind != d->kind)
            continue;
        if (d->kind_abi != kinds[i].abi)
            return error_set(err, BURROW_EINVAL, "is built for %s ABI %u; this burrow has %u",
                             known_kind_name(d->kind), d->kind_abi, kinds[i].abi);
        uint32_t size;
        memcpy(&size, d->ops, sizeof size);
        if (size < sizeof size || size > TABLE_MAX)
            return error_set(err, BURROW_EINVAL, "its ops have a size of %u bytes; expected %zu",
                             size, kinds[i].size);
        memset(&plugin->ops, 0, sizeof plugin->ops);
        memcpy(&plugin->ops, d->ops, size < kinds[i].size ? size : kinds[i].size);
        return check_required(&plugin->ops, kinds[i].required, "ops table", err);
    }
    return error_set(err, BURROW_EINVAL, "is of kind %u, which this burrow does not know", d->kind);
}

static int check_http(const struct plugin *plugin, struct error *err)
{
    const struct burrow_transport_ops *ops = &plugin->ops.transport;
    if (plugin->descriptor.kind != BURROW_KIND_TRANSPORT || !(ops->flags & BURROW_TRANSPORT_HTTP))
        return 0;
    if (!ops->http_respond || !ops->admit)
        return error_set(err, BURROW_EINVAL,
                         "its ops table has no http_respond or admit, but says that it carries "
                         "HTTP");
    return 0;
}

int descriptor_read(const struct burrow_plugin *found, struct plugin *plugin, struct error *err)
{
    struct burrow_plugin *d = &plugin->descriptor;
    uint32_t head[2]; /* magic and size: all that may be read before they are known */
    memcpy(head, found, sizeof head);
    if (head[0] != BURROW_PLUGIN_MAGIC)
        return error_set(err, BURROW_EINVAL, "its descriptor is none (wrong magic number)");
    if (head[1] < offsetof(struct burrow_plugin, destroy) + sizeof d->destroy ||
        head[1] > TABLE_MAX)
        return error_set(err, BURROW_EINVAL, "its descriptor has a size of %u bytes; expected %zu",
                         head[1], sizeof *d);
    memset(d, 0, sizeof *d);
    memcpy(d, found, head[1] < sizeof *d ? head[1] : sizeof *d);
    if (check_required(d, plugin_required, "descriptor", err) != 0 || read_ops(plugin, err) != 0 ||
        check_texts(d, err) != 0 || check_metrics(d->metrics, err) != 0 ||
        check_http(plugin, err) != 0)
        return BURROW_EINVAL;
    if (d->config_size > CONFIG_MAX)
        return error_set(err, BURROW_EINVAL, "its config struct has a size of %u bytes",
                         d->config_size);
    if (option_table_check(d->options, d->config_size, err) != 0)
        return BURROW_EINVAL;
    for (const struct burrow_option *o = d->options; o && o->name; o++)
        if (o->flags & ~OPTION_PLUGIN_FLAGS)
            return error_set(err, BURROW_EINVAL, "option %s: its flags are the host's own",
                             o->name);
    d->ops = &plugin->ops;
    return 0;
}
