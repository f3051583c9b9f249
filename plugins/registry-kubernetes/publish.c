/* SPDX-License-Identifier: Apache-2.0 */
/* publish, step by step; see operation.h. */
#include "operation.h"

#include <stdio.h>
#include <string.h>

/* What is there of the Service's name is not ours: the end. */
static bool is_foreign(struct operation *o, const json_t *existing, const char *what)
{
    char text[200];
    if (existing == NULL || is_ours(existing))
        return false;
    snprintf(text, sizeof text, "there is %s %s that is not ours; it is left alone", what,
             o->wanted.name);
    tell_event(o->registry, o->wanted.name, "ServiceNotPublished", text);
    operation_finish(o, BURROW_EDENIED, text);
    return true;
}

static void on_policy_written(void *arg, int result, int status, const json_t *body,
                              const char *error)
{
    struct operation *o = operation_answered(arg);
    (void)body;
    if (result == BURROW_OK)
        operation_finish(o, BURROW_OK, NULL);
    else if (!operation_begin_anew(o, status))
        operation_refused(o, result, status, error);
}

static void on_policy(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    struct registry *r = o->registry;
    const json_t *existing = result == BURROW_OK ? body : NULL;
    if (result != BURROW_OK && status != 404) {
        operation_refused(o, result, status, error);
        return;
    }
    if (is_foreign(o, existing, "a NetworkPolicy"))
        return;
    json_t *admitted = admitted_pods(r->settings->policy, o->wanted.client_id);
    if (admitted == NULL) {
        operation_finish(o, BURROW_EINVAL,
                         "kube-network-policy makes no label of this client's id");
        return;
    }
    json_t *policy = policy_object(&o->wanted, existing, o->object, r->selector, admitted);
    json_decref(admitted);
    if (existing != NULL && json_equal(policy, existing)) {
        json_decref(policy);
        operation_finish(o, BURROW_OK, NULL);
    } else {
        operation_write(o, "/apis/networking.k8s.io/v1", "networkpolicies", existing, policy,
                        on_policy_written);
    }
}

/* The Service leads to this server; now who may come. */
static void endpoints_are_there(struct operation *o)
{
    if (o->registry->settings->policy != NULL)
        operation_call(o, "GET", "/apis/networking.k8s.io/v1", "networkpolicies", o->wanted.name,
                       NULL, on_policy);
    else
        operation_finish(o, BURROW_OK, NULL);
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
    operation_go(o);
}

/* So says the API server of rights (RBAC); a quota, a webhook or a namespace that ends answers 403,
 * too. */
static bool is_for_want_of_a_right(int status, const char *error)
{
    return status == 403 && strstr(error, " resource \"endpointslices\"") != NULL;
}

static void on_slice_written(void *arg, int result, int status, const json_t *body,
                             const char *error)
{
    struct operation *o = operation_answered(arg);
    (void)body;
    if (result == BURROW_OK)
        endpoints_are_there(o);
    else if (is_for_want_of_a_right(status, error))
        without_slices(o, error);
    else if (!operation_begin_anew(o, status))
        operation_refused(o, result, status, error);
}

static void on_slice(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    struct registry *r = o->registry;
    if (status == 403) {
        without_slices(o, error);
        return;
    }
    if (result != BURROW_OK && status != 404) {
        operation_finish(o, result, error);
        return;
    }
    const json_t *existing = result == BURROW_OK ? body : NULL;
    if (is_foreign(o, existing, "an EndpointSlice"))
        return;
    json_t *slice = slice_object(&o->wanted, existing, o->object, &r->holder);
    if (existing != NULL && json_equal(slice, existing)) {
        json_decref(slice);
        endpoints_are_there(o);
    } else {
        operation_write(o, "/apis/discovery.k8s.io/v1", "endpointslices", existing, slice,
                        on_slice_written);
    }
}

/* o->object is the Service as it should be. */
static void service_is_there(struct operation *o)
{
    if (o->registry->slices)
        operation_call(o, "GET", "/apis/discovery.k8s.io/v1", "endpointslices", o->wanted.name,
                       NULL, on_slice);
    else
        endpoints_are_there(o);
}

static void on_service_written(void *arg, int result, int status, const json_t *body,
                               const char *error)
{
    struct operation *o = operation_answered(arg);
    if (result != BURROW_OK) {
        if (!operation_begin_anew(o, status))
            operation_refused(o, result, status, error);
        return;
    }
    operation_keep(o, body);
    service_is_there(o);
}

/* The old Service is gone, and the slice that belonged to it goes with it: a new one with the
 * selector.
 */
static void on_slices_left(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    (void)body;
    if (result != BURROW_OK && status != 404) {
        if (!operation_begin_anew(o, status))
            operation_refused(o, result, status, error);
        return;
    }
    json_decref(o->object);
    o->object = NULL;
    operation_go(o);
}

static void on_service(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct operation *o = operation_answered(arg);
    struct registry *r = o->registry;
    if (result != BURROW_OK && status != 404) {
        operation_refused(o, result, status, error);
        return;
    }
    const json_t *existing = result == BURROW_OK ? body : NULL;
    if (existing != NULL && !operation_is_about(o, existing)) {
        operation_foreign(o);
        return;
    }
    if (existing != NULL && !r->slices && !selects_pods(existing)) {
        operation_keep(o, existing);
        operation_delete(o, on_slices_left);
        return;
    }
    json_t *service =
        service_object(&o->wanted, existing, r->slices ? NULL : r->selector, &r->holder);
    if (existing != NULL && json_equal(service, existing)) {
        o->object = service;
        service_is_there(o);
        return;
    }
    operation_write(o, "/api/v1", "services", existing, service, on_service_written);
}

void publish_begin(struct operation *o)
{
    operation_call(o, "GET", "/api/v1", "services", o->wanted.name, NULL, on_service);
}
