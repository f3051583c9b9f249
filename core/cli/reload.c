/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new configuration for a process that works. It is read, parsed and checked beside the one
 * in force, with the plugins that are open; only then do the plugins and the service take it
 * over, and if one of them cannot, those before it go back. What cannot change without a restart
 * keeps its value, so that the options always say what is in force.
 */
#include "cli/runtime_state.h"
#include "cli/workers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESTARTS_MAX 32
#define NAME_MAX_SHOWN 100

/* Options that have changed in vain; told when the rest is taken. */
struct restarts {
    unsigned count;
    char names[RESTARTS_MAX][NAME_MAX_SHOWN];
};

static void needs_restart(void *arg, const char *name)
{
    struct restarts *restarts = arg;
    if (restarts->count < RESTARTS_MAX)
        snprintf(restarts->names[restarts->count], NAME_MAX_SHOWN, "%s", name);
    restarts->count++;
}

static void say_restarts(const struct log *log, const struct restarts *restarts)
{
    for (unsigned i = 0; i < restarts->count && i < RESTARTS_MAX; i++)
        log_at(log, BURROW_LOG_WARN, "reload_needs_restart",
               burrow_str("option", restarts->names[i]));
}

/* ---- the candidate ---- */

static bool has_name(const struct plugin *plugin, const char *name)
{
    return strcmp(name[0] == '/' ? plugin_path(plugin) : plugin_descriptor(plugin)->name, name) ==
           0;
}

/* Plugins are opened at the start only, and asked in the order of then. */
static int compare_plugins(const struct runtime_state *fresh, struct restarts *restarts,
                           struct error *err)
{
    const char *names[PLUGINS_MAX];
    size_t n;
    if (runtime_choose(fresh->config, fresh->plugin_dir, fresh->rt.command, names, &n, err) != 0)
        return err->code;
    bool same = n == fresh->rt.plugin_count;
    for (size_t i = 0; same && i < n; i++)
        same = has_name(fresh->plugins[i], names[i]);
    if (!same)
        needs_restart(restarts, "plugin");
    return 0;
}

/* Puts the values in force where a reload may not change them. *ret_changed: there were some,
 * so that the mixture has to be checked too. */
static int keep_fixed(const struct runtime_state *s, struct runtime_state *fresh,
                      struct restarts *restarts, bool *ret_changed, struct error *err)
{
    struct config_group groups[CLI_GROUPS_MAX];
    size_t n = runtime_groups(fresh, groups);
    for (size_t i = 0; i < n; i++) {
        const void *old = i == 0   ? s->rt.options
                          : i == 1 ? (const void *)s->common
                                   : s->configs[i - 2];
        union {
            const void *in;
            void *out; /* of the candidate, which nobody uses yet */
        } values = {.in = i == 0   ? fresh->rt.options
                          : i == 1 ? (const void *)fresh->common
                                   : fresh->configs[i - 2]};
        bool fixed = i >= 2 && plugin_descriptor(fresh->plugins[i - 2])->reload == NULL;
        int rc =
            config_keep(fresh->config, &groups[i], old, values.out, fixed, needs_restart, restarts);
        if (rc < 0)
            return error_set(err, rc, "out of memory");
        *ret_changed = *ret_changed || rc > 0;
    }
    return 0;
}

/* A default file that is closed since the start must not count as one without settings. */
static int read_sources(const struct runtime_state *s, struct config **ret, struct error *err)
{
    int rc = config_read(config_sources_kept(s->sources), ret, err);
    const char *closed = rc == 0 ? config_closed_file(*ret) : NULL;
    if (closed && !config_closed_file(s->config))
        return error_set(err, BURROW_EINVAL, "%s: Permission denied", closed);
    return rc;
}

/* Everything that may refuse the new configuration without touching what is in force. */
static int prepare(const struct runtime_state *s, struct runtime_state *fresh,
                   struct restarts *restarts, struct error *err)
{
    bool changed = false;
    *fresh = *s;
    fresh->rt.state = fresh;
    fresh->rt.plugins = fresh->plugins;
    fresh->rt.loop = NULL;
    fresh->rt.workers = NULL;
    fresh->rt.worker_count = 0;
    fresh->config = NULL;
    if (read_sources(s, &fresh->config, err) != 0 || compare_plugins(fresh, restarts, err) != 0 ||
        runtime_parse(fresh, err) != 0 || runtime_check(fresh, err) != 0 ||
        keep_fixed(s, fresh, restarts, &changed, err) != 0)
        return err->code;
    return changed ? runtime_check(fresh, err) : 0;
}

/* ---- taking it ---- */

static int take(struct runtime_state *s, struct runtime_state *fresh, runtime_apply_fn *apply,
                void *arg, struct error *err)
{
    int rc = workers_take(s, fresh, err);
    if (rc == BURROW_OK)
        rc = apply(arg, fresh->rt.options, err);
    if (rc != BURROW_OK)
        workers_take_back(s, fresh);
    return rc;
}

/* Lets a configuration go, or keeps it while a plugin has values of it. */
static void let_go(struct runtime_state *s, struct config *config, struct kept_config *room)
{
    if (workers_use(s, config)) {
        *room = (struct kept_config){s->kept, config};
        s->kept = room;
        return;
    }
    config_destroy(config);
    free(room);
}

static void swap(struct runtime_state *s, struct runtime_state *fresh, struct kept_config *room)
{
    struct config *old = s->config;
    workers_keep(s, fresh);
    s->config = fresh->config;
    s->common = fresh->common;
    s->rt.options = fresh->rt.options;
    memcpy(s->configs, fresh->configs, sizeof s->configs);
    cli_log_init(&s->rt.log, s->common);
    runtime_log_warnings(s);
    let_go(s, old, room);
}

int runtime_reload(struct runtime *rt, runtime_apply_fn *apply, void *arg)
{
    struct runtime_state *s = rt->state;
    struct runtime_state *fresh = calloc(1, sizeof *fresh);
    struct kept_config *room = calloc(1, sizeof *room);
    struct restarts restarts = {.count = 0};
    struct error err = {0};
    int rc = fresh && room ? prepare(s, fresh, &restarts, &err)
                           : error_set(&err, BURROW_ENOMEM, "out of memory");
    if (rc == BURROW_OK)
        rc = take(s, fresh, apply, arg, &err);
    if (rc == BURROW_OK) {
        rt->reloads.taken++;
        swap(s, fresh, room);
        say_restarts(&rt->log, &restarts);
        log_at(&rt->log, BURROW_LOG_INFO, "reloaded", burrow_uint("need_restart", restarts.count));
    } else {
        rt->reloads.refused++;
        log_at(&rt->log, BURROW_LOG_ERROR, "reload_refused", burrow_str("reason", err.text));
        if (fresh && fresh->config)
            let_go(s, fresh->config, room);
        else
            free(room);
    }
    free(fresh);
    return rc;
}
