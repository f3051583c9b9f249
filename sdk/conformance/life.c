/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of every kind: create, interleaved instances, stop, options, want of memory. */
#include "conformance.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVES 12
#define ALLOCATIONS_MAX 200000u

static void work(struct life *life)
{
    kind_of(life->subject)->work(life);
}

static void create_twice(struct subject *s)
{
    struct life a, b;
    life_init(&a, s);
    life_init(&b, s);
    fake_must(life_create(&a) == BURROW_OK, "create succeeds with the options given");
    fake_must(life_create(&b) == BURROW_OK, "a second instance beside the first can be created");
    fake_must(a.self != b.self || a.self == NULL, "each instance is its own");
    life_destroy(&a);
    life_destroy(&b);
}

static void interleaved(struct subject *s)
{
    struct life a, b;
    life_begin(&a, s);
    life_begin(&b, s);
    work(&a);
    work(&b);
    work(&a);
    life_stop(&a);
    life_destroy(&a);
    work(&b);
    life_stop(&b);
    life_destroy(&b);
}

static void stop_at_once(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    life_stop(&life);
    life_destroy(&life);
}

static void destroy_unstarted(struct subject *s)
{
    struct life life;
    life_init(&life, s);
    fake_must(life_create(&life) == BURROW_OK, "create succeeds with the options given");
    fake_must(life.host.watches + life.host.timers + life.host.lookups == 0,
              "create takes nothing from the loop");
    life_destroy(&life);
}

static void stop_pending(struct subject *s)
{
    struct life life;
    const struct kind *kind = kind_of(s);
    if (kind->begin == NULL)
        skip("nothing can be pending in this kind");
    life_begin(&life, s);
    kind->begin(&life);
    if (s->d->kind == BURROW_KIND_TRANSPORT) { /* its host has closed the links by then */
        kind->end(&life);
        life_stop(&life);
    } else {
        life_stop(&life);
        life_idle(&life, 120000);
        kind->end(&life);
    }
    life_destroy(&life);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");
    fake_must(dir != NULL, "there is /proc");
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

static void one_life(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    work(&life);
    life_stop(&life);
    life_destroy(&life);
}

static void nothing_left(struct subject *s)
{
    /* Libraries set themselves up at their first use, and that stays. */
    for (int i = 0; i < 3; i++)
        one_life(s);
    unsigned fds = open_descriptors();
    long blocks = allocations_live();
    for (int i = 0; i < LIVES; i++)
        one_life(s);
    unsigned fds_after = open_descriptors();
    long blocks_after = allocations_live();
    if (fds_after > fds)
        fake_host_fail("broken: after destroy nothing is left: %d lives left %u descriptors open",
                       LIVES, fds_after - fds);
    /* A leak comes back in every life; a cache that grew once does not. */
    if (blocks_after - blocks >= LIVES * (s->keeps + 1))
        fake_host_fail(
            "broken: after destroy nothing is left: each life leaves %ld blocks of memory",
            (blocks_after - blocks) / LIVES);
}

/* ---- tables ---- */

static void not_there(void)
{
    fake_host_fail("broken: an entry beyond the table's size is not called (BURROW_HAS asks)");
}

/* The host of the first version: what later ones added lies beyond its size. */
static void make_old(struct burrow_host *table)
{
    void (*trap)(void) = not_there;
    table->size = (uint32_t)(offsetof(struct burrow_host, stopped) + sizeof table->stopped);
    table->abi_minor = 0;
    for (size_t at = table->size; at + sizeof trap <= sizeof *table; at += sizeof trap)
        memcpy((char *)table + at, (void *)&trap, sizeof trap);
}

static void older_host(struct subject *s)
{
    struct life life;
    life_init(&life, s);
    make_old(&life.host.table);
    if (life_create(&life) != BURROW_OK) {
        fake_must(life.host.error[0] != '\0', "a plugin that needs a newer host says so");
        life_destroy(&life);
        return;
    }
    if (life_start(&life) == BURROW_OK)
        work(&life);
    life_stop(&life);
    life_destroy(&life);
}

static void newer_host(struct subject *s)
{
    struct life life;
    struct {
        struct burrow_host table;
        void (*more[8])(void);
    } later;
    life_init(&life, s);
    later.table = life.host.table;
    later.table.size = sizeof later;
    later.table.abi_minor = 99;
    for (size_t i = 0; i < sizeof later.more / sizeof *later.more; i++)
        later.more[i] = not_there;
    int rc = life.d->create(&later.table, life.config, &life.self);
    life.created = rc == BURROW_OK;
    fake_must(rc == BURROW_OK, "a larger host table of a later burrow is as good");
    if (life_start(&life) == BURROW_OK)
        work(&life);
    life_stop(&life);
    life_destroy(&life);
}

/* ---- options ---- */

/* Whatever the options are, the plugin works or says why it will not. */
static void try_options(struct subject *s, int left_out, const char *instead)
{
    struct life life;
    struct error err = {0};
    if (life_configure(&life, s, left_out, instead, &err) != BURROW_OK) {
        config_destroy(life.parsed);
        return; /* the host refuses them */
    }
    if (life_create(&life) == BURROW_OK) {
        if (life_start(&life) == BURROW_OK)
            life_stop(&life);
        else
            fake_must(life.host.error[0] != '\0', "verror explains a start that fails");
    }
    life_destroy(&life);
}

static void unset_options(struct subject *s)
{
    for (int i = 0; i < s->pair_count; i++)
        try_options(s, i, NULL);
    int all = s->pair_count;
    s->pair_count = 0;
    try_options(s, -1, NULL);
    s->pair_count = all;
}

static void garbage_options(struct subject *s)
{
    static char lengthy[8193];
    static const char *const garbage[] = {
        "", " ", "/nonexistent/file", "/dev/null", "/", "\x1b[31m", "%s%n%p", "x", "-1", lengthy};
    memset(lengthy, 'a', sizeof lengthy - 1);
    if (s->pair_count == 0)
        skip("no options are given");
    for (int i = 0; i < s->pair_count; i++)
        for (size_t g = 0; g < sizeof garbage / sizeof *garbage; g++)
            try_options(s, i, garbage[g]);
}

static void reload(struct subject *s)
{
    struct life life, next;
    if (s->d->reload == NULL)
        skip("the plugin has no reload");
    life_begin(&life, s);
    work(&life);
    life_init(&next, s); /* a freshly parsed config */
    life.host.error[0] = '\0';
    int rc = s->d->reload(life.self, next.config);
    if (rc != BURROW_OK)
        fake_must(life.host.error[0] != '\0', "verror explains a reload that fails");
    fake_must(rc == BURROW_OK, "a reload of the same options succeeds");
    struct config *old = life.parsed;
    life.parsed = next.parsed;
    life.config = next.config;
    config_destroy(old); /* lives until the next successful reload, and no longer */
    fake_host_finish(&next.host);
    work(&life);
    life_stop(&life);
    life_destroy(&life);
}

/* ---- want of memory ---- */

static unsigned poor_life(struct subject *s, unsigned k)
{
    struct life life;
    life_init(&life, s);
    life.hurried = true;
    allocations_arm(&life, k);
    if (life_create(&life) == BURROW_OK) {
        if (life_start(&life) == BURROW_OK) {
            work(&life);
            life_stop(&life);
        }
    }
    unsigned n = allocations_disarm();
    life_destroy(&life);
    return n;
}

static void failed_allocations(struct subject *s)
{
    if (!allocations_are_seen())
        fake_host_fail("malloc is another's; with Valgrind give "
                       "--soname-synonyms=somalloc=nouserintercepts");
    one_life(s); /* what libraries do once is not the plugin's */
    unsigned n = poor_life(s, 0), step = 1;
    const char *text = getenv("CONFORMANCE_STEP");
    if (text != NULL && atoi(text) > 1)
        step = (unsigned)atoi(text);
    for (unsigned k = 1; k < ALLOCATIONS_MAX; k += step) {
        fprintf(stderr, "k = %u of about %u\n", k, n);
        alarm((unsigned)CHECK_SECONDS);
        if (poor_life(s, k) < k) {
            fprintf(stderr, NOTE "of about %u allocations each failed in its turn", n);
            fprintf(stderr, step > 1 ? ", by steps of %u\n" : "\n", step);
            return;
        }
    }
}

const struct check life_checks[] = {
    {"create-twice", "two instances of one plugin must work side by side", create_twice},
    {"destroy-unstarted", "create takes nothing from the loop; destroy may follow at once",
     destroy_unstarted},
    {"stop-at-once", "stop is answered by host->stopped, also when nothing has happened",
     stop_at_once},
    {"interleaved", "an instance knows nothing of another: two work in turn, one stops first",
     interleaved},
    {"stop-pending", "stop may come with requests open; nothing is answered after stopped",
     stop_pending},
    {"nothing-left", "what an instance takes it gives back: descriptors, memory, the ledger",
     nothing_left},
    {"older-host", "a field is there when the giver's size reaches past it; ask before using it",
     older_host},
    {"newer-host", "tables grow only at their end: a larger one is as good", newer_host},
    {"unset-options", "an option that is unset is NULL, 0 or false, and never a crash",
     unset_options},
    {"garbage-options", "verror explains a negative result of check, create, start or reload",
     garbage_options},
    {"reload", "the old config lives until the next successful reload, and no longer", reload},
    {"failed-allocations", "every allocation may fail: an error, never a crash",
     failed_allocations},
    {NULL, NULL, NULL},
};
