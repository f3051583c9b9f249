/* SPDX-License-Identifier: Apache-2.0 */
/* A command plugin that ends in each way a command may end. */
#include <burrow/command.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    const char *greeting;
    struct burrow_secret key;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct config, greeting, "greeting", "hello", "TEXT", 0, NULL,
                         "What to say"),
    BURROW_OPTION_SECRET(struct config, key, "greeting-key", "KEY", 0, "What not to say"),
    BURROW_OPTION_END,
};

struct command {
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    const struct config *config;
};

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct command *c = calloc(1, sizeof *c);
    if (!c)
        return BURROW_ENOMEM;
    c->host = host;
    c->config = config;
    *ret_self = c;
    return BURROW_OK;
}

static void bind_host(void *self, const struct burrow_command_host *host)
{
    ((struct command *)self)->command = host;
}

static void later(void *arg)
{
    struct command *c = arg;
    c->command->finished(c->host->self, 7);
}

static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    struct command *c = self;
    if (strcmp(subcommand, "say") == 0) {
        printf("%s", c->config->greeting);
        for (size_t i = 0; i < arg_count; i++)
            printf(" %s", args[i]);
        printf("\n");
        c->command->finished(c->host->self, 0);
        c->command->finished(c->host->self, 9); /* once counts */
    } else if (strcmp(subcommand, "later") == 0) {
        c->host->after(c->host->self, 0, later, c);
    } else {
        kill(getpid(), SIGINT);
    }
}

#if defined(WITH_INTERRUPT)
static void interrupt(void *self)
{
    struct command *c = self;
    c->command->finished(c->host->self, 5);
}
#endif

static void stop(void *self)
{
    struct command *c = self;
    c->host->stopped(c->host->self);
}

static const struct burrow_subcommand subcommands[] = {
    {"say", "WORD [WORD]", "Says hello", 1, 2},
    {"later", "", "Ends on a later turn", 0, 0},
    {"wait", "", "Waits for a signal", 0, 0},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
#if defined(WITH_INTERRUPT)
    .interrupt = interrupt,
#endif
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .config_size = sizeof(struct config),
    .name = COMMAND_NAME,
    .version = "1",
    .summary = "A command for tests",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = free,
};
