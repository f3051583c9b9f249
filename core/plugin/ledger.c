/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: every watch, timer, look-up and watch of files that an instance takes from the
 * loop is on one of four lists until it is given back. What is left at the end is named in the log
 * and taken away, so that no callback outlives its instance.
 */
#include "plugin/internal.h"

#include <stdlib.h>

static void list_init(struct holding *head)
{
    head->prev = head->next = head;
}

void ledger_add(struct holding *head, struct holding *h)
{
    h->prev = head->prev;
    h->next = head;
    head->prev->next = h;
    head->prev = h;
}

void ledger_remove(struct holding *h)
{
    h->prev->next = h->next;
    h->next->prev = h->prev;
}

void ledger_init(struct burrow_self *self)
{
    list_init(&self->watches);
    list_init(&self->timers);
    list_init(&self->lookups);
    list_init(&self->files);
}

struct burrow_watch *ledger_watch(struct burrow_self *self, int fd, int events, burrow_io_fn *fn,
                                  void *arg)
{
    must_be(self, SELF_MAGIC);
    struct burrow_watch *w = self->loop ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return NULL;
    /* The plugin's own function, without a step between: this is the way of every byte. */
    w->watch = loop_watch(self->loop, fd, events, fn, arg);
    if (!w->watch) {
        free(w);
        return NULL;
    }
    w->magic = WATCH_MAGIC;
    w->fd = fd;
    w->self = self;
    ledger_add(&self->watches, &w->holding);
    return w;
}

int ledger_rewatch(struct burrow_watch *w, int events)
{
    must_be(w, WATCH_MAGIC);
    return loop_rewatch(w->watch, events);
}

void ledger_unwatch(struct burrow_watch *w)
{
    if (!w)
        return;
    must_be(w, WATCH_MAGIC);
    ledger_remove(&w->holding);
    loop_unwatch(w->watch);
    w->magic = 0;
    free(w);
}

void ledger_feed(struct burrow_watch *w, int events)
{
    must_be(w, WATCH_MAGIC);
    loop_feed(w->watch, events);
}

static void timer_free(struct burrow_timer *t)
{
    ledger_remove(&t->holding);
    loop_timer_destroy(t->timer);
    t->magic = 0;
    free(t);
}

static void timer_fired(void *arg)
{
    struct burrow_timer *t = arg;
    must_be(t, TIMER_MAGIC);
    burrow_timer_fn *fn = t->fn;
    void *fn_arg = t->arg;
    timer_free(t);
    fn(fn_arg);
}

struct burrow_timer *ledger_after(struct burrow_self *self, uint64_t ms, burrow_timer_fn *fn,
                                  void *arg)
{
    must_be(self, SELF_MAGIC);
    struct burrow_timer *t = self->loop ? calloc(1, sizeof *t) : NULL;
    if (!t)
        return NULL;
    t->timer = loop_timer_create(self->loop, timer_fired, t);
    if (!t->timer) {
        free(t);
        return NULL;
    }
    t->magic = TIMER_MAGIC;
    t->self = self;
    t->fn = fn;
    t->arg = arg;
    ledger_add(&self->timers, &t->holding);
    loop_timer_set(t->timer, ms);
    return t;
}

void ledger_cancel(struct burrow_timer *t)
{
    if (!t)
        return;
    must_be(t, TIMER_MAGIC);
    timer_free(t);
}

static void lookup_free(struct burrow_lookup *l)
{
    ledger_remove(&l->holding);
    l->magic = 0;
    free(l);
}

static void lookup_done(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct burrow_lookup *l = arg;
    must_be(l, LOOKUP_MAGIC);
    burrow_resolve_fn *fn = l->fn;
    void *fn_arg = l->arg;
    lookup_free(l);
    fn(fn_arg, result, addrs, n, error);
}

struct burrow_lookup *ledger_resolve(struct burrow_self *self, const char *name, uint16_t port,
                                     burrow_resolve_fn *fn, void *arg)
{
    must_be(self, SELF_MAGIC);
    struct burrow_lookup *l = self->loop ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
    l->lookup = loop_resolve(self->loop, name, port, lookup_done, l);
    if (!l->lookup) {
        free(l);
        return NULL;
    }
    l->magic = LOOKUP_MAGIC;
    l->self = self;
    l->fn = fn;
    l->arg = arg;
    ledger_add(&self->lookups, &l->holding);
    return l;
}

void ledger_resolve_cancel(struct burrow_lookup *l)
{
    if (!l)
        return;
    must_be(l, LOOKUP_MAGIC);
    loop_resolve_cancel(l->lookup);
    lookup_free(l);
}

void ledger_clear(struct burrow_self *self)
{
    uint64_t watches = 0, timers = 0, lookups = 0;
    int first_fd = -1;
    while (self->watches.next != &self->watches) {
        struct burrow_watch *w = container_of(self->watches.next, struct burrow_watch, holding);
        if (watches++ == 0)
            first_fd = w->fd;
        ledger_unwatch(w);
    }
    for (; self->timers.next != &self->timers; timers++)
        ledger_cancel(container_of(self->timers.next, struct burrow_timer, holding));
    for (; self->lookups.next != &self->lookups; lookups++)
        ledger_resolve_cancel(container_of(self->lookups.next, struct burrow_lookup, holding));
    uint64_t files = files_clear(self);
    if (watches + timers + lookups + files == 0)
        return;
    count_add(&self->faults.count, 1);
    log_at(self->log, BURROW_LOG_WARN, "plugin_leftovers", burrow_str("plugin", self->name),
           burrow_uint("watches", watches), burrow_int("first_fd", first_fd),
           burrow_uint("timers", timers), burrow_uint("lookups", lookups),
           burrow_uint("files", files));
}
