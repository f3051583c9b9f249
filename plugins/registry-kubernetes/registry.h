/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of registry-kubernetes share: registry_kubernetes.c is the plugin, identity.c
 * finds out which pod and Deployment this server is, operation.h tells who does the core's
 * operations, changes.c sees what others do to what is published, events.c tells what goes wrong.
 */
#ifndef REGISTRY_KUBERNETES_REGISTRY_H
#define REGISTRY_KUBERNETES_REGISTRY_H

#include "kubernetes/client.h"
#include "must.h"
#include "objects.h"

#include <burrow/plugin.h>
#include <sys/queue.h>

#define REGISTRY_MAGIC 0x4752424bu /* "KBRG" in memory order */

/* Numbers of the plugin's metrics. */
enum { METRIC_WRITES, METRIC_FAILURES, METRIC_FOREIGN };

/* Of what is ours, for lists and watches. */
#define OURS "?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dburrow%2Cburrow.dev%2Fclient-id"

struct settings {
    const char *enable;     /* auto, true, false */
    const char *name_space; /* NULL: that of the pod or context */
    const char *selector, *kubeconfig, *context, *endpoints, *policy;
    uint8_t allow_exec;
};

struct operation;
LIST_HEAD(operation_list, operation);

enum { WATCHED_SERVICES, WATCHED_SLICES, WATCHED_KINDS };

/* One kind of objects that is watched. */
struct watched {
    struct registry *registry;
    int kind;
    struct kube_watch *watch; /* NULL: not, or not any more */
    bool refused, troubled;   /* has been said */
};

struct registry {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_registry_host *core;
    const struct settings *settings;
    bool enabled; /* else every operation is done at once */
    struct kube_config config;
    struct kube_client *client;
    const char *name_space;
    json_t *selector;

    struct kube_call *identifying; /* a call of identity.c is under way */
    struct burrow_timer *identify_timer;
    uint32_t identify_tries;
    bool identified, said_unknown; /* operations may begin; why they may not */
    struct holder holder;
    json_t *owner; /* what holder.owner points to: the Deployment */
    json_t *about; /* where events show: the Deployment or the pod; NULL: nowhere */
    bool slices;   /* EndpointSlices of our own; else the Service has the selector */
    bool said_events;
    struct told *told; /* Events, by the Services' names */

    struct operation_list operations;

    struct kept *kept; /* by the Services' names */
    struct watched watched[WATCHED_KINDS];
};

/* identity.c: finds holder, owner and slices out, as far as the Role allows, then begins what
 * waits. Nothing when that is known or under way. */
void identify(struct registry *r);
void identity_cancel(struct registry *r);

/* operation.c */
enum verb { PUBLISH, WITHDRAW, LIST };
/* publication: with PUBLISH; client_id: with WITHDRAW. */
void operation_begin(struct registry *r, enum verb verb, struct burrow_registry_op *op,
                     const struct burrow_publication *publication, const char *client_id);
void operation_cancel(struct registry *r, const struct burrow_registry_op *op);
void operations_go(struct registry *r); /* those that waited for the identity */
void operations_fail(struct registry *r, int result, const char *reason); /* those that wait */
void operations_drop(struct registry *r);

/* changes.c */
void changes_begin(struct registry *r); /* once slices is known */
void changes_end_slices(struct registry *r);
void changes_end(struct registry *r);
/* From now on the client's objects should be these; from now on there should be none. */
void changes_expect(struct registry *r, const struct wanted *wanted);
void changes_forget(struct registry *r, const char *name);

/* events.c: an Event that says why this Service ("": it is not about one) is not as it should be,
 * once, until it is. */
void tell_event(struct registry *r, const char *name, const char *reason, const char *message);
void events_forget(struct registry *r, const char *name); /* it is */
void events_drop(struct registry *r);

#endif
