/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-noop: publishes nothing and says that it is done. It is what a server uses when
 * nobody needs to be told where the bridges are, and the shortest model of a registry.
 */
#include <burrow/plugin.h>
#include <burrow/registry.h>
#include <stdlib.h>

#define REGISTRY_NOOP_MAGIC 0x504f4f4eu /* "NOOP" in memory order */

struct registry_noop {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_registry_host *registry;
};

static struct registry_noop *from_self(void *self)
{
    struct registry_noop *n = self;
    if (!n || n->magic != REGISTRY_NOOP_MAGIC)
        abort();
    return n;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    (void)config;
    struct registry_noop *n = calloc(1, sizeof *n);
    if (!n)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    n->magic = REGISTRY_NOOP_MAGIC;
    n->host = host;
    *ret_self = n;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct registry_noop *n = from_self(self);
    n->host->stopped(n->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct registry_noop *n = from_self(self);
    n->magic = 0;
    free(n);
}

static void bind_host(void *self, const struct burrow_registry_host *host)
{
    from_self(self)->registry = host;
}

static void publish(void *self, struct burrow_registry_op *op,
                    const struct burrow_publication *publication)
{
    (void)publication;
    from_self(self)->registry->done(op, BURROW_OK, NULL);
}

static void withdraw(void *self, struct burrow_registry_op *op, const char *client_id)
{
    (void)client_id;
    from_self(self)->registry->done(op, BURROW_OK, NULL);
}

static void list(void *self, struct burrow_registry_op *op)
{
    from_self(self)->registry->done(op, BURROW_OK, NULL);
}

/* Every operation is done before its call returns: there is nothing to cancel. */
static void cancel(void *self, struct burrow_registry_op *op)
{
    (void)from_self(self);
    (void)op;
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
    .name = "registry-noop",
    .version = BURROW_VERSION,
    .summary = "Publishes nothing",
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
