/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk: connections that send (up) or receive (down) as fast as they can, or at a given rate.
 * Bytes are counted where they arrive: here, or in the target's counters. A connection that
 * the tunnel drops is counted and opened again.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bulk {
    struct load *load;
    uint64_t early, failed;        /* connections cut, dials that failed */
    uint64_t down;                 /* bytes received here */
    uint64_t start, on;            /* when the run and the measured window began */
    uint64_t accepted0, received0; /* the target's counters at the start */
    uint64_t down_mark, received_mark;
    uint64_t *mark;      /* per connection, at the window's beginning */
    uint64_t *slot_mark; /* per slot of the target */
};

static void redial(struct bulk *b, struct conn *c)
{
    conn_hang_up(c);
    if (!conn_dial(b->load, c))
        b->failed++;
}

static void begin_window(struct bulk *b, uint64_t t)
{
    struct load *load = b->load;
    b->on = t;
    b->down_mark = b->down;
    for (int i = 0; i < load->opt.count; i++)
        b->mark[i] = load->conns[i].got + load->conns[i].sent;
    if (load->stats) {
        b->received_mark = load->stats->received;
        memcpy(b->slot_mark, load->stats->conn_received, sizeof load->stats->conn_received);
    }
}

/* false when the connection is broken. */
static bool receive(struct bulk *b, struct conn *c)
{
    ssize_t n = read(c->fd, b->load->in, BUFFER_SIZE);
    if (n > 0) {
        c->got += (uint64_t)n;
        b->down += (uint64_t)n;
    }
    return n > 0 || (n < 0 && would_block());
}

static bool transmit(struct bulk *b, struct conn *c)
{
    ssize_t n = write(c->fd, b->load->out, b->load->opt.rate ? BLOCK_SIZE : BUFFER_SIZE);
    if (n > 0)
        c->sent += (uint64_t)n;
    return n > 0 || (n < 0 && would_block());
}

static bool on_event(struct bulk *b, struct conn *c, uint32_t events)
{
    const struct options *opt = &b->load->opt;
    if (!c->up) {
        if (!(events & EPOLLOUT) || write(c->fd, &opt->direction, 1) != 1)
            return false;
        c->up = true;
        conn_want(b->load, c, opt->direction == 'd' ? EPOLLIN : EPOLLIN | EPOLLOUT);
        return true;
    }
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !receive(b, c))
        return false;
    return !(events & EPOLLOUT) || transmit(b, c);
}

static void pace(struct bulk *b, uint64_t t)
{
    const struct options *opt = &b->load->opt;
    double due = (double)opt->rate * (double)(t - b->start) / (double)NS;
    for (int i = 0; i < opt->count; i++) {
        struct conn *c = &b->load->conns[i];
        if (c->fd >= 0 && c->up)
            conn_want(b->load, c, (double)c->sent < due ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

static void report(const struct bulk *b)
{
    const struct load *load = b->load;
    const struct stats *stats = load->stats;
    double seconds = (double)(now_ns() - b->on) / (double)NS;
    uint64_t stalled = 0, least = UINT64_MAX, most = 0, bytes, total;
    for (int i = 0; i < load->opt.count; i++)
        stalled += load->conns[i].got + load->conns[i].sent == b->mark[i];
    if (load->opt.direction == 'd') {
        bytes = b->down - b->down_mark;
        total = b->down;
        for (int i = 0; i < load->opt.count; i++) {
            uint64_t v = load->conns[i].got - b->mark[i];
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    } else {
        bytes = stats->received - b->received_mark;
        total = stats->received - b->received0;
        for (uint64_t s = b->accepted0; s < stats->accepted && s < b->accepted0 + SLOTS; s++) {
            uint64_t v = stats->conn_received[s % SLOTS] - b->slot_mark[s % SLOTS];
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    }
    printf("{\"mb_per_s\":%.1f,\"total_bytes\":%llu,\"early_close\":%llu,\"stalled\":%llu,"
           "\"dial_failed\":%llu,\"fairness\":%.3f,\"seconds\":%.3f}\n",
           (double)bytes / 1e6 / seconds, (unsigned long long)total, (unsigned long long)b->early,
           (unsigned long long)stalled, (unsigned long long)b->failed,
           most ? (double)least / (double)most : 0.0, seconds);
}

int load_bulk(struct load *load)
{
    struct epoll_event events[EVENTS];
    const struct options *opt = &load->opt;
    struct bulk b = {.load = load, .start = now_ns()};
    if (opt->direction == 'u' && !load->stats) {
        fprintf(stderr, "burrow-load: bulk -d up needs -s STATS, the target's file\n");
        return 2;
    }
    b.mark = calloc((size_t)opt->count, sizeof *b.mark);
    b.slot_mark = calloc(SLOTS, sizeof *b.slot_mark);
    if (!b.mark || !b.slot_mark)
        die("calloc");
    if (load->stats) {
        b.accepted0 = load->stats->accepted;
        b.received0 = load->stats->received;
    }
    for (int i = 0; i < opt->count; i++)
        if (!conn_dial(load, &load->conns[i]))
            b.failed++;
    uint64_t on = b.start + (uint64_t)(opt->warm_up * (double)NS);
    uint64_t end = on + (uint64_t)(opt->seconds * (double)NS);
    for (uint64_t t = b.start; t < end; t = now_ns()) {
        if (!b.on && t >= on)
            begin_window(&b, t);
        if (opt->rate)
            pace(&b, t);
        int n = epoll_wait(load->ep, events, EVENTS, opt->rate ? 2 : 20);
        for (int i = 0; i < n; i++)
            if (!on_event(&b, events[i].data.ptr, events[i].events)) {
                b.early++;
                redial(&b, events[i].data.ptr);
            }
    }
    report(&b);
    free(b.mark);
    free(b.slot_mark);
    return 0;
}
