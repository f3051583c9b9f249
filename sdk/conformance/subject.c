/* SPDX-License-Identifier: Apache-2.0 */
/* The lives of an instance under test: options as burrow reads them, a host that is a fake. */
#include "conformance.h"

#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SKIPPED 77
#define PAIRS_MAX 64

void skip(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fflush(stderr);
    _exit(SKIPPED);
}

int patience(void)
{
    const char *text = getenv("CONFORMANCE_PATIENCE");
    int n = text != NULL ? atoi(text) : 1;
    return n >= 1 && n <= 100 ? n : 1;
}

const struct kind *kind_of(const struct subject *subject)
{
    static const struct kind *const kinds[] = {&kind_auth, &kind_registry, &kind_transport,
                                               &kind_command};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i]->kind == subject->d->kind)
            return kinds[i];
    return NULL;
}

int life_configure(struct life *life, struct subject *subject, int left_out, const char *instead,
                   struct error *err)
{
    char *argv[PAIRS_MAX], *none[] = {NULL};
    int argc = 0;
    memset(life, 0, sizeof *life);
    life->subject = subject;
    life->d = subject->d;
    for (int i = 0; i < subject->pair_count && argc < PAIRS_MAX; i++) {
        const char *pair = subject->pairs[i];
        size_t key = strcspn(pair, "=");
        char *word = NULL;
        if (i == left_out && instead == NULL)
            continue;
        if (asprintf(&word, "--%.*s=%s", (int)key, pair,
                     i == left_out       ? instead
                     : pair[key] != '\0' ? pair + key + 1
                                         : "true") < 0)
            abort();
        argv[argc++] = word; /* lives as long as this child */
    }
    struct config_sources sources = {argc, argv, none, NULL};
    const struct config_group group = {"plugin", NULL, false, life->d->options,
                                       life->d->config_size};
    const struct config_others others = {.commands = NULL};
    int rc = config_read(&sources, &life->parsed, err);
    if (rc == BURROW_OK)
        rc = config_parse(life->parsed, &group, 1, &others, &life->config, err);
    if (rc == BURROW_OK)
        fake_host_init(&life->host);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return rc;
}

void life_init(struct life *life, struct subject *subject)
{
    struct error err = {0};
    if (life_configure(life, subject, -1, NULL, &err) != BURROW_OK)
        fake_host_fail("the options given are refused: %s", err.text);
}

int life_create(struct life *life)
{
    life->host.error[0] = '\0';
    int rc = life->d->check != NULL ? life->d->check(&life->host.table, life->config) : BURROW_OK;
    fake_must(rc <= 0, "results are 0 or negative");
    fake_must(life->host.watches + life->host.timers + life->host.lookups + life->host.files == 0,
              "check has no side effects");
    if (rc == BURROW_OK) {
        rc = life->d->create(&life->host.table, life->config, &life->self);
        fake_must(rc <= 0, "results are 0 or negative");
        life->created = rc == BURROW_OK;
    }
    if (rc != BURROW_OK && rc != BURROW_ENOMEM && life->host.error[0] == '\0')
        fake_host_fail("broken: verror explains a negative result of check, create, start or "
                       "reload (%d came without a word)",
                       rc);
    return rc;
}

int life_start(struct life *life)
{
    kind_of(life->subject)->bind(life);
    life->host.error[0] = '\0';
    int rc = life->d->start != NULL ? life->d->start(life->self) : BURROW_OK;
    fake_must(rc <= 0, "results are 0 or negative");
    return rc;
}

void life_bring_up(struct life *life)
{
    if (life_create(life) != BURROW_OK)
        fake_host_fail("create fails with the options given: %s", life->host.error);
    if (life_start(life) != BURROW_OK)
        fake_host_fail("start fails with the options given: %s", life->host.error);
}

void life_begin(struct life *life, struct subject *subject)
{
    life_init(life, subject);
    life_bring_up(life);
}

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Who waits for the network has had a moment; who waits for the clock gets it. Two ends that shake
 * hands may need a long moment; a hurried life waits for turns alone, so that each goes the same
 * way. */
static bool is_the_clocks(const struct life *life, unsigned turns, uint64_t waited_ms)
{
    unsigned calm = life->d->kind == BURROW_KIND_TRANSPORT ? (unsigned)patience() : 1;
    if (life->hurried)
        return turns > 40;
    return turns > 100 * calm || waited_ms > 500 * calm;
}

static void advance(struct fake_host *host, uint64_t ms)
{
    if (!fake_host_advance_to_timer(host))
        fake_host_advance(host, ms);
}

/* On a machine that gives a process little time, seconds pass in which nobody could do a thing: who
 * has failed has had its turns too. */
bool life_wait(struct life *life, struct life *other, bool (*done)(void *), void *arg)
{
    uint64_t began = real_ms(), now = began;
    for (unsigned turns = 0; !done(arg); turns++) {
        if (now - began > (uint64_t)REAL_LIMIT_MS && turns > TURNS_LIMIT)
            return false;
        fake_host_turn(&life->host, life->hurried ? 0 : 2);
        if (other != NULL)
            fake_host_turn(&other->host, 2);
        uint64_t before = now;
        now = real_ms();
        if (life->by_real_clock) {
            fake_host_advance(&life->host, now - before);
        } else if (is_the_clocks(life, turns, now - began)) {
            advance(&life->host, life->hurried ? 250 : 20);
            if (other != NULL)
                advance(&other->host, 20);
        }
    }
    return true;
}

void life_idle(struct life *life, uint64_t ms)
{
    for (int i = 0; i < 20; i++) {
        fake_host_advance(&life->host, ms / 20);
        fake_host_turn(&life->host, 1);
    }
}

static bool has_stopped(void *arg)
{
    return ((struct life *)arg)->host.stopped;
}

void life_stop(struct life *life)
{
    life->host.stopped = false;
    life->d->stop(life->self);
    if (!life_wait(life, NULL, has_stopped, life))
        fake_host_fail("broken: stop is answered by host->stopped (it was not, for %d s)",
                       REAL_LIMIT_MS / 1000);
    fake_must(life->host.left_at_stop == 0, "once it has stopped, the instance holds nothing: no "
                                            "watch, timer, look-up or watched file");
}

void life_destroy(struct life *life)
{
    if (life->d->kind == BURROW_KIND_TRANSPORT && life->transport.ops != NULL)
        fake_transport_forget(&life->transport);
    if (life->created)
        life->d->destroy(life->self);
    fake_host_finish(&life->host);
    config_destroy(life->parsed);
}
