/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link is the core's side of one transport connection: it knows the plugin's ops and conn,
 * hands events to its owner of the moment, and flushes once per turn. It is the only thing
 * of a transport that sessions, server and client see.
 *
 * Life: link_accept or link_dial makes it; `closed` is its last event, after which the link
 * is freed at the end of the turn and must not be touched. An owner that loses interest
 * calls link_abandon: the link closes and no event follows.
 */
#ifndef TUNNEL_LINK_H
#define TUNNEL_LINK_H

#include "base/fault.h"
#include "base/log.h"
#include "loop/loop.h"

#include <burrow/transport.h>
#include <stdbool.h>

/* A transport instance as the core uses it; plugin/ gives ops and self. */
struct link_transport {
    const struct burrow_transport_ops *ops;
    void *self;
    struct loop *loop;
    const struct log *log;
    const char *name;
    struct plugin_faults *faults; /* may be NULL */
};

/* What an owner hears. Every entry may close or abandon the link; after `closed` the link
 * is gone. Unused entries may be NULL. */
struct link_events {
    void (*authenticate)(void *arg, const struct burrow_credential *);
    void (*open)(void *arg); /* accepted or connected */
    void (*data)(void *arg, const uint8_t *p, size_t n, bool message_end);
    void (*batch_end)(void *arg);
    void (*drained)(void *arg);
    void (*closed)(void *arg, const struct burrow_close_info *);
    void (*http_request)(void *arg, void *token, const struct burrow_http *);
    void (*http_cancel)(void *arg, void *token);
};

struct burrow_link;
struct control; /* wire/control.h */

/* The host table that every transport instance is bound to. */
extern const struct burrow_transport_host link_transport_host;

/* Takes fd in any case. NULL: refused or out of memory, and nothing follows. */
struct burrow_link *link_accept(const struct link_transport *, const struct burrow_accept *,
                                const struct link_events *, void *arg);
struct burrow_link *link_dial(const struct link_transport *, const struct burrow_dial *,
                              const struct link_events *, void *arg);

/* From now on events go to another owner (a handshake hands the link to its session). */
void link_set_owner(struct burrow_link *, const struct link_events *, void *arg);

void link_admit(struct burrow_link *, const struct burrow_verdict *);
/* Queues the chain; it is given back to the loop's pool after it was sent. On failure the
 * chain is given back, and `closed` follows. */
int link_send(struct burrow_link *, struct burrow_buf *chain);
/* A CONTROL frame with a header of this wire version (FRAME_V1 for registers), in a buffer of
 * its own. NULL: out of memory, or nothing that a decoder would take. */
struct burrow_buf *link_control_frame(const struct burrow_link *, uint8_t version,
                                      const struct control *);
int link_send_control(struct burrow_link *, uint8_t version, const struct control *);
int link_send_error(struct burrow_link *, uint8_t version, const char *code, const char *message);
/* The code to close a link to a client of wire version 1 with: it leaves for good on what a
 * WebSocket calls 1000 and 1001, and is told 1011 or 1012 only. */
uint32_t link_v1_close_code(uint32_t code);
size_t link_queued(const struct burrow_link *);
void link_set_watermark(struct burrow_link *, size_t bytes);
void link_read_enable(struct burrow_link *, bool on);
void link_close(struct burrow_link *, uint32_t code, const char *why);   /* closed follows */
void link_abandon(struct burrow_link *, uint32_t code, const char *why); /* no event follows */
void link_http_respond(struct burrow_link *, void *token, const struct burrow_http_response *);

struct pool *link_pool(const struct burrow_link *); /* its loop's buffers */
bool link_keeps_messages(const struct burrow_link *);
bool link_in_message(const struct burrow_link *); /* the last that came is not whole yet */
const struct burrow_addr *link_peer(const struct burrow_link *);
const char *link_transport_name(const struct burrow_link *);

#endif
