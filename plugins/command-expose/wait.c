/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the server and for the way to it, with a line whenever the reason changes. */
#include "expose.h"
#include "reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS 1000u
/* So long --service-type auto waits for a load balancer's address. */
#define LOAD_BALANCER_MS 20000u

static void poll_deployment(void *arg);
static void poll_service(void *arg);

static void ask(struct expose *e, const char *path, kube_done_fn *done)
{
    const struct kube_ask call = {
        .method = "GET", .path = path, .attempts = 3, .done = done, .arg = e};
    if (kube_call(e->client, &call, &e->call) != BURROW_OK)
        expose_fail(e, BURROW_ENOMEM, "out of memory");
}

static void ask_object(struct expose *e, enum object which, kube_done_fn *done)
{
    char path[KUBE_MAX_PATH], name[OBJECT_NAME_ROOM];
    const struct object_kind *kind = object_kind(which);
    ask(e,
        kube_path(path, kind->prefix, e->name_space, kind->plural,
                  object_name(e->wanted.server_name, which, name)),
        done);
}

/* Tells the reason when it is a new one, and looks again soon, or gives up. */
static void later(struct expose *e, const char *what, const char *reason, burrow_timer_fn *again)
{
    if (*reason && strcmp(reason, e->reason) != 0) {
        snprintf(e->reason, sizeof e->reason, "%s", reason);
        expose_say("waiting for %s: %s", what, e->reason);
    }
    if (e->host->now_ms(e->host->self) >= e->deadline) {
        expose_fail(e, BURROW_EIO, "%s is not ready after %" PRId64 " s%s%s", what,
                    e->config->wait_ms / 1000, *e->reason ? ": " : "", e->reason);
        return;
    }
    e->timer = e->host->after(e->host->self, POLL_MS, again, e);
    if (!e->timer)
        expose_fail(e, BURROW_ENOMEM, "out of memory");
}

/* A failure that waiting does not mend. */
static bool is_final(int status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static struct expose *answered(void *arg)
{
    struct expose *e = expose_of(arg);
    e->call = NULL;
    return e;
}

/* ---- the way to it ---- */

static void set_way(struct expose *e, enum way way, const char *host, int port)
{
    e->way = way;
    if (way == WAY_INGRESS)
        snprintf(e->url, sizeof e->url, "wss://%s/ws", host);
    else if (way != WAY_API)
        snprintf(e->url, sizeof e->url, "ws://%s:%d/ws", host, port);
    tunnel_begin(e);
}

/* Patches may put others before it; where they have renamed it, the first counts. */
static const json_t *named(const json_t *list, const char *name)
{
    const json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        const char *its = json_string_value(json_object_get(item, "name"));
        if (its && strcmp(its, name) == 0)
            return item;
    }
    return json_array_get(list, 0);
}

static int number(const json_t *object, const char *name)
{
    return (int)json_integer_value(json_object_get(object, name));
}

/* --connect-addr says where to dial; the URL only needs a name. */
static bool dials_elsewhere(const struct expose *e)
{
    return e->config->connect_addr && *e->config->connect_addr;
}

static void on_nodes(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char host[300];
    (void)status;
    if (result != BURROW_OK)
        expose_fail(e, result,
                    "the nodes cannot be listed: %s; give the address of one by --connect-addr "
                    "(BURROW_CONNECT_ADDR)",
                    error);
    else if (!node_address(body, host, sizeof host))
        expose_fail(e, BURROW_EIO,
                    "no ready node has an address; give one by --connect-addr "
                    "(BURROW_CONNECT_ADDR)");
    else
        set_way(e, WAY_NODE_PORT, host, e->node_port);
}

/* The server takes the token in the register frame, which the way through the API server needs. */
static bool takes_token_in_register(const struct expose *e)
{
    const json_t *spec = json_object_get(e->objects[OBJECT_DEPLOYMENT], "spec"), *variable;
    const json_t *pod = json_object_get(json_object_get(spec, "template"), "spec");
    const json_t *container = named(json_object_get(pod, "containers"), OBJECT_CONTAINER);
    size_t i;
    json_array_foreach(json_object_get(container, "env"), i, variable)
    {
        const char *name = json_string_value(json_object_get(variable, "name"));
        if (name && strcmp(name, "BURROW_TOKEN_IN_REGISTER") == 0)
            return true;
    }
    return false;
}

/* auto goes by the API server where no load balancer appears. */
static void wait_for_load_balancer(struct expose *e)
{
    bool automatic = takes_token_in_register(e);
    uint64_t now = e->host->now_ms(e->host->self);
    if (!e->patience)
        e->patience = now + LOAD_BALANCER_MS < e->deadline ? now + LOAD_BALANCER_MS : e->deadline;
    if (automatic && now >= e->patience) {
        expose_say("there is no load balancer");
        set_way(e, WAY_API, NULL, 0);
        return;
    }
    later(e, "the address of the load balancer",
          automatic ? "none yet"
                    : "none yet; where the cluster has no load balancers, use "
                      "--service-type ClusterIP",
          poll_service);
}

static void on_service(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char host[300], name[OBJECT_NAME_ROOM];
    object_name(e->wanted.server_name, OBJECT_SERVICE, name);
    if (result != BURROW_OK) {
        if (is_final(status))
            expose_fail(e, result, "service/%s cannot be looked at: %s", name, error);
        else
            later(e, "the Service", error, poll_service);
        return;
    }
    const json_t *spec = json_object_get(body, "spec");
    const char *type = json_string_value(json_object_get(spec, "type"));
    const json_t *port = named(json_object_get(spec, "ports"), OBJECT_PORT);
    e->service_port = number(port, "port");
    e->node_port = number(port, "nodePort");
    if (type && strcmp(type, "LoadBalancer") == 0) {
        if (dials_elsewhere(e))
            set_way(e, WAY_LOAD_BALANCER, name, e->service_port);
        else if (load_balancer_address(body, host, sizeof host))
            set_way(e, WAY_LOAD_BALANCER, host, e->service_port);
        else
            wait_for_load_balancer(e);
    } else if (type && strcmp(type, "NodePort") == 0) {
        if (dials_elsewhere(e))
            set_way(e, WAY_NODE_PORT, name, e->node_port);
        else
            ask(e, "/api/v1/nodes", on_nodes);
    } else {
        set_way(e, WAY_API, NULL, 0);
    }
}

static void poll_service(void *arg)
{
    struct expose *e = expose_of(arg);
    e->timer = NULL;
    ask_object(e, OBJECT_SERVICE, on_service);
}

/* ---- the server ---- */

static void on_pods(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char reason[sizeof e->reason] = "";
    (void)status;
    (void)error;
    if (result == BURROW_OK)
        pods_reason(body, reason, sizeof reason);
    later(e, "the server", reason, poll_deployment);
}

static void on_deployment(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char reason[sizeof e->reason], path[KUBE_MAX_PATH], collection[160];
    if (result != BURROW_OK && is_final(status)) {
        expose_fail(e, result, "the Deployment cannot be looked at: %s", error);
    } else if (result != BURROW_OK) {
        later(e, "the server", error, poll_deployment);
    } else if (deployment_is_available(body)) {
        expose_say("the server is available");
        const json_t *rules =
            json_object_get(json_object_get(e->objects[OBJECT_INGRESS], "spec"), "rules");
        const char *host = json_string_value(json_object_get(json_array_get(rules, 0), "host"));
        e->reason[0] = '\0';
        if (host)
            set_way(e, WAY_INGRESS, host, 443);
        else
            poll_service(e);
    } else if (deployment_reason(body, reason, sizeof reason)) {
        later(e, "the server", reason, poll_deployment);
    } else {
        snprintf(collection, sizeof collection,
                 "pods?limit=20&labelSelector=burrow.dev%%2Fserver-name%%3D%s",
                 e->wanted.server_name);
        ask(e, kube_path(path, "/api/v1", e->name_space, collection, NULL), on_pods);
    }
}

static void poll_deployment(void *arg)
{
    struct expose *e = expose_of(arg);
    e->timer = NULL;
    ask_object(e, OBJECT_DEPLOYMENT, on_deployment);
}

void wait_begin(struct expose *e)
{
    e->deadline = e->host->now_ms(e->host->self) + (uint64_t)e->config->wait_ms;
    poll_deployment(e);
}
