/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances of the plugins, where they live: all of them on the main loop, and on each further
 * worker, a thread with a loop of its own, another instance of each transport. Whatever is done to
 * an instance is done on its loop, while the main thread waits for it.
 */
#ifndef CLI_WORKERS_H
#define CLI_WORKERS_H

#include "cli/runtime_state.h"

/* Makes n loops, the first without a thread, and the instances on them. */
int workers_create(struct runtime_state *s, size_t n, struct error *err);
int workers_start(struct runtime_state *s, struct error *err);
/* Returns when all that were started have stopped, or deadline_ms are over. */
void workers_stop(struct runtime_state *s, uint64_t deadline_ms);
/* Ends and frees what there is of them; they have stopped. */
void workers_destroy(struct runtime_state *s);

/* Gives fresh's configurations to all instances; on failure those in front have them. */
int workers_take(struct runtime_state *s, struct runtime_state *fresh, struct error *err);
/* Those that have them get back what they had. One that refuses is named in the log and keeps the
 * new one. */
void workers_take_back(struct runtime_state *s, struct runtime_state *fresh);
/* The new ones hold from now on, also for the log. */
void workers_keep(struct runtime_state *s, struct runtime_state *fresh);
/* Whether an instance has values of this configuration. */
bool workers_use(const struct runtime_state *s, const struct config *config);

#endif
