/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside config/: what each source says, taken apart but not yet understood. Names and
 * values are texts; which options exist and what their types are is not known here.
 */
#ifndef CONFIG_SOURCES_H
#define CONFIG_SOURCES_H

#include "config/arena.h"
#include "config/config.h"

#include <sys/stat.h>

/* Flags: one word or option at a time. A value that begins with "--" needs the form
 * --name=value, so that the words can be told apart before the options are known. */
enum flag_kind { FLAG_END, FLAG_OPTION, FLAG_WORD };
struct flag {
    enum flag_kind kind;
    const char *name; /* FLAG_OPTION: without "--", name_len bytes */
    size_t name_len;
    char *value; /* FLAG_WORD: the word; FLAG_OPTION: behind '=', or NULL */
    bool dashed; /* "-x", which no option is */
};
struct flag_reader {
    const struct config_sources *sources;
    int at;
    bool words_only; /* after "--" */
};
enum flag_kind flag_next(struct flag_reader *reader, struct flag *ret);
/* The value of an option that takes one; NULL: it is missing. */
char *flag_value(struct flag_reader *reader, const struct flag *flag);
bool flag_is(const struct flag *flag, const char *name);

/* Environment: the value of the variable, or NULL. */
char *environ_find(char **envp, const char *variable);
/* What Kubernetes sets for a Service named burrow…: *_SERVICE_*, *_PORT, *_PORT_*. */
bool environ_is_injected(const char *variable);

/* Keys and their values, in the file or behind --plugin NAME. */
struct entry_value {
    struct entry_value *next;
    const char *text; /* NULL: null, that is unset */
    char *source;     /* where it stands in argv, or NULL */
    bool is_map;      /* the text is ",key=value…" of a map, a comma in it is "\," */
    unsigned line, column;
};
struct entry {
    struct entry *next;
    const char *key;
    unsigned line, column; /* 1…; 0: not of a file */
    bool is_list;
    struct entry_value *values;
};
/* One item of the list of plugins. */
struct item {
    struct item *next;
    const char *name;
    unsigned line, column;
    struct entry *entries;
};
struct file {
    char *path;         /* NULL: there is none */
    const char *closed; /* the path of a default one that this user may not read, or NULL */
    mode_t mode;
    struct entry *entries;
    struct item *items;
};

/* Reads the file. The default one, which nobody has named, may be missing, and closed to this
 * user: then *ret has no more than `closed`. err names file, line, column. */
int file_read(const char *path, bool is_default, struct arena *arena, struct file *ret,
              struct error *err);
struct entry *entry_find(struct entry *entries, const char *key);
struct item *item_find(struct item *items, const char *name);

#define CONFIG_WARNINGS_MAX 16
#define CONFIG_PLUGINS_MAX 32

struct config {
    uint32_t magic;
    struct config_sources sources;
    struct arena *arena;
    struct file file;
    struct item *flag_items; /* by --plugin */
    struct config_plugin plugins[CONFIG_PLUGINS_MAX];
    size_t plugin_count;
    const char **arguments;
    size_t argument_count;
    const char *warnings[CONFIG_WARNINGS_MAX];
    size_t warning_count;
    char **secrets; /* in argv and environment, to be overwritten */
    size_t secret_count, secret_room;
};

/* Formatted and kept; when there are too many or memory is short, the warning is lost. */
__attribute__((format(printf, 2, 3))) void config_warn(struct config *config, const char *fmt, ...);
/* Remembers that this text of argv or environment is a secret. */
int config_note_secret(struct config *config, char *text, struct error *err);

/* The last part of a path, without ".so"; a plain name as it is. */
void plugin_short_name(const char *name, char *buf, size_t size);

#endif
