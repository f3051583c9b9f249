/* SPDX-License-Identifier: Apache-2.0 */
/* Inside cli/: what runtime.c (a process's life) and reload.c (its later configurations) share. */
#ifndef CLI_RUNTIME_STATE_H
#define CLI_RUNTIME_STATE_H

#include "cli/cli.h"
#include "config/reload.h"

#define PLUGINS_MAX (CLI_GROUPS_MAX - 2)

/* A configuration of before whose values a plugin still has. */
struct kept_config {
    struct kept_config *next;
    struct config *config;
};

struct runtime_state {
    struct runtime rt;
    struct config_sources_copy *sources; /* NULL in check */
    struct config *config;
    struct kept_config *kept;
    const struct cli_common *common;
    struct plugin *plugins[PLUGINS_MAX];
    void *configs[PLUGINS_MAX];     /* of each plugin */
    struct runtime_worker *workers; /* workers.h; rt.worker_count of them */
    struct instance_group *groups;  /* of each; rt.workers */
    size_t stopping;                /* workers that have not stopped */
    char plugin_dir[CLI_PATH];
};

/* Reads the sources; nothing is opened yet. runtime_finish follows. */
int runtime_begin(const struct cli_command *command, const struct cli_args *args,
                  struct runtime_state **ret, struct error *err);
/* Opens the plugins that runtime_choose names. */
int runtime_open_plugins(struct runtime_state *s, struct error *err);
/* Makes the loop, and an instance of each plugin that is open. */
int runtime_create(struct runtime_state *s, struct error *err);
/* Ends and frees all that there is of it by then. */
void runtime_finish(struct runtime_state *s);

/* The names of the plugins that the configuration asks for: those of its list, then, for each
 * kind that the list does not have, what follows from the other options. dir: of the plugins. */
int runtime_choose(const struct config *config, const char *dir, const struct cli_command *command,
                   const char *ret_names[PLUGINS_MAX], size_t *ret_n, struct error *err);
/* The options' groups: the command's, the common ones, each plugin's. Returns their number. */
size_t runtime_groups(const struct runtime_state *s, struct config_group groups[CLI_GROUPS_MAX]);
/* Takes what config_parse gave for these groups. */
void runtime_take(struct runtime_state *s, void *const *values);
/* Fills options, common and configs from s->config. */
int runtime_parse(struct runtime_state *s, struct error *err);
/* What was odd about s->config. */
void runtime_log_warnings(const struct runtime_state *s);
/* The command's checks, then the plugins'. */
int runtime_check(const struct runtime_state *s, struct error *err);

#endif
