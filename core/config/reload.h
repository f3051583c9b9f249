/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the configuration a second time: the sources as they were before secrets in them were
 * overwritten, and what of a new configuration may not count before a restart.
 */
#ifndef CONFIG_RELOAD_H
#define CONFIG_RELOAD_H

#include "config/config.h"

/* How often a reload was taken or refused as a whole, for metrics. */
struct reload_counts {
    uint64_t taken, refused;
};

/* A copy of the flags and of the BURROW_ variables; wiped when it is freed. */
struct config_sources_copy;
int config_sources_keep(const struct config_sources *sources, struct config_sources_copy **ret,
                        struct error *err);
const struct config_sources *config_sources_kept(const struct config_sources_copy *copy);
void config_sources_free(struct config_sources_copy *copy); /* NULL is allowed */

/* Called for each option whose change has to wait for a restart. */
typedef void config_changed_fn(void *arg, const char *name);

/*
 * Gives the options of the group that a reload may not change their values of before: with_all
 * true stands for all of them, else for those without BURROW_OPT_RELOADABLE. old and fresh are
 * structs of group->config_size bytes, the latter one that config_parse of `config` made. fn is
 * told the full name of each that differed. Returns how many there were, or BURROW_ENOMEM.
 */
int config_keep(struct config *config, const struct config_group *group, const void *old,
                void *fresh, bool with_all, config_changed_fn *fn, void *arg);

#endif
