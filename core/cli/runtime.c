/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What server and client share: options, plugins, log, loop, instances, and their orderly
 * end. config/ says what is wanted, plugin/ opens it; here the two meet.
 */
#include "cli/runtime.h"

#include "cli/runtime_state.h"
#include "cli/workers.h"
#include "config/known.h"

#include <burrow/transport.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MS 5000

bool runtime_has(const struct runtime *rt, const char *plugin_name)
{
    for (size_t i = 0; i < rt->plugin_count; i++)
        if (strcmp(plugin_descriptor(rt->plugins[i])->name, plugin_name) == 0)
            return true;
    return false;
}

bool runtime_speaks_http(const struct runtime *rt)
{
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct burrow_plugin *d = plugin_descriptor(rt->plugins[i]);
        if (d->kind != BURROW_KIND_TRANSPORT)
            continue;
        const struct burrow_transport_ops *ops = d->ops;
        if ((ops->flags & BURROW_TRANSPORT_HTTP) != 0)
            return true;
    }
    return false;
}

int runtime_check_admin(const struct runtime *rt, const char *admin_addr, struct error *err)
{
    if (admin_addr == NULL || runtime_speaks_http(rt))
        return BURROW_OK;
    return error_set(err, BURROW_EINVAL,
                     "--admin-addr (BURROW_ADMIN_ADDR): needs a transport plugin that speaks HTTP, "
                     "such as transport-ws; none is in use");
}

struct instance *runtime_next(const struct runtime *rt, uint32_t kind, size_t *at)
{
    while (rt->worker_count > 0 && *at < rt->workers[0].instance_count) {
        struct instance *instance = rt->workers[0].instances[(*at)++];
        if (instance_kind(instance) == kind)
            return instance;
    }
    return NULL;
}

const void *runtime_option(const struct runtime *rt, const char *plugin_name, const char *option,
                           uint32_t type)
{
    for (size_t i = 0; i < rt->plugin_count; i++) {
        const struct burrow_plugin *d = plugin_descriptor(rt->plugins[i]);
        const struct burrow_option *o = option_find(d->options, option);
        if (strcmp(d->name, plugin_name) == 0)
            return o && o->type == type ? (const char *)rt->state->configs[i] + o->offset : NULL;
    }
    return NULL;
}

static bool uses_kind(const struct cli_command *command, uint32_t kind)
{
    return kind < 32 && (command->kinds & 1u << kind) != 0;
}

static int open_plugin(struct runtime_state *s, const char *name, struct error *err)
{
    struct plugin *plugin = NULL;
    if (s->rt.plugin_count == PLUGINS_MAX)
        return error_set(err, BURROW_EINVAL, "--plugin (BURROW_PLUGINS): too many plugins");
    int rc = plugin_open(s->plugin_dir, name, &plugin, err);
    if (rc != 0)
        return rc;
    s->plugins[s->rt.plugin_count++] = plugin;
    uint32_t kind = plugin_descriptor(plugin)->kind;
    if (!uses_kind(s->rt.command, kind))
        return error_set(err, BURROW_EINVAL,
                         "--plugin (BURROW_PLUGINS): %s is a plugin of the kind %s, which `burrow "
                         "%s` does not use",
                         plugin_descriptor(plugin)->name, known_kind_name(kind),
                         s->rt.command->name);
    return 0;
}

static int choose(const char *names[PLUGINS_MAX], size_t *n, const char *name, struct error *err)
{
    if (*n == PLUGINS_MAX)
        return error_set(err, BURROW_EINVAL, "--plugin (BURROW_PLUGINS): too many plugins");
    names[(*n)++] = name;
    return 0;
}

static bool has_kind(const char *const *names, size_t n, uint32_t kind)
{
    for (size_t i = 0; i < n; i++)
        if (known_kind(names[i]) == kind)
            return true;
    return false;
}

int runtime_choose(const struct config *config, const char *dir, const struct cli_command *command,
                   const char *ret_names[PLUGINS_MAX], size_t *ret_n, struct error *err)
{
    static const uint32_t kinds[] = {BURROW_KIND_TRANSPORT, BURROW_KIND_AUTH, BURROW_KIND_REGISTRY};
    size_t listed_count;
    const struct config_plugin *listed = config_plugins(config, &listed_count);
    *ret_n = 0;
    for (size_t i = 0; i < listed_count; i++) {
        uint32_t kind = known_kind(listed[i].name);
        /* One file may serve the server and the client of a host. */
        if (listed[i].from_file && kind != 0 && !uses_kind(command, kind))
            continue;
        if (choose(ret_names, ret_n, listed[i].name, err) != 0)
            return err->code;
    }
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        const char *names[KNOWN_CHOICE_MAX];
        size_t chosen = 0;
        if (!uses_kind(command, kinds[k]) || has_kind(ret_names, *ret_n, kinds[k]))
            continue;
        if (known_choose(config, dir, command->name, kinds[k], names, &chosen, err) != 0)
            return err->code;
        for (size_t i = 0; i < chosen; i++)
            if (choose(ret_names, ret_n, names[i], err) != 0)
                return err->code;
    }
    return 0;
}

int runtime_open_plugins(struct runtime_state *s, struct error *err)
{
    const char *names[PLUGINS_MAX];
    size_t n;
    if (runtime_choose(s->config, s->plugin_dir, s->rt.command, names, &n, err) != 0)
        return err->code;
    for (size_t i = 0; i < n; i++)
        if (open_plugin(s, names[i], err) != 0)
            return err->code;
    return plugin_check_distinct(s->plugins, s->rt.plugin_count, err);
}

size_t runtime_groups(const struct runtime_state *s, struct config_group groups[CLI_GROUPS_MAX])
{
    const struct cli_command *command = s->rt.command;
    size_t n = 0;
    groups[n++] =
        (struct config_group){command->name, NULL, false, command->options, command->options_size};
    groups[n++] =
        (struct config_group){"common", NULL, false, cli_common_options, sizeof(struct cli_common)};
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        groups[n++] = cli_plugin_group(s->plugins[i]);
    return n;
}

void runtime_take(struct runtime_state *s, void *const *values)
{
    s->rt.options = values[0];
    s->common = values[1];
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        s->configs[i] = values[i + 2];
}

int runtime_parse(struct runtime_state *s, struct error *err)
{
    const struct cli_command *command = s->rt.command;
    struct config_group groups[CLI_GROUPS_MAX];
    void *values[CLI_GROUPS_MAX];
    struct cli_others room;
    size_t n = runtime_groups(s, groups);
    if (config_parse(s->config, groups, n, cli_others(&room, command->name, command->kinds, false),
                     values, err) != 0)
        return err->code;
    runtime_take(s, values);
    return 0;
}

void runtime_log_warnings(const struct runtime_state *s)
{
    char text[CLI_PATH + 100];
    const char *closed = config_closed_file(s->config);
    if (closed && s->rt.command->owns_file) {
        snprintf(text, sizeof text, "%s: Permission denied; going on without it", closed);
        log_at(&s->rt.log, BURROW_LOG_WARN, "config_warning", burrow_str("msg", text));
    }
    cli_log_warnings(&s->rt.log, s->config);
}

int runtime_check(const struct runtime_state *s, struct error *err)
{
    if (s->rt.command->check && s->rt.command->check(&s->rt, err) != 0)
        return err->code;
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        if (plugin_check(s->plugins[i], &s->rt.log, s->configs[i], err) != 0)
            return err->code;
    return 0;
}

/* Everything up to and with the checks. */
static int load(struct runtime_state *s, struct error *err)
{
    if (runtime_open_plugins(s, err) != 0 || runtime_parse(s, err) != 0)
        return err->code;
    config_wipe_sources(s->config);
    cli_log_init(&s->rt.log, s->common);
    runtime_log_warnings(s);
    return runtime_check(s, err);
}

int runtime_create(struct runtime_state *s, struct error *err)
{
    const struct cli_command *command = s->rt.command;
    return workers_create(s, command->workers ? command->workers(&s->rt) : 1, err);
}

int runtime_start(struct runtime *rt, struct error *err)
{
    return workers_start(rt->state, err);
}

void runtime_stop(struct runtime *rt, uint64_t deadline_ms)
{
    workers_stop(rt->state, deadline_ms);
}

void runtime_finish(struct runtime_state *s)
{
    workers_stop(s, STOP_MS);
    workers_destroy(s);
    while (s->rt.plugin_count > 0)
        plugin_close(s->plugins[--s->rt.plugin_count]);
    config_destroy(s->config);
    while (s->kept) {
        struct kept_config *kept = s->kept;
        s->kept = kept->next;
        config_destroy(kept->config);
        free(kept);
    }
    config_sources_free(s->sources);
    free(s);
}

int runtime_begin(const struct cli_command *command, const struct cli_args *args,
                  struct runtime_state **ret, struct error *err)
{
    struct config_sources sources = {args->argc, args->argv, args->envp, CLI_CONFIG_FILE};
    struct runtime_state *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    s->rt.command = command;
    s->rt.plugins = s->plugins;
    s->rt.state = s;
    if (config_read(&sources, &s->config, err) != 0) {
        free(s);
        return err->code;
    }
    cli_plugin_dir(s->config, s->plugin_dir);
    *ret = s;
    return 0;
}

/* The options of the command, of the plugins named, and of the bundled ones that it could use.
 * What cannot be opened is left out: help must work when little else does. */
static size_t all_groups(struct runtime_state *s, struct config_group groups[CLI_GROUPS_MAX])
{
    struct error err = {0};
    size_t n;
    const struct config_plugin *listed = config_plugins(s->config, &n);
    const char *name;
    for (size_t i = 0; i < n; i++)
        (void)open_plugin(s, listed[i].name, &err);
    for (size_t i = 0; (name = known_bundled(i)) != NULL; i++)
        if (uses_kind(s->rt.command, known_kind(name)) && !runtime_has(&s->rt, name))
            (void)open_plugin(s, name, &err);

    const struct cli_command *command = s->rt.command;
    groups[0] =
        (struct config_group){"Options", NULL, false, command->options, command->options_size};
    groups[1] = (struct config_group){"Common options", NULL, false, cli_common_options,
                                      sizeof(struct cli_common)};
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        groups[i + 2] = cli_plugin_group(s->plugins[i]);
    return s->rt.plugin_count + 2;
}

static int help(struct runtime_state *s)
{
    struct config_group groups[CLI_GROUPS_MAX];
    char titles[CLI_GROUPS_MAX][160];
    size_t n = all_groups(s, groups);
    printf("Usage: burrow %s [--option value]...\n\n%s\n", s->rt.command->name,
           s->rt.command->summary);
    for (size_t i = 0; i < n; i++) {
        if (groups[i].plugin == NULL)
            continue;
        snprintf(titles[i], sizeof titles[i], "Options of %s", groups[i].title);
        groups[i].title = titles[i];
    }
    help_groups(stdout, groups, n);
    printf("\nPlugins are in %s; `burrow plugins` lists them.\n", s->plugin_dir);
    runtime_finish(s);
    return fflush(stdout) == 0 ? 0 : 1;
}

int cli_fail_config(struct error *err)
{
    if (err->code != BURROW_ENOMEM)
        err->code = BURROW_EINVAL;
    return cli_fail(err);
}

int cli_check_runtime(const struct cli_command *command, const struct cli_args *args)
{
    struct runtime_state *s = NULL;
    struct error err = {0};
    if (runtime_begin(command, args, &s, &err) != 0)
        return cli_fail_config(&err);
    if (config_wants_help(s->config))
        return help(s);
    int rc = load(s, &err) == 0 ? 0 : cli_fail_config(&err);
    runtime_finish(s);
    if (rc == 0)
        printf("configuration OK\n");
    return rc == 0 && fflush(stdout) != 0 ? 1 : rc;
}

int cli_run_runtime(const struct cli_command *command, const struct cli_args *args)
{
    struct runtime_state *s = NULL;
    struct error err = {0};
    if (runtime_begin(command, args, &s, &err) != 0)
        return cli_fail_config(&err);
    if (config_wants_help(s->config))
        return help(s);
    int rc;
    const struct config_sources sources = {args->argc, args->argv, args->envp, CLI_CONFIG_FILE};
    if (config_sources_keep(&sources, &s->sources, &err) != 0)
        rc = cli_fail(&err);
    else if (load(s, &err) != 0)
        rc = cli_fail_config(&err);
    else if (runtime_create(s, &err) != 0)
        rc = cli_fail(&err);
    else
        rc = command->run(&s->rt);
    runtime_finish(s);
    return rc;
}

int cli_describe_runtime(const struct cli_command *command, const struct cli_args *args,
                         cli_describe_fn *fn, void *arg, struct error *err)
{
    struct runtime_state *s = NULL;
    struct config_group groups[CLI_GROUPS_MAX];
    if (runtime_begin(command, args, &s, err) != 0)
        return err->code;
    fn(arg, groups, all_groups(s, groups));
    runtime_finish(s);
    return 0;
}
