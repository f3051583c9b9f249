/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the parts of the server and takes them up and down in order. */
#include "server/internal.h"

#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>

static void on_sweep(void *arg)
{
    struct server *server = arg;
    must_be(server, SERVER_MAGIC);
    clients_sweep(server, loop_now_ms(server->loop));
    registrars_list(server);
    loop_timer_set(server->sweep_timer, (uint64_t)server->options->sweep_interval);
}

/* ---- plugins ---- */

static size_t count_kind(const struct server *server, uint32_t kind)
{
    size_t n = 0;
    for (size_t i = 0; i < server->config.instance_count; i++)
        n += instance_kind(server->config.instances[i]) == kind;
    return n;
}

static int make_chain(struct server *server, struct error *err)
{
    size_t n = count_kind(server, BURROW_KIND_AUTH), at = 0;
    if (n == 0)
        return error_set(err, BURROW_EINVAL,
                         "no auth plugin is in use: give a key, such as --jwt-hmac-secret "
                         "(BURROW_JWT_HMAC_SECRET), or let everyone in with --plugin auth-none");
    struct auth_member *members = calloc(n, sizeof *members);
    if (members == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    for (size_t i = 0; i < server->config.instance_count; i++) {
        struct instance *instance = server->config.instances[i];
        if (instance_kind(instance) == BURROW_KIND_AUTH)
            members[at++] = (struct auth_member){.ops = instance_ops(instance),
                                                 .self = instance_self(instance),
                                                 .name = instance_name(instance),
                                                 .faults = instance_faults(instance)};
    }
    int rc = auth_chain_create(server->loop, members, n, &server->chain);
    free(members);
    return rc == BURROW_OK ? rc : error_set(err, rc, "out of memory");
}

/* ---- life ---- */

static void on_stop_timer(void *arg);
static void on_stopped(void *arg);

int server_create(const struct server_config *config, struct server **ret, struct error *err)
{
    int rc = server_options_check(config->options, err);
    if (rc != BURROW_OK)
        return rc;
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    server->magic = SERVER_MAGIC;
    server->config = *config;
    server->options = config->options;
    server->loop = config->loop;
    server->log = config->log;
    port_range_parse(server->options->bridge_port_range, &server->bridge_range, NULL);
    TAILQ_INIT(&server->gone);
    TAILQ_INIT(&server->sessions);
    server->stopped = (struct loop_call){.fn = on_stopped, .arg = server};
    server->sweep_timer = loop_timer_create(server->loop, on_sweep, server);
    server->stop_timer = loop_timer_create(server->loop, on_stop_timer, server);
    if (server->sweep_timer == NULL || server->stop_timer == NULL ||
        accept_guard_init(&server->guard, server->loop, server->log) != BURROW_OK)
        rc = error_set(err, BURROW_ENOMEM, "out of memory");
    if (rc == BURROW_OK)
        rc = make_chain(server, err);
    if (rc == BURROW_OK)
        rc = server_workers_create(server, err);
    if (rc == BURROW_OK && registrars_create(server) != BURROW_OK)
        rc = error_set(err, BURROW_ENOMEM, "out of memory");
    if (rc != BURROW_OK) {
        server_destroy(server);
        return rc;
    }
    *ret = server;
    return BURROW_OK;
}

int server_start(struct server *server, struct error *err)
{
    must_be(server, SERVER_MAGIC);
    int rc = listeners_open(server, err);
    if (rc != BURROW_OK)
        return rc;
    server->started = true;
    loop_timer_set(server->sweep_timer, (uint64_t)server->options->sweep_interval);
    registrars_list(server);
    return BURROW_OK;
}

int server_reload(struct server *server, const struct server_options *options, struct error *err)
{
    must_be(server, SERVER_MAGIC);
    struct port_range range = {0, 0};
    int rc = port_range_parse(options->bridge_port_range, &range, err);
    if (rc != BURROW_OK)
        return rc;
    server->options = server->config.options = options;
    server->bridge_range = range;
    workers_update(server);
    if (server->started)
        loop_timer_set(server->sweep_timer, (uint64_t)options->sweep_interval);
    clients_apply_limits(server);
    return BURROW_OK;
}

static void end_sessions(struct server *server)
{
    server->stopping = true;
    loop_timer_stop(server->sweep_timer);
    listeners_close(server);
    workers_drop_handshakes(server);
    registrars_stop(server);
    clients_close_sessions(server);
    /* The links take their leave below the transports, which are waited for when they stop;
     * here only the turn must end on which sessions tell their ends. */
    loop_timer_set(server->stop_timer, 1);
}

static void on_stop_timer(void *arg)
{
    struct server *server = arg;
    must_be(server, SERVER_MAGIC);
    if (!server->stopping) { /* no stream is left, or its time is over */
        log_at(server->log, BURROW_LOG_INFO, "drained",
               burrow_uint("streams", workers_streams(server)));
        end_sessions(server);
        return;
    }
    if (server->ended)
        return;
    server->ended = true;
    workers_end_sessions(server);
    loop_post_call(server->loop, &server->stopped);
}

static void on_stopped(void *arg)
{
    struct server *server = arg;
    must_be(server, SERVER_MAGIC);
    clients_destroy(server);
    server->config.stopped(server->config.arg);
}

void server_stop(struct server *server, const char *signal)
{
    must_be(server, SERVER_MAGIC);
    if (server->draining || server->stopping) {
        loop_timer_set(server->stop_timer, 0);
        return;
    }
    uint32_t drain_ms = (uint32_t)server->options->drain_timeout;
    log_at(server->log, BURROW_LOG_INFO, "stopping", burrow_str("signal", signal),
           burrow_uint("drain_ms", drain_ms));
    if (drain_ms > 0 && drain_begin(server, drain_ms))
        loop_timer_set(server->stop_timer, drain_ms);
    else
        end_sessions(server);
}

void server_destroy(struct server *server)
{
    if (server == NULL)
        return;
    must_be(server, SERVER_MAGIC);
    listeners_close(server);
    workers_drop_handshakes(server);
    workers_end_sessions(server);
    clients_destroy(server);
    registrars_destroy(server);
    auth_chain_destroy(server->chain);
    accept_guard_finish(&server->guard);
    loop_timer_destroy(server->sweep_timer);
    loop_timer_destroy(server->stop_timer);
    server_workers_destroy(server);
    server->magic = 0;
    free(server);
}

void server_status(const struct server *server, char *buf, size_t size)
{
    must_be(server, SERVER_MAGIC);
    snprintf(buf, size, "%s%zu clients, %llu streams",
             server->stopping   ? "stopping: "
             : server->draining ? "draining: "
                                : "",
             server->session_count, (unsigned long long)workers_streams(server));
}
