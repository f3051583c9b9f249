/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pod this server is, and which Deployment it belongs to. POD_NAME and POD_IP come from the
 * downward API; the owners are asked for. What the Role does not allow is said once and done
 * without.
 */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ATTEMPTS 5u

static void settle(struct registry *r)
{
    const char *endpoints = r->settings->endpoints;
    bool known = r->holder.pod[0] != '\0' && r->holder.address[0] != '\0';
    r->slices = known && strcmp(endpoints, "selector") != 0;
    if (!known && strcmp(endpoints, "slice") == 0)
        burrow_log(
            r->host, BURROW_LOG_WARN,
            "kube-endpoints=slice needs POD_NAME and POD_IP in the environment; Services have "
            "the selector instead");
    r->identified = true;
    changes_begin(r);
    operations_go(r);
}

static void ask(struct registry *r, const char *prefix, const char *kind, const char *name,
                kube_done_fn *done)
{
    char path[KUBE_MAX_PATH];
    const struct kube_ask get = {
        .method = "GET",
        .path = kube_path(path, prefix, r->config.name_space, kind, name),
        .attempts = ATTEMPTS,
        .done = done,
        .arg = r,
    };
    if (kube_call(r->client, &get, &r->identifying) != BURROW_OK)
        settle(r);
}

/* The controlling owner of this kind, as an entry of ownerReferences. Borrowed. */
static const json_t *owner_of(const json_t *object, const char *kind)
{
    const json_t *owners = json_object_get(json_object_get(object, "metadata"), "ownerReferences");
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i);
        const char *its = json_string_value(json_object_get(owner, "kind"));
        if (its != NULL && strcmp(its, kind) == 0)
            return owner;
    }
    return NULL;
}

static json_t *reference(const json_t *owner)
{
    json_t *ref = json_object();
    static const char *const names[] = {"apiVersion", "kind", "name", "uid"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_object_set(ref, names[i], json_object_get(owner, names[i]));
    return ref;
}

static void say_missing(struct registry *r, const char *what, const char *error)
{
    burrow_log(r->host, BURROW_LOG_WARN,
               "cannot read %s of this server, so that Services are not removed with it: %s", what,
               error != NULL ? error : "it has no owner of that kind");
}

static void on_replica_set(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct registry *r = arg;
    (void)status;
    r->identifying = NULL;
    const json_t *deployment = result == BURROW_OK ? owner_of(body, "Deployment") : NULL;
    if (deployment != NULL) {
        r->owner = reference(deployment);
        r->holder.owner = r->owner;
        json_decref(r->about);
        r->about = json_incref(r->owner);
    } else {
        say_missing(r, "the ReplicaSet", error);
    }
    settle(r);
}

static void on_pod(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct registry *r = arg;
    (void)status;
    r->identifying = NULL;
    if (result != BURROW_OK) {
        /* A Role for Services alone, as Burrow 0.5 has it: one replica, found by the selector. */
        say_missing(r, "the pod", error);
        r->holder.address[0] = '\0';
        settle(r);
        return;
    }
    const char *uid = json_string_value(json_object_get(json_object_get(body, "metadata"), "uid"));
    r->about = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", "v1", "kind", "Pod", "name",
                         r->holder.pod, "uid", uid != NULL ? uid : "");
    const json_t *set = owner_of(body, "ReplicaSet");
    const char *name = json_string_value(json_object_get(set, "name"));
    if (name != NULL)
        ask(r, "/apis/apps/v1", "replicasets", name, on_replica_set);
    else
        settle(r);
}

void identify(struct registry *r)
{
    const char *pod = getenv("POD_NAME"), *address = getenv("POD_IP");
    snprintf(r->holder.pod, sizeof r->holder.pod, "%s", pod != NULL ? pod : "");
    snprintf(r->holder.address, sizeof r->holder.address, "%s", address != NULL ? address : "");
    if (r->holder.pod[0] != '\0')
        ask(r, "/api/v1", "pods", r->holder.pod, on_pod);
    else
        settle(r);
}

void identity_cancel(struct registry *r)
{
    kube_cancel(r->identifying);
    r->identifying = NULL;
    json_decref(r->owner);
    json_decref(r->about);
    r->owner = r->about = NULL;
    r->holder.owner = NULL;
}
