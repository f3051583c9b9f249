/* SPDX-License-Identifier: Apache-2.0 */
/* Looks an option table over before it is used: its author may have got it wrong. */
#include "config/arena.h"
#include "config/option.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_COUNT_MAX 256
#define OPTION_NAME_MAX 48

/* Size and alignment of the field, by type. */
static const struct {
    size_t size, align;
} fields[] = {
    [BURROW_OPT_STRING] = {sizeof(char *), alignof(char *)},
    [BURROW_OPT_INT] = {sizeof(int64_t), alignof(int64_t)},
    [BURROW_OPT_BOOL] = {1, 1},
    [BURROW_OPT_DURATION] = {sizeof(int64_t), alignof(int64_t)},
    [BURROW_OPT_BYTES] = {sizeof(int64_t), alignof(int64_t)},
    [BURROW_OPT_PATH] = {sizeof(char *), alignof(char *)},
    [BURROW_OPT_SECRET] = {sizeof(struct burrow_secret), alignof(struct burrow_secret)},
    [BURROW_OPT_LIST] = {sizeof(struct burrow_list), alignof(struct burrow_list)},
};

static bool good_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= OPTION_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
           name[n - 1] != '-' && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           !strstr(name, "--");
}

static int check_default(const struct burrow_option *o, size_t config_size, struct error *err)
{
    if (!o->def)
        return 0;
    if (o->type == BURROW_OPT_SECRET || o->type == BURROW_OPT_LIST)
        return error_set(err, BURROW_EINVAL, "option %s: its type has no default", o->name);
    if (o->def[0] == '\0' && o->type == BURROW_OPT_STRING)
        return 0;
    struct arena *arena = arena_create();
    void *config = calloc(1, config_size);
    int rc = arena && config ? option_set(o, config, arena, &o->def, 1, err)
                             : error_set(err, BURROW_ENOMEM, "out of memory");
    free(config);
    arena_destroy(arena);
    return rc == 0 ? 0 : error_prefix(err, "option %s: its default", o->name);
}

static int check_option(const struct burrow_option *o, size_t config_size, struct error *err)
{
    if (!good_name(o->name))
        return error_set(err, BURROW_EINVAL,
                         "an option's name is not lower-case-with-hyphens of at most %d letters",
                         OPTION_NAME_MAX);
    if (o->type == 0 || o->type >= sizeof fields / sizeof fields[0])
        return error_set(err, BURROW_EINVAL, "option %s: type %u is unknown", o->name, o->type);
    size_t size = fields[o->type].size;
    if (o->offset > config_size || config_size - o->offset < size)
        return error_set(err, BURROW_EINVAL, "option %s: its field lies outside the config struct",
                         o->name);
    if (o->offset % fields[o->type].align != 0)
        return error_set(err, BURROW_EINVAL, "option %s: its field is not aligned", o->name);
    if (!o->help)
        return error_set(err, BURROW_EINVAL, "option %s: it has no help", o->name);
    if (o->max < o->min)
        return error_set(err, BURROW_EINVAL, "option %s: its range is empty", o->name);
    return check_default(o, config_size, err);
}

/* Two options must neither share a name nor overlap in the struct. */
static int check_pair(const struct burrow_option *a, const struct burrow_option *b,
                      struct error *err)
{
    if (strcmp(a->name, b->name) == 0)
        return error_set(err, BURROW_EINVAL, "option %s is there twice", a->name);
    if (a->offset < b->offset + fields[b->type].size &&
        b->offset < a->offset + fields[a->type].size)
        return error_set(err, BURROW_EINVAL, "options %s and %s share a field", a->name, b->name);
    return 0;
}

int option_table_check(const struct burrow_option *options, size_t config_size, struct error *err)
{
    for (size_t i = 0; options && options[i].name; i++) {
        if (i == OPTION_COUNT_MAX)
            return error_set(err, BURROW_EINVAL, "the option table has more than %d rows or no end",
                             OPTION_COUNT_MAX);
        int rc = check_option(&options[i], config_size, err);
        for (size_t j = 0; rc == 0 && j < i; j++)
            rc = check_pair(&options[j], &options[i], err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

const struct burrow_option *option_find(const struct burrow_option *options, const char *name)
{
    for (; options && options->name; options++)
        if (strcmp(options->name, name) == 0)
            return options;
    return NULL;
}
