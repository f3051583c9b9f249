/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry plugins: make the services of a connected client known to others, for example
 * as Kubernetes Services.
 *
 * Each operation is finished exactly once by host->done, in the call or later, or is
 * cancelled and never finished. The host keeps at most one operation per client id under
 * way, cancels one that is not finished within two minutes, and repeats failed ones with a
 * growing, jittered pause.
 */
#ifndef BURROW_REGISTRY_H
#define BURROW_REGISTRY_H

#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_REGISTRY_ABI 0u

struct burrow_registry_op; /* the host's name for one operation */

struct burrow_published_service {
    uint32_t size;
    uint16_t bridge_port;
    uint16_t reserved;
    const char *name;   /* "" for the only service of a client without names */
    const char *target; /* as the client told it: host:port or unix:path */
};

struct burrow_publication {
    uint32_t size;
    uint32_t service_count;
    const char *client_id;
    /* The first one's size is the step from one to the next: a later host's are larger. */
    const struct burrow_published_service *services;
};

struct burrow_registry_host {
    uint32_t size;
    /* result 0, or negative with a short reason for the log. */
    void (*done)(struct burrow_registry_op *, int32_t result, const char *reason);
    /* Answer to list, once for each publication that exists, before done. */
    void (*listed)(struct burrow_registry_op *, const char *client_id);
};

struct burrow_registry_ops {
    uint32_t size;
    void (*bind)(void *self, const struct burrow_registry_host *host);
    /* Idempotent: makes what is published equal to the publication. */
    void (*publish)(void *self, struct burrow_registry_op *, const struct burrow_publication *);
    /* Idempotent: nothing of the client id is published afterwards. */
    void (*withdraw)(void *self, struct burrow_registry_op *, const char *client_id);
    /* Names what this registry has published, also in an earlier life of the server. */
    void (*list)(void *self, struct burrow_registry_op *);
    void (*cancel)(void *self, struct burrow_registry_op *);
};

#ifdef __cplusplus
}
#endif
#endif
