/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses between text, the kernel's form and ours; HOST:PORT taken apart. */
#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void from_in6(struct burrow_addr *ret, const uint8_t bytes[16], uint16_t port,
                     uint32_t scope)
{
    struct burrow_addr addr = {.port = port};
    if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        addr.family = 4;
        memcpy(addr.bytes, bytes + sizeof mapped_prefix, 4);
    } else {
        addr.family = 6;
        addr.scope = scope;
        memcpy(addr.bytes, bytes, 16);
    }
    *ret = addr;
}

const char *address_format(const struct burrow_addr *addr, char buf[ADDRESS_TEXT])
{
    char ip[INET6_ADDRSTRLEN];
    buf[0] = '\0';
    if (addr->family == 4 && inet_ntop(AF_INET, addr->bytes, ip, sizeof ip) != NULL)
        snprintf(buf, ADDRESS_TEXT, "%s:%u", ip, (unsigned)addr->port);
    else if (addr->family == 6 && inet_ntop(AF_INET6, addr->bytes, ip, sizeof ip) != NULL) {
        if (addr->scope != 0)
            snprintf(buf, ADDRESS_TEXT, "[%s%%%u]:%u", ip, (unsigned)addr->scope,
                     (unsigned)addr->port);
        else
            snprintf(buf, ADDRESS_TEXT, "[%s]:%u", ip, (unsigned)addr->port);
    }
    return buf;
}

void address_from_sockaddr(struct burrow_addr *ret, const struct sockaddr *sa)
{
    struct burrow_addr addr = {0};
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        addr.family = 4;
        addr.port = ntohs(in.sin_port);
        memcpy(addr.bytes, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        from_in6(&addr, in6.sin6_addr.s6_addr, ntohs(in6.sin6_port), in6.sin6_scope_id);
    }
    *ret = addr;
}

socklen_t address_to_sockaddr(const struct burrow_addr *addr, struct sockaddr_storage *ret)
{
    if (addr->family == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
        memcpy(&in.sin_addr, addr->bytes, 4);
        memset(ret, 0, sizeof *ret);
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    if (addr->family == 6) {
        struct sockaddr_in6 in6 = {
            .sin6_family = AF_INET6, .sin6_port = htons(addr->port), .sin6_scope_id = addr->scope};
        memcpy(&in6.sin6_addr, addr->bytes, 16);
        memset(ret, 0, sizeof *ret);
        memcpy(ret, &in6, sizeof in6);
        return sizeof in6;
    }
    return 0;
}

bool address_is_loopback(const struct burrow_addr *addr)
{
    static const uint8_t one[16] = {[15] = 1};
    if (addr->family == 4)
        return addr->bytes[0] == 127;
    return addr->family == 6 && memcmp(addr->bytes, one, sizeof one) == 0;
}

/* A number without sign, space or more than max_digits digits. */
static int parse_number(const char *text, size_t max_digits, uint64_t max, uint64_t *ret)
{
    size_t n = strlen(text);
    uint64_t value = 0;
    if (n == 0 || n > max_digits)
        return BURROW_EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return BURROW_EINVAL;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    if (value > max)
        return BURROW_EINVAL;
    *ret = value;
    return 0;
}

int address_parse_literal(const char *text, uint16_t port, struct burrow_addr *ret)
{
    struct in_addr in;
    if (inet_pton(AF_INET, text, &in) == 1) {
        struct burrow_addr addr = {.family = 4, .port = port};
        memcpy(addr.bytes, &in, 4);
        *ret = addr;
        return 0;
    }
    char ip[INET6_ADDRSTRLEN];
    size_t n = strcspn(text, "%");
    if (n >= sizeof ip)
        return BURROW_EINVAL;
    memcpy(ip, text, n);
    ip[n] = '\0';
    struct in6_addr in6;
    if (inet_pton(AF_INET6, ip, &in6) != 1)
        return BURROW_EINVAL;
    uint64_t scope = 0;
    if (text[n] == '%' && parse_number(text + n + 1, 10, UINT32_MAX, &scope) != 0) {
        scope = if_nametoindex(text + n + 1);
        if (scope == 0)
            return BURROW_EINVAL;
    }
    from_in6(ret, in6.s6_addr, port, (uint32_t)scope);
    return 0;
}

/* Names as resolvers and certificates take them (RFC 1123, 2.1, and the underscore that is
 * seen in the wild); a name of digits and dots only must be an IPv4 address. */
static bool is_host_name(const char *host)
{
    size_t n = strlen(host), label = 0;
    if (n == 0 || n > 254 || (n == 254 && host[n - 1] != '.'))
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = host[i];
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
        if (++label > 63)
            return false;
    }
    struct burrow_addr addr;
    return strspn(host, "0123456789.") != n || address_parse_literal(host, 0, &addr) == 0;
}

static const char *expected(unsigned flags)
{
    static const char *const forms[] = {
        "HOST:PORT or [IPV6]:PORT",
        "HOST:PORT, [IPV6]:PORT or :PORT",
        "HOST:PORT, [IPV6]:PORT or unix:/PATH",
        "HOST:PORT, [IPV6]:PORT, :PORT or unix:/PATH",
    };
    return forms[((flags & ENDPOINT_UNIX) != 0) * 2 + ((flags & ENDPOINT_NO_HOST) != 0)];
}

static int parse_unix(const char *text, unsigned flags, struct endpoint *ret, struct error *err)
{
    struct endpoint ep = {.is_unix = true};
    const char *path = text + strlen("unix:");
    if (!(flags & ENDPOINT_UNIX))
        return error_set(err, BURROW_EINVAL,
                         "\"%s\": a Unix socket cannot be used here, expected %s", text,
                         expected(flags));
    if (path[0] != '/')
        return error_set(err, BURROW_EINVAL, "\"%s\": expected an absolute path after \"unix:\"",
                         text);
    if (strlen(path) >= sizeof ep.path)
        return error_set(err, BURROW_EINVAL,
                         "\"%s\": the path of a Unix socket has at most %zu bytes", text,
                         sizeof ep.path - 1);
    memcpy(ep.path, path, strlen(path) + 1);
    *ret = ep;
    return 0;
}

/* Copies the host part of text, without brackets, and leaves *ret_port at what follows its
 * colon. */
static int parse_host(const char *text, unsigned flags, struct endpoint *ep, const char **ret_port,
                      struct error *err)
{
    struct burrow_addr addr;
    bool bracket = text[0] == '[';
    const char *host = text + bracket;
    const char *end = bracket ? strchr(text, ']') : strchr(text, ':');
    if (end == NULL || (bracket && end[1] != ':'))
        return error_set(err, BURROW_EINVAL, "\"%s\": no port, expected %s", text, expected(flags));
    if (!bracket && strchr(end + 1, ':') != NULL)
        return error_set(err, BURROW_EINVAL,
                         "\"%s\": an IPv6 address stands in brackets, expected %s", text,
                         expected(flags));
    size_t n = (size_t)(end - host);
    if (n >= sizeof ep->host)
        return error_set(err, BURROW_EINVAL, "\"%s\": a host has at most %zu bytes", text,
                         sizeof ep->host - 1);
    memcpy(ep->host, host, n);
    ep->host[n] = '\0';
    if (bracket &&
        (strchr(ep->host, ':') == NULL || address_parse_literal(ep->host, 0, &addr) != 0))
        return error_set(err, BURROW_EINVAL, "\"%s\": \"%s\" is not an IPv6 address", text,
                         ep->host);
    if (!bracket && n == 0 && !(flags & ENDPOINT_NO_HOST))
        return error_set(err, BURROW_EINVAL, "\"%s\": no host, expected %s", text, expected(flags));
    if (!bracket && n > 0 && !is_host_name(ep->host))
        return error_set(err, BURROW_EINVAL, "\"%s\": \"%s\" is not a host name or IPv4 address",
                         text, ep->host);
    *ret_port = end + 1 + bracket;
    return 0;
}

int endpoint_parse(const char *text, unsigned flags, struct endpoint *ret, struct error *err)
{
    struct endpoint ep = {0};
    const char *port_text = NULL;
    uint64_t port = 0;
    if (text[0] == '\0')
        return error_set(err, BURROW_EINVAL, "an empty address, expected %s", expected(flags));
    if (strncmp(text, "unix:", strlen("unix:")) == 0)
        return parse_unix(text, flags, ret, err);
    int r = parse_host(text, flags, &ep, &port_text, err);
    if (r != 0)
        return r;
    unsigned lowest = flags & ENDPOINT_ANY_PORT ? 0 : 1;
    if (parse_number(port_text, 5, UINT16_MAX, &port) != 0 || port < lowest)
        return error_set(err, BURROW_EINVAL, "\"%s\": \"%s\" is not a port, expected %u to 65535",
                         text, port_text, lowest);
    ep.port = (uint16_t)port;
    *ret = ep;
    return 0;
}
