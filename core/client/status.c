/* SPDX-License-Identifier: Apache-2.0 */
/* What the client tells operators at --admin-addr: whether it is connected, and what it counts. */
#include "client/internal.h"

#include "base/object.h"
#include "status/metrics.h"

#include <inttypes.h>
#include <string.h>

static void write_metrics(FILE *f, const void *arg)
{
    const struct client *c = arg;
    metric_gauge(f, "burrow_sessions_active", c->state == CLIENT_CONNECTED,
                 "1 while the client is connected.");
    metric_counter(f, "burrow_connects_total", c->connects, "Sessions that began.");
    metric_head(f, "burrow_connect_failures_total", "counter",
                "Attempts and sessions that ended, by what the pause after them depends on.");
    for (int cause = 0; cause < BACKOFF_CAUSES; cause++)
        fprintf(f, "burrow_connect_failures_total{cause=\"%s\"} %" PRIu64 "\n",
                backoff_cause_name((enum backoff_cause)cause), c->failures[cause]);
    const struct instance_group group = {c->loop, c->log, c->config.instances,
                                         c->config.instance_count};
    metrics_reloads(f, c->config.reloads, &group, 1);
    metrics_streams(f, &c->stats, c->budget.used, pool_in_use(loop_pool(c->loop)));
    metrics_plugins(f, &group, 1);
}

static void *answer(void *arg, const struct burrow_http *request, struct http_answer *ret,
                    answer_fn *fn, void *fn_arg)
{
    const struct client *c = arg;
    (void)fn, (void)fn_arg; /* it knows all answers at once */
    must_be(c, CLIENT_MAGIC);
    size_t len = 0;
    if (answer_health(ret, request->path, c->state == CLIENT_CONNECTED ? NULL : "not connected\n"))
        return NULL;
    if (strcmp(request->path, "/healthz") == 0)
        answer_text(ret, 200, "ok");
    else if (strcmp(request->path, "/metrics") == 0) {
        char *text = metrics_text(write_metrics, c, &len);
        answer_metrics(ret, text, len);
    } else
        answer_text(ret, 404, "not found\n");
    return NULL;
}

int client_status_open(struct client *c, struct error *err)
{
    const char *addr = c->options->admin_addr;
    if (addr == NULL)
        return BURROW_OK;
    if (c->http.ops == NULL)
        return error_set(err, BURROW_EINVAL,
                         "--admin-addr (BURROW_ADMIN_ADDR): needs a transport plugin that speaks "
                         "HTTP, such as transport-ws; none is in use");
    if (accept_guard_init(&c->guard, c->loop, c->log) != BURROW_OK)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    const struct status_config config = {.loop = c->loop,
                                         .fd = -1,
                                         .log = c->log,
                                         .transport = &c->http,
                                         .guard = &c->guard,
                                         .answer = answer,
                                         .arg = c};
    return status_port_open(&config, addr, &c->admin, err);
}

void client_status_close(struct client *c)
{
    status_port_close(c->admin);
    c->admin = NULL;
    accept_guard_finish(&c->guard);
}
