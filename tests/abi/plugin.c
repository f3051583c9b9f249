/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An auth plugin that is built against headers of another time than the host's: of its first
 * version (auth-older), and of a version to come whose tables are longer (auth-newer). It lets in
 * who shows the token that its option holds and answers on a later turn.
 */
#include <burrow/auth.h>

#include <stdlib.h>
#include <string.h>

struct config {
    const char *token;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct config, token, "token", "sesame", "TOKEN", 0, NULL,
                         "the token that lets a client in"),
    BURROW_OPTION_END,
};

enum { METRIC_ANSWERS };

static const struct burrow_metric metrics[] = {
    {"answers_total", BURROW_METRIC_COUNTER, 0, "Questions that were answered."},
    {NULL, 0, 0, NULL},
};

/* A question that waits for its turn. */
struct question {
    struct plugin *plugin;
    struct question *next, **link;
    struct burrow_auth_request *request;
    struct burrow_timer *timer;
    uint32_t result;
};

struct plugin {
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    const struct config *config;
    struct question *questions;
};

static void question_free(struct question *q)
{
    *q->link = q->next;
    if (q->next != NULL)
        q->next->link = q->link;
    free(q);
}

static void answer(struct plugin *p, struct burrow_auth_request *request, uint32_t result)
{
    struct burrow_verdict verdict;
    memset(&verdict, 0, sizeof verdict);
    verdict.size = sizeof verdict;
    verdict.result = result;
    if (result == BURROW_AUTH_DENY)
        verdict.code = BURROW_CODE_INVALID_TOKEN;
    p->host->metric_add(p->host->self, METRIC_ANSWERS, 1);
    p->auth->answer(request, &verdict);
}

static void on_turn(void *arg)
{
    struct question *q = arg;
    struct plugin *p = q->plugin;
    struct burrow_auth_request *request = q->request;
    uint32_t result = q->result;
    question_free(q);
    answer(p, request, result);
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct plugin *p = self;
    if (credential->token == NULL) {
        answer(p, request, BURROW_AUTH_ABSTAIN);
        return;
    }
    size_t len = strlen(p->config->token);
    struct question *q = calloc(1, sizeof *q);
    if (q != NULL)
        q->timer = p->host->after(p->host->self, 0, on_turn, q);
    if (q == NULL || q->timer == NULL) {
        free(q);
        answer(p, request, BURROW_AUTH_UNAVAILABLE);
        return;
    }
    q->plugin = p;
    q->request = request;
    q->result =
        credential->token_len == len && memcmp(credential->token, p->config->token, len) == 0
            ? BURROW_AUTH_ALLOW
            : BURROW_AUTH_DENY;
    q->next = p->questions;
    if (q->next != NULL)
        q->next->link = &q->next;
    q->link = &p->questions;
    p->questions = q;
}

static void drop(struct question *q)
{
    q->plugin->host->cancel(q->timer);
    question_free(q);
}

static void cancel(void *self, struct burrow_auth_request *request)
{
    struct question *q = ((struct plugin *)self)->questions;
    while (q != NULL && q->request != request)
        q = q->next;
    if (q != NULL)
        drop(q);
}

static void bind_host(void *self, const struct burrow_auth_host *auth)
{
    ((struct plugin *)self)->auth = auth;
#ifdef LATER
    const struct burrow_host *host = ((struct plugin *)self)->host;
    burrow_log(host, BURROW_LOG_INFO, "later entries: host %d, auth host %d",
               BURROW_HAS(host, later_entry), BURROW_HAS(auth, later_entry));
#endif
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct plugin *p = calloc(1, sizeof *p);
    if (p == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    p->host = host;
    p->config = config;
    *ret_self = p;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct plugin *p = self;
    while (p->questions != NULL)
        drop(p->questions);
    p->host->stopped(p->host->self);
}

static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
    .cancel = cancel,
#ifdef LATER
    .later_entry = abort,
#endif
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct config),
    .name = NAME,
    .version = "1.0.0",
    .summary = "Is built against other headers than its host",
    .options = options,
    .metrics = metrics,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = free,
#ifdef LATER
    .later_entry = abort,
#endif
};
