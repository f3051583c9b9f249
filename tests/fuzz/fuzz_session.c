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
#include "session_ends.h"
#include "session_model.h"
#include "wire/control.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define CREDIT_FLOOR 4096u

struct fuzz {
    struct input in;
    struct loop *loop;
    struct log log;
    struct mock_transport mock;
    struct budget budget;
    struct session_stats stats;
    struct session_config config;
    struct session *session;
    struct model model;
    struct ends ends;
    uint8_t on_open; /* 0: accept at once, 1: later, 2: refuse */
    bool over, closed_by_us, lost;
    uint32_t close_code;
};

/* ---- ends --------------------------------------------------------------------------------- */

/* Raw bytes may have been DATA that the model knows nothing of. */
static bool is_judged(const struct end *e)
{
    const struct fuzz *const f = e->ends->owner;
    return !f->model.illegal;
}

static void check_delivered(const struct end *e)
{
    const struct fuzz *const f = e->ends->owner;
    must(e->accepted || f->model.illegal);
    must(e->unread <= f->config.stream_window_max + CREDIT_FLOOR + f->config.window);
}

static void check_ended(const struct end *e, uint32_t code)
{
    must(code != 0 || e->fin_sent);
}

/* ---- the session's owner ------------------------------------------------------------------ */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct fuzz *const f = arg;
    (void)open;
    must(!f->over);
    if (f->on_open == 2 || f->ends.count == ENDS) {
        stream_reset(stream, RESET_REFUSED, "refused");
        return;
    }
    struct end *const e = end_new(&f->ends, stream);
    if (f->on_open == 0)
        end_accept(e);
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
    for (size_t i = 0; i < f->ends.count; i++)
        must(f->ends.list[i].stream == NULL); /* all have heard before */
    f->over = true;
    f->close_code = code;
}

static const struct session_events events = {
    .opened = on_opened, .control = on_control, .ended = on_session_ended};

/* ---- steps -------------------------------------------------------------------------------- */

static struct model_stream *pick_stream(struct fuzz *f)
{
    const uint8_t which = take_u8(&f->in);
    return f->model.count > 0 ? &f->model.streams[which % f->model.count] : NULL;
}

static void open_local(struct fuzz *f)
{
    const struct frame_open open = {.service = take_u8(&f->in)};
    if (f->model.count + f->ends.count >= MODEL_STREAMS)
        return;
    end_open(&f->ends, f->session, &open);
}

/* A frame of the peer about a stream that is, was, or (rarely) never was. */
static void send_stream_frame(struct fuzz *f, uint8_t what)
{
    struct model *const m = &f->model;
    struct model_stream *const st = pick_stream(f);
    const uint8_t how = take_u8(&f->in);
    const bool rude = how >= 240; /* does not look whether it may */
    if (st == NULL)
        return;
    size_t n = take_size(&f->in);
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
    const uint8_t how = take_u8(&f->in);
    size_t n;
    switch (how % 8) {
    case 0:
    case 1:
    case 2: /* the next id, or one further on */
        if (m->count + f->ends.count < MODEL_STREAMS)
            model_send_open(m, m->peer_next + (how >= 192 ? 2 * (uint64_t)take_u8(&f->in) : 0),
                            take_size(&f->in));
        break;
    case 3:
        model_send_ping(m, FRAME_PING, take_u16(&f->in));
        break;
    case 4:
        model_send_ping(m, FRAME_PONG, how >= 128 ? m->last_ping : take_u16(&f->in));
        break;
    case 5: /* a kind of the future */
        p[1] = (uint8_t)(10 + how / 2);
        p[13] = take_u8(&f->in) % 50;
        mock_inject(m->session_side, p, FRAME_HEADER + p[13]);
        break;
    case 6: /* a control that nobody knows, or an id out of order */
        if (how >= 200) {
            model_send_open(m, take_u8(&f->in), 1000);
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
        n = take_u8(&f->in) % 60;
        n = n < f->in.n ? n : f->in.n;
        model_send_raw(m, f->in.p, n);
        f->in.p += n;
        f->in.n -= n;
        break;
    }
}

static void do_link(struct fuzz *f)
{
    struct mock_conn *const conn = &f->mock.end[0];
    const uint8_t how = take_u8(&f->in);
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
    const uint8_t how = take_u8(&f->in);
    const size_t max = how < 128 ? SIZE_MAX : take_size(&f->in);
    if (!f->mock.end[0].closed)
        mock_receive(&f->mock.end[0], max, pieces[how % 6]);
}

/* What holds between any two steps. */
static void check_budgets(const struct fuzz *f)
{
    const uint64_t least = f->config.window > CREDIT_FLOOR ? f->config.window : CREDIT_FLOOR;
    must(f->budget.used <= f->budget.limit + f->config.max_streams * least);
    must(f->stats.streams_active <= f->config.max_streams);
}

static void step(struct fuzz *f)
{
    static const uint32_t times[] = {1, 5, 50, 200, 1000, 3000, 10000, 20000};
    const uint8_t op = take_u8(&f->in) % 24;
    if (op < 5)
        send_stream_frame(f, op);
    else if (op < 8)
        send_stream_frame(f, 0);
    else if (op < 11)
        send_other_frame(f);
    else if (op < 19)
        end_do(&f->ends, &f->in, op - 11);
    else if (op == 19)
        open_local(f);
    else if (op == 20)
        do_link(f);
    else if (op == 21)
        receive(f);
    else if (op == 22)
        fake_loop_turn(f->loop);
    else
        fake_loop_advance(f->loop, times[take_u8(&f->in) % 8]);
    if (op >= 21 && !f->over)
        model_receive(&f->model);
    check_budgets(f);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void begin(struct fuzz *f)
{
    static const uint32_t windows[] = {16384, 1, 1000, 65536};
    static const uint64_t budgets[] = {64u << 20, 4096, 40000, 300000};
    const uint8_t a = take_u8(&f->in), b = take_u8(&f->in);
    f->loop = loop_create();
    must(f->loop != NULL);
    f->ends = (struct ends){.loop = f->loop,
                            .owner = f,
                            .judged = is_judged,
                            .delivered = check_delivered,
                            .ended = check_ended};
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
        for (size_t i = 0; i < f->ends.count; i++) {
            struct end *const e = &f->ends.list[i];
            e->hold = e->reset_in_deliver = false;
            if (e->stream != NULL && !e->local && !e->accepted) {
                end_accept(e);
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
    for (size_t i = 0; i < f->ends.count; i++) {
        const struct end *const e = &f->ends.list[i];
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
    for (size_t i = 0; i < f->ends.count; i++) {
        const struct end *const e = &f->ends.list[i];
        must(e->stream == NULL && e->ended == (e->was_reset ? 0 : 1));
    }
    must(f->budget.used == 0 && f->stats.streams_active == 0);
    must(pool_in_use(loop_pool(f->loop)) == 0);
    loop_destroy(f->loop);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static struct fuzz f; /* large; begins anew with each input */
    f = (struct fuzz){.in = {p, n}};
    begin(&f);
    while (f.in.n > 0 && !f.over)
        step(&f);
    settle(&f);
    if (!f.over)
        check_arrived(&f);
    finish(&f);
    return 0;
}
