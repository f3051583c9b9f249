/* SPDX-License-Identifier: Apache-2.0 */
/* Inside plugin/: what the opener, the instances, their host table and their ledger share. */
#ifndef PLUGIN_INTERNAL_H
#define PLUGIN_INTERNAL_H

#include "base/count.h"
#include "base/object.h"
#include "plugin/plugin.h"

#include <burrow/auth.h>
#include <burrow/command.h>
#include <burrow/registry.h>
#include <burrow/transport.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#define PLUGIN_MAGIC 0x4e494750u
#define SELF_MAGIC 0x464c4553u
#define INSTANCE_MAGIC 0x54534e49u
#define WATCH_MAGIC 0x48435457u
#define TIMER_MAGIC 0x524d4954u
#define LOOKUP_MAGIC 0x50554b4cu
#define FILES_MAGIC 0x454c4946u

union kind_ops {
    struct burrow_transport_ops transport;
    struct burrow_auth_ops auth;
    struct burrow_registry_ops registry;
    struct burrow_command_ops command;
};

struct plugin {
    uint32_t magic;
    char *path;
    dev_t dev;
    ino_t ino;
    struct burrow_plugin descriptor; /* ops: &ops */
    union kind_ops ops;
};

/* An entry of the ledger, first in each of the things an instance may hold. */
struct holding {
    struct holding *prev, *next;
};

struct burrow_watch {
    struct holding holding;
    uint32_t magic;
    int fd;
    struct burrow_self *self;
    struct loop_watch *watch;
};

struct burrow_timer {
    struct holding holding;
    uint32_t magic;
    struct burrow_self *self;
    struct loop_timer *timer;
    burrow_timer_fn *fn;
    void *arg;
};

struct burrow_lookup {
    struct holding holding;
    uint32_t magic;
    struct burrow_self *self;
    struct loop_lookup *lookup;
    burrow_resolve_fn *fn;
    void *arg;
};

/*
 * The host's side of one instance (or of a check, where loop is NULL and nothing can be
 * taken). Posted calls hold a reference, as they may arrive after the instance is gone.
 */
struct burrow_self {
    uint32_t magic;
    atomic_uint refs;
    struct burrow_host table;
    struct loop *loop;
    const struct log *log;
    const char *name;
    struct instance *instance; /* NULL during check and after destroy */
    struct error *err;         /* of the call under way, else NULL */
    /* The ledger: lists with these heads. */
    struct holding watches, timers, lookups, files;
    struct file_counts file_counts;
    struct plugin_faults faults;
    const struct burrow_metric *metrics;
    size_t metric_count;
    int64_t *values;
};

struct instance {
    uint32_t magic;
    struct plugin *plugin;
    struct burrow_self *self;
    void *plugin_self;
    void *owner;
    bool stopping, stopped;
    burrow_timer_fn *stop_fn;
    void *stop_arg;
    struct loop_timer *stop_timer; /* the deadline, then the fresh turn for stop_fn */
};

/* What the ELF headers say: 0, or err without the file's name. */
int elf_check(int fd, uint64_t file_size, struct error *err);

/* Reads the descriptor at `found` into plugin->descriptor and ->ops, and refuses what does
 * not keep the contract; err without the file's name. */
int descriptor_read(const struct burrow_plugin *found, struct plugin *plugin, struct error *err);

/* A host table with an empty ledger, one reference. NULL: out of memory. */
struct burrow_self *self_create(const struct plugin *plugin, struct loop *loop,
                                const struct log *log);
void self_unref(struct burrow_self *self);
/* instance.c: the plugin has answered stop. */
void instance_answered(struct instance *instance);

void ledger_init(struct burrow_self *self);
void ledger_add(struct holding *head, struct holding *h);
void ledger_remove(struct holding *h);
/* Names what is left in the log and takes it away. */
void ledger_clear(struct burrow_self *self);
/* The entries of the host table that take from the loop and give back. */
struct burrow_watch *ledger_watch(struct burrow_self *, int, int, burrow_io_fn *, void *);
int ledger_rewatch(struct burrow_watch *, int);
void ledger_unwatch(struct burrow_watch *);
void ledger_feed(struct burrow_watch *, int);
struct burrow_timer *ledger_after(struct burrow_self *, uint64_t, burrow_timer_fn *, void *);
void ledger_cancel(struct burrow_timer *);
struct burrow_lookup *ledger_resolve(struct burrow_self *, const char *, uint16_t,
                                     burrow_resolve_fn *, void *);
void ledger_resolve_cancel(struct burrow_lookup *);

/* files.c */
struct burrow_files *files_watch(struct burrow_self *, const char *const *, uint32_t,
                                 burrow_files_fn *, void *);
void files_unwatch(struct burrow_files *);
uint64_t files_clear(struct burrow_self *self); /* takes all away; how many there were */

#endif
