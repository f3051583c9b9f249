/* SPDX-License-Identifier: Apache-2.0 */
/* The host table that each instance is given: log, errors, time, posts, metrics. What is
 * taken from the loop goes over the ledger. */
#include "plugin/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIELDS_MAX 24

/* A call that another thread may have posted; it holds a reference to self. */
struct posted {
    struct burrow_self *self;
    burrow_timer_fn *fn;
    void *arg;
};

__attribute__((format(printf, 3, 0))) static void host_vlog(struct burrow_self *self, int32_t level,
                                                            const char *fmt, va_list ap)
{
    char text[1500];
    must_be(self, SELF_MAGIC);
    if (level < self->log->level)
        return;
    vsnprintf(text, sizeof text, fmt, ap);
    log_at(self->log, level, "plugin", burrow_str("plugin", self->name), burrow_str("msg", text));
}

__attribute__((format(printf, 3, 0))) static void
host_verror(struct burrow_self *self, int32_t code, const char *fmt, va_list ap)
{
    must_be(self, SELF_MAGIC);
    if (self->err)
        error_vset(self->err, code < 0 ? code : BURROW_EINVAL, fmt, ap);
    else
        host_vlog(self, BURROW_LOG_ERROR, fmt, ap);
}

static uint64_t host_now_ms(struct burrow_self *self)
{
    struct timespec ts;
    must_be(self, SELF_MAGIC);
    if (self->loop)
        return loop_now_ms(self->loop);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void posted_runs(void *arg)
{
    struct posted *posted = arg;
    must_be(posted->self, SELF_MAGIC);
    /* The instance may be gone, and with it what arg points to. */
    if (posted->self->instance)
        posted->fn(posted->arg);
    self_unref(posted->self);
    free(posted);
}

static int host_post(struct burrow_self *self, burrow_timer_fn *fn, void *arg)
{
    must_be(self, SELF_MAGIC);
    struct posted *posted = self->loop ? malloc(sizeof *posted) : NULL;
    if (!posted)
        return self->loop ? BURROW_ENOMEM : BURROW_ENOSYS;
    *posted = (struct posted){self, fn, arg};
    atomic_fetch_add(&self->refs, 1);
    int rc = loop_post(self->loop, posted_runs, posted);
    if (rc != 0) {
        self_unref(self);
        free(posted);
    }
    return rc;
}

static void *host_native_loop(struct burrow_self *self, const char *flavour)
{
    must_be(self, SELF_MAGIC);
    return self->loop ? loop_native(self->loop, flavour) : NULL;
}

static void *host_scratch(struct burrow_self *self, size_t n)
{
    must_be(self, SELF_MAGIC);
    return self->loop ? loop_scratch(self->loop, n) : NULL;
}

static void host_event(struct burrow_self *self, int32_t level, const char *name,
                       const struct burrow_field *fields, size_t n)
{
    struct burrow_field all[FIELDS_MAX + 1];
    must_be(self, SELF_MAGIC);
    if (level < self->log->level)
        return;
    if (n > FIELDS_MAX)
        n = FIELDS_MAX;
    all[0] = burrow_str("plugin", self->name);
    if (n > 0)
        memcpy(all + 1, fields, n * sizeof *fields);
    log_event(self->log, level, name, all, n + 1);
}

static void host_metric_add(struct burrow_self *self, uint32_t index, int64_t delta)
{
    must_be(self, SELF_MAGIC);
    if (index < self->metric_count) {
        /* As unsigned: a sum that wraps is odd, one that traps would be a crash. */
        count_add((uint64_t *)&self->values[index], (uint64_t)delta);
        return;
    }
    log_at(self->log, BURROW_LOG_DEBUG, "plugin_metric_unknown", burrow_str("plugin", self->name),
           burrow_uint("index", index));
}

static void host_stopped(struct burrow_self *self)
{
    must_be(self, SELF_MAGIC);
    if (self->instance)
        instance_answered(self->instance);
}

static const struct burrow_host host_table = {
    .size = sizeof(struct burrow_host),
    .abi_minor = BURROW_ABI_MINOR,
    .vlog = host_vlog,
    .verror = host_verror,
    .now_ms = host_now_ms,
    .watch = ledger_watch,
    .rewatch = ledger_rewatch,
    .unwatch = ledger_unwatch,
    .feed = ledger_feed,
    .after = ledger_after,
    .cancel = ledger_cancel,
    .post = host_post,
    .native_loop = host_native_loop,
    .scratch = host_scratch,
    .resolve = ledger_resolve,
    .resolve_cancel = ledger_resolve_cancel,
    .event = host_event,
    .metric_add = host_metric_add,
    .stopped = host_stopped,
    .watch_files = files_watch,
    .unwatch_files = files_unwatch,
};

struct burrow_self *self_create(const struct plugin *plugin, struct loop *loop,
                                const struct log *log)
{
    struct burrow_self *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->magic = SELF_MAGIC;
    atomic_init(&self->refs, 1);
    self->table = host_table;
    self->table.self = self;
    self->loop = loop;
    self->log = log;
    self->name = plugin->descriptor.name;
    self->faults = (struct plugin_faults){.log = log, .plugin = self->name};
    self->metrics = plugin->descriptor.metrics;
    while (self->metrics && self->metrics[self->metric_count].name)
        self->metric_count++;
    self->values = calloc(self->metric_count + 1, sizeof *self->values);
    if (!self->values) {
        free(self);
        return NULL;
    }
    ledger_init(self);
    return self;
}

void self_unref(struct burrow_self *self)
{
    must_be(self, SELF_MAGIC);
    if (atomic_fetch_sub(&self->refs, 1) > 1)
        return;
    self->magic = 0;
    free(self->values);
    free(self);
}
