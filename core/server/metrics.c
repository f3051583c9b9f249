/* SPDX-License-Identifier: Apache-2.0 */
/* What the server counts, in Prometheus' text format. */
#include "server/routes.h"

#include "base/count.h"
#include "status/metrics.h"

#include <inttypes.h>

/* ---- what workers count ---- */

/* Structs of nothing but counters are added up as such. */
static void add_all(void *sum, const void *one, size_t size)
{
    uint64_t *to = sum;
    const uint64_t *from = one;
    for (size_t i = 0; i < size / sizeof *to; i++)
        to[i] += from[i];
}

_Static_assert(sizeof(struct worker_counts) == sizeof(struct session_stats) +
                                                   sizeof(struct worker_stats) +
                                                   4 * sizeof(uint64_t),
               "counters only");
_Static_assert(sizeof(struct session_stats) == (6 + 11 + 2 * (2 + LATENCY_BUCKETS)) * 8 &&
                   sizeof(struct worker_stats) == (AUTH_CODES + 4) * 8,
               "counters only");

void worker_counts_add(struct worker_counts *sum, const struct worker_counts *one)
{
    add_all(sum, one, sizeof *sum);
}

void worker_counts_take(const struct worker *w, struct worker_counts *ret)
{
    *ret = (struct worker_counts){.sessions = w->sessions_stats,
                                  .handshakes = w->stats,
                                  .credit = w->budget.used,
                                  .buffers = pool_in_use(loop_pool(w->loop)),
                                  .pending = w->pending.count};
    const struct seat *seat;
    TAILQ_FOREACH(seat, &w->seats, entry)
    if (seat->session != NULL)
        ret->queued += session_queued(seat->session);
}

/* ---- all of it ---- */

struct source {
    const struct server *server;
    const struct worker_counts *sum;
};

static void write_sessions(FILE *f, const struct server *s, const struct worker_counts *w)
{
    metric_gauge(f, "burrow_sessions_active", s->session_count, "Clients that are connected.");
    metric_gauge(f, "burrow_clients_known", s->record_count,
                 "Client ids with a bridge, connected or gone for less than stale-service-age.");
    metrics_streams(f, &w->sessions, w->credit, w->buffers);
    metric_latency(f, "burrow_stream_open_seconds", &w->sessions.open_latency,
                   "From a connection to a bridge until its target is connected.");
    metric_gauge(f, "burrow_send_queue_bytes", w->queued,
                 "Bytes for clients that wait for the network.");
}

static void write_handshakes(FILE *f, const struct server *s, const struct worker_counts *sum)
{
    const struct server_stats *t = &s->stats;
    const struct worker_stats *w = &sum->handshakes;
    const struct status_stats admin = status_port_stats(s->admin);
    metric_head(f, "burrow_connections_accepted_total", "counter",
                "Accepted connections, by listener.");
    fprintf(f, "burrow_connections_accepted_total{role=\"main\"} %" PRIu64 "\n", t->accepted);
    fprintf(f, "burrow_connections_accepted_total{role=\"admin\"} %" PRIu64 "\n", admin.accepted);
    metric_gauge(f, "burrow_handshakes_pending", sum->pending + admin.open,
                 "Connections without a session, HTTP requests included.");
    metric_counter(f, "burrow_handshakes_dropped_total", w->dropped_pending + admin.dropped,
                   "Handshakes that were too slow or too many.");
    metric_counter(f, "burrow_registers_total", w->registered, "Sessions that began.");
    metric_counter(f, "burrow_registers_refused_total", w->register_failed,
                   "Register frames that were refused after or without a token.");
    metric_head(f, "burrow_auth_refusals_total", "counter",
                "Credentials that were refused, by code.");
    for (uint32_t code = 1; code < AUTH_CODES; code++)
        fprintf(f, "burrow_auth_refusals_total{code=\"%s\"} %" PRIu64 "\n", auth_code_name(code),
                w->refused[code]);
    fprintf(f, "burrow_auth_refusals_total{code=\"unavailable\"} %" PRIu64 "\n", w->refused[0]);
}

static void write_life(FILE *f, const struct server *s)
{
    const struct server_stats *t = &s->stats;
    metric_gauge(f, "burrow_draining", s->draining,
                 "1 while running streams end before the server stops.");
    metric_results(f, "burrow_token_renewals_total", t->renewals_taken, t->renewals_refused,
                   "Newer tokens for sessions that go on.");
    metrics_reloads(f, s->config.reloads, s->config.workers, s->config.worker_count);
    metric_results(f, "burrow_takeovers_total", t->takeovers_taken, t->takeovers_refused,
                   "Client ids that another process claimed; refused: too often.");
}

static void write_bridges(FILE *f, const struct server *s, const struct worker_counts *w)
{
    const struct server_stats *t = &s->stats;
    metric_counter(f, "burrow_bridge_connections_total", t->bridge_accepted,
                   "Connections to bridges.");
    metric_counter(f, "burrow_bridge_connections_refused_total",
                   t->bridge_refused + w->handshakes.bridge_refused,
                   "Connections to bridges that were reset, since no client or no room was there.");
    metric_head(
        f, "burrow_grant_refusals_total", "counter",
        "What clients' grants did not allow; bytes_per_second: how often something waited.");
    for (int grant = GRANT_SERVICES; grant <= GRANT_MAX_STREAMS; grant++)
        fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
                grant_name((enum grant)grant), t->grant_refused[grant]);
    fprintf(f, "burrow_grant_refusals_total{grant=\"%s\"} %" PRIu64 "\n",
            grant_name(GRANT_BYTES_PER_SECOND), w->sessions.rate_waits);
    metric_counter(f, "burrow_accept_pauses_total", s->guard.pauses,
                   "Pauses of accepting for lack of descriptors or memory.");
    metric_counter(f, "burrow_accept_shed_total", s->guard.shed,
                   "Connections that were reset for lack of descriptors.");
    metric_counter(f, "burrow_stale_services_deleted_total", t->stale_deleted,
                   "Clients that were gone for stale-service-age and are forgotten.");
}

/* ---- per service, where an operator asks for it ---- */

/* What there is of one service; index: of a reset code or direction, with its own label. */
typedef uint64_t service_value_fn(const struct bridge *b, uint32_t index);

static uint64_t value_connections(const struct bridge *b, uint32_t refused)
{
    return refused ? b->refused : b->accepted;
}

/* The sum of what the workers that its streams were on have counted. */
static void add_stats(const struct bridge *b, struct service_stats *sum)
{
    const size_t workers = b->record->server->worker_count;
    for (size_t i = 0; i < workers; i++) {
        const struct service_stats *one = b->stats[i];
        if (one == NULL)
            continue;
        sum->streams_active += count_read(&one->streams_active);
        sum->bytes_in += count_read(&one->bytes_in);
        sum->bytes_out += count_read(&one->bytes_out);
        for (size_t k = 0; k < sizeof sum->stream_ends / sizeof *sum->stream_ends; k++)
            sum->stream_ends[k] += count_read(&one->stream_ends[k]);
        latency_sum(&sum->open_latency, &one->open_latency);
    }
}

static uint64_t value_active(const struct bridge *b, uint32_t index)
{
    struct service_stats sum = {.streams_active = 0};
    (void)index;
    add_stats(b, &sum);
    return sum.streams_active;
}

static uint64_t value_end(const struct bridge *b, uint32_t code)
{
    struct service_stats sum = {.streams_active = 0};
    add_stats(b, &sum);
    return sum.stream_ends[code];
}

static uint64_t value_bytes(const struct bridge *b, uint32_t out)
{
    struct service_stats sum = {.streams_active = 0};
    add_stats(b, &sum);
    return out ? sum.bytes_out : sum.bytes_in;
}

static void write_labels(FILE *f, const void *arg)
{
    const struct bridge *b = arg;
    fputs("client=", f);
    metric_label(f, b->record->id);
    fputs(",service=", f);
    metric_label(f, b->name);
}

static void write_service(FILE *f, const struct server *s, const char *name,
                          service_value_fn *value, uint32_t index, const char *label,
                          const char *text)
{
    const struct client_record *record, *next;
    HASH_ITER(hh, s->clients, record, next)
    {
        const struct bridge *b;
        TAILQ_FOREACH(b, &record->bridges, entry)
        {
            fprintf(f, "%s{", name);
            write_labels(f, b);
            if (label != NULL)
                fprintf(f, ",%s=\"%s\"", label, text);
            fprintf(f, "} %" PRIu64 "\n", value(b, index));
        }
    }
}

static void write_service_latency(FILE *f, const struct server *s)
{
    const char *name = "burrow_service_open_seconds";
    metric_head(f, name, "histogram",
                "From a connection to a service's bridge until its target is connected.");
    const struct client_record *record, *next;
    HASH_ITER(hh, s->clients, record, next)
    {
        const struct bridge *b;
        TAILQ_FOREACH(b, &record->bridges, entry)
        {
            struct service_stats sum = {.streams_active = 0};
            add_stats(b, &sum);
            metric_latency_samples(f, name, &sum.open_latency, write_labels, b);
        }
    }
}

static void write_services(FILE *f, const struct server *s)
{
    const char *name = "burrow_service_connections_total";
    metric_head(f, name, "counter", "Connections to a service's bridge.");
    write_service(f, s, name, value_connections, 0, NULL, NULL);
    name = "burrow_service_connections_refused_total";
    metric_head(f, name, "counter", "Connections to a service's bridge that were reset at once.");
    write_service(f, s, name, value_connections, 1, NULL, NULL);
    name = "burrow_service_streams_active";
    metric_head(f, name, "gauge", "Streams of a service that are open.");
    write_service(f, s, name, value_active, 0, NULL, NULL);
    name = "burrow_service_stream_ends_total";
    metric_head(f, name, "counter", "Streams of a service that ended, by how.");
    for (uint32_t code = 0; code <= RESET_WITHDRAWN; code++)
        write_service(f, s, name, value_end, code, "result",
                      code == 0 ? "ok" : reset_code_name(code));
    name = "burrow_service_bytes_total";
    metric_head(f, name, "counter", "Payload of a service: in from its client, out to it.");
    write_service(f, s, name, value_bytes, 0, "direction", "in");
    write_service(f, s, name, value_bytes, 1, "direction", "out");
    write_service_latency(f, s);
}

static void write_all(FILE *f, const void *arg)
{
    const struct source *source = arg;
    const struct server *s = source->server;
    write_sessions(f, s, source->sum);
    write_handshakes(f, s, source->sum);
    write_life(f, s);
    write_bridges(f, s, source->sum);
    if (s->options->metrics_per_service)
        write_services(f, s);
    metrics_plugins(f, s->config.workers, s->config.worker_count);
}

void routes_metrics(const struct server *server, const struct worker_counts *sum,
                    struct http_answer *ret)
{
    const struct source source = {server, sum};
    size_t len = 0;
    char *text = metrics_text(write_all, &source, &len);
    answer_metrics(ret, text, len);
}
