/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that keeps the contract, or breaks one sentence of it when its option says so. */
#include <burrow/auth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct config {
    const char *mode;
    int64_t number;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct config, mode, "mode", "", "MODE", 0, NULL,
                         "which sentence to break"),
    BURROW_OPTION_INT(struct config, number, "number", "3", "N", BURROW_OPT_RELOADABLE, 0, 10,
                      "a number"),
    BURROW_OPTION_END,
};

static const struct burrow_metric metrics[] = {
    {"asked_total", BURROW_METRIC_COUNTER, 0, "Questions asked"},
    {"level", BURROW_METRIC_GAUGE, 0, "Some level"},
    {NULL, 0, 0, NULL},
};

struct good {
    const struct burrow_host *host;
    const char *mode;
    int fds[2];
    struct burrow_files *files;
};

static int is(const struct good *g, const char *mode)
{
    return strcmp(g->mode, mode) == 0;
}

static int check(const struct burrow_host *host, const void *config)
{
    const struct config *c = config;
    if (strcmp(c->mode, "check-fails") == 0)
        return burrow_error(host, BURROW_EINVAL, "--mode: is %s", c->mode);
    if (strcmp(c->mode, "check-takes") == 0)
        return host->after(host->self, 0, free, NULL) ? BURROW_EIO : BURROW_OK;
    return BURROW_OK;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void ready(void *arg, int events)
{
    (void)arg;
    (void)events;
}

static void resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                     const char *error)
{
    (void)arg;
    (void)result;
    (void)addrs;
    (void)n;
    (void)error;
}

/* The posted call of an instance that may be gone: it must not run then. */
static void touch(void *arg)
{
    *(char *)arg = 1;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    const struct config *c = config;
    if (strcmp(c->mode, "create-fails") == 0)
        return burrow_error(host, BURROW_EIO, "the sky is %s", "falling");
    if (strcmp(c->mode, "create-silent") == 0)
        return BURROW_ENOMEM;
    struct good *g = calloc(1, sizeof *g);
    if (!g)
        return BURROW_ENOMEM;
    g->host = host;
    g->mode = c->mode;
    *ret_self = g;
    return BURROW_OK;
}

/* The watched folder's file "a" decides: what begins with "x" is refused, as is that "b" is
 * missing. */
static int files_changed(void *arg)
{
    struct good *g = arg;
    const struct burrow_host *h = g->host;
    char path[300], c = 0;
    snprintf(path, sizeof path, "%s/b", g->mode + strlen("watches="));
    if (access(path, F_OK) != 0)
        return burrow_error(h, BURROW_EIO, "b is missing");
    snprintf(path, sizeof path, "%s/a", g->mode + strlen("watches="));
    FILE *f = fopen(path, "r");
    if (f && fread(&c, 1, 1, f) != 1)
        c = 0;
    if (f)
        fclose(f);
    if (c == 'u') {
        h->unwatch_files(g->files);
        g->files = NULL;
    }
    if (c == 'x')
        return burrow_error(h, BURROW_EINVAL, "an x is no good");
    h->metric_add(h->self, 0, 1);
    return BURROW_OK;
}

static int watch_files(struct good *g)
{
    const struct burrow_host *h = g->host;
    char a[300], b[300];
    const char *paths[] = {a, NULL, b, ""};
    snprintf(a, sizeof a, "%s/a", g->mode + strlen("watches="));
    snprintf(b, sizeof b, "%s/b", g->mode + strlen("watches="));
    g->files = h->watch_files(h->self, paths, 4, files_changed, g);
    return g->files ? BURROW_OK : BURROW_ENOMEM;
}

static int reload(void *self, const void *config)
{
    struct good *g = self;
    const struct config *c = config;
    if (c->number == 9)
        return burrow_error(g->host, BURROW_EIO, "nine is too much");
    g->mode = c->mode;
    g->host->metric_add(g->host->self, 1, c->number);
    return BURROW_OK;
}

static int start(void *self)
{
    struct good *g = self;
    const struct burrow_host *h = g->host;
    burrow_log(h, BURROW_LOG_INFO, "started with \"%s\"\n", g->mode);
    h->metric_add(h->self, 0, 2);
    h->metric_add(h->self, 1, -5);
    h->metric_add(h->self, 99, 1);
    if (is(g, "start-fails"))
        return burrow_error(h, BURROW_EIO, "no start");
    if (strncmp(g->mode, "watches=", 8) == 0)
        return watch_files(g);
    if (is(g, "leaks")) {
        if (pipe(g->fds) != 0)
            return BURROW_EIO;
        h->watch(h->self, g->fds[0], BURROW_READ, ready, g);
        h->after(h->self, 3600000, nothing, g);
        h->resolve(h->self, "localhost", 1, resolved, g);
        h->post(h->self, touch, g);
    }
    return BURROW_OK;
}

static void answer(void *arg)
{
    struct good *g = arg;
    g->host->stopped(g->host->self);
}

static void stop(void *self)
{
    struct good *g = self;
    if (is(g, "stops-late"))
        g->host->after(g->host->self, 1, answer, g);
    else if (!is(g, "never-stops"))
        g->host->stopped(g->host->self);
    if (is(g, "stops-twice"))
        g->host->stopped(g->host->self);
}

static void destroy(void *self)
{
    struct good *g = self;
    if (is(g, "leaks")) {
        close(g->fds[0]);
        close(g->fds[1]);
    }
    free(g);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    (void)self;
    (void)host;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    (void)self;
    (void)request;
    (void)credential;
}

static const struct burrow_auth_ops ops = {.size = sizeof ops, .bind = bind_host, .verify = verify};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct config),
    .name = GOOD_NAME,
    .version = "1.2.3",
    .summary = "A plugin for tests",
    .options = options,
    .metrics = metrics,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
