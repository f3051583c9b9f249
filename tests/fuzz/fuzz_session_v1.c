/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session of version 1 of the wire, as server or as client, against any order of messages and
 * events that the input asks for: controls and data of a peer that mostly keeps the rules, messages
 * that are no frames, ends that read, write, stall, break and reset, a link that is full, drained
 * or lost, a limit of speed, and time that passes. What must hold is asserted all along:
 *
 *   bytes are delivered in order, each once, none past the close; an end hears `ended` exactly
 *   once, or never after it reset its stream itself; data is sent only between open_ack and
 *   close, in order, and close once; each heartbeat is answered at most once; credit is all given
 *   back; a peer that breaks no rule keeps its session; reading does not stop for good; and when
 *   all is read and taken, all has arrived.
 */
#include "base/object.h"
#include "fake_loop.h"
#include "mock_transport.h"
#include "session_ends.h"
#include "stream_bytes.h"
#include "wire/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define TARGET "127.0.0.1:5432"

/* One stream as the peer sees it; "in" is towards the session. */
struct peer_stream {
    uint64_t id;
    bool by_session, in_acked, in_closed;
    bool out_acked, out_closed;
    uint64_t in_sent, out_sent;
    bool rude; /* the peer used the id again, or sent what it may not: nothing is judged */
};

struct fuzz {
    struct input in;
    struct loop *loop;
    struct log log;
    struct mock_transport mock;
    struct budget budget;
    struct session_stats stats;
    struct session_config config;
    struct session *session;
    struct ends ends;
    struct peer_stream streams[ENDS];
    size_t stream_count;
    uint64_t peer_next, session_next; /* ids */
    unsigned opens, heartbeats, acks;
    uint8_t on_open; /* 0: accept at once, 1: later, 2: refuse */
    bool illegal, over, closed_by_us, lost;
    uint32_t close_code;
    struct frame_parser parser;
    uint8_t gather[FRAME_MAX_CONTROL];
};

static struct peer_stream *find(struct fuzz *f, uint64_t id)
{
    for (size_t i = 0; i < f->stream_count; i++)
        if (f->streams[i].id == id)
            return &f->streams[i];
    return NULL;
}

/* ---- ends --------------------------------------------------------------------------------- */

static bool is_judged(const struct end *e)
{
    struct fuzz *const f = e->ends->owner;
    const struct peer_stream *const st = find(f, e->id);
    return !f->illegal && st != NULL && !st->rude;
}

static void check_delivered(const struct end *e)
{
    must(e->local || e->accepted);
}

static void check_ended(const struct end *e, uint32_t code)
{
    (void)e, (void)code; /* a close of either side ends both */
}

/* ---- the session's owner ------------------------------------------------------------------ */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct fuzz *const f = arg;
    must(!f->over && open->service == f->config.service && !f->config.opens_odd);
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
    must(!((struct fuzz *)arg)->over && control->type == CONTROL_ERROR);
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

/* ---- what the session says ---------------------------------------------------------------- */

static void check_control(struct fuzz *f, const struct control *c)
{
    struct peer_stream *const st = find(f, c->stream_id);
    switch (c->type) {
    case CONTROL_HEARTBEAT:
        return;
    case CONTROL_HEARTBEAT_ACK:
        must(++f->acks <= f->heartbeats || f->illegal);
        return;
    case CONTROL_OPEN:
        must(f->config.opens_odd && c->stream_id == f->session_next++);
        must(strcmp(c->target, TARGET) == 0 && f->stream_count < ENDS);
        f->streams[f->stream_count++] =
            (struct peer_stream){.id = c->stream_id, .by_session = true, .out_acked = true};
        return;
    case CONTROL_OPEN_ACK:
        must(st == NULL ? f->illegal : st->rude || (!st->by_session && !st->out_acked));
        if (st != NULL)
            st->out_acked = true;
        return;
    case CONTROL_CLOSE:
        must(st == NULL ? f->illegal : st->rude || !st->out_closed);
        if (st != NULL)
            st->out_closed = true;
        return;
    case CONTROL_ERROR:
        must(st == NULL ? f->illegal : st->rude || (!st->out_acked && !st->out_closed));
        if (st != NULL)
            st->out_closed = true;
        return;
    default:
        must(c->type == CONTROL_OPEN); /* no session sends another type */
    }
}

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct control *const c = calloc(1, sizeof *c);
    must(c != NULL && h->kind == FRAME_CONTROL);
    must(control_decode(c, payload, h->length, NULL) == 0);
    must(h->stream == c->stream_id);
    check_control(arg, c);
    control_finish(c);
    free(c);
    return 0;
}

static int on_data(void *arg, uint64_t id, const uint8_t *p, size_t n, bool end)
{
    struct fuzz *const f = arg;
    struct peer_stream *const st = find(f, id);
    (void)end;
    if (st == NULL || st->rude || f->illegal) {
        must(st != NULL || f->illegal);
        return 0;
    }
    must(st->out_acked && !st->out_closed && (!st->by_session || st->in_acked));
    must(stream_bytes_match(WAY_OUT, id, st->out_sent, p, n));
    st->out_sent += n;
    return 0;
}

static void peer_receive(struct fuzz *f)
{
    static const struct frame_sink sink = {.frame = on_frame, .data = on_data};
    struct mock_conn *const conn = &f->mock.end[1];
    const char *error = NULL;
    must(frame_parser_feed(&f->parser, conn->inbox, conn->inbox_len, &sink, f, &error) == 0);
    conn->inbox_len = 0;
}

/* ---- the peer's messages ------------------------------------------------------------------ */

static void send_frame(struct fuzz *f, uint8_t kind, uint64_t id, const void *p, size_t n)
{
    const struct frame_header h = {FRAME_V1, kind, id, (uint32_t)n};
    uint8_t head[FRAME_HEADER];
    frame_header_encode(head, &h);
    mock_inject(&f->mock.end[0], head, sizeof head);
    mock_inject(&f->mock.end[0], p, n);
}

static void send_control(struct fuzz *f, const char *type, uint64_t id, const char *more)
{
    char json[160];
    const int n = snprintf(json, sizeof json, "{\"type\":\"%s\",\"stream_id\":%llu%s}", type,
                           (unsigned long long)id, more);
    send_frame(f, FRAME_CONTROL, id, json, (size_t)n);
}

static void send_data(struct fuzz *f, struct peer_stream *st, size_t n)
{
    uint8_t *const p = malloc(n + 1);
    must(p != NULL);
    stream_bytes_fill(WAY_IN, st->id, st->in_sent, p, n);
    st->in_sent += n;
    send_frame(f, FRAME_DATA, st->id, p, n);
    free(p);
}

static void send_open(struct fuzz *f, uint64_t id, const char *more)
{
    struct peer_stream *const st = find(f, id);
    f->opens++;
    if (f->config.opens_odd) /* a server is not to be asked, and does not listen */
        ;
    else if (st != NULL)
        st->rude = true;
    else if (f->stream_count == ENDS)
        return;
    else
        f->streams[f->stream_count++] = (struct peer_stream){.id = id, .rude = id == 0};
    send_control(f, "open", id, more);
}

/* About a stream that is, was, or (rarely) never was. */
static void send_stream_message(struct fuzz *f, uint8_t what)
{
    const uint8_t which = take_u8(&f->in), how = take_u8(&f->in);
    struct peer_stream *const st =
        f->stream_count > 0 ? &f->streams[which % f->stream_count] : NULL;
    if (st == NULL || how == 255) {
        static const char *const types[] = {"open_ack", "close", "error"};
        send_control(f, types[how % 3], 1000 + which, "");
        return;
    }
    if (st->in_closed)
        st->rude = true;
    switch (what) {
    case 0:
        send_data(f, st, take_size(&f->in) % (FRAME_V1_MAX_DATA + 1));
        break;
    case 1:
        st->in_acked = true;
        send_control(f, "open_ack", st->id, "");
        break;
    case 2:
        st->in_closed = true;
        send_control(f, "close", st->id, "");
        break;
    default:
        st->in_closed = true;
        send_control(f, "error", st->id, ",\"message\":\"because\"");
    }
}

static void send_raw(struct fuzz *f)
{
    struct mock_conn *const conn = &f->mock.end[0];
    size_t n = take_u8(&f->in) % 60;
    n = n < f->in.n ? n : f->in.n;
    if (n == 0 || conn->message_left > 0 || conn->read_off || conn->closed || conn->closing)
        return;
    f->illegal = true;
    mock_message(conn, f->in.p, n);
    f->in.p += n;
    f->in.n -= n;
}

static void send_other_message(struct fuzz *f)
{
    const uint8_t how = take_u8(&f->in);
    switch (how % 8) {
    case 0:
    case 1:
    case 2: /* the next id */
        send_open(f, f->peer_next++, "");
        break;
    case 3: /* any id, perhaps one that was */
        send_open(f, take_u8(&f->in), how & 128 ? ",\"target\":\"" TARGET "\"" : "");
        break;
    case 4:
        f->heartbeats++;
        send_control(f, "heartbeat", 0, "");
        break;
    case 5:
        send_control(f, how & 128 ? "heartbeat_ack" : "news", 0, ",\"meta\":{\"a\":[1]}");
        break;
    case 6:
        if (how >= 200)
            send_control(f, "error", 0, ",\"message\":\"client identity mismatch\"");
        else
            send_open(f, f->peer_next++, ",\"target\":\"10.0.0.1:22\"");
        break;
    default:
        if (how >= 224) /* seldom: nothing of what follows can be judged */
            send_raw(f);
    }
}

/* ---- steps -------------------------------------------------------------------------------- */

static void open_local(struct fuzz *f)
{
    const struct frame_open open = {.service = 1};
    if (!f->config.opens_odd || f->stream_count + f->ends.count >= ENDS)
        return;
    end_open(&f->ends, f->session, &open);
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
    } else if (how < 235) {
        f->closed_by_us = true;
        session_close(f->session, BURROW_CLOSE_NORMAL, NULL, "enough");
    } else if (how < 240) {
        session_drain(f->session);
    } else {
        session_set_limits(f->session, f->config.max_streams, how & 1 ? 10u << 20 : 0);
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

static void step(struct fuzz *f)
{
    static const uint32_t times[] = {1, 5, 50, 200, 1000, 3000, 10000, 20000};
    const uint8_t op = take_u8(&f->in) % 24;
    if (op < 4)
        send_stream_message(f, op);
    else if (op < 8)
        send_stream_message(f, 0);
    else if (op < 10)
        send_other_message(f);
    else if (op < 18)
        end_do(&f->ends, &f->in, op - 10);
    else if (op == 18)
        open_local(f);
    else if (op == 19)
        do_link(f);
    else if (op < 22)
        receive(f);
    else if (op == 22)
        fake_loop_turn(f->loop);
    else
        fake_loop_advance(f->loop, times[take_u8(&f->in) % 8]);
    if (!f->over)
        peer_receive(f);
    must(f->stats.streams_active <= f->config.max_streams);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void begin(struct fuzz *f)
{
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
    f->mock.end[0].messages = true;
    f->budget.limit = budgets[a & 3];
    f->on_open = (a >> 2) % 3;
    f->config = (struct session_config){.protocol = 1,
                                        .opens_odd = (a & 128) != 0,
                                        .window = 16384,
                                        .peer_window = 16384,
                                        .max_frame = 65536,
                                        .heartbeat_ms = 10000,
                                        .timeout_ms = 30000,
                                        .max_streams = b & 16 ? 3 : 40,
                                        .stream_window_max = 4u << 20,
                                        .session_window_max = b & 64 ? 100000 : 16u << 20,
                                        .open_timeout_ms = 30000,
                                        .bytes_per_second = b & 32 ? 10u << 20 : 0,
                                        .budget = &f->budget,
                                        .stats = &f->stats,
                                        .name = "fuzz",
                                        .service = 7,
                                        .target = TARGET,
                                        .first_id = 1u + (b & 3)};
    f->session_next = f->config.first_id;
    f->peer_next = 1;
    frame_parser_init(&f->parser, FRAME_V1, f->gather);
    struct burrow_link *const link = mock_link(&f->mock, NULL, NULL);
    must(link != NULL);
    f->session = session_create(f->loop, &f->log, link, &f->config, &events, f);
    must(f->session != NULL);
}

static bool take_all(struct fuzz *f)
{
    bool moved = false;
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
    return moved;
}

/* Everybody reads and takes all there is; nothing new begins. */
static void settle(struct fuzz *f)
{
    unsigned waits = 0;
    f->mock.end[0].room = SIZE_MAX;
    for (int quiet = 0; quiet < 4 && !f->over;) {
        bool moved = f->mock.end[1].inbox_len > 0;
        peer_receive(f);
        moved |= take_all(f);
        if (!f->mock.end[0].closed && !f->mock.end[0].closing) {
            mock_flush(&f->mock.end[0]);
            moved |= mock_receive(&f->mock.end[0], SIZE_MAX, SIZE_MAX) > 0;
        }
        fake_loop_settle(f->loop);
        if (!f->over && !moved && f->mock.end[0].read_off) { /* a limit of speed alone may do so */
            must(++waits < 2000);
            fake_loop_advance(f->loop, 100);
            moved = true;
        }
        quiet = moved ? 0 : quiet + 1;
    }
    if (!f->over)
        peer_receive(f);
}

static void check_arrived(struct fuzz *f)
{
    for (size_t i = 0; i < f->ends.count && !f->illegal; i++) {
        const struct end *const e = &f->ends.list[i];
        const struct peer_stream *const st = find(f, e->id);
        must(st != NULL);
        if (st->rude)
            continue;
        must(e->received <= st->in_sent);
        if (e->stream == NULL || st->out_closed)
            continue;
        must(!st->in_closed && !e->got_fin && e->received == st->in_sent);
        must(e->sent == st->out_sent);
    }
}

static void finish(struct fuzz *f)
{
    if (f->over && !f->closed_by_us && !f->lost && !f->illegal) {
        /* A peer that keeps the rules loses its session by silence or a flood alone. */
        must(f->close_code == BURROW_CLOSE_ABORT || f->opens > 1000);
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
