/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one event, one line on standard error, as logfmt or JSON.
 *
 *   time=2026-11-21T08:00:00.123Z level=info event=client_connected client=pg peer=10.0.0.7:4242
 *
 * Values are escaped (control bytes, invalid UTF-8, quotes) and a line is at most 2 KiB.
 * A struct log is passed to whoever logs; there is no global one.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <burrow/plugin.h>
#include <stdbool.h>

enum log_format { LOG_LOGFMT, LOG_JSON };

struct log {
    int fd;
    int level; /* BURROW_LOG_*: lower ones are dropped */
    enum log_format format;
};

void log_init(struct log *log, int fd, int level, enum log_format format);

/* Writes the line at once; a full or broken fd loses the line, never blocks for ever. */
void log_event(const struct log *log, int level, const char *event,
               const struct burrow_field *fields, size_t n);

/* log_at(log, BURROW_LOG_INFO, "listening", burrow_str("addr", a), burrow_uint("port", p));
 * at least one field. Costs one comparison when the level is off. */
#define log_at(log_, level_, event_, ...)                                                          \
    do {                                                                                           \
        if ((level_) >= (log_)->level) {                                                           \
            const struct burrow_field log_fields_[] = {__VA_ARGS__};                               \
            log_event((log_), (level_), (event_), log_fields_,                                     \
                      sizeof log_fields_ / sizeof log_fields_[0]);                                 \
        }                                                                                          \
    } while (0)

/* What strangers can cause must not fill the log: LOG_SAMPLE lines a second, the rest is counted
 * and told by the next line (left_out). One sample per kind of event. */
#define LOG_SAMPLE 20u
struct log_sample {
    uint64_t second;
    uint32_t logged, dropped;
};
/* Whether this one is to be logged, and how many were not since the last. */
bool log_sample(struct log_sample *sample, uint64_t now_ms, uint32_t *ret_dropped);

/* "debug", "info", "warn", "error" → level, or -1. And back. */
int log_level_parse(const char *text);
const char *log_level_name(int level);

#endif
