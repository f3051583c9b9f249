/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small asynchronous Kubernetes client: calls that are repeated as the API asks for, and watches.
 *
 * A call ends in one of two ways: its done is called exactly once, never from inside kube_call, or
 * it is cancelled and no callback comes any more. An answer, a page of a list, is at most 8 MiB.
 * What may be repeated safely is repeated by the client itself: 429 and 503 after their
 * Retry-After, 401 once by new credentials of the kubeconfig's program, and, for as many attempts
 * as the asker allows, failures of the network and of the server, with a growing, jittered pause.
 */
#ifndef KUBERNETES_CLIENT_H
#define KUBERNETES_CLIENT_H

#include "http/http.h"
#include "kubernetes/config.h"

#include <jansson.h>

#define KUBE_MAX_ANSWER (8u * 1024u * 1024u)
#define KUBE_CALL_MS 30000u
#define KUBE_MAX_PATH 1024u

#define KUBE_JSON "application/json"
#define KUBE_MERGE_PATCH "application/merge-patch+json"
#define KUBE_STRATEGIC_PATCH "application/strategic-merge-patch+json"

struct kube_client;
struct kube_call;
struct kube_watch;

/*
 * The end of a call. BURROW_OK: the API answered 2xx, `body` is its JSON. Else `body` is what it
 * said, if that was JSON, or NULL; `error` one line for people; `status` the HTTP status, 0 without
 * an answer. All is borrowed for the call. The call is gone.
 */
typedef void kube_done_fn(void *arg, int result, int status, const json_t *body, const char *error);

struct kube_ask {
    const char *method; /* "GET" … */
    const char *path;   /* "/api/v1/namespaces/…", with the query; escaped by the asker */
    const json_t *body; /* NULL: none */
    const char *type;   /* of the body; NULL: KUBE_JSON */
    uint32_t attempts;  /* 0 and 1: one */
    bool is_list;       /* a GET that is had in pages of 500, and told as one; 64 MiB at most */
    kube_done_fn *done;
    void *arg;
};

/* The configuration is borrowed until destroy; credentials of its program are put into it. */
int kube_client_create(const struct burrow_host *host, struct kube_config *config,
                       struct kube_client **ret);
/* Cancels everything. NULL is allowed; not from a callback. */
void kube_client_destroy(struct kube_client *client);
const struct kube_config *kube_client_config(const struct kube_client *client);

/* All of the ask is copied. BURROW_EINVAL (the path is too long) or BURROW_ENOMEM. */
int kube_call(struct kube_client *client, const struct kube_ask *ask, struct kube_call **ret);
void kube_cancel(struct kube_call *call); /* NULL is allowed; not after done was called */

/* "/api/v1/namespaces/NAMESPACE/services/NAME" and the like into buf; name NULL: the collection.
 * kind is what follows the namespace, prefix what precedes "namespaces". Returns buf. */
const char *kube_path(char buf[KUBE_MAX_PATH], const char *prefix, const char *name_space,
                      const char *kind, const char *name);

/* One change, borrowed: type is "ADDED", "MODIFIED" or "DELETED". A list, at first and after a
 * watch could not be resumed, begins with "LIST" and ends with "LISTED", both with a NULL object:
 * what is not ADDED between them is gone. */
typedef void kube_event_fn(void *arg, const char *type, const json_t *object);
/* A watch could not go on, status 0: without an answer. It tries again by itself, with a growing,
 * jittered pause; what was refused (403) after some minutes. */
typedef void kube_trouble_fn(void *arg, int status, const char *error);

/* Lists the collection at path (which may have a query), then watches it from there, for ever. A
 * change is at most 2 MiB, the list as long as `is_list` allows. BURROW_EINVAL (the path is too
 * long) or BURROW_ENOMEM. */
int kube_watch(struct kube_client *client, const char *path, kube_event_fn *event,
               kube_trouble_fn *trouble, void *arg, struct kube_watch **ret);
/* No callback comes any more. NULL is allowed; also from its own callbacks. Before the client is
 * destroyed. */
void kube_watch_stop(struct kube_watch *watch);

#endif
