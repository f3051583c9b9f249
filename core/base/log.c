/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One event, one line, one write. Names and values come from everywhere, also from
 * strangers, so nothing of them reaches the terminal or the log's reader unescaped:
 * control bytes, quotes and characters that change the direction or the look of a line
 * become \uXXXX, a byte that is not UTF-8 becomes \ufffd. Both formats escape alike (the
 * usual readers of logfmt unquote as JSON does).
 *
 * A line fits into PIPE_BUF, so that writers which share a pipe do not mix. When it would
 * be longer than LINE_MAX_BYTES, long values are cut (they end in "..."), never the
 * structure: each field first gets room for its name and a short value.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048u
#define NAME_MAX_BYTES 48u
#define SHORT_VALUE 32u /* escaped bytes that each value gets before any gets more */
#define NUMBER_BYTES 20u
#define CUT_MARK "..."

_Static_assert(LINE_MAX_BYTES <= PIPE_BUF, "a line is written in one piece");

static const char *const level_names[] = {
    [BURROW_LOG_DEBUG] = "debug",
    [BURROW_LOG_INFO] = "info",
    [BURROW_LOG_WARN] = "warn",
    [BURROW_LOG_ERROR] = "error",
};
#define LEVELS ((int)(sizeof level_names / sizeof level_names[0]))

struct line {
    enum log_format format;
    size_t n;
    char text[LINE_MAX_BYTES];
};

void log_init(struct log *log, int fd, int level, enum log_format format)
{
    log->fd = fd;
    log->level = level;
    log->format = format;
}

int log_level_parse(const char *text)
{
    for (int i = 0; i < LEVELS; i++)
        if (strcmp(text, level_names[i]) == 0)
            return i;
    return -1;
}

const char *log_level_name(int level)
{
    return level >= 0 && level < LEVELS ? level_names[level] : "unknown";
}

/* Decodes one UTF-8 character (RFC 3629: shortest form, no surrogates, up to U+10FFFF).
 * Returns its bytes, or 0 when p does not begin with one. */
static size_t utf8_decode(const unsigned char *p, size_t n, uint32_t *ret)
{
    static const uint32_t lowest[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 4;
    if (len > n || (len == 4 && (p[0] & 0xf8) != 0xf0))
        return 0;
    uint32_t c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < lowest[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return len;
}

/* Terminal controls (C0, DEL, C1), line separators, and characters that nobody sees or that
 * turn the direction of what follows. */
static bool is_hidden(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe0fff);
}

/* Escapes the character at p into out (at most 12 bytes); returns the bytes of p it took. */
static size_t escape(const unsigned char *p, size_t n, char out[16], size_t *ret_len)
{
    uint32_t c;
    size_t used = utf8_decode(p, n, &c);
    if (used == 0) {
        c = 0xfffd;
        *ret_len = (size_t)snprintf(out, 16, "\\ufffd");
        return 1;
    }
    if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t') {
        out[0] = '\\';
        out[1] = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : (char)c;
        *ret_len = 2;
    } else if (is_hidden(c) && c < 0x10000) {
        *ret_len = (size_t)snprintf(out, 16, "\\u%04x", (unsigned)c);
    } else if (is_hidden(c)) {
        c -= 0x10000;
        *ret_len = (size_t)snprintf(out, 16, "\\u%04x\\u%04x", 0xd800u + (unsigned)(c >> 10),
                                    0xdc00u + (unsigned)(c & 0x3ff));
    } else {
        memcpy(out, p, used);
        *ret_len = used;
    }
    return used;
}

/* A value that needs no quotes in logfmt. */
static bool is_plain(const char *p, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (p[i] <= ' ' || p[i] == '"' || p[i] == '=' || p[i] == '\\' || p[i] == 0x7f)
            return false; /* char may be signed: bytes over 0x7f are quoted too */
    return true;
}

static void put(struct line *line, const char *p, size_t n)
{
    memcpy(line->text + line->n, p, n);
    line->n += n;
}

/* Puts a string value of at most `room` bytes with its quotes. */
static void put_string(struct line *line, const char *text, size_t n, size_t room)
{
    if (line->format == LOG_LOGFMT && n <= room && is_plain(text, n)) {
        put(line, text, n);
        return;
    }
    size_t end = line->n + room - 1; /* the closing quote */
    size_t cut_at = line->n + 1;     /* where the mark goes when it must be cut */
    const unsigned char *p = (const unsigned char *)text;
    put(line, "\"", 1);
    for (size_t i = 0, used; i < n; i += used) {
        char out[16];
        size_t len;
        used = escape(p + i, n - i, out, &len);
        if (line->n + len > end) {
            line->n = cut_at;
            put(line, CUT_MARK, strlen(CUT_MARK));
            break;
        }
        put(line, out, len);
        if (line->n + strlen(CUT_MARK) <= end)
            cut_at = line->n;
    }
    put(line, "\"", 1);
}

/* The name with what does not belong into a name replaced; the three names of every line
 * cannot be given a second time. */
static size_t clean_name(const char *name, char ret[NAME_MAX_BYTES + 1])
{
    static const char *const reserved[] = {"time", "level", "event"};
    size_t n = strnlen(name, NAME_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.';
        ret[i] = fine ? c : '_';
    }
    ret[n] = '\0';
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (strcmp(ret, reserved[i]) == 0)
            ret[n++] = '_';
    if (n == 0)
        ret[n++] = '_';
    ret[n] = '\0';
    return n;
}

static size_t field_len(const struct burrow_field *f)
{
    if (f->str == NULL)
        return 0;
    return f->len == UINT32_MAX ? strnlen(f->str, LINE_MAX_BYTES) : f->len;
}

/* The bytes that a field gets before any gets more: ` name=` or `,"name":` and a value. */
static size_t field_share(const struct burrow_field *f)
{
    char name[NAME_MAX_BYTES + 2];
    size_t frame = clean_name(f->name, name) + 4;
    if (f->type != BURROW_FIELD_STR)
        return frame + NUMBER_BYTES;
    size_t n = field_len(f);
    /* Six escaped bytes for one at most, before SHORT_VALUE ends it. */
    return frame + 2 + (n * 6 < SHORT_VALUE ? n * 6 : SHORT_VALUE);
}

static void put_name(struct line *line, const char *name, size_t n)
{
    if (line->format == LOG_JSON) {
        put(line, ",\"", 2);
        put(line, name, n);
        put(line, "\":", 2);
    } else {
        put(line, " ", 1);
        put(line, name, n);
        put(line, "=", 1);
    }
}

/* others: what the fields behind this one must find free. */
static void put_field(struct line *line, const struct burrow_field *f, size_t others)
{
    char name[NAME_MAX_BYTES + 2];
    size_t name_len = clean_name(f->name, name);
    put_name(line, name, name_len);
    if (f->type == BURROW_FIELD_STR) {
        size_t room = LINE_MAX_BYTES - 2 - others - line->n; /* 2: the end of the line */
        put_string(line, f->str != NULL ? f->str : "", field_len(f), room);
        return;
    }
    char number[NUMBER_BYTES + 1];
    int n = f->type == BURROW_FIELD_INT
                ? snprintf(number, sizeof number, "%" PRId64, f->num)
                : snprintf(number, sizeof number, "%" PRIu64, (uint64_t)f->num);
    put(line, number, (size_t)n);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm tm;
    char text[64];
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) == NULL)
        memset(&tm, 0, sizeof tm);
    int n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", tm.tm_year + 1900,
                     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                     now.tv_nsec / 1000000);
    if (line->format == LOG_JSON) {
        put(line, "{\"time\":\"", 9);
        put(line, text, (size_t)n);
        put(line, "\"", 1);
    } else {
        put(line, "time=", 5);
        put(line, text, (size_t)n);
    }
}

/* The line goes out whole or not at all. Where the kernel cannot write without blocking
 * (some file systems, terminals, older kernels) the descriptor is asked whether it has
 * room: a pipe says yes only when PIPE_BUF bytes fit, a file always. */
static void write_line(int fd, const char *p, size_t n)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
    ssize_t r;
    do
        r = pwritev2(fd, &iov, 1, -1, RWF_NOWAIT);
    while (r < 0 && errno == EINTR);
    if (r >= 0 || errno == EPIPE)
        return;
    struct pollfd pfd = {.fd = fd, .events = POLLOUT};
    if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
        return;
    do
        r = write(fd, p, n);
    while (r < 0 && errno == EINTR);
}

void log_event(const struct log *log, int level, const char *event,
               const struct burrow_field *fields, size_t n)
{
    if (level < log->level)
        return;
    int saved_errno = errno;
    struct line line = {.format = log->format};
    const struct burrow_field head[2] = {burrow_str("level", log_level_name(level)),
                                         burrow_str("event", event)};
    put_time(&line);
    put_name(&line, "level", 5);
    put_string(&line, head[0].str, strlen(head[0].str), 16);
    put_name(&line, "event", 5);
    put_string(&line, event, strnlen(event, LINE_MAX_BYTES), 256);

    /* Fields that would not even get their share are left out, the last ones first. */
    size_t shares = 0, fitting = 0;
    for (; fitting < n; fitting++) {
        size_t share = field_share(&fields[fitting]);
        if (line.n + shares + share > LINE_MAX_BYTES - 2)
            break;
        shares += share;
    }
    for (size_t i = 0; i < fitting; i++) {
        shares -= field_share(&fields[i]);
        put_field(&line, &fields[i], shares);
    }
    if (line.format == LOG_JSON)
        put(&line, "}", 1);
    put(&line, "\n", 1);
    write_line(log->fd, line.text, line.n);
    errno = saved_errno;
}

bool log_sample(struct log_sample *sample, uint64_t now_ms, uint32_t *ret_dropped)
{
    if (now_ms / 1000 != sample->second) {
        sample->second = now_ms / 1000;
        sample->logged = 0;
    }
    if (sample->logged >= LOG_SAMPLE) {
        sample->dropped++;
        return false;
    }
    sample->logged++;
    *ret_dropped = sample->dropped;
    sample->dropped = 0;
    return true;
}
