/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches what is published, and tells the core when others have deleted or changed it. What is
 * seen is compared with what should be there, so that our own writes are no change; what another
 * replica keeps is that one's business.
 */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1 /* running out of memory is seen, and no exit() */
#include <uthash.h>

/* What a client's objects should be, since the core asked for them. */
struct kept {
    UT_hash_handle hh;
    struct wanted wanted;
    bool seen[WATCHED_KINDS]; /* in the list that is being read */
};

/* An object as it is seen should be the one that this makes of it. A new reference. */
typedef json_t *make_fn(const struct registry *r, const struct wanted *wanted, const json_t *seen);
/* The name of the pod that the object says it leads to, "" if it does not say. */
typedef const char *keeper_fn(const json_t *seen);

static json_t *make_service(const struct registry *r, const struct wanted *w, const json_t *seen)
{
    return service_object(w, seen, r->slices ? NULL : r->selector, &r->holder);
}

static json_t *make_slice(const struct registry *r, const struct wanted *w, const json_t *seen)
{
    return slice_object(w, seen, NULL, &r->holder);
}

static const struct {
    const char *prefix, *kind;
    make_fn *make;
    keeper_fn *keeper;
} kinds[WATCHED_KINDS] = {
    [WATCHED_SERVICES] = {"/api/v1", "services" OURS, make_service, holder_of},
    [WATCHED_SLICES] = {"/apis/discovery.k8s.io/v1", "endpointslices" OURS, make_slice, target_of},
};

/* ---- what should be there ---- */

static struct kept *find(const struct registry *r, const char *name)
{
    struct kept *k;
    HASH_FIND_STR(r->kept, name, k);
    return k;
}

void changes_expect(struct registry *r, const struct wanted *wanted)
{
    struct kept *k = find(r, wanted->name);
    if (k == NULL) {
        k = calloc(1, sizeof *k);
        if (k == NULL)
            return; /* its changes are not seen */
        k->wanted = *wanted;
        HASH_ADD_STR(r->kept, wanted.name, k);
        if (k->hh.tbl == NULL)
            free(k);
        return;
    }
    k->wanted = *wanted;
}

void changes_forget(struct registry *r, const char *name)
{
    struct kept *k = find(r, name);
    if (k == NULL)
        return;
    HASH_DEL(r->kept, k);
    free(k);
}

/* ---- what is there ---- */

static bool is_kept_elsewhere(const struct registry *r, const char *keeper)
{
    return *keeper != '\0' && r->holder.pod[0] != '\0' && strcmp(keeper, r->holder.pod) != 0;
}

static void on_seen(struct watched *w, bool deleted, const json_t *object)
{
    struct registry *r = w->registry;
    const json_t *metadata = json_object_get(object, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    struct kept *k = name != NULL ? find(r, name) : NULL;
    if (k == NULL)
        return;
    k->seen[w->kind] = true;
    if (is_kept_elsewhere(r, kinds[w->kind].keeper(object)))
        return;
    json_t *made = deleted ? NULL : kinds[w->kind].make(r, &k->wanted, object);
    bool right = made != NULL && is_the_same(made, object);
    json_decref(made);
    if (!right)
        r->core->changed(r->core->self, k->wanted.client_id);
}

static void on_event(void *arg, const char *type, const json_t *object)
{
    struct watched *w = arg;
    struct registry *r = w->registry;
    struct kept *k, *next;
    must(r->magic == REGISTRY_MAGIC);
    w->troubled = false;
    if (object != NULL) {
        on_seen(w, strcmp(type, "DELETED") == 0, object);
        return;
    }
    bool begins = strcmp(type, "LIST") == 0;
    HASH_ITER(hh, r->kept, k, next)
    {
        if (begins)
            k->seen[w->kind] = false;
        else if (!k->seen[w->kind])
            r->core->changed(r->core->self, k->wanted.client_id);
    }
}

static void on_trouble(void *arg, int status, const char *error)
{
    struct watched *w = arg;
    struct registry *r = w->registry;
    const char *what = w->kind == WATCHED_SERVICES ? "services" : "endpointslices";
    must(r->magic == REGISTRY_MAGIC);
    if (status == 403 && !w->refused)
        burrow_log(r->host, BURROW_LOG_WARN,
                   "%s that others delete or change are put right only when their client registers "
                   "again; the Role needs the verbs list and watch for %s: %s",
                   what, what, error);
    else if (status != 403 && !w->troubled)
        burrow_log(r->host, BURROW_LOG_WARN, "the watch of %s is interrupted: %s", what, error);
    w->refused |= status == 403;
    w->troubled = true;
}

/* ---- the watches ---- */

void changes_begin(struct registry *r)
{
    char path[KUBE_MAX_PATH];
    if (!BURROW_HAS(r->core, changed))
        return; /* the core would not hear of it */
    for (int kind = 0; kind < WATCHED_KINDS; kind++) {
        struct watched *w = &r->watched[kind];
        w->registry = r;
        w->kind = kind;
        if (kind == WATCHED_SLICES && !r->slices)
            continue;
        kube_path(path, kinds[kind].prefix, r->name_space, kinds[kind].kind, NULL);
        if (kube_watch(r->client, path, on_event, on_trouble, w, &w->watch) != BURROW_OK)
            on_trouble(w, 0, "out of memory");
    }
}

void changes_end_slices(struct registry *r)
{
    kube_watch_stop(r->watched[WATCHED_SLICES].watch);
    r->watched[WATCHED_SLICES].watch = NULL;
}

void changes_end(struct registry *r)
{
    struct kept *k, *next;
    for (int kind = 0; kind < WATCHED_KINDS; kind++) {
        kube_watch_stop(r->watched[kind].watch);
        r->watched[kind].watch = NULL;
    }
    HASH_ITER(hh, r->kept, k, next)
    {
        HASH_DEL(r->kept, k);
        free(k);
    }
}
