/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport in memory for tests of the core: two connections whose bytes go to each
 * other, or to the test, only when the test says so. It keeps the contract of transport.h
 * to the letter, so that what misbehaves is the core.
 */
#ifndef SUPPORT_MOCK_TRANSPORT_H
#define SUPPORT_MOCK_TRANSPORT_H

#include "tunnel/link.h"

struct mock_conn {
    struct burrow_link *link;
    struct mock_conn *peer;
    struct burrow_buf *queue; /* given to send and not yet released */
    size_t queued, watermark, head_sent;
    size_t room;    /* bytes that flush may still move; SIZE_MAX: all */
    uint8_t *inbox; /* bytes on the way to this end */
    size_t inbox_len, inbox_capacity;
    size_t message_left; /* of the message that is being received */
    bool messages;       /* each frame of the inbox is a message of its own */
    bool over_watermark, closing, closed, read_off;
    uint32_t close_code;
};

struct mock_transport {
    struct link_transport transport;
    struct mock_conn end[2];
    int next;
};

void mock_init(struct mock_transport *mock, struct loop *loop, const struct log *log);
/* The first call makes end[0], the second end[1]; both are connected at once. */
struct burrow_link *mock_link(struct mock_transport *mock, const struct link_events *events,
                              void *arg);
/* Hands at most max bytes of the inbox to the link, in pieces of at most `piece` bytes, as
 * one batch. Returns what it handed over. */
size_t mock_receive(struct mock_conn *conn, size_t max, size_t piece);
/* Hands one message to the link, past the inbox. */
void mock_message(struct mock_conn *conn, const void *p, size_t n);
/* Puts bytes into the inbox, as if the peer had sent them. */
void mock_inject(struct mock_conn *conn, const void *p, size_t n);
/* The connection is lost: closed follows now. */
void mock_lose(struct mock_conn *conn);
/* Moves queued bytes again after `room` grew. */
void mock_flush(struct mock_conn *conn);
/* Frees inboxes; both links must have closed. */
void mock_finish(struct mock_transport *mock);

#endif
