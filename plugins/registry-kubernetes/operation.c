/* SPDX-License-Identifier: Apache-2.0 */
/* What all operations have in common: their life, their calls and how they end; see operation.h. */
#include "operation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPERATION_MAGIC 0x504f424bu /* "KBOP" in memory order */
#define CONFLICTS_MAX 5u

static const char no_memory[] = "out of memory";

static void operation_free(struct operation *o)
{
    LIST_REMOVE(o, entry);
    kube_cancel(o->call);
    json_decref(o->object);
    o->magic = 0;
    free(o);
}

void operation_finish(struct operation *o, int result, const char *reason)
{
    struct registry *r = o->registry;
    struct burrow_registry_op *op = o->op;
    if (result != BURROW_OK)
        r->host->metric_add(r->host->self, METRIC_FAILURES, 1);
    else
        events_forget(r, o->wanted.name);
    char copy[600];
    snprintf(copy, sizeof copy, "%s", reason != NULL ? reason : "");
    operation_free(o);
    r->core->done(op, result, result != BURROW_OK ? copy : NULL);
}

void operation_keep(struct operation *o, const json_t *body)
{
    json_decref(o->object);
    /* Shared and not copied, as a copy may fail: nobody changes it. */
    o->object = json_incref((json_t *)(uintptr_t)body);
}

void operation_refused(struct operation *o, int result, int status, const char *error)
{
    if (status == 403 || status == 422)
        tell_event(o->registry, o->wanted.name, "ServiceNotPublished", error);
    operation_finish(o, result, error);
}

void operation_call(struct operation *o, const char *method, const char *prefix, const char *kind,
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
        operation_finish(o, rc, no_memory);
}

void operation_write(struct operation *o, const char *prefix, const char *kind,
                     const json_t *existing, json_t *body, kube_done_fn *done)
{
    if (body == NULL)
        operation_finish(o, BURROW_ENOMEM, no_memory);
    else if (existing != NULL)
        operation_call(o, "PUT", prefix, kind, o->wanted.name, body, done);
    else
        operation_call(o, "POST", prefix, kind, NULL, body, done);
    json_decref(body);
}

bool operation_begin_anew(struct operation *o, int status)
{
    if (status != 409 || ++o->conflicts > CONFLICTS_MAX)
        return false;
    json_decref(o->object);
    o->object = NULL;
    operation_go(o);
    return true;
}

struct operation *operation_answered(void *arg)
{
    struct operation *o = arg;
    must(o->magic == OPERATION_MAGIC);
    o->call = NULL;
    return o;
}

void operation_foreign(struct operation *o)
{
    struct registry *r = o->registry;
    char text[200];
    snprintf(text, sizeof text,
             "there is a Service %s that is not of this client; it is left alone", o->wanted.name);
    r->host->metric_add(r->host->self, METRIC_FOREIGN, 1);
    if (o->verb == PUBLISH) {
        tell_event(r, o->wanted.name, "ServiceNotPublished", text);
        operation_finish(o, BURROW_EDENIED, text);
    } else {
        operation_finish(o, BURROW_OK, NULL);
    }
}

bool operation_is_about(const struct operation *o, const json_t *service)
{
    char id[129], hash[HASH_ROOM];
    return is_ours(service) && client_of(service, id) &&
           (strcmp(id, o->wanted.client_id) == 0 ||
            strcmp(id, client_hash(o->wanted.client_id, hash)) == 0);
}

void operation_delete(struct operation *o, kube_done_fn *done)
{
    const json_t *metadata = json_object_get(o->object, "metadata");
    const char *uid = json_string_value(json_object_get(metadata, "uid"));
    const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
    json_t *options = json_pack("{s:{s:s, s:s}}", "preconditions", "uid", uid != NULL ? uid : "",
                                "resourceVersion", version != NULL ? version : "");
    if (options != NULL)
        operation_call(o, "DELETE", "/api/v1", "services", o->wanted.name, options, done);
    else
        operation_finish(o, BURROW_ENOMEM, no_memory);
    json_decref(options);
}

/* ---- the three ---- */

void operation_go(struct operation *o)
{
    o->begun = true;
    switch (o->verb) {
    case PUBLISH:
        publish_begin(o);
        break;
    case WITHDRAW:
        withdraw_begin(o);
        break;
    case LIST:
        list_begin(o);
        break;
    }
}

void operation_begin(struct registry *r, enum verb verb, struct burrow_registry_op *op,
                     const struct burrow_publication *publication, const char *client_id)
{
    struct operation *o = calloc(1, sizeof *o);
    if (o == NULL) {
        r->core->done(op, BURROW_ENOMEM, no_memory);
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
        operation_go(o);
    else
        identify(r);
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

/* One that waits for the identity; NULL: none. */
static struct operation *waiting(struct registry *r)
{
    struct operation *o;
    LIST_FOREACH(o, &r->operations, entry)
    {
        if (!o->begun)
            break;
    }
    return o;
}

/* Beginning one may end it, which takes it out of the list. */
void operations_go(struct registry *r)
{
    for (struct operation *o; (o = waiting(r)) != NULL;)
        operation_go(o);
}

void operations_fail(struct registry *r, int result, const char *reason)
{
    for (struct operation *o; (o = waiting(r)) != NULL;)
        operation_finish(o, result, reason);
}

void operations_drop(struct registry *r)
{
    while (!LIST_EMPTY(&r->operations))
        operation_free(LIST_FIRST(&r->operations));
}
