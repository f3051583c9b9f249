/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auth plugins of a server that has the same options, for a command that asks them what
 * they would say (command.h, ops->judging). They are opened, configured and asked by the code
 * that serves a server, so that the answer is the server's; nothing listens.
 *
 *   judges_open → judges_parse → judges_start → judges_ask … → judges_end
 */
#ifndef CLI_JUDGES_H
#define CLI_JUDGES_H

#include "cli/cli.h"

#include <burrow/command.h>

struct judges;

/* Reads the sources, with the server's config file, and opens the server's plugins. */
int judges_open(const struct cli_args *args, struct judges **ret, struct error *err);
/* Parses the options of a server, and those of the command's own group besides. What is
 * returned lives until judges_end. */
int judges_parse(struct judges *judges, const struct config_group *own, void **ret_own,
                 const char *const **ret_words, size_t *ret_n, struct error *err);
/* Makes the loop and starts the auth plugins alone. */
int judges_start(struct judges *judges, struct error *err);
const struct log *judges_log(const struct judges *judges);
struct loop *judges_loop(const struct judges *judges);
/* BURROW_EAGAIN: the answer to another question is not there yet. BURROW_ENOMEM. */
int judges_ask(struct judges *judges, const struct burrow_credential *credential,
               burrow_judged_fn *fn, void *arg);
void judges_end(struct judges *judges); /* NULL is allowed */

#endif
