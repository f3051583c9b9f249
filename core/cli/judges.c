/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime of `burrow server` of which only the auth plugins come to life, see judges.h. */
#include "cli/judges.h"

#include "auth/chain.h"
#include "base/object.h"
#include "cli/runtime_state.h"

#include <stdlib.h>

#define JUDGES_MAGIC 0x47445541u
#define STOP_MS 5000

struct judges {
    uint32_t magic;
    struct runtime_state *s;
    struct auth_chain *chain;
    struct auth_request *request; /* the question that is open */
    burrow_judged_fn *fn;
    void *arg;
};

int judges_open(const struct cli_args *args, struct judges **ret, struct error *err)
{
    struct judges *j = calloc(1, sizeof *j);
    if (!j)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    j->magic = JUDGES_MAGIC;
    if (runtime_begin(&cli_server, args, &j->s, err) != 0 || runtime_open_plugins(j->s, err) != 0) {
        judges_end(j);
        return err->code;
    }
    *ret = j;
    return 0;
}

/* The others have had their say in what options there are. */
static void keep_auth_plugins(struct runtime_state *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->rt.plugin_count; i++) {
        if (plugin_descriptor(s->plugins[i])->kind != BURROW_KIND_AUTH) {
            plugin_close(s->plugins[i]);
            continue;
        }
        s->plugins[kept] = s->plugins[i];
        s->configs[kept++] = s->configs[i];
    }
    s->rt.plugin_count = kept;
}

int judges_parse(struct judges *j, const struct config_group *own, void **ret_own,
                 const char *const **ret_words, size_t *ret_n, struct error *err)
{
    must_be(j, JUDGES_MAGIC);
    struct runtime_state *s = j->s;
    struct config_group groups[CLI_GROUPS_MAX + 1];
    void *values[CLI_GROUPS_MAX + 1];
    struct cli_others room;
    size_t n = runtime_groups(s, groups);
    groups[n] = *own;
    if (config_parse(s->config, groups, n + 1,
                     cli_others(&room, cli_server.name, cli_server.kinds, true), values, err) != 0)
        return err->code;
    runtime_take(s, values);
    config_wipe_sources(s->config);
    cli_log_init(&s->rt.log, s->common);
    runtime_log_warnings(s);
    keep_auth_plugins(s);
    *ret_own = values[n];
    *ret_words = config_arguments(s->config, ret_n);
    return 0;
}

static int create_chain(struct judges *j, struct error *err)
{
    struct auth_member members[PLUGINS_MAX];
    size_t n = j->s->rt.plugin_count;
    for (size_t i = 0; i < n; i++) {
        struct instance *instance = j->s->rt.workers[0].instances[i];
        members[i] = (struct auth_member){instance_ops(instance), instance_self(instance),
                                          instance_name(instance), instance_faults(instance)};
    }
    int rc = auth_chain_create(j->s->rt.loop, members, n, &j->chain);
    if (rc == BURROW_EINVAL)
        return error_set(err, rc, "no auth plugin is in use; give the server's options");
    return rc == BURROW_OK ? 0 : error_set(err, rc, "out of memory");
}

int judges_start(struct judges *j, struct error *err)
{
    must_be(j, JUDGES_MAGIC);
    struct runtime_state *s = j->s;
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        if (plugin_check(s->plugins[i], &s->rt.log, s->configs[i], err) != 0)
            return err->code;
    if (runtime_create(s, err) != 0 || create_chain(j, err) != 0 || runtime_start(&s->rt, err) != 0)
        return err->code;
    return 0;
}

const struct log *judges_log(const struct judges *j)
{
    return &j->s->rt.log;
}

struct loop *judges_loop(const struct judges *j)
{
    return j->s->rt.loop;
}

static void on_verdict(void *arg, const struct auth_verdict *v)
{
    struct judges *j = arg;
    must_be(j, JUDGES_MAGIC);
    char grants[GRANTS_TEXT];
    const struct burrow_judgement judgement = {
        .size = sizeof judgement,
        .result = v->result,
        .code = v->result == BURROW_AUTH_DENY ? auth_code_name(v->code) : "",
        .plugin = v->plugin,
        .reason = v->reason,
        .subject = v->subject,
        .expires_ms = v->expires_ms,
        .grants = grants_describe(v->grants, grants),
    };
    j->request = NULL;
    j->fn(j->arg, &judgement);
}

int judges_ask(struct judges *j, const struct burrow_credential *credential, burrow_judged_fn *fn,
               void *arg)
{
    must_be(j, JUDGES_MAGIC);
    if (j->request)
        return BURROW_EAGAIN;
    j->request = auth_ask(j->chain, credential, on_verdict, j);
    if (!j->request)
        return BURROW_ENOMEM;
    j->fn = fn;
    j->arg = arg;
    return BURROW_OK;
}

void judges_end(struct judges *j)
{
    if (!j)
        return;
    must_be(j, JUDGES_MAGIC);
    if (j->s)
        runtime_stop(&j->s->rt, STOP_MS);
    auth_chain_destroy(j->chain);
    if (j->s)
        runtime_finish(j->s);
    j->magic = 0;
    free(j);
}
