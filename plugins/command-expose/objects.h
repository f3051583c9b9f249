/* SPDX-License-Identifier: Apache-2.0 */
/* The Kubernetes objects that make a server in a cluster, in the order of their creation. Pure,
 * over jansson. */
#ifndef COMMAND_EXPOSE_OBJECTS_H
#define COMMAND_EXPOSE_OBJECTS_H

#include <burrow/plugin.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum object {
    OBJECT_SECRET,
    OBJECT_SERVICE_ACCOUNT,
    OBJECT_ROLE,
    OBJECT_ROLE_BINDING,
    OBJECT_DEPLOYMENT,
    OBJECT_SERVICE,
    OBJECT_INGRESS,
    OBJECT_COUNT,
};

struct object_kind {
    const char *kind, *version;  /* "Deployment", "apps/v1" */
    const char *prefix, *plural; /* "/apis/apps/v1", "deployments" */
    const char *word;            /* "deployment", before a slash and the name */
    const char *suffix;          /* of the name */
};
const struct object_kind *object_kind(enum object which);

#define OBJECT_NAME_ROOM 64
#define OBJECT_CONTAINER "server" /* in the Deployment */
#define OBJECT_PORT "http"        /* of the container and of the Service */
#define SECRET_KEY "hmac-secret"
#define TOKEN_ISSUER "burrow-expose"
#define TOKEN_AUDIENCE "burrow-server"

/* What is wanted; all borrowed. */
struct exposure {
    const char *server_name, *name_space, *image, *secret;
    const char *run;          /* marks what this run has made; NULL: nothing does */
    const char *service_type; /* ClusterIP, NodePort, LoadBalancer, None */
    const char *hostname, *tls_secret, *ingress_class; /* NULL: none */
    struct burrow_list ingress_annotations;            /* checked: KEY=VALUE */
    uint16_t port;
    bool token_in_register; /* clients come through a proxy that uses Authorization */
};

/* Every object's name is one that Kubernetes takes: the name is at most 50 of [a-z0-9-], with a
 * letter or digit at both ends. */
bool server_name_is_sound(const char *name);
/* "burrow-NAME", or with "-auth" behind it. Returns buf. */
const char *object_name(const char *server_name, enum object which, char buf[OBJECT_NAME_ROOM]);
/* KEY=VALUE with a key that Kubernetes takes for an annotation. */
bool annotation_is_sound(const char *text);

/* NULL: a value is no UTF-8, or memory ran out. There is no Ingress without a hostname. */
json_t *object_build(const struct exposure *exposure, enum object which);
/* Whether it carries the labels of this server. */
bool object_is_ours(const json_t *object, const char *server_name);
/* It carries the mark of this run. */
bool object_is_of_run(const json_t *object, const char *run);

#endif
