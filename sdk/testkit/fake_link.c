/* SPDX-License-Identifier: Apache-2.0 */
/* The host's side of links, see fake_link.h. */
#include "fake_link.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define CANARY 0x5aU
#define OUTSIDE "events of a link are never called from inside an op"

/* A buffer as it was given away, to see that it comes back so. */
struct sent_buf {
    struct burrow_buf buf;
    uint32_t off, len;
    uint64_t sum;
    uint8_t bytes[];
};

static uint64_t sum_of(const uint8_t *p, size_t n)
{
    uint64_t sum = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ p[i]) * 1099511628211u;
    return sum;
}

static struct burrow_link *alive(struct burrow_link *link)
{
    fake_must(link != NULL, "an event names its link");
    fake_must(link->closed == 0, "`closed` is always the last event of a link");
    return link;
}

static void ev_authenticate(struct burrow_link *link, const struct burrow_credential *credential)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    link->authenticated++;
    if (link->on_authenticate != NULL)
        link->on_authenticate(link, credential);
}

static void ev_http_request(struct burrow_link *link, void *token, const struct burrow_http *http)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    link->http_requests++;
    if (link->on_http != NULL)
        link->on_http(link, token, http);
}

static void ev_http_cancel(struct burrow_link *link, void *token)
{
    fake_must(token != NULL, "http_cancel names the request");
    alive(link)->http_cancelled++;
}

static void ev_accepted(struct burrow_link *link)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    link->accepted++;
    if (link->on_open != NULL)
        link->on_open(link);
}

static void ev_connected(struct burrow_link *link)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    link->connected++;
    if (link->on_open != NULL)
        link->on_open(link);
}

static void ev_data(struct burrow_link *link, const uint8_t *p, size_t n, uint32_t message_end)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    fake_must(link->accepted + link->connected == 1, "data comes after accepted or connected");
    fake_must(n > 0 || message_end, "n may be 0 only with message_end");
    link->open_batch = true;
    link->messages += message_end != 0;
    link->total += n;
    if (!link->forget) {
        if (link->got_len + n > link->got_capacity) {
            link->got_capacity = (link->got_len + n) * 2;
            link->got = (uint8_t *)realloc(link->got, link->got_capacity);
            fake_must(link->got != NULL, "there is memory");
        }
        if (n > 0)
            memcpy(link->got + link->got_len, p, n);
        link->got_len += n;
    }
    if (link->on_data != NULL)
        link->on_data(link, p, n);
}

static void ev_batch_end(struct burrow_link *link)
{
    fake_must(alive(link)->open_batch, "batch_end is called once after each series of data calls");
    link->open_batch = false;
    link->batches++;
}

static void ev_drained(struct burrow_link *link)
{
    alive(link)->drained++;
    if (link->on_drained != NULL)
        link->on_drained(link);
}

static void ev_want_flush(struct burrow_link *link)
{
    alive(link)->sent_since_flush = true;
}

static void ev_release(struct burrow_link *link, struct burrow_buf *chain)
{
    alive(link);
    while (chain != NULL) {
        struct sent_buf *sent = (struct sent_buf *)(void *)chain;
        chain = chain->next;
        fake_must(link->out > 0, "a buffer is released once");
        link->out--;
        fake_must(sent->buf.off == sent->off && sent->buf.len == sent->len,
                  "when a buffer is given back, off and len are as they were");
        for (uint32_t i = 0; i < sent->len; i++)
            sent->bytes[sent->off + i] ^= sent->buf.mask[i & 3];
        fake_must(sum_of(sent->bytes + sent->off, sent->len) == sent->sum,
                  "when a buffer is given back, so is its payload, but for its mask");
        free(sent);
    }
}

static void ev_closed(struct burrow_link *link, const struct burrow_close_info *info)
{
    fake_must(!alive(link)->in_op, OUTSIDE);
    fake_must(!link->open_batch, "each series of data calls is ended by batch_end before closed");
    fake_must(link->out == 0, "every buffer is released before closed");
    fake_must(info->reason != NULL, "closed gives a reason, never NULL");
    link->closed++;
    link->code = info->code;
    link->http_status = info->http_status;
    link->auth_code = info->auth_code;
    snprintf(link->reason, sizeof link->reason, "%s", info->reason);
}

const struct burrow_transport_host fake_link_host = {
    .size = sizeof fake_link_host,
    .authenticate = ev_authenticate,
    .accepted = ev_accepted,
    .connected = ev_connected,
    .data = ev_data,
    .batch_end = ev_batch_end,
    .drained = ev_drained,
    .want_flush = ev_want_flush,
    .release = ev_release,
    .closed = ev_closed,
    .http_request = ev_http_request,
    .http_cancel = ev_http_cancel,
};

static void flush_all(void *arg)
{
    for (struct fake_transport *t = (struct fake_transport *)arg; t != NULL; t = t->next) {
        for (struct burrow_link *link = t->links; link != NULL; link = link->next) {
            if (link->closed || !link->sent_since_flush)
                continue;
            link->sent_since_flush = false;
            link->in_op = true;
            t->ops->flush(link->conn);
            link->in_op = false;
        }
    }
}

void fake_transport_adopt(struct fake_transport *transport, struct fake_host *host,
                          const struct burrow_plugin *plugin, void *self)
{
    memset(transport, 0, sizeof *transport);
    transport->host = host;
    transport->plugin = plugin;
    transport->ops = (const struct burrow_transport_ops *)plugin->ops;
    transport->self = self;
    transport->ops->bind(self, &fake_link_host);
    transport->next = (struct fake_transport *)host->end_of_turn_arg;
    host->end_of_turn = flush_all;
    host->end_of_turn_arg = transport;
}

void fake_transport_forget(struct fake_transport *transport)
{
    fake_must(transport->links == NULL, "all links have closed before their transport ends");
    struct fake_transport **p = (struct fake_transport **)&transport->host->end_of_turn_arg;
    while (*p != transport)
        p = &(*p)->next;
    *p = transport->next;
}

void fake_transport_init(struct fake_transport *transport, struct fake_host *host,
                         const struct burrow_plugin *plugin, const void *config)
{
    void *self = NULL;
    if (plugin->create(&host->table, config, &self) != BURROW_OK)
        fake_host_fail("create: %s", host->error);
    fake_transport_adopt(transport, host, plugin, self);
    if (plugin->start != NULL)
        fake_must(plugin->start(self) == BURROW_OK, "start succeeds");
}

static bool has_stopped(void *arg)
{
    return ((struct fake_host *)arg)->stopped;
}

void fake_transport_finish(struct fake_transport *transport)
{
    transport->host->stopped = false;
    transport->plugin->stop(transport->self);
    fake_host_run(transport->host, has_stopped, transport->host);
    transport->plugin->destroy(transport->self);
    fake_transport_forget(transport);
}

static void begin(struct burrow_link *link, struct fake_transport *transport)
{
    link->transport = transport;
    link->next = transport->links;
    transport->links = link;
    link->in_op = true;
}

int fake_link_accept(struct burrow_link *link, struct fake_transport *transport, int fd)
{
    struct burrow_accept accept = {
        .size = sizeof accept, .role = BURROW_ROLE_MAIN, .fd = fd, .tls = 1};
    if (link->role != 0)
        accept.role = link->role;
    accept.tls = accept.role == BURROW_ROLE_MAIN;
    accept.peer = (struct burrow_addr){.family = 4, .port = 1, .bytes = {127, 0, 0, 1}};
    begin(link, transport);
    int r = transport->ops->accept(transport->self, &accept, link, &link->conn);
    link->in_op = false;
    return r;
}

/* A socket connected to a listener of the test's, as the host makes it. */
static int connected_fd(const struct burrow_addr *addr)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } to;
    memset(&to, 0, sizeof to);
    if (addr->family == 6) {
        to.six.sin6_family = AF_INET6;
        to.six.sin6_port = htons(addr->port);
        memcpy(&to.six.sin6_addr, addr->bytes, 16);
    } else {
        to.four.sin_family = AF_INET;
        to.four.sin_port = htons(addr->port);
        memcpy(&to.four.sin_addr, addr->bytes, 4);
    }
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fake_must(fd >= 0 &&
                  connect(fd, &to.any, addr->family == 6 ? sizeof to.six : sizeof to.four) == 0 &&
                  fcntl(fd, F_SETFL, O_NONBLOCK) == 0,
              "somebody listens where the test dials");
    return fd;
}

int fake_link_dial(struct burrow_link *link, struct fake_transport *transport,
                   const struct burrow_dial *dial)
{
    struct burrow_dial connected = *dial;
    connected.fd = dial->addr.family != 0 ? connected_fd(&dial->addr) : -1;
    begin(link, transport);
    int r = transport->ops->dial(transport->self, &connected, link, &link->conn);
    link->in_op = false;
    return r;
}

static struct burrow_buf *make_buf(const uint8_t *p, size_t n)
{
    struct sent_buf *sent = (struct sent_buf *)malloc(sizeof *sent + BURROW_HEADROOM + n + 1);
    fake_must(sent != NULL, "there is memory");
    sent->off = BURROW_HEADROOM;
    sent->len = (uint32_t)n;
    memset(sent->bytes, CANARY, BURROW_HEADROOM);
    if (n > 0)
        memcpy(sent->bytes + sent->off, p, n);
    sent->sum = sum_of(sent->bytes + sent->off, n);
    sent->buf = (struct burrow_buf){.base = sent->bytes,
                                    .capacity = (uint32_t)(BURROW_HEADROOM + n + 1),
                                    .off = sent->off,
                                    .len = sent->len};
    return &sent->buf;
}

int fake_link_send_chain(struct burrow_link *link, const uint8_t *p, const size_t *lengths,
                         size_t count)
{
    struct burrow_buf *chain = NULL, **tail = &chain;
    for (size_t i = 0; i < count; i++) {
        *tail = make_buf(p, lengths[i]);
        tail = &(*tail)->next;
        p += lengths[i];
    }
    link->out += count;
    bool was_in_op = link->in_op;
    link->in_op = true;
    int r = link->transport->ops->send(link->conn, chain);
    link->in_op = was_in_op;
    link->sent_since_flush = true;
    return r;
}

int fake_link_send(struct burrow_link *link, const void *p, size_t n)
{
    return fake_link_send_chain(link, (const uint8_t *)p, &n, 1);
}

void fake_link_admit(struct burrow_link *link, const struct burrow_verdict *verdict)
{
    bool was_in_op = link->in_op;
    link->in_op = true;
    link->transport->ops->admit(link->conn, verdict);
    link->in_op = was_in_op;
}

void fake_link_respond(struct burrow_link *link, void *token,
                       const struct burrow_http_response *response)
{
    bool was_in_op = link->in_op;
    link->in_op = true;
    link->transport->ops->http_respond(link->transport->self, token, response);
    link->in_op = was_in_op;
}

void fake_link_close(struct burrow_link *link, uint32_t code, const char *why)
{
    bool was_in_op = link->in_op;
    link->in_op = true;
    link->transport->ops->close(link->conn, code, why);
    link->in_op = was_in_op;
}

void fake_link_read_enable(struct burrow_link *link, bool on)
{
    bool was_in_op = link->in_op;
    link->in_op = true;
    link->transport->ops->read_enable(link->conn, on);
    link->in_op = was_in_op;
}

size_t fake_link_queued(struct burrow_link *link)
{
    return link->transport->ops->queued(link->conn);
}

void fake_link_finish(struct burrow_link *link)
{
    struct burrow_link **p = &link->transport->links;
    while (*p != link)
        p = &(*p)->next;
    *p = link->next;
    fake_must(link->out == 0, "every buffer is released");
    free(link->got);
    memset(link, 0, sizeof *link);
}

bool fake_link_is_open(void *link)
{
    const struct burrow_link *l = (const struct burrow_link *)link;
    fake_must(l->closed == 0, "the link opens, and does not close before");
    return l->accepted + l->connected > 0;
}

bool fake_link_is_closed(void *link)
{
    return ((const struct burrow_link *)link)->closed > 0;
}
