/* SPDX-License-Identifier: Apache-2.0 */
/* Several connects under way at once, of which one wins. */
#include "loop/connect.h"

#include "base/address.h"
#include "base/object.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECT_MAGIC 0x434f4e4eu

struct attempt {
    struct loop_connect *owner;
    struct burrow_addr addr;
    int fd; /* -1: not begun, or failed */
    struct loop_watch *watch;
};

struct loop_connect {
    uint32_t magic;
    struct loop *loop;
    struct loop_timer *stagger;
    struct loop_task task; /* tells the result on a stack of its own */
    const struct loop_connect_events *events;
    void *arg;
    struct attempt attempts[CONNECT_MAX_ADDRESSES];
    size_t count, next, pending;
    struct attempt *winner;
    int error;
};

static void give_up(struct attempt *a)
{
    loop_unwatch(a->watch);
    a->watch = NULL;
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
}

static void connect_free(struct loop_connect *c)
{
    for (size_t i = 0; i < c->count; i++)
        give_up(&c->attempts[i]);
    loop_timer_destroy(c->stagger);
    loop_task_cancel(c->loop, &c->task);
    c->magic = 0;
    free(c);
}

static void tell(void *arg)
{
    struct loop_connect *c = arg;
    must_be(c, CONNECT_MAGIC);
    struct burrow_addr addr = {0};
    int fd = -1, error = c->error;
    if (c->winner != NULL) {
        addr = c->winner->addr;
        fd = c->winner->fd;
        error = 0;
        c->winner->fd = -1;
        loop_unwatch(c->winner->watch);
        c->winner->watch = NULL;
    }
    const struct loop_connect_events *events = c->events;
    void *events_arg = c->arg;
    connect_free(c);
    events->done(events_arg, fd, &addr, error);
}

static void won(struct attempt *a)
{
    struct loop_connect *c = a->owner;
    c->winner = a;
    loop_timer_stop(c->stagger);
    for (size_t i = 0; i < c->count; i++)
        if (&c->attempts[i] != a)
            give_up(&c->attempts[i]);
    loop_task_schedule(c->loop, &c->task);
}

static void try_next(struct loop_connect *c);

static void on_writable(void *arg, int events)
{
    struct attempt *a = arg;
    struct loop_connect *c = a->owner;
    (void)events;
    must_be(c, CONNECT_MAGIC);
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0) {
        loop_rewatch(a->watch, 0);
        won(a);
        return;
    }
    c->error = error;
    give_up(a);
    c->pending--;
    try_next(c);
}

/* Begins to connect; false: failed at once, and the error is kept. */
static bool begin(struct loop_connect *c, struct attempt *a)
{
    struct sockaddr_storage ss;
    socklen_t len = address_to_sockaddr(&a->addr, &ss);
    if (len == 0) {
        c->error = EAFNOSUPPORT;
        return false;
    }
    if (c->events->trying != NULL)
        c->events->trying(c->arg, &a->addr);
    a->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = a->fd < 0 ? -1 : connect(a->fd, (const struct sockaddr *)(const void *)&ss, len);
    if (rc == 0) {
        won(a);
        return true;
    }
    if (a->fd >= 0 && (errno == EINPROGRESS || errno == EINTR)) {
        a->watch = loop_watch(c->loop, a->fd, BURROW_WRITE, on_writable, a);
        if (a->watch != NULL) {
            c->pending++;
            return true;
        }
        errno = ENOMEM;
    }
    c->error = errno;
    give_up(a);
    return false;
}

static void try_next(struct loop_connect *c)
{
    bool begun = false;
    while (!begun && c->next < c->count)
        begun = begin(c, &c->attempts[c->next++]);
    if (begun && c->winner == NULL && c->next < c->count)
        loop_timer_set(c->stagger, CONNECT_STAGGER_MS);
    else if (!begun && c->pending == 0)
        loop_task_schedule(c->loop, &c->task);
}

static void on_stagger(void *arg)
{
    struct loop_connect *c = arg;
    must_be(c, CONNECT_MAGIC);
    try_next(c);
}

/* The order of the look-up, but with the families taking turns (RFC 8305, 4): a family that
 * does not work here costs one pause and not one for each of its addresses. */
static void take_turns(struct loop_connect *c, const struct burrow_addr *addrs, size_t n)
{
    bool used[CONNECT_MAX_ADDRESSES] = {false};
    uint32_t last = 0;
    for (c->count = 0; c->count < n; c->count++) {
        size_t pick = n;
        for (size_t i = 0; i < n; i++) {
            if (used[i])
                continue;
            if (pick == n)
                pick = i;
            if (addrs[i].family != last) {
                pick = i;
                break;
            }
        }
        used[pick] = true;
        last = addrs[pick].family;
        c->attempts[c->count] = (struct attempt){.owner = c, .addr = addrs[pick], .fd = -1};
    }
}

struct loop_connect *loop_connect(struct loop *loop, const struct burrow_addr *addrs, size_t n,
                                  const struct loop_connect_events *events, void *arg)
{
    struct loop_connect *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->magic = CONNECT_MAGIC;
    c->loop = loop;
    c->events = events;
    c->arg = arg;
    c->error = EHOSTUNREACH;
    loop_task_init(&c->task, LOOP_PHASE_OUTPUT, tell, c);
    c->stagger = loop_timer_create(loop, on_stagger, c);
    if (c->stagger == NULL) {
        connect_free(c);
        return NULL;
    }
    take_turns(c, addrs, n < CONNECT_MAX_ADDRESSES ? n : CONNECT_MAX_ADDRESSES);
    try_next(c);
    return c;
}

void loop_connect_cancel(struct loop_connect *connect)
{
    if (connect == NULL)
        return;
    must_be(connect, CONNECT_MAGIC);
    connect_free(connect);
}
