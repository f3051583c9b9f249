/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a file in the form of /etc/hosts, which a local resolver (dnsmasq's addn-hosts, for
 * example) serves: one line per service of a connected client,
 *
 *   127.0.0.1 db.pg.burrow # burrow client=pg port=41234
 *
 * for the service db of the client pg. Lines without the mark belong to somebody else and stay
 * as they are.
 *
 * What to see here: operations that are idempotent since each makes the file what it should
 * be; a file that others read is replaced and never half written; and list, which finds what
 * an earlier life of the server has left.
 */
#include <burrow/registry.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1u << 20)
#define MARK "# burrow client="
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

struct config {
    const char *file, *address, *domain;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_PATH(struct config, file, "file", NULL, "FILE", BURROW_OPT_REQUIRED,
                       "the hosts file to keep"),
    BURROW_OPTION_STRING(struct config, address, "address", "127.0.0.1", "ADDRESS", 0, NULL,
                         "where the bridges are reached"),
    BURROW_OPTION_STRING(struct config, domain, "domain", "burrow", "NAME", 0, NULL,
                         "what the names end with"),
    BURROW_OPTION_END,
};

struct hosts {
    const struct burrow_host *host;
    const struct burrow_registry_host *registry;
    const struct config *config;
};

/* A bounded text that grows by appending; `failed` sticks. */
struct text {
    char *p;
    size_t len;
    int failed;
};

static void append(struct text *t, const char *p, size_t n)
{
    char *bigger =
        t->failed || n > FILE_MAX_BYTES - t->len ? NULL : (char *)realloc(t->p, t->len + n + 1);
    if (bigger == NULL) {
        t->failed = 1;
        return;
    }
    t->p = bigger;
    memcpy(t->p + t->len, p, n);
    t->len += n;
    t->p[t->len] = '\0';
}

/* The whole file; one that is not there yet is empty. */
static int read_file(const char *path, struct text *ret, const char **ret_why)
{
    struct text t = {NULL, 0, 0};
    char part[4096];
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    append(&t, "", 0);
    if (fd < 0 && errno != ENOENT) {
        *ret_why = strerror(errno);
        free(t.p);
        return BURROW_EIO;
    }
    while (fd >= 0 && !t.failed && (n = read(fd, part, sizeof part)) > 0)
        append(&t, part, (size_t)n);
    if (n < 0 || t.failed) {
        *ret_why = t.failed ? "the file is too large, or memory is short" : strerror(errno);
        free(t.p);
        close(fd);
        return n < 0 ? BURROW_EIO : BURROW_ENOMEM;
    }
    if (fd >= 0)
        close(fd);
    *ret = t;
    return BURROW_OK;
}

/* Readers see the old file or the new one. */
static int replace_file(const char *path, const struct text *t, const char **ret_why)
{
    char next[PATH_MAX];
    int n = snprintf(next, sizeof next, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof next) {
        *ret_why = "the path is too long";
        return BURROW_EINVAL;
    }
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    int rc = fd >= 0 && write(fd, t->p, t->len) == (ssize_t)t->len && fsync(fd) == 0 ? BURROW_OK
                                                                                     : BURROW_EIO;
    if (fd >= 0 && close(fd) != 0)
        rc = BURROW_EIO;
    if (rc == BURROW_OK && rename(next, path) != 0)
        rc = BURROW_EIO;
    if (rc != BURROW_OK) {
        *ret_why = strerror(errno);
        unlink(next);
    }
    return rc;
}

/* The client of a line of ours: its length, at *ret. 0 for another's line. */
static size_t client_of(const char *line, size_t len, const char **ret)
{
    const char *mark = (const char *)memmem(line, len, MARK, strlen(MARK));
    if (mark == NULL)
        return 0;
    *ret = mark + strlen(MARK);
    const char *end = (const char *)memchr(*ret, ' ', len - (size_t)(*ret - line));
    return end != NULL ? (size_t)(end - *ret) : len - (size_t)(*ret - line);
}

/* All lines but those of the client. */
static void keep_others(struct text *to, const struct text *from, const char *client)
{
    for (const char *p = from->p, *end = from->p + from->len; p < end;) {
        const char *newline = (const char *)memchr(p, '\n', (size_t)(end - p)), *id = NULL;
        size_t len = newline != NULL ? (size_t)(newline - p) + 1 : (size_t)(end - p);
        size_t n = client_of(p, len - (newline != NULL), &id);
        if (n == 0 || n != strlen(client) || memcmp(id, client, n) != 0)
            append(to, p, len);
        p += len;
    }
    if (to->len > 0 && to->p[to->len - 1] != '\n')
        append(to, "\n", 1);
}

/* Letters, digits, dots and hyphens: what would be read otherwise is refused. */
static int is_name(const char *name)
{
    return name[strspn(name, NAME_CHARACTERS)] == '\0' && strlen(name) <= 128;
}

static int add_services(const struct hosts *h, struct text *t, const struct burrow_publication *p)
{
    const char *from = (const char *)p->services;
    for (uint32_t i = 0; i < p->service_count; i++) {
        /* A later host's struct is larger: its own size is the step. */
        const struct burrow_published_service *s =
            (const struct burrow_published_service *)(const void *)from;
        char line[512];
        from += s->size;
        if (!is_name(s->name))
            return BURROW_EINVAL;
        int n = snprintf(line, sizeof line, "%s %s%s%s.%s " MARK "%s port=%u\n", h->config->address,
                         s->name, s->name[0] != '\0' ? "." : "", p->client_id, h->config->domain,
                         p->client_id, s->bridge_port);
        if (n < 0 || (size_t)n >= sizeof line)
            return BURROW_EINVAL;
        append(t, line, (size_t)n);
    }
    return BURROW_OK;
}

/* Makes the file's lines of the client those of the publication; NULL: none. */
static void update(struct hosts *h, struct burrow_registry_op *op, const char *client,
                   const struct burrow_publication *publication)
{
    struct text old = {NULL, 0, 0}, next = {NULL, 0, 0};
    const char *why = NULL;
    int rc = is_name(client) && client[0] != '\0' ? BURROW_OK : BURROW_EINVAL;
    if (rc == BURROW_OK)
        rc = read_file(h->config->file, &old, &why);
    if (rc == BURROW_OK) {
        append(&next, "", 0);
        keep_others(&next, &old, client);
        if (publication != NULL)
            rc = add_services(h, &next, publication);
        if (rc == BURROW_OK && next.failed)
            rc = BURROW_ENOMEM;
    }
    if (rc == BURROW_OK && (next.len != old.len || memcmp(next.p, old.p, next.len) != 0))
        rc = replace_file(h->config->file, &next, &why);
    if (rc == BURROW_EINVAL && why == NULL)
        why = "a client id or service name is no host name";
    free(old.p);
    free(next.p);
    h->registry->done(op, rc, rc == BURROW_OK ? NULL : why != NULL ? why : "out of memory");
}

/* ---- ops ---- */

static void bind_host(void *self, const struct burrow_registry_host *registry)
{
    struct hosts *h = (struct hosts *)self;
    h->registry = registry;
}

static void publish(void *self, struct burrow_registry_op *op,
                    const struct burrow_publication *publication)
{
    update((struct hosts *)self, op, publication->client_id, publication);
}

static void withdraw(void *self, struct burrow_registry_op *op, const char *client_id)
{
    /* What cannot be published is not there. */
    struct hosts *h = (struct hosts *)self;
    if (!is_name(client_id))
        h->registry->done(op, BURROW_OK, NULL);
    else
        update(h, op, client_id, NULL);
}

static void list(void *self, struct burrow_registry_op *op)
{
    const struct hosts *h = (const struct hosts *)self;
    struct text t = {NULL, 0, 0};
    const char *why = NULL;
    int rc = read_file(h->config->file, &t, &why);
    char last[129] = "";
    for (char *line = rc == BURROW_OK ? t.p : NULL; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *id = NULL;
        size_t n = client_of(line, len, &id);
        /* The lines of one client stand together. */
        if (n > 0 && n < sizeof last && (strlen(last) != n || memcmp(last, id, n) != 0)) {
            memcpy(last, id, n);
            last[n] = '\0';
            h->registry->listed(op, last);
        }
        line += len + (line[len] == '\n');
    }
    free(t.p);
    h->registry->done(op, rc, why);
}

/* Every operation is finished within its call, so there is nothing to cancel. */
static void cancel(void *self, struct burrow_registry_op *op)
{
    (void)self;
    (void)op;
}

/* ---- the plugin ---- */

static int check(const struct burrow_host *host, const void *config)
{
    const struct config *c = (const struct config *)config;
    struct stat st;
    if (c->file == NULL || c->file[0] != '/')
        return burrow_error(host, BURROW_EINVAL,
                            "--registry-hosts.file: %s: expected an absolute path",
                            c->file != NULL ? c->file : "(none)");
    if (stat(c->file, &st) == 0 && !S_ISREG(st.st_mode))
        return burrow_error(host, BURROW_EINVAL, "--registry-hosts.file: %s: is no regular file",
                            c->file);
    return BURROW_OK;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct hosts *h = (struct hosts *)calloc(1, sizeof *h);
    if (h == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    h->host = host;
    h->config = (const struct config *)config;
    *ret_self = h;
    return BURROW_OK;
}

static void stop(void *self)
{
    const struct hosts *h = (const struct hosts *)self;
    h->host->stopped(h->host->self);
}

static const struct burrow_registry_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .publish = publish,
    .withdraw = withdraw,
    .list = list,
    .cancel = cancel,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_REGISTRY,
    .kind_abi = BURROW_REGISTRY_ABI,
    .config_size = sizeof(struct config),
    .name = "registry-hosts",
    .version = "1.0.0",
    .summary = "Keeps a hosts file with a name for each service",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .stop = stop,
    .destroy = free,
};
