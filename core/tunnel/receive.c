/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in: from the link's bytes through the parser to streams. DATA stays in the
 * transport's memory until the batch ends and is then handed over gathered, one call per
 * stream; only a stream that is not accepted yet has its first bytes copied.
 */
#include "tunnel/internal.h"

#include "base/checked.h"
#include "wire/control.h"

#define DELIVER_IOV 64

struct stream *session_find(struct session *s, uint64_t id)
{
    struct stream *st = s->last_found;

    if (st && st->id == id)
        return st;
    HASH_FIND(by_id, s->streams, &id, sizeof id, st);
    if (st)
        s->last_found = st;
    return st;
}

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

/* ---- DATA ------------------------------------------------------------------------------ */

static void touch(struct stream *st)
{
    if (st->touched)
        return;
    st->touched = true;
    TAILQ_INSERT_TAIL(&st->session->touched, st, touched_entry);
}

static int on_data(void *arg, uint64_t id, const uint8_t *p, size_t n, bool end)
{
    struct session *s = arg;
    struct stream *st;
    struct rx_piece *piece;

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
    if (s->rx && s->rx->used == RX_PIECES) {
        receive_flush(s);
        if (s->over)
            return BURROW_EPROTO;
        if (st->dead) /* its end reset it in the delivery */
            return 0;
    }
    if (!s->rx) {
        s->rx = malloc(sizeof *s->rx);
        if (!s->rx) {
            session_fail(s, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
            return BURROW_ENOMEM;
        }
        s->rx->used = 0;
    }
    piece = &s->rx->pieces[s->rx->used++];
    *piece = (struct rx_piece){.p = p, .n = n};
    if (st->rx_head)
        st->rx_tail->next = piece;
    else
        st->rx_head = piece;
    st->rx_tail = piece;
    st->received += n;
    s->config.stats->bytes_in += n;
    touch(st);
    return 0;
}

/* Copies the pieces behind what is held already; bounded by the stream's credit. */
static int hold(struct stream *st)
{
    const struct rx_piece *piece;
    int ret = BURROW_OK;

    for (piece = st->rx_head; piece && ret == BURROW_OK; piece = piece->next)
        ret = pool_append(loop_pool(st->session->loop), &st->held, &st->held_tail, piece->p,
                          piece->n);
    return ret;
}

/* Hands over the next pieces from *held and *piece; true while some are left. */
static bool gather(struct iovec *iov, int *ret_count, struct burrow_buf **held,
                   struct rx_piece **piece)
{
    int n = 0;

    for (; *held && n < DELIVER_IOV; *held = (*held)->next)
        iov[n++] = (struct iovec){.iov_base = buf_data(*held), .iov_len = (*held)->len};
    for (; *piece && n < DELIVER_IOV; *piece = (*piece)->next) {
        union {
            const uint8_t *in;
            void *out; /* iovec has no const form; deliver only reads */
        } base = {.in = (*piece)->p};

        iov[n++] = (struct iovec){.iov_base = base.out, .iov_len = (*piece)->n};
    }
    *ret_count = n;
    return *held || *piece;
}

void receive_deliver(struct stream *st)
{
    struct session *s = st->session;
    struct rx_piece *piece = st->rx_head;
    struct burrow_buf *held = st->held, *rest = held;
    struct iovec iov[DELIVER_IOV];
    bool more;
    int count;

    if (st->touched) {
        st->touched = false;
        TAILQ_REMOVE(&s->touched, st, touched_entry);
    }
    if (!st->local && !st->accepted) {
        if (hold(st) < 0)
            stream_violation(st, "out of memory");
        st->rx_head = st->rx_tail = NULL;
        return;
    }
    st->held = st->held_tail = NULL;
    st->rx_head = st->rx_tail = NULL;
    do {
        bool fin;

        more = gather(iov, &count, &rest, &piece);
        fin = !more && st->fin_received && !st->fin_delivered;
        if (count > 0 || fin)
            st->ops->deliver(st->end, iov, count, fin);
        if (fin)
            st->fin_delivered = true;
    } while (more && !st->dead);
    pool_put(loop_pool(s->loop), held);
    if (!st->dead)
        stream_maybe_done(st);
}

void receive_flush(struct session *s)
{
    struct stream *st;

    while ((st = TAILQ_FIRST(&s->touched)) != NULL) {
        if (s->over) { /* nothing is delivered behind the end */
            TAILQ_REMOVE(&s->touched, st, touched_entry);
            st->touched = false;
            st->rx_head = st->rx_tail = NULL;
        } else {
            receive_deliver(st);
        }
    }
    free(s->rx);
    s->rx = NULL;
}

/* ---- the other kinds -------------------------------------------------------------------- */

static int on_open(struct session *s, const struct frame_header *h, const uint8_t *payload)
{
    struct frame_open open;
    struct stream *st;

    if (frame_open_decode(&open, payload, h->length) < 0)
        return broken(s, "malformed OPEN");
    if (id_is_local(s, h->stream) || h->stream <= s->peer_high)
        return broken(s, "OPEN with an id that is not above the last");
    s->peer_high = h->stream;
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

static void raise_limit(struct stream *st, uint64_t limit)
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
    st->accepted = true;
    s->opens_pending--;
    raise_limit(st, limit);
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
        raise_limit(st, limit);
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
    touch(st);
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

static const struct frame_sink session_sink = {.frame = on_frame, .data = on_data};

/* ---- the link's events ------------------------------------------------------------------ */

static void link_data(void *arg, const uint8_t *p, size_t n, bool message_end)
{
    struct session *s = arg;
    const char *error = "malformed frame";

    (void)message_end; /* version 2 is a byte stream */
    must_be(s, SESSION_MAGIC);
    if (s->over)
        return;
    s->last_rx_ms = loop_now_ms(s->loop);
    if (frame_parser_feed(&s->parser, p, n, &session_sink, s, &error) < 0 && !s->over)
        session_fail(s, BURROW_CLOSE_PROTOCOL, "protocol", error);
}

static void link_batch_end(void *arg)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    receive_flush(s);
}

static void link_drained(void *arg)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    output_schedule(s);
}

static void link_closed(void *arg, const struct burrow_close_info *info)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    s->link = NULL;
    session_fail(s, info->code, NULL, info->reason);
}

const struct link_events session_link_events = {
    .data = link_data,
    .batch_end = link_batch_end,
    .drained = link_drained,
    .closed = link_closed,
};

void session_feed(struct session *s, const uint8_t *p, size_t n)
{
    must_be(s, SESSION_MAGIC);
    if (n > 0)
        link_data(s, p, n, false);
    receive_flush(s);
}
