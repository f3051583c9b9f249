/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The YAML file: top-level keys with a value or a list of values, and `plugins:`, a list
 * of names or of `name: {option: value}`.
 *
 * It is read event by event, so that a hostile file costs no more than its own size: what
 * has no place here (aliases, tags, deeper nesting, a second document) ends the reading at
 * its first event.
 */
#include "config/sources.h"
#include "config/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define FILE_MAX (1024u * 1024u)
#define KEYS_MAX 1000u
#define MAP_MAX 2048u /* of a map in a list, as text */

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one, if has_event */
    bool has_event;
    const char *path;
    struct arena *arena;
    struct error *err;
};

#define AT(mark) (unsigned)((mark).line + 1), (unsigned)((mark).column + 1)

static int refuse(struct reader *r, const char *what)
{
    return error_set(r->err, BURROW_EINVAL, "%s:%u:%u: %s", r->path, AT(r->event.start_mark), what);
}

static int no_memory(struct reader *r)
{
    return error_set(r->err, BURROW_ENOMEM, "%s: out of memory", r->path);
}

/* The next event, in r->event. */
static int next(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const char *problem = r->parser.problem ? r->parser.problem : "no valid YAML";
        if (r->parser.error == YAML_READER_ERROR)
            return error_set(r->err, BURROW_EINVAL, "%s: byte %zu: %s; expected UTF-8 text",
                             r->path, r->parser.problem_offset, problem);
        return error_set(r->err, BURROW_EINVAL, "%s:%u:%u: %s", r->path, AT(r->parser.problem_mark),
                         problem);
    }
    r->has_event = true;
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        return refuse(r, "aliases are not allowed here");
    case YAML_SCALAR_EVENT:
        if (r->event.data.scalar.anchor)
            return refuse(r, "anchors are not allowed here");
        if (r->event.data.scalar.tag)
            return refuse(r, "tags are not allowed here");
        if (memchr(r->event.data.scalar.value, 0, r->event.data.scalar.length))
            return refuse(r, "a NUL byte is not allowed here");
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        if (r->event.data.sequence_start.anchor)
            return refuse(r, "anchors are not allowed here");
        return r->event.data.sequence_start.tag ? refuse(r, "tags are not allowed here") : 0;
    case YAML_MAPPING_START_EVENT:
        if (r->event.data.mapping_start.anchor)
            return refuse(r, "anchors are not allowed here");
        return r->event.data.mapping_start.tag ? refuse(r, "tags are not allowed here") : 0;
    default:
        return 0;
    }
}

/* The current scalar, copied; NULL with *ret_null when it is YAML's null. */
static int scalar(struct reader *r, const char **ret, bool *ret_null)
{
    const char *p = (const char *)r->event.data.scalar.value;
    size_t n = r->event.data.scalar.length;
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    *ret_null = plain && (n == 0 || strcmp(p, "~") == 0 || strcmp(p, "null") == 0);
    *ret = arena_copy(r->arena, p, n);
    return *ret ? 0 : no_memory(r);
}

static int add_value(struct reader *r, struct entry_value ***tail)
{
    struct entry_value *value = arena_alloc(r->arena, sizeof *value);
    bool null;
    if (!value)
        return no_memory(r);
    if (scalar(r, &value->text, &null) != 0)
        return r->err->code;
    if (null)
        value->text = NULL;
    value->line = (unsigned)(r->event.start_mark.line + 1);
    value->column = (unsigned)(r->event.start_mark.column + 1);
    **tail = value;
    *tail = &value->next;
    return 0;
}

/* Appends to a text of MAP_MAX bytes; what stands for a comma among pairs is escaped. */
static bool append(char *text, size_t *len, const char *p, bool escape)
{
    for (; *p != '\0'; p++) {
        if (*len + 3 > MAP_MAX)
            return false;
        if (escape && *p == ',')
            text[(*len)++] = '\\';
        text[(*len)++] = *p;
    }
    text[*len] = '\0';
    return true;
}

/* A map of scalars in a list, whose `{` was read, as one text. */
static int add_map(struct reader *r, struct entry_value ***tail)
{
    char text[MAP_MAX];
    size_t len = 0;
    struct entry_value *value = arena_alloc(r->arena, sizeof *value);
    if (!value)
        return no_memory(r);
    value->line = (unsigned)(r->event.start_mark.line + 1);
    value->column = (unsigned)(r->event.start_mark.column + 1);
    value->is_map = true;
    for (bool is_key = true;; is_key = !is_key) {
        if (next(r) != 0)
            return r->err->code;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            break;
        if (r->event.type != YAML_SCALAR_EVENT)
            return refuse(r, "only plain values are allowed in a map of this list");
        if (!append(text, &len, is_key ? "," : "=", false) ||
            !append(text, &len, (const char *)r->event.data.scalar.value, !is_key))
            return refuse(r, "this map is too long");
    }
    value->text = arena_copy(r->arena, text, len);
    if (!value->text)
        return no_memory(r);
    **tail = value;
    *tail = &value->next;
    return 0;
}

/* The value of a key: one scalar, or a list of scalars and of maps of scalars. */
static int read_values(struct reader *r, struct entry *entry)
{
    struct entry_value **tail = &entry->values;
    if (next(r) != 0)
        return r->err->code;
    if (r->event.type == YAML_SCALAR_EVENT)
        return add_value(r, &tail);
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return refuse(r, "a map is not allowed here; expected a value or a list of values");
    entry->is_list = true;
    for (;;) {
        if (next(r) != 0)
            return r->err->code;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        if (r->event.type != YAML_SCALAR_EVENT && r->event.type != YAML_MAPPING_START_EVENT)
            return refuse(r, "only plain values are allowed in this list");
        if (r->event.type == YAML_SCALAR_EVENT ? add_value(r, &tail) != 0 : add_map(r, &tail) != 0)
            return r->err->code;
    }
}

/* The current event is a key: it begins a new entry. */
static int begin_entry(struct reader *r, struct entry **entries, struct entry ***tail, size_t *n,
                       struct entry **ret)
{
    bool null;
    char quoted[TEXT_QUOTED];
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, "a key must be the name of an option");
    struct entry *entry = arena_alloc(r->arena, sizeof *entry);
    if (!entry)
        return no_memory(r);
    if (scalar(r, &entry->key, &null) != 0)
        return r->err->code;
    entry->line = (unsigned)(r->event.start_mark.line + 1);
    entry->column = (unsigned)(r->event.start_mark.column + 1);
    const struct entry *first = entry_find(*entries, entry->key);
    if (first)
        return error_set(r->err, BURROW_EINVAL, "%s:%u:%u: %s is there twice, first in line %u",
                         r->path, entry->line, entry->column,
                         option_quote(entry->key, quoted, sizeof quoted), first->line);
    if (++*n > KEYS_MAX)
        return refuse(r, "there are more than 1000 keys");
    **tail = entry;
    *tail = &entry->next;
    *ret = entry;
    return 0;
}

/* The map of options behind a plugin's name, or nothing. */
static int read_item_options(struct reader *r, struct item *item)
{
    struct entry **tail = &item->entries, *entry;
    size_t n = 0;
    if (next(r) != 0)
        return r->err->code;
    if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
        return 0;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, "expected the plugin's options, as `option: value`");
    for (;;) {
        if (next(r) != 0)
            return r->err->code;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (begin_entry(r, &item->entries, &tail, &n, &entry) != 0 || read_values(r, entry) != 0)
            return r->err->code;
    }
}

static int read_item(struct reader *r, struct item *item)
{
    bool null, is_map = r->event.type == YAML_MAPPING_START_EVENT;
    if (is_map && next(r) != 0)
        return r->err->code;
    item->line = (unsigned)(r->event.start_mark.line + 1);
    item->column = (unsigned)(r->event.start_mark.column + 1);
    if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.length == 0)
        return refuse(r, "expected the name of a plugin, or `name: {option: value}`");
    if (scalar(r, &item->name, &null) != 0)
        return r->err->code;
    if (!is_map)
        return 0;
    if (read_item_options(r, item) != 0 || next(r) != 0)
        return r->err->code;
    if (r->event.type != YAML_MAPPING_END_EVENT)
        return refuse(r, "one item names one plugin; expected `- ` before the next (options are "
                         "indented deeper than the name)");
    return 0;
}

static int read_items(struct reader *r, struct file *file)
{
    struct item **tail = &file->items;
    size_t n = 0;
    if (next(r) != 0)
        return r->err->code;
    if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
        return 0;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return refuse(r, "plugins: expected a list, one `- name` per plugin");
    for (;;) {
        if (next(r) != 0)
            return r->err->code;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        struct item *item = arena_alloc(r->arena, sizeof *item);
        if (!item)
            return no_memory(r);
        if (++n > CONFIG_PLUGINS_MAX)
            return refuse(r, "there are more than 32 plugins");
        if (read_item(r, item) != 0)
            return r->err->code;
        *tail = item;
        tail = &item->next;
    }
}

static int read_top(struct reader *r, struct file *file)
{
    struct entry **tail = &file->entries, *entry;
    size_t n = 0;
    for (;;) {
        if (next(r) != 0)
            return r->err->code;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (begin_entry(r, &file->entries, &tail, &n, &entry) != 0)
            return r->err->code;
        int rc = strcmp(entry->key, "plugins") == 0 ? read_items(r, file) : read_values(r, entry);
        if (rc != 0)
            return rc;
    }
}

static int read_document(struct reader *r, struct file *file)
{
    /* Stream start, then the document's start or, of an empty file, the stream's end. */
    if (next(r) != 0 || next(r) != 0)
        return r->err->code;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return 0;
    if (next(r) != 0)
        return r->err->code;
    if (r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0) {
        /* A document of comments or nothing. */
    } else if (r->event.type != YAML_MAPPING_START_EVENT) {
        return refuse(r, "expected `option: value` lines");
    } else if (read_top(r, file) != 0) {
        return r->err->code;
    }
    if (next(r) != 0 || next(r) != 0) /* the document's end and the stream's */
        return r->err->code;
    return r->event.type == YAML_STREAM_END_EVENT ? 0 : refuse(r, "a second document begins here");
}

static const char *file_sort(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISFIFO(mode) ? "a FIFO"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

/* The whole of a regular file of at most FILE_MAX bytes. */
static int slurp(int fd, struct file *file, char **ret, size_t *ret_n, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return error_set(err, BURROW_EINVAL, "%s: %s", file->path, strerror(errno));
    file->mode = st.st_mode;
    if (!S_ISREG(st.st_mode))
        return error_set(err, BURROW_EINVAL, "%s: is %s; expected a regular file", file->path,
                         file_sort(st.st_mode));
    char *buf = malloc(FILE_MAX + 1);
    if (!buf)
        return error_set(err, BURROW_ENOMEM, "%s: out of memory", file->path);
    size_t n = 0;
    while (n <= FILE_MAX) {
        ssize_t r = read(fd, buf + n, FILE_MAX + 1 - n);
        if (r == 0)
            break;
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0) {
            free(buf);
            return error_set(err, BURROW_EINVAL, "%s: %s", file->path, strerror(errno));
        }
        n += (size_t)r;
    }
    if (n > FILE_MAX) {
        explicit_bzero(buf, n);
        free(buf);
        return error_set(err, BURROW_EINVAL, "%s: is larger than 1 MiB", file->path);
    }
    *ret = buf;
    *ret_n = n;
    return 0;
}

int file_read(const char *path, bool is_default, struct arena *arena, struct file *ret,
              struct error *err)
{
    struct file file = {.path = arena_copy(arena, path, strlen(path))};
    if (!file.path)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    /* O_NONBLOCK: a FIFO must not keep us waiting for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && is_default && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    /* A server's file has secrets, so it may be closed to those who run a client on its host. */
    if (fd < 0 && is_default && errno == EACCES) {
        *ret = (struct file){.closed = file.path};
        return 0;
    }
    if (fd < 0)
        return error_set(err, BURROW_EINVAL, "%s: %s", path, strerror(errno));

    char *text = NULL;
    size_t n = 0;
    int rc = slurp(fd, &file, &text, &n, err);
    close(fd);
    if (rc != 0)
        return rc;

    struct reader r = {.path = file.path, .arena = arena, .err = err};
    if (!yaml_parser_initialize(&r.parser)) {
        rc = error_set(err, BURROW_ENOMEM, "%s: out of memory", path);
    } else {
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
        rc = read_document(&r, &file);
        if (r.has_event)
            yaml_event_delete(&r.event);
        yaml_parser_delete(&r.parser);
    }
    explicit_bzero(text, n);
    free(text);
    if (rc == 0)
        *ret = file;
    return rc;
}

struct entry *entry_find(struct entry *entries, const char *key)
{
    while (entries && strcmp(entries->key, key) != 0)
        entries = entries->next;
    return entries;
}

struct item *item_find(struct item *items, const char *name)
{
    while (items && strcmp(items->name, name) != 0)
        items = items->next;
    return items;
}
