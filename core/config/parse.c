/* SPDX-License-Identifier: Apache-2.0 */
/* The second pass: every option of every group gets its value from the highest source that
 * has one. */
#include "config/parse.h"

#include "base/checked.h"
#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *full_name(const struct config_group *group, const struct burrow_option *option,
                      char *buf, size_t size)
{
    if (group->prefixed)
        snprintf(buf, size, "%s.%s", group->plugin, option->name);
    else
        snprintf(buf, size, "%s", option->name);
    return buf;
}

const struct burrow_option *parse_find(const struct parse *parse, const char *name)
{
    char full[FULL_NAME];
    for (size_t g = 0; g < parse->group_count; g++)
        for (const struct burrow_option *o = parse->groups[g].options; o && o->name; o++)
            if (strcmp(full_name(&parse->groups[g], o, full, sizeof full), name) == 0)
                return o;
    return NULL;
}

/* A bare name in several groups must mean the same everywhere. */
static int check_types(struct parse *parse)
{
    for (size_t g = 0; g < parse->group_count; g++) {
        const struct config_group *group = &parse->groups[g];
        for (const struct burrow_option *o = group->options; o && o->name; o++) {
            const struct burrow_option *first = group->prefixed ? o : parse_find(parse, o->name);
            if (first && first->type != o->type)
                return error_set(parse->err, BURROW_EINVAL,
                                 "--%s: has another type in %s than elsewhere; the plugins do not "
                                 "fit together",
                                 o->name, group->title);
        }
    }
    return 0;
}

static int option_error(struct parse *parse, const char *name, const char *what)
{
    char variable[FULL_NAME + 8];
    return error_set(parse->err, BURROW_EINVAL, "--%s (%s): %s", name,
                     option_variable(name, variable, sizeof variable), what);
}

static int take_word(struct parse *parse, char *word)
{
    char quoted[TEXT_QUOTED];
    struct config *config = parse->config;
    if (!parse->others->arguments) {
        bool truth = text_in_choices(word, "true|false|yes|no|on|off|0|1");
        return error_set(parse->err, BURROW_EINVAL, "%s: unexpected argument; expected %s",
                         option_quote(word, quoted, sizeof quoted),
                         truth ? "the form --option=true" : "only options, as in --help");
    }
    config->arguments[config->argument_count++] = word;
    return 0;
}

static int take_flag(struct parse *parse, struct flag_reader *reader, const struct flag *flag)
{
    struct found found = {arena_copy(parse->config->arena, flag->name, flag->name_len), NULL};
    if (!found.name)
        return error_set(parse->err, BURROW_ENOMEM, "out of memory");
    const struct burrow_option *option = flag->dashed ? NULL : parse_find(parse, found.name);
    if (!option)
        return unknown_flag(parse, found.name, flag->dashed,
                            flag->dashed ? NULL : flag_value(reader, flag));
    found.value = option->type == BURROW_OPT_BOOL ? flag->value : flag_value(reader, flag);
    if (!found.value && option->type != BURROW_OPT_BOOL) {
        char expected[256], text[300];
        snprintf(text, sizeof text, "has no value; expected %s",
                 option_expected(option, expected, sizeof expected));
        return option_error(parse, found.name, text);
    }
    if (option->type == BURROW_OPT_SECRET &&
        config_note_secret(parse->config, found.value, parse->err) != 0)
        return parse->err->code;
    parse->flags[parse->flag_count++] = found;
    return 0;
}

static int read_flags(struct parse *parse)
{
    struct config *config = parse->config;
    struct flag_reader reader = {.sources = &config->sources};
    struct flag flag;
    size_t n = (size_t)config->sources.argc + 1, bytes;

    if (!checked_mul_size(n, sizeof *parse->flags, &bytes))
        return error_set(parse->err, BURROW_ENOMEM, "out of memory");
    parse->flags = arena_alloc(config->arena, bytes);
    config->arguments = arena_alloc(config->arena, n * sizeof(char *));
    config->argument_count = 0;
    if (!parse->flags || !config->arguments)
        return error_set(parse->err, BURROW_ENOMEM, "out of memory");
    while (flag_next(&reader, &flag) != FLAG_END) {
        int rc = flag.kind == FLAG_WORD ? take_word(parse, flag.value)
                                        : take_flag(parse, &reader, &flag);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* The texts of one option in one source; where they stood, for the error. */
#define TEXTS_MAX 256
struct texts {
    const char *items[TEXTS_MAX];
    size_t n;
    bool too_many;
    const struct entry_value *first, *map; /* in the file */
};

static void add_text(struct texts *texts, const struct burrow_option *option, const char *text)
{
    if (!text || (*text == '\0' && (option->flags & OPTION_EMPTY_IS_VALUE) == 0))
        return;
    /* Of a repeated flag the last counts, so that scripts can append theirs. */
    if (option->type != BURROW_OPT_LIST)
        texts->n = 0;
    if (texts->n == TEXTS_MAX)
        texts->too_many = true;
    else
        texts->items[texts->n++] = text;
}

/* What stands with the plugin's name or in the file: every value counts, so that a list
 * where one value belongs is refused. */
static void add_entry(struct texts *texts, const struct entry *entry)
{
    for (const struct entry_value *v = entry ? entry->values : NULL; v; v = v->next) {
        if (!v->text)
            continue;
        if (texts->n == 0)
            texts->first = v;
        if (v->is_map)
            texts->map = v;
        if (texts->n == TEXTS_MAX)
            texts->too_many = true;
        else
            texts->items[texts->n++] = v->text;
    }
}

static int add_variable(struct parse *parse, struct texts *texts,
                        const struct burrow_option *option, char *value)
{
    if (value && option->type == BURROW_OPT_SECRET && *value &&
        config_note_secret(parse->config, value, parse->err) != 0)
        return parse->err->code;
    if (!value || option->type != BURROW_OPT_LIST) {
        add_text(texts, option, value);
        return 0;
    }
    for (const char *p = value; *p;) {
        char *out = arena_alloc(parse->config->arena, strlen(p) + 1);
        size_t n = 0;
        if (!out)
            return error_set(parse->err, BURROW_ENOMEM, "out of memory");
        for (; *p && *p != ','; p++) {
            p += p[0] == '\\' && p[1] == ',';
            out[n++] = *p;
        }
        p += *p == ',';
        add_text(texts, option, out);
    }
    return 0;
}

static int set_from(struct parse *parse, const struct burrow_option *option, void *values,
                    const struct texts *texts)
{
    if (texts->too_many)
        return error_set(parse->err, BURROW_EINVAL, "has more than %d values", TEXTS_MAX);
    return option_set(option, values, parse->config->arena, texts->items, texts->n, parse->err);
}

/* Behind --plugin NAME. 1: it has the option. */
static int from_item(struct parse *parse, const struct config_group *group,
                     const struct burrow_option *option, void *values)
{
    struct texts texts = {.n = 0};
    const struct item *item = group_item(parse->config->flag_items, group);
    const struct entry *entry = item ? entry_find(item->entries, option->name) : NULL;
    for (struct entry_value *v = entry ? entry->values : NULL; v; v = v->next)
        if (option->type == BURROW_OPT_SECRET && v->source &&
            config_note_secret(parse->config, v->source, parse->err) != 0)
            return parse->err->code;
    add_entry(&texts, entry);
    if (texts.n == 0 ||
        (texts.n == 1 && *texts.items[0] == '\0' && (option->flags & OPTION_EMPTY_IS_VALUE) == 0))
        return 0;
    if (set_from(parse, option, values, &texts) == 0)
        return 1;
    return error_prefix(parse->err, "--plugin %s (BURROW_PLUGINS): option %s", group->plugin,
                        option->name);
}

/* The flag of its own, then the variable. 1: one of them has it. */
static int from_flag_or_variable(struct parse *parse, const struct burrow_option *option,
                                 const char *name, void *values)
{
    struct texts texts = {.n = 0};
    char variable[FULL_NAME + 8];
    option_variable(name, variable, sizeof variable);
    for (size_t i = 0; i < parse->flag_count; i++)
        if (strcmp(parse->flags[i].name, name) == 0)
            add_text(&texts, option, parse->flags[i].value ? parse->flags[i].value : "true");
    char *value = environ_find(parse->config->sources.envp, variable);
    if (texts.n == 0 && !texts.too_many) {
        if (add_variable(parse, &texts, option, value) != 0)
            return parse->err->code;
    } else if (value && *value && option->type == BURROW_OPT_SECRET &&
               config_note_secret(parse->config, value, parse->err) != 0) {
        return parse->err->code;
    }
    if (texts.n == 0)
        return 0;
    if (set_from(parse, option, values, &texts) == 0)
        return 1;
    return error_prefix(parse->err, "--%s (%s)", name, variable);
}

/* In the plugin's item of the file, else at its top level. 1: one of them has it. */
static int from_file(struct parse *parse, const struct config_group *group,
                     const struct burrow_option *option, const char *name, void *values)
{
    struct texts texts = {.n = 0};
    const struct file *file = &parse->config->file;
    const struct item *item = group_item(file->items, group);
    add_entry(&texts, item ? entry_find(item->entries, option->name) : NULL);
    if (texts.n == 0)
        add_entry(&texts, entry_find(file->entries, name));
    if (texts.n == 0)
        return 0;
    if (texts.n == 1 && *texts.items[0] == '\0' && (option->flags & OPTION_EMPTY_IS_VALUE) == 0)
        return 0;
    if (texts.map && (option->flags & OPTION_MAPS) == 0)
        return error_set(parse->err, BURROW_EINVAL,
                         "%s:%u:%u: %s: a map is not allowed here; expected a value or a list of "
                         "values",
                         file->path, texts.map->line, texts.map->column, option->name);
    if (set_from(parse, option, values, &texts) == 0)
        return 1;
    return error_prefix(parse->err, "%s:%u:%u: %s", file->path, texts.first->line,
                        texts.first->column, option->name);
}

static int set_option(struct parse *parse, const struct config_group *group,
                      const struct burrow_option *option, void *values)
{
    char name[FULL_NAME], expected[256], text[400];
    full_name(group, option, name, sizeof name);
    if (strcmp(name, "plugin") == 0)
        return 0; /* the list of plugins, which the first pass has read */
    int rc = from_item(parse, group, option, values);
    if (rc == 0)
        rc = from_flag_or_variable(parse, option, name, values);
    if (rc == 0)
        rc = from_file(parse, group, option, name, values);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (option->def) {
        rc = option_set(option, values, parse->config->arena, &option->def, 1, parse->err);
        return rc == 0 ? 0 : error_prefix(parse->err, "--%s: its default", name);
    }
    if ((option->flags & BURROW_OPT_REQUIRED) == 0)
        return 0;
    snprintf(text, sizeof text, "is required%s%s; expected %s", group->plugin ? " by " : "",
             group->plugin ? group->plugin : "",
             option_expected(option, expected, sizeof expected));
    return option_error(parse, name, text);
}

int config_parse(struct config *config, const struct config_group *groups, size_t n,
                 const struct config_others *others, void **ret_values, struct error *err)
{
    struct parse parse = {config, groups, n, others, err, NULL, 0};
    if (check_types(&parse) != 0 || read_flags(&parse) != 0 || check_file_keys(&parse) != 0 ||
        check_item_keys(&parse) != 0)
        return err->code;
    void **values = arena_alloc(config->arena, (n + 1) * sizeof *values);
    if (!values)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    for (size_t g = 0; g < n; g++) {
        values[g] = arena_alloc(config->arena, groups[g].config_size + 1);
        if (!values[g])
            return error_set(err, BURROW_ENOMEM, "out of memory");
        for (const struct burrow_option *o = groups[g].options; o && o->name; o++)
            if (set_option(&parse, &groups[g], o, values[g]) != 0)
                return err->code;
    }
    check_variables(&parse);
    memcpy(ret_values, values, n * sizeof *values);
    return 0;
}
