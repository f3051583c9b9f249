/* SPDX-License-Identifier: Apache-2.0 */
/* Building the objects; see objects.h. */
#include "objects.h"

#include <stdio.h>
#include <string.h>

#define LABEL_MANAGED_BY "app.kubernetes.io/managed-by"
#define LABEL_SERVER "burrow.dev/server-name"
#define ANNOTATION_RUN "burrow.dev/run"
#define NAME_MAX_LEN 50u

static const struct object_kind kinds[OBJECT_COUNT] = {
    [OBJECT_SECRET] = {"Secret", "v1", "/api/v1", "secrets", "secret", "-auth"},
    [OBJECT_SERVICE_ACCOUNT] = {"ServiceAccount", "v1", "/api/v1", "serviceaccounts",
                                "serviceaccount", ""},
    [OBJECT_ROLE] = {"Role", "rbac.authorization.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1",
                     "roles", "role", ""},
    [OBJECT_ROLE_BINDING] = {"RoleBinding", "rbac.authorization.k8s.io/v1",
                             "/apis/rbac.authorization.k8s.io/v1", "rolebindings", "rolebinding",
                             ""},
    [OBJECT_DEPLOYMENT] = {"Deployment", "apps/v1", "/apis/apps/v1", "deployments", "deployment",
                           ""},
    [OBJECT_SERVICE] = {"Service", "v1", "/api/v1", "services", "service", ""},
    [OBJECT_INGRESS] = {"Ingress", "networking.k8s.io/v1", "/apis/networking.k8s.io/v1",
                        "ingresses", "ingress", ""},
};

const struct object_kind *object_kind(enum object which)
{
    return &kinds[which];
}

bool server_name_is_sound(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= NAME_MAX_LEN && name[0] != '-' && name[n - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

const char *object_name(const char *server_name, enum object which, char buf[OBJECT_NAME_ROOM])
{
    snprintf(buf, OBJECT_NAME_ROOM, "burrow-%s%s", server_name, kinds[which].suffix);
    return buf;
}

bool annotation_is_sound(const char *text)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (n == 0 || !strchr(word, text[0]) || !strchr(word, text[n - 1]))
        return false;
    const char *slash = memchr(text, '/', n);
    const char *name = slash ? slash + 1 : text;
    size_t before = slash ? (size_t)(slash - text) : 0;
    return before <= 253 && name < equals && equals - name <= 63 &&
           (!slash || strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == before) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") ==
               (size_t)(equals - name);
}

static json_t *labels(const struct exposure *x)
{
    return json_pack("{s:s, s:s}", LABEL_MANAGED_BY, "burrow", LABEL_SERVER, x->server_name);
}

/* The object's head, into which takes the members of `rest` (which it takes over). */
static json_t *object(const struct exposure *x, enum object which, json_t *rest)
{
    char name[OBJECT_NAME_ROOM];
    json_t *whole =
        json_pack("{s:s, s:s, s:{s:s, s:s, s:o}}", "apiVersion", kinds[which].version, "kind",
                  kinds[which].kind, "metadata", "name", object_name(x->server_name, which, name),
                  "namespace", x->name_space, "labels", labels(x));
    int rc = whole && rest ? json_object_update(whole, rest) : -1;
    if (x->run)
        rc |= json_object_set_new(json_object_get(whole, "metadata"), "annotations",
                                  json_pack("{s:s}", ANNOTATION_RUN, x->run));
    json_decref(rest);
    if (rc == 0)
        return whole;
    json_decref(whole);
    return NULL;
}

static json_t *secret(const struct exposure *x)
{
    return object(
        x, OBJECT_SECRET,
        json_pack("{s:s, s:{s:s}}", "type", "Opaque", "stringData", SECRET_KEY, x->secret));
}

/* What registry-kubernetes needs with one replica: the Services of the clients, the way from its
 * pod to the Deployment, which is to own them, and whether the pod before it still lives. */
static json_t *role(const struct exposure *x)
{
    return object(x, OBJECT_ROLE,
                  json_pack("{s:[{s:[s], s:[s], s:[s,s,s,s,s,s]}, {s:[s], s:[s], s:[s,s]},"
                            " {s:[s], s:[s], s:[s]}]}",
                            "rules", "apiGroups", "", "resources", "services", "verbs", "get",
                            "list", "watch", "create", "update", "delete", "apiGroups", "",
                            "resources", "pods", "verbs", "get", "list", "apiGroups", "apps",
                            "resources", "replicasets", "verbs", "get"));
}

static json_t *role_binding(const struct exposure *x)
{
    char role_name[OBJECT_NAME_ROOM], account[OBJECT_NAME_ROOM];
    object_name(x->server_name, OBJECT_ROLE, role_name);
    object_name(x->server_name, OBJECT_SERVICE_ACCOUNT, account);
    return object(x, OBJECT_ROLE_BINDING,
                  json_pack("{s:{s:s, s:s, s:s}, s:[{s:s, s:s, s:s}]}", "roleRef", "apiGroup",
                            "rbac.authorization.k8s.io", "kind", "Role", "name", role_name,
                            "subjects", "kind", "ServiceAccount", "name", account, "namespace",
                            x->name_space));
}

static int add_value(json_t *env, const char *name, const char *value)
{
    return json_array_append_new(env, json_pack("{s:s, s:s}", "name", name, "value", value));
}

static int add_field(json_t *env, const char *name, const char *path)
{
    return json_array_append_new(env, json_pack("{s:s, s:{s:{s:s}}}", "name", name, "valueFrom",
                                                "fieldRef", "fieldPath", path));
}

static json_t *environment(const struct exposure *x)
{
    char address[16], selector[64 + sizeof LABEL_SERVER], auth[OBJECT_NAME_ROOM];
    snprintf(address, sizeof address, ":%u", (unsigned)x->port);
    snprintf(selector, sizeof selector, LABEL_SERVER "=%s", x->server_name);
    object_name(x->server_name, OBJECT_SECRET, auth);
    json_t *env = json_array();
    int rc = add_value(env, "BURROW_JWT_ALG", "HS256");
    rc |= json_array_append_new(env, json_pack("{s:s, s:{s:{s:s, s:s}}}", "name",
                                               "BURROW_JWT_HMAC_SECRET", "valueFrom",
                                               "secretKeyRef", "name", auth, "key", SECRET_KEY));
    rc |= add_value(env, "BURROW_JWT_AUDIENCE", TOKEN_AUDIENCE);
    rc |= add_value(env, "BURROW_JWT_ISSUER", TOKEN_ISSUER);
    rc |= add_value(env, "BURROW_SERVER_ADDR", address);
    rc |= add_value(env, "BURROW_BRIDGE_HOST", "0.0.0.0");
    rc |= add_field(env, "BURROW_NAMESPACE", "metadata.namespace");
    rc |= add_value(env, "BURROW_ENABLE_KUBE_API", "true");
    rc |= add_value(env, "BURROW_BRIDGE_POD_SELECTOR", selector);
    /* By its pod the server finds the Deployment that is to own the clients' Services. */
    rc |= add_field(env, "POD_NAME", "metadata.name");
    if (x->token_in_register)
        rc |= add_value(env, "BURROW_TOKEN_IN_REGISTER", "true");
    if (rc == 0)
        return env;
    json_decref(env);
    return NULL;
}

static json_t *probe(int period)
{
    return json_pack("{s:{s:s, s:s}, s:i}", "httpGet", "path", "/healthz", "port", OBJECT_PORT,
                     "periodSeconds", period);
}

static json_t *container(const struct exposure *x)
{
    /* The end of the log stands in the pod's status when the server does not start. */
    return json_pack(
        "{s:s, s:s, s:[s], s:o, s:[{s:s, s:i, s:s}], s:o, s:o, s:{s:{s:s, s:s}, s:{s:s}}, s:s,"
        " s:{s:b, s:b, s:{s:[s]}}}",
        "name", OBJECT_CONTAINER, "image", x->image, "args", "server", "env", environment(x),
        "ports", "name", OBJECT_PORT, "containerPort", (int)x->port, "protocol", "TCP",
        "livenessProbe", probe(10), "readinessProbe", probe(2), "resources", "requests", "cpu",
        "50m", "memory", "64Mi", "limits", "memory", "512Mi", "terminationMessagePolicy",
        "FallbackToLogsOnError", "securityContext", "allowPrivilegeEscalation", 0,
        "readOnlyRootFilesystem", 1, "capabilities", "drop", "ALL");
}

static json_t *deployment(const struct exposure *x)
{
    char account[OBJECT_NAME_ROOM];
    object_name(x->server_name, OBJECT_SERVICE_ACCOUNT, account);
    json_t *pod = json_pack("{s:s, s:i, s:{s:b, s:i, s:i, s:{s:s}}, s:[o]}", "serviceAccountName",
                            account, "terminationGracePeriodSeconds", 45, "securityContext",
                            "runAsNonRoot", 1, "runAsUser", 65534, "runAsGroup", 65534,
                            "seccompProfile", "type", "RuntimeDefault", "containers", container(x));
    return object(x, OBJECT_DEPLOYMENT,
                  json_pack("{s:{s:i, s:{s:o}, s:{s:{s:o}, s:o}}}", "spec", "replicas", 1,
                            "selector", "matchLabels", labels(x), "template", "metadata", "labels",
                            labels(x), "spec", pod));
}

static json_t *service(const struct exposure *x)
{
    bool headless = strcmp(x->service_type, "None") == 0;
    json_t *spec =
        json_pack("{s:s, s:o, s:[{s:s, s:s, s:i, s:s}]}", "type",
                  headless ? "ClusterIP" : x->service_type, "selector", labels(x), "ports", "name",
                  OBJECT_PORT, "protocol", "TCP", "port", (int)x->port, "targetPort", OBJECT_PORT);
    if (headless && json_object_set_new(spec, "clusterIP", json_string("None")) < 0) {
        json_decref(spec);
        return NULL;
    }
    return object(x, OBJECT_SERVICE, json_pack("{s:o}", "spec", spec));
}

static int add_annotations(json_t *annotations, const struct burrow_list *list)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        rc = json_object_setn_new(annotations, list->items[i], (size_t)(equals - list->items[i]),
                                  json_string(equals + 1));
    }
    return rc;
}

static json_t *ingress(const struct exposure *x)
{
    char service_name[OBJECT_NAME_ROOM];
    object_name(x->server_name, OBJECT_SERVICE, service_name);
#define NGINX "nginx.ingress.kubernetes.io/"
    json_t *annotations =
        json_pack("{s:s, s:s, s:s}", NGINX "proxy-read-timeout", "3600", NGINX "proxy-send-timeout",
                  "3600", NGINX "proxy-http-version", "1.1");
#undef NGINX
    int rc = annotations ? add_annotations(annotations, &x->ingress_annotations) : -1;
    if (x->run)
        rc |= json_object_set_new(annotations, ANNOTATION_RUN, json_string(x->run));
    json_t *whole =
        object(x, OBJECT_INGRESS,
               json_pack("{s:{s:[{s:[s]}], s:[{s:s, s:{s:[{s:s, s:s, s:{s:{s:s, s:{s:s}}}}]}}]}}",
                         "spec", "tls", "hosts", x->hostname, "rules", "host", x->hostname, "http",
                         "paths", "path", "/ws", "pathType", "Prefix", "backend", "service", "name",
                         service_name, "port", "name", OBJECT_PORT));
    json_t *spec = json_object_get(whole, "spec");
    rc |= json_object_set(json_object_get(whole, "metadata"), "annotations", annotations);
    /* Not by json_pack's "s*", which leaves out what there is no memory for. */
    if (x->tls_secret)
        rc |= json_object_set_new(json_array_get(json_object_get(spec, "tls"), 0), "secretName",
                                  json_string(x->tls_secret));
    /* Without a class the API server fills in the one that is marked as the default. */
    if (x->ingress_class)
        rc |= json_object_set_new(spec, "ingressClassName", json_string(x->ingress_class));
    json_decref(annotations);
    if (rc == 0)
        return whole;
    json_decref(whole);
    return NULL;
}

json_t *object_build(const struct exposure *x, enum object which)
{
    switch (which) {
    case OBJECT_SECRET:
        return secret(x);
    case OBJECT_SERVICE_ACCOUNT:
        return object(x, which, json_object());
    case OBJECT_ROLE:
        return role(x);
    case OBJECT_ROLE_BINDING:
        return role_binding(x);
    case OBJECT_DEPLOYMENT:
        return deployment(x);
    case OBJECT_SERVICE:
        return service(x);
    default:
        return ingress(x);
    }
}

bool object_is_ours(const json_t *object, const char *server_name)
{
    const json_t *found = json_object_get(json_object_get(object, "metadata"), "labels");
    const char *manager = json_string_value(json_object_get(found, LABEL_MANAGED_BY));
    const char *server = json_string_value(json_object_get(found, LABEL_SERVER));
    return manager && strcmp(manager, "burrow") == 0 && server && strcmp(server, server_name) == 0;
}

bool object_is_of_run(const json_t *object, const char *run)
{
    const json_t *found = json_object_get(json_object_get(object, "metadata"), "annotations");
    const char *its = json_string_value(json_object_get(found, ANNOTATION_RUN));
    return its && strcmp(its, run) == 0;
}
