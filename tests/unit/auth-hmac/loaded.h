/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin opened from its real .so, with a config struct filled through its option table, as
 * a host does it. */
#ifndef TEST_LOADED_H
#define TEST_LOADED_H

#include <burrow/plugin.h>

#include "fake_host.h"

struct loaded {
    const struct burrow_plugin *plugin;
    struct fake_host host;
    uint8_t *config; /* all unset at first */
};

/* Fails the test when the file is no plugin of that name and kind. */
void loaded_init(struct loaded *loaded, const char *path, const char *name, uint32_t kind);
void loaded_finish(struct loaded *loaded);

const struct burrow_option *loaded_option(const struct loaded *loaded, const char *name);
void loaded_set_string(struct loaded *loaded, const char *name, const char *value);
void loaded_set_secret(struct loaded *loaded, const char *name, const char *value);
void loaded_set_number(struct loaded *loaded, const char *name, int64_t value);
void loaded_set_bool(struct loaded *loaded, const char *name, uint8_t value);
void loaded_set_list(struct loaded *loaded, const char *name, const char *const *items, size_t n);

/* create and start; fails the test when they do. */
void *loaded_start(struct loaded *loaded);
/* stop, answered, and destroy. */
void loaded_end(struct loaded *loaded, void *self);

#endif
