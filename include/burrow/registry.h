/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry plugins: make the services of a connected client known to others, for example
 * as Kubernetes Services.
 *
 * Each operation is finished exactly once by host->done, in the call or later, or is
 * cancelled and never finished. The host keeps at most one operation per client id under
 * way, cancels one that is not finished within two minutes, and repeats failed ones with a
 * growing, jittered pause.
 *
 * A registry that sees when others take away or change what it has published says so by
 * host->changed, and the host publishes again.
 */
#ifndef BURROW_REGISTRY_H
#define BURROW_REGISTRY_H

#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_REGISTRY_ABI 0u /* kind_abi of this header */

struct burrow_registry_op;   /* the host's name for one operation */
struct burrow_registry_self; /* the host's name for one registry that it uses */

/* One service of a publication. */
struct burrow_published_service {
    uint32_t size;        /* sizeof of this struct, as its giver knows it */
    uint16_t bridge_port; /* the server's port that leads to it */
    uint16_t reserved;    /* 0 */
    const char *name;     /* "" for the only service of a client without names */
    const char *target;   /* as the client told it: host:port or unix:path */
};

/* What is to be made known of one client. */
struct burrow_publication {
    uint32_t size;          /* sizeof of this struct, as its giver knows it */
    uint32_t service_count; /* of services; may be 0 */
    const char *client_id;  /* 1 to 128 bytes */
    /* The first one's size is the step from one to the next: a later host's are larger. */
    const struct burrow_published_service *services;
};

/* What the host gives to registry plugins, by ops->bind. */
struct burrow_registry_host {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    /* result 0, or negative with a short reason for the log. */
    void (*done)(struct burrow_registry_op *, int32_t result, const char *reason);
    /* Answer to list, once for each publication that exists, before done. */
    void (*listed)(struct burrow_registry_op *, const char *client_id);

    /* Since minor 3. */
    struct burrow_registry_self *self; /* the first argument of changed */
    /* What is published of this client (NULL: of any of them) is perhaps not what it should be: the
     * host publishes again those that are connected, after a short pause that grows when it happens
     * again and again. Between start and stopped, from any callback. What the plugin itself writes
     * is no change, or that would have no end. */
    void (*changed)(struct burrow_registry_self *, const char *client_id);
};

/* What a registry plugin does. */
struct burrow_registry_ops {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    void (*bind)(void *self, const struct burrow_registry_host *host); /* once, before start */
    /* Idempotent: makes what is published equal to the publication. */
    void (*publish)(void *self, struct burrow_registry_op *, const struct burrow_publication *);
    /* Idempotent: nothing of the client id is published afterwards. */
    void (*withdraw)(void *self, struct burrow_registry_op *, const char *client_id);
    /* Names what this registry has published, also in an earlier life of the server. */
    void (*list)(void *self, struct burrow_registry_op *);
    /* The operation must not be finished any more; what it has done may stay. */
    void (*cancel)(void *self, struct burrow_registry_op *);
};

#ifdef __cplusplus
}
#endif
#endif
