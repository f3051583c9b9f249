/* SPDX-License-Identifier: Apache-2.0 */
/* An instance of a plugin, from create to destroy. */
#include "plugin/internal.h"

#include <stdlib.h>
#include <string.h>

/* The result of a call into the plugin, with what it said by verror. */
static int finish_call(struct burrow_self *self, const struct plugin *plugin, const char *call,
                       int rc, struct error *said, struct error *err)
{
    self->err = NULL;
    if (rc >= 0)
        return 0;
    if (said->code == 0)
        return error_set(err, rc, "plugin %s: %s failed: %s", plugin->descriptor.name, call,
                         error_name(rc));
    /* A line that names its option needs no other name before it. */
    if (strncmp(said->text, "--", 2) == 0)
        return error_set(err, rc, "%s", said->text);
    return error_set(err, rc, "plugin %s: %s", plugin->descriptor.name, said->text);
}

int plugin_check(const struct plugin *plugin, const struct log *log, const void *config,
                 struct error *err)
{
    must_be(plugin, PLUGIN_MAGIC);
    if (!plugin->descriptor.check)
        return 0;
    struct burrow_self *self = self_create(plugin, NULL, log);
    if (!self)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    struct error said = {0};
    self->err = &said;
    int rc = plugin->descriptor.check(&self->table, config);
    rc = finish_call(self, plugin, "check", rc, &said, err);
    self_unref(self);
    return rc;
}

/* The deadline, or the fresh turn after the answer. */
static void stop_timer_fired(void *arg)
{
    struct instance *instance = arg;
    must_be(instance, INSTANCE_MAGIC);
    burrow_timer_fn *fn = instance->stop_fn;
    void *fn_arg = instance->stop_arg;
    if (!instance->stopped) {
        count_add(&instance->self->faults.count, 1);
        log_at(instance->self->log, BURROW_LOG_ERROR, "plugin_stop_timeout",
               burrow_str("plugin", instance_name(instance)));
    }
    instance->stop_fn = NULL;
    if (fn)
        fn(fn_arg);
}

int instance_create(struct plugin *plugin, struct loop *loop, const struct log *log,
                    const void *config, struct instance **ret, struct error *err)
{
    must_be(plugin, PLUGIN_MAGIC);
    struct instance *instance = calloc(1, sizeof *instance);
    struct burrow_self *self = instance ? self_create(plugin, loop, log) : NULL;
    /* Made now, so that a stop cannot fail. */
    if (self)
        instance->stop_timer = loop_timer_create(loop, stop_timer_fired, instance);
    if (!self || !instance->stop_timer) {
        if (self)
            self_unref(self);
        free(instance);
        return error_set(err, BURROW_ENOMEM, "out of memory");
    }
    instance->magic = INSTANCE_MAGIC;
    instance->plugin = plugin;
    instance->self = self;
    self->instance = instance;

    struct error said = {0};
    self->err = &said;
    int rc = plugin->descriptor.create(&self->table, config, &instance->plugin_self);
    rc = finish_call(self, plugin, "create", rc, &said, err);
    if (rc != 0) {
        self->instance = NULL;
        ledger_clear(self);
        self_unref(self);
        loop_timer_destroy(instance->stop_timer);
        instance->magic = 0;
        free(instance);
        return rc;
    }
    *ret = instance;
    return 0;
}

int instance_start(struct instance *instance, struct error *err)
{
    must_be(instance, INSTANCE_MAGIC);
    const struct plugin *plugin = instance->plugin;
    if (!plugin->descriptor.start)
        return 0;
    struct error said = {0};
    instance->self->err = &said;
    int rc = plugin->descriptor.start(instance->plugin_self);
    return finish_call(instance->self, plugin, "start", rc, &said, err);
}

int instance_reload(struct instance *instance, const void *config, struct error *err)
{
    must_be(instance, INSTANCE_MAGIC);
    const struct plugin *plugin = instance->plugin;
    if (!plugin->descriptor.reload)
        return BURROW_ENOSYS;
    struct error said = {0};
    instance->self->err = &said;
    int rc = plugin->descriptor.reload(instance->plugin_self, config);
    return finish_call(instance->self, plugin, "reload", rc, &said, err);
}

void instance_explain(struct instance *instance, struct error *err)
{
    must_be(instance, INSTANCE_MAGIC);
    instance->self->err = err;
}

void instance_stop(struct instance *instance, uint64_t deadline_ms, burrow_timer_fn *fn, void *arg)
{
    must_be(instance, INSTANCE_MAGIC);
    must(!instance->stopping);
    instance->stopping = true;
    instance->stop_fn = fn;
    instance->stop_arg = arg;
    loop_timer_set(instance->stop_timer, deadline_ms);
    instance->plugin->descriptor.stop(instance->plugin_self);
}

void instance_answered(struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    if (!instance->stopping || instance->stopped) {
        count_add(&instance->self->faults.count, 1);
        log_at(instance->self->log, BURROW_LOG_WARN, "plugin_stopped_unasked",
               burrow_str("plugin", instance_name(instance)));
        return;
    }
    instance->stopped = true;
    if (instance->stop_fn)
        loop_timer_set(instance->stop_timer, 0);
}

void instance_destroy(struct instance *instance)
{
    if (!instance)
        return;
    must_be(instance, INSTANCE_MAGIC);
    struct burrow_self *self = instance->self;
    loop_timer_destroy(instance->stop_timer);
    instance->plugin->descriptor.destroy(instance->plugin_self);
    ledger_clear(self);
    if (atomic_load(&self->refs) > 1)
        log_at(self->log, BURROW_LOG_WARN, "plugin_leftovers", burrow_str("plugin", self->name),
               burrow_uint("posts", atomic_load(&self->refs) - 1));
    self->instance = NULL;
    self_unref(self);
    instance->magic = 0;
    free(instance);
}

uint32_t instance_kind(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return instance->plugin->descriptor.kind;
}

const char *instance_name(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return instance->plugin->descriptor.name;
}

const void *instance_ops(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return &instance->plugin->ops;
}

void *instance_self(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return instance->plugin_self;
}

struct instance *instance_of(struct burrow_self *self)
{
    must_be(self, SELF_MAGIC);
    return self->instance;
}

void instance_set_owner(struct instance *instance, void *owner)
{
    must_be(instance, INSTANCE_MAGIC);
    instance->owner = owner;
}

void *instance_owner(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return instance->owner;
}

struct file_counts instance_file_counts(const struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    const struct file_counts *counts = &instance->self->file_counts;
    return (struct file_counts){count_read(&counts->taken), count_read(&counts->refused)};
}

struct plugin_faults *instance_faults(struct instance *instance)
{
    must_be(instance, INSTANCE_MAGIC);
    return &instance->self->faults;
}

const struct burrow_metric *instance_metrics(const struct instance *instance,
                                             const int64_t **ret_values)
{
    must_be(instance, INSTANCE_MAGIC);
    *ret_values = instance->self->values;
    return instance->self->metrics;
}
