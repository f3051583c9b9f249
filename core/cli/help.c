/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow help` and --help: everything is made from the tables of commands and options. */
#include "cli/cli.h"

#include "config/known.h"
#include "config/text.h"

#include <string.h>
#include <unistd.h>

#define WIDTH 92

/* The text in lines of at most WIDTH, indented by eight. */
static void print_wrapped(FILE *out, const char *text)
{
    while (*text) {
        size_t n = strlen(text), room = WIDTH - 8;
        if (n > room) {
            for (n = room; n > 0 && text[n] != ' '; n--)
                ;
            if (n == 0)
                n = strcspn(text, " ");
        }
        fprintf(out, "        %.*s\n", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
}

static void print_option(FILE *out, const struct config_group *group, const struct burrow_option *o)
{
    char name[192], variable[200], text[256], expected[256];
    snprintf(name, sizeof name, "%s%s%s", group->prefixed ? group->plugin : "",
             group->prefixed ? "." : "", o->name);
    if (o->type == BURROW_OPT_BOOL)
        fprintf(out, "  --%s\n", name);
    else
        fprintf(out, "  --%s %s\n", name, o->metavar ? o->metavar : "VALUE");
    print_wrapped(out, o->help);
    if (o->choices) {
        snprintf(text, sizeof text, "one of %s", option_expected(o, expected, sizeof expected));
        print_wrapped(out, text);
    } else if (o->type != BURROW_OPT_BOOL && (o->min != 0 || o->max != 0)) {
        print_wrapped(out, option_expected(o, expected, sizeof expected));
    }
    snprintf(text, sizeof text, "%s%s%s%s%s", option_variable(name, variable, sizeof variable),
             o->def && *o->def ? ", default " : "", o->def ? o->def : "",
             o->flags & BURROW_OPT_REQUIRED ? ", required" : "",
             o->type == BURROW_OPT_LIST ? ", may be repeated" : "");
    print_wrapped(out, text);
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Whether the group has the option told alike: several plugins may share one, and mean
 * different values by default. */
static bool tells_option(const struct config_group *group, const struct burrow_option *option)
{
    for (const struct burrow_option *o = group->options; o && o->name; o++)
        if (strcmp(o->name, option->name) == 0 && !group->prefixed)
            return same_text(o->def, option->def) && same_text(o->choices, option->choices);
    return false;
}

/* An option that a group before the i-th has too is told there. */
static bool is_told(const struct config_group *groups, size_t i, const struct burrow_option *o)
{
    for (size_t k = 0; k < i && !groups[i].prefixed; k++)
        if (tells_option(&groups[k], o))
            return true;
    return false;
}

void help_groups(FILE *out, const struct config_group *groups, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct config_group *group = &groups[i];
        size_t shared = 0;
        if (!group->options || !group->options->name)
            continue;
        fprintf(out, "\n%s:\n", group->title);
        for (const struct burrow_option *o = group->options; o->name; o++)
            if (!is_told(groups, i, o) && (o->flags & OPTION_HIDDEN) == 0)
                print_option(out, group, o);
        for (const struct burrow_option *o = group->options; o->name; o++)
            if (is_told(groups, i, o))
                fprintf(out, "%s--%s", shared++ ? ", " : "  as above: ", o->name);
        if (shared)
            fputc('\n', out);
    }
}

void help_plugin(FILE *out, const struct burrow_plugin *d, const char *path)
{
    fprintf(out, "%s %s: %s\n  kind: %s\n  file: %s\n", d->name, d->version, d->summary,
            known_kind_name(d->kind), path);
    bool prefixed = !known_is_bundled(d->name) && d->kind != BURROW_KIND_COMMAND;
    struct config_group group = {"Options", d->name, prefixed, d->options, d->config_size};
    help_groups(out, &group, 1);
    if (d->metrics && d->metrics->name)
        fprintf(out, "\nMetrics:\n");
    for (const struct burrow_metric *m = d->metrics; m && m->name; m++) {
        char name[160];
        snprintf(name, sizeof name, "burrow_plugin_%s_%s", d->name, m->name);
        for (char *p = name; *p; p++)
            if (*p == '-')
                *p = '_';
        fprintf(out, "  %s (%s)\n", name, m->type == BURROW_METRIC_COUNTER ? "counter" : "gauge");
        print_wrapped(out, m->help);
    }
}

static int help_overview(char **envp)
{
    size_t n;
    const struct cli_builtin *builtins = cli_builtins(&n);
    printf("Usage: burrow COMMAND [--option value]...\n\nCommands:\n");
    for (size_t i = 0; i < n; i++) {
        char words[64];
        snprintf(words, sizeof words, "%s %s", builtins[i].name, builtins[i].arguments);
        printf("  %-30s %s\n", words, builtins[i].summary);
    }

    /* Command plugins by the names of their files: none is opened for this. */
    struct config *config = NULL;
    struct error err = {0};
    struct config_sources sources = {0, NULL, envp, NULL};
    char dir[CLI_PATH], path[CLI_PATH + 100];
    const char *name;
    if (config_read(&sources, &config, &err) != 0)
        return cli_fail(&err);
    cli_plugin_dir(config, dir);
    for (size_t i = 0; (name = known_bundled(i)) != NULL; i++) {
        snprintf(path, sizeof path, "%s/%s.so", dir, name);
        if (known_kind(name) == BURROW_KIND_COMMAND && access(path, R_OK) == 0)
            printf("  %-30s by the plugin %s\n", strchr(name, '-') + 1, name);
    }
    config_destroy(config);
    printf(
        "\n`burrow COMMAND --help` shows the options of a command. Every option can also be given\n"
        "as a variable, or as a key in the config file: --log-level is BURROW_LOG_LEVEL.\n");
    return fflush(stdout) == 0 ? 0 : 1;
}

int cli_help(const struct cli_args *args)
{
    static char help[] = "--help";
    char *argv[] = {help, NULL};
    struct cli_args rest = {1, argv, args->envp};
    if (args->argc > 0 && strcmp(args->argv[0], "--json") == 0)
        return cli_help_json(&rest);
    if (args->argc == 0 || args->argv[0][0] == '-')
        return help_overview(args->envp);
    const struct cli_builtin *builtin = cli_find(args->argv[0]);
    if (!builtin)
        return cli_run_plugin(args->argv[0], &rest);
    if (builtin->runtime)
        return cli_run_runtime(builtin->runtime, &rest);
    printf("Usage: burrow %s %s\n\n%s\n", builtin->name, builtin->arguments, builtin->summary);
    return fflush(stdout) == 0 ? 0 : 1;
}
