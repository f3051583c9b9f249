/* SPDX-License-Identifier: Apache-2.0 */
/* Strategic merge patches; see patch.h. */
#include "patch.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32u
#define DIRECTIVE "$patch"
#define RETAIN "$retainKeys"
#define DELETE_FROM "$deleteFromPrimitiveList/"

/* Lists that Kubernetes merges, and by which member ("patchMergeKey" of its types). */
static const struct {
    const char *list, *key;
} merged_lists[] = {
    {"containers", "name"},
    {"initContainers", "name"},
    {"ephemeralContainers", "name"},
    {"env", "name"},
    {"volumes", "name"},
    {"volumeMounts", "mountPath"},
    {"volumeDevices", "devicePath"},
    {"imagePullSecrets", "name"},
    {"hostAliases", "ip"},
    {"topologySpreadConstraints", "topologyKey"},
    {"schedulingGates", "name"},
    {"resourceClaims", "name"},
    {"conditions", "type"},
    {"ownerReferences", "uid"},
};

struct patching {
    bool service;
    char *why;
};

__attribute__((format(printf, 2, 3))) static json_t *refuse(const struct patching *p,
                                                            const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(p->why, PATCH_WHY, format, ap);
    va_end(ap);
    return NULL;
}

static const char *merge_key(const struct patching *p, const char *list)
{
    if (strcmp(list, "ports") == 0)
        return p->service ? "port" : "containerPort";
    for (size_t i = 0; i < sizeof merged_lists / sizeof *merged_lists; i++)
        if (strcmp(list, merged_lists[i].list) == 0)
            return merged_lists[i].key;
    return NULL;
}

static json_t *merge_object(const struct patching *p, const json_t *old, const json_t *patch,
                            unsigned depth);

static const char *directive_of(const json_t *patch)
{
    return json_string_value(json_object_get(patch, DIRECTIVE));
}

static bool is_directive(const json_t *patch, const char *word)
{
    const char *said = directive_of(patch);
    return said && strcmp(said, word) == 0;
}

/* The place of the element with this key's value; the size when there is none. */
static size_t find(const json_t *list, const char *key, const json_t *value)
{
    size_t i = 0, n = json_array_size(list);
    while (i < n && !json_equal(json_object_get(json_array_get(list, i), key), value))
        i++;
    return i;
}

/* Puts `kept` (of the old list only) and `changed` (of the patch) together as Kubernetes does: in
 * the order of the old list where both are of it, else what the patch has first. */
static json_t *interleave(const json_t *old, const json_t *kept, const json_t *changed,
                          const char *key)
{
    json_t *all = json_array();
    size_t i = 0, j = 0, left = json_array_size(kept), right = json_array_size(changed);
    while (i < left || j < right) {
        json_t *l = json_array_get(kept, i), *r = json_array_get(changed, j);
        bool take_left = j == right;
        if (l && r) {
            size_t at = find(old, key, json_object_get(r, key));
            take_left = at < json_array_size(old) && find(old, key, json_object_get(l, key)) < at;
        }
        if (json_array_append(all, take_left ? l : r) < 0) {
            json_decref(all);
            return NULL;
        }
        *(take_left ? &i : &j) += 1;
    }
    return all;
}

/* The list of the patch without its directives, in full. */
static json_t *replacement(const struct patching *p, const json_t *patch, unsigned depth)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < json_array_size(patch); i++) {
        const json_t *item = json_array_get(patch, i);
        json_t *made = is_directive(item, "replace") ? NULL
                       : json_is_object(item)        ? merge_object(p, NULL, item, depth + 1)
                                                     : json_deep_copy(item);
        if (is_directive(item, "replace"))
            continue;
        if (!made || json_array_append_new(list, made) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* One element of the patch: into `changed`, or out of the old list. */
static int merge_element(const struct patching *p, const json_t *old, const json_t *item,
                         const char *key, json_t *gone, json_t *changed, unsigned depth)
{
    const json_t *value = json_object_get(item, key);
    if (!value) {
        refuse(p, "an element of a list that is merged by \"%s\" does not have it", key);
        return -1;
    }
    size_t at = find(old, key, value);
    if (at < json_array_size(old) && json_array_append(gone, json_array_get(old, at)) < 0)
        return -1;
    if (is_directive(item, "delete"))
        return 0;
    json_t *made = merge_object(p, json_array_get(old, at), item, depth + 1);
    return made ? json_array_append_new(changed, made) : -1;
}

static json_t *merge_list(const struct patching *p, const char *name, const json_t *old,
                          const json_t *patch, unsigned depth)
{
    const char *key = merge_key(p, name);
    if (!key || !json_is_array(old))
        old = NULL;
    for (size_t i = 0; i < json_array_size(patch); i++)
        if (is_directive(json_array_get(patch, i), "replace"))
            key = NULL;
    if (!key)
        return replacement(p, patch, depth);
    json_t *gone = json_array(), *changed = json_array(), *kept = json_array(), *all = NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(patch); i++)
        rc = merge_element(p, old, json_array_get(patch, i), key, gone, changed, depth);
    for (size_t i = 0; rc == 0 && i < json_array_size(old); i++) {
        json_t *item = json_array_get(old, i);
        const json_t *value = json_object_get(item, key);
        if (find(gone, key, value) == json_array_size(gone))
            rc = json_array_append(kept, item);
    }
    if (rc == 0)
        all = interleave(old, kept, changed, key);
    json_decref(gone);
    json_decref(changed);
    json_decref(kept);
    return all;
}

/* Takes the values of "$deleteFromPrimitiveList/NAME" out of the list NAME. */
static void delete_from(json_t *made, const char *name, const json_t *values)
{
    json_t *list = json_object_get(made, name);
    for (size_t i = json_array_size(list); i-- > 0;)
        for (size_t j = 0; j < json_array_size(values); j++)
            if (json_equal(json_array_get(list, i), json_array_get(values, j))) {
                json_array_remove(list, i);
                break;
            }
}

/* Only the members that the list names stay. */
static void retain(json_t *made, const json_t *names)
{
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(made, next, key, value)
    {
        bool named = false;
        for (size_t i = 0; i < json_array_size(names); i++) {
            const char *name = json_string_value(json_array_get(names, i));
            named = named || (name && strcmp(name, key) == 0);
        }
        if (!named)
            json_object_del(made, key);
    }
}

static int merge_member(const struct patching *p, json_t *made, const char *key,
                        const json_t *value, unsigned depth)
{
    json_t *old = json_object_get(made, key);
    json_t *next;
    if (strcmp(key, DIRECTIVE) == 0)
        return 0;
    if (strcmp(key, RETAIN) == 0) {
        retain(made, value);
        return 0;
    }
    if (strncmp(key, DELETE_FROM, strlen(DELETE_FROM)) == 0) {
        delete_from(made, key + strlen(DELETE_FROM), value);
        return 0;
    }
    if (key[0] == '$') {
        refuse(p, "the directive \"%.60s\" is not known", key);
        return -1;
    }
    if (json_is_null(value)) {
        json_object_del(made, key);
        return 0;
    }
    if (json_is_object(value))
        next = merge_object(p, json_is_object(old) ? old : NULL, value, depth + 1);
    else if (json_is_array(value))
        next = merge_list(p, key, old, value, depth + 1);
    else
        next = json_deep_copy(value);
    return next ? json_object_set_new(made, key, next) : -1;
}

static json_t *merge_object(const struct patching *p, const json_t *old, const json_t *patch,
                            unsigned depth)
{
    const char *said = directive_of(patch), *key;
    json_t *value;
    if (depth > DEPTH_MAX)
        return refuse(p, "it is deeper than %u levels", DEPTH_MAX);
    if (json_object_get(patch, DIRECTIVE) &&
        (!said || (strcmp(said, "replace") != 0 && strcmp(said, "merge") != 0 &&
                   strcmp(said, "delete") != 0)))
        return refuse(p, "$patch is \"%.40s\"; expected replace, merge or delete",
                      said ? said : "no text");
    if (said && strcmp(said, "delete") == 0)
        return json_object();
    json_t *made =
        old && !(said && strcmp(said, "replace") == 0) ? json_deep_copy(old) : json_object();
    json_t *walked = json_incref((json_t *)(uintptr_t)patch);
    json_object_foreach(walked, key, value)
    {
        if (made && merge_member(p, made, key, value, depth) < 0) {
            json_decref(made);
            made = NULL;
        }
    }
    json_decref(walked);
    return made;
}

json_t *patch_apply(const json_t *object, const json_t *patch, bool service, char why[PATCH_WHY])
{
    const struct patching p = {service, why};
    snprintf(why, PATCH_WHY, "out of memory");
    return merge_object(&p, object, patch, 0);
}
