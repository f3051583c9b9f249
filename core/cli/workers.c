/* SPDX-License-Identifier: Apache-2.0 */
/* Does to all instances what the runtime and a reload want, each on its own loop; see workers.h. */
#include "cli/workers.h"

#include "base/object.h"
#include "loop/calls.h"
#include "loop/thread.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct runtime_worker {
    struct runtime_state *state;
    struct loop_thread *thread; /* NULL: the main loop, which has all kinds of plugins */
    struct loop *loop;
    struct log log; /* a copy, as a reload changes it on its own thread */
    struct instance *instances[PLUGINS_MAX];
    /* Of each instance: its plugin's index, and the configuration that it has. */
    size_t plugins[PLUGINS_MAX];
    void *configs[PLUGINS_MAX];
    struct config *owners[PLUGINS_MAX];
    size_t created, started, taken, stopping;
    struct loop_call stopped;
};

/* ---- steps on a worker's loop ---- */

struct step {
    struct runtime_worker *worker;
    int (*fn)(struct runtime_worker *w, struct step *step);
    struct runtime_state *fresh; /* of a reload */
    uint64_t deadline_ms;        /* of a stop */
    struct error *err;
    int rc;
};

static void run_step(void *arg)
{
    struct step *step = arg;
    step->rc = step->fn(step->worker, step);
}

/* Does it on each worker in turn, up to one that fails. */
static int on_each(struct runtime_state *s, struct step step)
{
    for (size_t i = 0; i < s->rt.worker_count; i++) {
        step.worker = &s->workers[i];
        loop_call_wait(step.worker->loop, run_step, &step);
        if (step.rc != BURROW_OK)
            return step.rc;
    }
    return BURROW_OK;
}

/* ---- life ---- */

static int create(struct runtime_worker *w, struct step *step)
{
    const struct runtime_state *s = w->state;
    for (size_t i = 0; i < s->rt.plugin_count; i++) {
        if (w->thread != NULL && plugin_descriptor(s->plugins[i])->kind != BURROW_KIND_TRANSPORT)
            continue;
        int rc = instance_create(s->plugins[i], w->loop, &w->log, s->configs[i],
                                 &w->instances[w->created], step->err);
        if (rc != BURROW_OK)
            return rc;
        w->plugins[w->created] = i;
        w->configs[w->created] = s->configs[i];
        w->owners[w->created++] = s->config;
    }
    return BURROW_OK;
}

static void worker_stopped(void *arg)
{
    struct runtime_worker *w = arg;
    must(w->state->stopping > 0);
    if (--w->state->stopping == 0)
        loop_break(w->state->rt.loop);
}

static int make_loop(struct runtime_state *s, struct runtime_worker *w)
{
    w->state = s;
    w->log = s->rt.log;
    w->stopped = (struct loop_call){.fn = worker_stopped, .arg = w};
    if (w == s->workers) {
        w->loop = loop_create();
    } else {
        w->thread = loop_thread_create();
        w->loop = w->thread != NULL ? loop_thread_loop(w->thread) : NULL;
    }
    return w->loop != NULL ? BURROW_OK : BURROW_ENOMEM;
}

/* All loops are made before the first thread runs: libev's allocator is set with each. */
static int make_loops(struct runtime_state *s, size_t n)
{
    int rc = BURROW_OK;
    s->workers = calloc(n, sizeof *s->workers);
    s->groups = calloc(n, sizeof *s->groups);
    if (s->workers == NULL || s->groups == NULL)
        return BURROW_ENOMEM;
    for (size_t i = 0; rc == BURROW_OK && i < n; i++) {
        rc = make_loop(s, &s->workers[i]);
        s->rt.worker_count += rc == BURROW_OK;
    }
    json_object_seed(0); /* likewise once, and not by whichever thread is first */
    for (size_t i = 1; rc == BURROW_OK && i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "worker-%u", (unsigned)i);
        rc = loop_thread_start(s->workers[i].thread, name);
    }
    return rc;
}

int workers_create(struct runtime_state *s, size_t n, struct error *err)
{
    if (make_loops(s, n) != BURROW_OK)
        return error_set(err, BURROW_ENOMEM, "the event loop: out of memory or descriptors");
    s->rt.loop = s->workers[0].loop;
    int rc = on_each(s, (struct step){.fn = create, .err = err});
    for (size_t i = 0; i < n; i++) {
        struct runtime_worker *w = &s->workers[i];
        s->groups[i] = (struct instance_group){w->loop, &w->log, w->instances, w->created};
    }
    s->rt.workers = s->groups;
    return rc;
}

static int start(struct runtime_worker *w, struct step *step)
{
    for (; w->started < w->created; w->started++)
        if (instance_start(w->instances[w->started], step->err) != 0)
            return step->err->code;
    return BURROW_OK;
}

int workers_start(struct runtime_state *s, struct error *err)
{
    return on_each(s, (struct step){.fn = start, .err = err});
}

static void one_stopped(void *arg)
{
    struct runtime_worker *w = arg;
    must(w->stopping > 0);
    if (--w->stopping == 0)
        loop_post_call(w->state->rt.loop, &w->stopped);
}

static int stop(struct runtime_worker *w, struct step *step)
{
    w->stopping = w->started;
    while (w->started > 0)
        instance_stop(w->instances[--w->started], step->deadline_ms, one_stopped, w);
    return BURROW_OK;
}

void workers_stop(struct runtime_state *s, uint64_t deadline_ms)
{
    for (size_t i = 0; i < s->rt.worker_count; i++)
        s->stopping += s->workers[i].started > 0;
    if (s->stopping == 0)
        return;
    (void)on_each(s, (struct step){.fn = stop, .deadline_ms = deadline_ms});
    while (s->stopping > 0)
        loop_run(s->rt.loop);
}

static int destroy(struct runtime_worker *w, struct step *step)
{
    (void)step;
    while (w->created > 0)
        instance_destroy(w->instances[--w->created]);
    return BURROW_OK;
}

void workers_destroy(struct runtime_state *s)
{
    (void)on_each(s, (struct step){.fn = destroy});
    for (size_t i = 1; i < s->rt.worker_count; i++)
        loop_thread_stop(s->workers[i].thread);
    /* Only now: what one loop drops may be of another's. */
    for (size_t i = 1; i < s->rt.worker_count; i++)
        loop_thread_destroy(s->workers[i].thread);
    if (s->rt.worker_count > 0)
        loop_destroy(s->workers[0].loop);
    free(s->workers);
    free(s->groups);
}

/* ---- reload ---- */

static bool can_reload(const struct runtime_state *s, size_t plugin)
{
    return plugin_descriptor(s->plugins[plugin])->reload != NULL;
}

static int take(struct runtime_worker *w, struct step *step)
{
    for (w->taken = 0; w->taken < w->created; w->taken++) {
        size_t plugin = w->plugins[w->taken];
        if (can_reload(w->state, plugin) &&
            instance_reload(w->instances[w->taken], step->fresh->configs[plugin], step->err) != 0)
            return step->err->code;
    }
    return BURROW_OK;
}

int workers_take(struct runtime_state *s, struct runtime_state *fresh, struct error *err)
{
    for (size_t i = 0; i < s->rt.plugin_count; i++)
        if (!can_reload(s, i))
            fresh->configs[i] = s->configs[i];
    return on_each(s, (struct step){.fn = take, .fresh = fresh, .err = err});
}

static void hold(struct runtime_worker *w, size_t at, const struct runtime_state *fresh)
{
    w->configs[at] = fresh->configs[w->plugins[at]];
    w->owners[at] = fresh->config;
}

static int take_back(struct runtime_worker *w, struct step *step)
{
    while (w->taken > 0) {
        struct error err = {0};
        size_t at = --w->taken;
        if (!can_reload(w->state, w->plugins[at]) ||
            instance_reload(w->instances[at], w->configs[at], &err) == BURROW_OK)
            continue;
        log_at(&w->log, BURROW_LOG_ERROR, "reload_half_taken",
               burrow_str("plugin", instance_name(w->instances[at])),
               burrow_str("reason", err.text));
        hold(w, at, step->fresh);
    }
    return BURROW_OK;
}

void workers_take_back(struct runtime_state *s, struct runtime_state *fresh)
{
    (void)on_each(s, (struct step){.fn = take_back, .fresh = fresh});
    const struct runtime_worker *main = &s->workers[0];
    for (size_t i = 0; i < main->created; i++)
        s->configs[main->plugins[i]] = main->configs[i];
}

static int keep(struct runtime_worker *w, struct step *step)
{
    for (size_t i = 0; i < w->created; i++)
        if (can_reload(w->state, w->plugins[i]))
            hold(w, i, step->fresh);
    w->taken = 0;
    cli_log_init(&w->log, step->fresh->common);
    return BURROW_OK;
}

void workers_keep(struct runtime_state *s, struct runtime_state *fresh)
{
    (void)on_each(s, (struct step){.fn = keep, .fresh = fresh});
}

bool workers_use(const struct runtime_state *s, const struct config *config)
{
    for (size_t i = 0; i < s->rt.worker_count; i++)
        for (size_t k = 0; k < s->workers[i].created; k++)
            if (s->workers[i].owners[k] == config)
                return true;
    return false;
}
