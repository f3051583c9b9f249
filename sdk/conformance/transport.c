/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of transport plugins. The plugin is both ends: it dials the kit's listener and
 * accepts what comes there. fake_link.c watches each event; here is what is done with links.
 */
#include "conformance.h"

#include "wire_pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BULK (4u << 20)

static void bind_host(struct life *life)
{
    fake_transport_adopt(&life->transport, &life->host, life->d, life->self);
}

static void work(struct life *life)
{
    struct pair p;
    pair_dial(&p, life, life);
    if (pair_wait_open(&p)) {
        pair_send_text(&p.client, "hello from the client");
        pair_send_text(&p.server, "hello from the server");
        pair_wait_bytes(&p, 21, 21);
    }
    pair_close(&p, BURROW_CLOSE_NORMAL);
    pair_finish(&p);
}

static struct pair pending;

static void begin(struct life *life)
{
    pair_dial(&pending, life, life);
    pair_wait_open(&pending);
    pair_send_text(&pending.client, "still under way");
}

static void end(struct life *life)
{
    (void)life;
    pair_close(&pending, BURROW_CLOSE_GOING_AWAY);
    pair_finish(&pending);
}

/* A pair that must open, on two instances. */
static void open_pair(struct pair *p, struct life *client, struct life *server, struct subject *s)
{
    life_begin(client, s);
    life_begin(server, s);
    pair_dial(p, client, server);
    if (!pair_wait_open(p))
        fake_host_fail("broken: dial and accept lead to connected and accepted (%s; %s)",
                       p->client.closed ? p->client.reason : "the client still waits",
                       p->server.closed ? p->server.reason : "the server still waits");
}

static void finish_pair(struct pair *p, struct life *client, struct life *server)
{
    pair_close(p, BURROW_CLOSE_NORMAL);
    pair_finish(p);
    life_stop(client);
    life_stop(server);
    life_destroy(client);
    life_destroy(server);
}

static void opens(struct subject *s)
{
    struct life a, b;
    struct pair p;
    open_pair(&p, &a, &b, s);
    pair_idle(&p, 2000);
    fake_must(p.client.connected == 1 && p.server.accepted == 1,
              "accepted and connected come once");
    fake_must(p.client.accepted == 0 && p.server.connected == 0,
              "accepted is for incoming links, connected for outgoing ones");
    finish_pair(&p, &a, &b);
}

static void carries_bytes(struct subject *s)
{
    static const size_t lengths[] = {1, 125, 126, 127, 65535, 65536, 3, 0x10000 + 14, 5};
    struct life a, b;
    struct pair p;
    open_pair(&p, &a, &b, s);
    size_t total = 0, n = sizeof lengths / sizeof *lengths;
    for (size_t i = 0; i < n; i++)
        total += lengths[i];
    uint8_t *bytes = malloc(total);
    for (size_t i = 0; i < total; i++)
        bytes[i] = (uint8_t)(i * 131 + (i >> 8));
    fake_must(fake_link_send_chain(&p.client, bytes, lengths, n) == BURROW_OK, "send succeeds");
    fake_must(fake_link_send_chain(&p.server, bytes, lengths, n) == BURROW_OK, "send succeeds");
    if (!pair_wait_bytes(&p, total, total))
        fake_host_fail("broken: what is sent arrives (%zu and %zu of %zu bytes did)",
                       p.client.got_len, p.server.got_len, total);
    fake_must(memcmp(p.client.got, bytes, total) == 0 && memcmp(p.server.got, bytes, total) == 0,
              "bytes arrive unchanged and in order");
    const struct burrow_transport_ops *ops = s->d->ops;
    if (ops->flags & BURROW_TRANSPORT_MESSAGES)
        fake_must(p.client.messages == n && p.server.messages == n,
                  "with BURROW_TRANSPORT_MESSAGES each buffer is one message");
    else
        fake_must(p.client.messages == 0 && p.server.messages == 0,
                  "message_end is 0 without BURROW_TRANSPORT_MESSAGES");
    pair_idle(&p, 100);
    fake_must(p.client.out == 0 && p.server.out == 0 && fake_link_queued(&p.client) == 0,
              "a buffer that is sent is released, and queued tells so");
    free(bytes);
    finish_pair(&p, &a, &b);
}

static bool has_drained(void *arg)
{
    return ((struct burrow_link *)arg)->drained > 0;
}

static void drained_once(struct subject *s)
{
    struct life a, b;
    struct pair p;
    open_pair(&p, &a, &b, s);
    uint8_t *bytes = calloc(1, BULK);
    const size_t length = 65536;
    a.transport.ops->set_watermark(p.client.conn, 128 * 1024);
    fake_link_read_enable(&p.server, false);
    p.server.forget = true;
    for (size_t sent = 0; sent < BULK; sent += length)
        fake_must(fake_link_send(&p.client, bytes, length) == BURROW_OK,
                  "send takes the whole chain also beyond the watermark");
    pair_idle(&p, 300);
    fake_must(p.server.total == 0 || p.server.total < BULK, "read_enable 0 stops the reading");
    size_t before = p.server.total;
    pair_idle(&p, 300);
    fake_must(p.server.total == before, "no data comes while reading is off");
    fake_must(p.client.drained == 0, "drained does not come while the queue is full");
    fake_must(fake_link_queued(&p.client) >= 128 * 1024, "queued tells what is not yet written");
    fake_link_read_enable(&p.server, true);
    if (!life_wait(&a, &b, has_drained, &p.client))
        fake_host_fail("broken: drained tells when a queue that was full has room again");
    pair_wait_bytes(&p, 0, BULK);
    pair_idle(&p, 300);
    fake_must(p.server.total == BULK, "all that was sent arrives");
    fake_must(p.client.drained == 1, "drained comes once per crossing of the watermark");
    free(bytes);
    finish_pair(&p, &a, &b);
}

static void close_in_data(struct burrow_link *link, const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    if (link->arg != NULL)
        return;
    link->arg = link;
    fake_link_close(link, BURROW_CLOSE_NORMAL, "seen enough");
}

static void send_and_close_in_data(struct burrow_link *link, const uint8_t *p, size_t n)
{
    (void)p, (void)n;
    if (link->arg != NULL)
        return;
    link->arg = link;
    fake_link_send(link, "bye", 3);
    fake_link_close(link, BURROW_CLOSE_ABORT, "seen enough");
}

static void closes_inside_data(struct subject *s)
{
    void (*const ways[])(struct burrow_link *, const uint8_t *, size_t) = {close_in_data,
                                                                           send_and_close_in_data};
    for (size_t i = 0; i < 2; i++) {
        struct life a, b;
        struct pair p;
        open_pair(&p, &a, &b, s);
        p.server.on_data = ways[i];
        for (int n = 0; n < 5; n++)
            pair_send_text(&p.client, "more than once");
        if (!pair_wait_closed(&p))
            fake_host_fail(
                "broken: `closed` follows a close inside data (way %zu: client %u, server %u)", i,
                p.client.closed, p.server.closed);
        pair_idle(&p, 5000);
        finish_pair(&p, &a, &b);
    }
}

static void closed_last(struct subject *s)
{
    static const uint32_t codes[] = {
        BURROW_CLOSE_NORMAL,   BURROW_CLOSE_GOING_AWAY, BURROW_CLOSE_PROTOCOL, BURROW_CLOSE_POLICY,
        BURROW_CLOSE_INTERNAL, BURROW_CLOSE_TOO_BIG,    BURROW_CLOSE_ABORT};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct life a, b;
        struct pair p;
        open_pair(&p, &a, &b, s);
        for (int n = 0; n < 20; n++) {
            pair_send_text(&p.client, "on its way");
            pair_send_text(&p.server, "on its way");
        }
        fake_link_close(&p.client, codes[i], "the check says so");
        fake_link_close(&p.client, codes[i], "and again");
        if (!pair_wait_closed(&p))
            fake_host_fail("broken: `closed` follows close, at both ends (code %u)", codes[i]);
        pair_idle(&p, 5000); /* fake_link refuses any event after it */
        finish_pair(&p, &a, &b);
    }
}

/* The kit takes part itself: the accepted socket is one that a stranger writes to. */
static void strangers(struct subject *s)
{
    static const char *const says[] = {
        "", "x", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    struct life life;
    life_begin(&life, s);
    for (size_t i = 0; i < 2 * (sizeof says / sizeof *says); i++) {
        struct burrow_link link;
        int fds[2];
        pair_sockets(&life, fds);
        memset(&link, 0, sizeof link);
        const char *text = says[i / 2];
        if (send(fds[1], text, strlen(text), MSG_NOSIGNAL) < 0)
            fake_host_fail("the kit could not write: %s", strerror(errno));
        if (i % 2)
            shutdown(fds[1], SHUT_WR);
        if (fake_link_accept(&link, &life.transport, fds[0]) == BURROW_OK) {
            life_idle(&life, 1000);
            close(fds[1]);
            if (!link.closed)
                fake_link_close(&link, BURROW_CLOSE_PROTOCOL, "a stranger");
            if (!life_wait(&life, NULL, fake_link_is_closed, &link))
                fake_host_fail("broken: a link that is closed ends in `closed` (stranger %zu)", i);
        } else {
            close(fds[1]);
        }
        fake_link_finish(&link);
    }
    life_stop(&life);
    life_destroy(&life);
}

static void peer_is_lost(struct subject *s)
{
    struct life a, b;
    struct pair p;
    open_pair(&p, &a, &b, s);
    pair_send_text(&p.client, "nobody will read this");
    pair_cut(&p);
    if (!pair_wait_closed(&p))
        fake_host_fail("broken: a lost peer ends in `closed`");
    fake_must(p.server.code == BURROW_CLOSE_LOST || p.server.code == BURROW_CLOSE_PEER ||
                  p.server.code == BURROW_CLOSE_TLS || p.server.code == BURROW_CLOSE_PROTOCOL,
              "closed of a lost peer says LOST or PEER");
    finish_pair(&p, &a, &b);
}

static void unreachable(struct subject *s)
{
    struct life life;
    struct burrow_link link;
    if (!s->is_unix)
        skip("the host hands a connected socket over");
    life_begin(&life, s);
    memset(&link, 0, sizeof link);
    if (pair_dial_nobody(&life, &link) == BURROW_OK) {
        if (!life_wait(&life, NULL, fake_link_is_closed, &link))
            fake_host_fail("broken: a dial that fails ends in `closed`, within timeout_ms");
        fake_must(link.code == BURROW_CLOSE_UNREACHABLE,
                  "closed of a dial without connection says UNREACHABLE");
        fake_must(link.connected == 0, "what did not connect is not connected");
    }
    fake_link_finish(&link);
    life_stop(&life);
    life_destroy(&life);
}

static const struct check checks[] = {
    {"opens", "accept and dial lead to accepted and connected, once, on a later turn", opens},
    {"carries-bytes", "bytes arrive unchanged and in order; a buffer is released once, unchanged",
     carries_bytes},
    {"drained-once", "drained tells, once, when a queue that was full has room again",
     drained_once},
    {"close-inside-data", "the host may call send and close inside data", closes_inside_data},
    {"closed-last", "`closed` is always the last event of a link; all is released before it",
     closed_last},
    {"strangers", "whatever a peer sends, its link ends in `closed`", strangers},
    {"peer-is-lost", "a link whose peer is gone ends in `closed`, with LOST or PEER", peer_is_lost},
    {"unreachable", "a dial without connection ends in `closed` with UNREACHABLE", unreachable},
    {NULL, NULL, NULL},
};

const struct kind kind_transport = {BURROW_KIND_TRANSPORT, bind_host, work, begin, end, checks};
