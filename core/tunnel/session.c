/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a session: made after the registers were exchanged, kept alive by heartbeats,
 * ended by the owner, the peer, the link or silence. What comes in is in receive.c, what goes
 * out in output.c, streams in stream.c, windows in credit.c, frames in v1.c and
 * v2.c.
 */
#include "tunnel/internal.h"

#include <stdio.h>

#define TICK_MS 1000u      /* while an OPEN is unanswered or a stream's local side is not read */
#define OVERSLEPT_MS 1000u /* a timer this late: this process stood still, not the peer */

static void session_tick(void *arg);
static void end_task(void *arg);

struct session *session_create(struct loop *loop, const struct log *log, struct burrow_link *link,
                               const struct session_config *config,
                               const struct session_events *events, void *arg)
{
    struct session *s = calloc(1, sizeof *s);

    must(config->protocol == FRAME_V1 || config->protocol == FRAME_V2);
    if (!s)
        return NULL;
    s->magic = SESSION_MAGIC;
    s->loop = loop;
    s->log = log;
    s->wire = config->protocol == FRAME_V1 ? &wire_v1 : &wire_v2;
    s->config = *config;
    s->events = events;
    s->arg = arg;
    s->name = strdup(config->name ? config->name : "");
    s->target = strdup(config->target ? config->target : "");
    s->gather = malloc(FRAME_MAX_CONTROL);
    s->timer = loop_timer_create(loop, session_tick, s);
    if (!s->name || !s->target || !s->gather || !s->timer ||
        rate_set(s, config->bytes_per_second) < 0) {
        loop_timer_destroy(s->timer);
        free(s->gather);
        free(s->target);
        free(s->name);
        free(s);
        return NULL;
    }
    s->config.name = s->name;
    s->config.target = s->target;
    frame_parser_init(&s->parser, s->wire->version, s->gather);
    loop_task_init(&s->output_task, LOOP_PHASE_OUTPUT, output_task, s);
    loop_task_init(&s->end_task, LOOP_PHASE_OUTPUT, end_task, s);
    TAILQ_INIT(&s->ready);
    TAILQ_INIT(&s->touched);
    TAILQ_INIT(&s->window_due);
    TAILQ_INIT(&s->dead);
    s->next_id = config->opens_odd ? 1 : 2;
    s->last_rx_ms = loop_now_ms(loop);
    s->link = link;
    link_set_owner(link, &session_link_events, s);
    link_set_watermark(link, LINK_WATERMARK);
    s->wire->begin(s);
    session_arm(s);
    return s;
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void end_streams(struct session *s)
{
    struct stream *st, *next;

    HASH_ITER(by_id, s->streams, st, next)
    {
        stream_finish(st, RESET_GOING_AWAY, NULL, 0, true);
    }
    streams_bury(s);
}

static void end_task(void *arg)
{
    struct session *s = arg;

    must_be(s, SESSION_MAGIC);
    end_streams(s);
    s->events->ended(s->arg, s->over_code, s->over_reason);
}

void session_fail(struct session *s, uint32_t close_code, const char *error_code,
                  const char *reason)
{
    must_be(s, SESSION_MAGIC);
    if (s->over)
        return;
    if (s->link)
        close_code = s->wire->part(s, close_code, error_code, reason);
    s->over = true;
    s->over_code = close_code;
    snprintf(s->over_reason, sizeof s->over_reason, "%s", reason ? reason : "");
    loop_timer_stop(s->timer);
    output_drop(s);
    if (s->link)
        link_abandon(s->link, close_code, s->over_reason);
    s->link = NULL;
    loop_task_schedule(s->loop, &s->end_task);
}

void session_close(struct session *s, uint32_t close_code, const char *error_code,
                   const char *message)
{
    session_fail(s, close_code, error_code, message);
}

void session_destroy(struct session *s)
{
    if (!s)
        return;
    session_fail(s, BURROW_CLOSE_GOING_AWAY, NULL, "session destroyed");
    end_streams(s);
    loop_task_cancel(s->loop, &s->end_task);
    loop_task_cancel(s->loop, &s->output_task);
    loop_timer_destroy(s->timer);
    rate_destroy(s);
    output_drop(s);
    free(s->rx);
    free(s->gather);
    free(s->target);
    free(s->name);
    s->magic = 0;
    free(s);
}

int session_send_control(struct session *s, const struct control *control)
{
    must_be(s, SESSION_MAGIC);
    if (s->wire != &wire_v2)
        return BURROW_EINVAL;
    if (s->over || !s->link)
        return BURROW_EIO;
    if (link_queued(s->link) > CONTROL_QUEUE_MAX) {
        session_fail(s, BURROW_CLOSE_POLICY, "flood", "too many controls to answer");
        return BURROW_EIO;
    }
    return link_send_control(s->link, FRAME_V2, control);
}

void session_set_limits(struct session *s, uint32_t max_streams, uint64_t bytes_per_second)
{
    must_be(s, SESSION_MAGIC);
    s->config.max_streams = max_streams;
    if (!s->over && bytes_per_second != s->config.bytes_per_second &&
        rate_set(s, bytes_per_second) < 0)
        session_fail(s, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
    s->config.bytes_per_second = bytes_per_second;
}

void session_drain(struct session *s)
{
    must_be(s, SESSION_MAGIC);
    s->draining = true;
    output_schedule(s);
}

uint32_t session_protocol(const struct session *s)
{
    return s->wire->version;
}

uint64_t session_next_id(const struct session *s)
{
    return s->next_id;
}

size_t session_stream_count(const struct session *s)
{
    return s->stream_count;
}

size_t session_queued(const struct session *s)
{
    return s->link ? link_queued(s->link) : 0;
}

uint64_t session_rtt_us(const struct session *s)
{
    return s->rtt_us;
}

/* ---- time ------------------------------------------------------------------------------------ */

static bool needs_ticks(const struct session *s)
{
    return s->opens_pending || s->starved_count || s->half_closed;
}

void session_arm(struct session *s)
{
    uint64_t now = loop_now_ms(s->loop), due;

    if (s->over)
        return;
    due = s->wire->due_ms(s, now);
    if (due > s->last_rx_ms + s->config.timeout_ms)
        due = s->last_rx_ms + s->config.timeout_ms;
    if (needs_ticks(s) && due > now + TICK_MS)
        due = now + TICK_MS;
    if (due <= now)
        due = now + 1;
    if (s->timer_due_ms > now && s->timer_due_ms <= due)
        return; /* it fires before and is set again then */
    s->timer_due_ms = due;
    loop_timer_set(s->timer, due - now);
}

/* Streams that nobody answered in time, and ends that broke while nobody read from them. */
static void check_streams(struct session *s, uint64_t now)
{
    struct stream *st, *next;

    HASH_ITER(by_id, s->streams, st, next)
    {
        bool unread = st->starved || st->fin_sent;
        bool late = st->local && !st->accepted && s->unread_reasons == 0 &&
                    now - st->opened_ms >= s->config.open_timeout_ms;
        uint32_t code = late ? RESET_TIMED_OUT : RESET_PEER_RESET;

        if (!late && !(unread && st->ops && st->ops->broken && st->ops->broken(st->end)))
            continue;
        s->wire->reset(st, code, "");
        if (s->over)
            return;
        stream_finish(st, code, NULL, 0, true);
    }
}

static void session_tick(void *arg)
{
    struct session *s = arg;
    uint64_t now;

    must_be(s, SESSION_MAGIC);
    now = loop_now_ms(s->loop);
    if (s->unread_reasons > 0)
        s->last_rx_ms = now; /* we do not listen: the peer is not silent */
    if (now > s->timer_due_ms + OVERSLEPT_MS && now - s->last_rx_ms >= s->config.timeout_ms)
        s->last_rx_ms = now - s->config.heartbeat_ms; /* hear first what came meanwhile */
    s->timer_due_ms = 0;
    if (now - s->last_rx_ms >= s->config.timeout_ms) {
        session_fail(s, BURROW_CLOSE_ABORT, NULL, "peer timed out");
        return;
    }
    s->wire->pulse(s, now);
    if (!s->over && needs_ticks(s))
        check_streams(s, now);
    session_arm(s);
}
