/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY protocol, version 1 (section 2.1: a line of text) and 2 (section 2.2: binary). */
#include "client/proxy_header.h"

#include "base/checked.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_TCP4 0x11
#define V2_TCP6 0x21

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static size_t encode_v1(uint8_t *buf, const struct burrow_addr *source,
                        const struct burrow_addr *destination, bool known)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    const int family = source->family == 6 ? AF_INET6 : AF_INET;
    int n;
    if (known && inet_ntop(family, source->bytes, from, sizeof from) != NULL &&
        inet_ntop(family, destination->bytes, to, sizeof to) != NULL)
        n = snprintf((char *)buf, PROXY_HEADER_MAX, "PROXY TCP%u %s %s %u %u\r\n", source->family,
                     from, to, source->port, destination->port);
    else
        n = snprintf((char *)buf, PROXY_HEADER_MAX, "PROXY UNKNOWN\r\n");
    return (size_t)n;
}

static size_t encode_v2(uint8_t *buf, const struct burrow_addr *source,
                        const struct burrow_addr *destination, bool known)
{
    const size_t size = known ? (source->family == 6 ? 16 : 4) : 0;
    uint8_t *p = buf;
    memcpy(p, signature, sizeof signature);
    p += sizeof signature;
    *p++ = known ? V2_PROXY : V2_LOCAL;
    *p++ = !known ? 0 : source->family == 6 ? V2_TCP6 : V2_TCP4;
    put_u16(p, (uint16_t)(known ? 2 * size + 4 : 0));
    p += 2;
    if (known) {
        memcpy(p, source->bytes, size);
        memcpy(p + size, destination->bytes, size);
        put_u16(p + 2 * size, source->port);
        put_u16(p + 2 * size + 2, destination->port);
        p += 2 * size + 4;
    }
    return (size_t)(p - buf);
}

size_t proxy_header_encode(uint8_t buf[PROXY_HEADER_MAX], enum proxy_protocol version,
                           const struct burrow_addr *source, const struct burrow_addr *destination)
{
    const bool known =
        source->family == destination->family && (source->family == 4 || source->family == 6);
    if (version == PROXY_V1)
        return encode_v1(buf, source, destination, known);
    return version == PROXY_V2 ? encode_v2(buf, source, destination, known) : 0;
}
