/* SPDX-License-Identifier: Apache-2.0 */
/* The common life of server and client; see service.h. */
#include "cli/service.h"

#include "cli/limits.h"
#include "cli/notify.h"

#include <signal.h>

struct service_run {
    struct runtime *rt;
    const struct service *service;
    void *self;
    struct loop_signal *terminate, *interrupt, *hangup;
    bool stopping;
    struct notify *notify;
};

static void stop(struct service_run *run, const char *signal_name)
{
    run->stopping = true;
    notify_stopping(run->notify);
    run->service->stop(run->self, signal_name);
}

static void on_terminate(void *arg)
{
    stop(arg, "SIGTERM");
}

static void on_interrupt(void *arg)
{
    stop(arg, "SIGINT");
}

static void on_hangup(void *arg)
{
    struct service_run *run = arg;
    if (run->stopping)
        return;
    notify_reloading(run->notify);
    (void)runtime_reload(run->rt, run->service->reload, run->self); /* it has said the result */
    notify_ready(run->notify);
}

static void on_stopped(void *arg)
{
    struct service_run *run = arg;
    loop_break(run->rt->loop);
}

static int start(struct service_run *run, struct error *err)
{
    struct runtime *rt = run->rt;
    int rc = run->service->create(rt, on_stopped, run, &run->self, err);
    if (rc != BURROW_OK)
        return rc;
    run->terminate = loop_signal(rt->loop, SIGTERM, on_terminate, run);
    run->interrupt = loop_signal(rt->loop, SIGINT, on_interrupt, run);
    run->hangup = loop_signal(rt->loop, SIGHUP, on_hangup, run);
    run->notify = notify_create(rt->loop, run->service->status, run->self);
    if (run->terminate == NULL || run->interrupt == NULL || run->hangup == NULL ||
        run->notify == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    rc = runtime_start(rt, err);
    if (rc == BURROW_OK)
        rc = run->service->start(run->self, err);
    if (rc == BURROW_OK)
        notify_ready(run->notify);
    return rc;
}

int service_run(struct runtime *rt, const struct service *service)
{
    struct service_run run = {.rt = rt, .service = service};
    struct error err = {0};
    int code = 0;
    limits_raise_descriptors(&rt->log);
    if (start(&run, &err) != BURROW_OK)
        code = cli_fail(&err);
    else
        loop_run(rt->loop);
    /* A second signal does not wait for anybody's good-bye. */
    loop_signal_destroy(run.terminate);
    loop_signal_destroy(run.interrupt);
    loop_signal_destroy(run.hangup);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    runtime_stop(rt, service->stop_ms);
    if (code == 0)
        log_at(&rt->log, BURROW_LOG_INFO, "stopped", burrow_int("code", 0));
    notify_destroy(run.notify);
    service->destroy(run.self);
    return code;
}
