/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: their making, their states and their ends. A stream that ends is taken out of
 * every list at once; its end is told, and its memory freed, at the end of the turn, so that
 * no callback runs inside a call of the end itself.
 */
#include "tunnel/internal.h"

struct stream *stream_new(struct session *s, uint64_t id, bool local)
{
    struct stream *st = calloc(1, sizeof *st);

    if (!st)
        return NULL;
    st->magic = STREAM_MAGIC;
    st->id = id;
    st->session = s;
    st->local = local;
    st->opened_ms = loop_now_ms(s->loop);
    st->opened_us = loop_clock_us(s->loop);
    HASH_ADD(by_id, s->streams, id, sizeof st->id, st);
    if (!st->by_id.tbl) {
        free(st);
        return NULL;
    }
    s->stream_count++;
    s->config.stats->streams_active++;
    s->config.stats->streams_opened++;
    return st;
}

static void stream_unlist(struct stream *st)
{
    struct session *s = st->session;

    if (st->ready) {
        TAILQ_REMOVE(&s->ready, st, ready_entry);
        s->ready_count--;
    }
    if (st->touched)
        TAILQ_REMOVE(&s->touched, st, touched_entry);
    if (st->starved)
        s->starved_count--;
    if (st->local && !st->accepted)
        s->opens_pending--;
    if (st->fin_sent)
        s->half_closed--;
    st->ready = st->touched = st->starved = false;
}

void stream_accepted(struct stream *st)
{
    struct session *s = st->session;

    st->accepted = true;
    s->opens_pending--;
    const uint64_t took = loop_clock_us(s->loop) - st->opened_us;
    latency_add(&s->config.stats->open_latency, took);
    if (st->service)
        latency_add(&st->service->open_latency, took);
}

struct service_stats *service_stats_create(void)
{
    struct service_stats *stats = calloc(1, sizeof *stats);

    if (stats)
        atomic_init(&stats->refs, 1);
    return stats;
}

struct service_stats *service_stats_ref(struct service_stats *stats)
{
    atomic_fetch_add_explicit(&stats->refs, 1, memory_order_relaxed);
    return stats;
}

void service_stats_unref(struct service_stats *stats)
{
    if (stats && atomic_fetch_sub(&stats->refs, 1) == 1)
        free(stats);
}

void stream_count_in(struct stream *st, struct service_stats *stats)
{
    must_be(st, STREAM_MAGIC);
    must(!st->service);
    st->service = service_stats_ref(stats);
    count_add(&stats->streams_active, 1);
}

static void count_end(struct stream *st, uint32_t code)
{
    struct session_stats *stats = st->session->config.stats;
    const size_t codes = sizeof stats->stream_ends / sizeof *stats->stream_ends;
    const size_t at = code < codes ? code : RESET_INTERNAL;

    stats->streams_active--;
    stats->stream_ends[at]++;
    if (!st->service)
        return;
    count_add(&st->service->streams_active, (uint64_t)-1);
    count_add(&st->service->stream_ends[at], 1);
    service_stats_unref(st->service);
    st->service = NULL;
}

void stream_finish(struct stream *st, uint32_t code, const char *text, size_t n, bool tell)
{
    struct session *s = st->session;

    must(!st->dead);
    stream_unlist(st);
    s->wire->finished(st);
    credit_finish(st);
    HASH_DELETE(by_id, s->streams, st);
    if (s->last_found == st)
        s->last_found = NULL;
    s->stream_count--;
    count_end(st, code);
    pool_put(loop_pool(s->loop), st->held);
    st->held = st->held_tail = NULL;
    st->dead = true;
    st->tell = tell && st->ops;
    st->end_code = code;
    if (n > 0 && st->tell)
        st->end_text = strndup(text, n); /* a lost text costs nothing but detail */
    TAILQ_INSERT_TAIL(&s->dead, st, dead_entry);
    output_schedule(s);
}

void streams_bury(struct session *s)
{
    struct stream *st;

    while ((st = TAILQ_FIRST(&s->dead)) != NULL) {
        TAILQ_REMOVE(&s->dead, st, dead_entry);
        if (st->tell)
            st->ops->ended(st->end, st->end_code, st->end_text ? st->end_text : "");
        free(st->end_text);
        st->magic = 0;
        free(st);
    }
}

void stream_maybe_done(struct stream *st)
{
    if (st->fin_sent && st->fin_delivered && st->consumed == st->received)
        stream_finish(st, 0, NULL, 0, true);
}

void stream_violation(struct stream *st, const char *text)
{
    struct session *s = st->session;
    uint32_t dropped;
    if (log_sample(&s->violation_sample, loop_now_ms(s->loop), &dropped))
        log_at(s->log, BURROW_LOG_WARN, "stream_protocol_error", burrow_str("client", s->name),
               burrow_uint("stream", st->id), burrow_str("reason", text),
               burrow_uint("left_out", dropped));
    s->wire->reset(st, RESET_PROTOCOL, text);
    stream_finish(st, RESET_PROTOCOL, text, strlen(text), true);
}

int stream_open(struct session *s, const struct frame_open *open, const struct stream_ops *ops,
                void *end, struct stream **ret)
{
    struct stream *st;
    int rc;

    must_be(s, SESSION_MAGIC);
    if (s->over)
        return BURROW_EIO;
    if (s->draining || s->control_bytes > OPENS_QUEUE_MAX)
        return BURROW_EAGAIN;
    if (s->stream_count >= s->config.max_streams)
        return BURROW_ENOMEM;
    st = stream_new(s, s->next_id, true);
    if (!st)
        return BURROW_ENOMEM;
    st->ops = ops;
    st->end = end;
    s->opens_pending++;
    rc = s->wire->open(st, open);
    if (rc < 0) {
        stream_finish(st, RESET_INTERNAL, NULL, 0, false);
        return rc;
    }
    session_arm(s);
    *ret = st;
    return BURROW_OK;
}

void stream_set_end(struct stream *st, const struct stream_ops *ops, void *end)
{
    must_be(st, STREAM_MAGIC);
    st->ops = ops;
    st->end = end;
}

void stream_accept(struct stream *st)
{
    struct session *s;

    must_be(st, STREAM_MAGIC);
    must(!st->local && st->ops);
    s = st->session;
    if (st->dead || s->over || st->accepted)
        return;
    s->wire->accept(st);
    if (s->over)
        return;
    st->accepted = true;
    if (st->held || st->fin_received) {
        receive_touch(st);
        output_schedule(s); /* which delivers it */
    }
}

void stream_raise_limit(struct stream *st, uint64_t limit)
{
    if (limit <= st->send_limit)
        return;
    st->send_limit = limit;
    if (st->starved) {
        st->starved = false;
        st->session->starved_count--;
        stream_ready(st);
    }
}

void stream_ready(struct stream *st)
{
    must_be(st, STREAM_MAGIC);
    if (st->dead || st->ready || st->starved || st->fin_sent || st->session->over)
        return;
    st->ready = true;
    st->session->ready_count++;
    TAILQ_INSERT_TAIL(&st->session->ready, st, ready_entry);
    output_schedule(st->session);
}

void stream_consumed(struct stream *st, size_t n)
{
    struct session *s;

    must_be(st, STREAM_MAGIC);
    s = st->session;
    if (st->dead || s->over)
        return;
    must(n <= st->received - st->consumed);
    s->wire->consumed(st, n);
    stream_maybe_done(st);
}

void stream_reset(struct stream *st, uint32_t code, const char *text)
{
    must_be(st, STREAM_MAGIC);
    st->tell = false;
    if (st->dead)
        return;
    if (!st->session->over)
        st->session->wire->reset(st, code, text);
    stream_finish(st, code, NULL, 0, false);
}

struct session *stream_session(const struct stream *st)
{
    return st->session;
}

uint64_t stream_id(const struct stream *st)
{
    return st->id;
}

bool stream_holds_up_others(const struct stream *st)
{
    return st->session->wire->one_flow;
}
