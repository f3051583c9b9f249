/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, epoll, the clock and the shared counters. */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void die(const char *what)
{
    perror(what);
    exit(2);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

bool would_block(void)
{
    return errno == EAGAIN || errno == EINTR;
}

void set_nodelay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void map_stats(struct load *load, bool create)
{
    const char *path = load->opt.stats_path;
    int fd = open(path, create ? O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || (create && ftruncate(fd, sizeof *load->stats)))
        die(path);
    void *at = mmap(NULL, sizeof *load->stats, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        die("mmap");
    load->stats = at;
    close(fd);
}

void conn_watch(struct load *load, struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(load->ep, EPOLL_CTL_ADD, c->fd, &e))
        die("epoll_ctl");
    c->want = events;
}

void conn_want(struct load *load, struct conn *c, uint32_t events)
{
    if (c->want == events)
        return;
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(load->ep, EPOLL_CTL_MOD, c->fd, &e))
        die("epoll_ctl");
    c->want = events;
}

/* Sources are spread over 127.0.0.2 to .9, so that many short connections do not run out of
 * local ports. */
static void spread_source(struct load *load, int fd)
{
    int one = 1;
    if (load->opt.addr.host >> 24 != 127)
        return;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000002u + load->dials++ % 8);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&source, sizeof source))
        die("bind");
}

bool conn_dial(struct load *load, struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->opt.addr.port)};
    to.sin_addr.s_addr = htonl(load->opt.addr.host);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket");
    set_nodelay(c->fd);
    spread_source(load, c->fd);
    c->up = false;
    c->started = now_ns();
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        conn_hang_up(c);
        return false;
    }
    conn_watch(load, c, EPOLLOUT);
    return true;
}

void conn_hang_up(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}
