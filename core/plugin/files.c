/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watched files: host.watch_files. They are looked at by time instead of by inotify, since what
 * matters is the file behind the name, through links that are swapped (as Kubernetes renews
 * a mounted secret) and on network file systems that tell nothing; one stat a second for each
 * costs nothing.
 */
#include "plugin/internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LOOK_MS 1000u

/* What a file looks like from outside; zeros: it is not there, or not to be seen. */
struct look {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
};

struct watched {
    char *path;
    struct look told, last; /* when fn was called; at the last look */
};

struct burrow_files {
    struct holding holding;
    uint32_t magic;
    struct burrow_self *self;
    struct loop_timer *timer;
    burrow_files_fn *fn;
    void *arg;
    bool calling, unwatched; /* inside fn; unwatched there */
    size_t n;
    struct watched watched[BURROW_FILES_MAX];
};

static struct look look_at(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct look){0};
    return (struct look){st.st_dev, st.st_ino, st.st_size, st.st_mtim, st.st_ctim};
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same(const struct look *a, const struct look *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

static void files_free(struct burrow_files *f)
{
    ledger_remove(&f->holding);
    loop_timer_destroy(f->timer);
    while (f->n > 0)
        free(f->watched[--f->n].path);
    f->magic = 0;
    free(f);
}

/* path: one that has changed. */
static void tell(struct burrow_files *f, const char *path)
{
    struct burrow_self *self = f->self;
    struct error said = {0}, *outer = self->err;
    self->err = &said;
    f->calling = true;
    int rc = f->fn(f->arg);
    f->calling = false;
    self->err = outer;
    if (rc >= 0) {
        count_add(&self->file_counts.taken, 1);
        log_at(self->log, BURROW_LOG_INFO, "file_reloaded", burrow_str("plugin", self->name),
               burrow_str("file", path));
        return;
    }
    count_add(&self->file_counts.refused, 1);
    log_at(self->log, BURROW_LOG_ERROR, "file_refused", burrow_str("plugin", self->name),
           burrow_str("file", path),
           burrow_str("reason", said.code != 0 ? said.text : error_name(rc)));
}

static void on_look(void *arg)
{
    struct burrow_files *f = arg;
    must_be(f, FILES_MAGIC);
    bool settled = true;
    const char *changed = NULL;
    for (size_t i = 0; i < f->n; i++) {
        struct watched *w = &f->watched[i];
        struct look now = look_at(w->path);
        settled = settled && same(&now, &w->last);
        w->last = now;
        if (!same(&now, &w->told))
            changed = w->path;
    }
    if (settled && changed != NULL) {
        for (size_t i = 0; i < f->n; i++)
            f->watched[i].told = f->watched[i].last;
        tell(f, changed);
        if (f->unwatched) {
            files_free(f);
            return;
        }
    }
    loop_timer_set(f->timer, LOOK_MS);
}

struct burrow_files *files_watch(struct burrow_self *self, const char *const *paths, uint32_t n,
                                 burrow_files_fn *fn, void *arg)
{
    must_be(self, SELF_MAGIC);
    struct burrow_files *f = self->loop && n <= BURROW_FILES_MAX ? calloc(1, sizeof *f) : NULL;
    if (!f)
        return NULL;
    f->magic = FILES_MAGIC;
    f->self = self;
    f->fn = fn;
    f->arg = arg;
    ledger_add(&self->files, &f->holding);
    f->timer = loop_timer_create(self->loop, on_look, f);
    bool complete = f->timer != NULL;
    for (uint32_t i = 0; complete && i < n; i++) {
        if (!paths[i] || !paths[i][0])
            continue;
        struct watched *w = &f->watched[f->n];
        w->path = strdup(paths[i]);
        complete = w->path != NULL;
        if (complete)
            w->told = w->last = look_at(w->path);
        f->n += complete;
    }
    if (!complete) {
        files_free(f);
        return NULL;
    }
    if (f->n > 0)
        loop_timer_set(f->timer, LOOK_MS);
    return f;
}

void files_unwatch(struct burrow_files *f)
{
    if (!f)
        return;
    must_be(f, FILES_MAGIC);
    if (f->calling)
        f->unwatched = true;
    else
        files_free(f);
}

uint64_t files_clear(struct burrow_self *self)
{
    uint64_t n = 0;
    for (; self->files.next != &self->files; n++)
        files_unwatch(container_of(self->files.next, struct burrow_files, holding));
    return n;
}
