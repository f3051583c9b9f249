/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core knows of plugins before it has opened any, as tables of data: the names of
 * the bundled plugins, the package each comes with, and which well-known options belong to
 * which of them. Without a `plugins:` list the plugins follow from these options.
 */
#ifndef CONFIG_KNOWN_H
#define CONFIG_KNOWN_H

#include "config/config.h"

/* The bundled plugins: their options have bare names. */
bool known_is_bundled(const char *plugin);
/* The n-th bundled plugin, NULL at the end. */
const char *known_bundled(size_t n);
/* The package that a bundled plugin comes with; NULL for another's. */
const char *known_package(const char *plugin);
/* "transport-ws" → BURROW_KIND_TRANSPORT; 0 for a name without a known kind. A path counts
 * by its last part. */
uint32_t known_kind(const char *plugin);
const char *known_kind_name(uint32_t kind); /* "transport"; NULL */

/* The bundled plugins an option belongs to, e.g. "auth-hmac, auth-pem or auth-jwks"; NULL:
 * no well-known one. *ret_kinds: the kinds of these. */
const char *known_owner(const char *option, uint32_t *ret_kinds);
/* true when the option has a value that means "do without the plugin" (enable-kube-api
 * auto or false). */
bool known_is_inert(const char *option, const char *value);
/* A value that is inert only where every value is (namespace: it has no use by itself). */
#define KNOWN_ANY "*"
/* The n-th well-known option, NULL at the end. */
const char *known_option(size_t n);

#define KNOWN_CHOICE_MAX 8
/* Appends to ret[*n…] the plugins of `kind` that follow from the options. Several key
 * sources, or none where one is needed (auth), fail with an error that names them. plugin_dir: what
 * follows without a word of the user's is chosen only where it is installed. */
int known_choose(const struct config *config, const char *plugin_dir, const char *command,
                 uint32_t kind, const char *ret[KNOWN_CHOICE_MAX], size_t *ret_n,
                 struct error *err);

#endif
