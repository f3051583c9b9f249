/* SPDX-License-Identifier: Apache-2.0 */
/* The `exec` entry of a kubeconfig and the ExecCredential that its program prints; see exec.h. */
#include "kubernetes/exec.h"

#include "kubernetes/internal.h"
#include "utc.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGS 64
#define MAX_ENV 64
#define API_VERSION "client.authentication.k8s.io/v1"
#define EXTENSION "client.authentication.k8s.io/exec"

extern char **environ;

/* ---- what is to be run ---- */

static json_t *base64(const struct file_bytes *bytes)
{
    char *text = malloc((bytes->len + 2) / 3 * 4 + 1);
    if (text == NULL)
        return NULL;
    EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes->data, (int)bytes->len);
    json_t *json = json_string(text);
    free(text);
    return json;
}

/* spec.cluster: what the kubeconfig says of it, its authority always as data. */
static json_t *cluster_info(const json_t *cluster, const struct file_bytes *ca)
{
    static const char *const members[] = {"server", "tls-server-name", "insecure-skip-tls-verify",
                                          "proxy-url"};
    const json_t *extensions = json_object_get(cluster, "extensions"), *extension;
    json_t *info = json_object();
    int rc = info != NULL ? 0 : -1;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(cluster, members[i]) != NULL)
            rc |= json_object_set(info, members[i], json_object_get(cluster, members[i]));
    if (ca->data != NULL)
        rc |= json_object_set_new(info, "certificate-authority-data", base64(ca));
    size_t i;
    json_array_foreach(extensions, i, extension)
    {
        const char *name = kube_string(extension, "name");
        if (name != NULL && strcmp(name, EXTENSION) == 0)
            rc |= json_object_set(info, "config", json_object_get(extension, "extension"));
    }
    if (rc == 0)
        return info;
    json_decref(info);
    return NULL;
}

/* The value of KUBERNETES_EXEC_INFO. */
static json_t *exec_info(const json_t *entry, const json_t *cluster, const struct file_bytes *ca)
{
    const char *version = kube_string(entry, "apiVersion");
    json_t *spec = json_pack("{s:b}", "interactive", 0);
    int rc = spec != NULL ? 0 : -1;
    if (json_is_true(json_object_get(entry, "provideClusterInfo")))
        rc |= json_object_set_new(spec, "cluster", cluster_info(cluster, ca));
    json_t *info = rc == 0 ? json_pack("{s:s, s:s, s:O}", "apiVersion",
                                       version != NULL ? version : API_VERSION, "kind",
                                       "ExecCredential", "spec", spec)
                           : NULL;
    char *text = info != NULL ? json_dumps(info, JSON_COMPACT) : NULL;
    json_t *json = text != NULL ? json_string(text) : NULL;
    free(text);
    json_decref(info);
    json_decref(spec);
    return json;
}

static int check_entry(const json_t *entry, char why[KUBE_WHY])
{
    const json_t *args = json_object_get(entry, "args"), *vars = json_object_get(entry, "env");
    const char *mode = kube_string(entry, "interactiveMode");
    if (kube_string(entry, "command") == NULL)
        return kube_refuse(why, "kubeconfig: exec: it names no command");
    if (mode != NULL && strcmp(mode, "Always") == 0)
        return kube_refuse(why, "kubeconfig: exec: interactiveMode: Always: nobody is asked here; "
                                "expected Never or IfAvailable");
    if (json_array_size(args) > MAX_ARGS || json_array_size(vars) > MAX_ENV)
        return kube_refuse(why, "kubeconfig: exec: more than %d args or %d variables", MAX_ARGS,
                           MAX_ENV);
    for (size_t i = 0; i < json_array_size(args); i++)
        if (json_string_value(json_array_get(args, i)) == NULL)
            return kube_refuse(why, "kubeconfig: exec: args must be texts");
    for (size_t i = 0; i < json_array_size(vars); i++)
        if (kube_string(json_array_get(vars, i), "name") == NULL)
            return kube_refuse(why, "kubeconfig: exec: env needs names");
    return BURROW_OK;
}

/* As kubectl: a name is looked for in PATH, a relative path from the kubeconfig. */
static char *program_of(const char *command, const char *folder)
{
    char *path = NULL;
    if (strchr(command, '/') == NULL || command[0] == '/')
        return strdup(command);
    return asprintf(&path, "%s/%s", folder, command) >= 0 ? path : NULL;
}

int kube_exec_parse(const json_t *entry, const char *folder, const json_t *cluster,
                    const struct file_bytes *ca, struct kube_exec **ret, char why[KUBE_WHY])
{
    const json_t *vars = json_object_get(entry, "env");
    int rc = check_entry(entry, why);
    if (rc != BURROW_OK)
        return rc;
    struct kube_exec *exec = calloc(1, sizeof *exec);
    if (exec == NULL)
        return BURROW_ENOMEM;
    exec->program = program_of(kube_string(entry, "command"), folder);
    exec->args = json_incref(json_object_get(entry, "args"));
    exec->own = json_object();
    int failed = exec->program != NULL && exec->own != NULL ? 0 : -1;
    for (size_t i = 0; i < json_array_size(vars); i++) {
        const json_t *var = json_array_get(vars, i);
        const char *value = json_string_value(json_object_get(var, "value"));
        failed |= json_object_set_new(exec->own, kube_string(var, "name"),
                                      json_string(value != NULL ? value : ""));
    }
    failed |= json_object_set_new(exec->own, "KUBERNETES_EXEC_INFO", exec_info(entry, cluster, ca));
    if (failed != 0) {
        kube_exec_free(exec);
        return BURROW_ENOMEM;
    }
    *ret = exec;
    return BURROW_OK;
}

void kube_exec_free(struct kube_exec *exec)
{
    if (exec == NULL)
        return;
    free(exec->program);
    json_decref(exec->args);
    json_decref(exec->own);
    free(exec);
}

char **kube_exec_argv(const struct kube_exec *exec)
{
    size_t n = json_array_size(exec->args);
    char **argv = calloc(n + 2, sizeof *argv);
    if (argv == NULL)
        return NULL;
    argv[0] = exec->program;
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = (char *)(uintptr_t)json_string_value(json_array_get(exec->args, i));
    return argv;
}

/* Whether the entry sets the variable of this "NAME=VALUE". */
static bool is_own(const struct kube_exec *exec, const char *variable)
{
    return json_object_getn(exec->own, variable, strcspn(variable, "=")) != NULL;
}

char **kube_exec_environment(const struct kube_exec *exec)
{
    size_t n = 0, room = 0, kept = 0;
    const char *name;
    json_t *value;
    while (environ[n] != NULL)
        n++;
    json_object_foreach(exec->own, name, value) room +=
        strlen(name) + json_string_length(value) + 2;
    size_t slots = n + json_object_size(exec->own) + 1;
    char **made = calloc(1, slots * sizeof *made + room);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (!is_own(exec, environ[i]))
            made[kept++] = environ[i];
    char *text = (char *)(made + slots);
    json_object_foreach(exec->own, name, value)
    {
        made[kept++] = text;
        text += sprintf(text, "%s=%s", name, json_string_value(value)) + 1;
    }
    return made;
}

/* ---- what it says ---- */

void kube_credential_finish(struct kube_credential *credential)
{
    if (credential->token != NULL)
        explicit_bzero(credential->token, strlen(credential->token));
    free(credential->token);
    file_free(&credential->cert);
    file_free(&credential->key);
    memset(credential, 0, sizeof *credential);
}

int kube_credential_parse(const char *text, size_t len, struct kube_credential *ret,
                          char why[KUBE_WHY])
{
    json_t *json = json_loadb(text, len, 0, NULL);
    const json_t *status = json_object_get(json, "status");
    const char *token = kube_string(status, "token");
    const char *cert = kube_string(status, "clientCertificateData");
    const char *key = kube_string(status, "clientKeyData");
    const char *expires = kube_string(status, "expirationTimestamp");
    struct kube_credential made = {0};
    int rc = BURROW_OK;
    if (token == NULL && (cert == NULL || key == NULL)) {
        rc = BURROW_EPROTO;
        snprintf(why, KUBE_WHY,
                 "kubeconfig: exec: the program printed neither a token nor a client certificate "
                 "with its key");
    } else {
        made.token = kube_copy(token);
        if (cert != NULL && key != NULL) {
            made.cert = (struct file_bytes){strdup(cert), strlen(cert)};
            made.key = (struct file_bytes){strdup(key), strlen(key)};
        }
        if ((token != NULL && made.token == NULL) ||
            (cert != NULL && key != NULL && (made.cert.data == NULL || made.key.data == NULL)))
            rc = BURROW_ENOMEM;
        /* Of another form it counts as not said: the API's 401 tells the end, too. */
        if (expires != NULL)
            (void)utc_parse(expires, &made.expires);
    }
    json_decref(json);
    if (rc == BURROW_OK)
        *ret = made;
    else
        kube_credential_finish(&made);
    return rc;
}
