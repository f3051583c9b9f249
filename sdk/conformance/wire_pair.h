/* SPDX-License-Identifier: Apache-2.0 */
/* Two links of the plugin that is tried, one dialled and one accepted, joined by a real socket. */
#ifndef CONFORMANCE_WIRE_PAIR_H
#define CONFORMANCE_WIRE_PAIR_H

#include "conformance.h"

struct pair {
    struct life *client_life, *server_life; /* may be the same */
    struct burrow_link client, server;
    bool dialled, accepted;
    int listener, server_fd; /* server_fd: the transport's, only to cut the connection */
    char path[108];          /* of a Unix socket, or "" */
};

/* Begins both; what cannot (for want of memory) counts as closed. */
void pair_dial(struct pair *p, struct life *client, struct life *server);
/* Both are open; false when one has closed, or neither has come to anything in time. */
bool pair_wait_open(struct pair *p);
void pair_send_text(struct burrow_link *link, const char *text);
/* The client has received `client` bytes and the server `server`, or one has closed. */
bool pair_wait_bytes(struct pair *p, size_t client, size_t server);
bool pair_wait_closed(struct pair *p);
void pair_idle(struct pair *p, uint64_t ms);
/* Closes what is open at both ends. */
void pair_close(struct pair *p, uint32_t code);
/* Shuts the socket down under both. */
void pair_cut(struct pair *p);
/* Waits for closed and forgets the links. */
void pair_finish(struct pair *p);

/* A connected pair of the kind of socket that the transport takes: [0] to accept, [1] ours. */
void pair_sockets(struct life *life, int fds[2]);
/* Dials where nobody listens. */
int pair_dial_nobody(struct life *life, struct burrow_link *link);

#endif
