/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of command plugins: a command ends once, by finished. */
#include "conformance.h"

#include <stddef.h>
#include <string.h>

#define WORDS_MAX 16

static struct life *life_of(struct burrow_self *self)
{
    struct fake_host *host = (struct fake_host *)(void *)self;
    return (struct life *)(void *)((char *)host - offsetof(struct life, host));
}

static void on_finished(struct burrow_self *self, int32_t exit_code)
{
    struct life *life = life_of(self);
    fake_must(life->finished++ == 0, "a command ends by host->finished, once");
    fake_must(exit_code >= 0 && exit_code <= 255, "an exit code is 0 to 255");
    life->exit_code = exit_code;
}

static const struct burrow_command_host host_table = {
    .size = sizeof host_table,
    .finished = on_finished,
};

static const struct burrow_command_ops *ops_of(const struct life *life)
{
    return life->d->ops;
}

static void bind_host(struct life *life)
{
    ops_of(life)->bind(life->self, &host_table);
}

/* Runs what --run says; a count of arguments that the table does not allow never comes here. */
static bool run(struct life *life)
{
    static char words[1024];
    const char *args[WORDS_MAX];
    size_t n = 0;
    if (life->subject->run == NULL)
        return false;
    strncpy(words, life->subject->run, sizeof words - 1);
    for (char *word = strtok(words, " "); word != NULL && n < WORDS_MAX; word = strtok(NULL, " "))
        args[n++] = word;
    const struct burrow_subcommand *sub = ops_of(life)->subcommands;
    bool named = sub->name != NULL && sub->name[0] != '\0';
    while (named && sub->name != NULL && (n == 0 || strcmp(sub->name, args[0]) != 0))
        sub++;
    fake_must(sub->name != NULL, "--run begins with a subcommand of the table");
    life->finished = 0;
    ops_of(life)->run(life->self, named ? sub->name : "", args + named, n - named);
    return true;
}

static bool has_finished(void *arg)
{
    return ((struct life *)arg)->finished > 0;
}

static void work(struct life *life)
{
    if (run(life) && !life_wait(life, NULL, has_finished, life))
        fake_host_fail("broken: a command ends by host->finished (it did not, for %d s)",
                       REAL_LIMIT_MS / 1000);
}

static void finished_once(struct subject *s)
{
    struct life life;
    if (s->run == NULL)
        skip("no --run was given");
    life_begin(&life, s);
    work(&life);
    life_idle(&life, 120000);
    life_stop(&life);
    life_destroy(&life);
}

static void table_is_whole(struct subject *s)
{
    const struct burrow_command_ops *ops = s->d->ops;
    size_t n = 0;
    for (const struct burrow_subcommand *sub = ops->subcommands; sub->name != NULL; sub++, n++) {
        fake_must(sub->arguments != NULL && sub->summary != NULL,
                  "a subcommand has arguments and a summary, as text");
        fake_must(sub->min_args <= sub->max_args, "a subcommand's least arguments are its least");
        fake_must(n < 64, "the table of subcommands ends with a NULL name");
    }
    fake_must(n > 0, "there is a subcommand, or one entry named \"\"");
}

static const struct check checks[] = {
    {"finished-once", "a command ends by host->finished, once", finished_once},
    {"table-is-whole", "the table of subcommands ends with a NULL name", table_is_whole},
    {NULL, NULL, NULL},
};

const struct kind kind_command = {BURROW_KIND_COMMAND, bind_host, work, NULL, NULL, checks};
