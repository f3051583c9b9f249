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
    fake_must(!life->host.stopped, "after stopped nothing is finished");
    fake_must(life->finished++ == 0, "a command ends by host->finished, once");
    fake_must(exit_code >= 0 && exit_code <= 255, "an exit code is 0 to 255");
    life->exit_code = exit_code;
}

/* The kit has no auth plugins that could be asked. */
static int on_judge(struct burrow_self *self, const struct burrow_credential *credential,
                    burrow_judged_fn *fn, void *arg)
{
    (void)self, (void)credential, (void)fn, (void)arg;
    return BURROW_ENOSYS;
}

static const struct burrow_command_host host_table = {
    .size = sizeof host_table,
    .finished = on_finished,
    .judge = on_judge,
};

static const struct burrow_command_ops *ops_of(const struct life *life)
{
    return life->d->ops;
}

static void bind_host(struct life *life)
{
    ops_of(life)->bind(life->self, &host_table);
}

/* As the host does it: the first entry that the first word names, or that has no name. */
static const struct burrow_subcommand *find(const struct life *life, const char *word)
{
    const struct burrow_subcommand *sub = ops_of(life)->subcommands;
    while (sub->name != NULL && sub->name[0] != '\0' &&
           (word == NULL || strcmp(sub->name, word) != 0))
        sub++;
    fake_must(sub->name != NULL, "--run begins with a subcommand of the table");
    return sub;
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
    const struct burrow_subcommand *sub = find(life, n > 0 ? args[0] : NULL);
    size_t skipped = sub->name[0] != '\0';
    n -= skipped;
    fake_must(n >= sub->min_args && n <= sub->max_args,
              "--run has as many arguments as the table allows");
    life->finished = 0;
    ops_of(life)->run(life->self, sub->name, args + skipped, n);
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

static void begin(struct life *life)
{
    run(life);
}

static void end(struct life *life)
{
    (void)life;
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

static void interrupted(struct subject *s)
{
    struct life life;
    const struct burrow_command_ops *ops = s->d->ops;
    if (s->run == NULL || ops->interrupt == NULL)
        skip("%s", s->run == NULL ? "no --run was given" : "the command has no interrupt");
    life_begin(&life, s);
    run(&life);
    if (life.finished > 0)
        skip("the command had finished within run");
    ops->interrupt(life.self);
    if (!life_wait(&life, NULL, has_finished, &life))
        fake_host_fail("broken: a command that is interrupted ends by host->finished (it did not, "
                       "for %d s)",
                       REAL_LIMIT_MS / 1000);
    life_idle(&life, 120000);
    life_stop(&life);
    life_destroy(&life);
}

static void table_is_whole(struct subject *s)
{
    const struct burrow_command_ops *ops = s->d->ops;
    bool unnamed = false;
    size_t n = 0;
    for (const struct burrow_subcommand *sub = ops->subcommands; sub->name != NULL; sub++, n++) {
        fake_must(!unnamed, "the entry named \"\" is the last: it takes what none before it does");
        unnamed = sub->name[0] == '\0';
        fake_must(sub->arguments != NULL && sub->summary != NULL,
                  "a subcommand has arguments and a summary, as text");
        fake_must(sub->min_args <= sub->max_args, "a subcommand's least arguments are its least");
        fake_must(n < 64, "the table of subcommands ends with a NULL name");
    }
    fake_must(n > 0, "there is a subcommand, or one entry named \"\"");
}

static const struct check checks[] = {
    {"finished-once", "a command ends by host->finished, once", finished_once},
    {"interrupted", "a command that is interrupted ends by host->finished, once", interrupted},
    {"table-is-whole", "the table of subcommands ends with a NULL name; one named \"\" is its last",
     table_is_whole},
    {NULL, NULL, NULL},
};

const struct kind kind_command = {BURROW_KIND_COMMAND, bind_host, work, begin, end, checks};
