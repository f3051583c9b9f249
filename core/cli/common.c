/* SPDX-License-Identifier: Apache-2.0 */
/* Options that all commands share, and the log that comes of them. */
#include "cli/cli.h"

#include "config/known.h"

#include <string.h>
#include <unistd.h>

#define S struct cli_common
#define R BURROW_OPT_RELOADABLE

/* clang-format off */
const struct burrow_option cli_common_options[] = {
    BURROW_OPTION_PATH(S, config, "config", CLI_CONFIG_FILE, "FILE", 0,
        "config file in YAML; the default one may be missing"),
    BURROW_OPTION_LIST(S, plugin, "plugin", "NAME[,option=value...]", 0,
        "a plugin to use, by name or absolute path; without any, they follow from the other "
        "options (\\, for a comma in a value)"),
    BURROW_OPTION_PATH(S, plugin_dir, "plugin-dir", NULL, "DIR", 0,
        "folder of the plugins; by default the one that belongs to the program"),
    BURROW_OPTION_STRING(S, log_level, "log-level", "info", "LEVEL", R, "debug|info|warn|error",
        "the least level that is logged"),
    BURROW_OPTION_STRING(S, log_format, "log-format", "logfmt", "FORMAT", R, "logfmt|json",
        "the form of a log line"),
    BURROW_OPTION_END,
};

const struct burrow_option cli_basic_options[] = {
    BURROW_OPTION_PATH(S, plugin_dir, "plugin-dir", NULL, "DIR", 0,
        "folder of the plugins; by default the one that belongs to the program"),
    BURROW_OPTION_STRING(S, log_level, "log-level", "info", "LEVEL", R, "debug|info|warn|error",
        "the least level that is logged"),
    BURROW_OPTION_STRING(S, log_format, "log-format", "logfmt", "FORMAT", R, "logfmt|json",
        "the form of a log line"),
    BURROW_OPTION_END,
};
/* clang-format on */

void cli_log_init(struct log *log, const struct cli_common *common)
{
    log_init(log, STDERR_FILENO, log_level_parse(common->log_level),
             strcmp(common->log_format, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
}

void cli_log_warnings(const struct log *log, const struct config *config)
{
    size_t n;
    const char *const *warnings = config_warnings(config, &n);
    for (size_t i = 0; i < n; i++)
        log_at(log, BURROW_LOG_WARN, "config_warning", burrow_str("msg", warnings[i]));
}

struct config_group cli_plugin_group(const struct plugin *plugin)
{
    const struct burrow_plugin *d = plugin_descriptor(plugin);
    /* A command has its command line to itself, so its options need no prefix. */
    bool prefixed = !known_is_bundled(d->name) && d->kind != BURROW_KIND_COMMAND;
    return (struct config_group){d->name, d->name, prefixed, d->options, d->config_size};
}
