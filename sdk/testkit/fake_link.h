/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a transport's links, for tests: it records every event, holds the plugin to
 * the sentences of transport.h (closed last, never inside an op; each batch ended; buffers given
 * back unchanged, all before closed), and flushes once per turn.
 */
#ifndef BURROW_TESTKIT_FAKE_LINK_H
#define BURROW_TESTKIT_FAKE_LINK_H

#include "fake_host.h"

#include <burrow/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One plugin instance with its links; its host's end_of_turn flushes them. */
struct fake_transport {
    struct fake_host *host;
    const struct burrow_plugin *plugin;
    const struct burrow_transport_ops *ops;
    void *self;
    struct burrow_link *links;
    struct fake_transport *next; /* on the same host */
};

struct burrow_link {
    struct fake_transport *transport;
    struct burrow_link *next;
    void *conn;
    bool in_op;
    unsigned accepted, connected, authenticated, batches, drained, closed;
    bool open_batch;
    bool sent_since_flush;
    size_t out; /* buffers that are the transport's */
    uint32_t code, http_status;
    char reason[256];
    uint8_t *got; /* all bytes received */
    size_t got_len, got_capacity, messages;
    uint64_t total; /* bytes received, also when they are not kept */
    bool forget;    /* count only */
    /* What the test does inside events; may be NULL. */
    void (*on_open)(struct burrow_link *link);
    void (*on_data)(struct burrow_link *link, const uint8_t *p, size_t n);
    void (*on_drained)(struct burrow_link *link);
    void *arg;

    /* Transports that judge a credential before they open, or carry HTTP. */
    uint32_t role; /* BURROW_ROLE_* of an accepted link; 0: MAIN */
    uint32_t auth_code;
    unsigned http_requests, http_cancelled;
    void (*on_authenticate)(struct burrow_link *link, const struct burrow_credential *credential);
    void (*on_http)(struct burrow_link *link, void *token, const struct burrow_http *http);
};

extern const struct burrow_transport_host fake_link_host;

/* Creates an instance on the host with this config, binds and starts it. */
void fake_transport_init(struct fake_transport *transport, struct fake_host *host,
                         const struct burrow_plugin *plugin, const void *config);
/* Or binds an instance that exists, and in the end lets go of it: no links may be left. */
void fake_transport_adopt(struct fake_transport *transport, struct fake_host *host,
                          const struct burrow_plugin *plugin, void *self);
void fake_transport_forget(struct fake_transport *transport);
/* Stops and destroys it; fails the test when links are left. */
void fake_transport_finish(struct fake_transport *transport);

/* 0 or the op's error; on error the link may be finished at once. */
int fake_link_accept(struct burrow_link *link, struct fake_transport *transport, int fd);
/* As the host does, it connects to dial->addr first, where somebody must listen, and sets fd;
 * family 0: fd is -1. */
int fake_link_dial(struct burrow_link *link, struct fake_transport *transport,
                   const struct burrow_dial *dial);
/* One buffer with a copy of n bytes. */
int fake_link_send(struct burrow_link *link, const void *p, size_t n);
/* A chain of buffers with the lengths given, filled from p. */
int fake_link_send_chain(struct burrow_link *link, const uint8_t *p, const size_t *lengths,
                         size_t count);
void fake_link_admit(struct burrow_link *link, const struct burrow_verdict *verdict);
void fake_link_respond(struct burrow_link *link, void *token,
                       const struct burrow_http_response *response);
void fake_link_close(struct burrow_link *link, uint32_t code, const char *why);
void fake_link_read_enable(struct burrow_link *link, bool on);
size_t fake_link_queued(struct burrow_link *link);
/* Forgets the link, which has closed (or never began), and what it received. */
void fake_link_finish(struct burrow_link *link);

bool fake_link_is_open(void *link);
bool fake_link_is_closed(void *link);

#ifdef __cplusplus
}
#endif
#endif
