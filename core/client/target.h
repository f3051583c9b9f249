/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local targets: what the client's user named, and the only things a stream is joined to.
 *
 *   [NAME=]ADDRESS[,port=PORT][,proxy-protocol=v1|v2]
 *   ,target=ADDRESS[,name=NAME][,…]      (what a map in the config file becomes)
 *
 * ADDRESS is HOST:PORT, [IPV6]:PORT or unix:PATH; a comma inside is written "\,".
 */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include "base/address.h"
#include "client/proxy_header.h"

struct target {
    uint16_t id;     /* of the service on the wire */
    uint16_t port;   /* the bridge port that is asked for; 0: any */
    char name[64];   /* of a-z, 0-9 and hyphens; "": none */
    char text[256];  /* the address as given */
    char bridge[64]; /* where the server listens for it, as it said last */
    bool is_refused; /* the server said so last */
    enum proxy_protocol proxy;
    struct endpoint endpoint;
};

/* Fills all but what the server says of it and its id. */
int target_parse(const char *text, struct target *ret, struct error *err);

/* All targets of a client: 1 to 64, no name and no wanted port twice. *ret is malloc'ed, of
 * list->count. err has the form "--local-target (BURROW_LOCAL_TARGET): …". */
int targets_parse(const struct burrow_list *list, struct target **ret, struct error *err);

#endif
