/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake host gives to a plugin: its table, and the watches, timers, look-ups and watched
 * files that are taken by it. fake_host.c makes them happen. */
#include "fake_host_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_host *fake_of(struct burrow_self *self)
{
    return (struct fake_host *)(void *)self;
}

static void add_line(struct fake_host *fake, int32_t level, const char *text)
{
    struct fake_log_line *line = &fake->log[fake->log_count++ % FAKE_LOG_LINES];
    line->level = level;
    snprintf(line->text, sizeof line->text, "%s", text);
    if (getenv("FAKE_HOST_VERBOSE") != NULL)
        fprintf(stderr, "[%d] %s\n", (int)level, text);
}

__attribute__((format(printf, 3, 0))) static void host_vlog(struct burrow_self *self, int32_t level,
                                                            const char *fmt, va_list ap)
{
    char text[256];
    vsnprintf(text, sizeof text, fmt, ap);
    add_line(fake_of(self), level, text);
}

__attribute__((format(printf, 3, 0))) static void
host_verror(struct burrow_self *self, int32_t code, const char *fmt, va_list ap)
{
    struct fake_host *fake = fake_of(self);
    vsnprintf(fake->error, sizeof fake->error, fmt, ap);
    fake->error_code = code;
}

static uint64_t host_now_ms(struct burrow_self *self)
{
    return fake_of(self)->now_ms;
}

static void on_ev(struct ev_loop *loop, ev_io *io, int revents)
{
    (void)loop;
    struct burrow_watch *watch = (struct burrow_watch *)(void *)io;
    int events =
        ((revents & EV_READ) ? BURROW_READ : 0) | ((revents & EV_WRITE) ? BURROW_WRITE : 0);
    watch->fn(watch->arg, events);
}

static void set_interest(struct burrow_watch *watch, int events)
{
    ev_io_stop((struct ev_loop *)watch->fake->ev, &watch->io);
    watch->interest = events;
    if (events == 0)
        return;
    ev_io_set(&watch->io, watch->io.fd,
              ((events & BURROW_READ) ? EV_READ : 0) | ((events & BURROW_WRITE) ? EV_WRITE : 0));
    ev_io_start((struct ev_loop *)watch->fake->ev, &watch->io);
}

static void list_fed(struct burrow_watch *watch)
{
    struct fake_host *fake = watch->fake;
    if (watch->listed || (watch->fed & watch->interest) == 0)
        return;
    watch->listed = true;
    watch->fed_next = NULL;
    *fake->fed_tail = watch;
    fake->fed_tail = &watch->fed_next;
}

/* Events that nobody waits for stay until somebody does. */
static void host_feed(struct burrow_watch *watch, int events)
{
    watch->fed |= events;
    list_fed(watch);
}

static struct burrow_watch *host_watch(struct burrow_self *self, int fd, int events,
                                       burrow_io_fn *fn, void *arg)
{
    struct fake_host *fake = fake_of(self);
    if (fake_host_denies(fake))
        return NULL;
    struct burrow_watch *watch = (struct burrow_watch *)calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->fake = fake;
    watch->fn = fn;
    watch->arg = arg;
    ev_init(&watch->io, on_ev);
    ev_io_set(&watch->io, fd, 0);
    set_interest(watch, events);
    fake->watches++;
    return watch;
}

static int host_rewatch(struct burrow_watch *watch, int events)
{
    if (events != watch->interest)
        set_interest(watch, events);
    list_fed(watch);
    return BURROW_OK;
}

void fake_watch_unlist(struct burrow_watch *watch)
{
    watch->listed = false;
    struct fake_host *fake = watch->fake;
    for (struct burrow_watch **p = &fake->fed_head; *p != NULL; p = &(*p)->fed_next) {
        if (*p != watch)
            continue;
        *p = watch->fed_next;
        if (fake->fed_tail == &watch->fed_next)
            fake->fed_tail = p;
        return;
    }
}

static void host_unwatch(struct burrow_watch *watch)
{
    if (watch == NULL)
        return;
    set_interest(watch, 0);
    fake_watch_unlist(watch);
    watch->fake->watches--;
    free(watch);
}

static struct burrow_timer *host_after(struct burrow_self *self, uint64_t ms, burrow_timer_fn *fn,
                                       void *arg)
{
    struct fake_host *fake = fake_of(self);
    if (fake_host_denies(fake))
        return NULL;
    struct burrow_timer *timer = (struct burrow_timer *)calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->fake = fake;
    timer->due = fake->now_ms + ms;
    timer->fn = fn;
    timer->arg = arg;
    timer->next = fake->timer_head;
    fake->timer_head = timer;
    fake->timers++;
    return timer;
}

static void host_cancel(struct burrow_timer *timer)
{
    if (timer == NULL)
        return;
    struct burrow_timer **p = &timer->fake->timer_head;
    while (*p != timer) {
        fake_must(*p != NULL, "a timer is not cancelled twice, nor after it ran");
        p = &(*p)->next;
    }
    *p = timer->next;
    timer->fake->timers--;
    free(timer);
}

static int host_post(struct burrow_self *self, burrow_timer_fn *fn, void *arg)
{
    struct fake_host *fake = fake_of(self);
    struct fake_post *post =
        fake_host_denies(fake) ? NULL : (struct fake_post *)calloc(1, sizeof *post);
    if (post == NULL)
        return BURROW_ENOMEM;
    post->fn = fn;
    post->arg = arg;
    pthread_mutex_lock(&fake->post_lock);
    struct fake_post **p = &fake->posted;
    while (*p != NULL)
        p = &(*p)->next;
    *p = post;
    pthread_mutex_unlock(&fake->post_lock);
    return BURROW_OK;
}

static void *host_native_loop(struct burrow_self *self, const char *flavour)
{
    fake_of(self)->is_native = true;
    return strcmp(flavour, "libev") == 0 ? fake_of(self)->ev : NULL;
}

static void *host_scratch(struct burrow_self *self, size_t n)
{
    return n <= FAKE_SCRATCH_SIZE ? fake_of(self)->scratch : NULL;
}

static void on_lookup(void *arg)
{
    struct burrow_lookup *lookup = (struct burrow_lookup *)arg;
    lookup->fake->lookups--;
    if (lookup->addr.family == 0)
        lookup->fn(lookup->arg, BURROW_EIO, NULL, 0, "the name is not known");
    else
        lookup->fn(lookup->arg, BURROW_OK, &lookup->addr, 1, NULL);
    free(lookup);
}

static struct burrow_lookup *host_resolve(struct burrow_self *self, const char *name, uint16_t port,
                                          burrow_resolve_fn *fn, void *arg)
{
    struct fake_host *fake = fake_of(self);
    struct burrow_lookup *lookup = (struct burrow_lookup *)calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    lookup->fake = fake;
    lookup->fn = fn;
    lookup->arg = arg;
    lookup->addr.port = port;
    if (strcmp(name, "localhost") == 0)
        name = "127.0.0.1";
    if (inet_pton(AF_INET, name, lookup->addr.bytes) == 1)
        lookup->addr.family = 4;
    else if (inet_pton(AF_INET6, name, lookup->addr.bytes) == 1)
        lookup->addr.family = 6;
    lookup->timer = host_after(self, 0, on_lookup, lookup);
    if (lookup->timer == NULL) {
        free(lookup);
        return NULL;
    }
    fake->lookups++;
    return lookup;
}

static void host_resolve_cancel(struct burrow_lookup *lookup)
{
    if (lookup == NULL)
        return;
    host_cancel(lookup->timer);
    lookup->fake->lookups--;
    free(lookup);
}

static void host_event(struct burrow_self *self, int32_t level, const char *name,
                       const struct burrow_field *fields, size_t n)
{
    char text[256];
    size_t at = (size_t)snprintf(text, sizeof text, "event=%s", name);
    for (size_t i = 0; i < n && at < sizeof text; i++) {
        if (fields[i].type == BURROW_FIELD_STR && fields[i].len == UINT32_MAX)
            at += (size_t)snprintf(text + at, sizeof text - at, " %s=%s", fields[i].name,
                                   fields[i].str);
        else if (fields[i].type == BURROW_FIELD_STR)
            at += (size_t)snprintf(text + at, sizeof text - at, " %s=%.*s", fields[i].name,
                                   (int)fields[i].len, fields[i].str);
        else
            at += (size_t)snprintf(text + at, sizeof text - at, " %s=%lld", fields[i].name,
                                   (long long)fields[i].num);
    }
    add_line(fake_of(self), level, text);
}

static void host_metric_add(struct burrow_self *self, uint32_t index, int64_t delta)
{
    fake_must(index < FAKE_METRICS, "metric_add is given an index of the plugin's metrics table");
    fake_of(self)->metrics[index] += delta;
}

static void host_stopped(struct burrow_self *self)
{
    struct fake_host *fake = fake_of(self);
    fake_must(!fake->stopped, "stop is answered once");
    fake->stopped = true;
    fake->left_at_stop = fake->watches + fake->timers + fake->lookups + fake->files;
}

static struct burrow_files *host_watch_files(struct burrow_self *self, const char *const *paths,
                                             uint32_t n, burrow_files_fn *fn, void *arg)
{
    struct fake_host *fake = fake_of(self);
    if (fake_host_denies(fake))
        return NULL;
    struct burrow_files *files = (struct burrow_files *)calloc(1, sizeof *files);
    if (files == NULL)
        return NULL;
    fake_must(n <= BURROW_FILES_MAX, "watch_files is given at most BURROW_FILES_MAX paths");
    files->fake = fake;
    files->fn = fn;
    files->arg = arg;
    for (uint32_t i = 0; i < n; i++)
        if (paths[i] != NULL && paths[i][0] != '\0')
            snprintf(files->paths[files->n++], sizeof files->paths[0], "%s", paths[i]);
    files->next = fake->files_head;
    fake->files_head = files;
    fake->files++;
    return files;
}

static void host_unwatch_files(struct burrow_files *files)
{
    if (files == NULL)
        return;
    struct burrow_files **p = &files->fake->files_head;
    while (*p != files)
        p = &(*p)->next;
    *p = files->next;
    files->fake->files--;
    free(files);
}
const struct burrow_host fake_host_table = {
    .size = sizeof fake_host_table,
    .abi_minor = BURROW_ABI_MINOR,
    .vlog = host_vlog,
    .verror = host_verror,
    .now_ms = host_now_ms,
    .watch = host_watch,
    .rewatch = host_rewatch,
    .unwatch = host_unwatch,
    .feed = host_feed,
    .after = host_after,
    .cancel = host_cancel,
    .post = host_post,
    .native_loop = host_native_loop,
    .scratch = host_scratch,
    .resolve = host_resolve,
    .resolve_cancel = host_resolve_cancel,
    .event = host_event,
    .metric_add = host_metric_add,
    .stopped = host_stopped,
    .watch_files = host_watch_files,
    .unwatch_files = host_unwatch_files,
};
