/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the text of an option into the typed field of its config struct. */
#include "config/option.h"

#include "base/checked.h"
#include "config/arena.h"
#include "config/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Larger ones first, as they are written; "ms" before "m" and "s", since it begins like one. */
static const struct unit duration_units[] = {
    {"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {NULL, 0}};
static const struct unit byte_units[] = {{"TiB", INT64_C(1) << 40},
                                         {"GiB", INT64_C(1) << 30},
                                         {"MiB", INT64_C(1) << 20},
                                         {"KiB", INT64_C(1) << 10},
                                         {"B", 1},
                                         {NULL, 0}};

/* Decimal digits at *p; false: none, or more than an int64_t holds. */
static bool digits(const char **p, int64_t *ret)
{
    const char *s = *p;
    int64_t v = 0;
    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *s - '0', &v))
            return false;
    *p = s;
    *ret = v;
    return true;
}

static const struct unit *unit_at(const char **p, const struct unit *units)
{
    for (const struct unit *u = units; u->name; u++) {
        size_t n = strlen(u->name);
        if (strncmp(*p, u->name, n) == 0) {
            *p += n;
            return u;
        }
    }
    return NULL;
}

/* A fraction ".5" of a unit, which must come to a whole number. */
static bool fraction(const char **p, int64_t factor_limit, int64_t *ret_num, int64_t *ret_den)
{
    int64_t num = 0, den = 1;
    const char *s = *p + 1;
    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (den > factor_limit)
            return false;
        num = num * 10 + (*s - '0');
        den *= 10;
    }
    *p = s;
    *ret_num = num;
    *ret_den = den;
    return true;
}

int option_parse_duration(const char *text, int64_t *ret_ms)
{
    int64_t total = 0, last = INT64_MAX;
    const char *p = text;
    do {
        int64_t v, num = 0, den = 1, part, rest;
        if (!digits(&p, &v) || (*p == '.' && !fraction(&p, 1000000, &num, &den)))
            return BURROW_EINVAL;
        const struct unit *u = unit_at(&p, duration_units);
        /* Each unit once, falling: "1m1h" is a slip of the pen. */
        if (!u || u->factor >= last)
            return BURROW_EINVAL;
        last = u->factor;
        rest = num * u->factor;
        if (rest % den != 0 || __builtin_mul_overflow(v, u->factor, &part) ||
            __builtin_add_overflow(part, rest / den, &part) ||
            __builtin_add_overflow(total, part, &total))
            return BURROW_EINVAL;
    } while (*p != '\0');
    *ret_ms = total;
    return 0;
}

int option_parse_bytes(const char *text, int64_t *ret_bytes)
{
    const char *p = text;
    int64_t v;
    if (!digits(&p, &v))
        return BURROW_EINVAL;
    if (*p != '\0') {
        const struct unit *u = unit_at(&p, byte_units);
        if (!u || *p != '\0' || __builtin_mul_overflow(v, u->factor, &v))
            return BURROW_EINVAL;
    }
    *ret_bytes = v;
    return 0;
}

static int parse_int(const char *text, int64_t *ret)
{
    const char *p = text;
    bool negative = *p == '-';
    int64_t v;
    p += negative;
    if (!digits(&p, &v) || *p != '\0')
        return BURROW_EINVAL;
    *ret = negative ? -v : v;
    return 0;
}

static int parse_bool(const char *text, uint8_t *ret)
{
    static const char *const yes[] = {"true", "1", "yes", "on", "t"};
    static const char *const no[] = {"false", "0", "no", "off", "f"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return 0;
        }
    }
    return BURROW_EINVAL;
}

static int wrong(const struct burrow_option *option, const char *text, const char *what,
                 struct error *err)
{
    char quoted[TEXT_QUOTED], expected[256];
    return error_set(err, BURROW_EINVAL, "%s %s; expected %s",
                     option_quote(text, quoted, sizeof quoted), what,
                     option_expected(option, expected, sizeof expected));
}

static bool all_digits(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static int set_number(const struct burrow_option *option, void *field, const char *text,
                      struct error *err)
{
    int64_t v;
    int rc = option->type == BURROW_OPT_INT        ? parse_int(text, &v)
             : option->type == BURROW_OPT_DURATION ? option_parse_duration(text, &v)
                                                   : option_parse_bytes(text, &v);
    if (rc != 0)
        return wrong(option, text,
                     option->type == BURROW_OPT_DURATION && all_digits(text) ? "has no unit"
                     : option->type == BURROW_OPT_INT && all_digits(text)    ? "is too large"
                     : option->type == BURROW_OPT_INT                        ? "is no whole number"
                     : option->type == BURROW_OPT_DURATION                   ? "is no duration"
                                                                             : "is no size",
                     err);
    int64_t max = option->min == 0 && option->max == 0 ? INT64_MAX : option->max;
    if (v < option->min || v > max)
        return wrong(option, text, "is out of range", err);
    memcpy(field, &v, sizeof v);
    return 0;
}

static int set_string(const struct burrow_option *option, void *field, struct arena *arena,
                      const char *text, struct error *err)
{
    if (option->type == BURROW_OPT_STRING && !text_is_utf8(text))
        return wrong(option, text, "is not valid UTF-8", err);
    if (option->choices && !text_in_choices(text, option->choices))
        return wrong(option, text, "is not one of the choices", err);
    const char *copy = arena_copy(arena, text, strlen(text));
    if (!copy)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    memcpy(field, &copy, sizeof copy);
    return 0;
}

static int set_secret(void *field, struct arena *arena, const char *text, struct error *err)
{
    struct burrow_secret secret = {NULL, strlen(text)};
    secret.data = (const uint8_t *)arena_copy(arena, text, secret.len);
    if (!secret.data)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    memcpy(field, &secret, sizeof secret);
    return 0;
}

static int set_list(const struct burrow_option *option, void *field, struct arena *arena,
                    const char *const *texts, size_t n, struct error *err)
{
    size_t bytes;
    if (!checked_mul_size(n, sizeof(char *), &bytes))
        return error_set(err, BURROW_ENOMEM, "out of memory");
    const char **items = arena_alloc(arena, bytes);
    if (!items)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        if (!text_is_utf8(texts[i]))
            return wrong(option, texts[i], "is not valid UTF-8", err);
        items[i] = arena_copy(arena, texts[i], strlen(texts[i]));
        if (!items[i])
            return error_set(err, BURROW_ENOMEM, "out of memory");
    }
    struct burrow_list list = {items, n};
    memcpy(field, &list, sizeof list);
    return 0;
}

int option_set(const struct burrow_option *option, void *config, struct arena *arena,
               const char *const *texts, size_t n, struct error *err)
{
    void *field = (char *)config + option->offset;
    char expected[256];

    if (option->type == BURROW_OPT_LIST)
        return set_list(option, field, arena, texts, n, err);
    if (n != 1)
        return error_set(err, BURROW_EINVAL, "has %zu values; expected %s", n,
                         option_expected(option, expected, sizeof expected));
    switch (option->type) {
    case BURROW_OPT_STRING:
    case BURROW_OPT_PATH:
        return set_string(option, field, arena, texts[0], err);
    case BURROW_OPT_SECRET:
        return set_secret(field, arena, texts[0], err);
    case BURROW_OPT_BOOL:
        if (parse_bool(texts[0], field) != 0)
            return wrong(option, texts[0], "is neither true nor false", err);
        return 0;
    default:
        return set_number(option, field, texts[0], err);
    }
}
