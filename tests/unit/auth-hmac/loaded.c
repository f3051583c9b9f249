/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a plugin's .so and fills its config by the option table; see loaded.h. */
#include "loaded.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void loaded_init(struct loaded *loaded, const char *path, const char *name, uint32_t kind)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!object)
        fail_msg("%s", dlerror());
    const struct burrow_plugin *plugin = dlsym(object, BURROW_PLUGIN_SYMBOL);
    assert_non_null(plugin);
    assert_int_equal(plugin->magic, BURROW_PLUGIN_MAGIC);
    assert_int_equal(plugin->size, sizeof *plugin);
    assert_string_equal(plugin->name, name);
    assert_int_equal(plugin->kind, kind);
    assert_non_null(plugin->summary);
    loaded->plugin = plugin;
    loaded->config = calloc(1, plugin->config_size + 1);
    assert_non_null(loaded->config);
    fake_host_init(&loaded->host);
}

void loaded_finish(struct loaded *loaded)
{
    free(loaded->config);
    fake_host_finish(&loaded->host);
}

const struct burrow_option *loaded_option(const struct loaded *loaded, const char *name)
{
    const struct burrow_option *o = loaded->plugin->options;
    while (o && o->name && strcmp(o->name, name) != 0)
        o++;
    if (!o || !o->name)
        fail_msg("there is no option %s", name);
    return o;
}

static void set(struct loaded *loaded, const char *name, uint32_t type, const void *value, size_t n)
{
    const struct burrow_option *o = loaded_option(loaded, name);
    assert_int_equal(o->type == BURROW_OPT_PATH ? BURROW_OPT_STRING : o->type, type);
    assert_true(o->offset + n <= loaded->plugin->config_size);
    memcpy(loaded->config + o->offset, value, n);
}

void loaded_set_string(struct loaded *loaded, const char *name, const char *value)
{
    set(loaded, name, BURROW_OPT_STRING, (const void *)&value, sizeof value);
}

void loaded_set_secret(struct loaded *loaded, const char *name, const char *value)
{
    const struct burrow_secret secret = {(const uint8_t *)value, strlen(value)};
    set(loaded, name, BURROW_OPT_SECRET, &secret, sizeof secret);
}

void loaded_set_number(struct loaded *loaded, const char *name, int64_t value)
{
    set(loaded, name, loaded_option(loaded, name)->type, &value, sizeof value);
}

void loaded_set_bool(struct loaded *loaded, const char *name, uint8_t value)
{
    set(loaded, name, BURROW_OPT_BOOL, &value, sizeof value);
}

void loaded_set_list(struct loaded *loaded, const char *name, const char *const *items, size_t n)
{
    const struct burrow_list list = {items, n};
    set(loaded, name, BURROW_OPT_LIST, &list, sizeof list);
}

void *loaded_start(struct loaded *loaded)
{
    void *self = NULL;
    int r = loaded->plugin->create(&loaded->host.table, loaded->config, &self);
    if (r != BURROW_OK)
        fail_msg("create: %s", loaded->host.error);
    assert_non_null(self);
    if (loaded->plugin->start)
        assert_int_equal(loaded->plugin->start(self), BURROW_OK);
    return self;
}

void loaded_end(struct loaded *loaded, void *self)
{
    loaded->host.stopped = false;
    loaded->plugin->stop(self);
    assert_true(loaded->host.stopped);
    loaded->plugin->destroy(self);
}
