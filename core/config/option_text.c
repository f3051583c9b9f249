/* SPDX-License-Identifier: Apache-2.0 */
/* What is said about options: the form expected, the variable's name, values in quotes. */
#include "config/option.h"
#include "config/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

const char *option_format_duration(int64_t ms, char *buf, size_t size)
{
    static const struct unit units[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
    size_t used = 0;
    if (size == 0)
        return buf;
    buf[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t n = ms / units[i].factor;
        if (n == 0 || used >= size)
            continue;
        ms -= n * units[i].factor;
        int w = snprintf(buf + used, size - used, "%" PRId64 "%s", n, units[i].name);
        used += w > 0 ? (size_t)w : 0;
    }
    if (used == 0)
        snprintf(buf, size, "0s");
    return buf;
}

const char *option_format_bytes(int64_t bytes, char *buf, size_t size)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    while (bytes != 0 && bytes % 1024 == 0 && u + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        u++;
    }
    snprintf(buf, size, "%" PRId64 "%s", bytes, units[u]);
    return buf;
}

static const char *format_number(uint32_t type, int64_t v, char *buf, size_t size)
{
    if (type == BURROW_OPT_DURATION)
        return option_format_duration(v, buf, size);
    if (type == BURROW_OPT_BYTES)
        return option_format_bytes(v, buf, size);
    snprintf(buf, size, "%" PRId64, v);
    return buf;
}

static void expected_number(const struct burrow_option *option, char *buf, size_t size)
{
    const char *what = option->type == BURROW_OPT_INT        ? "a whole number"
                       : option->type == BURROW_OPT_DURATION ? "a duration"
                                                             : "a size";
    const char *such = option->type == BURROW_OPT_INT        ? ""
                       : option->type == BURROW_OPT_DURATION ? ", such as 10s, 250ms or 1h30m"
                                                             : ", such as 1000, 64KiB or 16MiB";
    char low[64], high[64];
    format_number(option->type, option->min, low, sizeof low);
    format_number(option->type, option->max, high, sizeof high);
    if (option->max == INT64_MAX || (option->min == 0 && option->max == 0))
        snprintf(buf, size, "%s of at least %s%s", what, low, such);
    else
        snprintf(buf, size, "%s from %s to %s%s", what, low, high, such);
}

static void expected_choice(const char *choices, char *buf, size_t size)
{
    size_t used = 0;
    for (const char *p = choices; used < size;) {
        const char *end = strchrnul(p, '|');
        const char *then = *end == '\0' ? "" : strchr(end + 1, '|') ? ", " : " or ";
        int w = snprintf(buf + used, size - used, "%.*s%s", (int)(end - p), p, then);
        used += w > 0 ? (size_t)w : 0;
        if (*end == '\0')
            return;
        p = end + 1;
    }
}

const char *option_expected(const struct burrow_option *option, char *buf, size_t size)
{
    switch (option->type) {
    case BURROW_OPT_INT:
    case BURROW_OPT_DURATION:
    case BURROW_OPT_BYTES:
        expected_number(option, buf, size);
        break;
    case BURROW_OPT_BOOL:
        snprintf(buf, size, "true or false");
        break;
    case BURROW_OPT_PATH:
        snprintf(buf, size, "the name of a file");
        break;
    default:
        if (option->choices)
            expected_choice(option->choices, buf, size);
        else
            snprintf(buf, size, "%s", option->metavar ? option->metavar : "a text");
        break;
    }
    return buf;
}

const char *option_variable(const char *name, char *buf, size_t size)
{
    static const char prefix[] = "BURROW_";
    size_t used = 0;
    if (size == 0)
        return buf;
    for (const char *p = prefix; *p && used + 1 < size; p++)
        buf[used++] = *p;
    for (const char *p = strcmp(name, "plugin") == 0 ? "plugins" : name; *p && used + 1 < size; p++)
        buf[used++] = (char)(*p == '-' || *p == '.'   ? '_'
                             : *p >= 'a' && *p <= 'z' ? *p - 'a' + 'A'
                                                      : *p);
    buf[used] = '\0';
    return buf;
}

/* Byte i belongs to U+0080 to U+009F, which terminals obey. The text is valid UTF-8. */
static bool is_c1(const char *text, size_t i)
{
    unsigned char c = (unsigned char)text[i];
    if (c == 0xc2)
        return (unsigned char)text[i + 1] < 0xa0;
    return i > 0 && (unsigned char)text[i - 1] == 0xc2 && c < 0xa0;
}

const char *option_quote(const char *text, char *buf, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    bool utf8 = text_is_utf8(text);
    size_t used = 0, n = strlen(text), shown = n > 64 ? 64 : n;

    if (size < TEXT_QUOTED)
        return "\"…\"";
    /* Do not cut a character in two. */
    while (utf8 && shown < n && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--;
    buf[used++] = '"';
    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            buf[used++] = '\\';
            buf[used++] = (char)c;
        } else if ((c >= 0x20 && c < 0x7f) || (c >= 0x80 && utf8 && !is_c1(text, i))) {
            buf[used++] = (char)c;
        } else {
            buf[used++] = '\\';
            buf[used++] = 'x';
            buf[used++] = hex[c >> 4];
            buf[used++] = hex[c & 15];
        }
    }
    memcpy(buf + used, shown < n ? "…\"" : "\"", shown < n ? 5 : 2);
    return buf;
}
