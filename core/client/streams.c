/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins a stream that the server opened to the target of its service. The server names a
 * service, never an address; a service that this client does not offer is refused. While the
 * target is being dialled the session keeps what comes for it.
 */
#include "client/internal.h"

#include "base/object.h"
#include "client/dial_target.h"
#include "tunnel/relay.h"

#include <stdlib.h>

#define JOINING_MAGIC 0x4a4f494eu

struct joining {
    uint32_t magic;
    struct client *client;
    struct stream *stream;
    struct target target; /* as it was when the stream was opened */
    struct frame_open open;
    struct dial *dial;
    LIST_ENTRY(joining) entry;
};

static void joining_free(struct joining *j)
{
    LIST_REMOVE(j, entry);
    j->magic = 0;
    free(j);
}

/* The server reset the stream, or the session ended, before the target answered. */
static void on_ended(void *end, uint32_t code, const char *text)
{
    struct joining *j = end;
    (void)code, (void)text;
    must_be(j, JOINING_MAGIC);
    dial_cancel(j->dial);
    joining_free(j);
}

/* Neither is called before stream_accept. */
static ssize_t on_read(void *end, size_t max, struct burrow_buf **ret_chain, bool *ret_more)
{
    (void)end, (void)max, (void)ret_chain, (void)ret_more;
    return BURROW_EAGAIN;
}

static void on_deliver(void *end, const struct iovec *iov, int iovcnt, bool fin)
{
    (void)end, (void)iov, (void)iovcnt, (void)fin;
}

static const struct stream_ops joining_ops = {
    .read = on_read, .deliver = on_deliver, .ended = on_ended};

/* The relay of a connection that was made, which has been told who is behind it. NULL: out of
 * memory, and fd is closed. */
static struct relay *join(const struct joining *j, int fd)
{
    uint8_t header[PROXY_HEADER_MAX];
    size_t n = proxy_header_encode(header, j->target.proxy, &j->open.source, &j->open.destination);
    struct relay *relay = relay_create(j->client->loop, fd);
    if (relay != NULL && n > 0 && relay_write_first(relay, header, n) != BURROW_OK) {
        relay_destroy(relay);
        return NULL;
    }
    return relay;
}

static void on_dialled(void *arg, int fd, uint32_t reset_code, const char *text)
{
    struct joining *j = arg;
    must_be(j, JOINING_MAGIC);
    struct client *c = j->client;
    struct stream *stream = j->stream;
    uint32_t dropped;
    if (fd < 0 && log_sample(&c->target_sample, loop_now_ms(c->loop), &dropped))
        log_at(c->log, BURROW_LOG_WARN, "target_failed", burrow_str("service", j->target.name),
               burrow_str("target", j->target.text), burrow_str("reason", text),
               burrow_uint("left_out", dropped));
    struct relay *relay = fd >= 0 ? join(j, fd) : NULL;
    joining_free(j);
    if (relay == NULL) {
        stream_reset(stream, fd < 0 ? reset_code : RESET_INTERNAL, fd < 0 ? text : "out of memory");
        return;
    }
    stream_set_end(stream, &relay_stream_ops, relay);
    relay_attach(relay, stream);
    stream_accept(stream);
}

void streams_opened(struct client *c, struct stream *stream, const struct frame_open *open)
{
    const struct target *target = services_find(c, open->service);
    if (target == NULL && open->service != 0 && open->service <= c->last_service_id) {
        stream_reset(stream, RESET_WITHDRAWN, "the service is offered no more");
        return;
    }
    if (target == NULL) {
        uint32_t dropped;
        if (log_sample(&c->unknown_sample, loop_now_ms(c->loop), &dropped))
            log_at(c->log, BURROW_LOG_WARN, "service_unknown",
                   burrow_uint("service", open->service), burrow_uint("left_out", dropped));
        stream_reset(stream, RESET_NOT_ALLOWED, "unknown service");
        return;
    }
    struct joining *j = calloc(1, sizeof *j);
    if (j == NULL) {
        stream_reset(stream, RESET_INTERNAL, "out of memory");
        return;
    }
    j->magic = JOINING_MAGIC;
    j->client = c;
    j->stream = stream;
    j->target = *target;
    j->open = *open;
    LIST_INSERT_HEAD(&c->joinings, j, entry);
    j->dial = dial_target(c->loop, &j->target.endpoint, on_dialled, j);
    if (j->dial == NULL) {
        joining_free(j);
        stream_reset(stream, RESET_INTERNAL, "out of memory");
        return;
    }
    stream_set_end(stream, &joining_ops, j);
}
