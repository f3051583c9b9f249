/* SPDX-License-Identifier: Apache-2.0 */
/* Reads moments: Unix time, a time of day in UTC, or a distance from now. */
#include "moment.h"

#include "jwt/jwt.h"
#include "utc.h"

#include <string.h>

/* Digits only, as strtoll would also take signs and spaces. Stops at the first other
 * character, which *ret_rest is set to. */
static bool parse_digits(const char *text, int64_t *ret, const char **ret_rest)
{
    int64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
        if (value > JWT_MAX_TIME_S)
            return false;
    }
    if (at == text)
        return false;
    *ret = value;
    *ret_rest = at;
    return true;
}

bool moment_parse(const char *text, int64_t now_s, int64_t *ret_s)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

    if (utc_parse(text, ret_s))
        return true;
    int64_t value = 0;
    const char *rest = NULL;
    if (!parse_digits(text, &value, &rest))
        return false;
    if (*rest == '\0') {
        *ret_s = value;
        return true;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(rest, units[i].name) == 0) {
            if (value > (JWT_MAX_TIME_S - now_s) / units[i].seconds)
                return false;
            *ret_s = now_s + value * units[i].seconds;
            return true;
        }
    return false;
}
