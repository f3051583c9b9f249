/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle: opens connections, proves each with one byte there and back, prints how many, holds
 * them until its standard input ends or the time is over, and proves them again.
 */
#include "load.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define IN_THE_AIR 32

enum { PROVING = 0, PROVEN = 1, PENDING = 2 };

struct proof {
    struct load *load;
    int good, bad, open;
};

static void fail(struct proof *p, struct conn *c)
{
    if (c->state == PROVEN)
        p->good--;
    else
        p->open--;
    p->bad++;
    conn_hang_up(c);
}

static void on_event(struct proof *p, struct conn *c, uint32_t events)
{
    char byte = 'e';
    if (c->state != PROVING) { /* out of turn: it died */
        fail(p, c);
    } else if (!c->up) {
        c->up = true;
        conn_want(p->load, c, EPOLLIN);
        if (!(events & EPOLLOUT) || write(c->fd, &byte, 1) != 1)
            fail(p, c);
    } else if (read(c->fd, &byte, 1) == 1) {
        c->state = PROVEN;
        p->good++;
        p->open--;
    } else {
        fail(p, c);
    }
}

static void begin(struct proof *p, struct conn *c, bool first)
{
    if (first ? !conn_dial(p->load, c) : c->fd < 0) {
        p->bad++;
        return;
    }
    c->state = PROVING;
    c->up = false;
    conn_want(p->load, c, EPOLLOUT);
    p->open++;
}

static int prove(struct load *load, bool first)
{
    struct epoll_event events[EVENTS];
    struct proof p = {.load = load};
    int next = 0, count = load->opt.count;
    uint64_t end = now_ns() + (uint64_t)(load->opt.timeout * (double)NS);
    for (int i = 0; i < count; i++)
        load->conns[i].state = PENDING;
    while (p.good + p.bad < count && now_ns() < end) {
        while (next < count && p.open < IN_THE_AIR)
            begin(&p, &load->conns[next++], first);
        int n = epoll_wait(load->ep, events, EVENTS, 50);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->state == PENDING) { /* died before its turn: begin() will see it */
                conn_hang_up(c);
                continue;
            }
            on_event(&p, c, events[i].events);
        }
    }
    return p.good;
}

int load_idle(struct load *load)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t start = now_ns();
    int good = prove(load, true);
    printf("{\"established\":%d,\"of\":%d,\"seconds\":%.3f}\n", good, load->opt.count,
           (double)(now_ns() - start) / (double)NS);
    fflush(stdout);
    poll(&input, 1, (int)(load->opt.seconds * 1000));
    printf("{\"alive\":%d}\n", prove(load, false));
    return 0;
}
