/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a command, for tests: it runs a subcommand as the host does, holds the plugin
 * to the sentences of command.h (it ends once, by finished, and not after it has stopped), and says
 * what the auth plugins of a server would.
 */
#ifndef BURROW_TESTKIT_FAKE_COMMAND_H
#define BURROW_TESTKIT_FAKE_COMMAND_H

#include "fake_host.h"

#include <burrow/command.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One instance of a command plugin; its host's end_of_turn brings what judge was asked for. */
struct fake_command {
    /* What the test says before fake_command_adopt; zeroed otherwise. */
    const struct burrow_judgement *judgement; /* NULL: all are refused */
    bool is_old;                              /* the host is of a version before judge */

    struct burrow_command_host table; /* what the plugin is given */
    struct fake_host *host;
    const struct burrow_command_ops *ops;
    void *self;
    const struct burrow_subcommand *running; /* NULL: run has not been called */
    unsigned finished, judged;               /* how often it ended, and asked */
    int32_t exit_code;
    burrow_judged_fn *fn; /* of the question that is open, or NULL */
    void *arg;
    bool is_asked_now; /* the answer comes on a later turn than the question */
};

/* Binds an instance that was created on this host, and in the end lets go of it. */
void fake_command_adopt(struct fake_command *command, struct fake_host *host,
                        const struct burrow_plugin *plugin, void *self);
void fake_command_forget(struct fake_command *command);
/* Runs what the words say, separated by spaces: the subcommand, where it has a name, and its
 * arguments, as many as the plugin's table allows. Once in the life of an instance. */
void fake_command_run(struct fake_command *command, const char *words);
/* The entry of the table that such words name, or NULL. */
const struct burrow_subcommand *fake_command_find(const struct burrow_command_ops *ops,
                                                  const char *words);
bool fake_command_has_finished(void *command);

#ifdef __cplusplus
}
#endif
#endif
