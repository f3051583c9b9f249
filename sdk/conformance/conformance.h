/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside burrow-conformance: the plugin under test, its lives, and the tables of checks. Each
 * check runs in a child process of its own and ends that with fake_host_fail when a sentence
 * of the contract is broken, so that a crash or a hang is one check's failure.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "config/config.h"
#include "fake_command.h"
#include "fake_link.h"
#include "plugin/plugin.h"

#include <burrow/auth.h>
#include <burrow/registry.h>
#include <burrow/transport.h>

/* For anything that is waited for: so long, and so many turns. */
#define REAL_LIMIT_MS (8000 * patience())
#define TURNS_LIMIT 2000
#define NOTE "note: " /* a line on stderr that is printed also when the check holds */
/* alarm() ends a check, or one round of a check of many. */
#define CHECK_SECONDS (90 * patience())

/* What the command line says. */
struct subject {
    struct plugin *plugin;
    const struct burrow_plugin *d;
    char **pairs; /* key=value */
    int pair_count;
    const char *only, *scheme; /* or NULL */
    const char *run;           /* the words of a command to run: every command has them */
    const char *token; /* of auth: one that is allowed, or NULL; so is a certificate, in DER */
    uint8_t *certificate;
    size_t certificate_len;
    bool is_unix, allows_garbage;
    long keeps; /* blocks of memory that a library keeps of each life */
};

/* One instance, from options to destroy. */
struct life {
    struct subject *subject;
    const struct burrow_plugin *d;
    struct fake_host host;
    struct config *parsed; /* owns config */
    void *config;
    void *self;
    bool created;
    bool hurried;                         /* waits are short: nothing but the clock will come */
    bool by_real_clock;                   /* no time-out of the plugin's comes early */
    struct fake_transport transport;      /* of the kind transport */
    struct burrow_registry_host registry; /* of the kind registry */
    struct fake_command command;          /* of the kind command */
};

struct check {
    const char *name, *sentence;
    void (*run)(struct subject *);
};

/* What the checks of every life need to know of a kind. `work` is a typical use, to its end;
 * it keeps to the contract also where the plugin fails for want of memory, and then goes no
 * further. `begin` leaves requests open. */
struct kind {
    uint32_t kind;
    void (*bind)(struct life *);
    void (*work)(struct life *);
    void (*begin)(struct life *);
    void (*end)(struct life *); /* of what begin has begun; stop has been called, or will be */
    const struct check *checks; /* ends with a NULL name */
};

extern const struct kind kind_auth, kind_registry, kind_transport, kind_command;
extern const struct check life_checks[];
const struct kind *kind_of(const struct subject *subject);

/* ---- subject.c ---- */
/* By how much all limits of real time are longer: 1, or CONFORMANCE_PATIENCE. */
int patience(void);
/* Parses the pairs, without the `left_out`-th and with value `instead` for it when that is not
 * NULL (left_out < 0: all as given). 0, or negative with err. */
int life_configure(struct life *life, struct subject *subject, int left_out, const char *instead,
                   struct error *err);
/* The same, a failed check when the options are refused. */
void life_init(struct life *life, struct subject *subject);
/* check and create: 0, or the plugin's negative result, which it must have explained unless it
 * is for want of memory. */
int life_create(struct life *life);
/* bind and start. */
int life_start(struct life *life);
/* create and start, both of which must succeed. */
void life_bring_up(struct life *life);
/* life_init, and these. */
void life_begin(struct life *life, struct subject *subject);
/* Stop, and the wait for its answer. */
void life_stop(struct life *life);
void life_destroy(struct life *life); /* and frees the rest */
/* Turns until done(arg); the clock moves too when nothing happens. False: the time is over. */
bool life_wait(struct life *life, struct life *other, bool (*done)(void *), void *arg);
/* Some turns in which something unwanted would show; ms of the clock go by. */
void life_idle(struct life *life, uint64_t ms);
/* Ends the check with this as the reason why it does not apply. */
__attribute__((format(printf, 1, 2), noreturn)) void skip(const char *fmt, ...);

/* ---- allocations.c ---- */
/* From now on the k-th allocation of the plugin's own code fails (k 0: none), those that it asks
 * of the host among them. */
void allocations_arm(struct life *life, unsigned k);
/* Returns how many there were. */
unsigned allocations_disarm(void);
/* Whether the plugin's calls come to us at all: a tool may stand in between. */
bool allocations_are_seen(void);
/* Blocks that the whole process has; 0 where a sanitizer looks for leaks itself. */
long allocations_live(void);

#endif
