/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake host's two files share: the things that a plugin takes from it. */
#ifndef BURROW_TESTKIT_FAKE_HOST_INTERNAL_H
#define BURROW_TESTKIT_FAKE_HOST_INTERNAL_H

#include "fake_host.h"

#include <ev.h>

#define FAKE_SCRATCH_SIZE (256u * 1024u)

struct burrow_watch {
    ev_io io;
    struct fake_host *fake;
    burrow_io_fn *fn;
    void *arg;
    int interest;
    int fed;     /* events that wait for a turn in which they are wanted */
    bool listed; /* for the next turn */
    struct burrow_watch *fed_next;
};

struct burrow_timer {
    struct burrow_timer *next;
    struct fake_host *fake;
    uint64_t due;
    burrow_timer_fn *fn;
    void *arg;
};

struct burrow_files {
    struct burrow_files *next;
    struct fake_host *fake;
    uint32_t n;
    char paths[BURROW_FILES_MAX][256];
    burrow_files_fn *fn;
    void *arg;
};

struct fake_post {
    struct fake_post *next;
    burrow_timer_fn *fn;
    void *arg;
};

struct burrow_lookup {
    struct fake_host *fake;
    struct burrow_timer *timer;
    struct burrow_addr addr;
    burrow_resolve_fn *fn;
    void *arg;
};

extern const struct burrow_host fake_host_table;
/* Takes it off the list of what is fed. */
void fake_watch_unlist(struct burrow_watch *watch);

#endif
