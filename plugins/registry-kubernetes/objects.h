/* SPDX-License-Identifier: Apache-2.0 */
/* The Kubernetes objects of a client: what they should be, and what is to be changed in those that
 * are there. Pure, over jansson. */
#ifndef REGISTRY_KUBERNETES_OBJECTS_H
#define REGISTRY_KUBERNETES_OBJECTS_H

#include "names.h"

#include <burrow/registry.h>
#include <jansson.h>

#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define LABEL_CLIENT "burrow.dev/client-id"
#define ANNOTATION_TARGET "burrow.dev/target"
#define ANNOTATION_HOLDER "burrow.dev/holder"
/* A label that no pod has; see service_object. */
#define LABEL_NO_POD "burrow.dev/no-pod"

struct port {
    char name[PORT_NAME_ROOM];
    uint16_t port, bridge_port;
};

/* What a client publishes, copied from the core's publication. */
struct wanted {
    char client_id[129];
    char name[SERVICE_NAME_ROOM];
    char target[256]; /* of the first service */
    size_t port_count;
    struct port ports[64];
};
void wanted_from(struct wanted *wanted, const struct burrow_publication *publication);

/* Who publishes: empty strings where it is not known. */
struct holder {
    char pod[254];       /* of this server */
    char address[64];    /* of the pod */
    const json_t *owner; /* ownerReferences entry of the Deployment; NULL: none */
};

/* A selector "k=v,k2=v2" as an object. NULL: it is none. */
json_t *selector_from(const char *text);

/* The Service is one of ours. */
bool is_ours(const json_t *service);
/* The client id of one of ours into buf; false: it names none. */
bool client_of(const json_t *service, char buf[129]);
/* The pod that keeps it, "" if it does not say. */
const char *holder_of(const json_t *service);

/* The pod that an EndpointSlice leads to, "" if it does not say. */
const char *target_of(const json_t *slice);
/* The object as it was made is the one that is there; members of a list do not say their kind. */
bool is_the_same(const json_t *made, const json_t *there);

/* It has a selector that pods may match. */
bool selects_pods(const json_t *service);

/*
 * The Service as it should be. `existing`: as it is now, whose other members stay; NULL: a new one.
 * `selector` NULL: its endpoints are an EndpointSlice of our own. A selector that is to go becomes
 * one that no pod matches: what the controllers made for the old one would stay when there was
 * none. Of a port that is there what others have added stays (a node port). A new reference; NULL:
 * no memory.
 */
json_t *service_object(const struct wanted *wanted, const json_t *existing, const json_t *selector,
                       const struct holder *holder);
/* The EndpointSlice that leads the Service to the holder's pod; it belongs to the Service (NULL: to
 * whichever it does). */
json_t *slice_object(const struct wanted *wanted, const json_t *existing, const json_t *service,
                     const struct holder *holder);

/* The labels of the pods that a NetworkPolicy lets to this client: a selector in which "{client}"
 * stands for the id, or for its hash where the id is no label value. NULL: it is none. */
json_t *admitted_pods(const char *text, const char *client_id);
/* The NetworkPolicy that lets the admitted pods, and no others, to the client's ports of the
 * selected ones; it belongs to the Service. */
json_t *policy_object(const struct wanted *wanted, const json_t *existing, const json_t *service,
                      const json_t *selector, const json_t *admitted);

/* An event that shows at `about` (a reference to the Deployment or pod), as kubectl describe tells.
 */
json_t *event_object(const json_t *about, const char *name_space, const char *reason,
                     const char *message, const char *time);

#endif
