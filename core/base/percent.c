/* SPDX-License-Identifier: Apache-2.0 */
/* The decoder of %NN; see percent.h. */
#include "base/percent.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

ssize_t percent_decode(const char *p, size_t n, bool plus_is_space, char *ret, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = plus_is_space && p[i] == '+' ? ' ' : p[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_digit(p[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(p[i + 2]);
            if (low < 0)
                return -1;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (len == size)
            return -1;
        ret[len++] = c;
    }
    return (ssize_t)len;
}
