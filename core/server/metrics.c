/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metrics in Prometheus' text format. Labels come from tables only, so that no client
 * can make the output grow.
 */
#include "server/routes.h"

#include "tunnel/relay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(FILE *f, const char *name, uint64_t value, const char *help)
{
    head(f, name, "gauge", help);
    fprintf(f, "%s %" PRIu64 "\n", name, value);
}

static void counter(FILE *f, const char *name, uint64_t value, const char *help)
{
    head(f, name, "counter", help);
    fprintf(f, "%s %" PRIu64 "\n", name, value);
}

static void write_sessions(FILE *f, const struct server *s)
{
    const struct session_stats *t = &s->sessions_stats;
    gauge(f, "burrow_sessions_active", s->session_count, "Clients that are connected.");
    gauge(f, "burrow_clients_known", s->record_count,
          "Client ids with a bridge, connected or gone for less than stale-service-age.");
    gauge(f, "burrow_streams_active", t->streams_active, "Streams that are open.");
    counter(f, "burrow_streams_opened_total", t->streams_opened, "Streams that were opened.");
    head(f, "burrow_stream_ends_total", "counter", "Streams that ended, by how.");
    for (uint32_t code = 0; code < sizeof t->stream_ends / sizeof *t->stream_ends; code++)
        fprintf(f, "burrow_stream_ends_total{result=\"%s\"} %" PRIu64 "\n",
                code == 0 ? "ok" : reset_code_name(code), t->stream_ends[code]);
    head(f, "burrow_stream_bytes_total", "counter",
         "Payload of streams: in from clients, out to clients.");
    fprintf(f, "burrow_stream_bytes_total{direction=\"in\"} %" PRIu64 "\n", t->bytes_in);
    fprintf(f, "burrow_stream_bytes_total{direction=\"out\"} %" PRIu64 "\n", t->bytes_out);
    counter(f, "burrow_stream_backpressure_drops_total", t->backpressure_drops,
            "Streams or bytes dropped since a queue was full; this server never does.");
    gauge(f, "burrow_credit_bytes", s->budget.used,
          "Bytes that clients may have under way to here.");
    gauge(f, "burrow_buffer_bytes", pool_in_use(loop_pool(s->loop)), "Bytes in message buffers.");
}

static void write_handshakes(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    head(f, "burrow_connections_accepted_total", "counter", "Accepted connections, by listener.");
    fprintf(f, "burrow_connections_accepted_total{role=\"main\"} %" PRIu64 "\n", t->accepted[0]);
    fprintf(f, "burrow_connections_accepted_total{role=\"admin\"} %" PRIu64 "\n", t->accepted[1]);
    gauge(f, "burrow_handshakes_pending", s->pending_main.count + s->pending_admin.count,
          "Connections without a session, HTTP requests included.");
    counter(f, "burrow_handshakes_dropped_total", t->dropped_pending,
            "Handshakes that were too slow or too many.");
    counter(f, "burrow_registers_total", t->registered, "Sessions that began.");
    counter(f, "burrow_registers_refused_total", t->register_failed,
            "Register frames that were refused after or without a token.");
    head(f, "burrow_auth_refusals_total", "counter", "Credentials that were refused, by code.");
    for (uint32_t code = 1; code < AUTH_CODES; code++)
        fprintf(f, "burrow_auth_refusals_total{code=\"%s\"} %" PRIu64 "\n", auth_code_name(code),
                t->refused[code]);
    fprintf(f, "burrow_auth_refusals_total{code=\"unavailable\"} %" PRIu64 "\n", t->refused[0]);
}

static void taken_and_refused(FILE *f, const char *name, uint64_t taken, uint64_t refused,
                              const char *help)
{
    head(f, name, "counter", help);
    fprintf(f, "%s{result=\"taken\"} %" PRIu64 "\n", name, taken);
    fprintf(f, "%s{result=\"refused\"} %" PRIu64 "\n", name, refused);
}

static void write_life(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    gauge(f, "burrow_draining", s->draining,
          "1 while running streams end before the server stops.");
    taken_and_refused(f, "burrow_token_renewals_total", t->renewals_taken, t->renewals_refused,
                      "Newer tokens for sessions that go on.");
    taken_and_refused(f, "burrow_takeovers_total", t->takeovers_taken, t->takeovers_refused,
                      "Client ids that another process claimed; refused: too often.");
}

static void write_bridges(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    counter(f, "burrow_bridge_connections_total", t->bridge_accepted, "Connections to bridges.");
    counter(f, "burrow_bridge_connections_refused_total", t->bridge_refused,
            "Connections to bridges that were reset, since no client or no room was there.");
    head(f, "burrow_grant_refusals_total", "counter",
         "What clients' grants did not allow; bytes_per_second: how often something waited.");
    for (int grant = GRANT_SERVICES; grant <= GRANT_MAX_STREAMS; grant++)
        fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
                grant_name((enum grant)grant), t->grant_refused[grant]);
    fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
            grant_name(GRANT_BYTES_PER_SECOND), s->sessions_stats.rate_waits);
    counter(f, "burrow_accept_pauses_total", s->guard.pauses,
            "Pauses of accepting for lack of descriptors or memory.");
    counter(f, "burrow_accept_shed_total", s->guard.shed,
            "Connections that were reset for lack of descriptors.");
    counter(f, "burrow_stale_services_deleted_total", t->stale_deleted,
            "Clients that were gone for stale-service-age and are forgotten.");
}

/* Plugins are told apart by name; several instances of one are summed up. */
static void write_plugin(FILE *f, const struct server *s, size_t index)
{
    struct instance *const *all = s->config.instances;
    const char *name = instance_name(all[index]);
    const int64_t *values;
    const struct burrow_metric *metrics = instance_metrics(all[index], &values);
    for (size_t i = 0; i < index; i++)
        if (strcmp(instance_name(all[i]), name) == 0)
            return;
    char label[64];
    snprintf(label, sizeof label, "%s", name);
    for (char *p = label; *p != '\0'; p++)
        if (*p == '-' || *p == '.')
            *p = '_';
    for (size_t m = 0; metrics != NULL && metrics[m].name != NULL; m++) {
        int64_t sum = 0;
        for (size_t i = index; i < s->config.instance_count; i++)
            if (strcmp(instance_name(all[i]), name) == 0 &&
                instance_metrics(all[i], &values) != NULL)
                sum += values[m];
        const char *type = metrics[m].type == BURROW_METRIC_COUNTER ? "counter" : "gauge";
        fprintf(f, "# HELP burrow_plugin_%s_%s %s\n", label, metrics[m].name,
                metrics[m].help != NULL ? metrics[m].help : "");
        fprintf(f, "# TYPE burrow_plugin_%s_%s %s\n", label, metrics[m].name, type);
        fprintf(f, "burrow_plugin_%s_%s %" PRId64 "\n", label, metrics[m].name, sum);
    }
}

char *metrics_text(struct server *server, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return NULL;
    head(f, "burrow_build_info", "gauge", "Always 1; the label tells the version.");
    fprintf(f, "burrow_build_info{version=\"%s\"} 1\n", BURROW_VERSION);
    write_sessions(f, server);
    write_handshakes(f, server);
    write_life(f, server);
    write_bridges(f, server);
    for (size_t i = 0; i < server->config.instance_count; i++)
        write_plugin(f, server, i);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    *ret_len = len;
    return text;
}
