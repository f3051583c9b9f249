/* SPDX-License-Identifier: Apache-2.0 */
/* What fake_loop.c (the objects) and fake_turn.c (time and turns) share. */
#ifndef TEST_FAKE_INTERNAL_H
#define TEST_FAKE_INTERNAL_H

#include "base/object.h"
#include "fake_loop.h"
#include "loop/calls.h"
#include "loop/tasks.h"

#include <sys/queue.h>

#define SCRATCH_BYTES (256u * 1024u)
#define FAKE_HOSTS 16
#define FAKE_ADDRS 8

#define FAKE_LOOP_MAGIC 0x464c4f50u
#define FAKE_WATCH_MAGIC 0x46574348u
#define FAKE_TIMER_MAGIC 0x46544d52u

struct loop_watch {
    uint32_t magic;
    struct loop *loop;
    int fd, events, fed;
    burrow_io_fn *fn;
    void *arg;
    TAILQ_ENTRY(loop_watch) entry;
};

struct loop_timer {
    uint32_t magic;
    struct loop *loop;
    bool set;
    uint64_t due_ms, order; /* of those due at one time the first set runs first */
    burrow_timer_fn *fn;
    void *arg;
    TAILQ_ENTRY(loop_timer) entry;
};

struct loop_lookup {
    struct loop *loop;
    char name[256];
    uint16_t port;
    burrow_resolve_fn *fn;
    void *arg;
    uint64_t turn; /* asked in */
    TAILQ_ENTRY(loop_lookup) entry;
};

struct loop_signal {
    struct loop *loop;
    int signo;
    unsigned raised;
    burrow_timer_fn *fn;
    void *arg;
    TAILQ_ENTRY(loop_signal) entry;
};

struct fake_host {
    char name[256];
    struct burrow_addr addrs[FAKE_ADDRS];
    size_t n;
};

/* An event that was found at the start of the turn and not yet passed on. */
struct ready {
    struct loop_watch *watch; /* NULL: unwatched meanwhile */
    int events;
};

struct loop {
    uint32_t magic;
    bool broken, held;
    uint64_t now_us, unix_offset_us, order, turn;
    struct pool *pool;
    uint8_t *scratch;
    struct task_queue tasks;
    TAILQ_HEAD(, loop_watch) watches;
    size_t watch_count, timer_count;
    TAILQ_HEAD(, loop_timer) timers;
    TAILQ_HEAD(, loop_lookup) lookups;
    TAILQ_HEAD(, loop_signal) signals;
    struct ready *ready;
    size_t ready_count;
    struct call_queue calls;
    struct fake_host hosts[FAKE_HOSTS];
    size_t host_count;
};

#endif
