/* SPDX-License-Identifier: Apache-2.0 */
/* Building and reading the objects; see objects.h. */
#include "objects.h"

#include <stdio.h>
#include <string.h>

static const char *string_at(const json_t *object, const char *outer, const char *inner,
                             const char *name)
{
    const json_t *member = json_object_get(json_object_get(object, outer), inner);
    const char *text = json_string_value(json_object_get(member, name));
    return text != NULL ? text : "";
}

bool is_ours(const json_t *service)
{
    return strcmp(string_at(service, "metadata", "labels", LABEL_MANAGED_BY), "burrow") == 0;
}

bool client_of(const json_t *service, char buf[129])
{
    const char *id = string_at(service, "metadata", "annotations", LABEL_CLIENT);
    if (*id == '\0')
        id = string_at(service, "metadata", "labels", LABEL_CLIENT);
    if (*id == '\0' || strlen(id) > 128)
        return false;
    snprintf(buf, 129, "%s", id);
    return true;
}

const char *holder_of(const json_t *service)
{
    return string_at(service, "metadata", "annotations", ANNOTATION_HOLDER);
}

const char *target_of(const json_t *slice)
{
    const json_t *endpoint = json_array_get(json_object_get(slice, "endpoints"), 0);
    const char *name =
        json_string_value(json_object_get(json_object_get(endpoint, "targetRef"), "name"));
    return name != NULL ? name : "";
}

bool is_the_same(const json_t *made, const json_t *there)
{
    json_t *whole = json_object();
    int rc = json_object_update(whole, (json_t *)(uintptr_t)there);
    rc |= json_object_set(whole, "apiVersion", json_object_get(made, "apiVersion"));
    rc |= json_object_set(whole, "kind", json_object_get(made, "kind"));
    bool same = rc == 0 && json_equal(made, whole);
    json_decref(whole);
    return same;
}

bool selects_pods(const json_t *service)
{
    const json_t *selector = json_object_get(json_object_get(service, "spec"), "selector");
    return json_object_size(selector) > 0 && json_object_get(selector, LABEL_NO_POD) == NULL;
}

json_t *selector_from(const char *text)
{
    json_t *selector = json_object();
    while (selector != NULL && *text != '\0') {
        size_t n = strcspn(text, ",");
        const char *equals = memchr(text, '=', n);
        char key[320], value[64];
        if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof key ||
            n - (size_t)(equals - text) - 1 >= sizeof value) {
            json_decref(selector);
            return NULL;
        }
        snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
        snprintf(value, sizeof value, "%.*s", (int)(n - (size_t)(equals - text) - 1), equals + 1);
        if (*value != '\0' && !is_label_value(value)) {
            json_decref(selector);
            return NULL;
        }
        if (json_object_set_new(selector, key, json_string(value)) != 0) {
            json_decref(selector);
            return NULL;
        }
        text += n;
        text += *text == ',';
    }
    if (json_object_size(selector) > 0)
        return selector;
    json_decref(selector);
    return NULL;
}

static bool is_taken(const struct wanted *w, const char *name, uint32_t port)
{
    for (size_t i = 0; i < w->port_count; i++)
        if (w->ports[i].port == port || strcmp(w->ports[i].name, name) == 0)
            return true;
    return false;
}

/* The port of the target; where an earlier service of the client has it, the bridge's, or the next
 * that is free. The name goes the same way. */
static void add_port(struct wanted *w, const struct burrow_published_service *s)
{
    struct port p = {.port = target_port(s->target), .bridge_port = s->bridge_port};
    port_name(s->name, s->bridge_port, p.name);
    if (is_taken(w, "", p.port))
        p.port = s->bridge_port;
    while (is_taken(w, "", p.port))
        p.port = p.port < UINT16_MAX ? p.port + 1 : 1;
    for (uint32_t n = s->bridge_port; is_taken(w, p.name, 0); n++)
        snprintf(p.name, sizeof p.name, "tcp-%u", (unsigned)n);
    w->ports[w->port_count++] = p;
}

void wanted_from(struct wanted *w, const struct burrow_publication *publication)
{
    memset(w, 0, sizeof *w);
    snprintf(w->client_id, sizeof w->client_id, "%s", publication->client_id);
    service_name(w->client_id, w->name);
    for (size_t i = 0; i < publication->service_count && i < sizeof w->ports / sizeof *w->ports;
         i++) {
        const struct burrow_published_service *s = &publication->services[i];
        if (i == 0)
            snprintf(w->target, sizeof w->target, "%s", s->target);
        add_port(w, s);
    }
}

/* ---- building ----
 *
 * Any step may fail for want of memory. jansson's functions take the NULL that an earlier one has
 * left and fail in their turn, so that the results are gathered in `rc` and looked at once, by
 * `whole`: half an object is never shown, as it might lack our label. */

static json_t *whole(json_t *object, int rc)
{
    if (rc == 0)
        return object;
    json_decref(object);
    return NULL;
}

static int set_text(json_t *object, const char *name, const char *text)
{
    return json_object_set_new(object, name, json_string(text));
}

/* Of every version of jansson: some give half a copy when memory runs out. NULL: no memory. */
static json_t *copy_of(const json_t *there)
{
    json_t *copy = json_deep_copy(there);
    return whole(copy, json_equal(copy, there) ? 0 : -1);
}

/* The member, made as an empty object when it is not there. Borrowed. NULL: no memory. */
static json_t *member(json_t *object, const char *name)
{
    json_t *inner = json_object_get(object, name);
    if (!json_is_object(inner)) {
        (void)json_object_set_new(object, name, json_object());
        inner = json_object_get(object, name);
    }
    return inner;
}

static int set_labels(json_t *metadata, const struct wanted *w)
{
    char hash[HASH_ROOM];
    json_t *labels = member(metadata, "labels");
    bool fits = is_label_value(w->client_id);
    int rc = set_text(labels, LABEL_MANAGED_BY, "burrow");
    rc |= set_text(labels, LABEL_CLIENT, fits ? w->client_id : client_hash(w->client_id, hash));
    if (!fits)
        rc |= set_text(member(metadata, "annotations"), LABEL_CLIENT, w->client_id);
    return rc;
}

static int set_owner(json_t *metadata, const json_t *owner)
{
    if (owner == NULL)
        return 0;
    json_t *owners = json_array();
    int rc = json_array_append_new(owners, copy_of(owner));
    return rc | json_object_set_new(metadata, "ownerReferences", owners);
}

/* What is there, or nothing yet, under this name. NULL: no memory. */
static json_t *skeleton(const json_t *existing, const char *version, const char *kind,
                        const char *name)
{
    json_t *object = existing != NULL ? copy_of(existing) : json_object();
    int rc = set_text(object, "apiVersion", version);
    rc |= set_text(object, "kind", kind);
    rc |= set_text(member(object, "metadata"), "name", name);
    return whole(object, rc);
}

/* The ports of the Service, made of those that are there by these names. */
static json_t *service_ports(const struct wanted *w, const json_t *there)
{
    json_t *ports = json_array();
    int rc = 0;
    for (size_t i = 0; i < w->port_count; i++) {
        const json_t *old = NULL;
        for (size_t j = 0; old == NULL && j < json_array_size(there); j++) {
            const char *name = json_string_value(json_object_get(json_array_get(there, j), "name"));
            if (name != NULL && strcmp(name, w->ports[i].name) == 0)
                old = json_array_get(there, j);
        }
        json_t *port = old != NULL ? copy_of(old) : json_object();
        rc |= set_text(port, "name", w->ports[i].name);
        rc |= set_text(port, "protocol", "TCP");
        rc |= json_object_set_new(port, "port", json_integer(w->ports[i].port));
        rc |= json_object_set_new(port, "targetPort", json_integer(w->ports[i].bridge_port));
        rc |= json_array_append_new(ports, port);
    }
    return whole(ports, rc);
}

json_t *service_object(const struct wanted *w, const json_t *existing, const json_t *selector,
                       const struct holder *holder)
{
    json_t *service = skeleton(existing, "v1", "Service", w->name);
    json_t *metadata = member(service, "metadata"), *spec = member(service, "spec");
    int rc = set_labels(metadata, w);
    json_t *annotations = member(metadata, "annotations");
    rc |= set_text(annotations, ANNOTATION_TARGET, w->target);
    if (holder->pod[0] != '\0')
        rc |= set_text(annotations, ANNOTATION_HOLDER, holder->pod);
    rc |= set_owner(metadata, holder->owner);

    rc |= json_object_set_new(spec, "ports", service_ports(w, json_object_get(spec, "ports")));
    if (existing == NULL)
        rc |= set_text(spec, "type", "ClusterIP");
    if (selector != NULL)
        rc |= json_object_set_new(spec, "selector", copy_of(selector));
    else if (json_object_size(json_object_get(spec, "selector")) > 0)
        rc |= json_object_set_new(spec, "selector", json_pack("{s:s}", LABEL_NO_POD, "true"));
    return whole(service, rc);
}

/* With the Service it goes. */
static int set_service(json_t *metadata, const char *name, const json_t *service)
{
    const char *uid =
        json_string_value(json_object_get(json_object_get(service, "metadata"), "uid"));
    if (uid == NULL)
        return 0;
    json_t *owner = json_pack("{s:s, s:s, s:s, s:s}", "apiVersion", "v1", "kind", "Service", "name",
                              name, "uid", uid);
    int rc = owner != NULL ? set_owner(metadata, owner) : -1;
    json_decref(owner);
    return rc;
}

json_t *slice_object(const struct wanted *w, const json_t *existing, const json_t *service,
                     const struct holder *holder)
{
    json_t *slice = skeleton(existing, "discovery.k8s.io/v1", "EndpointSlice", w->name);
    json_t *metadata = member(slice, "metadata"), *labels = member(metadata, "labels");
    int rc = set_labels(metadata, w);
    rc |= set_text(labels, "kubernetes.io/service-name", w->name);
    rc |= set_text(labels, "endpointslice.kubernetes.io/managed-by", "burrow.dev");
    if (service != NULL)
        rc |= set_service(metadata, w->name, service);
    rc |= set_text(slice, "addressType", strchr(holder->address, ':') != NULL ? "IPv6" : "IPv4");
    rc |= json_object_set_new(slice, "endpoints",
                              json_pack("[{s:[s], s:{s:b}, s:{s:s, s:s}}]", "addresses",
                                        holder->address, "conditions", "ready", 1, "targetRef",
                                        "kind", "Pod", "name", holder->pod));
    json_t *ports = json_array();
    for (size_t i = 0; i < w->port_count; i++)
        rc |= json_array_append_new(ports, json_pack("{s:s, s:s, s:i}", "name", w->ports[i].name,
                                                     "protocol", "TCP", "port",
                                                     (int)w->ports[i].bridge_port));
    rc |= json_object_set_new(slice, "ports", ports);
    return whole(slice, rc);
}

json_t *admitted_pods(const char *text, const char *client_id)
{
    static const char place[] = "{client}";
    char filled[1024], hash[HASH_ROOM];
    const char *id = is_label_value(client_id) ? client_id : client_hash(client_id, hash);
    size_t used = 0;
    while (*text != '\0') {
        bool here = strncmp(text, place, sizeof place - 1) == 0;
        int n =
            snprintf(filled + used, sizeof filled - used, "%.*s", here ? 63 : 1, here ? id : text);
        if (n < 0 || (size_t)n >= sizeof filled - used)
            return NULL;
        used += (size_t)n;
        text += here ? sizeof place - 1 : 1;
    }
    return used > 0 ? selector_from(filled) : NULL;
}

json_t *policy_object(const struct wanted *w, const json_t *existing, const json_t *service,
                      const json_t *selector, const json_t *admitted)
{
    json_t *policy = skeleton(existing, "networking.k8s.io/v1", "NetworkPolicy", w->name);
    json_t *metadata = member(policy, "metadata"), *ports = json_array();
    int rc = set_labels(metadata, w);
    rc |= set_service(metadata, w->name, service);
    for (size_t i = 0; i < w->port_count; i++)
        rc |= json_array_append_new(ports, json_pack("{s:s, s:i}", "protocol", "TCP", "port",
                                                     (int)w->ports[i].bridge_port));
    rc |= json_object_set_new(policy, "spec",
                              json_pack("{s:{s:O}, s:[s], s:[{s:[{s:{s:O}}], s:o}]}", "podSelector",
                                        "matchLabels", selector, "policyTypes", "Ingress",
                                        "ingress", "from", "podSelector", "matchLabels", admitted,
                                        "ports", ports));
    return whole(policy, rc);
}

json_t *event_object(const json_t *about, const char *name_space, const char *reason,
                     const char *message, const char *time)
{
    json_t *involved = copy_of(about);
    int rc = set_text(involved, "namespace", name_space);
    json_t *event = json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:o, s:s, s:s, s:s, s:{s:s}, s:s, s:s, s:i}", "apiVersion", "v1",
        "kind", "Event", "metadata", "generateName", "burrow-", "namespace", name_space,
        "involvedObject", involved, "type", "Warning", "reason", reason, "message", message,
        "source", "component", "burrow", "firstTimestamp", time, "lastTimestamp", time, "count", 1);
    return whole(event, rc);
}
