/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the way from the first word to one of them. */
#include "cli/cli.h"

#include "config/text.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_builtin builtins[] = {
    {"server", "", "accept clients and open a bridge port for each", NULL, &cli_server},
    {"client", "", "connect to a server and serve a local target through it", NULL, &cli_client},
    {"plugins", "[info NAME]", "list the plugins that are installed, or show one in full",
     cli_plugins, NULL},
    {"check-config", "[server|client]", "check options, config file and plugins without starting",
     cli_check_config, NULL},
    {"version", "", "print the version", cli_version, NULL},
    {"help", "[COMMAND]", "show this list, or the options of a command", cli_help, NULL},
};

const struct cli_builtin *cli_builtins(size_t *ret_n)
{
    *ret_n = sizeof builtins / sizeof builtins[0];
    return builtins;
}

const struct cli_builtin *cli_find(const char *name)
{
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        if (strcmp(builtins[i].name, name) == 0)
            return &builtins[i];
    return NULL;
}

int cli_fail(const struct error *err)
{
    fprintf(stderr, "burrow: %s\n", err->text);
    return err->code == BURROW_EINVAL ? 2 : 1;
}

const struct config_others *cli_others(struct cli_others *room, const char *command, uint32_t kinds,
                                       bool arguments)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++) {
        const struct cli_command *c = builtins[i].runtime;
        if (!c || n == CLI_OTHERS_MAX || (command && strcmp(c->name, command) == 0))
            continue;
        room->groups[n] = (struct config_group){c->name, NULL, false, c->options, c->options_size};
        room->names[n++] = c->name;
    }
    /* Variables that all commands share are known in each, also where it has no use for them. */
    room->groups[n] =
        (struct config_group){"Common", NULL, false, cli_common_options, sizeof(struct cli_common)};
    room->names[n++] = "server";
    room->others = (struct config_others){room->groups, room->names, n, kinds, arguments};
    return &room->others;
}

/* Where the program lies; the plugins lie at a place relative to it, in the build tree as in
 * an installation. */
static const char *default_plugin_dir(char buf[CLI_PATH])
{
    char self[PATH_MAX], real[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    snprintf(buf, CLI_PATH, "%s", CLI_PLUGIN_DIR_INSTALLED);
    if (n <= 0)
        return buf;
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return buf;
    *slash = '\0';
    int w = snprintf(buf, CLI_PATH, "%s/%s", self, CLI_PLUGIN_DIR_RELATIVE);
    if (w > 0 && w < CLI_PATH && realpath(buf, real) && strlen(real) < CLI_PATH)
        memcpy(buf, real, strlen(real) + 1);
    return buf;
}

const char *cli_plugin_dir(const struct config *config, char buf[CLI_PATH])
{
    const char *dir = config ? config_peek(config, "plugin-dir") : NULL;
    if (!dir)
        return default_plugin_dir(buf);
    snprintf(buf, CLI_PATH, "%s", dir);
    return buf;
}

int cli_main(int argc, char **argv, char **envp)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    struct cli_args args = {argc > 2 ? argc - 2 : 0, argc > 2 ? argv + 2 : NULL, envp};
    char quoted[TEXT_QUOTED];

    if (!name) {
        fprintf(stderr, "burrow: expected the name of a command; `burrow help` lists them\n");
        return 2;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return cli_help(&(struct cli_args){0, NULL, envp});
    if (strcmp(name, "--version") == 0)
        return cli_version(&args);
    if (name[0] == '-') {
        fprintf(stderr,
                "burrow: %s: expected the name of a command first; `burrow help` lists them\n",
                option_quote(name, quoted, sizeof quoted));
        return 2;
    }
    const struct cli_builtin *builtin = cli_find(name);
    if (!builtin)
        return cli_run_plugin(name, &args);
    return builtin->runtime ? cli_run_runtime(builtin->runtime, &args) : builtin->run(&args);
}
