/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfig files and the files of a pod; see config.h. */
#include "kubernetes/exec.h"
#include "kubernetes/internal.h"
#include "kubernetes/yaml.h"

#include "http/http.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_FILES 8
#define PATH_ROOM 4096
#define POD_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount"

int kube_refuse(char why[KUBE_WHY], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, KUBE_WHY, fmt, ap);
    va_end(ap);
    return BURROW_EINVAL;
}

const char *kube_string(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && *text != '\0' ? text : NULL;
}

char *kube_copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

void kube_config_finish(struct kube_config *config)
{
    if (config->token != NULL)
        OPENSSL_cleanse(config->token, strlen(config->token));
    free(config->server);
    free(config->name_space);
    free(config->context);
    free(config->token);
    free(config->token_file);
    free(config->connect_host);
    file_free(&config->ca);
    file_free(&config->cert);
    file_free(&config->key);
    kube_exec_free(config->exec);
    memset(config, 0, sizeof *config);
}

void kube_config_take(struct kube_config *config, struct kube_credential *credential)
{
    struct kube_credential old = {0};
    if (credential->token != NULL) {
        old.token = config->token;
        config->token = credential->token;
        credential->token = NULL;
    }
    if (credential->cert.data != NULL) {
        old.cert = config->cert;
        old.key = config->key;
        config->cert = credential->cert;
        config->key = credential->key;
    }
    *credential = old; /* which the caller finishes */
}

/* ---- one kubeconfig ---- */

struct source {
    char path[PATH_ROOM], folder[PATH_ROOM];
    json_t *json;
};

struct sources {
    struct source files[MAX_FILES];
    size_t n;
};

static void close_sources(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++)
        json_decref(s->files[i].json);
}

static int open_source(struct sources *s, const char *path, size_t len, char why[KUBE_WHY])
{
    char reason[YAML_WHY];
    struct file_bytes bytes = {0};
    if (s->n == MAX_FILES || len >= PATH_ROOM)
        return kube_refuse(why, "KUBECONFIG: more than %d files, or a name too long", MAX_FILES);
    struct source *source = &s->files[s->n];
    snprintf(source->path, sizeof source->path, "%.*s", (int)len, path);
    snprintf(source->folder, sizeof source->folder, "%.*s", (int)len, path);
    char *slash = strrchr(source->folder, '/');
    if (slash != NULL)
        *slash = '\0';
    else
        snprintf(source->folder, sizeof source->folder, ".");
    int rc = file_read(source->path, KUBE_MAX_CONFIG, false, &bytes, reason);
    if (rc != BURROW_OK)
        return kube_refuse(why, "kubeconfig: %s", rc == BURROW_ENOMEM ? "out of memory" : reason);
    source->json = yaml_to_json(bytes.data, bytes.len, reason);
    file_free(&bytes);
    if (source->json == NULL)
        return kube_refuse(why, "kubeconfig %s: %s", source->path, reason);
    s->n++;
    if (!json_is_object(source->json))
        return kube_refuse(why,
                           "kubeconfig %s: expected a mapping with clusters, users and contexts",
                           source->path);
    return BURROW_OK;
}

/* As kubectl: of a list in KUBECONFIG, files that are not there are passed over. */
static int open_sources(struct sources *s, const char *named, char why[KUBE_WHY])
{
    char home[PATH_ROOM];
    const char *list = named != NULL ? named : getenv("KUBECONFIG");
    if (list == NULL || *list == '\0') {
        const char *dir = getenv("HOME");
        snprintf(home, sizeof home, "%s/.kube/config", dir != NULL ? dir : "");
        list = home;
    }
    bool several = strchr(list, ':') != NULL;
    for (const char *p = list; p != NULL; p = strchr(p, ':') != NULL ? strchr(p, ':') + 1 : NULL) {
        size_t len = strcspn(p, ":");
        char path[PATH_ROOM];
        snprintf(path, sizeof path, "%.*s", (int)len, p);
        if (len == 0 || (several && access(path, F_OK) != 0))
            continue;
        int rc = open_source(s, p, len, why);
        if (rc != BURROW_OK)
            return rc;
    }
    return s->n > 0 ? BURROW_OK : kube_refuse(why, "kubeconfig: none of %s is there", list);
}

/* The entry of this name in the lists `kind` ("clusters") of all files; its member ("cluster"). */
static const json_t *find(const struct sources *s, const char *kind, const char *member,
                          const char *name, const struct source **ret_source)
{
    for (size_t i = 0; i < s->n; i++) {
        const json_t *list = json_object_get(s->files[i].json, kind);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *entry = json_array_get(list, k);
            const char *its = kube_string(entry, "name");
            if (its == NULL || strcmp(its, name) != 0)
                continue;
            *ret_source = &s->files[i];
            return json_object_get(entry, member);
        }
    }
    return NULL;
}

/* ---- files and data ---- */

/* A name in a kubeconfig is relative to its folder. malloc'ed, or NULL. */
static char *resolve(const struct source *source, const char *name)
{
    char *path = NULL;
    if (name[0] == '/')
        return strdup(name);
    return asprintf(&path, "%s/%s", source->folder, name) >= 0 ? path : NULL;
}

static int decode(const char *text, struct file_bytes *ret)
{
    size_t len = strlen(text);
    struct file_bytes out = {.data = malloc(len / 4 * 3 + 4)};
    if (out.data == NULL)
        return BURROW_ENOMEM;
    int n = len % 4 == 0 && len > 0
                ? EVP_DecodeBlock((unsigned char *)out.data, (const unsigned char *)text, (int)len)
                : -1;
    if (n <= 0) {
        free(out.data);
        return BURROW_EINVAL;
    }
    for (size_t i = len; i > len - 2 && text[i - 1] == '='; i--)
        n--;
    out.len = (size_t)n;
    out.data[out.len] = '\0';
    *ret = out;
    return BURROW_OK;
}

/* `certificate-authority-data` or the file that `certificate-authority` names; neither: untouched.
 */
static int take_pem(const struct source *source, const json_t *entry, const char *name,
                    struct file_bytes *ret, char why[KUBE_WHY])
{
    char data_name[64], reason[FILE_WHY] = "out of memory";
    snprintf(data_name, sizeof data_name, "%s-data", name);
    const char *data = kube_string(entry, data_name), *file = kube_string(entry, name);
    if (data != NULL)
        return decode(data, ret) == BURROW_OK
                   ? BURROW_OK
                   : kube_refuse(why, "kubeconfig %s: %s is no base64", source->path, data_name);
    if (file == NULL)
        return BURROW_OK;
    char *path = resolve(source, file);
    int rc = path != NULL ? file_read(path, KUBE_MAX_CONFIG, false, ret, reason) : BURROW_ENOMEM;
    free(path);
    return rc == BURROW_OK ? rc
                           : kube_refuse(why, "kubeconfig %s: %s: %s", source->path, name, reason);
}

/* The first certificate: it must be one, and must not have ended. */
static int check_certificate(const struct source *source, const struct file_bytes *pem,
                             const char *name, char why[KUBE_WHY])
{
    if (pem->data == NULL)
        return BURROW_OK;
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (cert == NULL)
        return kube_refuse(why, "kubeconfig %s: %s holds no certificate in PEM", source->path,
                           name);
    bool ended = X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
    X509_free(cert);
    return ended ? kube_refuse(why, "kubeconfig %s: %s has expired", source->path, name)
                 : BURROW_OK;
}

/* ---- cluster and user ---- */

static int take_server(const struct source *source, const json_t *cluster, struct kube_config *c,
                       char why[KUBE_WHY])
{
    const char *server = kube_string(cluster, "server"), *reason = NULL;
    const char *server_name = kube_string(cluster, "tls-server-name");
    struct http_url url;
    if (server == NULL || http_url_parse(server, &url, &reason) != BURROW_OK)
        return kube_refuse(why, "kubeconfig %s: server: %s; expected https://HOST:PORT",
                           source->path, server == NULL ? "missing" : reason);
    if (!url.https && !url.loopback)
        return kube_refuse(why,
                           "kubeconfig %s: server: http would show the credentials to the "
                           "network; expected https://HOST:PORT",
                           source->path);
    const char *path = strstr(server, "://") + 3;
    path += strcspn(path, "/");
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    const char *host = server_name != NULL ? server_name : url.host;
    bool six = strchr(host, ':') != NULL;
    char text[HTTP_MAX_URL];
    snprintf(text, sizeof text, "%s://%s%s%s:%u%.*s", url.https ? "https" : "http", six ? "[" : "",
             host, six ? "]" : "", (unsigned)url.port, (int)len, path);
    c->server = strdup(text);
    c->connect_host = server_name != NULL ? strdup(url.host) : NULL;
    c->skip_verify = json_is_true(json_object_get(cluster, "insecure-skip-tls-verify"));
    int rc = take_pem(source, cluster, "certificate-authority", &c->ca, why);
    return rc == BURROW_OK ? check_certificate(source, &c->ca, "certificate-authority", why) : rc;
}

static int take_user(const struct source *source, const json_t *user, const json_t *cluster,
                     bool allow_exec, struct kube_config *c, char why[KUBE_WHY])
{
    const json_t *exec = json_object_get(user, "exec");
    int rc = take_pem(source, user, "client-certificate", &c->cert, why);
    if (rc == BURROW_OK)
        rc = take_pem(source, user, "client-key", &c->key, why);
    if (rc == BURROW_OK)
        rc = check_certificate(source, &c->cert, "client-certificate", why);
    if (rc != BURROW_OK)
        return rc;
    if ((c->cert.data == NULL) != (c->key.data == NULL))
        return kube_refuse(why, "kubeconfig %s: client-certificate and client-key need each other",
                           source->path);
    const char *file = kube_string(user, "tokenFile");
    if (file != NULL)
        c->token_file = resolve(source, file);
    c->token = kube_copy(kube_string(user, "token"));
    if (kube_string(user, "username") != NULL || json_object_get(user, "auth-provider") != NULL)
        return kube_refuse(why,
                           "kubeconfig %s: passwords and auth-provider are not supported; use a "
                           "token, a client certificate or exec",
                           source->path);
    /* As with kubectl, a token that stands there goes before a program. */
    if (!json_is_object(exec) || c->token != NULL || c->token_file != NULL)
        return BURROW_OK;
    if (!allow_exec)
        return kube_refuse(why,
                           "kubeconfig %s: the user's exec program would be run; allow it with "
                           "--kube-allow-exec (BURROW_KUBE_ALLOW_EXEC)",
                           source->path);
    return kube_exec_parse(exec, source->folder, cluster, &c->ca, &c->exec, why);
}

static int choose(const struct sources *s, const struct kube_config_choice *choice,
                  struct kube_config *c, char why[KUBE_WHY])
{
    const char *context = choice->context;
    const struct source *source = &s->files[0], *of;
    for (size_t i = 0; context == NULL && i < s->n; i++)
        context = kube_string(s->files[i].json, "current-context");
    if (context == NULL)
        return kube_refuse(why,
                           "kubeconfig %s: it has no current-context; choose one with "
                           "--kube-context (BURROW_KUBE_CONTEXT)",
                           source->path);
    const json_t *entry = find(s, "contexts", "context", context, &source);
    if (entry == NULL)
        return kube_refuse(why, "kubeconfig %s: there is no context \"%.60s\"", source->path,
                           context);
    c->context = strdup(context);
    const char *name_space = kube_string(entry, "namespace");
    c->name_space = strdup(name_space != NULL ? name_space : "default");

    const char *name = kube_string(entry, "cluster");
    const json_t *cluster = name != NULL ? find(s, "clusters", "cluster", name, &of) : NULL;
    if (cluster == NULL)
        return kube_refuse(why, "kubeconfig %s: context \"%.60s\": there is no cluster \"%.60s\"",
                           source->path, context, name != NULL ? name : "");
    int rc = take_server(of, cluster, c, why);
    name = kube_string(entry, "user");
    if (rc != BURROW_OK || name == NULL)
        return rc;
    const json_t *user = find(s, "users", "user", name, &of);
    if (user == NULL)
        return kube_refuse(why, "kubeconfig %s: context \"%.60s\": there is no user \"%.60s\"",
                           source->path, context, name);
    return take_user(of, user, cluster, choice->allow_exec, c, why);
}

int kube_config_load(const struct kube_config_choice *choice, struct kube_config *ret,
                     char why[KUBE_WHY])
{
    struct sources *s = calloc(1, sizeof *s);
    struct kube_config config = {0};
    if (s == NULL)
        return BURROW_ENOMEM;
    int rc = open_sources(s, choice->path, why);
    if (rc == BURROW_OK)
        rc = choose(s, choice, &config, why);
    close_sources(s);
    free(s);
    if (rc != BURROW_OK)
        kube_config_finish(&config);
    else
        *ret = config;
    return rc;
}

/* ---- in a pod ---- */

static int read_in(const char *folder, const char *name, struct file_bytes *ret, char why[KUBE_WHY])
{
    char path[PATH_ROOM], reason[FILE_WHY];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_read(path, KUBE_MAX_CONFIG, false, ret, reason) == BURROW_OK
               ? BURROW_OK
               : kube_refuse(why, "service account: %s", reason);
}

bool kube_config_is_in_cluster(const char *folder)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/token", folder != NULL ? folder : POD_FOLDER);
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    return host != NULL && *host != '\0' && access(path, R_OK) == 0;
}

int kube_config_in_cluster(const char *folder, struct kube_config *ret, char why[KUBE_WHY])
{
    struct kube_config config = {0};
    struct file_bytes name_space = {0};
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *port = getenv("KUBERNETES_SERVICE_PORT");
    char text[512];
    if (folder == NULL)
        folder = POD_FOLDER;
    if (host == NULL || *host == '\0')
        return kube_refuse(why, "not in a cluster: KUBERNETES_SERVICE_HOST is not set");
    bool six = strchr(host, ':') != NULL;
    snprintf(text, sizeof text, "https://%s%s%s:%s", six ? "[" : "", host, six ? "]" : "",
             port != NULL && *port != '\0' ? port : "443");
    config.server = strdup(text);
    config.context = strdup("");
    snprintf(text, sizeof text, "%s/token", folder);
    config.token_file = strdup(text);
    int rc = read_in(folder, "ca.crt", &config.ca, why);
    if (rc == BURROW_OK)
        rc = read_in(folder, "namespace", &name_space, why);
    if (rc == BURROW_OK)
        config.name_space = strndup(name_space.data, strcspn(name_space.data, " \r\n"));
    file_free(&name_space);
    if (rc != BURROW_OK)
        kube_config_finish(&config);
    else
        *ret = config;
    return rc;
}
