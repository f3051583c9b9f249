/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One option: its value as a user types it, turned into the typed field that a table of
 * struct burrow_option (burrow/plugin.h) describes. The core's own options use the same
 * tables as the plugins'.
 *
 * The upper half of burrow_option.flags is the host's; a plugin that sets it is refused.
 */
#ifndef CONFIG_OPTION_H
#define CONFIG_OPTION_H

#include "base/error.h"

#include <stdbool.h>

/* An empty value is a value, not "unset" (bridge-host: it turns bridges off). */
#define OPTION_EMPTY_IS_VALUE 0x00010000u
/* A list whose items may be maps in the file; each comes as ",key=value,…", where a comma in a
 * value is "\,". */
#define OPTION_MAPS 0x00040000u
/* Not shown by --help. */
#define OPTION_HIDDEN 0x00020000u
#define OPTION_PLUGIN_FLAGS 0x0000ffffu

struct arena;

/* The field of `config` becomes the typed value of the texts (several only for a list). What
 * it points to is copied into the arena. On failure nothing is stored and err says what is
 * wrong with which text and which form is expected, without naming the option; a secret's
 * text is never repeated. */
int option_set(const struct burrow_option *option, void *config, struct arena *arena,
               const char *const *texts, size_t n, struct error *err);

/* "a duration from 1s to 1h, such as 10s, 250ms or 1h30m". Returns buf. */
const char *option_expected(const struct burrow_option *option, char *buf, size_t size);

/* Looks the whole table over, as a plugin's author may have got it wrong: names, types,
 * offsets within config_size, defaults that do not parse. options may be NULL. */
int option_table_check(const struct burrow_option *options, size_t config_size, struct error *err);

const struct burrow_option *option_find(const struct burrow_option *options, const char *name);

/* "BURROW_" and the name in upper case with '_' for '-' and '.'; the list of
 * plugins, --plugin, is BURROW_PLUGINS. Returns buf. */
const char *option_variable(const char *name, char *buf, size_t size);

/* Durations and sizes by themselves; 0 or BURROW_EINVAL. */
int option_parse_duration(const char *text, int64_t *ret_ms);
int option_parse_bytes(const char *text, int64_t *ret_bytes);
/* And back, in the shortest exact form: "1h30m", "64KiB". Returns buf. */
const char *option_format_duration(int64_t ms, char *buf, size_t size);
const char *option_format_bytes(int64_t bytes, char *buf, size_t size);

/* The text in double quotes, bytes outside printable ASCII and UTF-8 as \xNN, cut after 64
 * bytes. Returns buf. */
const char *option_quote(const char *text, char *buf, size_t size);

#endif
