/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The speed limit of a session, see rate.h. Sending: the round of output.c stops while the
 * bucket is empty. Receiving: a stream that wants credit when there is none waits in a line, and
 * the timer serves the line in lots, so that every stream gets its share; what a stream was
 * given and did not use goes back when it ends.
 */
#include "tunnel/rate.h"

#include "tunnel/internal.h"

#define LEAST_BURST 16384u
#define LEAST_LOT 1024u
#define SECOND_US 1000000u

struct rate {
    struct bucket in, out;
    struct stream_list waiting; /* for credit, the longest first */
    struct loop_timer *timer;
    bool timing, serving, said;
    bool unread; /* the link is not read: version 1 has no credit to hold back */
};

/* ---- buckets -------------------------------------------------------------------------------- */

static int64_t burst(const struct bucket *b)
{
    return (int64_t)(b->per_second / 4 > LEAST_BURST ? b->per_second / 4 : LEAST_BURST);
}

void bucket_init(struct bucket *b, uint64_t per_second, uint64_t now_us)
{
    *b = (struct bucket){.per_second = per_second, .filled_us = now_us};
    b->level = burst(b);
}

void bucket_fill(struct bucket *b, uint64_t now_us)
{
    uint64_t elapsed = now_us > b->filled_us ? now_us - b->filled_us : 0;
    uint64_t whole = elapsed / SECOND_US, part = elapsed % SECOND_US;
    uint64_t add;

    /* A rate is at most 10^15: none of these products passes 64 bits. */
    if (b->per_second == 0)
        return;
    if (whole > 3600)
        whole = 3600;
    b->rest += part * (b->per_second % SECOND_US);
    add = whole * b->per_second + part * (b->per_second / SECOND_US) + b->rest / SECOND_US;
    b->rest %= SECOND_US;
    b->filled_us = now_us;
    b->level += (int64_t)add;
    if (b->level > burst(b))
        b->level = burst(b);
}

uint64_t bucket_lot(const struct bucket *b)
{
    uint64_t lot = b->per_second / 50;

    if (lot < LEAST_LOT)
        lot = b->per_second < LEAST_LOT ? b->per_second : LEAST_LOT;
    return lot;
}

uint64_t bucket_room(const struct bucket *b)
{
    if (b->per_second == 0)
        return UINT64_MAX;
    return b->level >= (int64_t)bucket_lot(b) ? (uint64_t)b->level : 0;
}

void bucket_take(struct bucket *b, uint64_t n)
{
    if (b->per_second != 0)
        b->level -= (int64_t)n;
}

void bucket_give_back(struct bucket *b, uint64_t n)
{
    if (b->per_second == 0)
        return;
    b->level += (int64_t)n;
    if (b->level > burst(b))
        b->level = burst(b);
}

uint64_t bucket_wait_us(const struct bucket *b)
{
    int64_t missing = (int64_t)bucket_lot(b) - b->level;

    if (b->per_second == 0 || missing <= 0)
        return 0;
    return (uint64_t)missing / b->per_second * SECOND_US +
           (uint64_t)missing % b->per_second * SECOND_US / b->per_second + 1;
}

/* ---- the session's ----------------------------------------------------------------------------
 */

static void fill(struct session *s)
{
    uint64_t now = loop_clock_us(s->loop);

    bucket_fill(&s->rate->in, now);
    bucket_fill(&s->rate->out, now);
}

/* Something waits until the bucket has a lot. An earlier time that is set already stays. */
static void wait_for(struct session *s, const struct bucket *b)
{
    struct rate *r = s->rate;

    if (r->timing)
        return;
    r->timing = true;
    s->config.stats->rate_waits++;
    if (!r->said)
        log_at(s->log, BURROW_LOG_INFO, "rate_limited", burrow_str("client", s->name),
               burrow_uint("bytes_per_second", r->in.per_second));
    r->said = true;
    loop_timer_set(r->timer, bucket_wait_us(b) / 1000 + 1);
}

size_t rate_may_send(struct session *s)
{
    uint64_t room;

    if (!s->rate)
        return SIZE_MAX;
    fill(s);
    room = bucket_room(&s->rate->out);
    if (room == 0)
        wait_for(s, &s->rate->out);
    return room < SIZE_MAX ? (size_t)room : SIZE_MAX;
}

void rate_sent(struct session *s, size_t n)
{
    if (s->rate)
        bucket_take(&s->rate->out, n);
}

uint64_t rate_credit(struct stream *st, uint64_t wanted)
{
    struct session *s = st->session;
    struct rate *r = s->rate;
    uint64_t room, lot, most;

    if (!r)
        return wanted;
    if (st->rate_waiting)
        return 0;
    fill(s);
    room = bucket_room(&r->in);
    lot = bucket_lot(&r->in);
    if (room > 0 && (r->serving || TAILQ_EMPTY(&r->waiting))) {
        /* Half of what is there, so that the next one finds some. */
        most = room / 2 > lot ? room / 2 : lot;
        if (wanted > most)
            wanted = most;
        bucket_take(&r->in, wanted);
        return wanted;
    }
    st->rate_waiting = true;
    TAILQ_INSERT_TAIL(&r->waiting, st, rate_entry);
    wait_for(s, &r->in);
    return 0;
}

void rate_received(struct session *s, size_t n)
{
    struct rate *r = s->rate;

    if (!r)
        return;
    fill(s);
    bucket_take(&r->in, n);
    if (r->unread || bucket_room(&r->in) > 0)
        return;
    r->unread = true;
    session_stop_reading(s);
    wait_for(s, &r->in);
}

static void leave_line(struct stream *st)
{
    if (!st->rate_waiting)
        return;
    TAILQ_REMOVE(&st->session->rate->waiting, st, rate_entry);
    st->rate_waiting = false;
}

void rate_finished(struct stream *st, uint64_t unused)
{
    struct session *s = st->session;

    if (!s->rate)
        return;
    leave_line(st);
    bucket_give_back(&s->rate->in, unused);
}

/* One round at most: who is given less than it wants waits for the next. */
static void serve_line(struct session *s)
{
    struct rate *r = s->rate;
    struct stream *st, *last = TAILQ_LAST(&r->waiting, stream_list);

    r->serving = true;
    while ((st = TAILQ_FIRST(&r->waiting)) != NULL && bucket_room(&r->in) > 0) {
        leave_line(st);
        credit_tell(st);
        if (st == last)
            break;
    }
    r->serving = false;
}

static void on_timer(void *arg)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    s->rate->timing = false;
    if (s->over)
        return;
    fill(s);
    serve_line(s);
    if (s->rate->unread && bucket_room(&s->rate->in) > 0) {
        s->rate->unread = false;
        session_read_again(s);
    }
    if (s->rate->unread || !TAILQ_EMPTY(&s->rate->waiting))
        wait_for(s, &s->rate->in);
    output_schedule(s);
}

static struct rate *rate_create(struct session *s)
{
    struct rate *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    TAILQ_INIT(&r->waiting);
    r->timer = loop_timer_create(s->loop, on_timer, s);
    if (r->timer)
        return r;
    free(r);
    return NULL;
}

int rate_set(struct session *s, uint64_t bytes_per_second)
{
    uint64_t now = loop_clock_us(s->loop);

    if (!s->rate && bytes_per_second == 0)
        return BURROW_OK;
    if (!s->rate)
        s->rate = rate_create(s);
    if (!s->rate)
        return BURROW_ENOMEM;
    bucket_init(&s->rate->in, bytes_per_second, now);
    bucket_init(&s->rate->out, bytes_per_second, now);
    loop_timer_set(s->rate->timer, 0);
    s->rate->timing = true;
    return BURROW_OK;
}

void rate_destroy(struct session *s)
{
    struct rate *r = s->rate;

    if (!r)
        return;
    loop_timer_destroy(r->timer);
    s->rate = NULL;
    free(r);
}
