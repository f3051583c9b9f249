/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draining: connections give way in order. The server drains before it stops: nobody new is let
 * in, bridges listen no more, clients are told so that they connect elsewhere, and streams that
 * run may end within drain-timeout; a client of version 1, which knows no such word, is sent away
 * when it has no streams left. A client drains before it leaves: it is sent no new streams.
 */
#include "server/internal.h"

#include "base/object.h"

#include <stdlib.h>

static bool has_streams(const struct server *server)
{
    return server->sessions_stats.streams_active > 0;
}

static void announce(struct attachment *a, const struct control *drain)
{
    session_drain(a->session);
    (void)session_send_control(a->session, drain); /* if it fails, the session is over */
}

bool drain_begin(struct server *server, uint32_t deadline_ms)
{
    struct control *drain = calloc(1, sizeof *drain);
    if (drain == NULL || !has_streams(server)) {
        free(drain);
        return false;
    }
    server->draining = true;
    drain->type = CONTROL_DRAIN;
    drain->deadline_ms = deadline_ms;
    struct attachment *a;
    TAILQ_FOREACH(a, &server->sessions, entry)
    {
        if (a->record != NULL)
            bridges_stop_listening(a->record);
        announce(a, drain);
    }
    struct client_record *record;
    TAILQ_FOREACH(record, &server->gone, gone_entry)
    {
        bridges_stop_listening(record);
    }
    free(drain);
    return true;
}

void drain_look(struct server *server)
{
    if (server->draining && !server->stopping && !has_streams(server))
        loop_timer_set(server->stop_timer, 0);
}

void drain_announced(struct attachment *a, const struct control *drain)
{
    struct server *server = a->server;
    if (a->leaving)
        return;
    a->leaving = true;
    a->leave_by_ms = loop_now_ms(server->loop) + drain->deadline_ms;
    session_drain(a->session);
    log_at(server->log, BURROW_LOG_INFO, "client_draining", burrow_str("client", a->client_id),
           burrow_str("session", a->session_id),
           burrow_uint("streams", session_stream_count(a->session)),
           burrow_uint("deadline_ms", drain->deadline_ms));
}
