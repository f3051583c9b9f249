/* SPDX-License-Identifier: Apache-2.0 */
/* Which URLs are taken, and what they say: by libcurl's own parser, so that what was judged is
 * what will be dialled. */
#include "http/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* A part as libcurl reads it, or NULL. The caller frees it with curl_free. */
static char *part(CURLU *parsed, CURLUPart what, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(parsed, what, &text, flags) == CURLUE_OK ? text : NULL;
}

/* A zone would be lost on the way to the resolver: link-local addresses are not supported. */
static const char *read_parts(CURLU *parsed, struct http_url *out)
{
    const char *why = NULL;
    char *scheme = part(parsed, CURLUPART_SCHEME, 0);
    char *host = part(parsed, CURLUPART_HOST, 0);
    char *port = part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    char *user = part(parsed, CURLUPART_USER, 0);
    char *password = part(parsed, CURLUPART_PASSWORD, 0);
    char *fragment = part(parsed, CURLUPART_FRAGMENT, 0);
    char *zone = part(parsed, CURLUPART_ZONEID, 0);
    size_t n = host ? strlen(host) : 0;
    if (!scheme || (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0))
        why = "it must begin with https:// or http://";
    else if (user || password)
        why = "it must not carry a user name or password";
    else if (fragment)
        why = "it must not have a fragment (#)";
    else if (n == 0 || n >= sizeof out->host || zone)
        why = "its host is not a name or address of at most 255 bytes";
    else if (!port || strtol(port, NULL, 10) <= 0)
        why = "its port is not a number from 1 to 65535";
    if (!why) {
        bool bracketed = host[0] == '[';
        out->https = strcmp(scheme, "https") == 0;
        out->port = (uint16_t)strtol(port, NULL, 10);
        snprintf(out->host, sizeof out->host, "%.*s", (int)(bracketed ? n - 2 : n),
                 host + (bracketed ? 1 : 0));
        snprintf(out->origin, sizeof out->origin, "%s://%s:%s", scheme, host, port);
        out->loopback = is_loopback(out->host);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_free(password);
    curl_free(fragment);
    curl_free(zone);
    return why;
}

/* What libcurl's parser would mend or pass on is refused, so that the log shows what is used. */
static const char *check_bytes(const char *url)
{
    size_t n = strlen(url);
    if (n == 0 || n > HTTP_MAX_URL)
        return "it must have 1 to 2048 bytes";
    for (size_t i = 0; i < n; i++)
        if (url[i] <= 0x20 || url[i] >= 0x7f)
            return "it has a byte that is not printable ASCII";
    if (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)
        return "it must begin with https:// or http://";
    return NULL;
}

int http_url_parse(const char *url, struct http_url *ret, const char **ret_why)
{
    struct http_url out = {.port = 0};
    const char *why = check_bytes(url);
    if (!why) {
        CURLU *parsed = curl_url();
        if (!parsed)
            why = "out of memory";
        else if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK)
            why = "it is not a URL of the form https://HOST[:PORT]/PATH";
        else
            why = read_parts(parsed, &out);
        curl_url_cleanup(parsed);
    }
    if (why) {
        if (ret_why)
            *ret_why = why;
        return BURROW_EINVAL;
    }
    *ret = out;
    return BURROW_OK;
}

struct burrow_field http_url_field(const char *url)
{
    return burrow_mem("url", url, strcspn(url, "?"));
}
