/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the grants of a client's token allow, asked at the moment of use: for each service that
 * it registers, for each bridge port, for each stream. A refusal is counted under its grant and
 * said in the log; who asked carries it out.
 *
 * Grants belong to the client's record, since they are of its present session and may change
 * within it, when a token is renewed. Streams that are under way then go on.
 */
#include "server/internal.h"

static void note(const struct client_record *record, enum grant grant, const char *service,
                 uint64_t value)
{
    struct server *server = record->server;
    uint32_t dropped;
    server->stats.grant_refused[grant]++;
    if (log_sample(&server->grant_sample, loop_now_ms(server->loop), &dropped))
        log_at(server->log, BURROW_LOG_WARN, "grant_refused",
               burrow_str("grant", grant_name(grant)), burrow_str("client", record->id),
               burrow_str("service", service), burrow_uint("value", value),
               burrow_uint("left_out", dropped));
}

bool permit_service(const struct client_record *record, const char *name)
{
    if (grants_allow_service(record->grants, name))
        return true;
    note(record, GRANT_SERVICES, name, 0);
    return false;
}

bool permit_port(const struct client_record *record, const char *service, uint16_t port)
{
    if (grants_allow_port(record->grants, port))
        return true;
    note(record, GRANT_PORTS, service, port);
    return false;
}

bool permit_stream(const struct bridge *b)
{
    const struct client_record *record = b->record;
    return record->grants == NULL || (permit_service(record, b->name) &&
                                      permit_port(record, b->name, b->acceptor.local.port));
}

void permit_full(const struct client_record *record, const char *service, size_t streams)
{
    note(record, GRANT_MAX_STREAMS, service, streams);
}

void permit_say(const struct client_record *record)
{
    char text[GRANTS_TEXT];
    if (record->grants != NULL)
        log_at(record->server->log, BURROW_LOG_INFO, "client_grants",
               burrow_str("client", record->id),
               burrow_str("grants", grants_describe(record->grants, text)));
}

void record_set_grants(struct client_record *record, struct grants *grants)
{
    struct grants *old = record->grants;
    record->grants = grants_ref(grants);
    grants_unref(old);
}
