/* SPDX-License-Identifier: Apache-2.0 */
/* From options to objects: what is checked before anything is asked of the cluster, and --dry-run.
 */
#include "expose.h"
#include "patch.h"

#include "kubernetes/yaml.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define TARGETS_MAX 20u

static bool given(const char *text)
{
    return text && *text;
}

/* The name of the objects: --server-name, or the client's. */
static const char *server_name(const struct expose_config *c)
{
    return given(c->server_name) ? c->server_name : c->client_id;
}

static int check_target(const struct burrow_host *host, const char *target)
{
    const char *colon = strrchr(target, ':'), *equals = strchr(target, '=');
    char *end = NULL;
    if (strncmp(equals ? equals + 1 : target, "unix:", 5) == 0 || strchr(target, ','))
        return BURROW_OK; /* the client's own check says more */
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (colon && colon > target && *end == '\0' && port >= 1 && port <= 65535)
        return BURROW_OK;
    return burrow_error(host, BURROW_EINVAL,
                        "--local-target (BURROW_LOCAL_TARGET): \"%.100s\"; expected "
                        "[NAME=]HOST:PORT or [NAME=]unix:PATH",
                        target);
}

static int check_lists(const struct burrow_host *host, const struct expose_config *c)
{
    for (size_t i = 0; i < c->local_target.count; i++) {
        int r = check_target(host, c->local_target.items[i]);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < c->ingress_annotation.count; i++)
        if (!annotation_is_sound(c->ingress_annotation.items[i]))
            return burrow_error(host, BURROW_EINVAL,
                                "--ingress-annotation (BURROW_INGRESS_ANNOTATION): \"%.100s\"; "
                                "expected KEY=VALUE with an annotation's key",
                                c->ingress_annotation.items[i]);
    return BURROW_OK;
}

/* What has no meaning without an Ingress, and would be silently lost. */
static int check_ingress(const struct burrow_host *host, const struct expose_config *c)
{
    const char *lone = given(c->tls_secret)              ? "--tls-secret (BURROW_TLS_SECRET)"
                       : given(c->ingress_class)         ? "--ingress-class (BURROW_INGRESS_CLASS)"
                       : c->ingress_annotation.count > 0 ? "--ingress-annotation "
                                                           "(BURROW_INGRESS_ANNOTATION)"
                       : given(c->patch_ingress)         ? "--patch-ingress (BURROW_PATCH_INGRESS)"
                                                         : NULL;
    if (lone && !given(c->hostname))
        return burrow_error(
            host, BURROW_EINVAL,
            "%s: needs --hostname (BURROW_HOSTNAME); without it there is no Ingress", lone);
    if (given(c->hostname) &&
        (strlen(c->hostname) > 253 ||
         strspn(c->hostname, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(c->hostname)))
        return burrow_error(
            host, BURROW_EINVAL,
            "--hostname (BURROW_HOSTNAME): \"%.100s\"; expected a DNS name in lower "
            "case",
            c->hostname);
    return BURROW_OK;
}

int plan_check(const struct burrow_host *host, const struct expose_config *c, bool deleting)
{
    const char *name = server_name(c);
    if (!given(c->client_id) && !(deleting && given(c->server_name)))
        return burrow_error(host, BURROW_EINVAL,
                            "--client-id (BURROW_CLIENT_ID): required, the name of this client");
    if (!server_name_is_sound(name))
        return burrow_error(
            host, BURROW_EINVAL,
            "%s: \"%.64s\" makes no name in Kubernetes; expected 1 to 50 of a-z, 0-9 "
            "and -%s",
            given(c->server_name) ? "--server-name (BURROW_SERVER_NAME)"
                                  : "--client-id (BURROW_CLIENT_ID)",
            name,
            given(c->server_name) ? ""
                                  : "; or give one by --server-name "
                                    "(BURROW_SERVER_NAME)");
    if (deleting)
        return BURROW_OK;
    if (c->local_target.count == 0 && !c->dry_run)
        return burrow_error(
            host, BURROW_EINVAL,
            "--local-target (BURROW_LOCAL_TARGET): required, the HOST:PORT to expose");
    if (c->local_target.count > TARGETS_MAX)
        return burrow_error(host, BURROW_EINVAL,
                            "--local-target (BURROW_LOCAL_TARGET): given %zu times; expected at "
                            "most %u",
                            c->local_target.count, TARGETS_MAX);
    if (c->reuse && c->dry_run)
        return burrow_error(host, BURROW_EINVAL,
                            "--dry-run (BURROW_DRY_RUN): contradicts --reuse (BURROW_REUSE); give "
                            "one of them");
    int r = check_lists(host, c);
    return r < 0 ? r : check_ingress(host, c);
}

int plan_connect(struct expose *e)
{
    const struct expose_config *c = e->config;
    const struct kube_config_choice choice = {c->kubeconfig, c->kube_context, c->allow_exec != 0};
    bool must_load = !c->dry_run || given(c->kubeconfig) || given(c->kube_context);
    char why[KUBE_WHY] = "out of memory";
    int r = BURROW_OK;
    if (must_load || !given(c->name_space))
        r = kube_config_load(&choice, &e->kube, why);
    if (r < 0 && must_load)
        return burrow_error(e->host, r, "--kubeconfig (BURROW_KUBECONFIG): %s", why);
    const char *name = given(c->name_space)                   ? c->name_space
                       : r == BURROW_OK && e->kube.name_space ? e->kube.name_space
                                                              : "default";
    if (strlen(name) > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
        return burrow_error(e->host, BURROW_EINVAL,
                            "--namespace (BURROW_NAMESPACE): \"%.64s\"; expected 1 to 63 of a-z, "
                            "0-9 and -",
                            name);
    e->name_space = strdup(name);
    return e->name_space ? BURROW_OK : burrow_error(e->host, BURROW_ENOMEM, "out of memory");
}

/* size - 1 hexadecimal digits. */
static int make_random(struct expose *e, char *buf, size_t size)
{
    unsigned char random[(HMAC_HEX - 1) / 2];
    size_t n = (size - 1) / 2;
    if (getrandom(random, n, 0) != (ssize_t)n)
        return burrow_error(e->host, BURROW_EIO, "no random bytes: %s", strerror(errno));
    for (size_t i = 0; i < n; i++)
        snprintf(buf + 2 * i, 3, "%02x", random[i]);
    explicit_bzero(random, sizeof random);
    return BURROW_OK;
}

/* The patch of an option, put onto its object. */
static int patch_object(struct expose *e, enum object which, const char *option,
                        const char *variable, const char *text)
{
    json_error_t error;
    char why[PATCH_WHY];
    if (!given(text) || !e->objects[which])
        return BURROW_OK;
    json_t *patch = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(patch)) {
        int r = burrow_error(e->host, BURROW_EINVAL, "--%s (%s): no JSON object: %s", option,
                             variable, patch ? "it is another value" : error.text);
        json_decref(patch);
        return r;
    }
    json_t *patched = patch_apply(e->objects[which], patch, which == OBJECT_SERVICE, why);
    json_decref(patch);
    if (!patched)
        return burrow_error(e->host, BURROW_EINVAL, "--%s (%s): %s", option, variable, why);
    char name[OBJECT_NAME_ROOM];
    object_name(e->wanted.server_name, which, name);
    const json_t *metadata = json_object_get(patched, "metadata");
    const char *now = json_string_value(json_object_get(metadata, "name"));
    const char *where = json_string_value(json_object_get(metadata, "namespace"));
    bool kept = now && strcmp(now, name) == 0 && where && strcmp(where, e->name_space) == 0 &&
                object_is_ours(patched, e->wanted.server_name);
    json_decref(e->objects[which]);
    e->objects[which] = patched;
    if (!kept)
        return burrow_error(e->host, BURROW_EINVAL,
                            "--%s (%s): it changes the name, the namespace or the labels by which "
                            "burrow finds its own objects",
                            option, variable);
    return BURROW_OK;
}

int plan_objects(struct expose *e)
{
    const struct expose_config *c = e->config;
    bool automatic = !given(c->service_type) || strcmp(c->service_type, "auto") == 0;
    e->wanted = (struct exposure){
        .server_name = server_name(c),
        .name_space = e->name_space,
        .image = c->image,
        .secret = e->secret,
        .run = c->dry_run ? NULL : e->run, /* what is applied by hand is of no run */
        .service_type = !automatic           ? c->service_type
                        : given(c->hostname) ? "ClusterIP"
                                             : "LoadBalancer",
        .hostname = given(c->hostname) ? c->hostname : NULL,
        .tls_secret = given(c->tls_secret) ? c->tls_secret : NULL,
        .ingress_class = given(c->ingress_class) ? c->ingress_class : NULL,
        .ingress_annotations = c->ingress_annotation,
        .port = (uint16_t)c->server_port,
    };
    /* Without an Ingress the client comes through the API server when nothing else leads in; with
     * auto, too, where no load balancer appears. */
    const char *type = e->wanted.service_type;
    bool reachable =
        e->wanted.hostname || strcmp(type, "LoadBalancer") == 0 || strcmp(type, "NodePort") == 0;
    e->wanted.token_in_register = !reachable || (automatic && !e->wanted.hostname);
    if (!reachable && given(c->connect_addr))
        return burrow_error(e->host, BURROW_EINVAL,
                            "--connect-addr (BURROW_CONNECT_ADDR): with --service-type %s and "
                            "without --hostname the way is through the API server",
                            type);
    int r = make_random(e, e->secret, sizeof e->secret);
    if (r == BURROW_OK)
        r = make_random(e, e->run, sizeof e->run);
    for (int i = 0; r == BURROW_OK && i < OBJECT_COUNT; i++) {
        if (i == OBJECT_INGRESS && !e->wanted.hostname)
            continue;
        e->objects[i] = object_build(&e->wanted, (enum object)i);
        if (!e->objects[i])
            r = burrow_error(e->host, BURROW_EINVAL, "%s: a value is no UTF-8, or memory ran out",
                             object_kind((enum object)i)->word);
    }
    if (r == BURROW_OK)
        r = patch_object(e, OBJECT_DEPLOYMENT, "patch-deployment", "BURROW_PATCH_DEPLOYMENT",
                         c->patch_deployment);
    if (r == BURROW_OK)
        r = patch_object(e, OBJECT_SERVICE, "patch-service", "BURROW_PATCH_SERVICE",
                         c->patch_service);
    if (r == BURROW_OK)
        r = patch_object(e, OBJECT_INGRESS, "patch-ingress", "BURROW_PATCH_INGRESS",
                         c->patch_ingress);
    return r;
}

int plan_print(struct expose *e)
{
    for (int i = 0; i < OBJECT_COUNT; i++) {
        if (!e->objects[i])
            continue;
        char *text = yaml_from_json(e->objects[i]);
        if (!text)
            return burrow_error(e->host, BURROW_ENOMEM, "out of memory");
        int n = printf("%s", text);
        explicit_bzero(text, strlen(text));
        free(text);
        if (n < 0)
            break;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        return burrow_error(e->host, BURROW_EIO, "cannot write: %s", strerror(errno));
    return BURROW_OK;
}
