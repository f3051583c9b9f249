/* SPDX-License-Identifier: Apache-2.0 */
/* The server's URL and the address that may stand in for its host. */
#ifndef CLIENT_URL_H
#define CLIENT_URL_H

#include "base/error.h"

#include <stdbool.h>

struct server_url {
    char scheme[16];
    char host[256]; /* without brackets; "" where there is no address to dial */
    uint16_t port;
    char path[512]; /* with the query; "" for schemes without paths */
    bool encrypted; /* wss, tls; not known of another's scheme, so false */
};

/* "ws://HOST[:PORT][/PATH]", "wss://…", "tls://HOST:PORT". Without a path, "/ws". Another
 * scheme is a transport plugin's own: "x://HOST:PORT[/PATH]", or "x:///PATH" without host and
 * port. err quotes no password. */
int server_url_parse(const char *text, struct server_url *ret, struct error *err);

/* HOST or HOST:PORT; *ret_port is untouched when there is none. */
int connect_addr_parse(const char *text, char ret_host[256], uint16_t *ret_port, struct error *err);

#endif
