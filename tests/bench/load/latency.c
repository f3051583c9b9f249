/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pingpong: messages that are echoed before the next is sent. connect: connections of one
 * byte there and back. Both print a rate and quantiles of the time each took.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct samples {
    uint64_t *ns;
    size_t count, size;
    uint64_t errors;
};

static void record(struct samples *s, uint64_t ns)
{
    if (s->count == s->size) {
        s->size = s->size ? s->size * 2 : 1u << 20;
        s->ns = realloc(s->ns, s->size * sizeof *s->ns);
        if (!s->ns)
            die("realloc");
    }
    s->ns[s->count++] = ns;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double quantile_us(const struct samples *s, double q)
{
    return s->count ? (double)s->ns[(size_t)((double)(s->count - 1) * q)] / 1e3 : 0;
}

/* A connection that has waited for over a second at the end is stuck. */
static void report(const struct load *load, struct samples *s, uint64_t on)
{
    uint64_t t = now_ns(), stuck = 0;
    double seconds = (double)(t - on) / (double)NS;
    for (int i = 0; i < load->opt.count; i++)
        stuck += t - load->conns[i].started > NS;
    qsort(s->ns, s->count, sizeof *s->ns, by_value);
    printf("{\"per_s\":%.1f,\"count\":%zu,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f,\"errors\":%llu,\"stuck\":%llu,\"seconds\":%.3f}\n",
           (double)s->count / seconds, s->count, quantile_us(s, .5), quantile_us(s, .9),
           quantile_us(s, .99), quantile_us(s, .999), quantile_us(s, 1),
           (unsigned long long)s->errors, (unsigned long long)stuck, seconds);
    free(s->ns);
}

static void dial(struct load *load, struct samples *s, struct conn *c)
{
    conn_hang_up(c);
    c->got = 0;
    if (!conn_dial(load, c))
        s->errors++;
}

static bool send_message(struct load *load, struct conn *c, uint64_t n)
{
    c->started = now_ns();
    c->got = 0;
    return write(c->fd, load->out, n) == (ssize_t)n;
}

/* One event of a connection that sends n bytes and waits for as many: 1 when they have come
 * back, 0 when not yet, -1 when it is broken. */
static int advance(struct load *load, struct conn *c, uint32_t events, uint64_t n)
{
    if (!c->up) {
        uint64_t dialled = c->started;
        if (!(events & EPOLLOUT))
            return -1;
        c->up = true;
        conn_want(load, c, EPOLLIN);
        bool sent = send_message(load, c, n);
        c->started = dialled; /* the time to connect counts */
        return sent ? 0 : -1;
    }
    ssize_t k = read(c->fd, load->in, BUFFER_SIZE);
    if (k <= 0)
        return k < 0 && would_block() ? 0 : -1;
    c->got += (uint64_t)k;
    return c->got >= n;
}

static int run(struct load *load, uint64_t bytes, bool again)
{
    struct epoll_event events[EVENTS];
    const struct options *opt = &load->opt;
    struct samples s = {.ns = NULL};
    memset(load->out, 'e', BUFFER_SIZE);
    for (int i = 0; i < opt->count; i++)
        dial(load, &s, &load->conns[i]);
    uint64_t on = now_ns() + (uint64_t)(opt->warm_up * (double)NS);
    uint64_t end = on + (uint64_t)(opt->seconds * (double)NS);
    while (now_ns() < end) {
        int n = epoll_wait(load->ep, events, EVENTS, 50);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            int got = advance(load, c, events[i].events, bytes);
            if (got == 1 && now_ns() >= on)
                record(&s, now_ns() - c->started);
            s.errors += got < 0;
            if (got < 0 || (got == 1 && !(again && send_message(load, c, bytes))))
                dial(load, &s, c);
        }
    }
    report(load, &s, on);
    return 0;
}

int load_pingpong(struct load *load)
{
    return run(load, load->opt.bytes, true);
}

int load_connect(struct load *load)
{
    return run(load, 1, false);
}
