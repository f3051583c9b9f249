/* SPDX-License-Identifier: Apache-2.0 */
/* Headers that say a time (RFC 9111, 5.2.2; RFC 9110, 10.2.3). What cannot be read counts as
 * absent, so that a careless server only loses its wish. */
#include "http/internal.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define MAX_SECONDS 31536000 /* a year: longer is the same to us */

/* Digits only; a larger number than MAX_SECONDS is MAX_SECONDS. -1: no number. */
static int64_t read_seconds(const char *p, size_t n)
{
    int64_t s = 0;
    if (n == 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return -1;
        s = s > MAX_SECONDS ? s : s * 10 + (p[i] - '0');
    }
    return s > MAX_SECONDS ? MAX_SECONDS : s;
}

static bool is_word(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(p, word, n) == 0;
}

/* Of two lifetimes, either of which may be absent (-1). */
static int64_t shorter(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

int64_t http_cache_ms(const char *cache_control)
{
    static const char space[] = " \t";
    int64_t ms = -1;
    for (const char *p = cache_control; p && *p;) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ",");
        const char *next = p + n;
        while (n > 0 && strchr(space, p[n - 1]))
            n--;
        if (is_word(p, n, "no-store") || is_word(p, n, "no-cache"))
            return 0;
        if (n > 8 && strncasecmp(p, "max-age=", 8) == 0) {
            bool quoted = n > 10 && p[8] == '"' && p[n - 1] == '"';
            int64_t s = quoted ? read_seconds(p + 9, n - 10) : read_seconds(p + 8, n - 8);
            if (s >= 0)
                ms = shorter(ms, s * 1000);
        }
        p = next;
    }
    return ms;
}

int64_t http_keep_ms(const struct http_response *response)
{
    struct curl_header *header;
    int64_t ms = -1;
    if (response->status == 0)
        return ms;
    for (size_t i = 0; curl_easy_header(response->of->easy, "Cache-Control", i, CURLH_HEADER, -1,
                                        &header) == CURLHE_OK;
         i++)
        ms = shorter(ms, http_cache_ms(header->value));
    return ms;
}

int64_t http_retry_after_ms(const char *retry_after, int64_t unix_now_s)
{
    if (!retry_after)
        return -1;
    int64_t s = read_seconds(retry_after, strlen(retry_after));
    if (s < 0) {
        time_t at = curl_getdate(retry_after, NULL);
        if (at < 0)
            return -1;
        s = (int64_t)at > unix_now_s ? (int64_t)at - unix_now_s : 0;
    }
    return (s > MAX_SECONDS ? MAX_SECONDS : s) * 1000;
}
