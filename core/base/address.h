/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: from and to text and the kernel's form, and the listeners' and targets'
 * HOST:PORT syntax ("127.0.0.1:80", "[::1]:80", ":8080", "unix:/run/x.sock").
 */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/error.h"

#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_TEXT 72 /* "[ffff:…:255.255.255.255%4294967295]:65535" fits */

/* "1.2.3.4:80", "[::1]:80", "" for family 0. Returns buf. */
const char *address_format(const struct burrow_addr *addr, char buf[ADDRESS_TEXT]);
/* IPv4-mapped IPv6 addresses become IPv4. Unix sockets give family 0. */
void address_from_sockaddr(struct burrow_addr *ret, const struct sockaddr *sa);
/* Returns the length of the sockaddr, 0 for family 0. */
socklen_t address_to_sockaddr(const struct burrow_addr *addr, struct sockaddr_storage *ret);
bool address_is_loopback(const struct burrow_addr *addr);
/* A literal IPv4 or IPv6 address without brackets or port; 0 or BURROW_EINVAL. */
int address_parse_literal(const char *text, uint16_t port, struct burrow_addr *ret);

/* HOST:PORT taken apart. */
struct endpoint {
    bool is_unix;
    uint16_t port;
    char host[256]; /* "" when only a port was given; no brackets */
    char path[108]; /* of a Unix socket */
};

#define ENDPOINT_ANY_PORT 1u /* port 0 is allowed (listeners) */
#define ENDPOINT_NO_HOST 2u  /* ":80" is allowed (listeners) */
#define ENDPOINT_UNIX 4u     /* "unix:/path" is allowed (targets) */

/* On failure err says what is wrong with which text and what was expected. */
int endpoint_parse(const char *text, unsigned flags, struct endpoint *ret, struct error *err);

#endif
