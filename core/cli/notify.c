/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the service manager; see notify.h. */
#include "cli/notify.h"

#include "base/object.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NOTIFY_MAGIC 0x4e544659u
#define STATUS_MS 5000u

struct notify {
    uint32_t magic;
    struct loop *loop;
    notify_status_fn *status;
    void *arg;
    int fd; /* -1: nobody listens */
    struct loop_timer *timer;
    uint64_t every_ms;
    bool watchdog;
    char told[NOTIFY_STATUS_MAX];
};

static void send_text(struct notify *notify, const char *text)
{
    if (notify == NULL || notify->fd < 0)
        return;
    /* A manager that does not read is no reason to wait: the next message tells the same. */
    ssize_t n;
    do
        n = send(notify->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
}

static void tell_status(struct notify *notify)
{
    char now[NOTIFY_STATUS_MAX] = "", text[NOTIFY_STATUS_MAX + 16];
    if (notify->status == NULL)
        return;
    notify->status(notify->arg, now, sizeof now);
    if (strcmp(now, notify->told) == 0)
        return;
    memcpy(notify->told, now, sizeof now);
    snprintf(text, sizeof text, "STATUS=%s", now);
    send_text(notify, text);
}

static void on_timer(void *arg)
{
    struct notify *notify = arg;
    must_be(notify, NOTIFY_MAGIC);
    if (notify->watchdog)
        send_text(notify, "WATCHDOG=1");
    tell_status(notify);
    loop_timer_set(notify->timer, notify->every_ms);
}

/* "/path" or "@abstract" (sd_notify(3)); vsock is for guests of a manager outside. */
static int connect_to(const char *name)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof sun.sun_path)
        return -1;
    memcpy(sun.sun_path, name, n);
    if (name[0] == '@')
        sun.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&sun, len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* A whole number of a variable; 0: not there, or no number. */
static uint64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? value : 0;
}

static void choose_pulse(struct notify *notify)
{
    uint64_t usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");
    notify->every_ms = STATUS_MS;
    notify->watchdog = usec > 0 && (pid == 0 || pid == (uint64_t)getpid());
    if (notify->watchdog && usec / 3000 < STATUS_MS)
        notify->every_ms = usec / 3000 > 0 ? usec / 3000 : 1;
}

struct notify *notify_create(struct loop *loop, notify_status_fn *status, void *arg)
{
    struct notify *notify = calloc(1, sizeof *notify);
    if (notify == NULL)
        return NULL;
    const char *name = getenv("NOTIFY_SOCKET");
    notify->magic = NOTIFY_MAGIC;
    notify->loop = loop;
    notify->status = status;
    notify->arg = arg;
    notify->fd = name != NULL ? connect_to(name) : -1;
    choose_pulse(notify);
    notify->timer = loop_timer_create(loop, on_timer, notify);
    if (notify->timer == NULL) {
        notify_destroy(notify);
        return NULL;
    }
    if (notify->fd >= 0)
        loop_timer_set(notify->timer, notify->every_ms);
    return notify;
}

void notify_destroy(struct notify *notify)
{
    if (notify == NULL)
        return;
    must_be(notify, NOTIFY_MAGIC);
    loop_timer_destroy(notify->timer);
    if (notify->fd >= 0)
        close(notify->fd);
    notify->magic = 0;
    free(notify);
}

void notify_ready(struct notify *notify)
{
    send_text(notify, "READY=1");
    if (notify != NULL)
        tell_status(notify);
}

void notify_reloading(struct notify *notify)
{
    char text[80];
    if (notify == NULL)
        return;
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             loop_clock_us(notify->loop));
    send_text(notify, text);
}

void notify_stopping(struct notify *notify)
{
    send_text(notify, "STOPPING=1");
}
