/* SPDX-License-Identifier: Apache-2.0 */
/* What the server counts, in Prometheus' text format. */
#include "server/routes.h"

#include "status/metrics.h"

#include <inttypes.h>

static void write_sessions(FILE *f, const struct server *s)
{
    metric_gauge(f, "burrow_sessions_active", s->session_count, "Clients that are connected.");
    metric_gauge(f, "burrow_clients_known", s->record_count,
                 "Client ids with a bridge, connected or gone for less than stale-service-age.");
    metrics_streams(f, &s->sessions_stats, &s->budget, s->loop);
}

static void write_handshakes(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    const struct status_stats admin = status_port_stats(s->admin);
    metric_head(f, "burrow_connections_accepted_total", "counter",
                "Accepted connections, by listener.");
    fprintf(f, "burrow_connections_accepted_total{role=\"main\"} %" PRIu64 "\n", t->accepted);
    fprintf(f, "burrow_connections_accepted_total{role=\"admin\"} %" PRIu64 "\n", admin.accepted);
    metric_gauge(f, "burrow_handshakes_pending", s->pending.count + admin.open,
                 "Connections without a session, HTTP requests included.");
    metric_counter(f, "burrow_handshakes_dropped_total", t->dropped_pending + admin.dropped,
                   "Handshakes that were too slow or too many.");
    metric_counter(f, "burrow_registers_total", t->registered, "Sessions that began.");
    metric_counter(f, "burrow_registers_refused_total", t->register_failed,
                   "Register frames that were refused after or without a token.");
    metric_head(f, "burrow_auth_refusals_total", "counter",
                "Credentials that were refused, by code.");
    for (uint32_t code = 1; code < AUTH_CODES; code++)
        fprintf(f, "burrow_auth_refusals_total{code=\"%s\"} %" PRIu64 "\n", auth_code_name(code),
                t->refused[code]);
    fprintf(f, "burrow_auth_refusals_total{code=\"unavailable\"} %" PRIu64 "\n", t->refused[0]);
}

static void taken_and_refused(FILE *f, const char *name, uint64_t taken, uint64_t refused,
                              const char *help)
{
    metric_head(f, name, "counter", help);
    fprintf(f, "%s{result=\"taken\"} %" PRIu64 "\n", name, taken);
    fprintf(f, "%s{result=\"refused\"} %" PRIu64 "\n", name, refused);
}

static void write_life(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    metric_gauge(f, "burrow_draining", s->draining,
                 "1 while running streams end before the server stops.");
    taken_and_refused(f, "burrow_token_renewals_total", t->renewals_taken, t->renewals_refused,
                      "Newer tokens for sessions that go on.");
    taken_and_refused(f, "burrow_takeovers_total", t->takeovers_taken, t->takeovers_refused,
                      "Client ids that another process claimed; refused: too often.");
}

static void write_bridges(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    metric_counter(f, "burrow_bridge_connections_total", t->bridge_accepted,
                   "Connections to bridges.");
    metric_counter(f, "burrow_bridge_connections_refused_total", t->bridge_refused,
                   "Connections to bridges that were reset, since no client or no room was there.");
    metric_head(
        f, "burrow_grant_refusals_total", "counter",
        "What clients' grants did not allow; bytes_per_second: how often something waited.");
    for (int grant = GRANT_SERVICES; grant <= GRANT_MAX_STREAMS; grant++)
        fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
                grant_name((enum grant)grant), t->grant_refused[grant]);
    fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
            grant_name(GRANT_BYTES_PER_SECOND), s->sessions_stats.rate_waits);
    metric_counter(f, "burrow_accept_pauses_total", s->guard.pauses,
                   "Pauses of accepting for lack of descriptors or memory.");
    metric_counter(f, "burrow_accept_shed_total", s->guard.shed,
                   "Connections that were reset for lack of descriptors.");
    metric_counter(f, "burrow_stale_services_deleted_total", t->stale_deleted,
                   "Clients that were gone for stale-service-age and are forgotten.");
}

static void write_all(FILE *f, const void *arg)
{
    const struct server *s = arg;
    write_sessions(f, s);
    write_handshakes(f, s);
    write_life(f, s);
    write_bridges(f, s);
    metrics_plugins(f, s->config.instances, s->config.instance_count);
}

char *server_metrics(const struct server *server, size_t *ret_len)
{
    return metrics_text(write_all, server, ret_len);
}
