/* SPDX-License-Identifier: Apache-2.0 */
/* Moments in UTC, see utc.h. */
#include "utc.h"

#include <string.h>
#include <time.h>

/* A date that the calendar does not have comes back changed from timegm, which tells it. */
bool utc_parse(const char *text, int64_t *ret_s)
{
    struct tm tm = {.tm_isdst = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (strlen(text) != sizeof "2026-11-21T08:00:00Z" - 1 || !end || *end)
        return false;
    int day = tm.tm_mday, second = tm.tm_sec;
    time_t at = timegm(&tm);
    if (at < 0 || tm.tm_mday != day || tm.tm_sec != second)
        return false;
    *ret_s = (int64_t)at;
    return true;
}

int64_t utc_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
