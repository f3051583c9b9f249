/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins as the core sees them: an opened and checked shared object (struct plugin), and
 * an instance of it with its host table and its ledger of watches, timers and look-ups.
 */
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "base/fault.h"
#include "base/log.h"
#include "loop/loop.h"

struct plugin;
struct instance;

/* Opens dir/NAME.so, or the file when `name` is an absolute path. Every refusal (missing,
 * not a plugin, other ABI, wrong kind or sizes, writable by others) is one line in err that
 * names the file. Objects are never unloaded. */
int plugin_open(const char *dir, const char *name, struct plugin **ret, struct error *err);
/* The descriptor, read into a full-sized copy: fields the plugin is too old for are zero. */
const struct burrow_plugin *plugin_descriptor(const struct plugin *plugin);
const char *plugin_path(const struct plugin *plugin);
/* Refuses the same file by two paths, and two plugins of one name. */
int plugin_check_distinct(struct plugin *const *plugins, size_t n, struct error *err);
void plugin_close(struct plugin *plugin); /* frees the book-keeping; the object stays mapped */

/* Asks the plugin's check, if it has one. */
int plugin_check(const struct plugin *plugin, const struct log *log, const void *config,
                 struct error *err);

/* Creates an instance on the loop. config (may be NULL without options) outlives it. */
int instance_create(struct plugin *plugin, struct loop *loop, const struct log *log,
                    const void *config, struct instance **ret, struct error *err);
int instance_start(struct instance *instance, struct error *err);
/* Gives it a configuration that all checks have allowed, on its loop. 0: config must live on as
 * that of create did, which may go. On failure nothing changed. BURROW_ENOSYS, without err: the
 * plugin has no reload and keeps its config. */
int instance_reload(struct instance *instance, const void *config, struct error *err);
/* Asks it to stop; fn(arg) runs on a later turn when it has answered, or after deadline_ms
 * (then it is named in the log). */
void instance_stop(struct instance *instance, uint64_t deadline_ms, burrow_timer_fn *fn, void *arg);
/* After stop, or without one when it was never started. What is left on the ledger is logged
 * and taken away. */
void instance_destroy(struct instance *instance);

uint32_t instance_kind(const struct instance *instance);
const char *instance_name(const struct instance *instance);
/* struct burrow_<kind>_ops in full size, missing entries NULL; and the plugin's self. */
const void *instance_ops(const struct instance *instance);
void *instance_self(const struct instance *instance);
/* The instance behind a host table's self (for command's host->finished), and a pointer of
 * its owner's. */
struct instance *instance_of(struct burrow_self *self);
void instance_set_owner(struct instance *instance, void *owner);
void *instance_owner(const struct instance *instance);
/* From now on what the plugin says by verror fills err, which outlives the instance, and is not
 * logged: for whoever tells a user rather than an operator. */
void instance_explain(struct instance *instance, struct error *err);
/* How often watched files changed and were read again, or were refused and left the old in
 * force. This and the next two may be asked by any thread. */
struct file_counts {
    uint64_t taken, refused;
};
struct file_counts instance_file_counts(const struct instance *instance);
/* What the instance did against its contract; who finds more of it, on its thread, adds it here. */
struct plugin_faults *instance_faults(struct instance *instance);
/* The plugin's metrics table (may be NULL) and the values so far, to be read by count_read. */
const struct burrow_metric *instance_metrics(const struct instance *instance,
                                             const int64_t **ret_values);

/* A loop and the instances that live on it. */
struct instance_group {
    struct loop *loop;
    const struct log *log; /* read on the loop's thread only */
    struct instance *const *instances;
    size_t instance_count;
};

#endif
