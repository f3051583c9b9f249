/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside cli/: the words of the command line, the commands, and the help. cli.c finds the
 * command; each has a file of its own.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/runtime.h"
#include "config/config.h"

#include <stdio.h>

/* The words after the command's name. */
struct cli_args {
    int argc;
    char **argv;
    char **envp;
};

/* The program; returns the exit code. */
int cli_main(int argc, char **argv, char **envp);

/* A command that the core brings: with a `runtime` it is run by it. */
struct cli_builtin {
    const char *name, *arguments, *summary;
    int (*run)(const struct cli_args *args);
    const struct cli_command *runtime;
};
const struct cli_builtin *cli_builtins(size_t *ret_n);
const struct cli_builtin *cli_find(const char *name);

int cli_plugins(const struct cli_args *args);
int cli_check_config(const struct cli_args *args);
int cli_version(const struct cli_args *args);
int cli_help(const struct cli_args *args);
/* help_json.c: all commands and their options for programs. */
int cli_help_json(const struct cli_args *args);
/* `burrow NAME …` by the plugin command-NAME; what it says when there is none. */
int cli_run_plugin(const char *name, const struct cli_args *args);
int cli_run_runtime(const struct cli_command *command, const struct cli_args *args);
int cli_check_runtime(const struct cli_command *command, const struct cli_args *args);

/* Calls fn once with the options of the command, of all, and of each plugin that it could use,
 * borrowed for the call. */
#define CLI_GROUPS_MAX 42
typedef void cli_describe_fn(void *arg, const struct config_group *groups, size_t n);
int cli_describe_runtime(const struct cli_command *command, const struct cli_args *args,
                         cli_describe_fn *fn, void *arg, struct error *err);

/* Options that every command has. */
struct cli_common {
    const char *config, *plugin_dir, *log_level, *log_format;
    struct burrow_list plugin;
};
extern const struct burrow_option cli_common_options[];
/* Of these, what commands without config file and plugins list have. */
extern const struct burrow_option cli_basic_options[];
void cli_log_init(struct log *log, const struct cli_common *common);
void cli_log_warnings(const struct log *log, const struct config *config);

/* What is known besides the options of `command` (which may be NULL). The groups are in a
 * static table; `room` holds what is pointed to. */
#define CLI_OTHERS_MAX 4
struct cli_others {
    struct config_group groups[CLI_OTHERS_MAX];
    const char *names[CLI_OTHERS_MAX];
    struct config_others others;
};
const struct config_others *cli_others(struct cli_others *room, const char *command, uint32_t kinds,
                                       bool arguments);

/* The folder of plugins: --plugin-dir, its variable or key, else beside the program. */
#define CLI_PATH 4096
const char *cli_plugin_dir(const struct config *config, char buf[CLI_PATH]);

/* help.c: groups of options, of which one that several share is told once; one plugin in full. */
void help_groups(FILE *out, const struct config_group *groups, size_t n);
void help_plugin(FILE *out, const struct burrow_plugin *descriptor, const char *path);
struct config_group cli_plugin_group(const struct plugin *plugin);

#endif
