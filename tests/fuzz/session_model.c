/* SPDX-License-Identifier: Apache-2.0 */
/* The session fuzzer's peer: its frames and its checks; see session_model.h. */
#include "session_model.h"

#include "base/checked.h"
#include "stream_bytes.h"

#include <stdlib.h>
#include <string.h>

void model_init(struct model *m, struct mock_conn *session_side, struct mock_conn *peer_side,
                const struct session_config *config)
{
    *m = (struct model){.session_side = session_side, .peer_side = peer_side, .config = config};
    m->peer_next = config->opens_odd ? 2 : 1;
    frame_parser_init(&m->parser, FRAME_V2, m->gather);
}

struct model_stream *model_find(struct model *m, uint64_t id)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->streams[i].id == id)
            return &m->streams[i];
    }
    return NULL;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- the peer's frames -------------------------------------------------------------------- */

static void put(struct model *m, const uint8_t *p, size_t n)
{
    mock_inject(m->session_side, p, n);
}

/* The stream that a frame is about. One that the peer cannot know makes the frame a breach,
 * at least as far as the peer can tell. */
static struct model_stream *target(struct model *m, uint64_t id)
{
    struct model_stream *const st = model_find(m, id);
    if (st == NULL)
        m->illegal = true;
    return st;
}

void model_send_open(struct model *m, uint64_t id, uint64_t limit)
{
    uint8_t p[FRAME_SMALL_ROOM];
    const struct frame_open open = {.service = 1, .limit = limit};
    if (m->count == MODEL_STREAMS)
        return;
    if (id < m->peer_next || (id & 1) != (m->peer_next & 1)) {
        m->illegal = true;
    } else {
        m->streams[m->count++] = (struct model_stream){
            .id = id, .in_limit = m->config->window, .in_accepted = true, .out_limit = limit};
        m->peer_next = id < UINT64_MAX - 2 ? id + 2 : id;
        m->opens++;
    }
    put(m, p, frame_open_encode(p, id, &open));
}

void model_send_data(struct model *m, uint64_t id, size_t n)
{
    struct model_stream *const st = target(m, id);
    const struct frame_header h = {FRAME_V2, FRAME_DATA, id, (uint32_t)n};
    uint8_t *const p = malloc(FRAME_HEADER + n);
    must(p != NULL);
    frame_header_encode(p, &h);
    stream_bytes_fill(WAY_IN, id, st != NULL ? st->in_sent : 0, p + FRAME_HEADER, n);
    if (st != NULL && n > 0) {
        if (st->in_fin)
            st->doomed = true;
        if (st->in_fin || !st->in_accepted || st->in_sent + n > st->in_limit)
            st->illegal = true;
        st->in_sent += n;
    }
    if (id == 0)
        m->illegal = true;
    put(m, p, FRAME_HEADER + n);
    free(p);
}

void model_send_accept(struct model *m, uint64_t id, uint64_t limit)
{
    uint8_t p[FRAME_SMALL_ROOM];
    struct model_stream *const st = target(m, id);
    if (st != NULL) {
        if (!st->by_session || st->in_accepted)
            st->illegal = st->doomed = true;
        st->in_accepted = true;
        st->out_limit = max_u64(st->out_limit, limit);
    }
    put(m, p, frame_accept_encode(p, id, limit));
}

void model_send_window(struct model *m, uint64_t id, uint64_t consumed, uint64_t limit)
{
    uint8_t p[FRAME_SMALL_ROOM];
    struct model_stream *const st = target(m, id);
    if (st != NULL) {
        if (consumed > st->out_sent)
            st->illegal = true;
        st->out_limit = max_u64(st->out_limit, limit);
    }
    put(m, p, frame_window_encode(p, id, consumed, limit));
}

void model_send_fin(struct model *m, uint64_t id, uint64_t final_offset)
{
    uint8_t p[FRAME_SMALL_ROOM];
    struct model_stream *const st = target(m, id);
    if (st != NULL) {
        if (st->in_fin || !st->in_accepted || final_offset != st->in_sent)
            st->illegal = st->doomed = true;
        st->in_fin = true;
    }
    put(m, p, frame_fin_encode(p, id, final_offset));
}

void model_send_reset(struct model *m, uint64_t id, uint32_t code)
{
    uint8_t p[FRAME_SMALL_ROOM];
    struct model_stream *const st = target(m, id);
    if (st != NULL)
        st->in_reset = true;
    put(m, p, frame_reset_encode(p, id, code, "because"));
}

void model_send_ping(struct model *m, enum frame_kind kind, uint64_t value)
{
    uint8_t p[FRAME_SMALL_ROOM];
    if (kind == FRAME_PING)
        m->pings_sent++;
    put(m, p, frame_ping_encode(p, kind, value));
}

void model_send_raw(struct model *m, const uint8_t *p, size_t n)
{
    if (n > 0)
        m->illegal = true;
    put(m, p, n);
}

/* ---- the session's frames ----------------------------------------------------------------- */

static void check_open(struct model *m, const struct frame_header *h, const uint8_t *payload)
{
    struct frame_open open;
    must(frame_open_decode(&open, payload, h->length) == 0);
    must((h->stream & 1) == (m->config->opens_odd ? 1 : 0));
    must(h->stream > m->session_high);
    must(m->count < MODEL_STREAMS);
    m->session_high = h->stream;
    m->streams[m->count++] = (struct model_stream){.id = h->stream,
                                                   .by_session = true,
                                                   .in_limit = open.limit,
                                                   .out_accepted = true,
                                                   .out_limit = m->config->peer_window};
}

static void check_reset(struct model *m, struct model_stream *st, const struct frame_header *h,
                        const uint8_t *payload)
{
    const char *text;
    uint32_t code;
    size_t n;
    must(frame_reset_decode(&code, &text, &n, payload, h->length) == 0);
    must(code >= RESET_REFUSED && code <= RESET_WITHDRAWN);
    /* Who keeps the rules is not accused of breaking one. */
    must(code != RESET_PROTOCOL || st->illegal || m->illegal);
    st->out_reset = true;
    st->out_reset_code = code;
}

static void check_window(struct model_stream *st, const struct frame_header *h,
                         const uint8_t *payload)
{
    uint64_t consumed, limit;
    must(frame_window_decode(&consumed, &limit, payload, h->length) == 0);
    must(consumed >= st->out_consumed && consumed <= st->in_sent && limit >= st->in_limit);
    st->out_consumed = consumed;
    st->in_limit = limit;
}

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct model *const m = arg;
    uint64_t v = 0;
    must(!m->error_seen);
    if (h->kind == FRAME_OPEN) {
        check_open(m, h, payload);
        return 0;
    }
    if (h->kind == FRAME_CONTROL) {
        m->error_seen = true; /* the fuzzed session sends no other */
        return 0;
    }
    if (h->kind == FRAME_PING || h->kind == FRAME_PONG) {
        must(frame_u64_decode(&v, payload, h->length) == 0);
        if (h->kind == FRAME_PING)
            m->last_ping = v;
        else
            must(++m->pongs_seen <= m->pings_sent || m->illegal);
        return 0;
    }
    struct model_stream *const st = model_find(m, h->stream);
    if (st == NULL) {
        must(m->illegal); /* it may answer what raw bytes have opened */
        return 0;
    }
    must(!st->out_reset);
    switch (h->kind) {
    case FRAME_ACCEPT:
        must(frame_u64_decode(&v, payload, h->length) == 0);
        must(!st->by_session && !st->out_accepted && v >= st->in_limit);
        st->out_accepted = true;
        st->in_limit = v;
        break;
    case FRAME_WINDOW:
        check_window(st, h, payload);
        break;
    case FRAME_FIN:
        must(frame_u64_decode(&v, payload, h->length) == 0);
        must(st->out_accepted && !st->out_fin && v == st->out_sent);
        st->out_fin = true;
        break;
    case FRAME_RESET:
        check_reset(m, st, h, payload);
        break;
    default:
        must(h->kind == FRAME_ACCEPT); /* no session sends another kind */
    }
    return 0;
}

static int on_data(void *arg, uint64_t id, const uint8_t *p, size_t n, bool end)
{
    struct model *const m = arg;
    struct model_stream *const st = model_find(m, id);
    (void)end;
    must(!m->error_seen);
    if (st == NULL) {
        must(m->illegal);
        return 0;
    }
    must(st->out_accepted && !st->out_fin && !st->out_reset);
    /* Raw bytes may have granted more than the model knows. */
    must(n <= st->out_limit - st->out_sent || m->illegal);
    must(stream_bytes_match(WAY_OUT, id, st->out_sent, p, n));
    st->out_sent += n;
    return 0;
}

void model_receive(struct model *m)
{
    static const struct frame_sink sink = {.frame = on_frame, .data = on_data};
    const char *error = NULL;
    must(frame_parser_feed(&m->parser, m->peer_side->inbox, m->peer_side->inbox_len, &sink, m,
                           &error) == 0);
    m->peer_side->inbox_len = 0;
}
