/* SPDX-License-Identifier: Apache-2.0 */
/* `burrow NAME …` by the plugin command-NAME: its options, its subcommand, a loop to work
 * on, and SIGINT and SIGTERM as its `interrupt`. A subcommand that asks a server's auth plugins
 * has the loop and the options of judges.c. */
#include "cli/cli.h"

#include "base/object.h"
#include "cli/judges.h"
#include "config/known.h"
#include "config/text.h"

#include <burrow/command.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUNNER_MAGIC 0x524e4e52u
#define STOP_MS 5000

struct runner {
    uint32_t magic;
    struct config *config;
    struct judges *judges; /* or NULL, and then config counts */
    struct plugin *plugin;
    const struct burrow_plugin *descriptor;
    const struct burrow_command_ops *ops;
    struct log log;
    struct loop *loop;
    struct instance *instance;
    struct loop_signal *signals[2];
    bool finished, interrupted, running;
    bool told; /* by the plugin that it has finished */
    int exit_code;
    struct error said; /* by the plugin, of its work */
};

static struct runner *runner_of(struct burrow_self *self)
{
    struct instance *instance = instance_of(self);
    must(instance);
    struct runner *r = instance_owner(instance);
    must_be(r, RUNNER_MAGIC);
    return r;
}

static void command_finished(struct burrow_self *self, int32_t exit_code)
{
    struct runner *r = runner_of(self);
    if (r->told)
        plugin_fault(instance_faults(r->instance), "a command finished twice");
    r->told = true;
    if (r->finished) /* or a signal was quicker */
        return;
    r->finished = true;
    r->exit_code = exit_code;
    if (r->running)
        loop_break(r->loop);
}

static int command_judge(struct burrow_self *self, const struct burrow_credential *credential,
                         burrow_judged_fn *fn, void *arg)
{
    struct runner *r = runner_of(self);
    return r->judges ? judges_ask(r->judges, credential, fn, arg) : BURROW_ENOSYS;
}

static const struct burrow_command_host command_host = {
    .size = sizeof(struct burrow_command_host),
    .finished = command_finished,
    .judge = command_judge,
};

static void interrupted(struct runner *r, int signo)
{
    must_be(r, RUNNER_MAGIC);
    if (r->interrupted)
        _exit(128 + signo);
    r->interrupted = true;
    if (r->ops->interrupt) {
        r->ops->interrupt(instance_self(r->instance));
    } else if (!r->finished) {
        r->finished = true;
        r->exit_code = 128 + signo;
        loop_break(r->loop);
    }
}

static void on_sigint(void *arg)
{
    interrupted(arg, SIGINT);
}

static void on_sigterm(void *arg)
{
    interrupted(arg, SIGTERM);
}

static const char *short_name(const struct runner *r)
{
    return r->descriptor->name + strlen("command-");
}

static int print_help(const struct runner *r)
{
    const struct burrow_subcommand *sub = r->ops->subcommands;
    printf("Usage:\n");
    for (; sub->name; sub++)
        printf("  burrow %s %s%s%s%s[--option value]...\n        %s\n", short_name(r), sub->name,
               *sub->name ? " " : "", sub->arguments ? sub->arguments : "",
               sub->arguments && *sub->arguments ? " " : "", sub->summary ? sub->summary : "");
    if (r->ops->judging)
        printf("%s takes all options of `burrow server` too; `burrow server --help` tells them.\n",
               r->ops->judging);
    struct config_group groups[] = {
        cli_plugin_group(r->plugin),
        {"Common options", NULL, false, cli_basic_options, sizeof(struct cli_common)},
    };
    groups[0].title = "Options";
    help_groups(stdout, groups, 2);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Which of the plugin's subcommands the words name; *ret_skip words are its name. */
static int find_subcommand(const struct runner *r, const char *const *words, size_t n,
                           const struct burrow_subcommand **ret, size_t *ret_skip,
                           struct error *err)
{
    const struct burrow_subcommand *sub = r->ops->subcommands;
    char names[200] = "", quoted[TEXT_QUOTED];
    size_t used = 0;
    for (; sub->name; sub++) {
        bool whole = sub->name[0] == '\0';
        if (whole || (n > 0 && strcmp(sub->name, words[0]) == 0)) {
            *ret = sub;
            *ret_skip = whole ? 0 : 1;
            return 0;
        }
        int w = snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", sub->name);
        used += w > 0 && (size_t)w < sizeof names - used ? (size_t)w : 0;
    }
    if (n == 0)
        return error_set(err, BURROW_EINVAL, "%s: no subcommand; expected %s", short_name(r),
                         names);
    return error_set(err, BURROW_EINVAL, "%s: unknown subcommand %s; expected %s", short_name(r),
                     option_quote(words[0], quoted, sizeof quoted), names);
}

static int check_count(const struct runner *r, const struct burrow_subcommand *sub, size_t n,
                       struct error *err)
{
    if (n >= sub->min_args && n <= sub->max_args)
        return 0;
    return error_set(err, BURROW_EINVAL, "%s%s%s: %zu arguments; expected %s", short_name(r),
                     *sub->name ? " " : "", sub->name, n,
                     sub->arguments && *sub->arguments ? sub->arguments : "none");
}

/* From parsed options to the exit code. */
static int run(struct runner *r, const void *values, const struct burrow_subcommand *sub,
               const char *const *words, size_t n)
{
    struct error err = {0};
    if (r->judges && judges_start(r->judges, &err) != 0)
        return cli_fail_config(&err);
    r->loop = r->judges ? judges_loop(r->judges) : loop_create();
    if (!r->loop) {
        error_set(&err, BURROW_ENOMEM, "the event loop: out of memory or descriptors");
        return cli_fail(&err);
    }
    if (plugin_check(r->plugin, &r->log, values, &err) != 0 ||
        instance_create(r->plugin, r->loop, &r->log, values, &r->instance, &err) != 0)
        return cli_fail(&err);
    instance_set_owner(r->instance, r);
    r->ops->bind(instance_self(r->instance), &command_host);
    if (instance_start(r->instance, &err) != 0)
        return cli_fail(&err);
    r->signals[0] = loop_signal(r->loop, SIGINT, on_sigint, r);
    r->signals[1] = loop_signal(r->loop, SIGTERM, on_sigterm, r);
    instance_explain(r->instance, &r->said);
    r->ops->run(instance_self(r->instance), sub->name, words, n);
    r->running = true;
    while (!r->finished)
        loop_run(r->loop);
    if (r->exit_code != 0 && r->said.code != 0)
        fprintf(stderr, "burrow: %s: %s\n", short_name(r), r->said.text);
    return r->exit_code;
}

static void stopped(void *arg)
{
    struct runner *r = arg;
    must_be(r, RUNNER_MAGIC);
    r->running = false;
    loop_break(r->loop);
}

static void finish(struct runner *r)
{
    if (r->instance && r->running) {
        instance_stop(r->instance, STOP_MS, stopped, r);
        while (r->running)
            loop_run(r->loop);
    }
    loop_signal_destroy(r->signals[0]);
    loop_signal_destroy(r->signals[1]);
    instance_destroy(r->instance);
    if (r->judges)
        judges_end(r->judges);
    else
        loop_destroy(r->loop);
    plugin_close(r->plugin);
    config_destroy(r->config);
    r->magic = 0;
}

/* The options of a command that stands alone. */
static int parse(struct runner *r, void **ret_values, const char *const **ret_words, size_t *ret_n,
                 struct error *err)
{
    struct config_group groups[] = {
        {"common", NULL, false, cli_basic_options, sizeof(struct cli_common)},
        cli_plugin_group(r->plugin),
    };
    void *values[2];
    struct cli_others room;
    if (config_parse(r->config, groups, 2, cli_others(&room, NULL, 0, true), values, err) != 0)
        return err->code;
    config_wipe_sources(r->config);
    cli_log_init(&r->log, values[0]);
    cli_log_warnings(&r->log, r->config);
    *ret_values = values[1];
    *ret_words = config_arguments(r->config, ret_n);
    return 0;
}

static int parse_judging(struct runner *r, const struct cli_args *args, void **ret_values,
                         const char *const **ret_words, size_t *ret_n, struct error *err)
{
    const struct config_group own = cli_plugin_group(r->plugin);
    if (judges_open(args, &r->judges, err) != 0 ||
        judges_parse(r->judges, &own, ret_values, ret_words, ret_n, err) != 0)
        return err->code;
    r->log = *judges_log(r->judges);
    return 0;
}

static bool is_judging(const struct runner *r, const struct burrow_subcommand *sub)
{
    return sub && r->ops->judging && strcmp(sub->name, r->ops->judging) == 0;
}

static int parse_and_run(struct runner *r, const struct cli_args *args)
{
    const struct burrow_subcommand *sub = NULL;
    struct error err = {0};
    const char *const *words;
    void *values;
    size_t n, skip = 0;
    /* Before the options: it says which there are, and a wrong subcommand is the cause of
     * options that do not fit. */
    const char *first = args->argc > 0 ? args->argv[0] : "";
    if (first[0] != '-' && find_subcommand(r, &first, *first ? 1 : 0, &sub, &skip, &err) != 0)
        return cli_fail(&err);
    if (is_judging(r, sub)) {
        if (parse_judging(r, args, &values, &words, &n, &err) != 0)
            return cli_fail_config(&err);
    } else if (parse(r, &values, &words, &n, &err) != 0) {
        return cli_fail(&err);
    }
    if (find_subcommand(r, words, n, &sub, &skip, &err) != 0 ||
        check_count(r, sub, n - skip, &err) != 0)
        return cli_fail(&err);
    if (is_judging(r, sub) && !r->judges) {
        error_set(&err, BURROW_EINVAL, "%s %s: the subcommand comes before its options",
                  short_name(r), sub->name);
        return cli_fail(&err);
    }
    return run(r, values, sub, words + skip, n - skip);
}

/* No plugin of that name: it may be a slip of the pen. */
static int unknown_command(const char *name)
{
    char quoted[TEXT_QUOTED];
    struct nearest nearest;
    size_t n;
    const struct cli_builtin *builtins = cli_builtins(&n);
    const char *plugin;
    nearest_init(&nearest, name);
    for (size_t i = 0; i < n; i++)
        nearest_offer(&nearest, builtins[i].name);
    for (size_t i = 0; (plugin = known_bundled(i)) != NULL; i++)
        if (known_kind(plugin) == BURROW_KIND_COMMAND)
            nearest_offer(&nearest, plugin + strlen("command-"));
    fprintf(stderr, "burrow: %s: unknown command; %s%s%s`burrow help` lists them\n",
            option_quote(name, quoted, sizeof quoted), nearest.name ? "did you mean " : "",
            nearest.name ? nearest.name : "", nearest.name ? "? " : "");
    return 2;
}

int cli_run_plugin(const char *name, const struct cli_args *args)
{
    struct config_sources sources = {args->argc, args->argv, args->envp, NULL};
    struct runner r = {.magic = RUNNER_MAGIC};
    struct error err = {0};
    char dir[CLI_PATH], path[CLI_PATH + 100], plugin_name[80];
    size_t n = strlen(name);
    if (n > 40 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
        return unknown_command(name);
    if (config_read(&sources, &r.config, &err) != 0)
        return cli_fail(&err);
    cli_plugin_dir(r.config, dir);
    snprintf(plugin_name, sizeof plugin_name, "command-%s", name);
    snprintf(path, sizeof path, "%s/%s.so", dir, plugin_name);

    int rc;
    if (access(path, F_OK) != 0 && !known_is_bundled(plugin_name)) {
        rc = unknown_command(name);
    } else if (plugin_open(dir, plugin_name, &r.plugin, &err) != 0) {
        rc = cli_fail(&err);
    } else {
        r.descriptor = plugin_descriptor(r.plugin);
        r.ops = r.descriptor->ops;
        rc = config_wants_help(r.config) ? print_help(&r) : parse_and_run(&r, args);
    }
    finish(&r);
    return rc;
}
