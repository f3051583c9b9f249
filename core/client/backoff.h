/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next attempt. The pause doubles with each failure of the same
 * cause up to a limit and is drawn from the whole range below it (full jitter), so that a
 * thousand clients of a server that restarted do not come back at the same moment. Pure.
 */
#ifndef CLIENT_BACKOFF_H
#define CLIENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

enum backoff_cause {
    BACKOFF_NETWORK,        /* no connection, or it was lost */
    BACKOFF_REFUSED,        /* 401 and other refusals */
    BACKOFF_NOT_YET_VALID,  /* the token's time has not come */
    BACKOFF_EXPIRED_INLINE, /* only a restart brings another token */
    BACKOFF_EXPIRED_FILE,   /* the file may hold another at any moment */
    BACKOFF_SUPERSEDED,     /* another process has this client id */
    BACKOFF_CAUSES
};

/* What an error code of the server or of a proxy means for the pause; token_file: the token may
 * be another one next time. A code that is not known counts as a refusal. */
enum backoff_cause backoff_cause_of(const char *code, bool token_file);
/* For metrics: "network", "refused", … */
const char *backoff_cause_name(enum backoff_cause cause);

#define BACKOFF_FLOOR_MS 100u
#define BACKOFF_LONG_SESSION_MS 60000u
/* After a good session the pauses for the network stay below twice the first one until they make
 * this up: a server that is replaced is mostly back by then, and its clients are to be, too. */
#define BACKOFF_SOON_MS 10000u

struct backoff {
    uint64_t first_ms[BACKOFF_CAUSES], max_ms[BACKOFF_CAUSES];
    uint32_t failures[BACKOFF_CAUSES];
    uint64_t soon_ms; /* of pauses for the network that stay short */
};

/* retry_ms and refused_ms: the first limits of NETWORK and REFUSED, more than 0; a first
 * limit above the last one raises that. */
void backoff_init(struct backoff *backoff, uint64_t retry_ms, uint64_t refused_ms);
/* The next pause in ms; random: 32 random bits. */
uint64_t backoff_next(struct backoff *backoff, enum backoff_cause cause, uint32_t random);
/* A session of this length has ended: after a long one, everything begins anew. */
void backoff_after_session(struct backoff *backoff, uint64_t lasted_ms);
/* Everything begins anew, as after a long session: the server has said that it stops. */
void backoff_begin_anew(struct backoff *backoff);

#endif
