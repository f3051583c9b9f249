/* SPDX-License-Identifier: Apache-2.0 */
/* Writes Prometheus' text format; see metrics.h. */
#include "status/metrics.h"

#include "base/count.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void metric_head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_gauge(FILE *f, const char *name, uint64_t value, const char *help)
{
    metric_head(f, name, "gauge", help);
    fprintf(f, "%s %" PRIu64 "\n", name, value);
}

void metric_counter(FILE *f, const char *name, uint64_t value, const char *help)
{
    metric_head(f, name, "counter", help);
    fprintf(f, "%s %" PRIu64 "\n", name, value);
}

void metric_latency(FILE *f, const char *name, const struct latency *latency, const char *help)
{
    metric_head(f, name, "histogram", help);
    metric_latency_samples(f, name, latency, NULL, NULL);
}

/* NAME_KIND and what labels writes; le: NULL but for buckets. */
static void begin_sample(FILE *f, const char *name, const char *kind, const char *le,
                         void (*labels)(FILE *f, const void *arg), const void *arg)
{
    fprintf(f, "%s_%s", name, kind);
    if (labels != NULL || le != NULL)
        fputc('{', f);
    if (labels != NULL)
        labels(f, arg);
    if (le != NULL)
        fprintf(f, "%sle=\"%s\"", labels != NULL ? "," : "", le);
    fputs(labels != NULL || le != NULL ? "} " : " ", f);
}

void metric_latency_samples(FILE *f, const char *name, const struct latency *latency,
                            void (*labels)(FILE *f, const void *arg), const void *arg)
{
    uint64_t sum = 0;
    char le[16];
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        sum += latency->buckets[i];
        snprintf(le, sizeof le, "%g", latency_bounds_us[i] / 1e6);
        begin_sample(f, name, "bucket", le, labels, arg);
        fprintf(f, "%" PRIu64 "\n", sum);
    }
    begin_sample(f, name, "bucket", "+Inf", labels, arg);
    fprintf(f, "%" PRIu64 "\n", latency->count);
    begin_sample(f, name, "sum", NULL, labels, arg);
    fprintf(f, "%.6f\n", (double)latency->sum_us / 1e6);
    begin_sample(f, name, "count", NULL, labels, arg);
    fprintf(f, "%" PRIu64 "\n", latency->count);
}

void metric_results(FILE *f, const char *name, uint64_t taken, uint64_t refused, const char *help)
{
    metric_head(f, name, "counter", help);
    fprintf(f, "%s{result=\"taken\"} %" PRIu64 "\n", name, taken);
    fprintf(f, "%s{result=\"refused\"} %" PRIu64 "\n", name, refused);
}

void metric_label(FILE *f, const char *text)
{
    fputc('"', f);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', f);
        if (*text == '\n')
            fputs("\\n", f);
        else
            fputc(*text, f);
    }
    fputc('"', f);
}

void metrics_streams(FILE *f, const struct session_stats *t, uint64_t credit, uint64_t buffers)
{
    metric_gauge(f, "burrow_streams_active", t->streams_active, "Streams that are open.");
    metric_counter(f, "burrow_streams_opened_total", t->streams_opened,
                   "Streams that were opened.");
    metric_head(f, "burrow_stream_ends_total", "counter", "Streams that ended, by how.");
    for (uint32_t code = 0; code < sizeof t->stream_ends / sizeof *t->stream_ends; code++)
        fprintf(f, "burrow_stream_ends_total{result=\"%s\"} %" PRIu64 "\n",
                code == 0 ? "ok" : reset_code_name(code), t->stream_ends[code]);
    metric_head(f, "burrow_stream_bytes_total", "counter",
                "Payload of streams: in from the peer, out to it.");
    fprintf(f, "burrow_stream_bytes_total{direction=\"in\"} %" PRIu64 "\n", t->bytes_in);
    fprintf(f, "burrow_stream_bytes_total{direction=\"out\"} %" PRIu64 "\n", t->bytes_out);
    /* For dashboards made for Burrow 0.5. */
    metric_counter(f, "burrow_stream_backpressure_drops_total", 0,
                   "Streams or bytes dropped since a queue was full; this program never does.");
    metric_counter(f, "burrow_streams_stalled_total", t->streams_stalled,
                   "Streams on wire version 1 that were closed since they held up all others.");
    metric_latency(f, "burrow_round_trip_seconds", &t->round_trip,
                   "Round trips of connections, as PINGs measure them while windows grow.");
    metric_gauge(f, "burrow_credit_bytes", credit, "Bytes that peers may have under way to here.");
    metric_gauge(f, "burrow_buffer_bytes", buffers, "Bytes in message buffers.");
}

/* Of all groups the index-th instance; NULL: there are no more. */
static struct instance *nth(const struct instance_group *groups, size_t n, size_t index)
{
    for (size_t i = 0; i < n; index -= groups[i++].instance_count)
        if (index < groups[i].instance_count)
            return groups[i].instances[index];
    return NULL;
}

void metrics_reloads(FILE *f, const struct reload_counts *counts,
                     const struct instance_group *groups, size_t n)
{
    struct file_counts files = {0, 0};
    const struct instance *instance;
    for (size_t i = 0; (instance = nth(groups, n, i)) != NULL; i++) {
        struct file_counts one = instance_file_counts(instance);
        files.taken += one.taken;
        files.refused += one.refused;
    }
    metric_results(f, "burrow_file_reloads_total", files.taken, files.refused,
                   "Certificates, keys, secrets and the like that changed on disk.");
    if (counts != NULL)
        metric_results(f, "burrow_reloads_total", counts->taken, counts->refused,
                       "Configurations read again at SIGHUP.");
}

/* What the instance has counted: at an index of its plugin's table, or faults. */
typedef uint64_t plugin_value_fn(struct instance *instance, size_t index);

static uint64_t value_metric(struct instance *instance, size_t index)
{
    const int64_t *values;
    return instance_metrics(instance, &values) != NULL
               ? count_read((const uint64_t *)&values[index])
               : 0;
}

static uint64_t value_faults(struct instance *instance, size_t index)
{
    (void)index;
    return count_read(&instance_faults(instance)->count);
}

/* Over all instances of the plugin of this name. */
static uint64_t sum_up(const struct instance_group *groups, size_t n, const char *name,
                       plugin_value_fn *value, size_t index)
{
    uint64_t sum = 0;
    struct instance *instance;
    for (size_t i = 0; (instance = nth(groups, n, i)) != NULL; i++)
        if (strcmp(instance_name(instance), name) == 0)
            sum += value(instance, index);
    return sum;
}

static bool is_first(const struct instance_group *groups, size_t n, size_t index)
{
    const char *name = instance_name(nth(groups, n, index));
    for (size_t i = 0; i < index; i++)
        if (strcmp(instance_name(nth(groups, n, i)), name) == 0)
            return false;
    return true;
}

static void write_plugin(FILE *f, const struct instance_group *groups, size_t n,
                         const struct instance *first)
{
    const char *name = instance_name(first);
    const int64_t *values;
    const struct burrow_metric *metrics = instance_metrics(first, &values);
    char label[64];
    snprintf(label, sizeof label, "%s", name);
    for (char *p = label; *p != '\0'; p++)
        if (*p == '-' || *p == '.')
            *p = '_';
    for (size_t m = 0; metrics != NULL && metrics[m].name != NULL; m++) {
        const char *type = metrics[m].type == BURROW_METRIC_COUNTER ? "counter" : "gauge";
        fprintf(f, "# HELP burrow_plugin_%s_%s %s\n", label, metrics[m].name,
                metrics[m].help != NULL ? metrics[m].help : "");
        fprintf(f, "# TYPE burrow_plugin_%s_%s %s\n", label, metrics[m].name, type);
        fprintf(f, "burrow_plugin_%s_%s %" PRId64 "\n", label, metrics[m].name,
                (int64_t)sum_up(groups, n, name, value_metric, m));
    }
}

void metrics_plugins(FILE *f, const struct instance_group *groups, size_t n)
{
    const struct instance *instance;
    metric_head(f, "burrow_plugin_faults_total", "counter",
                "What plugins did against their contract.");
    for (size_t i = 0; (instance = nth(groups, n, i)) != NULL; i++)
        if (is_first(groups, n, i))
            fprintf(f, "burrow_plugin_faults_total{plugin=\"%s\"} %" PRIu64 "\n",
                    instance_name(instance),
                    sum_up(groups, n, instance_name(instance), value_faults, 0));
    for (size_t i = 0; (instance = nth(groups, n, i)) != NULL; i++)
        if (is_first(groups, n, i))
            write_plugin(f, groups, n, instance);
}

char *metrics_text(void (*write)(FILE *f, const void *arg), const void *arg, size_t *ret_len)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    if (f == NULL)
        return NULL;
    metric_head(f, "burrow_build_info", "gauge", "Always 1; the label tells the version.");
    fprintf(f, "burrow_build_info{version=\"%s\"} 1\n", BURROW_VERSION);
    write(f, arg);
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    *ret_len = len;
    return text;
}
