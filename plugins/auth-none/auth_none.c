/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-none: lets everyone in, under any client id. For trying things out on a machine of
 * one's own; it must be named to be used, and says so in the log at each start.
 */
#include <burrow/auth.h>
#include <burrow/plugin.h>
#include <stdlib.h>

#define AUTH_NONE_MAGIC 0x4e4e4d41u /* "AMNN" in memory order */

struct auth_none {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
};

static struct auth_none *from_self(void *self)
{
    struct auth_none *a = self;
    if (!a || a->magic != AUTH_NONE_MAGIC)
        abort();
    return a;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    (void)config;
    struct auth_none *a = calloc(1, sizeof *a);
    if (!a)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_NONE_MAGIC;
    a->host = host;
    *ret_self = a;
    return BURROW_OK;
}

static int start(void *self)
{
    struct auth_none *a = from_self(self);
    const struct burrow_field fields[] = {
        burrow_str("hint", "anyone who reaches this server may register any client id"),
    };
    a->host->event(a->host->self, BURROW_LOG_WARN, "no_authentication", fields, 1);
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_none *a = from_self(self);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (!self)
        return;
    struct auth_none *a = from_self(self);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    (void)credential;
    const struct burrow_verdict verdict = {.size = sizeof verdict, .result = BURROW_AUTH_ALLOW};
    from_self(self)->auth->answer(request, &verdict);
}

/* Every request is answered within verify, so cancel is never needed. */
static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .name = "auth-none",
    .version = BURROW_VERSION,
    .summary = "Lets EVERYONE in under any client id: for development only",
    .ops = &ops,
    .create = create,
    .start = start,
    .stop = stop,
    .destroy = destroy,
};
