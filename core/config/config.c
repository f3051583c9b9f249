/* SPDX-License-Identifier: Apache-2.0 */
/* The first pass over the sources: the config file, the list of plugins, and a look at
 * single options before their types are known. */
#include "config/config.h"

#include "base/checked.h"
#include "base/object.h"
#include "config/sources.h"
#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_MAGIC 0x474e4643u

/* The last value of the flag that is not empty. */
static char *flag_peek(const struct config_sources *sources, const char *name)
{
    struct flag_reader reader = {.sources = sources};
    struct flag flag;
    char *found = NULL;
    while (flag_next(&reader, &flag) != FLAG_END) {
        if (!flag_is(&flag, name))
            continue;
        char *value = flag_value(&reader, &flag);
        if (value && *value)
            found = value;
    }
    return found;
}

const char *config_peek(const struct config *config, const char *name)
{
    must_be(config, CONFIG_MAGIC);
    char variable[128];
    const char *text = flag_peek(&config->sources, name);
    if (text)
        return text;
    text = environ_find(config->sources.envp, option_variable(name, variable, sizeof variable));
    if (text && *text)
        return text;
    const struct entry *entry = entry_find(config->file.entries, name);
    for (const struct entry_value *v = entry ? entry->values : NULL; v; v = v->next)
        if (v->text && *v->text)
            return v->text;
    return NULL;
}

bool config_wants_help(const struct config *config)
{
    struct flag_reader reader = {.sources = &config->sources};
    struct flag flag;
    while (flag_next(&reader, &flag) != FLAG_END)
        if (flag_is(&flag, "help") ||
            (flag.kind == FLAG_OPTION && flag.dashed && flag.name_len == 1 && flag.name[0] == 'h'))
            return true;
    return false;
}

/* Up to the next comma that no backslash precedes; "\," becomes ",". Moves *p behind it. */
static char *piece(struct arena *arena, const char **p)
{
    const char *s = *p;
    char *out = arena_alloc(arena, strlen(s) + 1);
    size_t n = 0;
    if (!out)
        return NULL;
    while (*s && *s != ',') {
        if (s[0] == '\\' && s[1] == ',')
            s++;
        out[n++] = *s++;
    }
    *p = *s == ',' ? s + 1 : s;
    return out;
}

/* "option=value" becomes an entry of the item. */
static int add_option(struct config *config, struct item *item, char *text, char *source,
                      struct error *err)
{
    char *equals = strchr(text, '=');
    char quoted[TEXT_QUOTED];
    if (!equals || equals == text)
        return error_set(err, BURROW_EINVAL,
                         "--plugin (BURROW_PLUGINS): %s is no option of %s; expected "
                         "NAME[,option=value...], and \\, for a comma in a value",
                         equals ? "=…" : option_quote(text, quoted, sizeof quoted), item->name);
    *equals = '\0';
    struct entry *entry = entry_find(item->entries, text);
    struct entry_value *value = arena_alloc(config->arena, sizeof *value);
    if (!entry) {
        entry = arena_alloc(config->arena, sizeof *entry);
        if (!entry || !value)
            return error_set(err, BURROW_ENOMEM, "out of memory");
        entry->key = text;
        entry->next = item->entries;
        item->entries = entry;
    }
    if (!value)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    value->text = equals + 1;
    value->source = source;
    struct entry_value **tail = &entry->values;
    while (*tail)
        tail = &(*tail)->next;
    *tail = value;
    return 0;
}

/* One --plugin NAME[,option=value…]. */
static int add_flag_item(struct config *config, char *text, struct item ***tail, struct error *err)
{
    const char *p = text;
    struct item *item = arena_alloc(config->arena, sizeof *item);
    if (!item || !(item->name = piece(config->arena, &p)))
        return error_set(err, BURROW_ENOMEM, "out of memory");
    if (item->name[0] == '\0')
        return error_set(err, BURROW_EINVAL,
                         "--plugin (BURROW_PLUGINS): the name is empty; expected "
                         "NAME[,option=value...]");
    while (*p) {
        char *source = text + (p - text);
        char *option = piece(config->arena, &p);
        if (!option)
            return error_set(err, BURROW_ENOMEM, "out of memory");
        if (option[0] != '\0' && add_option(config, item, option, source, err) != 0)
            return err->code;
    }
    **tail = item;
    *tail = &item->next;
    return 0;
}

static int read_plugin_flags(struct config *config, struct error *err)
{
    struct flag_reader reader = {.sources = &config->sources};
    struct flag flag;
    struct item **tail = &config->flag_items;
    while (flag_next(&reader, &flag) != FLAG_END) {
        if (!flag_is(&flag, "plugin"))
            continue;
        char *value = flag_value(&reader, &flag);
        if (value && *value && add_flag_item(config, value, &tail, err) != 0)
            return err->code;
    }
    return 0;
}

static int list_plugin(struct config *config, const char *name, bool from_file, struct error *err)
{
    char short_name[128], other[128];
    plugin_short_name(name, short_name, sizeof short_name);
    for (size_t i = 0; i < config->plugin_count; i++) {
        plugin_short_name(config->plugins[i].name, other, sizeof other);
        if (strcmp(short_name, other) == 0)
            return error_set(err, BURROW_EINVAL,
                             "--plugin (BURROW_PLUGINS): %s is listed twice; expected each plugin "
                             "once",
                             short_name);
    }
    if (config->plugin_count == CONFIG_PLUGINS_MAX)
        return error_set(err, BURROW_EINVAL, "--plugin (BURROW_PLUGINS): more than %d plugins",
                         CONFIG_PLUGINS_MAX);
    config->plugins[config->plugin_count++] = (struct config_plugin){name, from_file};
    return 0;
}

/* The list: whole from the first source that has one. */
static int list_plugins(struct config *config, struct error *err)
{
    for (const struct item *i = config->flag_items; i; i = i->next)
        if (list_plugin(config, i->name, false, err) != 0)
            return err->code;
    if (config->plugin_count > 0)
        return 0;
    const char *p = environ_find(config->sources.envp, "BURROW_PLUGINS");
    while (p && *p) {
        p += strspn(p, " \t");
        char *name = piece(config->arena, &p);
        if (!name)
            return error_set(err, BURROW_ENOMEM, "out of memory");
        for (size_t n = strlen(name); n > 0 && strchr(" \t", name[n - 1]); n--)
            name[n - 1] = '\0';
        if (name[0] != '\0' && list_plugin(config, name, false, err) != 0)
            return err->code;
    }
    if (config->plugin_count > 0)
        return 0;
    for (const struct item *i = config->file.items; i; i = i->next)
        if (list_plugin(config, i->name, true, err) != 0)
            return err->code;
    return 0;
}

static int read_file(struct config *config, struct error *err)
{
    const struct config_sources *s = &config->sources;
    if (!s->default_file)
        return 0;
    const char *path = flag_peek(s, "config");
    if (!path) {
        path = environ_find(s->envp, "BURROW_CONFIG");
        if (path && *path == '\0')
            path = NULL;
    }
    if (path) {
        int rc = file_read(path, false, config->arena, &config->file, err);
        return rc == 0 ? 0 : error_prefix(err, "--config (BURROW_CONFIG)");
    }
    return file_read(s->default_file, true, config->arena, &config->file, err);
}

int config_read(const struct config_sources *sources, struct config **ret, struct error *err)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config || !(config->arena = arena_create())) {
        free(config);
        return error_set(err, BURROW_ENOMEM, "out of memory");
    }
    config->magic = CONFIG_MAGIC;
    config->sources = *sources;
    if (read_file(config, err) != 0 || read_plugin_flags(config, err) != 0 ||
        list_plugins(config, err) != 0) {
        config_destroy(config);
        return err->code;
    }
    *ret = config;
    return 0;
}

void config_destroy(struct config *config)
{
    if (!config)
        return;
    must_be(config, CONFIG_MAGIC);
    arena_destroy(config->arena);
    free(config->secrets);
    config->magic = 0;
    free(config);
}

const struct config_plugin *config_plugins(const struct config *config, size_t *ret_n)
{
    must_be(config, CONFIG_MAGIC);
    *ret_n = config->plugin_count;
    return config->plugins;
}

const char *config_closed_file(const struct config *config)
{
    must_be(config, CONFIG_MAGIC);
    return config->file.closed;
}

const char *const *config_arguments(const struct config *config, size_t *ret_n)
{
    must_be(config, CONFIG_MAGIC);
    *ret_n = config->argument_count;
    return config->arguments;
}

const char *const *config_warnings(const struct config *config, size_t *ret_n)
{
    must_be(config, CONFIG_MAGIC);
    *ret_n = config->warning_count;
    return config->warnings;
}

void config_warn(struct config *config, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (config->warning_count == CONFIG_WARNINGS_MAX)
        return;
    const char *copy = arena_copy(config->arena, text, strlen(text));
    if (copy)
        config->warnings[config->warning_count++] = copy;
}

int config_note_secret(struct config *config, char *text, struct error *err)
{
    if (config->secret_count == config->secret_room) {
        size_t room = config->secret_room * 2 + 8, bytes;
        char **more =
            checked_mul_size(room, sizeof *more, &bytes) ? realloc(config->secrets, bytes) : NULL;
        if (!more)
            return error_set(err, BURROW_ENOMEM, "out of memory");
        config->secrets = more;
        config->secret_room = room;
    }
    config->secrets[config->secret_count++] = text;
    return 0;
}

/* Only the bytes are changed, not the strings' lengths: the kernel shows argv and
 * environment as one run of memory. */
void config_wipe_sources(struct config *config)
{
    must_be(config, CONFIG_MAGIC);
    for (size_t i = 0; i < config->secret_count; i++)
        memset(config->secrets[i], '*', strlen(config->secrets[i]));
    config->secret_count = 0;
}

void plugin_short_name(const char *name, char *buf, size_t size)
{
    const char *slash = strrchr(name, '/');
    snprintf(buf, size, "%s", slash ? slash + 1 : name);
    size_t n = strlen(buf);
    if (slash && n > 3 && strcmp(buf + n - 3, ".so") == 0)
        buf[n - 3] = '\0';
}
