/* SPDX-License-Identifier: Apache-2.0 */
/* Strict base64url, both ways. */
#include "jwt/base64url.h"

#include <burrow/plugin.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The six bits that a character stands for, or -1. */
static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int base64url_decode(const char *text, size_t len, uint8_t *out, size_t capacity, size_t *ret_len)
{
    if (len % 4 == 1)
        return BURROW_EPROTO;
    size_t need = len / 4 * 3 + (len % 4 ? len % 4 - 1 : 0);
    if (need > capacity)
        return BURROW_ENOMEM;

    uint32_t bits = 0;
    unsigned held = 0; /* bits not yet written, in the low end of `bits` */
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int value = sextet(text[i]);
        if (value < 0)
            return BURROW_EPROTO;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[n++] = (uint8_t)(bits >> held & 0xff);
        }
    }
    if (bits & ((1u << held) - 1))
        return BURROW_EPROTO; /* RFC 4648, 3.5: another text would decode to the same bytes */
    *ret_len = n;
    return BURROW_OK;
}

size_t base64url_encode(const uint8_t *bytes, size_t n, char *out)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | bytes[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            out[len++] = alphabet[bits >> held & 63];
        }
    }
    if (held > 0)
        out[len++] = alphabet[bits << (6 - held) & 63];
    return len;
}
