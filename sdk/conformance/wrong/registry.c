/* SPDX-License-Identifier: Apache-2.0 */
/* A registry plugin that is wrong in the one way that -DWRONG_… says. */
#include <burrow/registry.h>
#include <stdlib.h>

struct wrong {
    const struct burrow_host *host;
    const struct burrow_registry_host *registry;
    struct burrow_registry_op *pending;
    int published;
};

#include "create.h"

static void finish(struct wrong *w, struct burrow_registry_op *op, int32_t result)
{
    w->registry->done(op, result, result < 0 ? "it was there" : NULL);
#if defined(WRONG_TWICE)
    w->registry->done(op, result, NULL);
#endif
}

static void on_time(void *arg)
{
    struct wrong *w = arg;
    struct burrow_registry_op *op = w->pending;
    w->pending = NULL;
    finish(w, op, 0);
}

static void publish(void *self, struct burrow_registry_op *op, const struct burrow_publication *p)
{
    struct wrong *w = self;
    (void)p;
#if defined(WRONG_AFTER_CANCEL)
    if (w->pending == NULL) {
        w->pending = op;
        w->host->after(w->host->self, 100, on_time, w);
        return;
    }
#endif
#if defined(WRONG_ECHO)
    w->registry->changed(w->registry->self, p->client_id);
    w->published = 0;
#elif defined(WRONG_STEPS_OVER)
    if (w->published == 0)
        w->registry->changed(w->registry->self, NULL);
#endif
    finish(w, op, w->published++ ? BURROW_EINVAL : BURROW_OK);
    (void)on_time;
}

static void withdraw(void *self, struct burrow_registry_op *op, const char *client_id)
{
    struct wrong *w = self;
    (void)client_id;
    w->published = 0;
    finish(w, op, 0);
}

static void list(void *self, struct burrow_registry_op *op)
{
    finish(self, op, 0);
}

static void cancel(void *self, struct burrow_registry_op *op)
{
    (void)self;
    (void)op;
}

static void bind_host(void *self, const struct burrow_registry_host *registry)
{
    struct wrong *w = self;
    w->registry = registry;
}

static void stop(void *self)
{
    const struct wrong *w = self;
    w->host->stopped(w->host->self);
}

static const struct burrow_registry_ops ops = {.size = sizeof ops,
                                               .bind = bind_host,
                                               .publish = publish,
                                               .withdraw = withdraw,
                                               .list = list,
                                               .cancel = cancel};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_REGISTRY,
    .kind_abi = BURROW_REGISTRY_ABI,
    .name = "registry-wrong",
    .version = "1",
    .summary = "Wrong in one way",
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = free,
};
