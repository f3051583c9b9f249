/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burrow-load: a load generator and the target behind the tunnel, in one program. One
 * thread, epoll; every client mode prints one line of JSON. This header is what its modes
 * share: the options, one connection, and the little that all do with sockets.
 *
 * The target picks its behaviour for a connection from the first byte that arrives on it, so
 * that a tunnel needs one local target only:
 *   'e' echo (the first byte too)          'u' read and drop
 *   'd' write for ever                     'h' read up to EOF, then send all of it back
 *   'z' echo, but read nothing for the first five seconds
 */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define BUFFER_SIZE (256u * 1024u)
#define BLOCK_SIZE (64u * 1024u)
#define SLOTS 65536u
#define EVENTS 256
#define NS 1000000000ull

/* In a file that target and `bulk` map: what arrived is counted where it arrives. The target
 * is its one writer. */
struct stats {
    uint64_t accepted, closed, received;
    uint64_t conn_received[SLOTS]; /* by order of acceptance */
};

struct options {
    struct addr4 {
        uint32_t host; /* host byte order */
        uint16_t port;
    } addr;
    int count;          /* -n connections */
    double seconds;     /* -t of the measured window */
    double warm_up;     /* -w seconds before it */
    double timeout;     /* -T seconds for idle and verify */
    double pause;       /* -p seconds in which nothing is read, after an eighth */
    uint64_t bytes;     /* -b of a message, or of a connection in verify */
    uint64_t rate;      /* -R bytes a second that each connection sends; 0: no limit */
    uint64_t slow_rate; /* -r bytes a second that the first connection reads; 0: no limit */
    char direction;     /* -d 'u' or 'd' */
    bool half_close;    /* -H */
    bool stall;         /* -z: the first connection's target reads nothing for 5 s */
    const char *stats_path;
};

struct conn {
    int fd;        /* -1: none */
    uint32_t want; /* epoll's interest as it is now */
    char mode;     /* target: 0 until the first byte */
    bool up, eof, slow;
    int state; /* the mode's own */
    uint64_t seed, sent, got, slot, started, until, paused_at;
    char *pending; /* target: not yet written back */
    size_t pending_off, pending_len, pending_size;
};

struct load {
    int ep;
    struct options opt;
    struct stats *stats; /* may be NULL in clients */
    unsigned dials;
    char *in, *out, *check; /* BUFFER_SIZE each */
    struct conn *conns;     /* opt.count of them */
};

/* A mode; returns the exit code. */
int load_target(struct load *load);
int load_bulk(struct load *load);
int load_pingpong(struct load *load);
int load_connect(struct load *load);
int load_idle(struct load *load);
int load_verify(struct load *load);

/* Prints errno's text and exits with 2. */
_Noreturn void die(const char *what);
uint64_t now_ns(void);
bool would_block(void);
void set_nodelay(int fd);
void map_stats(struct load *load, bool create);

void conn_watch(struct load *load, struct conn *c, uint32_t events);
void conn_want(struct load *load, struct conn *c, uint32_t events);
/* Starts to connect; false when that failed at once. EPOLLOUT tells the end. */
bool conn_dial(struct load *load, struct conn *c);
void conn_hang_up(struct conn *c);

#endif
