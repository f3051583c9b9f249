/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow help --json`: all commands and their options as one JSON object, from the same tables
 * as --help. Manual pages, completions and the tests of the documentation are made from it.
 *
 *   {"version": …, "commands": [{"name", "arguments", "summary",
 *      "subcommands": [{"name", "arguments", "summary"}],
 *      "groups": [{"title", "plugin", "options": [{"name", "variable", "type", "metavar",
 *                  "default", "expected", "choices", "required", "repeatable", "reloadable",
 *                  "help"}]}]}]}
 *
 * What has no value is null; "choices" is "a|b|c", "type" is a word of option_types below.
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

static json_t *string_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *describe_option(const struct config_group *group, const struct burrow_option *o)
{
    char name[192], variable[200], expected[256];
    snprintf(name, sizeof name, "%s%s%s", group->prefixed ? group->plugin : "",
             group->prefixed ? "." : "", o->name);
    json_t *object = json_object();
    json_object_set_new(object, "name", json_string(name));
    json_object_set_new(object, "variable",
                        json_string(option_variable(name, variable, sizeof variable)));
    json_object_set_new(object, "type", json_string(option_types[o->type]));
    json_object_set_new(object, "metavar", string_or_null(o->metavar));
    json_object_set_new(object, "default", string_or_null(o->def));
    json_object_set_new(object, "expected",
                        json_string(option_expected(o, expected, sizeof expected)));
    json_object_set_new(object, "choices", string_or_null(o->choices));
    json_object_set_new(object, "required", json_boolean(o->flags & BURROW_OPT_REQUIRED));
    json_object_set_new(object, "repeatable", json_boolean(o->type == BURROW_OPT_LIST));
    json_object_set_new(object, "reloadable", json_boolean(o->flags & BURROW_OPT_RELOADABLE));
    json_object_set_new(object, "help", json_string(o->help));
    return object;
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
    json_t *all = json_pack("{s:s, s:o}", "version", BURROW_VERSION, "commands", commands);
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
