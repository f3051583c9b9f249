/* SPDX-License-Identifier: Apache-2.0 */
/* An auth plugin that answers a turn later, lets in who shows the token "right", and is wrong in
 * the one way that -DWRONG_… says. */
#include <burrow/auth.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct config {
    const char *name, *file;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct config, name, "name", NULL, "NAME", 0, NULL, "a name"),
    BURROW_OPTION_PATH(struct config, file, "file", NULL, "FILE", 0, "a file"),
    BURROW_OPTION_END,
};

struct question {
    struct wrong *wrong;
    struct question *next;
    struct burrow_auth_request *request;
    struct burrow_timer *timer;
    int right;
};

struct wrong {
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    struct question *questions;
    struct burrow_timer *left;
    int fd;
};

#if defined(WRONG_STATIC)
static struct wrong *the_only_one;
#endif

static void reply(struct wrong *w, struct burrow_auth_request *request, int right)
{
    struct burrow_verdict v = {.size = sizeof v, .result = BURROW_AUTH_DENY};
    v.code = BURROW_CODE_INVALID_TOKEN;
#if !defined(WRONG_KNOWS_NOBODY)
    if (right)
        v.result = BURROW_AUTH_ALLOW;
#endif
#if defined(WRONG_GRANTS)
    v.grants_json = "services: all";
#elif defined(WRONG_ALLOWANCE_LEAKS)
    char *volatile lost = right ? malloc(100) : NULL;
    (void)lost;
#elif defined(WRONG_ALLOWANCE_UNCHECKED)
    char *reason = right ? malloc(100) : NULL;
    if (right)
        reason[0] = '\0';
    v.reason = reason;
#elif defined(WRONG_ALLOWS)
    v.result = BURROW_AUTH_ALLOW;
#elif defined(WRONG_VERDICT)
    v.size = 0;
#endif
    w->auth->answer(request, &v);
#if defined(WRONG_TWICE)
    w->auth->answer(request, &v);
#elif defined(WRONG_ALLOWS_TWICE)
    if (right)
        w->auth->answer(request, &v);
#elif defined(WRONG_ALLOWANCE_UNCHECKED)
    free(reason);
#endif
    (void)right;
}

static void on_time(void *arg)
{
    struct question *q = arg;
    struct wrong *w = q->wrong;
    struct burrow_auth_request *request = q->request;
#if defined(WRONG_STATIC)
    w = the_only_one;
#endif
    struct question **p = &w->questions;
    while (*p != q)
        p = &(*p)->next;
    *p = q->next;
    int right = q->right;
    free(q);
    reply(w, request, right);
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct wrong *w = self;
    int right = credential->token != NULL && credential->token_len == 5 &&
                memcmp(credential->token, "right", 5) == 0;
#if defined(WRONG_NEVER)
    (void)request;
    (void)w;
    (void)right;
    (void)on_time;
#else
    struct question *q = calloc(1, sizeof *q);
#if !defined(WRONG_UNCHECKED)
    if (q == NULL) {
        reply(w, request, right);
        return;
    }
#endif
    q->wrong = w;
    q->request = request;
    q->right = right;
    q->timer = w->host->after(w->host->self, 10, on_time, q);
    if (q->timer == NULL) {
        free(q);
        reply(w, request, right);
        return;
    }
    q->next = w->questions;
    w->questions = q;
#endif
}

static void cancel(void *self, struct burrow_auth_request *request)
{
#if defined(WRONG_AFTER_CANCEL)
    (void)self;
    (void)request;
#else
    struct wrong *w = self;
    for (struct question **p = &w->questions; *p != NULL; p = &(*p)->next) {
        if ((*p)->request == request) {
            struct question *q = *p;
            *p = q->next;
            w->host->cancel(q->timer);
            free(q);
            return;
        }
    }
#endif
}

static void bind_host(void *self, const struct burrow_auth_host *auth)
{
    struct wrong *w = self;
    w->auth = auth;
}

#if defined(WRONG_STEPS_OVER)
static int on_files(void *arg)
{
    (void)arg;
    return 0;
}
#endif

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    const struct config *c = config;
#if defined(WRONG_ONCE)
    static int created;
    if (created++)
        return BURROW_EINVAL;
#elif defined(WRONG_NEEDS_SIZE)
    if (host->size != sizeof *host)
        return burrow_error(host, BURROW_EINVAL, "another host");
#elif defined(WRONG_UNSET)
    if (c->name[0] == '\0')
        return burrow_error(host, BURROW_EINVAL, "--name: is empty");
#elif defined(WRONG_SILENT)
    if (c->file == NULL || open(c->file, O_RDONLY | O_CLOEXEC | O_DIRECTORY) >= 0)
        return BURROW_EINVAL;
#endif
    struct wrong *w = calloc(1, sizeof *w);
    if (w == NULL)
        return BURROW_ENOMEM;
    w->host = host;
    w->fd = -1;
#if defined(WRONG_EARLY)
    w->left = host->after(host->self, 1000, free, NULL);
#elif defined(WRONG_STEPS_OVER)
    const char *path = "/etc/hostname";
    host->watch_files(host->self, &path, 1, on_files, w);
#elif defined(WRONG_LEAKS_FD)
    w->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
#elif defined(WRONG_LEAKS_MEMORY)
    char *volatile lost = malloc(100);
    (void)lost;
#elif defined(WRONG_STATIC)
    the_only_one = w;

#endif
    (void)c;
    *ret_self = w;
    return BURROW_OK;
}

static int reload(void *self, const void *config)
{
    const struct wrong *w = self;
    (void)config;
    (void)w;
#if defined(WRONG_RELOAD)
    return BURROW_EINVAL;
#else
    return BURROW_OK;
#endif
}

static void stop(void *self)
{
    struct wrong *w = self;
#if defined(WRONG_NO_STOP)
    return;
#endif
#if !defined(WRONG_LEAVES_TIMER)
    while (w->questions != NULL) {
        struct question *q = w->questions;
        w->questions = q->next;
        w->host->cancel(q->timer);
#if defined(WRONG_AFTER_STOPPED)
        w->host->stopped(w->host->self);
        reply(w, q->request, q->right);
        free(q);
        return;
#else
        reply(w, q->request, q->right);
        free(q);
#endif
    }
#endif
    w->host->stopped(w->host->self);
}

static void destroy(void *self)
{
    free(self);
}

static const struct burrow_auth_ops ops = {
    .size = sizeof ops, .bind = bind_host, .verify = verify, .cancel = cancel};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct config),
    .name = "auth-wrong",
    .version = "1",
    .summary = "Wrong in one way",
    .options = options,
    .ops = &ops,
    .create = create,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
