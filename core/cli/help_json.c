/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow help --json`: all commands and their options as one JSON object, from the same tables
 * as --help. Manual pages, completions and the tests of the documentation are made from it.
 *
 *   {"version": …, "commands": [{"name", "arguments", "summary",
 *      "subcommands": [{"name", "arguments", "summary"}],
 *      "groups": [{"title", "plugin", "options": [{"name", "variable", "type", "metavar",
 *                  "default", "expected", "required", "repeatable", "reloadable", "help"}]}]}]}
 *
 * What has no value is null; "type" is a word of option_types below.
 */
#include "cli/cli.h"

#include "config/known.h"

#include <burrow/command.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const char *const option_types[] = {
    [BURROW_OPT_STRING] = "string",     [BURROW_OPT_INT] = "int",     [BURROW_OPT_BOOL] = "bool",
    [BURROW_OPT_DURATION] = "duration", [BURROW_OPT_BYTES] = "bytes", [BURROW_OPT_PATH] = "path",
    [BURROW_OPT_SECRET] = "secret",     [BURROW_OPT_LIST] = "list",
};

static json_t *describe_option(const struct config_group *group, const struct burrow_option *o)
{
    char name[192], variable[200], expected[256];
    snprintf(name, sizeof name, "%s%s%s", group->prefixed ? group->plugin : "",
             group->prefixed ? "." : "", o->name);
    return json_pack(
        "{s:s, s:s, s:s, s:s?, s:s?, s:s, s:b, s:b, s:b, s:s}", "name", name, "variable",
        option_variable(name, variable, sizeof variable), "type", option_types[o->type], "metavar",
        o->metavar, "default", o->def, "expected", option_expected(o, expected, sizeof expected),
        "required", (o->flags & BURROW_OPT_REQUIRED) != 0, "repeatable", o->type == BURROW_OPT_LIST,
        "reloadable", (o->flags & BURROW_OPT_RELOADABLE) != 0, "help", o->help);
}

static json_t *describe_group(const struct config_group *group)
{
    json_t *options = json_array();
    for (const struct burrow_option *o = group->options; o && o->name; o++)
        if ((o->flags & OPTION_HIDDEN) == 0)
            json_array_append_new(options, describe_option(group, o));
    return json_pack("{s:s, s:s?, s:o}", "title", group->title, "plugin", group->plugin, "options",
                     options);
}

static void add_groups(void *arg, const struct config_group *groups, size_t n)
{
    json_t *array = json_object_get(arg, "groups");
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, describe_group(&groups[i]));
}

static json_t *describe_command(const char *name, const char *arguments, const char *summary)
{
    return json_pack("{s:s, s:s, s:s, s:[], s:[]}", "name", name, "arguments", arguments, "summary",
                     summary, "subcommands", "groups");
}

static void add_subcommands(json_t *command, const struct burrow_command_ops *ops)
{
    json_t *array = json_object_get(command, "subcommands");
    for (const struct burrow_subcommand *sub = ops->subcommands; sub->name; sub++)
        json_array_append_new(array, json_pack("{s:s, s:s, s:s}", "name", sub->name, "arguments",
                                               sub->arguments ? sub->arguments : "", "summary",
                                               sub->summary ? sub->summary : ""));
}

/* The bundled plugins of the kind command that are installed. */
static void add_plugin_commands(json_t *commands, const char *plugin_dir)
{
    const char *name;
    for (size_t i = 0; (name = known_bundled(i)) != NULL; i++) {
        struct plugin *plugin = NULL;
        struct error err = {0};
        if (known_kind(name) != BURROW_KIND_COMMAND ||
            plugin_open(plugin_dir, name, &plugin, &err) != 0)
            continue;
        const struct burrow_plugin *d = plugin_descriptor(plugin);
        json_t *command = describe_command(name + strlen("command-"), "", d->summary);
        const struct config_group groups[] = {
            cli_plugin_group(plugin),
            {"Common options", NULL, false, cli_basic_options, sizeof(struct cli_common)},
        };
        add_subcommands(command, d->ops);
        add_groups(command, groups, sizeof groups / sizeof groups[0]);
        json_array_append_new(commands, command);
        plugin_close(plugin);
    }
}

static int describe_builtins(json_t *commands, const struct cli_args *args, struct error *err)
{
    size_t n;
    const struct cli_builtin *builtins = cli_builtins(&n);
    for (size_t i = 0; i < n; i++) {
        json_t *command =
            describe_command(builtins[i].name, builtins[i].arguments, builtins[i].summary);
        json_array_append_new(commands, command);
        if (builtins[i].runtime != NULL &&
            cli_describe_runtime(builtins[i].runtime, args, add_groups, command, err) != 0)
            return err->code;
    }
    return 0;
}

int cli_help_json(const struct cli_args *args)
{
    struct config_sources sources = {0, NULL, args->envp, NULL};
    const struct cli_args none = {0, NULL, args->envp};
    struct config *config = NULL;
    struct error err = {0};
    char dir[CLI_PATH];
    if (config_read(&sources, &config, &err) != 0)
        return cli_fail(&err);
    cli_plugin_dir(config, dir);
    config_destroy(config);

    json_t *commands = json_array();
    int rc = describe_builtins(commands, &none, &err);
    add_plugin_commands(commands, dir);
    json_t *all = json_pack("{s:s, s:o}", "version", CLI_VERSION, "commands", commands);
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    if (rc != 0) {
        free(text);
        return cli_fail(&err);
    }
    bool written = text != NULL && puts(text) >= 0 && fflush(stdout) == 0;
    free(text);
    return written ? 0 : 1;
}
