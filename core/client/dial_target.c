/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to local targets, TCP by loop/connect.h, and Unix. */
#include "client/dial_target.h"

#include "base/object.h"
#include "loop/connect.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define DIAL_MAGIC 0x4449414cu

struct dial {
    uint32_t magic;
    int fd;    /* of a Unix socket, until it is told; else -1 */
    int error; /* errno of a Unix socket's connect */
    struct loop *loop;
    struct loop_lookup *lookup;
    struct loop_connect *connect;
    struct loop_timer *deadline;
    struct loop_task task; /* tells of a Unix socket on a stack of its own */
    dial_done_fn *done;
    void *arg;
};

static void dial_free(struct dial *d)
{
    if (d->fd >= 0)
        close(d->fd);
    loop_resolve_cancel(d->lookup);
    loop_connect_cancel(d->connect);
    loop_timer_destroy(d->deadline);
    loop_task_cancel(d->loop, &d->task);
    d->magic = 0;
    free(d);
}

static uint32_t reset_code(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return RESET_REFUSED;
    case ETIMEDOUT:
        return RESET_TIMED_OUT;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
        return RESET_LIMIT;
    default:
        return RESET_UNREACHABLE;
    }
}

/* fd >= 0, or an errno. */
static void finish(struct dial *d, int fd, int error)
{
    dial_done_fn *done = d->done;
    void *done_arg = d->arg;
    uint32_t code = fd >= 0 ? 0 : reset_code(error);
    dial_free(d);
    done(done_arg, fd, code, fd >= 0 ? "" : reset_code_name(code));
}

static void on_connected(void *arg, int fd, const struct burrow_addr *addr, int error)
{
    struct dial *d = arg;
    (void)addr;
    must_be(d, DIAL_MAGIC);
    d->connect = NULL;
    finish(d, fd, error);
}

static const struct loop_connect_events connect_events = {.done = on_connected};

static void on_resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct dial *d = arg;
    (void)error;
    must_be(d, DIAL_MAGIC);
    d->lookup = NULL;
    if (result < 0 || n == 0) {
        finish(d, -1, EHOSTUNREACH);
        return;
    }
    d->connect = loop_connect(d->loop, addrs, n, &connect_events, d);
    if (d->connect == NULL)
        finish(d, -1, ENOMEM);
}

static void on_deadline(void *arg)
{
    struct dial *d = arg;
    must_be(d, DIAL_MAGIC);
    finish(d, -1, ETIMEDOUT);
}

static void on_unix_done(void *arg)
{
    struct dial *d = arg;
    must_be(d, DIAL_MAGIC);
    int fd = d->fd;
    d->fd = -1;
    finish(d, fd, d->error);
}

/* A Unix socket connects at once or not at all: EAGAIN is a full backlog. */
static void dial_unix(struct dial *d, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strnlen(path, sizeof un.sun_path - 1));
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = -1;
    if (d->fd >= 0)
        do
            rc = connect(d->fd, (const struct sockaddr *)(const void *)&un, sizeof un);
        while (rc < 0 && errno == EINTR);
    if (rc < 0) {
        d->error = errno;
        if (d->fd >= 0)
            close(d->fd);
        d->fd = -1;
    }
    loop_task_schedule(d->loop, &d->task);
}

struct dial *dial_target(struct loop *loop, const struct endpoint *endpoint, dial_done_fn *done,
                         void *arg)
{
    struct dial *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->magic = DIAL_MAGIC;
    d->fd = -1;
    d->loop = loop;
    d->done = done;
    d->arg = arg;
    loop_task_init(&d->task, LOOP_PHASE_OUTPUT, on_unix_done, d);
    d->deadline = loop_timer_create(loop, on_deadline, d);
    if (d->deadline == NULL) {
        dial_free(d);
        return NULL;
    }
    loop_timer_set(d->deadline, DIAL_TARGET_MS);
    struct burrow_addr literal;
    if (endpoint->is_unix)
        dial_unix(d, endpoint->path);
    else if (address_parse_literal(endpoint->host, endpoint->port, &literal) == BURROW_OK)
        d->connect = loop_connect(loop, &literal, 1, &connect_events, d);
    else
        d->lookup = loop_resolve(loop, endpoint->host, endpoint->port, on_resolved, d);
    if (!endpoint->is_unix && d->connect == NULL && d->lookup == NULL) {
        dial_free(d);
        return NULL;
    }
    return d;
}

void dial_cancel(struct dial *dial)
{
    if (dial == NULL)
        return;
    must_be(dial, DIAL_MAGIC);
    dial_free(dial);
}
