/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A relay joins a stream and a connected local socket: gathered reads when the session
 * pulls, gathered writes per batch, half-close both ways, and a RST for a RST.
 */
#ifndef TUNNEL_RELAY_H
#define TUNNEL_RELAY_H

#include "tunnel/session.h"

struct relay;

/* The end of a stream of which only the socket is known so far. Takes fd (non-blocking,
 * connected) in any case; NULL: out of memory, fd is closed with a RST. */
struct relay *relay_create(struct loop *loop, int fd);
extern const struct stream_ops relay_stream_ops; /* end: the relay */
/* Writes n bytes to the socket ahead of all that the stream brings; they count for nobody.
 * Only once and before relay_attach. BURROW_ENOMEM: what the socket did not take at once
 * could not be kept. That the socket is broken is seen later. */
int relay_write_first(struct relay *relay, const void *p, size_t n);
/* Ties the relay to its stream; reading begins. It frees itself when both have ended. */
void relay_attach(struct relay *relay, struct stream *stream);
/* Closes the socket with a RST; only before relay_attach. */
void relay_destroy(struct relay *relay);

#endif
