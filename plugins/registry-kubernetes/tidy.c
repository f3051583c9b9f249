/* SPDX-License-Identifier: Apache-2.0 */
/* withdraw and list, step by step: what is taken away, and whose it is. See operation.h. */
#include "operation.h"

#include <string.h>

/* ---- withdraw ---- */

static void on_deleted(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    (void)body;
    if (result == BURROW_OK || status == 404)
        operation_finish(o, BURROW_OK, NULL);
    else if (!operation_begin_anew(o, status))
        operation_refused(o, result, status, error);
}

/* A pod that has ended stays as an object, where it was evicted even for long. */
static bool is_alive(const json_t *pod)
{
    const char *phase = json_string_value(json_object_get(json_object_get(pod, "status"), "phase"));
    return phase == NULL || (strcmp(phase, "Failed") != 0 && strcmp(phase, "Succeeded") != 0);
}

static void on_keeper(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    if (result == BURROW_OK && is_alive(body))
        operation_finish(o, BURROW_OK, NULL); /* another replica has the client by now */
    else if (result == BURROW_OK || status == 404 || status == 403)
        operation_delete(o, on_deleted);
    else
        operation_finish(o, result, error);
}

static bool is_kept_by_another(const struct registry *r, const json_t *service)
{
    const char *keeper = holder_of(service);
    return r->holder.pod[0] != '\0' && *keeper != '\0' && strcmp(keeper, r->holder.pod) != 0;
}

static void on_service_to_delete(void *arg, int result, int status, const json_t *body,
                                 const char *error)
{
    struct operation *o = operation_answered(arg);
    if (status == 404) {
        operation_finish(o, BURROW_OK, NULL);
    } else if (result != BURROW_OK) {
        operation_refused(o, result, status, error);
    } else if (!operation_is_about(o, body)) {
        operation_foreign(o);
    } else {
        operation_keep(o, body);
        if (is_kept_by_another(o->registry, o->object))
            operation_call(o, "GET", "/api/v1", "pods", holder_of(o->object), NULL, on_keeper);
        else
            operation_delete(o, on_deleted);
    }
}

void withdraw_begin(struct operation *o)
{
    operation_call(o, "GET", "/api/v1", "services", o->wanted.name, NULL, on_service_to_delete);
}

/* ---- list ---- */

static bool is_among(const json_t *pods, const char *name)
{
    const json_t *items = json_object_get(pods, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *pod = json_array_get(items, i);
        const char *its =
            json_string_value(json_object_get(json_object_get(pod, "metadata"), "name"));
        if (its != NULL && strcmp(its, name) == 0)
            return is_alive(pod);
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
    operation_finish(o, BURROW_OK, NULL);
}

static void on_pods(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    if (result == BURROW_OK)
        tell_list(o, body);
    else if (status == 403)
        tell_list(o, NULL); /* no right to know of other replicas: there is one */
    else
        operation_refused(o, result, status, error);
}

static void on_services(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    if (result != BURROW_OK) {
        operation_refused(o, result, status, error);
        return;
    }
    operation_keep(o, body);
    const json_t *items = json_object_get(o->object, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        if (is_kept_by_another(o->registry, json_array_get(items, i))) {
            operation_call(o, "GET", "/api/v1", "pods", NULL, NULL, on_pods);
            return;
        }
    }
    tell_list(o, NULL);
}

void list_begin(struct operation *o)
{
    operation_call(o, "GET", "/api/v1", "services" OURS, NULL, NULL, on_services);
}
