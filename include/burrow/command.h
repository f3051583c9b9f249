/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command plugins: `burrow NAME …` runs the plugin command-NAME.
 *
 * The host parses the command line by the plugin's option table, shows --help from it and
 * creates and starts the instance before `run`. The command may work on the loop for as
 * long as it likes; it ends by host->finished, once. SIGINT and SIGTERM arrive by
 * `interrupt`, where the command cleans up; a second one ends the process.
 */
#ifndef BURROW_COMMAND_H
#define BURROW_COMMAND_H

#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_COMMAND_ABI 0u

struct burrow_subcommand {
    const char *name;      /* "mint" in `burrow token mint`; NULL ends the table */
    const char *arguments; /* of the synopsis: "[FILE]" or "" */
    const char *summary;
    uint32_t min_args, max_args; /* positional arguments after the name */
};

struct burrow_command_host {
    uint32_t size;
    /* Ends the command: 0 success, 1 run time failure, 2 usage or configuration. */
    void (*finished)(struct burrow_self *, int32_t exit_code);
};

struct burrow_command_ops {
    uint32_t size;
    /* Ends with a NULL name. An entry named "" is the last one before that and takes the words
     * that name none before it; where it is the only one the command has no subcommands. */
    const struct burrow_subcommand *subcommands;
    void (*bind)(void *self, const struct burrow_command_host *host);
    /* args: the positional arguments after the subcommand, count as its table allows. */
    void (*run)(void *self, const char *subcommand, const char *const *args, size_t arg_count);
    void (*interrupt)(void *self); /* optional; default: exit code 130 or 143 */
};

#ifdef __cplusplus
}
#endif
#endif
