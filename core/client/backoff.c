/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential backoff with full jitter. */
#include "client/backoff.h"

#include <string.h>

#define SUPERSEDED_MS 60000u
#define SUPERSEDED_SPREAD_MS 5000u

/* docs/operations.md has this table too, and a test compares them. */
static const struct {
    const char *name;
    uint32_t first_ms, max_ms;
} CAUSES[BACKOFF_CAUSES] = {
    [BACKOFF_NETWORK] = {"network", 1000, 15000},
    [BACKOFF_REFUSED] = {"refused", 5000, 60000},
    [BACKOFF_NOT_YET_VALID] = {"not_yet_valid", 2000, 30000},
    [BACKOFF_EXPIRED_INLINE] = {"expired_inline", 15000, 120000},
    [BACKOFF_EXPIRED_FILE] = {"expired_file", 1000, 10000},
    [BACKOFF_SUPERSEDED] = {"superseded", SUPERSEDED_MS, SUPERSEDED_MS + SUPERSEDED_SPREAD_MS},
};

/* Likewise. Codes with two causes have the one for a token file second. */
static const struct {
    const char *code;
    enum backoff_cause cause, with_file;
} CODES[] = {
    {"missing_bearer", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"invalid_token", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"token_expired", BACKOFF_EXPIRED_INLINE, BACKOFF_EXPIRED_FILE},
    {"token_not_yet_valid", BACKOFF_NOT_YET_VALID, BACKOFF_NOT_YET_VALID},
    {"verifier_config", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"identity_mismatch", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"limit", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"flood", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"protocol", BACKOFF_REFUSED, BACKOFF_REFUSED},
    {"superseded", BACKOFF_SUPERSEDED, BACKOFF_SUPERSEDED},
    {"draining", BACKOFF_NETWORK, BACKOFF_NETWORK},
    {"internal", BACKOFF_NETWORK, BACKOFF_NETWORK},
};

enum backoff_cause backoff_cause_of(const char *code, bool token_file)
{
    for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++)
        if (strcmp(code, CODES[i].code) == 0)
            return token_file ? CODES[i].with_file : CODES[i].cause;
    return BACKOFF_REFUSED;
}

const char *backoff_cause_name(enum backoff_cause cause)
{
    return CAUSES[cause].name;
}

void backoff_init(struct backoff *backoff, uint64_t retry_ms, uint64_t refused_ms)
{
    *backoff = (struct backoff){0};
    for (int i = 0; i < BACKOFF_CAUSES; i++) {
        backoff->first_ms[i] = CAUSES[i].first_ms;
        backoff->max_ms[i] = CAUSES[i].max_ms;
    }
    backoff->first_ms[BACKOFF_NETWORK] = retry_ms;
    backoff->first_ms[BACKOFF_REFUSED] = refused_ms;
    for (int i = 0; i < BACKOFF_CAUSES; i++)
        if (backoff->max_ms[i] < backoff->first_ms[i])
            backoff->max_ms[i] = backoff->first_ms[i];
}

static uint64_t scale(uint64_t limit, uint32_t random)
{
    return (uint64_t)((double)limit * ((double)random / 4294967296.0));
}

uint64_t backoff_next(struct backoff *backoff, enum backoff_cause cause, uint32_t random)
{
    /* Two processes with one id must not fight: the pause is never short. */
    if (cause == BACKOFF_SUPERSEDED)
        return SUPERSEDED_MS + scale(SUPERSEDED_SPREAD_MS, random);
    uint64_t max = backoff->max_ms[cause], limit = backoff->first_ms[cause];
    bool soon = cause == BACKOFF_NETWORK && backoff->soon_ms > 0;
    if (soon && limit <= max / 2)
        max = limit * 2;
    for (uint32_t i = 0; i < backoff->failures[cause] && limit < max; i++)
        limit = limit > max / 2 ? max : limit * 2;
    if (backoff->failures[cause] < UINT32_MAX)
        backoff->failures[cause]++;
    uint64_t pause = scale(limit, random);
    uint64_t floor = limit < BACKOFF_FLOOR_MS ? limit : BACKOFF_FLOOR_MS;
    pause = pause < floor ? floor : pause;
    if (soon)
        backoff->soon_ms -= pause < backoff->soon_ms ? pause : backoff->soon_ms;
    return pause;
}

void backoff_begin_anew(struct backoff *backoff)
{
    memset(backoff->failures, 0, sizeof backoff->failures);
    backoff->soon_ms = BACKOFF_SOON_MS;
}

void backoff_after_session(struct backoff *backoff, uint64_t lasted_ms)
{
    if (lasted_ms >= BACKOFF_LONG_SESSION_MS)
        backoff_begin_anew(backoff);
}
