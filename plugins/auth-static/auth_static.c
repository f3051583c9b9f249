/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-static: lets in whoever shows a token of a list. The list is a file with the SHA-256 of
 * each token and the client id that it stands for; it is read again when it changes.
 *
 * A model for plugins with a file of their own: check and create read it, start asks the host to
 * watch it, and a new version takes the place of the old one only when all of it is good.
 */
#include "file.h"
#include "must.h"
#include "token_list.h"
#include "utc.h"

#include <burrow/auth.h>
#include <stdlib.h>
#include <string.h>

#define AUTH_STATIC_MAGIC 0x54534d41u /* "AMST" in memory order */
#define OPTION "--auth-static-file (BURROW_AUTH_STATIC_FILE)"

struct config {
    const char *file;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_PATH(struct config, file, "auth-static-file", NULL, "FILE",
                       BURROW_OPT_REQUIRED | BURROW_OPT_RELOADABLE,
                       "file of tokens that are let in: a line has a token's SHA-256 and the "
                       "client id that it stands for"),
    BURROW_OPTION_END,
};

struct auth_static {
    uint32_t magic;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    const struct config *config;
    struct token_list list;
    struct burrow_files *watch;
};

static struct auth_static *from_self(void *self)
{
    struct auth_static *a = (struct auth_static *)self;
    must(a != NULL && a->magic == AUTH_STATIC_MAGIC);
    return a;
}

/* ---- the list ---------------------------------------------------------------------------- */

static int read_list(const struct burrow_host *host, const struct config *config,
                     struct token_list *ret)
{
    char why[TOKEN_LIST_WHY];
    int r = token_list_read(config->file, ret, why);
    return r < 0 ? burrow_error(host, r, "%s: %s", OPTION, why) : BURROW_OK;
}

/* The host knows what grants there are; a typo is better found now than when the client comes. */
static int check_grants(const struct auth_static *a, const struct config *config,
                        const struct token_list *list)
{
    char why[200];
    if (a->auth == NULL || !BURROW_HAS(a->auth, check_grants))
        return BURROW_OK;
    for (size_t i = 0; i < list->count; i++) {
        const struct token_entry *entry = &list->entries[i];
        if (entry->grants == NULL)
            continue;
        int r = a->auth->check_grants(entry->grants, why, sizeof why);
        if (r < 0)
            return burrow_error(a->host, r, "%s: \"%s\", line %u: %s", OPTION, config->file,
                                entry->line, why);
    }
    return BURROW_OK;
}

static void say_count(const struct auth_static *a)
{
    const struct burrow_field fields[] = {burrow_uint("count", a->list.count),
                                          burrow_str("file", a->config->file)};
    a->host->event(a->host->self, a->list.count > 0 ? BURROW_LOG_INFO : BURROW_LOG_WARN,
                   "static_tokens", fields, 2);
}

/* Takes what the file says now; on failure all stays as it was. */
static int take(struct auth_static *a, const struct config *config)
{
    struct token_list list;
    int r = read_list(a->host, config, &list);
    if (r < 0)
        return r;
    r = check_grants(a, config, &list);
    if (r < 0) {
        token_list_free(&list);
        return r;
    }
    token_list_free(&a->list);
    a->list = list;
    a->config = config;
    say_count(a);
    return BURROW_OK;
}

static int on_change(void *arg)
{
    struct auth_static *a = from_self(arg);
    return take(a, a->config);
}

static int watch(struct auth_static *a, const struct config *config, struct burrow_files **ret)
{
    return file_watch(a->host, &config->file, 1, on_change, a, ret);
}

/* ---- life -------------------------------------------------------------------------------- */

static int check(const struct burrow_host *host, const void *config)
{
    struct token_list list;
    int r = read_list(host, (const struct config *)config, &list);
    if (r == BURROW_OK)
        token_list_free(&list);
    return r;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct auth_static *a = (struct auth_static *)calloc(1, sizeof *a);
    if (a == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_STATIC_MAGIC;
    a->host = host;
    a->config = (const struct config *)config;
    int r = read_list(host, a->config, &a->list);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret_self = a;
    return BURROW_OK;
}

/* Read once more, as what has changed since create is no change to who watches from now on. */
static int start(void *self)
{
    struct auth_static *a = from_self(self);
    int r = watch(a, a->config, &a->watch);
    if (r == BURROW_OK)
        r = take(a, a->config);
    if (r < 0)
        file_unwatch(a->host, &a->watch);
    return r;
}

/* What is watched before it is read cannot change unnoticed. */
static int reload(void *self, const void *config)
{
    struct auth_static *a = from_self(self);
    struct burrow_files *files = NULL;
    int r = watch(a, (const struct config *)config, &files);
    if (r == BURROW_OK)
        r = take(a, (const struct config *)config);
    if (r < 0) {
        file_unwatch(a->host, &files);
        return r;
    }
    file_unwatch(a->host, &a->watch);
    a->watch = files;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct auth_static *a = from_self(self);
    file_unwatch(a->host, &a->watch);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (self == NULL)
        return;
    struct auth_static *a = from_self(self);
    token_list_free(&a->list);
    a->magic = 0;
    free(a);
}

/* ---- judging ----------------------------------------------------------------------------- */

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

/* Not a token of ours: another plugin may know it. What is said counts if none does. */
static void abstain(struct burrow_verdict *verdict, uint32_t code, const char *reason)
{
    verdict->result = BURROW_AUTH_ABSTAIN;
    verdict->code = code;
    verdict->reason = reason;
}

static void judge(const struct token_entry *entry, struct burrow_verdict *verdict)
{
    if (entry->expires_ms != 0 && entry->expires_ms <= utc_now_ms()) {
        verdict->result = BURROW_AUTH_DENY;
        verdict->code = BURROW_CODE_TOKEN_EXPIRED;
        verdict->reason = "the file says that the token has expired";
        return;
    }
    verdict->result = BURROW_AUTH_ALLOW;
    verdict->subject = entry->subject;
    verdict->subject_len = strlen(entry->subject);
    verdict->expires_ms = entry->expires_ms;
    verdict->grants_json = entry->grants;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct auth_static *a = from_self(self);
    struct burrow_verdict verdict = {.size = sizeof verdict};
    const struct token_entry *entry = NULL;
    if (credential->token == NULL || credential->token_len == 0) {
        abstain(&verdict, BURROW_CODE_MISSING_BEARER, "no token was shown");
    } else if (token_list_find(&a->list, credential->token, credential->token_len, &entry) < 0) {
        verdict.result = BURROW_AUTH_UNAVAILABLE;
        verdict.reason = "no SHA-256 could be computed";
    } else if (entry == NULL) {
        abstain(&verdict, BURROW_CODE_INVALID_TOKEN, "the token is not in the file");
    } else {
        judge(entry, &verdict);
    }
    a->auth->answer(request, &verdict);
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
    .config_size = sizeof(struct config),
    .name = "auth-static",
    .version = BURROW_VERSION,
    .summary = "Lets in clients with a token of a file, which holds their hashes",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .start = start,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
