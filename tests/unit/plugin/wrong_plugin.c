/* SPDX-License-Identifier: Apache-2.0 */
/* Plugins that are wrong in one way each; CMakeLists.txt says which by -DWRONG_…. */
#include <burrow/auth.h>
#include <burrow/command.h>
#include <burrow/transport.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

struct config {
    int64_t number;
};

static const struct burrow_option options[] = {
#if defined(WRONG_OFFSET)
    {"number", BURROW_OPT_INT, 0, 4096, 0, NULL, "N", "a number", 0, 0, NULL},
#elif defined(WRONG_HOST_FLAG)
    {"number", BURROW_OPT_INT, 0x10000, 0, 0, NULL, "N", "a number", 0, 0, NULL},
#elif defined(WRONG_DEFAULT)
    {"number", BURROW_OPT_INT, 0, 0, 0, "many", "N", "a number", 0, 0, NULL},
#else
    {"number", BURROW_OPT_INT, 0, 0, 0, NULL, "N", "a number", 0, 0, NULL},
#endif
    BURROW_OPTION_END,
};

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    (void)host;
    (void)config;
    (void)ret_self;
    return BURROW_OK;
}

static void stop(void *self)
{
    (void)self;
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

#if defined(WRONG_NO_VERIFY)
#define HAS_VERIFY 0
#else
#define HAS_VERIFY 1
#endif

static const struct burrow_auth_ops ops = {
#if defined(WRONG_OPS_SIZE)
    .size = 3,
#elif defined(WRONG_OPS_OLD)
    .size = offsetof(struct burrow_auth_ops, verify),
#else
    .size = sizeof ops,
#endif
    .bind = bind_host,
    .verify = HAS_VERIFY ? verify : NULL,
};

#if defined(WRONG_UNRESOLVED)
extern void nobody_has_this_function(void *self);
#define DESTROY nobody_has_this_function
#elif defined(WRONG_NO_DESTROY)
#define DESTROY NULL
#else
#define DESTROY stop
#endif

#if defined(WRONG_CRASH)
__attribute__((constructor)) static void crash(void)
{
    abort();
}
#elif defined(WRONG_HANG)
__attribute__((constructor)) static void hang(void)
{
    for (;;)
        pause();
}
#elif defined(WRONG_EXIT)
__attribute__((constructor)) static void leave(void)
{
    _exit(3);
}
#endif

#if defined(WRONG_ABI)
#define SYMBOL burrow_plugin_v7
#elif defined(WRONG_NO_DESCRIPTOR)
#define SYMBOL some_other_name
#else
#define SYMBOL burrow_plugin_v0
#endif

#ifndef WRONG_MAGIC
#define WRONG_MAGIC BURROW_PLUGIN_MAGIC
#endif
#ifndef WRONG_SIZE
#define WRONG_SIZE sizeof(struct burrow_plugin)
#endif
#ifndef WRONG_KIND
#define WRONG_KIND BURROW_KIND_AUTH
#endif
#ifndef WRONG_KIND_ABI
#define WRONG_KIND_ABI BURROW_AUTH_ABI
#endif
#ifndef WRONG_CONFIG_SIZE
#define WRONG_CONFIG_SIZE sizeof(struct config)
#endif

extern const struct burrow_plugin SYMBOL;
BURROW_EXPORT const struct burrow_plugin SYMBOL = {
    .magic = WRONG_MAGIC,
    .size = WRONG_SIZE,
    .abi_minor = BURROW_ABI_MINOR,
    .kind = WRONG_KIND,
    .kind_abi = WRONG_KIND_ABI,
    .config_size = WRONG_CONFIG_SIZE,
    .name = WRONG_NAME,
    .version = "1",
    .summary = "Wrong",
    .options = options,
    .ops = &ops,
    .create = create,
    .stop = stop,
    .destroy = DESTROY,
};
