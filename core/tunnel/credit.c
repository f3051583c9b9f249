/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credit: how far each peer may send ahead of the local socket (docs/wire.md, "Credit").
 *
 * A stream's window starts small and doubles while the peer uses a whole one up within two
 * round trips, or runs out of credit though nothing waits here; it catches up with the
 * largest of its session, and halves again for a consumer that became slow. What is outstanding
 * over all streams stays below the session's and the process's budgets. The streams whose windows
 * have grown get equal shares of the session's, since where the consumer is the bottleneck
 * a stream's speed is its window's part of all; and at most half of what is still free, so
 * that late streams find room; and never less than a floor, so that none stands still.
 */
#include "tunnel/internal.h"

/* A round trip on loopback is shorter than one turn of a busy loop. */
#define SHORTEST_ROUND_US 2000u
#define SLOW_FACTOR 16u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void credit_add(struct stream *st, uint64_t n)
{
    st->limit += n;
    st->session->credit_out += n;
    st->session->config.budget->used += n;
}

static void credit_sub(struct session *s, uint64_t n)
{
    s->credit_out -= n;
    s->config.budget->used -= n;
}

static uint64_t credit_free(const struct session *s)
{
    const struct budget *budget = s->config.budget;
    uint64_t session = s->config.session_window_max > s->credit_out
                           ? s->config.session_window_max - s->credit_out
                           : 0;
    uint64_t process = budget->limit > budget->used ? budget->limit - budget->used : 0;

    return min_u64(session, process);
}

static void set_window(struct stream *st, uint64_t window)
{
    bool grown = window > st->session->config.window;

    if (grown != st->grown)
        st->session->grown_count += grown ? 1 : -1u;
    st->grown = grown;
    st->window = window;
    if (st->session->grown_count == 0)
        st->session->top_window = 0;
    else if (window > st->session->top_window)
        st->session->top_window = window;
}

uint64_t credit_small_window(const struct session *s)
{
    return credit_free(s) >= s->config.window ? s->config.window : CREDIT_FLOOR;
}

void credit_begin(struct stream *st, uint64_t window)
{
    st->window = window;
    st->epoch_us = loop_clock_us(st->session->loop);
    credit_add(st, rate_credit(st, window));
}

void credit_consumed(struct stream *st, uint64_t n)
{
    st->consumed += n;
    credit_sub(st->session, n);
}

void credit_finish(struct stream *st)
{
    rate_finished(st, st->limit - st->received);
    credit_sub(st->session, st->limit - st->consumed);
    st->limit = st->consumed;
    set_window(st, 0);
}

void credit_received(struct stream *st, uint64_t n)
{
    credit_add(st, n);
}

uint64_t credit_allowance(const struct stream *st, uint64_t most)
{
    uint64_t held = st->limit - st->consumed;

    return min_u64(most, max_u64((credit_free(st->session) + held) / 2, CREDIT_FLOOR));
}

/*
 * Judges once per window how it was consumed. It was too small when the peer is almost out of
 * credit though nothing waits here: the round trip, not the consumer, holds the stream back.
 * It is too large when most of it waits here and took long.
 */
static void credit_adapt(struct stream *st)
{
    struct session *s = st->session;
    uint64_t now, elapsed, round, waiting, unused;

    if (st->consumed - st->epoch_consumed < st->window)
        return;
    now = loop_clock_us(s->loop);
    elapsed = now - st->epoch_us;
    round = max_u64(2 * s->rtt_us, SHORTEST_ROUND_US);
    waiting = st->received - st->consumed;
    unused = st->limit - st->received;
    if (elapsed <= round || (unused < st->window / 4 && waiting < st->window / 4)) {
        if (st->window < s->config.stream_window_max) {
            set_window(st, min_u64(2 * st->window, s->config.stream_window_max));
            session_measure(s);
        }
    } else if (unused < st->window / 2 && waiting < st->window / 2 && st->window < s->top_window) {
        set_window(st, s->top_window); /* as much as the others of this session have */
    } else if (elapsed > SLOW_FACTOR * round && waiting > st->window / 2 &&
               st->window > s->config.window) {
        set_window(st, max_u64(st->window / 2, s->config.window));
    }
    st->epoch_us = now;
    st->epoch_consumed = st->consumed;
}

bool credit_renew(struct stream *st)
{
    const struct session *s = st->session;
    uint64_t outstanding = st->limit - st->consumed, share, target, given;

    if (st->fin_received || st->dead)
        return false;
    credit_adapt(st);
    share = min_u64((credit_free(s) + outstanding) / 2,
                    s->config.session_window_max / (s->grown_count + 1));
    target = min_u64(st->window, max_u64(share, CREDIT_FLOOR));
    if (outstanding > target / 2)
        return false;
    given = rate_credit(st, target - outstanding);
    credit_add(st, given);
    return given > 0;
}
