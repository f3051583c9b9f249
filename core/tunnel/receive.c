/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in: the link's events, and DATA on its way to the streams. It stays in the
 * transport's memory until the batch ends and is then handed over gathered, one call per
 * stream; only a stream that is not accepted yet has its first bytes copied.
 */
#include "tunnel/internal.h"

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

/* ---- DATA ------------------------------------------------------------------------------ */

void receive_touch(struct stream *st)
{
    if (st->touched)
        return;
    st->touched = true;
    TAILQ_INSERT_TAIL(&st->session->touched, st, touched_entry);
}

int receive_data(struct stream *st, const uint8_t *p, size_t n)
{
    struct session *s = st->session;
    struct rx_piece *piece;

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
    if (st->service)
        count_add(&st->service->bytes_in, n);
    receive_touch(st);
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
        if (!st->dead)
            s->wire->delivered(st);
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
        s->wire->delivered(st);
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

/* ---- the link's events ------------------------------------------------------------------ */

static void link_data(void *arg, const uint8_t *p, size_t n, bool message_end)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    if (s->over)
        return;
    s->last_rx_ms = loop_now_ms(s->loop);
    s->wire->receive(s, p, n, message_end);
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
