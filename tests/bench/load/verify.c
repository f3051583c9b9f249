/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify: every connection sends its own pseudo-random bytes and checks that exactly these
 * come back, in order, to the last; under half-close, pauses, slow readers and a stalled
 * target. Exit code 1 when any byte is missing, wrong or late.
 */
#include "load.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RUNNING = 0, DONE, CORRUPT, CUT };

struct verify {
    struct load *load;
    uint64_t start, others_done_at, slow_got; /* what the slow one had when the others were done */
    uint64_t others_bytes;
    int ended, others_ended, others;
    bool released; /* the slow reader may read at full speed */
};

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* The bytes of c's stream from offset `from` on; the first one is the target's mode. */
static void generate(const struct conn *c, uint64_t from, char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint64_t at = from + i, word = mix(c->seed + at / 8);
        size_t skip = at % 8, k = 8 - skip;
        if (k > n - i)
            k = n - i;
        memcpy(p + i, (char *)&word + skip, k);
        i += k;
    }
    if (from == 0 && n)
        p[0] = c->mode;
}

static uint32_t interest(const struct verify *v, struct conn *c, uint64_t t)
{
    const struct options *opt = &v->load->opt;
    double age = (double)(t - v->start) / (double)NS;
    bool reads = true;
    if (!c->up)
        return EPOLLOUT;
    if (c->slow && opt->slow_rate && !v->released)
        reads = (double)c->got < (double)opt->slow_rate * age;
    if (opt->pause > 0 && c->got >= opt->bytes / 8) {
        if (!c->paused_at)
            c->paused_at = t;
        reads = reads && t >= c->paused_at + (uint64_t)(opt->pause * (double)NS);
    }
    bool writes = c->sent < opt->bytes && (!opt->rate || (double)c->sent < (double)opt->rate * age);
    return (reads ? (uint32_t)EPOLLIN : 0) | (writes ? (uint32_t)EPOLLOUT : 0);
}

/* The connection's state after reading. */
static int receive(struct verify *v, struct conn *c)
{
    const struct options *opt = &v->load->opt;
    size_t most = c->slow && opt->slow_rate && !v->released ? 4096 : BUFFER_SIZE;
    ssize_t n = read(c->fd, v->load->in, most);
    if (n < 0)
        return would_block() ? RUNNING : CUT;
    if (n == 0)
        return c->got == opt->bytes ? DONE : CUT;
    generate(c, c->got, v->load->check, (size_t)n);
    if (c->got + (uint64_t)n > opt->bytes || memcmp(v->load->in, v->load->check, (size_t)n) != 0)
        return CORRUPT;
    c->got += (uint64_t)n;
    if (!c->slow)
        v->others_bytes += (uint64_t)n;
    return c->got == opt->bytes && !opt->half_close ? DONE : RUNNING;
}

static int transmit(struct verify *v, struct conn *c)
{
    const struct options *opt = &v->load->opt;
    uint64_t left = opt->bytes - c->sent;
    size_t n = left < BLOCK_SIZE ? (size_t)left : BLOCK_SIZE;
    generate(c, c->sent, v->load->out, n);
    ssize_t k = write(c->fd, v->load->out, n);
    if (k < 0)
        return would_block() ? RUNNING : CUT;
    c->sent += (uint64_t)k;
    if (c->sent == opt->bytes && opt->half_close)
        shutdown(c->fd, SHUT_WR);
    return RUNNING;
}

static void on_event(struct verify *v, struct conn *c, uint32_t events)
{
    c->up = true;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        c->state = receive(v, c);
    if (c->state == RUNNING && events & EPOLLOUT && c->sent < v->load->opt.bytes)
        c->state = transmit(v, c);
    if (c->state == RUNNING)
        return;
    conn_hang_up(c);
    v->ended++;
    if (!c->slow && ++v->others_ended == v->others)
        v->others_done_at = now_ns();
}

static int report(const struct verify *v)
{
    const struct options *opt = &v->load->opt;
    int states[4] = {0};
    unsigned long long missing = 0;
    for (int i = 0; i < opt->count; i++) {
        states[v->load->conns[i].state]++;
        missing += opt->bytes - v->load->conns[i].got;
    }
    uint64_t end = v->others_done_at ? v->others_done_at : now_ns();
    bool ok = states[DONE] == opt->count;
    printf("{\"ok\":%s,\"complete\":%d,\"corrupt\":%d,\"cut\":%d,\"unfinished\":%d,"
           "\"missing_bytes\":%llu,\"others_mb_per_s\":%.1f,\"slow_got\":%llu,\"seconds\":%.3f}\n",
           ok ? "true" : "false", states[DONE], states[CORRUPT], states[CUT], states[RUNNING],
           missing, (double)v->others_bytes / 1e6 / ((double)(end - v->start) / (double)NS),
           (unsigned long long)v->slow_got, (double)(now_ns() - v->start) / (double)NS);
    return !ok;
}

int load_verify(struct load *load)
{
    struct epoll_event events[EVENTS];
    const struct options *opt = &load->opt;
    struct verify v = {.load = load, .start = now_ns()};
    bool has_slow = opt->slow_rate || opt->stall;
    bool timed = opt->slow_rate || opt->rate || opt->pause > 0;
    v.others = opt->count - (has_slow ? 1 : 0);
    v.released = !has_slow;
    for (int i = 0; i < opt->count; i++) {
        struct conn *c = &load->conns[i];
        c->seed = mix(v.start + (uint64_t)i);
        c->slow = has_slow && i == 0;
        c->mode = c->slow && opt->stall ? 'z' : opt->half_close ? 'h' : 'e';
        if (!conn_dial(load, c)) {
            c->state = CUT;
            v.ended++;
        }
    }
    uint64_t deadline = v.start + (uint64_t)(opt->timeout * (double)NS);
    for (uint64_t t = v.start; v.ended < opt->count && t < deadline; t = now_ns()) {
        int n = epoll_wait(load->ep, events, EVENTS, timed ? 5 : 200);
        for (int i = 0; i < n; i++)
            on_event(&v, events[i].data.ptr, events[i].events);
        if (!v.released && v.others_ended == v.others) {
            v.slow_got = load->conns[0].got;
            v.released = true;
        }
        for (int i = 0; i < opt->count; i++)
            if (load->conns[i].fd >= 0)
                conn_want(load, &load->conns[i], interest(&v, &load->conns[i], t));
    }
    return report(&v);
}
