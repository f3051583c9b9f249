/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, and what they do when descriptors or memory run out. */
#include "loop/acceptor.h"

#include "base/memory.h"
#include "base/object.h"
#include "base/socket.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define GUARD_MAGIC 0x47554152u
#define ACCEPTOR_MAGIC 0x41434350u
#define BACKLOG 4096
#define SAY_EVERY_MS 10000u

/* ---- the guard ---- */

static void take_reserve(struct accept_guard *guard)
{
    if (guard->reserve < 0)
        guard->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void resume_all(void *arg)
{
    struct accept_guard *guard = arg;
    must_be(guard, GUARD_MAGIC);
    take_reserve(guard);
    struct acceptor *a;
    while ((a = TAILQ_FIRST(&guard->paused)) != NULL) {
        TAILQ_REMOVE(&guard->paused, a, entry);
        a->is_paused = false;
        loop_rewatch(a->watch, BURROW_READ);
    }
}

int accept_guard_init(struct accept_guard *guard, struct loop *loop, const struct log *log)
{
    memset(guard, 0, sizeof *guard);
    guard->reserve = -1;
    guard->loop = loop;
    guard->log = log;
    TAILQ_INIT(&guard->paused);
    guard->timer = loop_timer_create(loop, resume_all, guard);
    if (guard->timer == NULL)
        return BURROW_ENOMEM;
    guard->magic = GUARD_MAGIC;
    take_reserve(guard);
    return BURROW_OK;
}

void accept_guard_finish(struct accept_guard *guard)
{
    if (guard->magic == 0)
        return;
    must_be(guard, GUARD_MAGIC);
    must(TAILQ_EMPTY(&guard->paused));
    loop_timer_destroy(guard->timer);
    if (guard->reserve >= 0)
        close(guard->reserve);
    guard->magic = 0;
}

void acceptor_pause(struct acceptor *a)
{
    must_be(a, ACCEPTOR_MAGIC);
    if (a->is_paused)
        return;
    if (TAILQ_EMPTY(&a->guard->paused))
        loop_timer_set(a->guard->timer, ACCEPT_PAUSE_MS);
    a->is_paused = true;
    a->last_us = 0;
    TAILQ_INSERT_TAIL(&a->guard->paused, a, entry);
    loop_rewatch(a->watch, 0);
}

/* No descriptor is free, or what memory is left belongs to those who are here: the connection that
 * waits longest is refused by means of the reserve, so that its user hears something, and the
 * others wait in the backlog. */
static void shed_and_pause(struct acceptor *a, int error)
{
    struct accept_guard *guard = a->guard;
    if (guard->reserve >= 0) {
        close(guard->reserve);
        guard->reserve = -1;
        int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            socket_reset(fd);
            guard->shed++;
        }
        take_reserve(guard);
    }
    acceptor_pause(a);
    guard->pauses++;
    uint64_t now = loop_now_ms(guard->loop);
    if (guard->logged_ms == 0 || now - guard->logged_ms >= SAY_EVERY_MS) {
        guard->logged_ms = now;
        char text[ADDRESS_TEXT];
        log_at(guard->log, BURROW_LOG_WARN, "accept_paused",
               burrow_str("addr", address_format(&a->local, text)),
               burrow_str("reason", strerror(error)), burrow_uint("pauses", guard->pauses),
               burrow_uint("shed", guard->shed));
    }
}

/* ---- accepting ---- */

static bool is_passing(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return false;
    default: /* ECONNABORTED and the network errors of accept(2): of this connection only */
        return true;
    }
}

/*
 * How many to take in this turn. When thousands come at once, each costs a handshake on a turn
 * that follows; who takes more than those turns can bear makes all of them, and every stream,
 * late, until they give up and come again. So the batch shrinks while turns are slow.
 */
static uint32_t batch(struct acceptor *a)
{
    uint64_t now = loop_clock_us(a->guard->loop);
    bool is_slow = a->last_us != 0 && now - a->last_us > ACCEPT_SLOW_US;
    uint32_t half = a->batch / 2;
    a->batch = is_slow ? (half > 0 ? half : 1) : 2 * a->batch;
    if (a->batch == 0 || a->batch > ACCEPT_A_TURN)
        a->batch = ACCEPT_A_TURN;
    a->last_us = now;
    return a->batch;
}

static void on_readable(void *arg, int events)
{
    struct acceptor *a = arg;
    (void)events;
    must_be(a, ACCEPTOR_MAGIC);
    if (!memory_has_room(ACCEPT_MEMORY)) {
        shed_and_pause(a, ENOMEM);
        return;
    }
    const uint32_t most = batch(a);
    for (uint32_t i = 0; i < most && !a->is_paused; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof ss;
        int fd = accept4(a->fd, (struct sockaddr *)(void *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                a->last_us = 0;
                return;
            }
            if (is_passing(errno))
                continue;
            shed_and_pause(a, errno);
            return;
        }
        struct burrow_addr peer = {0};
        address_from_sockaddr(&peer, (const struct sockaddr *)(const void *)&ss);
        a->fn(a->arg, fd, &peer);
    }
}

/* ---- opening ---- */

static int listen_at(const struct sockaddr *sa, socklen_t len, bool both)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, off = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (sa->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? &off : &on, sizeof on);
    if (bind(fd, sa, len) < 0 || listen(fd, BACKLOG) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* As most programs do, "any" is IPv6 with IPv4 inside, or IPv4 alone without IPv6. */
static int listen_any(uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = listen_at((const struct sockaddr *)(const void *)&six, sizeof six, true);
    if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return fd;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    return listen_at((const struct sockaddr *)(const void *)&four, sizeof four, false);
}

static int listen_host(const char *host, uint16_t port, const char **ret_why)
{
    struct burrow_addr addr;
    if (address_parse_literal(host, port, &addr) != BURROW_OK) {
        struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
        int rc = getaddrinfo(host, NULL, &hints, &found);
        if (rc != 0) {
            hints.ai_family = AF_INET6;
            rc = getaddrinfo(host, NULL, &hints, &found);
        }
        if (rc != 0) {
            *ret_why = rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc);
            return -1;
        }
        address_from_sockaddr(&addr, found->ai_addr);
        addr.port = port;
        freeaddrinfo(found);
    }
    struct sockaddr_storage ss;
    socklen_t len = address_to_sockaddr(&addr, &ss);
    static const uint8_t any[16];
    bool both = addr.family == 6 && memcmp(addr.bytes, any, sizeof any) == 0;
    return listen_at((const struct sockaddr *)(const void *)&ss, len, both);
}

static int begin_accepting(struct acceptor *a, struct accept_guard *guard, acceptor_fn *fn,
                           void *arg, struct error *err)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    a->magic = ACCEPTOR_MAGIC;
    a->guard = guard;
    a->fn = fn;
    a->arg = arg;
    if (getsockname(a->fd, (struct sockaddr *)(void *)&ss, &len) == 0)
        address_from_sockaddr(&a->local, (const struct sockaddr *)(const void *)&ss);
    a->watch = loop_watch(guard->loop, a->fd, BURROW_READ, on_readable, a);
    if (a->watch == NULL) {
        acceptor_close(a);
        return error_set(err, BURROW_ENOMEM, "out of memory");
    }
    return BURROW_OK;
}

int acceptor_open(struct acceptor *a, struct accept_guard *guard, const char *host, uint16_t port,
                  acceptor_fn *fn, void *arg, struct error *err)
{
    must_be(guard, GUARD_MAGIC);
    const char *why = NULL;
    memset(a, 0, sizeof *a);
    a->fd = host[0] == '\0' ? listen_any(port) : listen_host(host, port, &why);
    if (a->fd < 0) {
        int failure = why == NULL ? errno : EADDRNOTAVAIL; /* a name that is unknown */
        if (why == NULL)
            why = strerror(failure);
        bool six = strchr(host, ':') != NULL;
        int code = failure == EADDRINUSE ? BURROW_EAGAIN
                   : failure == EACCES   ? BURROW_EDENIED
                   : is_passing(failure) ? BURROW_EIO
                                         : BURROW_ENOMEM;
        return error_set(err, code, "cannot listen at %s%s%s:%u: %s", six ? "[" : "", host,
                         six ? "]" : "", (unsigned)port, why);
    }
    return begin_accepting(a, guard, fn, arg, err);
}

int acceptor_adopt(struct acceptor *a, struct accept_guard *guard, int fd, acceptor_fn *fn,
                   void *arg, struct error *err)
{
    must_be(guard, GUARD_MAGIC);
    memset(a, 0, sizeof *a);
    a->fd = fd;
    return begin_accepting(a, guard, fn, arg, err);
}

/* A socket file that nobody listens at: what a process left that was killed. */
static bool is_abandoned(const struct sockaddr_un *sa)
{
    struct stat st;
    if (lstat(sa->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool abandoned = fd >= 0 &&
                     connect(fd, (const struct sockaddr *)(const void *)sa, sizeof *sa) < 0 &&
                     errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return abandoned;
}

int acceptor_open_path(struct acceptor *a, struct accept_guard *guard, const char *path,
                       acceptor_fn *fn, void *arg, struct error *err)
{
    must_be(guard, GUARD_MAGIC);
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    static_assert(sizeof sa.sun_path == ACCEPTOR_PATH, "unix(7)");
    must(strlen(path) < sizeof sa.sun_path);
    memcpy(sa.sun_path, path, strlen(path));
    memset(a, 0, sizeof *a);
    if (is_abandoned(&sa))
        unlink(path);
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool bound =
        a->fd >= 0 && bind(a->fd, (const struct sockaddr *)(const void *)&sa, sizeof sa) == 0;
    /* Before listen, so that nobody comes in by wider rights. */
    if (!bound || chmod(path, 0660) < 0 || listen(a->fd, BACKLOG) < 0) {
        int rc = error_set(err, BURROW_EIO, "cannot listen at unix:%s: %s", path, strerror(errno));
        if (bound)
            unlink(path);
        if (a->fd >= 0)
            close(a->fd);
        return rc;
    }
    memcpy(a->path, path, strlen(path));
    return begin_accepting(a, guard, fn, arg, err);
}

const char *acceptor_text(const struct acceptor *a, char buf[ACCEPTOR_TEXT])
{
    static_assert(ACCEPTOR_TEXT >= ADDRESS_TEXT, "either form has room");
    if (a->path[0] == '\0')
        return address_format(&a->local, buf);
    snprintf(buf, ACCEPTOR_TEXT, "unix:%s", a->path);
    return buf;
}

void acceptor_close(struct acceptor *a)
{
    if (a->magic == 0)
        return;
    must_be(a, ACCEPTOR_MAGIC);
    if (a->is_paused)
        TAILQ_REMOVE(&a->guard->paused, a, entry);
    loop_unwatch(a->watch);
    if (a->path[0] != '\0')
        unlink(a->path);
    close(a->fd);
    memset(a, 0, sizeof *a);
    a->fd = -1;
}
