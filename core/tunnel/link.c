/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: the host side of the transport contract (include/burrow/transport.h). Events of
 * the plugin go to the link's owner; what the owner sends is flushed once per turn.
 */
#include "tunnel/link.h"

#include "base/object.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LINK_MAGIC 0x4c494e4bu
/* A transport has a second for its farewell; who takes as long as this has forgotten it. */
#define LINK_CLOSE_MAX_MS 10000u

struct burrow_link {
    uint32_t magic;
    bool opened, closing, abandoned, closed, in_message;
    bool overdue; /* counts as closed; its memory stays, since the transport may still name it */
    struct link_transport transport; /* a copy: links may outlive who made them */
    void *conn;
    const struct link_events *events; /* NULL: nobody listens any more */
    void *arg;
    struct loop_task flush, end;
    struct loop_timer *patience; /* with a transport that was told to close */
    struct burrow_addr peer;
};

static struct burrow_link *link_checked(struct burrow_link *link)
{
    must_be(link, LINK_MAGIC);
    return link;
}

static void flush_task(void *arg)
{
    struct burrow_link *link = link_checked(arg);

    if (!link->closed)
        link->transport.ops->flush(link->conn);
}

static void free_task(void *arg)
{
    struct burrow_link *link = link_checked(arg);

    loop_task_cancel(link->transport.loop, &link->flush);
    loop_timer_destroy(link->patience);
    link->magic = 0;
    free(link);
}

static struct burrow_link *link_new(const struct link_transport *transport,
                                    const struct burrow_addr *peer,
                                    const struct link_events *events, void *arg)
{
    struct burrow_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    link->magic = LINK_MAGIC;
    link->transport = *transport;
    link->events = events;
    link->arg = arg;
    link->peer = *peer;
    loop_task_init(&link->flush, LOOP_PHASE_FLUSH, flush_task, link);
    loop_task_init(&link->end, LOOP_PHASE_FLUSH, free_task, link);
    return link;
}

struct burrow_link *link_accept(const struct link_transport *transport,
                                const struct burrow_accept *accept,
                                const struct link_events *events, void *arg)
{
    struct burrow_link *link = link_new(transport, &accept->peer, events, arg);

    if (!link) {
        close(accept->fd);
        return NULL;
    }
    if (transport->ops->accept(transport->self, accept, link, &link->conn) < 0) {
        free_task(link);
        return NULL;
    }
    return link;
}

struct burrow_link *link_dial(const struct link_transport *transport,
                              const struct burrow_dial *dial, const struct link_events *events,
                              void *arg)
{
    struct burrow_link *link = link_new(transport, &dial->addr, events, arg);

    if (!link)
        return NULL;
    if (transport->ops->dial(transport->self, dial, link, &link->conn) < 0) {
        free_task(link);
        return NULL;
    }
    return link;
}

void link_set_owner(struct burrow_link *link, const struct link_events *events, void *arg)
{
    link_checked(link)->events = events;
    link->arg = arg;
}

void link_admit(struct burrow_link *link, const struct burrow_verdict *verdict)
{
    link_checked(link);
    if (!link->closed && !link->closing)
        link->transport.ops->admit(link->conn, verdict);
}

int link_send(struct burrow_link *link, struct burrow_buf *chain)
{
    link_checked(link);
    if (link->closed || link->closing) {
        pool_put(loop_pool(link->transport.loop), chain);
        return BURROW_EIO;
    }
    loop_task_schedule(link->transport.loop, &link->flush);
    return link->transport.ops->send(link->conn, chain);
}

size_t link_queued(const struct burrow_link *link)
{
    return link->closed ? 0 : link->transport.ops->queued(link->conn);
}

void link_set_watermark(struct burrow_link *link, size_t bytes)
{
    link_checked(link);
    if (!link->closed && link->transport.ops->set_watermark)
        link->transport.ops->set_watermark(link->conn, bytes);
}

void link_read_enable(struct burrow_link *link, bool on)
{
    link_checked(link);
    if (!link->closed)
        link->transport.ops->read_enable(link->conn, on);
}

static void fault(struct burrow_link *link, const char *what)
{
    if (link->transport.faults != NULL)
        plugin_fault(link->transport.faults, what);
}

/* For its owner the link ends here. */
static void end_link(struct burrow_link *link, const struct burrow_close_info *info)
{
    link->closed = true;
    if (link->events != NULL && link->events->closed != NULL)
        link->events->closed(link->arg, info);
    link->events = NULL;
}

static void on_patience(void *arg)
{
    static const struct burrow_close_info info = {
        .size = sizeof info, .code = BURROW_CLOSE_LOST, .reason = "the transport did not end it"};
    struct burrow_link *link = link_checked(arg);

    if (link->closed)
        return;
    fault(link, "a link was not closed in time");
    loop_task_cancel(link->transport.loop, &link->flush);
    link->overdue = true;
    end_link(link, &info);
}

void link_close(struct burrow_link *link, uint32_t code, const char *why)
{
    link_checked(link);
    if (link->closed)
        return;
    link->closing = true;
    if (link->patience == NULL) {
        link->patience = loop_timer_create(link->transport.loop, on_patience, link);
        if (link->patience != NULL) /* without memory it goes without a limit */
            loop_timer_set(link->patience, LINK_CLOSE_MAX_MS);
    }
    loop_task_schedule(link->transport.loop, &link->flush);
    link->transport.ops->close(link->conn, code, why);
}

void link_abandon(struct burrow_link *link, uint32_t code, const char *why)
{
    link_checked(link)->events = NULL;
    link->abandoned = true;
    link_close(link, code, why);
}

void link_http_respond(struct burrow_link *link, void *token,
                       const struct burrow_http_response *response)
{
    link_checked(link);
    if (!link->closed)
        link->transport.ops->http_respond(link->transport.self, token, response);
}

struct pool *link_pool(const struct burrow_link *link)
{
    return loop_pool(link->transport.loop);
}

bool link_keeps_messages(const struct burrow_link *link)
{
    return (link->transport.ops->flags & BURROW_TRANSPORT_MESSAGES) != 0;
}

bool link_in_message(const struct burrow_link *link)
{
    return link_keeps_messages(link) && link->in_message;
}

const struct burrow_addr *link_peer(const struct burrow_link *link)
{
    return &link->peer;
}

const char *link_transport_name(const struct burrow_link *link)
{
    return link->transport.name;
}

/* ---- the host table: what the plugin calls -------------------------------------------- */

/* Runs the owner's entry if there is one to hear it. */
#define TELL(link, entry, ...)                                                                     \
    do {                                                                                           \
        if (link_checked(link)->events && (link)->events->entry)                                   \
            (link)->events->entry((link)->arg, ##__VA_ARGS__);                                     \
    } while (0)

static void on_authenticate(struct burrow_link *link, const struct burrow_credential *credential)
{
    TELL(link, authenticate, credential);
}

static void on_open(struct burrow_link *link)
{
    link_checked(link)->opened = true;
    TELL(link, open);
}

static void on_data(struct burrow_link *link, const uint8_t *p, size_t n, uint32_t message_end)
{
    link_checked(link)->in_message = message_end == 0;
    TELL(link, data, p, n, message_end != 0);
}

static void on_batch_end(struct burrow_link *link)
{
    TELL(link, batch_end);
}

static void on_drained(struct burrow_link *link)
{
    TELL(link, drained);
}

static void on_want_flush(struct burrow_link *link)
{
    loop_task_schedule(link_checked(link)->transport.loop, &link->flush);
}

static void on_release(struct burrow_link *link, struct burrow_buf *chain)
{
    pool_put(loop_pool(link_checked(link)->transport.loop), chain);
}

static void on_closed(struct burrow_link *link, const struct burrow_close_info *info)
{
    link_checked(link);
    if (link->overdue) {
        link->overdue = false;
        loop_task_schedule(link->transport.loop, &link->end);
    } else if (link->closed) {
        fault(link, "a link was closed twice");
    } else {
        loop_task_schedule(link->transport.loop, &link->end);
        end_link(link, info);
    }
}

static void on_http_request(struct burrow_link *link, void *token, const struct burrow_http *http)
{
    TELL(link, http_request, token, http);
}

static void on_http_cancel(struct burrow_link *link, void *token)
{
    TELL(link, http_cancel, token);
}

const struct burrow_transport_host link_transport_host = {
    .size = sizeof(struct burrow_transport_host),
    .authenticate = on_authenticate,
    .accepted = on_open,
    .connected = on_open,
    .data = on_data,
    .batch_end = on_batch_end,
    .drained = on_drained,
    .want_flush = on_want_flush,
    .release = on_release,
    .closed = on_closed,
    .http_request = on_http_request,
    .http_cancel = on_http_cancel,
};
