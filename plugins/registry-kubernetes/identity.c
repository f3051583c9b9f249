/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pod this server is, and which Deployment it belongs to. POD_NAME and POD_IP come from the
 * downward API; the owners are asked for. What the Role does not allow (403), and what is not there
 * (404), is said once and done without. Any other failure says nothing about either: it is asked
 * again for as long as it takes, and operations wait, because a server that guessed would take away
 * what other replicas have published.
 */
#include "kubernetes/transfer.h"
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOON_MS 500u   /* and as much of chance, as often as: */
#define SOON_TRIES 20u /* then more seldom, since each may run a login program */
#define SELDOM_MS 15000u

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

static void begin(void *arg)
{
    struct registry *r = arg;
    must(r->magic == REGISTRY_MAGIC);
    r->identify_timer = NULL;
    identify(r);
}

/* From the beginning after a pause. Without memory for that the core asks again. */
static void again(struct registry *r, const char *error)
{
    if (!r->said_unknown)
        burrow_log(r->host, BURROW_LOG_WARN,
                   "cannot read which pod this server is, nothing is published until then: %s",
                   error);
    r->said_unknown = true;
    uint32_t pause = r->identify_tries < SOON_TRIES ? SOON_MS : SELDOM_MS;
    r->identify_tries++;
    r->identify_timer = r->host->after(r->host->self, pause + kube_jitter(pause), begin, r);
    if (r->identify_timer == NULL)
        operations_fail(r, BURROW_ENOMEM, "out of memory");
}

static void ask(struct registry *r, const char *prefix, const char *kind, const char *name,
                kube_done_fn *done)
{
    char path[KUBE_MAX_PATH];
    const struct kube_ask get = {
        .method = "GET",
        .path = kube_path(path, prefix, r->config.name_space, kind, name),
        .done = done,
        .arg = r,
    };
    if (kube_call(r->client, &get, &r->identifying) != BURROW_OK)
        again(r, "out of memory");
}

static bool is_decided(int result, int status)
{
    return result == BURROW_OK || status == 403 || status == 404;
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

/* NULL: no memory. */
static json_t *reference(const json_t *owner)
{
    json_t *ref = json_object();
    static const char *const names[] = {"apiVersion", "kind", "name", "uid"};
    int rc = ref != NULL ? 0 : -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(owner, names[i]);
        if (value != NULL)
            rc |= json_object_set(ref, names[i], value);
    }
    if (rc == 0)
        return ref;
    json_decref(ref);
    return NULL;
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
    r->identifying = NULL;
    if (!is_decided(result, status)) {
        again(r, error);
        return;
    }
    const json_t *deployment = result == BURROW_OK ? owner_of(body, "Deployment") : NULL;
    if (deployment != NULL) {
        r->owner = reference(deployment);
        if (r->owner == NULL) {
            again(r, "out of memory");
            return;
        }
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
    r->identifying = NULL;
    if (!is_decided(result, status)) {
        again(r, error);
        return;
    }
    if (result != BURROW_OK) {
        /* A Role for Services alone, as Burrow 0.5 has it: one replica, found by the selector. */
        say_missing(r, "the pod", error);
        r->holder.address[0] = '\0';
        settle(r);
        return;
    }
    const char *uid = json_string_value(json_object_get(json_object_get(body, "metadata"), "uid"));
    json_decref(r->about);
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
    if (r->identified || r->identifying != NULL || r->identify_timer != NULL)
        return;
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
    if (r->identify_timer != NULL)
        r->host->cancel(r->identify_timer);
    r->identifying = NULL;
    r->identify_timer = NULL;
    json_decref(r->owner);
    json_decref(r->about);
    r->owner = r->about = NULL;
    r->holder.owner = NULL;
}
