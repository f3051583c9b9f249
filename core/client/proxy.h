/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the way to the server leads through an HTTP proxy, as HTTP_PROXY, HTTPS_PROXY and
 * NO_PROXY say, in upper or lower case. Their meaning is that of Go's net/http, which Burrow 0.5
 * has used. Pure but for proxy_settings_read and proxy_settings_wipe.
 */
#ifndef CLIENT_PROXY_H
#define CLIENT_PROXY_H

#include "client/url.h"

#define PROXY_MAX_CREDENTIALS 512u /* user, colon and password, decoded */
#define PROXY_AUTHORIZATION 700u   /* "Basic " and their base64 */

struct proxy_variable {
    const char *name; /* as it was found */
    char *value;      /* NULL: unset or empty; lies in the environment */
};

struct proxy_settings {
    struct proxy_variable http, https, no_proxy;
};

struct proxy {
    char host[256]; /* "": no proxy, a direct way */
    uint16_t port;
    char authorization[PROXY_AUTHORIZATION]; /* the header's value, "" for none */
    const char *variable;                    /* that named it */
};

/* From the process's environment; upper case beats lower case. */
void proxy_settings_read(struct proxy_settings *ret);
/* Overwrites user and password in the environment, which other processes may read. */
void proxy_settings_wipe(const struct proxy_settings *settings);

/*
 * ws:// goes by HTTP_PROXY, wss:// and tls:// by HTTPS_PROXY. connect_host and connect_port are
 * what is to be reached at the TCP level: the URL's, or --connect-addr. The way is direct when
 * that is this machine, or when NO_PROXY names it or the URL's host. err names the variable and
 * never its value, which may hold a password.
 */
int proxy_choose(const struct proxy_settings *settings, const struct server_url *url,
                 const char *connect_host, uint16_t connect_port, struct proxy *ret,
                 struct error *err);

/* Whether NO_PROXY's list names host:port. An entry is *, an address, a network in CIDR form, a
 * host (with all below it), or a host with a leading dot (only those below it); a port behind
 * it restricts it to that port. Entries are separated by commas or blanks. */
bool proxy_is_excepted(const char *list, const char *host, uint16_t port);

#endif
