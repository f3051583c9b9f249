/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Version 1 of the wire in a session: one frame a message, controls in JSON, no credit, no
 * half-close (docs/wire.md, "Version 1").
 *
 * What a stream's local side has not taken yet waits here, up to a bound; beyond it the link
 * is not read until the stream has room again, as nothing may be dropped and the peer cannot
 * be told to hold one stream back. A stream that keeps the link waiting for half the heartbeat
 * timeout is closed, so that it does not hold up the others for good.
 *
 * `close` ends both directions of a stream. So when our side has sent its last byte, ours is
 * held back until the peer's has come, or nothing has moved for a minute, as the answer may still
 * be on its way. It is seconds only where nothing speaks for a half-close: the user had an answer
 * to all that it said before its EOF, and none has come since, or it is the target that ended.
 * (A user that closes looks like one that half-closes until something is sent to it. A minute for
 * all would keep targets that serve one connection at a time from the next user, and users from
 * the EOF that ends a response, where Burrow 0.5 makes neither wait.) When the peer's comes
 * first, what our side still sends is read and thrown away for a moment, since closing a socket
 * with unread bytes would reset it and could cost the user the end of the response.
 */
#include "tunnel/internal.h"
#include "tunnel/rate.h"

#include "wire/control.h"

#include <stdio.h>

#define STREAM_BOUND (1u << 20) /* bytes that may wait for one stream */
#define HOLD_ANSWER_MS 60000u   /* of silence */
#define HOLD_MS 5000u
#define LINGER_MS 5000u      /* for the local side to end after the peer's close */
#define MAX_ACKS_WAITING 16u /* more heartbeats at once are answered by fewer */
#define TICK_MS 250u         /* while a stream holds the link up or lingers */

/* ---- controls out ------------------------------------------------------------------------- */

/* NULL: out of memory, the session is over. */
static struct burrow_buf *make_control(struct session *s, enum control_type type, uint64_t id,
                                       const char *target, const char *message)
{
    struct control *c = calloc(1, sizeof *c);
    struct burrow_buf *b = NULL;

    if (c) {
        c->type = type;
        c->stream_id = id;
        snprintf(c->target, sizeof c->target, "%s", target);
        snprintf(c->message, sizeof c->message, "%s", message);
        b = link_control_frame(s->link, FRAME_V1, c);
        free(c);
    }
    if (!b)
        session_fail(s, BURROW_CLOSE_INTERNAL, NULL, "out of memory");
    return b;
}

static int send_control(struct session *s, enum control_type type, uint64_t id, const char *message)
{
    const char *target = type == CONTROL_OPEN ? s->config.target : "";
    struct burrow_buf *b = output_has_room(s) ? make_control(s, type, id, target, message) : NULL;

    if (!b)
        return BURROW_ENOMEM;
    output_push(s, b);
    return BURROW_OK;
}

static void send_close(struct stream *st)
{
    if (st->close_sent)
        return;
    st->close_sent = true;
    send_control(st->session, CONTROL_CLOSE, st->id, "");
}

static void send_refusal(struct session *s, uint64_t id, const char *message)
{
    if (output_may_refuse(s))
        send_control(s, CONTROL_ERROR, id, message);
}

/* ---- a stream that is full ---------------------------------------------------------------- */

void session_stop_reading(struct session *s)
{
    if (s->unread_reasons++ == 0 && s->link)
        link_read_enable(s->link, false);
}

void session_read_again(struct session *s)
{
    if (--s->unread_reasons > 0 || !s->link)
        return;
    s->last_rx_ms = loop_now_ms(s->loop); /* the clock stood still */
    link_read_enable(s->link, true);
}

static uint64_t waiting(const struct stream *st)
{
    return st->received - st->consumed;
}

static void hold_up(struct stream *st)
{
    struct session *s = st->session;

    st->full = true;
    st->full_mark = waiting(st) / 2;
    st->full_since_ms = loop_now_ms(s->loop);
    session_stop_reading(s);
    session_arm(s);
}

static void let_go(struct stream *st)
{
    if (st->full)
        session_read_again(st->session);
    st->full = false;
}

static void v1_delivered(struct stream *st)
{
    if (!st->full && waiting(st) > credit_allowance(st, STREAM_BOUND))
        hold_up(st);
    if (st->local || st->accepted)
        stream_maybe_done(st);
}

static void v1_consumed(struct stream *st, size_t n)
{
    credit_consumed(st, n);
    st->moved_ms = loop_now_ms(st->session->loop);
    if (waiting(st) <= st->full_mark)
        let_go(st);
}

static void v1_finished(struct stream *st)
{
    let_go(st);
    if (st->lingers)
        st->session->lingering--;
    st->lingers = false;
}

/* ---- streams ------------------------------------------------------------------------------ */

static void begin_stream(struct stream *st)
{
    st->moved_ms = loop_now_ms(st->session->loop);
}

static int v1_open(struct stream *st, const struct frame_open *open)
{
    struct session *s = st->session;

    (void)open; /* there is one service, and the peer is told nothing but its target */
    s->next_id++;
    begin_stream(st);
    return send_control(s, CONTROL_OPEN, st->id, "");
}

static void v1_accept(struct stream *st)
{
    if (!st->close_sent)
        send_control(st->session, CONTROL_OPEN_ACK, st->id, "");
    stream_raise_limit(st, UINT64_MAX);
}

static void v1_reset(struct stream *st, uint32_t code, const char *text)
{
    if (st->close_sent)
        return;
    if (st->local || st->accepted) {
        send_close(st);
        return;
    }
    st->close_sent = true;
    send_refusal(st->session, st->id, text && *text ? text : reset_code_name(code));
}

static void v1_local_end(struct stream *st, struct chain *out, bool eof)
{
    struct session *s = st->session;

    if (eof) {
        st->fin_sent = true;
        s->half_closed++;
        st->moved_ms = loop_now_ms(s->loop);
        stream_maybe_done(st);
        return;
    }
    if (!st->close_sent) {
        struct burrow_buf *b = make_control(s, CONTROL_CLOSE, st->id, "", "");

        if (!b)
            return;
        st->close_sent = true;
        chain_add(out, b);
    }
    stream_finish(st, RESET_PEER_RESET, NULL, 0, true);
}

/* Nothing more is taken from the peer: the local side hears EOF behind what came. */
static void end_receiving(struct stream *st)
{
    send_close(st);
    st->fin_received = true;
    receive_touch(st);
    output_schedule(st->session);
}

/* The peer has answered, if only by its end. */
static void settle(struct stream *st)
{
    if (!st->local || st->accepted)
        return;
    st->accepted = true;
    st->session->opens_pending--;
}

/* ---- controls in -------------------------------------------------------------------------- */

static int on_open(struct session *s, const struct control *c)
{
    const struct frame_open open = {.service = s->config.service};
    uint64_t id = c->stream_id;
    const char *refusal = NULL;
    struct stream *st = NULL;

    if (s->config.opens_odd || id == 0 || session_find(s, id))
        return 0; /* not the peer's to say; an answer would end a stream that lives */
    /* A server may hand out ids faster than it writes its opens: they need not come in order. */
    if (c->target[0] != '\0' && strcmp(c->target, s->config.target) != 0)
        refusal = "the target is not the one that was registered";
    else if (s->draining)
        refusal = "this side is leaving";
    else if (s->stream_count >= s->config.max_streams)
        refusal = "too many streams";
    else if ((st = stream_new(s, id, false)) == NULL)
        refusal = "out of memory";
    if (refusal) {
        uint32_t dropped;
        if (log_sample(&s->refusal_sample, loop_now_ms(s->loop), &dropped))
            log_at(s->log, BURROW_LOG_WARN, "stream_refused", burrow_str("client", s->name),
                   burrow_uint("stream", id), burrow_str("target", c->target),
                   burrow_str("reason", refusal), burrow_uint("left_out", dropped));
        send_refusal(s, id, refusal);
    } else {
        begin_stream(st);
        s->events->opened(s->arg, st, &open);
    }
    return s->over ? BURROW_EPROTO : 0;
}

static void on_open_ack(struct stream *st)
{
    if (!st->local || st->accepted)
        return;
    stream_accepted(st);
    stream_raise_limit(st, UINT64_MAX);
    if (st->ops->accepted)
        st->ops->accepted(st->end);
}

static void on_close(struct stream *st)
{
    struct session *s = st->session;

    if (st->fin_received)
        return;
    settle(st);
    st->moved_ms = loop_now_ms(s->loop);
    st->discard = true;
    if (!st->fin_sent) {
        st->lingers = true;
        s->lingering++;
        stream_raise_limit(st, UINT64_MAX);
    }
    end_receiving(st);
}

/* The dial failed, or the stream broke. */
static void on_stream_error(struct stream *st, const char *message)
{
    uint32_t code = st->local && !st->accepted ? RESET_REFUSED : RESET_PEER_RESET;

    if (st->touched && st->ops && (st->local || st->accepted))
        receive_deliver(st); /* what came before it still counts */
    if (!st->dead)
        stream_finish(st, code, message, strlen(message), true);
}

static int on_control(struct session *s, const struct control *c)
{
    struct stream *st = c->stream_id ? session_find(s, c->stream_id) : NULL;

    switch (c->type) {
    case CONTROL_HEARTBEAT:
        if (s->acks_due < MAX_ACKS_WAITING)
            s->acks_due++;
        output_schedule(s);
        break;
    case CONTROL_OPEN:
        return on_open(s, c);
    case CONTROL_OPEN_ACK:
        if (st)
            on_open_ack(st);
        break;
    case CONTROL_CLOSE:
        if (st)
            on_close(st);
        break;
    case CONTROL_ERROR:
        if (st)
            on_stream_error(st, c->message);
        else if (c->stream_id == 0 && !s->config.opens_odd && s->events->control)
            s->events->control(s->arg, c); /* a server's; of a client it is about no stream */
        break;
    default:
        break; /* register and register_ack count once, and were before */
    }
    return s->over ? BURROW_EPROTO : 0;
}

/* ---- frames in ---------------------------------------------------------------------------- */

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct session *s = arg;
    struct control *control = calloc(1, sizeof *control);
    struct error err = {0};
    int rc;

    if (!control) {
        session_fail(s, BURROW_CLOSE_INTERNAL, NULL, "out of memory");
        return BURROW_ENOMEM;
    }
    if (control_decode(control, payload, h->length, &err) < 0) {
        free(control);
        session_fail(s, BURROW_CLOSE_PROTOCOL, NULL, err.text);
        return BURROW_EPROTO;
    }
    rc = on_control(s, control);
    control_finish(control);
    free(control);
    return rc < 0 ? rc : FRAME_STOP;
}

static int on_data(void *arg, uint64_t id, const uint8_t *p, size_t n, bool end)
{
    struct session *s = arg;
    struct stream *st = session_find(s, id);

    /* Frames for a stream that nobody knows, or knows no more, are ignored. */
    if (st && !st->fin_received && n > 0) {
        int rc = receive_data(st, p, n);

        if (rc < 0)
            return rc;
        if (!st->dead) {
            credit_received(st, n);
            rate_received(s, n);
            if (!st->fin_sent)
                st->answered = st->sent;
            else
                st->hears_on = true; /* a user that is gone would reset the stream */
            st->moved_ms = loop_now_ms(s->loop);
        }
    }
    return end ? FRAME_STOP : 0;
}

/* What it means is not known, but it was the frame of its message. */
static int on_skipped(void *arg)
{
    (void)arg;
    return FRAME_STOP;
}

static const struct frame_sink v1_sink = {
    .frame = on_frame, .data = on_data, .skipped = on_skipped};

/* A frame is a message: it begins and ends with it. */
static void v1_receive(struct session *s, const uint8_t *p, size_t n, bool message_end)
{
    const char *error = NULL;

    if (n > 0 && s->message_done) {
        error = "a message goes on behind its frame";
    } else if (n > 0) {
        int rc = frame_parser_feed(&s->parser, p, n, &v1_sink, s, &error);

        if (s->over)
            return;
        s->message_done = rc == FRAME_STOP;
        if (rc == FRAME_STOP && s->parser.consumed < n)
            error = "a message goes on behind its frame";
    }
    if (!error && message_end && !s->message_done)
        error = frame_parser_in_frame(&s->parser) ? "a message ends inside its frame"
                                                  : "a message without a frame";
    if (message_end)
        s->message_done = false;
    if (error)
        session_fail(s, BURROW_CLOSE_PROTOCOL, NULL, error);
}

/* ---- time --------------------------------------------------------------------------------- */

static void v1_begin(struct session *s)
{
    s->last_beat_ms = loop_now_ms(s->loop);
    s->message_done = link_in_message(s->link); /* the register's, which had its frame */
    s->next_id = s->config.first_id > 0 ? s->config.first_id : 1;
}

static void v1_write_due(struct session *s)
{
    if (s->acks_due > 0 && !s->config.opens_odd)
        s->last_beat_ms = loop_now_ms(s->loop); /* as good as a heartbeat of our own */
    for (; s->acks_due > 0; s->acks_due--)
        if (send_control(s, CONTROL_HEARTBEAT_ACK, 0, "") < 0)
            return;
}

static void stalled(struct stream *st)
{
    struct session *s = st->session;

    s->config.stats->streams_stalled++;
    log_at(s->log, BURROW_LOG_WARN, "stream_stalled", burrow_str("client", s->name),
           burrow_uint("stream", st->id), burrow_uint("waiting", waiting(st)),
           burrow_str("reason", "nobody took its data while all others of the connection had to "
                                "wait; version 1 of the wire cannot hold one stream back"));
    send_close(st);
    if (!s->over)
        stream_finish(st, RESET_TIMED_OUT, NULL, 0, true);
}

static bool waits_for_answer(const struct stream *st)
{
    return st->local && (st->hears_on || st->sent > st->answered);
}

static void check_stream(struct stream *st, uint64_t now)
{
    struct session *s = st->session;
    uint64_t still = now - st->moved_ms;

    if (st->full) {
        if (now - st->full_since_ms >= s->config.timeout_ms / 2)
            stalled(st);
    } else if (waiting(st) > 0) {
        return;
    } else if (st->fin_sent && !st->fin_received) {
        if (still >= (waits_for_answer(st) ? HOLD_ANSWER_MS : HOLD_MS))
            end_receiving(st);
    } else if (st->lingers && !st->fin_sent && st->fin_delivered && still >= LINGER_MS) {
        stream_finish(st, 0, NULL, 0, true);
    }
}

static uint64_t v1_due_ms(const struct session *s, uint64_t now)
{
    uint64_t due = s->last_beat_ms + s->config.heartbeat_ms;

    if (s->unread_reasons || s->lingering)
        return now + TICK_MS < due ? now + TICK_MS : due;
    return due;
}

/* A server asks in each interval; a client speaks up when it had nothing to answer for one:
 * only heartbeats and their answers count as life for a server of version 1. */
static void v1_pulse(struct session *s, uint64_t now)
{
    struct stream *st, *next;

    if (now - s->last_beat_ms >= s->config.heartbeat_ms) {
        s->last_beat_ms = now;
        send_control(s, CONTROL_HEARTBEAT, 0, "");
    }
    if (s->unread_reasons || s->lingering || s->half_closed)
        HASH_ITER(by_id, s->streams, st, next)
        {
            if (s->over)
                return;
            check_stream(st, now);
        }
}

/* A client of version 1 leaves for good on some codes of WebSocket and knows no errors of a
 * session that stands: it hears 1011 or 1012, and comes back. */
static uint32_t v1_part(struct session *s, uint32_t close_code, const char *error_code,
                        const char *reason)
{
    (void)error_code, (void)reason;
    return s->config.opens_odd ? link_v1_close_code(close_code) : close_code;
}

const struct wire wire_v1 = {
    .version = FRAME_V1,
    .one_flow = true,
    .begin = v1_begin,
    .receive = v1_receive,
    .open = v1_open,
    .accept = v1_accept,
    .reset = v1_reset,
    .local_end = v1_local_end,
    .part = v1_part,
    .delivered = v1_delivered,
    .consumed = v1_consumed,
    .finished = v1_finished,
    .write_due = v1_write_due,
    .due_ms = v1_due_ms,
    .pulse = v1_pulse,
};
