/* SPDX-License-Identifier: Apache-2.0 */
/* Reading statuses; see reason.h. */
#include "reason.h"

#include <stdio.h>
#include <string.h>

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static const json_t *at(const json_t *object, const char *outer, const char *inner)
{
    return json_object_get(json_object_get(object, outer), inner);
}

/* The condition of that type with that status, or NULL. */
static const json_t *condition(const json_t *object, const char *type, const char *status)
{
    const json_t *list = at(object, "status", "conditions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *c = json_array_get(list, i);
        if (strcmp(text(c, "type"), type) == 0 && strcmp(text(c, "status"), status) == 0)
            return c;
    }
    return NULL;
}

/* Control characters, which logs of a container may have, become blanks. */
static bool one_line(char *buf)
{
    size_t n = strlen(buf);
    for (char *p = buf; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    while (n > 0 && buf[n - 1] == ' ')
        buf[--n] = '\0';
    return true;
}

bool deployment_is_available(const json_t *deployment)
{
    json_int_t made = json_integer_value(at(deployment, "metadata", "generation"));
    json_int_t seen = json_integer_value(at(deployment, "status", "observedGeneration"));
    return seen >= made && condition(deployment, "Available", "True") != NULL;
}

bool deployment_reason(const json_t *deployment, char *buf, size_t size)
{
    const json_t *c = condition(deployment, "ReplicaFailure", "True");
    if (!c)
        return false;
    snprintf(buf, size, "%s: %s", text(c, "reason"), text(c, "message"));
    return one_line(buf);
}

static bool container_reason(const json_t *status, char *buf, size_t size)
{
    const json_t *waiting = at(status, "state", "waiting");
    const json_t *ended = at(status, "state", "terminated");
    const char *reason = text(waiting, "reason");
    if (!ended)
        ended = at(status, "lastState", "terminated");
    if (strcmp(reason, "ContainerCreating") == 0 || strcmp(reason, "PodInitializing") == 0)
        reason = "";
    if (ended) {
        snprintf(buf, size, "%s%sthe server ended with code %lld: %s", reason, *reason ? ": " : "",
                 (long long)json_integer_value(json_object_get(ended, "exitCode")),
                 *text(ended, "message") ? text(ended, "message") : text(ended, "reason"));
        return one_line(buf);
    }
    if (!*reason)
        return false;
    snprintf(buf, size, "%s: %s", reason, text(waiting, "message"));
    return one_line(buf);
}

bool pods_reason(const json_t *list, char *buf, size_t size)
{
    const json_t *items = json_object_get(list, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *pod = json_array_get(items, i);
        const json_t *c = condition(pod, "PodScheduled", "False");
        if (c) {
            snprintf(buf, size, "%s: %s", text(c, "reason"), text(c, "message"));
            return one_line(buf);
        }
        const json_t *statuses = at(pod, "status", "containerStatuses");
        for (size_t j = 0; j < json_array_size(statuses); j++)
            if (container_reason(json_array_get(statuses, j), buf, size))
                return true;
    }
    return false;
}

/* Nothing that would change the URL it goes into. */
static bool as_host(const char *address, char *buf, size_t size)
{
    size_t n = strlen(address);
    if (n == 0 || n > 253 ||
        strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") != n)
        return false;
    snprintf(buf, size, strchr(address, ':') ? "[%s]" : "%s", address);
    return true;
}

bool load_balancer_address(const json_t *service, char *buf, size_t size)
{
    const json_t *list = json_object_get(at(service, "status", "loadBalancer"), "ingress");
    const json_t *first = json_array_get(list, 0);
    return as_host(text(first, "ip"), buf, size) || as_host(text(first, "hostname"), buf, size);
}

bool node_address(const json_t *list, char *buf, size_t size)
{
    static const char *const types[] = {"ExternalIP", "InternalIP"};
    const json_t *items = json_object_get(list, "items");
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < json_array_size(items); i++) {
            const json_t *node = json_array_get(items, i);
            const json_t *addresses = at(node, "status", "addresses");
            for (size_t j = 0; condition(node, "Ready", "True") && j < json_array_size(addresses);
                 j++) {
                const json_t *a = json_array_get(addresses, j);
                if (strcmp(text(a, "type"), types[t]) == 0 &&
                    as_host(text(a, "address"), buf, size))
                    return true;
            }
        }
    return false;
}
