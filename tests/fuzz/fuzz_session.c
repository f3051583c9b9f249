/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session against any order of frames and events that the input asks for: frames of a
 * peer that mostly keeps the rules (session_model.h) and sometimes does not, bytes that are
 * no frames, ends that read, write, stall, break and reset, a link that is full, drained or
 * lost, and time that passes. What must hold is asserted all along:
 *
 *   bytes are delivered in order, each once, none past FIN and none without credit;
 *   an end hears `ended` exactly once, or never after it reset its stream itself, and
 *   nothing after that; credit stays within its budgets and is all given back; what the
 *   session sends is correct; a peer that breaks no rule is not accused of it; and when all
 *   is read and taken, all has arrived.
 */
#include "fake_loop.h"
#include "session_model.h"
#include "wire/control.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ENDS MODEL_STREAMS
#define CREDIT_FLOOR 4096u

struct end {
    struct fuzz *fuzz;
    struct stream *stream; /* NULL: it has ended */
    uint64_t id;
    bool local, accepted, taken;
    uint64_t to_send, sent;
    bool eof, broken;
    uint64_t received, unread;
    bool hold, reset_in_deliver, got_fin, fin_sent, was_reset;
    unsigned ended;
    uint32_t end_code;
};

struct fuzz {
    const uint8_t *p; /* the rest of the input */
    size_t n;
    struct loop *loop;
    struct log log;
    struct mock_transport mock;
    struct budget budget;
    struct session_stats stats;
    struct session_config config;
    struct session *session;
    struct model model;
    struct end ends[ENDS];
    size_t end_count;
    uint8_t on_open; /* 0: accept at once, 1: later, 2: refuse */
    bool over, closed_by_us, lost;
    uint32_t close_code;
};

/* ---- the input ---------------------------------------------------------------------------- */

static uint8_t take_u8(struct fuzz *f)
{
    if (f->n == 0)
        return 0;
    f->n--;
    return *f->p++;
}

static uint16_t take_u16(struct fuzz *f)
{
    const uint16_t high = take_u8(f);
    return (uint16_t)(high << 8 | take_u8(f));
}

/* A size: most often small, now and then tens of KiB. */
static size_t take_size(struct fuzz *f)
{
    const uint8_t a = take_u8(f);
    return a < 200 ? a : a < 250 ? (size_t)take_u8(f) * 64 : (size_t)take_u8(f) * 257;
}

/* ---- ends --------------------------------------------------------------------------------- */

static struct end *live(void *arg)
{
    struct end *const e = arg;
    must(e->stream != NULL && e->ended == 0 && !e->was_reset);
    return e;
}

static void on_accepted(void *arg)
{
    struct end *const e = live(arg);
    must(e->local && !e->accepted);
    e->accepted = true;
}

static ssize_t on_read(void *arg, size_t max, struct burrow_buf **ret_chain, bool *ret_more)
{
    struct end *const e = live(arg);
    must(max > 0 && !e->fin_sent);
    if (e->sent == e->to_send) {
        if (!e->broken && e->eof)
            e->fin_sent = true;
        return e->broken ? BURROW_EIO : e->eof ? 0 : BURROW_EAGAIN;
    }
    uint64_t n = e->to_send - e->sent;
    n = n < max ? n : max;
    n = n < POOL_LARGE ? n : POOL_LARGE;
    struct burrow_buf *const b = pool_get(loop_pool(e->fuzz->loop), (size_t)n);
    must(b != NULL);
    for (uint64_t i = 0; i < n; i++)
        buf_data(b)[i] = model_byte_out(e->id, e->sent + i);
    b->len = (uint32_t)n;
    b->next = NULL;
    e->sent += n;
    *ret_chain = b;
    *ret_more = e->sent < e->to_send || e->eof || e->broken;
    return (ssize_t)n;
}

static void reset_end(struct end *e, uint32_t code)
{
    struct stream *const stream = e->stream;
    e->stream = NULL;
    e->was_reset = true;
    stream_reset(stream, code, "by the fuzzer");
}

static void on_deliver(void *arg, const struct iovec *iov, int count, bool fin)
{
    struct end *const e = live(arg);
    const uint64_t before = e->received;
    must(!e->got_fin && (e->accepted || e->fuzz->model.illegal) && (count > 0 || fin));
    for (int i = 0; i < count; i++) {
        const uint8_t *const p = iov[i].iov_base;
        for (size_t k = 0; k < iov[i].iov_len; k++) {
            /* Raw bytes may have been DATA that the model knows nothing of. */
            must(p[k] == model_byte_in(e->id, e->received) || e->fuzz->model.illegal);
            e->received++;
        }
    }
    e->got_fin = fin;
    e->unread += e->received - before;
    must(e->unread <= e->fuzz->config.stream_window_max + CREDIT_FLOOR + e->fuzz->config.window);
    if (e->reset_in_deliver) {
        reset_end(e, RESET_PEER_RESET);
    } else if (!e->hold && e->unread > 0) {
        const size_t n = (size_t)e->unread;
        e->unread = 0;
        stream_consumed(e->stream, n);
    }
}

static void on_ended(void *arg, uint32_t code, const char *text)
{
    struct end *const e = live(arg);
    must(text != NULL);
    if (code == 0)
        must(e->got_fin && e->fin_sent && e->unread == 0);
    e->ended++;
    e->end_code = code;
    e->stream = NULL;
}

static bool on_broken(void *arg)
{
    return live(arg)->broken;
}

static const struct stream_ops end_ops = {on_accepted, on_read, on_deliver, on_ended, on_broken};

static struct end *new_end(struct fuzz *f)
{
    struct end *const e = &f->ends[f->end_count++];
    *e = (struct end){.fuzz = f};
    return e;
}

static void accept_end(struct end *e)
{
    if (e->local || e->accepted || e->stream == NULL)
        return;
    e->accepted = true;
    stream_accept(e->stream);
}

/* ---- the session's owner ------------------------------------------------------------------ */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct fuzz *const f = arg;
    (void)open;
    must(!f->over);
    if (f->on_open == 2 || f->end_count == ENDS) {
        stream_reset(stream, RESET_REFUSED, "refused");
        return;
    }
    struct end *const e = new_end(f);
    e->stream = stream;
    e->id = stream_id(stream);
    stream_set_end(stream, &end_ops, e);
    if (f->on_open == 0)
        accept_end(e);
}

static void on_control(void *arg, const struct control *control)
{
    struct fuzz *const f = arg;
    must(!f->over && control->type != CONTROL_UNKNOWN);
}

static void on_session_ended(void *arg, uint32_t code, const char *reason)
{
    struct fuzz *const f = arg;
    must(!f->over && reason != NULL);
    for (size_t i = 0; i < f->end_count; i++)
        must(f->ends[i].stream == NULL); /* all have heard before */
    f->over = true;
    f->close_code = code;
}

static const struct session_events events = {
    .opened = on_opened, .control = on_control, .ended = on_session_ended};

/* ---- steps -------------------------------------------------------------------------------- */

static struct end *pick_end(struct fuzz *f)
{
    const uint8_t which = take_u8(f);
    struct end *const e = f->end_count > 0 ? &f->ends[which % f->end_count] : NULL;
    return e != NULL && e->stream != NULL ? e : NULL;
}

static struct model_stream *pick_stream(struct fuzz *f)
{
    const uint8_t which = take_u8(f);
    return f->model.count > 0 ? &f->model.streams[which % f->model.count] : NULL;
}

static void open_local(struct fuzz *f)
{
    const struct frame_open open = {.service = take_u8(f)};
    struct end *e;
    if (f->end_count == ENDS || f->model.count + f->end_count >= MODEL_STREAMS)
        return;
    e = new_end(f);
    e->local = true;
    if (stream_open(f->session, &open, &end_ops, e, &e->stream) != 0) {
        must(e->stream == NULL);
        f->end_count--;
        return;
    }
    e->id = stream_id(e->stream);
}

/* A frame of the peer about a stream that is, was, or (rarely) never was. */
static void send_stream_frame(struct fuzz *f, uint8_t what)
{
    struct model *const m = &f->model;
    struct model_stream *const st = pick_stream(f);
    const uint8_t how = take_u8(f);
    const bool rude = how >= 240; /* does not look whether it may */
    if (st == NULL)
        return;
    size_t n = take_size(f);
    switch (what) {
    case 0:
        if (!rude) {
            const uint64_t credit = st->in_limit > st->in_sent ? st->in_limit - st->in_sent : 0;
            n = credit < n ? (size_t)credit : n;
            if (st->in_fin || !st->in_accepted)
                return;
        }
        model_send_data(m, st->id, n < FRAME_MAX_PAYLOAD ? n : FRAME_MAX_PAYLOAD);
        break;
    case 1:
        if (rude || (st->by_session && !st->in_accepted))
            model_send_accept(m, st->id, how % 8 == 0 ? UINT64_MAX : n);
        break;
    case 2:
        model_send_window(m, st->id, rude ? st->out_sent + n : st->out_sent,
                          how % 8 == 0 ? UINT64_MAX : st->out_sent + n);
        break;
    case 3:
        if (rude || (!st->in_fin && st->in_accepted))
            model_send_fin(m, st->id, how == 255 ? n : st->in_sent);
        break;
    default:
        model_send_reset(m, st->id, how % 16);
        break;
    }
}

static void send_other_frame(struct fuzz *f)
{
    static const char news[] = "{\"type\":\"news\"}";
    struct model *const m = &f->model;
    uint8_t p[64] = {FRAME_V2, 0};
    const uint8_t how = take_u8(f);
    size_t n;
    switch (how % 8) {
    case 0:
    case 1:
    case 2: /* the next id, or one further on */
        if (m->count + f->end_count < MODEL_STREAMS)
            model_send_open(m, m->peer_next + (how >= 192 ? 2 * (uint64_t)take_u8(f) : 0),
                            take_size(f));
        break;
    case 3:
        model_send_ping(m, FRAME_PING, take_u16(f));
        break;
    case 4:
        model_send_ping(m, FRAME_PONG, how >= 128 ? m->last_ping : take_u16(f));
        break;
    case 5: /* a kind of the future */
        p[1] = (uint8_t)(10 + how / 2);
        p[13] = take_u8(f) % 50;
        mock_inject(m->session_side, p, FRAME_HEADER + p[13]);
        break;
    case 6: /* a control that nobody knows, or an id out of order */
        if (how >= 200) {
            model_send_open(m, take_u8(f), 1000);
            break;
        }
        p[1] = FRAME_CONTROL;
        p[13] = sizeof news - 1;
        memcpy(p + FRAME_HEADER, news, sizeof news - 1);
        mock_inject(m->session_side, p, FRAME_HEADER + sizeof news - 1);
        break;
    default:
        if (how < 192) /* seldom: nothing of what follows can be judged */
            break;
        n = take_u8(f) % 60;
        n = n < f->n ? n : f->n;
        model_send_raw(m, f->p, n);
        f->p += n;
        f->n -= n;
        break;
    }
}

static void do_end(struct fuzz *f, uint8_t what)
{
    struct end *const e = pick_end(f);
    if (e == NULL)
        return;
    switch (what) {
    case 0:
        e->to_send += e->eof ? 0 : take_size(f);
        break;
    case 1:
        e->eof = true;
        break;
    case 2:
        e->broken = true;
        break;
    case 3: {
        const size_t n = take_size(f);
        const size_t part = n < e->unread ? n : (size_t)e->unread;
        e->unread -= part;
        stream_consumed(e->stream, part);
        return;
    }
    case 4:
        e->hold = !e->hold;
        return;
    case 5:
        accept_end(e);
        break;
    case 6:
        reset_end(e, RESET_REFUSED + take_u8(f) % 7);
        return;
    default:
        e->reset_in_deliver = true;
        return;
    }
    if (e->local || e->accepted)
        stream_ready(e->stream);
}

static void do_link(struct fuzz *f)
{
    struct mock_conn *const conn = &f->mock.end[0];
    const uint8_t how = take_u8(f);
    if (how < 100) {
        conn->room = (size_t)how * how * 16;
    } else if (how < 220) {
        conn->room = SIZE_MAX;
    } else if (how < 230) {
        f->lost = true;
        mock_lose(conn);
    } else if (how < 240) {
        f->closed_by_us = true;
        session_close(f->session, BURROW_CLOSE_NORMAL, how & 1 ? "limit" : NULL, "enough");
    }
    if (!conn->closed && !conn->closing)
        mock_flush(conn);
}

static void receive(struct fuzz *f)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 7, 14, 100, 4096};
    const uint8_t how = take_u8(f);
    const size_t max = how < 128 ? SIZE_MAX : take_size(f);
    if (!f->mock.end[0].closed)
        mock_receive(&f->mock.end[0], max, pieces[how % 6]);
}

/* What holds between any two steps. */
static void check_budgets(const struct fuzz *f)
{
    const uint64_t least = f->config.window > CREDIT_FLOOR ? f->config.window : CREDIT_FLOOR;
    must(f->budget.used <= f->budget.limit + f->config.max_streams * least);
    must(f->stats.streams_active <= f->config.max_streams);
    must(f->stats.backpressure_drops == 0);
}

static void step(struct fuzz *f)
{
    static const uint32_t times[] = {1, 5, 50, 200, 1000, 3000, 10000, 20000};
    const uint8_t op = take_u8(f) % 24;
    if (op < 5)
        send_stream_frame(f, op);
    else if (op < 8)
        send_stream_frame(f, 0);
    else if (op < 11)
        send_other_frame(f);
    else if (op < 19)
        do_end(f, op - 11);
    else if (op == 19)
        open_local(f);
    else if (op == 20)
        do_link(f);
    else if (op == 21)
        receive(f);
    else if (op == 22)
        fake_loop_turn(f->loop);
    else
        fake_loop_advance(f->loop, times[take_u8(f) % 8]);
    if (op >= 21 && !f->over)
        model_receive(&f->model);
    check_budgets(f);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void begin(struct fuzz *f)
{
    static const uint32_t windows[] = {16384, 1, 1000, 65536};
    static const uint64_t budgets[] = {64u << 20, 4096, 40000, 300000};
    const uint8_t a = take_u8(f), b = take_u8(f);
    f->loop = loop_create();
    must(f->loop != NULL);
    log_init(&f->log, -1, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    mock_init(&f->mock, f->loop, &f->log);
    f->budget.limit = budgets[a & 3];
    f->on_open = (a >> 2) % 3;
    f->config = (struct session_config){.protocol = 2,
                                        .opens_odd = (a & 128) != 0,
                                        .window = windows[b & 3],
                                        .peer_window = windows[(b >> 2) & 3],
                                        .max_frame = 65536,
                                        .heartbeat_ms = 10000,
                                        .timeout_ms = 30000,
                                        .max_streams = b & 16 ? 3 : 40,
                                        .stream_window_max = b & 32 ? 65536 : 4u << 20,
                                        .session_window_max = b & 64 ? 100000 : 16u << 20,
                                        .open_timeout_ms = 10000,
                                        .budget = &f->budget,
                                        .stats = &f->stats,
                                        .name = "fuzz"};
    struct burrow_link *const link = mock_link(&f->mock, NULL, NULL);
    must(link != NULL);
    f->session = session_create(f->loop, &f->log, link, &f->config, &events, f);
    must(f->session != NULL);
    model_init(&f->model, &f->mock.end[0], &f->mock.end[1], &f->config);
}

/* Everybody reads and takes all there is; nothing new begins. */
static void settle(struct fuzz *f)
{
    f->mock.end[0].room = SIZE_MAX;
    for (int quiet = 0; quiet < 4 && !f->over;) {
        bool moved = f->mock.end[1].inbox_len > 0;
        model_receive(&f->model);
        for (size_t i = 0; i < f->end_count; i++) {
            struct end *const e = &f->ends[i];
            e->hold = e->reset_in_deliver = false;
            if (e->stream != NULL && !e->local && !e->accepted) {
                accept_end(e);
                stream_ready(e->stream);
            }
            if (e->stream == NULL || e->unread == 0)
                continue;
            const size_t n = (size_t)e->unread;
            e->unread = 0;
            stream_consumed(e->stream, n);
            moved = true;
        }
        if (!f->mock.end[0].closed && !f->mock.end[0].closing) {
            mock_flush(&f->mock.end[0]);
            moved |= mock_receive(&f->mock.end[0], SIZE_MAX, SIZE_MAX) > 0;
        }
        fake_loop_settle(f->loop);
        quiet = moved ? 0 : quiet + 1;
    }
    if (!f->over)
        model_receive(&f->model);
}

static void check_arrived(struct fuzz *f)
{
    if (f->model.illegal)
        return;
    for (size_t i = 0; i < f->end_count; i++) {
        const struct end *const e = &f->ends[i];
        const struct model_stream *const st = model_find(&f->model, e->id);
        must(st != NULL);
        must(e->received <= st->in_sent);
        if (e->stream == NULL)
            continue;
        must(!st->doomed && !st->in_reset && !st->out_reset);
        must(e->received <= st->in_limit && e->got_fin == st->in_fin);
        must(e->received == st->in_sent);
        must(e->sent == st->out_sent);
        must(e->sent == e->to_send || e->sent == st->out_limit);
        if (st->out_limit > st->out_sent) /* FIN is not sent without credit */
            must(st->out_fin == e->eof);
    }
}

static void finish(struct fuzz *f)
{
    if (f->over && !f->closed_by_us && !f->lost && !f->model.illegal) {
        /* A peer that keeps the rules loses its session by silence or a flood alone. */
        const bool flood = f->model.pings_sent > 10 || f->model.opens > 1000;
        must(f->close_code == BURROW_CLOSE_ABORT ||
             (flood && f->close_code == BURROW_CLOSE_POLICY));
    }
    session_destroy(f->session);
    mock_finish(&f->mock);
    fake_loop_turn(f->loop);
    fake_loop_turn(f->loop);
    for (size_t i = 0; i < f->end_count; i++) {
        const struct end *const e = &f->ends[i];
        must(e->stream == NULL && e->ended == (e->was_reset ? 0 : 1));
    }
    must(f->budget.used == 0 && f->stats.streams_active == 0);
    must(pool_in_use(loop_pool(f->loop)) == 0);
    loop_destroy(f->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct fuzz f; /* large; begins anew with each input */
    f = (struct fuzz){.p = p, .n = n};
    begin(&f);
    while (f.n > 0 && !f.over)
        step(&f);
    settle(&f);
    if (!f.over)
        check_arrived(&f);
    finish(&f);
    return 0;
}
