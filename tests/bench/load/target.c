/* SPDX-License-Identifier: Apache-2.0 */
/* The service behind the tunnel; load.h tells its behaviours. It never ends by itself. */
#include "load.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STALL_NS (5 * NS)
#define STALLED_MAX 64

struct target {
    struct load *load;
    struct conn listener;
    struct conn *stalled[STALLED_MAX];
    int stalled_count;
};

static void keep(struct conn *c, const char *bytes, size_t n)
{
    if (c->pending_len + n > c->pending_size) {
        c->pending_size = (c->pending_len + n) * 2;
        c->pending = realloc(c->pending, c->pending_size);
        if (!c->pending)
            die("realloc");
    }
    memcpy(c->pending + c->pending_len, bytes, n);
    c->pending_len += n;
}

/* 1: all of it went out, 0: wait, -1: the connection is over. */
static int write_pending(struct conn *c)
{
    while (c->pending_off < c->pending_len) {
        ssize_t n = write(c->fd, c->pending + c->pending_off, c->pending_len - c->pending_off);
        if (n < 0)
            return would_block() ? 0 : -1;
        c->pending_off += (size_t)n;
    }
    c->pending_off = c->pending_len = 0;
    return 1;
}

static bool sends_back(const struct conn *c)
{
    return c->mode == 'e' || c->mode == 'h' || c->mode == 'z';
}

/* Echoes without a copy where nothing waits; false when the connection is over. */
static bool take(struct conn *c, const char *bytes, size_t n)
{
    size_t written = 0;
    if (c->mode == 'e' && c->pending_len == 0) {
        ssize_t w = write(c->fd, bytes, n);
        if (w < 0 && !would_block())
            return false;
        written = w > 0 ? (size_t)w : 0;
    }
    if (sends_back(c) && written < n)
        keep(c, bytes + written, n - written);
    return true;
}

/* false when the connection is over. */
static bool on_readable(struct target *t, struct conn *c)
{
    struct load *load = t->load;
    ssize_t n = read(c->fd, load->in, BUFFER_SIZE);
    if (n < 0)
        return would_block();
    if (n == 0) {
        c->eof = true;
        return sends_back(c);
    }
    if (!c->mode) {
        c->mode = load->in[0];
        if (c->mode == 'z' && t->stalled_count < STALLED_MAX) {
            c->until = now_ns() + STALL_NS;
            t->stalled[t->stalled_count++] = c;
        }
    }
    load->stats->received += (uint64_t)n;
    load->stats->conn_received[c->slot] += (uint64_t)n;
    return take(c, load->in, (size_t)n);
}

/* false when the connection is over. */
static bool on_event(struct target *t, struct conn *c, uint32_t events)
{
    struct load *load = t->load;
    if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN))
        return false;
    if (events & EPOLLIN && !on_readable(t, c))
        return false;
    if (c->until) { /* the main loop wakes it */
        conn_want(load, c, 0);
        return true;
    }
    if (c->mode == 'd') {
        if (write(c->fd, load->out, BUFFER_SIZE) < 0 && !would_block())
            return false;
        conn_want(load, c, EPOLLIN | EPOLLOUT);
        return true;
    }
    if (c->mode == 'h' && !c->eof)
        return true;
    int done = write_pending(c);
    if (done == 0)
        conn_want(load, c, EPOLLOUT);
    else if (done == 1 && !c->eof)
        conn_want(load, c, EPOLLIN);
    return done == 0 || (done == 1 && !c->eof);
}

static void end(struct target *t, struct conn *c)
{
    for (int i = 0; i < t->stalled_count; i++)
        if (t->stalled[i] == c)
            t->stalled[i--] = t->stalled[--t->stalled_count];
    t->load->stats->closed++;
    conn_hang_up(c);
    free(c->pending);
    free(c);
}

static void accept_all(struct target *t)
{
    int fd;
    while ((fd = accept4(t->listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        set_nodelay(fd);
        c->fd = fd;
        c->slot = t->load->stats->accepted++ % SLOTS;
        t->load->stats->conn_received[c->slot] = 0;
        conn_watch(t->load, c, EPOLLIN);
    }
}

static void wake_stalled(struct target *t)
{
    for (int i = 0; i < t->stalled_count; i++) {
        struct conn *c = t->stalled[i];
        if (c->until > now_ns())
            continue;
        t->stalled[i--] = t->stalled[--t->stalled_count];
        c->until = 0;
        conn_want(t->load, c, EPOLLIN | EPOLLOUT);
    }
}

static int listen_on(struct addr4 addr)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(addr.port)};
    at.sin_addr.s_addr = htonl(addr.host);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096))
        die("listen");
    return fd;
}

int load_target(struct load *load)
{
    struct target t = {.load = load};
    struct epoll_event events[EVENTS];
    t.listener.fd = listen_on(load->opt.addr);
    conn_watch(load, &t.listener, EPOLLIN);
    for (;;) {
        int n = epoll_wait(load->ep, events, EVENTS, t.stalled_count ? 20 : -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c == &t.listener)
                accept_all(&t);
            else if (!on_event(&t, c, events[i].events))
                end(&t, c);
        }
        wake_stalled(&t);
    }
}
