/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out, once per turn: first the small frames that keep others going (in version 2
 * ACCEPT, WINDOW, PING, RESET), then data, pulled from the streams that have some by round robin
 * over a quantum of bytes (deficit round robin whose packets divide at will, so that no deficit is
 * left over). It stops while the link holds LINK_WATERMARK bytes; what waits, waits in the
 * kernel's buffers of the local sockets.
 */
#include "tunnel/internal.h"

void chain_add(struct chain *c, struct burrow_buf *b)
{
    if (c->head)
        c->tail->next = b;
    else
        c->head = b;
    c->tail = b;
    c->bytes += b->len;
}

void output_schedule(struct session *s)
{
    loop_task_schedule(s->loop, &s->output_task);
}

/* ---- control frames ---------------------------------------------------------------------- */

uint8_t *output_reserve(struct session *s)
{
    struct burrow_buf *b = s->control_tail;

    if (!output_has_room(s))
        return NULL;
    if (!b || buf_room(b) < FRAME_SMALL_ROOM) {
        /* Frames after the first in a turn share a large buffer: a burst of WINDOWs costs
         * one message. */
        b = pool_get(loop_pool(s->loop), b ? POOL_LARGE : FRAME_SMALL_ROOM);
        if (!b) {
            session_fail(s, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
            return NULL;
        }
        output_push(s, b);
    }
    return buf_data(b) + b->len;
}

void output_commit(struct session *s, size_t n)
{
    must(n <= buf_room(s->control_tail));
    s->control_tail->len += (uint32_t)n;
    s->control_bytes += n;
    output_schedule(s);
}

void output_push(struct session *s, struct burrow_buf *frame)
{
    frame->next = NULL;
    if (s->control)
        s->control_tail->next = frame;
    else
        s->control = frame;
    s->control_tail = frame;
    s->control_bytes += frame->len;
    output_schedule(s);
}

bool output_has_room(struct session *s)
{
    if (s->control_bytes <= CONTROL_QUEUE_MAX + (size_t)s->config.max_streams * LAST_WORDS)
        return true;
    session_fail(s, BURROW_CLOSE_POLICY, "flood", "too much to answer");
    return false;
}

bool output_may_refuse(struct session *s)
{
    if (++s->refusals_waiting <= MAX_WAITING_REFUSALS)
        return true;
    session_fail(s, BURROW_CLOSE_POLICY, "flood", "too many streams to refuse");
    return false;
}

void output_refusal(struct session *s, uint64_t id, uint32_t code, const char *text)
{
    uint8_t *p;

    if (!output_may_refuse(s))
        return;
    p = output_reserve(s);
    if (p)
        output_commit(s, frame_reset_encode(p, id, code, text));
}

void output_drop(struct session *s)
{
    pool_put(loop_pool(s->loop), s->control);
    s->control = s->control_tail = NULL;
    s->control_bytes = 0;
}

static void take_control(struct session *s, struct chain *out)
{
    struct burrow_buf *b;

    s->wire->write_due(s);
    while (!s->over && (b = s->control) != NULL) {
        s->control = b->next;
        b->next = NULL;
        chain_add(out, b);
    }
    s->control_tail = s->control;
    s->control_bytes = 0;
    s->refusals_waiting = 0;
}

/* ---- data ---------------------------------------------------------------------------------- */

static void put_headers(struct stream *st, struct burrow_buf *chain, struct chain *out)
{
    uint8_t version = st->session->wire->version;
    struct burrow_buf *next;

    for (; chain; chain = next) {
        struct frame_header h = {
            .version = version, .kind = FRAME_DATA, .stream = st->id, .length = chain->len};

        next = chain->next;
        chain->next = NULL;
        must(chain->off >= BURROW_HEADROOM + FRAME_HEADER);
        chain->off -= FRAME_HEADER;
        chain->len += FRAME_HEADER;
        frame_header_encode(chain->base + chain->off, &h);
        chain_add(out, chain);
    }
}

static void unready(struct stream *st)
{
    TAILQ_REMOVE(&st->session->ready, st, ready_entry);
    st->ready = false;
    st->session->ready_count--;
}

/* One turn of the round: at most a quantum of the first stream's data. */
static void pull(struct session *s, struct chain *out, size_t quantum)
{
    struct stream *st = TAILQ_FIRST(&s->ready);
    uint64_t credit = st->send_limit - st->sent;
    struct burrow_buf *chain = NULL;
    bool more = false;
    ssize_t n;

    if (credit == 0) {
        unready(st);
        st->starved = true;
        s->starved_count++;
        return;
    }
    n = st->ops->read(st->end, credit < quantum ? (size_t)credit : quantum, &chain, &more);
    if (n > 0 && st->discard) {
        pool_put(loop_pool(s->loop), chain);
        out->passed_over += (size_t)n;
    } else if (n > 0) {
        st->sent += (uint64_t)n;
        rate_sent(s, (size_t)n);
        s->config.stats->bytes_out += (uint64_t)n;
        if (st->service)
            count_add(&st->service->bytes_out, (uint64_t)n);
        put_headers(st, chain, out);
    }
    if (n > 0 && more) {
        TAILQ_REMOVE(&s->ready, st, ready_entry);
        TAILQ_INSERT_TAIL(&s->ready, st, ready_entry);
        return;
    }
    unready(st);
    if (n == 0 || n == BURROW_EIO)
        s->wire->local_end(st, out, n == 0);
    else if (n == BURROW_ENOMEM)
        stream_violation(st, "out of memory");
}

static size_t quantum_for(const struct session *s)
{
    size_t q = QUANTUM_MAX / s->ready_count;

    return q < QUANTUM_MIN ? QUANTUM_MIN : q;
}

/* The owner may close the session in the call. */
static void tell_emptied(struct session *s)
{
    if (!s->draining || s->emptied_told || s->over || s->stream_count > 0 || s->control ||
        !TAILQ_EMPTY(&s->dead))
        return;
    s->emptied_told = true;
    if (s->events->emptied)
        s->events->emptied(s->arg);
}

void output_task(void *arg)
{
    struct session *s = arg;
    struct chain out = {0};
    size_t queued, room;

    must_be(s, SESSION_MAGIC);
    receive_flush(s); /* what was held for streams accepted in this turn */
    streams_bury(s);
    if (s->over || !s->link)
        return;
    queued = link_queued(s->link);
    if (queued < CONTROL_WATERMARK)
        take_control(s, &out);
    while (!s->over && s->ready_count > 0 &&
           queued + out.bytes + out.passed_over < LINK_WATERMARK && (room = rate_may_send(s)) > 0)
        pull(s, &out, room < quantum_for(s) ? room : quantum_for(s));
    if (out.passed_over > 0 && s->ready_count > 0)
        output_schedule(s); /* no link will drain for what it was not given */
    if (s->over)
        pool_put(loop_pool(s->loop), out.head);
    else if (out.head)
        link_send(s->link, out.head);
    session_arm(s);
    tell_emptied(s);
}
