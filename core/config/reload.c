/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps the sources for a second reading, and compares configurations; see reload.h. */
#include "config/reload.h"

#include "base/checked.h"
#include "config/parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- sources ---- */

struct config_sources_copy {
    struct config_sources sources;
    struct arena *arena;
};

/* The texts of a vector that begin with the prefix, copied. */
static char **copy_vector(struct arena *arena, char *const *from, size_t n, const char *prefix,
                          size_t *ret_n)
{
    size_t bytes, kept = 0;
    char **copy = checked_mul_size(n + 1, sizeof *copy, &bytes) ? arena_alloc(arena, bytes) : NULL;
    for (size_t i = 0; copy && i < n; i++) {
        if (strncmp(from[i], prefix, strlen(prefix)) != 0)
            continue;
        copy[kept] = arena_copy(arena, from[i], strlen(from[i]));
        if (!copy[kept++])
            return NULL;
    }
    *ret_n = kept;
    return copy;
}

int config_sources_keep(const struct config_sources *sources, struct config_sources_copy **ret,
                        struct error *err)
{
    struct config_sources_copy *copy = calloc(1, sizeof *copy);
    size_t n = 0, args = (size_t)sources->argc;
    while (sources->envp && sources->envp[n])
        n++;
    if (copy && (copy->arena = arena_create()) != NULL) {
        copy->sources = *sources;
        copy->sources.argv = copy_vector(copy->arena, sources->argv, args, "", &args);
        copy->sources.envp = copy_vector(copy->arena, sources->envp, n, "BURROW_", &n);
    }
    if (!copy || !copy->arena || !copy->sources.argv || !copy->sources.envp) {
        config_sources_free(copy);
        return error_set(err, BURROW_ENOMEM, "out of memory");
    }
    *ret = copy;
    return 0;
}

const struct config_sources *config_sources_kept(const struct config_sources_copy *copy)
{
    return &copy->sources;
}

void config_sources_free(struct config_sources_copy *copy)
{
    if (!copy)
        return;
    arena_destroy(copy->arena);
    free(copy);
}

/* ---- values ---- */

union field {
    const char **text;
    int64_t *number;
    uint8_t *truth;
    struct burrow_secret *secret;
    struct burrow_list *list;
    void *any;
};

static union field field_of(void *values, const struct burrow_option *option)
{
    return (union field){.any = (char *)values + option->offset};
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct burrow_list *a, const struct burrow_list *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_text(a->items[i], b->items[i]))
            return false;
    return true;
}

static bool same_value(const struct burrow_option *option, union field a, union field b)
{
    switch (option->type) {
    case BURROW_OPT_STRING:
    case BURROW_OPT_PATH:
        return same_text(*a.text, *b.text);
    case BURROW_OPT_BOOL:
        return *a.truth == *b.truth;
    case BURROW_OPT_SECRET:
        return a.secret->len == b.secret->len &&
               (a.secret->data == NULL) == (b.secret->data == NULL) &&
               (a.secret->len == 0 || memcmp(a.secret->data, b.secret->data, a.secret->len) == 0);
    case BURROW_OPT_LIST:
        return same_list(a.list, b.list);
    default:
        return *a.number == *b.number;
    }
}

static int copy_text(struct arena *arena, const char *text, const char **ret)
{
    const char *copy = text ? arena_copy(arena, text, strlen(text)) : NULL;
    if (text && !copy)
        return BURROW_ENOMEM;
    *ret = copy;
    return 0;
}

static int copy_list(struct arena *arena, const struct burrow_list *from, struct burrow_list *ret)
{
    const char **items = arena_alloc(arena, (from->count + 1) * sizeof *items);
    for (size_t i = 0; items && i < from->count; i++)
        if (copy_text(arena, from->items[i], &items[i]) != 0)
            return BURROW_ENOMEM;
    if (!items)
        return BURROW_ENOMEM;
    *ret = (struct burrow_list){items, from->count};
    return 0;
}

static int copy_value(struct arena *arena, const struct burrow_option *option, union field from,
                      union field to)
{
    switch (option->type) {
    case BURROW_OPT_STRING:
    case BURROW_OPT_PATH:
        return copy_text(arena, *from.text, to.text);
    case BURROW_OPT_BOOL:
        *to.truth = *from.truth;
        return 0;
    case BURROW_OPT_SECRET: {
        char *copy = from.secret->data
                         ? arena_copy(arena, (const char *)from.secret->data, from.secret->len)
                         : NULL;
        if (from.secret->data && !copy)
            return BURROW_ENOMEM;
        *to.secret = (struct burrow_secret){(const uint8_t *)copy, from.secret->len};
        return 0;
    }
    case BURROW_OPT_LIST:
        return copy_list(arena, from.list, to.list);
    default:
        *to.number = *from.number;
        return 0;
    }
}

int config_keep(struct config *config, const struct config_group *group, const void *old,
                void *fresh, bool with_all, config_changed_fn *fn, void *arg)
{
    union {
        const void *in;
        void *out; /* only read */
    } before = {.in = old};
    int changed = 0;
    for (const struct burrow_option *o = group->options; o && o->name; o++) {
        union field was = field_of(before.out, o), is = field_of(fresh, o);
        char name[FULL_NAME];
        if ((!with_all && (o->flags & BURROW_OPT_RELOADABLE)) || same_value(o, was, is))
            continue;
        if (copy_value(config->arena, o, was, is) != 0)
            return BURROW_ENOMEM;
        changed++;
        fn(arg, full_name(group, o, name, sizeof name));
    }
    return changed;
}
