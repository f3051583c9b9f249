/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions in memory; see pair.h. */
#include "pair.h"

#include "base/object.h"
#include "wire/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t sequence(uint64_t i)
{
    return (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void on_accepted(void *end)
{
    ((struct mock_end *)end)->was_accepted = true;
}

static ssize_t on_read(void *end, size_t max, struct burrow_buf **ret_chain, bool *ret_more)
{
    struct mock_end *e = end;
    struct burrow_buf *b;
    uint32_t i, n;

    if (e->sent == e->to_send)
        return e->broken ? BURROW_EIO : e->eof_after ? 0 : BURROW_EAGAIN;
    b = pool_get(loop_pool(e->side->loop), POOL_LARGE);
    must(b != NULL);
    n = (uint32_t)(max < POOL_LARGE ? max : POOL_LARGE);
    if (n > e->to_send - e->sent)
        n = (uint32_t)(e->to_send - e->sent);
    for (i = 0; i < n; i++)
        buf_data(b)[i] = sequence(e->sent + i);
    b->len = n;
    b->next = NULL;
    e->sent += n;
    *ret_chain = b;
    *ret_more = e->sent < e->to_send || e->eof_after || e->broken;
    return (ssize_t)n;
}

static void on_deliver(void *end, const struct iovec *iov, int count, bool fin)
{
    struct mock_end *e = end;
    uint64_t before = e->received;
    int i;

    must(!e->got_fin && e->ended == 0);
    for (i = 0; i < count; i++) {
        const uint8_t *p = iov[i].iov_base;
        size_t k;

        for (k = 0; k < iov[i].iov_len; k++)
            if (p[k] != sequence(e->received++))
                e->wrong = true;
    }
    e->got_fin = fin;
    if (e->hold)
        e->unread += e->received - before;
    else if (e->received > before)
        stream_consumed(e->stream, (size_t)(e->received - before));
}

static void on_ended(void *end, uint32_t code, const char *text)
{
    struct mock_end *e = end;

    must(text != NULL);
    e->ended++;
    e->end_code = code;
    e->stream = NULL;
}

static bool on_broken(void *end)
{
    return ((struct mock_end *)end)->broken;
}

const struct stream_ops mock_end_ops = {.accepted = on_accepted,
                                        .read = on_read,
                                        .deliver = on_deliver,
                                        .ended = on_ended,
                                        .broken = on_broken};

struct mock_end *end_new(struct side *side)
{
    struct mock_end *e = calloc(1, sizeof *e);

    must(e != NULL && side->peer_end_count < 64);
    e->side = side;
    side->peer_ends[side->peer_end_count++] = e;
    return e;
}

struct mock_end *end_open(struct pair *p, int side)
{
    struct mock_end *e = end_new(&p->side[side]);
    struct frame_open open = {.service = 1};

    if (stream_open(p->side[side].session, &open, &mock_end_ops, e, &e->stream) < 0) {
        e->stream = NULL;
        e->ended = -1;
    }
    return e;
}

void end_send(struct mock_end *e, uint64_t n)
{
    e->to_send += n;
    stream_ready(e->stream);
}

void end_finish(struct mock_end *e)
{
    e->eof_after = true;
    stream_ready(e->stream);
}

void end_consume(struct mock_end *e, uint64_t n)
{
    must(n <= e->unread);
    e->unread -= n;
    stream_consumed(e->stream, (size_t)n);
}

/* ---- sessions ------------------------------------------------------------------------------ */

static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    struct side *side = arg;
    struct mock_end *e;

    side->last_open = *open;
    if (side->refuse) {
        stream_reset(stream, side->refuse_code, "no");
        return;
    }
    e = end_new(side);
    e->stream = stream;
    side->last_opened = e;
    stream_set_end(stream, &mock_end_ops, e);
    if (side->accept)
        stream_accept(stream);
}

static void on_control(void *arg, const struct control *control)
{
    struct side *side = arg;

    side->controls++;
    snprintf(side->last_control, sizeof side->last_control, "%s", control->code);
}

static void on_session_ended(void *arg, uint32_t code, const char *reason)
{
    struct side *side = arg;

    side->session_ended++;
    side->close_code = code;
    snprintf(side->reason, sizeof side->reason, "%s", reason);
}

static const struct session_events events = {
    .opened = on_opened, .control = on_control, .ended = on_session_ended};

struct pair *pair_new(void)
{
    struct pair *p = calloc(1, sizeof *p);
    int i;

    must(p != NULL);
    p->loop = loop_create();
    log_init(&p->log, 2, BURROW_LOG_ERROR, LOG_LOGFMT);
    mock_init(&p->mock, p->loop, &p->log);
    for (i = 0; i < 2; i++) {
        p->budget[i].limit = 64u << 20;
        p->config[i] = (struct session_config){.protocol = 2,
                                               .opens_odd = i == 0,
                                               .window = 16384,
                                               .peer_window = 16384,
                                               .max_frame = 65536,
                                               .heartbeat_ms = 10000,
                                               .timeout_ms = 30000,
                                               .max_streams = 32,
                                               .stream_window_max = 4u << 20,
                                               .session_window_max = 16u << 20,
                                               .open_timeout_ms = 10000,
                                               .budget = &p->budget[i],
                                               .stats = &p->stats[i],
                                               .name = "test"};
        p->side[i].accept = true;
        p->side[i].loop = p->loop;
    }
    return p;
}

void pair_connect(struct pair *p)
{
    int i;

    for (i = 0; i < 2; i++) {
        struct burrow_link *link = mock_link(&p->mock, NULL, NULL);

        p->side[i].conn = &p->mock.end[i];
        p->side[i].session =
            session_create(p->loop, &p->log, link, &p->config[i], &events, &p->side[i]);
        must(p->side[i].session != NULL);
    }
}

void pair_free(struct pair *p)
{
    int i, k;

    for (i = 0; i < 2; i++)
        session_destroy(p->side[i].session);
    mock_finish(&p->mock);
    fake_loop_turn(p->loop);
    fake_loop_turn(p->loop);
    for (i = 0; i < 2; i++) {
        assert_int_equal(p->budget[i].used, 0);
        assert_int_equal(p->stats[i].streams_active, 0);
        for (k = 0; k < p->side[i].peer_end_count; k++)
            free(p->side[i].peer_ends[k]);
    }
    assert_int_equal(pool_in_use(loop_pool(p->loop)), 0);
    loop_destroy(p->loop);
    free(p);
}

int pair_setup(void **state)
{
    struct pair *p = pair_new();

    pair_connect(p);
    *state = p;
    return 0;
}

int pair_teardown(void **state)
{
    pair_free(*state);
    return 0;
}

bool pair_step(struct pair *p, size_t max, size_t piece)
{
    size_t moved = 0;
    bool waiting = false;
    int i;

    fake_loop_turn(p->loop);
    for (i = 0; i < 2; i++)
        moved += mock_receive(&p->mock.end[i], max, piece);
    fake_loop_turn(p->loop);
    for (i = 0; i < 2; i++)
        waiting = waiting || (p->mock.end[i].inbox_len && !p->mock.end[i].closing &&
                              !p->mock.end[i].closed && !p->mock.end[i].read_off);
    return moved > 0 || waiting;
}

void pair_run(struct pair *p)
{
    int quiet = 0;

    while (quiet < 3)
        quiet = pair_step(p, 256 * 1024, SIZE_MAX) ? 0 : quiet + 1;
}

void inject(struct pair *p, int side, const uint8_t *frame, size_t n)
{
    mock_inject(&p->mock.end[side], frame, n);
}
