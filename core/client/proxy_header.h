/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of the PROXY protocol, by which a target learns who really connected. Versions 1
 * and 2 as HAProxy's document "The PROXY protocol" has them. Pure.
 */
#ifndef CLIENT_PROXY_HEADER_H
#define CLIENT_PROXY_HEADER_H

#include <burrow/plugin.h>

enum proxy_protocol { PROXY_NONE, PROXY_V1, PROXY_V2 };

#define PROXY_HEADER_MAX 108 /* the longest line of version 1 is 107 bytes and a NUL */

/* Writes the header for a connection between these addresses and returns its length, 0 for
 * PROXY_NONE. Addresses that are not told, or of two families, give UNKNOWN (version 1) or
 * LOCAL (version 2), after which a target takes what it sees itself. */
size_t proxy_header_encode(uint8_t buf[PROXY_HEADER_MAX], enum proxy_protocol version,
                           const struct burrow_addr *source, const struct burrow_addr *destination);

#endif
