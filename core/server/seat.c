/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seats: a client's session on its worker. What the main loop wants of it comes as orders, what it
 * has to say goes back as reports; in both directions first in, first out. So an order may find a
 * session that is over, and does nothing then, but a report always finds its attachment: the end is
 * the last one.
 */
#include "server/internal.h"

#include "base/object.h"
#include "base/socket.h"
#include "tunnel/relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reports, from the worker to the main loop ---- */

struct report {
    struct loop_call call;
    struct attachment *attachment;
    struct control *control; /* NULL: a user's connection was refused, and the rest says why */
    size_t streams;
    uint16_t service;
    const char *reason; /* lives for ever */
    bool full;
};

static void tell(const struct report *r)
{
    if (r->control != NULL)
        attachment_control(r->attachment, r->control, r->streams);
    else
        attachment_refused(r->attachment, r->service, r->reason, r->streams, r->full);
}

static void drop_report(void *arg)
{
    struct report *r = arg;
    if (r->control != NULL)
        control_finish(r->control);
    free(r->control);
    free(r);
}

static void on_report(void *arg)
{
    struct report *r = arg;
    must_be(r->attachment, ATTACHMENT_MAGIC);
    tell(r);
    drop_report(r);
}

static struct control *copy_control(const struct control *control)
{
    struct control *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return NULL;
    *copy = *control;
    if (control->token == NULL || (copy->token = strdup(control->token)) != NULL)
        return copy;
    free(copy);
    return NULL;
}

/* False: out of memory. */
static bool send_report(const struct seat *seat, const struct report *report)
{
    if (worker_is_main(seat->worker)) {
        tell(report);
        return true;
    }
    struct report *copy = malloc(sizeof *copy);
    if (copy == NULL)
        return false;
    *copy = *report;
    copy->call = (struct loop_call){.fn = on_report, .arg = copy, .drop = drop_report};
    if (report->control != NULL && (copy->control = copy_control(report->control)) == NULL) {
        free(copy);
        return false;
    }
    main_call(seat->worker, &copy->call);
    return true;
}

static void on_told_end(void *arg)
{
    const struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    must_be(seat->attachment, ATTACHMENT_MAGIC);
    attachment_ended(seat->attachment, seat->reason);
}

static void on_told_empty(void *arg)
{
    const struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    must_be(seat->attachment, ATTACHMENT_MAGIC);
    attachment_emptied(seat->attachment);
}

/* The last report, which may free the seat. */
static void tell_end(struct seat *seat)
{
    seat->over = true;
    seat->ended = (struct loop_call){.fn = on_told_end, .arg = seat};
    main_call(seat->worker, &seat->ended);
}

/* ---- the session's events ---- */

static void end_session(struct seat *seat, const char *reason)
{
    struct session *session = seat->session;
    snprintf(seat->reason, sizeof seat->reason, "%s", reason);
    seat->session = NULL;
    TAILQ_REMOVE(&seat->worker->seats, seat, entry);
    session_destroy(session);
    tell_end(seat);
}

/* Only this side opens streams. */
static void on_opened(void *arg, struct stream *stream, const struct frame_open *open)
{
    const struct seat *seat = arg;
    (void)open;
    must_be(seat, SEAT_MAGIC);
    stream_reset(stream, RESET_NOT_ALLOWED, "the server takes no streams");
}

static bool is_flood(struct seat *seat)
{
    uint64_t second = loop_now_ms(seat->worker->loop) / 1000;
    if (second != seat->services_second)
        seat->services_in_second = 0;
    seat->services_second = second;
    return ++seat->services_in_second > SERVICES_A_SECOND;
}

/* What goes on to the main loop is bounded here, where more can be told to stop at once. */
static bool may_pass(struct seat *seat, const struct control *control)
{
    switch (control->type) {
    case CONTROL_SERVICES:
        if (!is_flood(seat))
            return true;
        session_close(seat->session, BURROW_CLOSE_POLICY, "flood", "too many lists of services");
        return false;
    case CONTROL_TOKEN:
        if (!seat->renewing)
            return seat->renewing = true;
        session_close(seat->session, BURROW_CLOSE_PROTOCOL, "protocol",
                      "a second token before the answer to the first");
        return false;
    case CONTROL_DRAIN:
        if (seat->leaving)
            return false;
        seat->leaving = true;
        session_drain(seat->session);
        return true;
    default:
        return false;
    }
}

static void on_control(void *arg, const struct control *control)
{
    struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    if (control->type == CONTROL_ERROR) {
        char reason[96];
        snprintf(reason, sizeof reason, "the client ended it: %s", control->code);
        session_close(seat->session, BURROW_CLOSE_NORMAL, NULL, reason);
        return;
    }
    if (!may_pass(seat, control))
        return;
    union {
        const struct control *in;
        struct control *out; /* read only */
    } borrowed = {.in = control};
    const struct report report = {.attachment = seat->attachment,
                                  .control = borrowed.out,
                                  .streams = session_stream_count(seat->session)};
    if (!send_report(seat, &report))
        session_close(seat->session, BURROW_CLOSE_INTERNAL, "internal", "out of memory");
}

static void on_emptied(void *arg)
{
    struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    seat->emptied = (struct loop_call){.fn = on_told_empty, .arg = seat};
    main_call(seat->worker, &seat->emptied);
}

static void on_ended(void *arg, uint32_t close_code, const char *reason)
{
    struct seat *seat = arg;
    (void)close_code;
    must_be(seat, SEAT_MAGIC);
    end_session(seat, reason);
}

static const struct session_events seat_events = {
    .opened = on_opened,
    .control = on_control,
    .emptied = on_emptied,
    .ended = on_ended,
};

int seat_begin(struct seat *seat, struct burrow_link *link, const struct session_config *config)
{
    must_be(seat, SEAT_MAGIC);
    struct worker *w = seat->worker;
    struct session_config mine = *config;
    mine.budget = &w->budget;
    mine.stats = &w->sessions_stats;
    link_read_enable(link, true);
    seat->session = session_create(w->loop, w->log, link, &mine, &seat_events, seat);
    if (seat->session == NULL) {
        seat_fail(seat, "out of memory");
        return BURROW_ENOMEM;
    }
    TAILQ_INSERT_TAIL(&w->seats, seat, entry);
    return BURROW_OK;
}

void seat_fail(struct seat *seat, const char *reason)
{
    must_be(seat, SEAT_MAGIC);
    snprintf(seat->reason, sizeof seat->reason, "%s", reason);
    tell_end(seat);
}

void seats_end(struct worker *worker)
{
    struct seat *seat;
    while ((seat = TAILQ_FIRST(&worker->seats)) != NULL)
        end_session(seat, "stopping");
}

/* ---- orders, from the main loop to the worker ---- */

struct order {
    struct loop_call call;
    struct seat *seat;
    void (*run)(struct seat *seat, struct order *order);
    /* What one of them is about. */
    struct control *control; /* owned */
    struct service_stats *stats;
    int fd; /* -1: none */
    struct frame_open open;
    uint32_t granted, max_streams, code, deadline_ms;
    uint64_t bytes_per_second;
    const char *error_code, *message;
};

/* Frees what was not used. */
static void finish_order(struct order *o)
{
    if (o->control != NULL)
        control_finish(o->control);
    free(o->control);
    service_stats_unref(o->stats);
    if (o->fd >= 0)
        socket_reset(o->fd);
}

static void drop_order(void *arg)
{
    struct order *o = arg;
    finish_order(o);
    free(o);
}

static void on_order(void *arg)
{
    struct order *o = arg;
    must_be(o->seat, SEAT_MAGIC);
    o->run(o->seat, o);
    drop_order(o);
}

/* False: out of memory, and what the order held is freed. */
static bool give(struct seat *seat, struct order *order)
{
    must_be(seat, SEAT_MAGIC);
    if (worker_is_main(seat->worker)) {
        order->run(seat, order);
        finish_order(order);
        return true;
    }
    struct order *copy = malloc(sizeof *copy);
    if (copy == NULL) {
        finish_order(order);
        return false;
    }
    *copy = *order;
    copy->seat = seat;
    copy->call = (struct loop_call){.fn = on_order, .arg = copy, .drop = drop_order};
    worker_call(seat->worker, &copy->call);
    return true;
}

/* An order that must not be lost: without memory for it the session ends. */
static void give_or_kill(struct seat *seat, struct order *order)
{
    if (!give(seat, order))
        seat_kill(seat);
}

static void run_close(struct seat *seat, struct order *o)
{
    if (seat->session != NULL)
        session_close(seat->session, o->code, o->error_code, o->message);
}

void seat_close(struct seat *seat, uint32_t code, const char *error_code, const char *message)
{
    struct order order = {
        .run = run_close, .fd = -1, .code = code, .error_code = error_code, .message = message};
    give_or_kill(seat, &order);
}

static void run_send(struct seat *seat, struct order *o)
{
    if (o->control->type == CONTROL_TOKEN_ACK)
        seat->renewing = false;
    if (seat->session != NULL)
        (void)session_send_control(seat->session,
                                   o->control); /* if it fails, the session is over */
}

void seat_send(struct seat *seat, struct control *control)
{
    struct order order = {.run = run_send, .fd = -1, .control = control};
    give_or_kill(seat, &order);
}

static void run_limits(struct seat *seat, struct order *o)
{
    if (seat->session != NULL)
        session_set_limits(seat->session, o->max_streams, o->bytes_per_second);
}

void seat_set_limits(struct seat *seat, uint32_t max_streams, uint64_t bytes_per_second)
{
    struct order order = {.run = run_limits,
                          .fd = -1,
                          .max_streams = max_streams,
                          .bytes_per_second = bytes_per_second};
    give_or_kill(seat, &order);
}

static void run_drain(struct seat *seat, struct order *o)
{
    struct control *drain = seat->session != NULL ? calloc(1, sizeof *drain) : NULL;
    if (seat->session == NULL)
        return;
    session_drain(seat->session);
    if (drain == NULL)
        return; /* its streams have their time all the same */
    drain->type = CONTROL_DRAIN;
    drain->deadline_ms = o->deadline_ms;
    (void)session_send_control(seat->session, drain);
    free(drain);
}

void seat_drain(struct seat *seat, uint32_t deadline_ms)
{
    struct order order = {.run = run_drain, .fd = -1, .deadline_ms = deadline_ms};
    give_or_kill(seat, &order);
}

static void refuse(struct seat *seat, uint16_t service, const char *reason, size_t streams,
                   bool full)
{
    const struct report report = {.attachment = seat->attachment,
                                  .service = service,
                                  .reason = reason,
                                  .streams = streams,
                                  .full = full};
    if (seat->over || !send_report(seat, &report))
        seat->worker->stats.bridge_refused++;
}

static void run_open(struct seat *seat, struct order *o)
{
    if (seat->session == NULL) {
        refuse(seat, o->open.service, "no client is there", 0, false);
        return;
    }
    size_t streams = session_stream_count(seat->session);
    if (streams >= o->granted) {
        refuse(seat, o->open.service, "the client's grants do not allow it", streams, true);
        return;
    }
    struct relay *relay = relay_create(seat->worker->loop, o->fd);
    o->fd = -1;
    if (relay == NULL) {
        refuse(seat, o->open.service, "out of memory", streams, false);
        return;
    }
    struct stream *stream;
    int rc = stream_open(seat->session, &o->open, &relay_stream_ops, relay, &stream);
    if (rc != BURROW_OK) {
        refuse(seat, o->open.service, rc == BURROW_ENOMEM ? "too many streams" : error_name(rc),
               streams, false);
        relay_destroy(relay);
        return;
    }
    stream_count_in(stream, o->stats);
    relay_attach(relay, stream);
}

void seat_open(struct seat *seat, int fd, const struct frame_open *open,
               struct service_stats *stats, uint32_t granted)
{
    struct order order = {
        .run = run_open, .fd = fd, .open = *open, .stats = stats, .granted = granted};
    if (!give(seat, &order))
        attachment_refused(seat->attachment, open->service, "out of memory", 0, false);
}

static void on_kill(void *arg)
{
    struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    if (seat->session != NULL)
        end_session(seat, "ended by the server");
}

void seat_kill(struct seat *seat)
{
    must_be(seat, SEAT_MAGIC);
    if (seat->killed)
        return;
    seat->killed = true;
    seat->kill = (struct loop_call){.fn = on_kill, .arg = seat};
    worker_call(seat->worker, &seat->kill);
}

/* ---- life ---- */

struct seat *seat_create(struct worker *worker, struct attachment *attachment)
{
    struct seat *seat = calloc(1, sizeof *seat);
    if (seat == NULL)
        return NULL;
    seat->magic = SEAT_MAGIC;
    seat->worker = worker;
    seat->attachment = attachment;
    return seat;
}

static void on_let_go(void *arg)
{
    struct seat *seat = arg;
    must_be(seat, SEAT_MAGIC);
    must(seat->session == NULL);
    seat->magic = 0;
    free(seat);
}

void seat_let_go(struct seat *seat)
{
    if (seat == NULL)
        return;
    must_be(seat, SEAT_MAGIC);
    seat->let_go = (struct loop_call){.fn = on_let_go, .arg = seat, .drop = on_let_go};
    worker_call(seat->worker, &seat->let_go);
}
