/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Draining: connections give way in order. The server drains before it stops: nobody new is let
 * in, bridges listen no more, clients are told so that they connect elsewhere, and streams that
 * run may end within drain-timeout; a client of version 1, which knows no such word, is sent away
 * when it has no streams left. A client drains before it leaves: it is sent no new streams.
 */
#include "server/internal.h"

bool drain_begin(struct server *server, uint32_t deadline_ms)
{
    if (workers_streams(server) == 0)
        return false;
    server->draining = true;
    workers_update(server);
    struct attachment *a;
    TAILQ_FOREACH(a, &server->sessions, entry)
    {
        if (a->record != NULL)
            bridges_stop_listening(a->record);
        a->drain_awaits = !a->emptied;
        server->drain_awaited += a->drain_awaits;
        seat_drain(a->seat, deadline_ms);
    }
    struct client_record *record;
    TAILQ_FOREACH(record, &server->gone, gone_entry)
    {
        bridges_stop_listening(record);
    }
    drain_look(server);
    return true;
}

void drain_look(struct server *server)
{
    if (server->draining && !server->stopping && server->drain_awaited == 0)
        loop_timer_set(server->stop_timer, 0);
}

void drain_announced(struct attachment *a, const struct control *drain, size_t streams)
{
    struct server *server = a->server;
    a->leaving = true;
    a->left_streams = streams;
    a->leave_by_ms = loop_now_ms(server->loop) +
                     (drain->deadline_ms < LEAVE_MAX_MS ? drain->deadline_ms : LEAVE_MAX_MS);
    log_at(server->log, BURROW_LOG_INFO, "client_draining", burrow_str("client", a->client_id),
           burrow_str("session", a->session_id), burrow_uint("streams", streams),
           burrow_uint("deadline_ms", drain->deadline_ms));
}
