/* SPDX-License-Identifier: Apache-2.0 */
/* Non-blocking connects to local targets, TCP and Unix. */
#include "client/dial_target.h"

#include "base/object.h"
#include "wire/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#define DIAL_MAGIC 0x4449414cu
#define MAX_ADDRESSES 8u

struct dial {
    uint32_t magic;
    int fd; /* being connected, or -1 */
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_lookup *lookup;
    struct loop_timer *deadline;
    struct loop_task task; /* tells the result on a stack of its own */
    dial_done_fn *done;
    void *arg;
    struct burrow_addr addrs[MAX_ADDRESSES];
    size_t count, next;
    bool connected;
    uint32_t code;
    const char *text;
};

static void stop_connecting(struct dial *d)
{
    loop_unwatch(d->watch);
    d->watch = NULL;
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

static void dial_free(struct dial *d)
{
    stop_connecting(d);
    loop_resolve_cancel(d->lookup);
    loop_timer_destroy(d->deadline);
    loop_task_cancel(d->loop, &d->task);
    d->magic = 0;
    free(d);
}

static void tell(void *arg)
{
    struct dial *d = arg;
    must_be(d, DIAL_MAGIC);
    int fd = -1;
    if (d->connected) {
        loop_unwatch(d->watch);
        d->watch = NULL;
        fd = d->fd;
        d->fd = -1;
    }
    dial_done_fn *done = d->done;
    void *done_arg = d->arg;
    uint32_t code = d->code;
    const char *text = d->text;
    dial_free(d);
    done(done_arg, fd, code, text);
}

static void finish(struct dial *d)
{
    loop_task_schedule(d->loop, &d->task);
}

static void remember(struct dial *d, int error)
{
    switch (error) {
    case ECONNREFUSED:
        d->code = RESET_REFUSED;
        break;
    case ETIMEDOUT:
        d->code = RESET_TIMED_OUT;
        break;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
        d->code = RESET_LIMIT;
        break;
    default:
        d->code = RESET_UNREACHABLE;
        break;
    }
    d->text = reset_code_name(d->code);
}

static void connected(struct dial *d)
{
    d->connected = true;
    d->code = 0;
    d->text = "";
    finish(d);
}

static void try_next(struct dial *d);

static void on_writable(void *arg, int events)
{
    struct dial *d = arg;
    (void)events;
    must_be(d, DIAL_MAGIC);
    if (d->connected)
        return;
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error == 0) {
        loop_rewatch(d->watch, 0);
        connected(d);
        return;
    }
    remember(d, error);
    stop_connecting(d);
    try_next(d);
}

/* Begins to connect; false: failed at once, with the reason remembered. */
static bool begin(struct dial *d, const struct sockaddr *sa, socklen_t len)
{
    d->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0) {
        remember(d, errno);
        return false;
    }
    int rc;
    do
        rc = connect(d->fd, sa, len);
    while (rc < 0 && errno == EINTR && sa->sa_family == AF_UNIX);
    if (rc == 0) {
        connected(d);
        return true;
    }
    if (errno == EINPROGRESS || (errno == EINTR && sa->sa_family != AF_UNIX)) {
        d->watch = loop_watch(d->loop, d->fd, BURROW_WRITE, on_writable, d);
        if (d->watch != NULL)
            return true;
        errno = ENOMEM;
    }
    remember(d, errno);
    stop_connecting(d);
    return false;
}

static void try_next(struct dial *d)
{
    while (d->next < d->count) {
        struct sockaddr_storage ss;
        socklen_t len = address_to_sockaddr(&d->addrs[d->next++], &ss);
        if (len > 0 && begin(d, (const struct sockaddr *)(const void *)&ss, len))
            return;
    }
    finish(d);
}

static void on_resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct dial *d = arg;
    (void)error;
    must_be(d, DIAL_MAGIC);
    d->lookup = NULL;
    if (result < 0)
        n = 0;
    d->count = n < MAX_ADDRESSES ? n : MAX_ADDRESSES;
    if (d->count > 0)
        memcpy(d->addrs, addrs, d->count * sizeof *addrs);
    try_next(d);
}

static void on_deadline(void *arg)
{
    struct dial *d = arg;
    must_be(d, DIAL_MAGIC);
    if (d->connected)
        return; /* tell is on its way */
    stop_connecting(d);
    loop_resolve_cancel(d->lookup);
    d->lookup = NULL;
    d->code = RESET_TIMED_OUT;
    d->text = reset_code_name(RESET_TIMED_OUT);
    finish(d);
}

static void dial_unix(struct dial *d, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strnlen(path, sizeof un.sun_path - 1));
    if (!begin(d, (const struct sockaddr *)(const void *)&un, sizeof un))
        finish(d);
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
    d->code = RESET_UNREACHABLE;
    d->text = reset_code_name(RESET_UNREACHABLE);
    loop_task_init(&d->task, LOOP_PHASE_OUTPUT, tell, d);
    d->deadline = loop_timer_create(loop, on_deadline, d);
    if (d->deadline == NULL) {
        dial_free(d);
        return NULL;
    }
    loop_timer_set(d->deadline, DIAL_TARGET_MS);
    if (endpoint->is_unix) {
        dial_unix(d, endpoint->path);
    } else if (address_parse_literal(endpoint->host, endpoint->port, &d->addrs[0]) == BURROW_OK) {
        d->count = 1;
        try_next(d);
    } else {
        d->lookup = loop_resolve(loop, endpoint->host, endpoint->port, on_resolved, d);
        if (d->lookup == NULL) {
            dial_free(d);
            return NULL;
        }
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
