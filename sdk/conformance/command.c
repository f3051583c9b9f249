/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of command plugins: a command ends once, by finished, whatever it is told. The
 * sentences themselves are kept by the testkit's fake_command.c. */
#include "conformance.h"

#include <string.h>

static const struct burrow_command_ops *ops_of(const struct subject *s)
{
    return s->d->ops;
}

static void bind_host(struct life *life)
{
    fake_command_adopt(&life->command, &life->host, life->d, life->self);
}

static void wait_for_end(struct life *life, const char *what)
{
    if (!life_wait(life, NULL, fake_command_has_finished, &life->command))
        fake_host_fail("broken: %s by host->finished (it did not, for %d s)", what,
                       REAL_LIMIT_MS / 1000);
}

static void begin(struct life *life)
{
    fake_command_run(&life->command, life->subject->run);
}

/* An instance runs once: what comes after that finds it ended. */
static void work(struct life *life)
{
    if (life->command.running == NULL)
        begin(life);
    wait_for_end(life, "a command ends");
}

static void end(struct life *life)
{
    (void)life;
}

/* Started, to be run with this judgement, or with none. */
static void begin_life(struct life *life, struct subject *s,
                       const struct burrow_judgement *judgement, bool is_old)
{
    life_init(life, s);
    life->command.judgement = judgement;
    life->command.is_old = is_old;
    life_bring_up(life);
}

/* A second end would come here. */
static void end_life(struct life *life)
{
    life_idle(life, 120000);
    life_stop(life);
    life_idle(life, 120000);
    life_destroy(life);
}

static void finished_once(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    work(&life);
    end_life(&life);
}

static void interrupted(struct subject *s)
{
    struct life life;
    if (ops_of(s)->interrupt == NULL)
        skip("the command has no interrupt");
    life_begin(&life, s);
    begin(&life);
    if (life.command.finished > 0)
        skip("the command had finished within run");
    ops_of(s)->interrupt(life.self);
    wait_for_end(&life, "a command that is interrupted ends");
    end_life(&life);
}

static void judged(struct subject *s)
{
    static const struct burrow_judgement judgements[] = {
        {sizeof *judgements, BURROW_AUTH_ALLOW, "", "auth-kit", "", "conformance", 4102444800000,
         "at most 5 streams"},
        {sizeof *judgements, BURROW_AUTH_ALLOW, "", "auth-kit", "", NULL, 0, ""},
        {sizeof *judgements, BURROW_AUTH_DENY, "token_expired", "auth-kit", "it expired", NULL, 0,
         ""},
        {sizeof *judgements, BURROW_AUTH_DENY, "missing_bearer", "", "", NULL, 0, ""},
        {sizeof *judgements, BURROW_AUTH_UNAVAILABLE, "", "", "nobody answers", NULL, 0, ""},
    };
    const char *judging = ops_of(s)->judging;
    struct life life;
    if (judging == NULL)
        skip("no subcommand of it asks auth plugins");
    if (strcmp(fake_command_find(ops_of(s), s->run)->name, judging) != 0)
        skip("--run names another subcommand than the one that asks, %s", judging);
    for (size_t i = 0; i < sizeof judgements / sizeof *judgements; i++) {
        begin_life(&life, s, &judgements[i], false);
        begin(&life);
        wait_for_end(&life, "a command that was told what the auth plugins say ends");
        end_life(&life);
    }
    begin_life(&life, s, NULL, true);
    begin(&life);
    wait_for_end(&life, "a command whose host has no judge ends");
    end_life(&life);
}

static void table_is_whole(struct subject *s)
{
    const struct burrow_command_ops *ops = ops_of(s);
    bool unnamed = false, is_there = ops->judging == NULL;
    size_t n = 0;
    for (const struct burrow_subcommand *sub = ops->subcommands; sub->name != NULL; sub++, n++) {
        fake_must(!unnamed, "the entry named \"\" is the last: it takes what none before it does");
        unnamed = sub->name[0] == '\0';
        fake_must(sub->arguments != NULL && sub->summary != NULL,
                  "a subcommand has arguments and a summary, as text");
        fake_must(sub->min_args <= sub->max_args, "a subcommand's least arguments are its least");
        is_there = is_there || strcmp(sub->name, ops->judging) == 0;
        fake_must(n < 64, "the table of subcommands ends with a NULL name");
    }
    fake_must(n > 0, "there is a subcommand, or one entry named \"\"");
    fake_must(is_there, "judging names a subcommand of the table");
}

static const struct check checks[] = {
    {"finished-once", "a command ends by host->finished, once", finished_once},
    {"interrupted", "a command that is interrupted ends by host->finished, once", interrupted},
    {"judged", "judge answers once, on a later turn; the command ends whatever it says", judged},
    {"table-is-whole", "the table of subcommands ends with a NULL name; one named \"\" is its last",
     table_is_whole},
    {NULL, NULL, NULL},
};

const struct kind kind_command = {BURROW_KIND_COMMAND, bind_host, work, begin, end, checks};
