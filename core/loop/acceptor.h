/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One listening socket, TCP or Unix, as the server's own listeners and every bridge use it: it
 * accepts a bounded number of connections a turn and pauses while the process has no free
 * descriptor or hardly any memory, so that a full table costs neither the processor nor the
 * listener, and newcomers nothing of what those need who are here.
 */
#ifndef LOOP_ACCEPTOR_H
#define LOOP_ACCEPTOR_H

#include "base/address.h"
#include "base/log.h"
#include "loop/loop.h"

#include <sys/queue.h>

#define ACCEPT_A_TURN 64
#define ACCEPT_SLOW_US 20000u /* a turn */
#define ACCEPT_PAUSE_MS 100u
/* Kept free for those who are here: a turn's handshakes over TLS take a third of it. */
#define ACCEPT_MEMORY ((size_t)16 << 20)
#define ACCEPTOR_PATH 108u /* with the NUL, unix(7) */

struct acceptor;
TAILQ_HEAD(acceptor_list, acceptor);

/* Shared by the acceptors of one server. */
struct accept_guard {
    uint32_t magic;
    int reserve; /* a descriptor to let go when there is no other */
    struct loop *loop;
    const struct log *log;
    struct loop_timer *timer;
    struct acceptor_list paused;
    uint64_t pauses, shed; /* for metrics */
    uint64_t logged_ms;    /* the last time it was said */
};

/* fd is non-blocking and the callee's; the acceptor must not be closed inside. */
typedef void acceptor_fn(void *arg, int fd, const struct burrow_addr *peer);

struct acceptor {
    uint32_t magic;
    int fd; /* -1: closed */
    struct accept_guard *guard;
    struct loop_watch *watch;
    acceptor_fn *fn;
    void *arg;
    bool is_paused;
    uint32_t batch;   /* that the last turn was ready to take */
    uint64_t last_us; /* when that was, if more were waiting; else 0 */
    TAILQ_ENTRY(acceptor) entry;
    struct burrow_addr local; /* as bound: the real port */
    char path[ACCEPTOR_PATH]; /* of a Unix socket, else "" */
};

int accept_guard_init(struct accept_guard *guard, struct loop *loop, const struct log *log);
void accept_guard_finish(struct accept_guard *guard); /* all acceptors are closed */

/* Binds and listens. host "": any address, IPv6 and IPv4 on one socket where the machine has
 * both. A name is looked up here and now, IPv4 first. On failure err tells which address and
 * why, and the acceptor is closed: BURROW_EAGAIN when the port is in use, BURROW_ENOMEM for
 * lack of descriptors or memory, BURROW_EIO else. */
int acceptor_open(struct acceptor *acceptor, struct accept_guard *guard, const char *host,
                  uint16_t port, acceptor_fn *fn, void *arg, struct error *err);
/* The same with a socket that listens already, which is the acceptor's from here on. */
int acceptor_adopt(struct acceptor *acceptor, struct accept_guard *guard, int fd, acceptor_fn *fn,
                   void *arg, struct error *err);
/* The same at a Unix socket: its file is for owner and group. One that nobody listens at any
 * more is replaced; any other file is left alone and an error. acceptor_close removes it. */
int acceptor_open_path(struct acceptor *acceptor, struct accept_guard *guard, const char *path,
                       acceptor_fn *fn, void *arg, struct error *err);
/* "127.0.0.1:80" or "unix:/run/x.sock", for logs. Returns buf. */
#define ACCEPTOR_TEXT (ACCEPTOR_PATH + 8)
const char *acceptor_text(const struct acceptor *acceptor, char buf[ACCEPTOR_TEXT]);
/* Accepts nothing for ACCEPT_PAUSE_MS; who comes meanwhile waits. Also inside its fn. */
void acceptor_pause(struct acceptor *acceptor);
void acceptor_close(struct acceptor *acceptor); /* also one that was never opened (zeroed) */

#endif
