/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version 2 of the wire in a session: its frames in and out, its credit (with credit.c), its
 * PINGs. docs/wire.md has the rules.
 */
#include "tunnel/internal.h"

#include "base/checked.h"
#include "wire/control.h"

#define MEASURE_EVERY_MS 200u /* between two PINGs for the round trip */

/* ---- frames in ---------------------------------------------------------------------------- */

static int broken(struct session *s, const char *reason)
{
    session_fail(s, BURROW_CLOSE_PROTOCOL, "protocol", reason);
    return BURROW_EPROTO;
}

static bool id_is_local(const struct session *s, uint64_t id)
{
    return (id & 1) == (s->config.opens_odd ? 1u : 0u);
}

/* 0 and *ret: the stream, or NULL for one that has ended, whose late frames are ignored. An
 * id that never was ends the session. */
static int lookup(struct session *s, uint64_t id, struct stream **ret)
{
    if (id == 0 || (id_is_local(s, id) ? id >= s->next_id : id > s->peer_high))
        return broken(s, "frame for a stream that never was");
    *ret = session_find(s, id);
    return 0;
}

static int on_data(void *arg, uint64_t id, const uint8_t *p, size_t n, bool end)
{
    struct session *s = arg;
    struct stream *st;

    (void)end;
    if (s->over)
        return BURROW_EPROTO;
    if (lookup(s, id, &st) < 0)
        return BURROW_EPROTO;
    if (!st || n == 0)
        return 0;
    if (st->fin_received || (st->local && !st->accepted) || n > st->limit - st->received) {
        stream_violation(st, st->fin_received             ? "data after FIN"
                             : st->local && !st->accepted ? "data before ACCEPT"
                                                          : "data past the window");
        return 0;
    }
    return receive_data(st, p, n);
}

static int on_open(struct session *s, const struct frame_header *h, const uint8_t *payload)
{
    struct frame_open open;
    struct stream *st;

    if (frame_open_decode(&open, payload, h->length) < 0)
        return broken(s, "malformed OPEN");
    if (id_is_local(s, h->stream) || h->stream <= s->peer_high)
        return broken(s, "OPEN with an id that is not above the last");
    s->peer_high = h->stream;
    if (s->draining) {
        output_refusal(s, h->stream, RESET_GOING_AWAY, "draining");
        return 0;
    }
    if (s->stream_count >= s->config.max_streams) {
        output_refusal(s, h->stream, RESET_LIMIT, "too many streams");
        return 0;
    }
    st = stream_new(s, h->stream, false);
    if (!st) {
        output_refusal(s, h->stream, RESET_INTERNAL, "out of memory");
        return 0;
    }
    st->send_limit = open.limit;
    credit_begin(st, s->config.window);
    s->events->opened(s->arg, st, &open);
    return s->over ? BURROW_EPROTO : 0;
}

static int on_accept(struct session *s, struct stream *st, const struct frame_header *h,
                     const uint8_t *payload)
{
    uint64_t limit;

    if (frame_u64_decode(&limit, payload, h->length) < 0)
        return broken(s, "malformed ACCEPT");
    if (!st)
        return 0;
    if (!st->local || st->accepted) {
        stream_violation(st, "unexpected ACCEPT");
        return 0;
    }
    stream_accepted(st);
    stream_raise_limit(st, limit);
    if (st->ops->accepted)
        st->ops->accepted(st->end);
    return 0;
}

static int on_window(struct session *s, struct stream *st, const struct frame_header *h,
                     const uint8_t *payload)
{
    uint64_t consumed, limit;

    if (frame_window_decode(&consumed, &limit, payload, h->length) < 0)
        return broken(s, "malformed WINDOW");
    if (!st)
        return 0;
    if (consumed > st->sent)
        stream_violation(st, "WINDOW for more than was sent");
    else
        stream_raise_limit(st, limit);
    return 0;
}

static int on_fin(struct session *s, struct stream *st, const struct frame_header *h,
                  const uint8_t *payload)
{
    uint64_t final;

    if (frame_u64_decode(&final, payload, h->length) < 0)
        return broken(s, "malformed FIN");
    if (!st)
        return 0;
    if (st->fin_received || (st->local && !st->accepted) || final != st->received) {
        stream_violation(st, "FIN that does not match what came");
        return 0;
    }
    st->fin_received = true;
    receive_touch(st);
    return 0;
}

static int on_reset(struct session *s, struct stream *st, const struct frame_header *h,
                    const uint8_t *payload)
{
    const char *text;
    uint32_t code;
    size_t n;

    if (frame_reset_decode(&code, &text, &n, payload, h->length) < 0)
        return broken(s, "malformed RESET");
    if (!st)
        return 0;
    if (st->touched && st->ops && (st->local || st->accepted))
        receive_deliver(st); /* what came before the reset still counts */
    if (!st->dead)
        stream_finish(st, code ? code : RESET_INTERNAL, text, n, true);
    return 0;
}

static int on_ping(struct session *s, const struct frame_header *h, const uint8_t *payload)
{
    uint64_t second = loop_now_ms(s->loop) / 1000;

    if (frame_u64_decode(&s->pong_value, payload, h->length) < 0)
        return broken(s, "malformed PING");
    if (second != s->ping_second) {
        s->ping_second = second;
        s->pings_in_second = 0;
    }
    if (++s->pings_in_second > MAX_PINGS_A_SECOND) {
        session_fail(s, BURROW_CLOSE_POLICY, "flood", "too many PINGs");
        return BURROW_EPROTO;
    }
    s->pong_due = true;
    output_schedule(s);
    return 0;
}

static int on_pong(struct session *s, const struct frame_header *h, const uint8_t *payload)
{
    uint64_t value, now;

    if (frame_u64_decode(&value, payload, h->length) < 0)
        return broken(s, "malformed PONG");
    if (value == 0 || value != s->ping_value)
        return 0;
    now = loop_clock_us(s->loop);
    s->ping_value = 0;
    if (now >= value) {
        uint64_t sample = now - value;

        latency_add(&s->config.stats->round_trip, sample);
        s->rtt_us = s->rtt_us == 0 ? sample : (7 * s->rtt_us + sample) / 8;
    }
    return 0;
}

static int on_control(struct session *s, const struct frame_header *h, const uint8_t *payload)
{
    struct control *control = calloc(1, sizeof *control);
    struct error err = {0};

    if (!control) {
        session_fail(s, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
        return BURROW_ENOMEM;
    }
    if (control_decode(control, payload, h->length, &err) < 0) {
        free(control);
        return broken(s, err.text);
    }
    if (control->type != CONTROL_UNKNOWN && s->events->control)
        s->events->control(s->arg, control);
    control_finish(control);
    free(control);
    return s->over ? BURROW_EPROTO : 0;
}

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct session *s = arg;
    struct stream *st = NULL;

    if (s->over)
        return BURROW_EPROTO;
    switch (h->kind) {
    case FRAME_CONTROL:
        return on_control(s, h, payload);
    case FRAME_OPEN:
        return on_open(s, h, payload);
    case FRAME_PING:
        return on_ping(s, h, payload);
    case FRAME_PONG:
        return on_pong(s, h, payload);
    default:
        break;
    }
    if (lookup(s, h->stream, &st) < 0)
        return BURROW_EPROTO;
    switch (h->kind) {
    case FRAME_ACCEPT:
        return on_accept(s, st, h, payload);
    case FRAME_WINDOW:
        return on_window(s, st, h, payload);
    case FRAME_FIN:
        return on_fin(s, st, h, payload);
    case FRAME_RESET:
        return on_reset(s, st, h, payload);
    default:
        return 0; /* a kind of a later version */
    }
}

static const struct frame_sink v2_sink = {.frame = on_frame, .data = on_data};

static void v2_receive(struct session *s, const uint8_t *p, size_t n, bool message_end)
{
    const char *error = "malformed frame";

    (void)message_end; /* version 2 is a byte stream */
    if (frame_parser_feed(&s->parser, p, n, &v2_sink, s, &error) < 0 && !s->over)
        session_fail(s, BURROW_CLOSE_PROTOCOL, "protocol", error);
}

/* ---- streams ------------------------------------------------------------------------------ */

static int v2_open(struct stream *st, const struct frame_open *open)
{
    struct session *s = st->session;
    struct frame_open frame = *open;
    uint8_t *p = output_reserve(s);

    if (!p)
        return BURROW_ENOMEM;
    s->next_id += 2;
    credit_begin(st, credit_small_window(s));
    frame.limit = st->limit;
    st->send_limit = s->config.peer_window;
    output_commit(s, frame_open_encode(p, st->id, &frame));
    return BURROW_OK;
}

static void v2_accept(struct stream *st)
{
    uint8_t *p = output_reserve(st->session);

    if (p)
        output_commit(st->session, frame_accept_encode(p, st->id, st->limit));
}

static void v2_reset(struct stream *st, uint32_t code, const char *text)
{
    struct session *s = st->session;
    uint8_t *p;

    if (!st->local && !st->accepted) {
        output_refusal(s, st->id, code, text);
        return;
    }
    p = output_reserve(s);
    if (p)
        output_commit(s, frame_reset_encode(p, st->id, code, text));
}

/* FIN, or RESET for a local reset, which stay behind the stream's data. */
static void v2_local_end(struct stream *st, struct chain *out, bool fin)
{
    struct session *s = st->session;
    struct burrow_buf *b = pool_get(loop_pool(s->loop), FRAME_SMALL_ROOM);

    if (!b) {
        session_fail(s, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
        return;
    }
    b->len = (uint32_t)(fin ? frame_fin_encode(buf_data(b), st->id, st->sent)
                            : frame_reset_encode(buf_data(b), st->id, RESET_PEER_RESET, ""));
    chain_add(out, b);
    if (fin) {
        st->fin_sent = true;
        s->half_closed++;
        stream_maybe_done(st);
    } else {
        stream_finish(st, RESET_PEER_RESET, NULL, 0, true);
    }
}

static void v2_delivered(struct stream *st)
{
    if (st->local || st->accepted)
        stream_maybe_done(st);
}

void credit_tell(struct stream *st)
{
    struct session *s = st->session;

    if (st->window_due || !credit_renew(st))
        return;
    st->window_due = true;
    TAILQ_INSERT_TAIL(&s->window_due, st, window_entry);
    output_schedule(s);
}

static void v2_consumed(struct stream *st, size_t n)
{
    credit_consumed(st, n);
    credit_tell(st);
}

static void v2_finished(struct stream *st)
{
    if (st->window_due)
        TAILQ_REMOVE(&st->session->window_due, st, window_entry);
    st->window_due = false;
}

/* ---- the connection ----------------------------------------------------------------------- */

static void write_windows(struct session *s)
{
    struct stream *st;
    uint8_t *p;

    while ((st = TAILQ_FIRST(&s->window_due)) != NULL) {
        p = output_reserve(s);
        if (!p)
            return;
        TAILQ_REMOVE(&s->window_due, st, window_entry);
        st->window_due = false;
        output_commit(s, frame_window_encode(p, st->id, st->consumed, st->limit));
    }
}

static void write_pong(struct session *s)
{
    uint8_t *p = s->pong_due ? output_reserve(s) : NULL;

    if (!p)
        return;
    s->pong_due = false;
    output_commit(s, frame_ping_encode(p, FRAME_PONG, s->pong_value));
}

static void v2_write_due(struct session *s)
{
    write_windows(s);
    write_pong(s);
}

static void send_ping(struct session *s)
{
    uint8_t *p = output_reserve(s);

    if (!p)
        return;
    s->ping_value = loop_clock_us(s->loop);
    s->last_ping_ms = loop_now_ms(s->loop);
    output_commit(s, frame_ping_encode(p, FRAME_PING, s->ping_value));
}

void session_measure(struct session *s)
{
    uint64_t now = loop_now_ms(s->loop);

    if (s->over || (s->last_ping_ms && now - s->last_ping_ms < MEASURE_EVERY_MS))
        return;
    if (s->ping_value == 0)
        send_ping(s);
}

static uint64_t v2_due_ms(const struct session *s, uint64_t now)
{
    uint64_t due = s->last_rx_ms + s->config.heartbeat_ms;

    return due > now ? due : s->last_ping_ms + s->config.heartbeat_ms; /* silent: the next PING */
}

static void v2_pulse(struct session *s, uint64_t now)
{
    if (now - s->last_rx_ms >= s->config.heartbeat_ms &&
        now - s->last_ping_ms >= s->config.heartbeat_ms)
        send_ping(s);
}

static uint32_t v2_part(struct session *s, uint32_t close_code, const char *error_code,
                        const char *reason)
{
    if (error_code)
        link_send_error(s->link, FRAME_V2, error_code, reason);
    return close_code;
}

const struct wire wire_v2 = {
    .version = FRAME_V2,
    .begin = session_measure,
    .receive = v2_receive,
    .open = v2_open,
    .accept = v2_accept,
    .reset = v2_reset,
    .local_end = v2_local_end,
    .part = v2_part,
    .delivered = v2_delivered,
    .consumed = v2_consumed,
    .finished = v2_finished,
    .write_due = v2_write_due,
    .due_ms = v2_due_ms,
    .pulse = v2_pulse,
};
