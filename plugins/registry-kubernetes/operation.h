/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish, withdraw and list as conversations with the API. Each step is one call and names the
 * next; a conflict (409) begins the conversation anew, everything else that fails ends it, and the
 * core tries again later.
 *
 *   publish.c  get Service → create or replace it → (get EndpointSlice → create or replace it)
 *              → (get NetworkPolicy → create or replace it)
 *              a Service with a slice that shall have the selector is deleted and made anew
 *   tidy.c     withdraw: get Service → (get the pod that keeps it) → delete it
 *              list: get all of ours → (get the pods, to see whose keeper is gone)
 *   operation.c what they have in common
 *
 * What does not carry our label is never changed.
 */
#ifndef REGISTRY_KUBERNETES_OPERATION_H
#define REGISTRY_KUBERNETES_OPERATION_H

#include "registry.h"

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

/* publish.c and tidy.c: the first step. */
void publish_begin(struct operation *o);
void withdraw_begin(struct operation *o);
void list_begin(struct operation *o);

/* ---- operation.c ---- */

/* The first step, perhaps again. */
void operation_go(struct operation *o);
/* The end: o is gone. */
void operation_finish(struct operation *o, int result, const char *reason);
/* The same for a refusal: what a person must mend is told where they would look, besides the log.
 */
void operation_refused(struct operation *o, int result, int status, const char *error);
/* Another was faster, or the object has changed since it was read: from the beginning. False: that
 * is not so, or has been too often. */
bool operation_begin_anew(struct operation *o, int status);

/* One step; done's arg is o, unless it cannot be asked, which ends o. */
void operation_call(struct operation *o, const char *method, const char *prefix, const char *kind,
                    const char *name, const json_t *body, kube_done_fn *done);
/* Writes body in the place of `existing`, or makes it (NULL). Takes body, which is NULL when there
 * was no memory for it: that ends o. */
void operation_write(struct operation *o, const char *prefix, const char *kind,
                     const json_t *existing, json_t *body, kube_done_fn *done);
/* An answer becomes o->object, which is only read. */
void operation_keep(struct operation *o, const json_t *body);
/* What done begins with. */
struct operation *operation_answered(void *arg);
/* Deletes the Service o->object: only the very one that was looked at, unchanged since. */
void operation_delete(struct operation *o, kube_done_fn *done);

/* The Service is of the operation's client. */
bool operation_is_about(const struct operation *o, const json_t *service);
/* It is not: the end. */
void operation_foreign(struct operation *o);

#endif
