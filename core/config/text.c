/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, choices, and which name a misspelt one was meant to be. */
#include "config/text.h"

#include <stdint.h>
#include <string.h>

#define DISTANCE_MAX 63u

/* Bytes of the sequence at p, 0 when it is not valid. */
static size_t utf8_length(const uint8_t *p)
{
    static const struct {
        uint8_t mask, lead, n;
        uint32_t min;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};

    for (size_t f = 0; f < sizeof forms / sizeof forms[0]; f++) {
        if ((p[0] & forms[f].mask) != forms[f].lead)
            continue;
        uint32_t c = p[0] & (uint8_t)~forms[f].mask;
        for (size_t i = 1; i < forms[f].n; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3fu);
        }
        bool bad = c < forms[f].min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);
        return bad ? 0 : forms[f].n;
    }
    return 0;
}

bool text_is_utf8(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    while (*p) {
        size_t n = utf8_length(p);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

bool text_in_choices(const char *text, const char *choices)
{
    size_t n = strlen(text);
    for (const char *p = choices;;) {
        const char *end = strchrnul(p, '|');
        if ((size_t)(end - p) == n && memcmp(p, text, n) == 0)
            return true;
        if (*end == '\0')
            return false;
        p = end + 1;
    }
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned text_distance(const char *a, const char *b)
{
    unsigned rows[3][DISTANCE_MAX + 1];
    size_t na = strlen(a), nb = strlen(b);
    if (na > DISTANCE_MAX || nb > DISTANCE_MAX)
        return UINT32_MAX;
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= nb; j++) {
        before[j] = 0;
        last[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= na; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        unsigned *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[nb];
}

void nearest_init(struct nearest *nearest, const char *text)
{
    /* A third of the name may be wrong, but not more than three letters. */
    size_t n = strlen(text);
    nearest->text = text;
    nearest->name = NULL;
    nearest->distance = n >= 9 ? 4 : (unsigned)(n / 3 + 1);
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    unsigned d = text_distance(nearest->text, name);
    if (d < nearest->distance) {
        nearest->distance = d;
        nearest->name = name;
    }
}
