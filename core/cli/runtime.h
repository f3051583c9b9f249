/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `burrow server` and `burrow client` have in common: options from all sources, the
 * log, the loop, and the instances of the chosen plugins. A command is data (struct
 * cli_command); the runtime does everything before and after its `run`:
 *
 *   parse → open plugins → check → log, loop → create instances → run → stop → destroy
 *
 * and check-config does the first three. While it runs, a reload parses and checks again.
 */
#ifndef CLI_RUNTIME_H
#define CLI_RUNTIME_H

#include "base/log.h"
#include "config/reload.h"
#include "loop/loop.h"
#include "plugin/plugin.h"

#include <stdbool.h>

struct runtime;

struct cli_command {
    const char *name;    /* "server" */
    const char *summary; /* one line for help */
    /* Its own options and their struct. log-level, log-format, config, plugin, plugin-dir
     * are the runtime's; an option of the same name and type as one of a plugin is filled
     * in both. */
    const struct burrow_option *options;
    size_t options_size;
    uint32_t kinds; /* of plugins that it uses: 1u << BURROW_KIND_… */
    /* The default config file is its own, more than any other command's: it warns when it may not
     * read that. */
    bool owns_file;
    /* Contradictions among options and plugins, without side effects: 0, or err filled in
     * the form "--flag (BURROW_FLAG): what is wrong, what is expected". May be NULL. The
     * runtime has options and plugins by then, but no loop and no instances. */
    int (*check)(const struct runtime *rt, struct error *err);
    /* How many loops share the work, as its checked options say. NULL: one. */
    size_t (*workers)(const struct runtime *rt);
    /* Works until it is told to stop; returns the exit code. All instances are created,
     * none is bound or started: run binds the kinds' host tables, opens its sockets, then
     * calls runtime_start. Signals are run's own (loop_signal). */
    int (*run)(struct runtime *rt);
};

extern const struct cli_command cli_server; /* core/cli/server.c */
extern const struct cli_command cli_client; /* core/cli/client.c */

struct runtime {
    const struct cli_command *command;
    const void *options;     /* struct server_options or struct client_options */
    struct plugin **plugins; /* opened, in the order of the configuration */
    size_t plugin_count;
    struct log log;
    struct loop *loop; /* the main one; NULL in check */
    /* The main loop, which has an instance of each plugin, in the same order, and further ones with
     * transports; none in check. */
    const struct instance_group *workers;
    size_t worker_count;
    struct reload_counts reloads; /* so far */
    struct runtime_state *state;  /* the runtime's own */
};

/* true when the plugin of this name is in use. */
bool runtime_has(const struct runtime *rt, const char *plugin_name);
/* true when a transport plugin that carries HTTP requests is in use. */
bool runtime_speaks_http(const struct runtime *rt);
/* --admin-addr (NULL: not given) needs such a plugin. */
int runtime_check_admin(const struct runtime *rt, const char *admin_addr, struct error *err);
/* The next instance of a kind: *at counts on from 0; NULL at the end. */
struct instance *runtime_next(const struct runtime *rt, uint32_t kind, size_t *at);

/* The field of a plugin's config that the option of this name and type fills: a const char *
 * const * for a string, and so on. NULL when the plugin is not in use or has no such option. */
const void *runtime_option(const struct runtime *rt, const char *plugin_name, const char *option,
                           uint32_t type);

/* Starts every instance, in order. On failure those already started are stopped by the
 * runtime after run returns. */
int runtime_start(struct runtime *rt, struct error *err);
/* Runs the loop until every started instance has answered stop or deadline_ms are over.
 * Called by run when its own work has ended and before it frees what instances may still
 * call into; the runtime does it after run if run did not. */
void runtime_stop(struct runtime *rt, uint64_t deadline_ms);

/* Takes over new options; on failure nothing has changed. */
typedef int runtime_apply_fn(void *arg, const void *options, struct error *err);
/*
 * Reads all sources again: the file anew, flags and variables as they were at the start. The new
 * configuration is checked as a whole and taken as a whole, by the plugins and then by apply;
 * else the old stays in force. What needs a restart keeps its old value and is named in the log,
 * as is the result. 0: taken, and what options pointed to before is gone after return.
 */
int runtime_reload(struct runtime *rt, runtime_apply_fn *apply, void *arg);

/* Prints "burrow: TEXT" and returns the exit code: 2 for BURROW_EINVAL, else 1. */
int cli_fail(const struct error *err);
/* The same for a configuration: exit 2, also when a plugin that reads a file calls it EIO. */
int cli_fail_config(struct error *err);

#endif
