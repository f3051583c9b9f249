/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' text format, and the metrics that server and client have alike. Labels come from
 * tables only, so that no peer can make the output grow, but where an operator asks for more.
 */
#ifndef STATUS_METRICS_H
#define STATUS_METRICS_H

#include "config/reload.h"
#include "plugin/plugin.h"
#include "tunnel/session.h"

#include <stdio.h>

void metric_head(FILE *f, const char *name, const char *type, const char *help);
void metric_gauge(FILE *f, const char *name, uint64_t value, const char *help);
void metric_counter(FILE *f, const char *name, uint64_t value, const char *help);
/* A histogram of seconds. */
void metric_latency(FILE *f, const char *name, const struct latency *latency, const char *help);
/* One of several below a head; labels writes its own labels, NULL: it has none. */
void metric_latency_samples(FILE *f, const char *name, const struct latency *latency,
                            void (*labels)(FILE *f, const void *arg), const void *arg);
/* A counter of what was taken and what was refused. */
void metric_results(FILE *f, const char *name, uint64_t taken, uint64_t refused, const char *help);
/* A text in quotes, as the value of a label. */
void metric_label(FILE *f, const char *text);

/* Streams, their ends and bytes, the credit that was given and the bytes in buffers under them. */
void metrics_streams(FILE *f, const struct session_stats *stats, uint64_t credit, uint64_t buffers);
/* Files and configurations that were read again. counts: NULL for a process without reloads. */
void metrics_reloads(FILE *f, const struct reload_counts *counts,
                     const struct instance_group *groups, size_t n);
/* What the plugins count; several instances of one are summed up. */
void metrics_plugins(FILE *f, const struct instance_group *groups, size_t n);

/* burrow_build_info and what write adds, malloc'ed; NULL: out of memory. */
char *metrics_text(void (*write)(FILE *f, const void *arg), const void *arg, size_t *ret_len);

#endif
