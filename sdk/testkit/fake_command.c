/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of a command, see fake_command.h. */
#include "fake_command.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16
#define WORDS_SIZE 1024

static void end_of_turn(void *arg);

static struct fake_command *command_of(struct burrow_self *self)
{
    struct fake_host *host = (struct fake_host *)(void *)self;
    fake_must(host->end_of_turn == end_of_turn, "finished and judge name the host's own self");
    return (struct fake_command *)host->end_of_turn_arg;
}

static void on_finished(struct burrow_self *self, int32_t exit_code)
{
    struct fake_command *command = command_of(self);
    fake_must(command->running != NULL, "a command that does not run does not end");
    fake_must(!command->host->stopped, "after stopped nothing is finished");
    fake_must(command->finished++ == 0, "a command ends by host->finished, once");
    fake_must(exit_code >= 0 && exit_code <= 255, "an exit code is 0 to 255");
    command->exit_code = exit_code;
    command->fn = NULL;
}

static bool is_judging(const struct fake_command *command)
{
    return BURROW_HAS(command->ops, judging) && command->ops->judging != NULL &&
           command->running != NULL && strcmp(command->running->name, command->ops->judging) == 0;
}

static int on_judge(struct burrow_self *self, const struct burrow_credential *credential,
                    burrow_judged_fn *fn, void *arg)
{
    struct fake_command *command = command_of(self);
    fake_must(!command->host->stopped, "after stopped nothing is asked");
    fake_must(credential != NULL && BURROW_HAS(credential, token_len),
              "a credential begins with its size");
    fake_must(fn != NULL, "a question names who takes the answer");
    if (!is_judging(command))
        return BURROW_ENOSYS;
    if (command->fn != NULL)
        return BURROW_EAGAIN;
    if (fake_host_denies(command->host))
        return BURROW_ENOMEM;
    command->judged++;
    command->fn = fn;
    command->arg = arg;
    command->is_asked_now = true;
    return BURROW_OK;
}

/* An older host ends before judge: a plugin that does not ask for the size comes here. */
static int not_there(struct burrow_self *self, const struct burrow_credential *credential,
                     burrow_judged_fn *fn, void *arg)
{
    (void)self, (void)credential, (void)fn, (void)arg;
    fake_host_fail("broken: an entry beyond the table's size is not called (BURROW_HAS asks)");
}

/* The judgement is a copy that is gone after the call: what must live on is copied. */
static void end_of_turn(void *arg)
{
    static const struct burrow_judgement refused = {
        .size = sizeof refused,
        .result = BURROW_AUTH_DENY,
        .code = "invalid_token",
        .plugin = "auth-fake",
        .reason = "nobody is let in",
        .subject = NULL,
        .expires_ms = 0,
        .grants = "",
    };
    struct fake_command *command = (struct fake_command *)arg;
    if (command->host->stopped) /* who has stopped hears nothing any more */
        command->fn = NULL;
    if (command->fn == NULL)
        return;
    if (command->is_asked_now) {
        command->is_asked_now = false;
        return;
    }
    struct burrow_judgement *copy = (struct burrow_judgement *)malloc(sizeof *copy);
    fake_must(copy != NULL, "there is memory");
    *copy = command->judgement != NULL ? *command->judgement : refused;
    burrow_judged_fn *fn = command->fn;
    command->fn = NULL;
    fn(command->arg, copy);
    memset(copy, 0x5a, sizeof *copy);
    free(copy);
}

void fake_command_adopt(struct fake_command *command, struct fake_host *host,
                        const struct burrow_plugin *plugin, void *self)
{
    command->table.size = sizeof command->table;
    command->table.finished = on_finished;
    command->table.judge = on_judge;
    if (command->is_old) {
        command->table.size = offsetof(struct burrow_command_host, judge);
        command->table.judge = not_there;
    }
    host->stopped = false;
    command->host = host;
    command->ops = (const struct burrow_command_ops *)plugin->ops;
    command->self = self;
    host->end_of_turn = end_of_turn;
    host->end_of_turn_arg = command;
    command->ops->bind(self, &command->table);
}

void fake_command_forget(struct fake_command *command)
{
    command->host->end_of_turn = NULL;
    command->host->end_of_turn_arg = NULL;
}

/* As the host does it: the first entry that the first word names, or that has no name. */
const struct burrow_subcommand *fake_command_find(const struct burrow_command_ops *ops,
                                                  const char *words)
{
    size_t n = strcspn(words, " ");
    for (const struct burrow_subcommand *sub = ops->subcommands; sub->name != NULL; sub++)
        if (sub->name[0] == '\0' || (strlen(sub->name) == n && strncmp(sub->name, words, n) == 0))
            return sub;
    return NULL;
}

void fake_command_run(struct fake_command *command, const char *words)
{
    const char *args[WORDS_MAX];
    char copy[WORDS_SIZE], *rest = NULL;
    size_t n = 0;
    const struct burrow_subcommand *sub = fake_command_find(command->ops, words);
    fake_must(sub != NULL, "what is run is in the table of subcommands");
    fake_must(command->running == NULL, "an instance runs once");
    fake_must(strlen(words) < sizeof copy, "there is room");
    strcpy(copy, words);
    char *word = strtok_r(copy, " ", &rest);
    if (sub->name[0] != '\0')
        word = strtok_r(NULL, " ", &rest);
    for (; word != NULL && n < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        args[n++] = word;
    fake_must(n >= sub->min_args && n <= sub->max_args,
              "what is run has as many arguments as the table allows");
    command->running = sub;
    command->ops->run(command->self, sub->name, args, n);
}

bool fake_command_has_finished(void *command)
{
    return ((struct fake_command *)command)->finished > 0;
}
