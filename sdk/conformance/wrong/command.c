/* SPDX-License-Identifier: Apache-2.0 */
/* A command plugin that works for a while and is wrong in the one way that -DWRONG_… says. */
#include <burrow/command.h>
#include <stdlib.h>

struct wrong {
    const struct burrow_host *host;
    const struct burrow_command_host *command;
    struct burrow_timer *timer;
};

#include "create.h"

static void finish(struct wrong *w, int32_t exit_code)
{
    w->command->finished(w->host->self, exit_code);
#if defined(WRONG_TWICE)
    w->command->finished(w->host->self, exit_code);
#endif
}

static void on_time(void *arg)
{
    struct wrong *w = arg;
    w->timer = NULL;
#if defined(WRONG_CODE)
    finish(w, -1);
#elif !defined(WRONG_NEVER)
    finish(w, 0);
#endif
}

#if defined(WRONG_JUDGED) || defined(WRONG_STEPS_OVER)
#define JUDGING "work"

static void on_judged(void *arg, const struct burrow_judgement *judgement)
{
#if defined(WRONG_JUDGED)
    if (judgement->result == BURROW_AUTH_UNAVAILABLE)
        return;
#endif
    finish(arg, judgement->result == BURROW_AUTH_ALLOW ? 0 : 1);
}

static int ask(struct wrong *w)
{
    static const struct burrow_credential nothing = {.size = sizeof nothing};
#if !defined(WRONG_STEPS_OVER)
    if (!BURROW_HAS(w->command, judge))
        return BURROW_ENOSYS;
#endif
    return w->command->judge(w->host->self, &nothing, on_judged, w);
}
#else
#define JUDGING NULL

static int ask(const struct wrong *w)
{
    (void)w;
    return BURROW_ENOSYS;
}
#endif

static void run(void *self, const char *subcommand, const char *const *args, size_t arg_count)
{
    struct wrong *w = self;
    (void)subcommand, (void)args, (void)arg_count;
    if (ask(w) == BURROW_OK)
        return;
    w->timer = w->host->after(w->host->self, 100, on_time, w);
    if (w->timer == NULL)
        finish(w, 1);
}

/* Whether something was under way. */
static int give_up(struct wrong *w)
{
    if (w->timer == NULL)
        return 0;
    w->host->cancel(w->timer);
    w->timer = NULL;
    return 1;
}

static void interrupt(void *self)
{
#if defined(WRONG_DEAF)
    give_up(self);
#else
    if (give_up(self))
        finish(self, 130);
#endif
}

static void stop(void *self)
{
    struct wrong *w = self;
    int was_busy = give_up(w);
    w->host->stopped(w->host->self);
#if defined(WRONG_AFTER_STOPPED)
    if (was_busy)
        finish(w, 1);
#endif
    (void)was_busy;
}

static void bind_host(void *self, const struct burrow_command_host *command)
{
    struct wrong *w = self;
    w->command = command;
}

static const struct burrow_subcommand subcommands[] = {
#if defined(WRONG_TABLE)
    {"", "", "Hides the next one", 0, 0},
#endif
    {"work", "", "Works for a while", 0, 0},
    {NULL, NULL, NULL, 0, 0},
};

static const struct burrow_command_ops ops = {
    .size = sizeof ops,
    .subcommands = subcommands,
    .bind = bind_host,
    .run = run,
    .interrupt = interrupt,
#if BURROW_ABI_MINOR >= 2 /* it is built against the first headers, too (tests/abi) */
    .judging = JUDGING,
#endif
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_COMMAND,
    .kind_abi = BURROW_COMMAND_ABI,
    .name = "command-wrong",
    .version = "1",
    .summary = "Wrong in one way",
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = free,
};
