/* SPDX-License-Identifier: Apache-2.0 */
/* Proxy variables and NO_PROXY's rules. */
#include "client/proxy.h"

#include "base/address.h"
#include "base/percent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the environment ---- */

static void read_variable(const char *upper, const char *lower, struct proxy_variable *ret)
{
    ret->name = upper;
    ret->value = getenv(upper);
    if (ret->value == NULL || ret->value[0] == '\0') {
        ret->name = lower;
        ret->value = getenv(lower);
    }
    if (ret->value != NULL && ret->value[0] == '\0')
        ret->value = NULL;
}

void proxy_settings_read(struct proxy_settings *ret)
{
    read_variable("HTTP_PROXY", "http_proxy", &ret->http);
    read_variable("HTTPS_PROXY", "https_proxy", &ret->https);
    read_variable("NO_PROXY", "no_proxy", &ret->no_proxy);
}

/* Where user and password lie: from begin up to and without end, which is the @. */
static bool find_userinfo(char *value, char **ret_begin, char **ret_end)
{
    char *scheme = strstr(value, "://"), *begin = scheme != NULL ? scheme + 3 : value;
    char *end = begin + strcspn(begin, "/?#"), *at = NULL;
    for (char *p = begin; p < end; p++)
        if (*p == '@')
            at = p;
    if (at == NULL)
        return false;
    *ret_begin = begin;
    *ret_end = at;
    return true;
}

void proxy_settings_wipe(const struct proxy_settings *settings)
{
    char *const values[] = {settings->http.value, settings->https.value};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *begin, *end;
        if (values[i] != NULL && find_userinfo(values[i], &begin, &end))
            memset(begin, '*', (size_t)(end - begin));
    }
}

/* ---- NO_PROXY ---- */

static bool in_network(const char *entry, size_t slash, const struct burrow_addr *host)
{
    char text[64];
    struct burrow_addr network;
    if (slash >= sizeof text)
        return false;
    memcpy(text, entry, slash);
    text[slash] = '\0';
    char *end;
    unsigned long bits = strtoul(entry + slash + 1, &end, 10);
    if (entry[slash + 1] < '0' || entry[slash + 1] > '9' || *end != '\0' ||
        address_parse_literal(text, 0, &network) != BURROW_OK || network.family != host->family ||
        bits > (network.family == 4 ? 32 : 128))
        return false;
    size_t whole = bits / 8;
    unsigned rest = bits % 8, mask = rest == 0 ? 0 : 0xffu << (8 - rest) & 0xffu;
    return memcmp(network.bytes, host->bytes, whole) == 0 &&
           (mask == 0 || ((network.bytes[whole] ^ host->bytes[whole]) & mask) == 0);
}

static bool same_address(const struct burrow_addr *a, const struct burrow_addr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, a->family == 4 ? 4 : 16) == 0;
}

/* Splits "host:80", "[::1]:80" and "::1" (no port); false when the port is not `port`. */
static bool split_port(char *entry, uint16_t port, char **ret_host)
{
    char *colon = strrchr(entry, ':'), *bracket = strrchr(entry, ']');
    *ret_host = entry;
    if (entry[0] == '[' && bracket != NULL) {
        *ret_host = entry + 1;
        *bracket = '\0';
        colon = bracket[1] == ':' ? bracket + 1 : NULL;
    } else if (colon != strchr(entry, ':')) {
        colon = NULL; /* IPv6 */
    }
    if (colon == NULL)
        return true;
    *colon = '\0';
    char wanted[8];
    snprintf(wanted, sizeof wanted, "%u", (unsigned)port);
    return strcmp(colon + 1, wanted) == 0;
}

static bool matches_name(const char *entry, const char *host)
{
    if (entry[0] == '*' && entry[1] == '.')
        entry++;
    size_t have = strlen(host), want = strlen(entry);
    while (want > 0 && entry[want - 1] == '.')
        want--; /* a name that is fully qualified */
    while (have > 0 && host[have - 1] == '.')
        have--;
    if (want == 0 || have < want || strncasecmp(host + have - want, entry, want) != 0)
        return false;
    return entry[0] == '.' ? have > want : have == want || host[have - want - 1] == '.';
}

static bool entry_matches(char *entry, const char *host, uint16_t port,
                          const struct burrow_addr *literal)
{
    if (strcmp(entry, "*") == 0)
        return true;
    char *slash = strchr(entry, '/'), *name;
    if (slash != NULL)
        return literal != NULL && in_network(entry, (size_t)(slash - entry), literal);
    if (!split_port(entry, port, &name))
        return false;
    struct burrow_addr addr;
    if (address_parse_literal(name, 0, &addr) == BURROW_OK)
        return literal != NULL && same_address(&addr, literal);
    return matches_name(name, host);
}

bool proxy_is_excepted(const char *list, const char *host, uint16_t port)
{
    struct burrow_addr addr;
    bool is_literal = address_parse_literal(host, 0, &addr) == BURROW_OK;
    while (list != NULL && *list != '\0') {
        char entry[300];
        size_t len = strcspn(list, ", \t");
        if (len > 0 && len < sizeof entry) {
            memcpy(entry, list, len);
            entry[len] = '\0';
            if (entry_matches(entry, host, port, is_literal ? &addr : NULL))
                return true;
        }
        list += len + (list[len] != '\0');
    }
    return false;
}

static bool is_this_machine(const char *host)
{
    struct burrow_addr addr;
    if (address_parse_literal(host, 0, &addr) == BURROW_OK)
        return address_is_loopback(&addr);
    return strcasecmp(host, "localhost") == 0;
}

/* ---- the proxy's URL ---- */

#define EXPECTED "expected http://[USER:PASSWORD@]HOST[:PORT]"

static void base64(const char *p, size_t n, char *ret)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)p;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < n ? (uint32_t)bytes[i + 2] : 0;
        *ret++ = alphabet[group >> 18];
        *ret++ = alphabet[group >> 12 & 63];
        *ret++ = i + 1 < n ? alphabet[group >> 6 & 63] : '=';
        *ret++ = i + 2 < n ? alphabet[group & 63] : '=';
    }
    *ret = '\0';
}

/* "Basic …" (RFC 7617); a user without a password has an empty one. */
static int make_authorization(const char *begin, const char *end, struct proxy *proxy)
{
    char plain[PROXY_MAX_CREDENTIALS + 1];
    ssize_t decoded =
        percent_decode(begin, (size_t)(end - begin), false, plain, PROXY_MAX_CREDENTIALS);
    size_t n = decoded > 0 ? (size_t)decoded : 0;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)plain[i] < ' ' || plain[i] == 0x7f)
            n = 0; /* RFC 7617 forbids control characters */
    if (n == 0) {
        explicit_bzero(plain, sizeof plain);
        return BURROW_EINVAL;
    }
    if (memchr(begin, ':', (size_t)(end - begin)) == NULL)
        plain[n++] = ':';
    _Static_assert(sizeof "Basic " + (PROXY_MAX_CREDENTIALS + 3) / 3 * 4 <= PROXY_AUTHORIZATION,
                   "the header's value has room");
    memcpy(proxy->authorization, "Basic ", sizeof "Basic ");
    base64(plain, n, proxy->authorization + strlen("Basic "));
    explicit_bzero(plain, sizeof plain);
    return BURROW_OK;
}

static int parse(const struct proxy_variable *variable, struct proxy *ret, struct error *err)
{
    struct proxy proxy = {.variable = variable->name};
    char *begin, *end, *rest = variable->value, *scheme = strstr(rest, "://");
    if (scheme != NULL) {
        if ((size_t)(scheme - rest) != strlen("http") || strncasecmp(rest, "http", 4) != 0)
            return error_set(err, BURROW_EINVAL, "%s: only http:// proxies can be used; " EXPECTED,
                             variable->name);
        rest = scheme + 3;
    }
    if (find_userinfo(variable->value, &begin, &end)) {
        if (make_authorization(begin, end, &proxy) != BURROW_OK)
            return error_set(err, BURROW_EINVAL,
                             "%s: user and password are empty, longer than %u bytes or not valid; "
                             "write special characters as %%NN",
                             variable->name, PROXY_MAX_CREDENTIALS);
        rest = end + 1;
    }
    char authority[300];
    size_t len = strcspn(rest, "/");
    if (len > 0 && len < sizeof authority && (rest[len] == '\0' || rest[len + 1] == '\0')) {
        memcpy(authority, rest, len);
        authority[len] = '\0';
        proxy.port = 80;
        if (connect_addr_parse(authority, proxy.host, &proxy.port, NULL) == BURROW_OK) {
            *ret = proxy;
            return BURROW_OK;
        }
    }
    return error_set(err, BURROW_EINVAL, "%s: not the URL of a proxy; " EXPECTED, variable->name);
}

int proxy_choose(const struct proxy_settings *settings, const struct server_url *url,
                 const char *connect_host, uint16_t connect_port, struct proxy *ret,
                 struct error *err)
{
    const struct proxy_variable *variable = url->encrypted ? &settings->https : &settings->http;
    const char *except = settings->no_proxy.value;
    if (variable->value == NULL || connect_host[0] == '\0' || is_this_machine(connect_host) ||
        proxy_is_excepted(except, connect_host, connect_port) ||
        proxy_is_excepted(except, url->host, url->port)) {
        *ret = (struct proxy){0};
        return BURROW_OK;
    }
    return parse(variable, ret, err);
}
