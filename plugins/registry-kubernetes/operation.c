/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish, withdraw and list as conversations with the API. Each step is one call and names the
 * next; a conflict (409) begins the conversation anew, everything else that fails ends it, and the
 * core tries again later.
 *
 *   publish    get Service → create or replace it → (get EndpointSlice → create or replace it)
 *              → (get NetworkPolicy → create or replace it)
 *              a Service with a slice that shall have the selector is deleted and made anew
 *   withdraw   get Service → (get the pod that keeps it) → delete it
 *   list       get all of ours → (get the pods, to see whose keeper is gone)
 *
 * What does not carry our label is never changed.
 */
#include "registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPERATION_MAGIC 0x504f424bu /* "KBOP" in memory order */
#define CONFLICTS_MAX 5u

struct operation {
    uint32_t magic;
    LIST_ENTRY(operation) entry;
    struct registry *registry;
    enum verb verb;
    struct burrow_registry_op *op;
    struct kube_call *call;
    uint32_t conflicts;
    bool begun;
    struct wanted wanted; /* with WITHDRAW only client_id and name */
    json_t *object;       /* the Service as it is; with LIST the list */
};

static void operation_free(struct operation *o)
{
    LIST_REMOVE(o, entry);
    kube_cancel(o->call);
    json_decref(o->object);
    o->magic = 0;
    free(o);
}

static void finish(struct operation *o, int result, const char *reason)
{
    struct registry *r = o->registry;
    struct burrow_registry_op *op = o->op;
    if (result != BURROW_OK)
        r->host->metric_add(r->host->self, METRIC_FAILURES, 1);
    char copy[600];
    snprintf(copy, sizeof copy, "%s", reason != NULL ? reason : "");
    operation_free(o);
    r->core->done(op, result, result != BURROW_OK ? copy : NULL);
}

/* A refusal that a person must mend is told where they would look, besides the log. */
static void refused(struct operation *o, int result, int status, const char *error)
{
    if (status == 403 || status == 422)
        tell_event(o->registry, "ServiceNotPublished", error);
    finish(o, result, error);
}

static void call(struct operation *o, const char *method, const char *prefix, const char *kind,
                 const char *name, const json_t *body, kube_done_fn *done)
{
    char path[KUBE_MAX_PATH];
    struct registry *r = o->registry;
    const struct kube_ask ask = {
        .method = method,
        .path = kube_path(path, prefix, r->name_space, kind, name),
        .body = body,
        .is_list = name == NULL && body == NULL,
        .done = done,
        .arg = o,
    };
    if (body != NULL)
        r->host->metric_add(r->host->self, METRIC_WRITES, 1);
    int rc = kube_call(r->client, &ask, &o->call);
    if (rc != BURROW_OK)
        finish(o, rc, "out of memory");
}

static void begin(struct operation *o);

/* Another was faster, or the object has changed since it was read: from the beginning. */
static bool begin_anew(struct operation *o, int status)
{
    if (status != 409 || ++o->conflicts > CONFLICTS_MAX)
        return false;
    json_decref(o->object);
    o->object = NULL;
    begin(o);
    return true;
}

static struct operation *answered(void *arg)
{
    struct operation *o = arg;
    must(o->magic == OPERATION_MAGIC);
    o->call = NULL;
    return o;
}

/* ---- publish ---- */

static void on_policy_written(void *arg, int result, int status, const json_t *body,
                              const char *error)
{
    struct operation *o = answered(arg);
    (void)body;
    if (result == BURROW_OK)
        finish(o, BURROW_OK, NULL);
    else if (!begin_anew(o, status))
        refused(o, result, status, error);
}

static void on_policy(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    struct registry *r = o->registry;
    const json_t *existing = result == BURROW_OK ? body : NULL;
    if (result != BURROW_OK && status != 404) {
        refused(o, result, status, error);
        return;
    }
    if (existing != NULL && !is_ours(existing)) {
        finish(o, BURROW_EDENIED,
               "there is a NetworkPolicy of the name of the client's Service that is "
               "not ours; it is left alone");
        return;
    }
    json_t *admitted = admitted_pods(r->settings->policy, o->wanted.client_id);
    if (admitted == NULL) {
        finish(o, BURROW_EINVAL, "kube-network-policy makes no label of this client's id");
        return;
    }
    json_t *policy = policy_object(&o->wanted, existing, o->object, r->selector, admitted);
    if (existing != NULL && json_equal(policy, existing))
        finish(o, BURROW_OK, NULL);
    else
        call(o, existing != NULL ? "PUT" : "POST", "/apis/networking.k8s.io/v1", "networkpolicies",
             existing != NULL ? o->wanted.name : NULL, policy, on_policy_written);
    json_decref(policy);
    json_decref(admitted);
}

/* The Service leads to this server; now who may come. */
static void endpoints_are_there(struct operation *o)
{
    if (o->registry->settings->policy != NULL)
        call(o, "GET", "/apis/networking.k8s.io/v1", "networkpolicies", o->wanted.name, NULL,
             on_policy);
    else
        finish(o, BURROW_OK, NULL);
}

static void on_slice_written(void *arg, int result, int status, const json_t *body,
                             const char *error)
{
    struct operation *o = answered(arg);
    (void)body;
    if (result == BURROW_OK)
        endpoints_are_there(o);
    else if (!begin_anew(o, status))
        refused(o, result, status, error);
}

/* Without the right to write EndpointSlices the selector has to lead to this server. */
static void without_slices(struct operation *o, const char *error)
{
    struct registry *r = o->registry;
    if (r->slices)
        burrow_log(r->host, BURROW_LOG_WARN,
                   "no EndpointSlices, Services have the selector instead, which is right for one "
                   "replica only: %s",
                   error);
    r->slices = false;
    changes_end_slices(r);
    json_decref(o->object);
    o->object = NULL;
    begin(o);
}

static void on_slice(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    struct registry *r = o->registry;
    if (status == 403) {
        without_slices(o, error);
        return;
    }
    if (result != BURROW_OK && status != 404) {
        finish(o, result, error);
        return;
    }
    const json_t *existing = result == BURROW_OK ? body : NULL;
    json_t *slice = slice_object(&o->wanted, existing, o->object, &r->holder);
    if (existing != NULL && json_equal(slice, existing))
        endpoints_are_there(o);
    else
        call(o, existing != NULL ? "PUT" : "POST", "/apis/discovery.k8s.io/v1", "endpointslices",
             existing != NULL ? o->wanted.name : NULL, slice, on_slice_written);
    json_decref(slice);
}

/* o->object is the Service as it should be. */
static void service_is_there(struct operation *o)
{
    if (o->registry->slices)
        call(o, "GET", "/apis/discovery.k8s.io/v1", "endpointslices", o->wanted.name, NULL,
             on_slice);
    else
        endpoints_are_there(o);
}

static void on_service_written(void *arg, int result, int status, const json_t *body,
                               const char *error)
{
    struct operation *o = answered(arg);
    if (result != BURROW_OK) {
        if (!begin_anew(o, status))
            refused(o, result, status, error);
        return;
    }
    json_decref(o->object);
    o->object = json_deep_copy(body);
    service_is_there(o);
}

static void foreign(struct operation *o)
{
    struct registry *r = o->registry;
    char text[200];
    snprintf(text, sizeof text,
             "there is a Service %s that is not of this client; it is left alone", o->wanted.name);
    r->host->metric_add(r->host->self, METRIC_FOREIGN, 1);
    if (o->verb == PUBLISH) {
        tell_event(r, "ServiceNotPublished", text);
        finish(o, BURROW_EDENIED, text);
    } else {
        finish(o, BURROW_OK, NULL);
    }
}

static bool is_this_clients(const struct operation *o, const json_t *service)
{
    char id[129], hash[HASH_ROOM];
    return is_ours(service) && client_of(service, id) &&
           (strcmp(id, o->wanted.client_id) == 0 ||
            strcmp(id, client_hash(o->wanted.client_id, hash)) == 0);
}

/* Only the very object that was looked at, unchanged since. */
static void delete_it(struct operation *o, kube_done_fn *done)
{
    const json_t *metadata = json_object_get(o->object, "metadata");
    json_t *preconditions = json_object(), *options = json_object();
    json_object_set(preconditions, "uid", json_object_get(metadata, "uid"));
    json_object_set(preconditions, "resourceVersion", json_object_get(metadata, "resourceVersion"));
    json_object_set_new(options, "preconditions", preconditions);
    call(o, "DELETE", "/api/v1", "services", o->wanted.name, options, done);
    json_decref(options);
}

/* The old Service is gone, and the slice that belonged to it goes with it: a new one with the
 * selector.
 */
static void on_slices_left(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    (void)body;
    if (result != BURROW_OK && status != 404) {
        if (!begin_anew(o, status))
            refused(o, result, status, error);
        return;
    }
    json_decref(o->object);
    o->object = NULL;
    begin(o);
}

static void on_service(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    struct registry *r = o->registry;
    if (result != BURROW_OK && status != 404) {
        refused(o, result, status, error);
        return;
    }
    const json_t *existing = result == BURROW_OK ? body : NULL;
    if (existing != NULL && !is_this_clients(o, existing)) {
        foreign(o);
        return;
    }
    if (existing != NULL && !r->slices && !selects_pods(existing)) {
        o->object = json_deep_copy(existing);
        delete_it(o, on_slices_left);
        return;
    }
    json_t *service =
        service_object(&o->wanted, existing, r->slices ? NULL : r->selector, &r->holder);
    if (existing != NULL && json_equal(service, existing)) {
        o->object = service;
        service_is_there(o);
        return;
    }
    call(o, existing != NULL ? "PUT" : "POST", "/api/v1", "services",
         existing != NULL ? o->wanted.name : NULL, service, on_service_written);
    json_decref(service);
}

/* ---- withdraw ---- */

static void on_deleted(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    (void)body;
    if (result == BURROW_OK || status == 404)
        finish(o, BURROW_OK, NULL);
    else if (!begin_anew(o, status))
        refused(o, result, status, error);
}

static void on_keeper(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    (void)body;
    if (result == BURROW_OK)
        finish(o, BURROW_OK, NULL); /* another replica has the client by now */
    else if (status == 404 || status == 403)
        delete_it(o, on_deleted);
    else
        finish(o, result, error);
}

static bool is_kept_by_another(const struct registry *r, const json_t *service)
{
    const char *keeper = holder_of(service);
    return r->slices && *keeper != '\0' && strcmp(keeper, r->holder.pod) != 0;
}

static void on_service_to_delete(void *arg, int result, int status, const json_t *body,
                                 const char *error)
{
    struct operation *o = answered(arg);
    if (status == 404) {
        finish(o, BURROW_OK, NULL);
    } else if (result != BURROW_OK) {
        refused(o, result, status, error);
    } else if (!is_this_clients(o, body)) {
        foreign(o);
    } else {
        o->object = json_deep_copy(body);
        if (is_kept_by_another(o->registry, o->object))
            call(o, "GET", "/api/v1", "pods", holder_of(o->object), NULL, on_keeper);
        else
            delete_it(o, on_deleted);
    }
}

/* ---- list ---- */

static bool is_among(const json_t *pods, const char *name)
{
    const json_t *items = json_object_get(pods, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *metadata = json_object_get(json_array_get(items, i), "metadata");
        const char *its = json_string_value(json_object_get(metadata, "name"));
        if (its != NULL && strcmp(its, name) == 0)
            return true;
    }
    return false;
}

/* pods: NULL when there are none that could keep a Service. */
static void tell_list(struct operation *o, const json_t *pods)
{
    struct registry *r = o->registry;
    const json_t *items = json_object_get(o->object, "items");
    char id[129];
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *service = json_array_get(items, i);
        bool kept = is_kept_by_another(r, service) && is_among(pods, holder_of(service));
        if (is_ours(service) && client_of(service, id) && !kept)
            r->core->listed(o->op, id);
    }
    finish(o, BURROW_OK, NULL);
}

static void on_pods(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    if (result == BURROW_OK)
        tell_list(o, body);
    else
        refused(o, result, status, error);
}

static void on_services(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = answered(arg);
    if (result != BURROW_OK) {
        refused(o, result, status, error);
        return;
    }
    o->object = json_deep_copy(body);
    const json_t *items = json_object_get(o->object, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        if (is_kept_by_another(o->registry, json_array_get(items, i))) {
            call(o, "GET", "/api/v1", "pods", NULL, NULL, on_pods);
            return;
        }
    }
    tell_list(o, NULL);
}

/* ---- the three ---- */

static void begin(struct operation *o)
{
    o->begun = true;
    switch (o->verb) {
    case PUBLISH:
        call(o, "GET", "/api/v1", "services", o->wanted.name, NULL, on_service);
        break;
    case WITHDRAW:
        call(o, "GET", "/api/v1", "services", o->wanted.name, NULL, on_service_to_delete);
        break;
    case LIST:
        call(o, "GET", "/api/v1", "services" OURS, NULL, NULL, on_services);
        break;
    }
}

void operation_begin(struct registry *r, enum verb verb, struct burrow_registry_op *op,
                     const struct burrow_publication *publication, const char *client_id)
{
    struct operation *o = calloc(1, sizeof *o);
    if (o == NULL) {
        r->core->done(op, BURROW_ENOMEM, "out of memory");
        return;
    }
    o->magic = OPERATION_MAGIC;
    o->registry = r;
    o->verb = verb;
    o->op = op;
    if (publication != NULL) {
        wanted_from(&o->wanted, publication);
    } else if (client_id != NULL) {
        snprintf(o->wanted.client_id, sizeof o->wanted.client_id, "%s", client_id);
        service_name(client_id, o->wanted.name);
    }
    /* Nothing to lead to: a Service without ports is none. */
    if (verb == PUBLISH && o->wanted.port_count == 0)
        o->verb = WITHDRAW;
    if (o->verb == PUBLISH)
        changes_expect(r, &o->wanted);
    else if (o->verb == WITHDRAW)
        changes_forget(r, o->wanted.name);
    LIST_INSERT_HEAD(&r->operations, o, entry);
    if (r->identified)
        begin(o);
}

void operation_cancel(struct registry *r, const struct burrow_registry_op *op)
{
    struct operation *o;
    LIST_FOREACH(o, &r->operations, entry)
    {
        if (o->op == op) {
            operation_free(o);
            return;
        }
    }
}

void operations_go(struct registry *r)
{
    struct operation *o;
    /* Beginning one may end it, which takes it out of the list. */
    do {
        LIST_FOREACH(o, &r->operations, entry)
        {
            if (!o->begun) {
                begin(o);
                break;
            }
        }
    } while (o != NULL);
}

void operations_drop(struct registry *r)
{
    while (!LIST_EMPTY(&r->operations))
        operation_free(LIST_FIRST(&r->operations));
}
