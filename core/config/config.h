/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration from all its sources. Flag beats BURROW_ variable beats YAML file beats
 * default; an empty flag or variable is unset.
 *
 * It is read in two passes, since what options there are depends on the plugins and the
 * plugins on some options. config_read takes the sources apart without knowing any option
 * but --config; config_plugins and config_peek then tell which plugins are wanted; and
 * config_parse, given the tables of the core and of these plugins, fills their structs and
 * refuses what nobody knows.
 *
 * `err` is never NULL in this header.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "config/option.h"

struct config;

/* Where the sources are. The strings are borrowed until config_destroy; secrets among them
 * are overwritten in place by config_wipe_sources. */
struct config_sources {
    int argc;
    char **argv; /* the words after the command's name */
    char **envp;
    /* May be missing, or closed to this user; NULL: no file at all, --config is unknown. */
    const char *default_file;
};

/* The options of one owner. */
struct config_group {
    const char *title;  /* for --help: "Server", "auth-hmac" */
    const char *plugin; /* NULL: the core */
    bool prefixed;      /* options are NAME.option: of a third party */
    const struct burrow_option *options;
    size_t config_size;
};

/* One wanted plugin: a name or an absolute path, and what was said with it. */
struct config_plugin {
    const char *name;
    bool from_file; /* in the config file, else by --plugin or BURROW_PLUGINS */
};

int config_read(const struct config_sources *sources, struct config **ret, struct error *err);
void config_destroy(struct config *config); /* NULL is allowed */

/* The list of plugins, or none: --plugin, else BURROW_PLUGINS, else `plugins:`. */
const struct config_plugin *config_plugins(const struct config *config, size_t *ret_n);
/* The text of the option in the source that counts, or NULL when unset. */
const char *config_peek(const struct config *config, const char *name);
/* The default file, when this user may not read it: it then counts as missing. Else NULL. */
const char *config_closed_file(const struct config *config);
/* --help or -h is among the flags. */
bool config_wants_help(const struct config *config);

/* What is known besides the groups: options of other commands, whose variables and keys in
 * a shared file are passed over, and of plugins that are not in use (config/known.h). */
struct config_others {
    const struct config_group *groups;
    const char *const *commands; /* the command of each group */
    size_t n;
    uint32_t kinds; /* of plugins this command uses: 1u << BURROW_KIND_… */
    bool arguments; /* words that are no options are taken: config_arguments */
};

/* Fills ret_values[i] with a zeroed and then filled struct of groups[i].config_size bytes,
 * owned by config. One error at most. */
int config_parse(struct config *config, const struct config_group *groups, size_t n,
                 const struct config_others *others, void **ret_values, struct error *err);
/* After config_parse: words that were no options; and warnings (misspelt variables). */
const char *const *config_arguments(const struct config *config, size_t *ret_n);
const char *const *config_warnings(const struct config *config, size_t *ret_n);

/* After config_parse: overwrites every secret in argv and environment. */
void config_wipe_sources(struct config *config);

#endif
