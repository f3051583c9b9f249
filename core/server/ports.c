/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which port a bridge gets: one that the client asks for, one of --bridge-port-range, or any
 * that is free. In a range each pair of client id and service name has a place of its own,
 * found by a hash, and the first free port from there on is taken; so that a service has the
 * same port after a restart of the server, without anything being kept, for as long as
 * nobody else sits there. Of all these, only those that the client's grants allow.
 */
#include "server/internal.h"

#include <stdio.h>

static bool is_taken(const struct server *server, uint16_t port)
{
    return (server->bridge_ports[port / 8] & 1u << port % 8) != 0;
}

static void take(struct server *server, uint16_t port)
{
    server->bridge_ports[port / 8] = (uint8_t)(server->bridge_ports[port / 8] | 1u << port % 8);
}

void ports_release(struct server *server, uint16_t port)
{
    server->bridge_ports[port / 8] = (uint8_t)(server->bridge_ports[port / 8] & ~(1u << port % 8));
}

/* FNV-1a, 32 bits, of the id, a NUL and the name: the same on every machine. */
static uint32_t place(const char *id, const char *name)
{
    uint32_t hash = 2166136261u;
    for (const char *p = id;; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619u;
        if (*p == '\0')
            break;
    }
    for (const char *p = name; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    return hash;
}

static int listen_at(struct bridge *b, uint16_t port, acceptor_fn *fn, struct error *err)
{
    struct server *server = b->record->server;
    int rc =
        acceptor_open(&b->acceptor, &server->guard, server->options->bridge_host, port, fn, b, err);
    if (rc == BURROW_OK)
        take(server, b->acceptor.local.port);
    return rc;
}

static int open_wanted(struct bridge *b, uint16_t port, acceptor_fn *fn, const char **ret_code,
                       struct error *err)
{
    const struct server *server = b->record->server;
    const struct port_range *range = &server->bridge_range;
    *ret_code = "not_allowed";
    if (!server->options->allow_client_ports)
        return error_set(err, BURROW_EDENIED, "this server chooses the bridge ports itself");
    if (port < range->first || port > range->last)
        return error_set(err, BURROW_EDENIED, "port %u is not among %u-%u", port, range->first,
                         range->last);
    if (!permit_port(b->record, b->name, port))
        return error_set(err, BURROW_EDENIED, "the client's grants do not allow port %u", port);
    *ret_code = "internal"; /* where the system denies it: a port below 1024 */
    int rc = is_taken(server, port) ? BURROW_EAGAIN : listen_at(b, port, fn, err);
    return rc == BURROW_EAGAIN ? error_set(err, rc, "port %u is taken", port) : rc;
}

static int open_in_range(struct bridge *b, const struct port_range *range, acceptor_fn *fn,
                         const char **ret_code, struct error *err)
{
    const struct server *server = b->record->server;
    uint16_t allowed = 0; /* one that the grants allow */
    bool denied = false;  /* there was one that the system does not */
    const uint32_t size = (uint32_t)range->last - range->first + 1;
    const uint32_t start = place(b->record->id, b->name) % size;
    for (uint32_t i = 0; i < size; i++) {
        uint16_t port = (uint16_t)(range->first + (start + i) % size);
        uint16_t next = grants_next_port(b->record->grants, port);
        if (next != port) {
            /* On to the next that is allowed, or to where the range begins anew. */
            uint32_t to = next == 0 || next > range->last ? range->last + 1u : next;
            i += to - port - 1;
            continue;
        }
        allowed = port;
        int rc = is_taken(server, port) ? BURROW_EAGAIN : listen_at(b, port, fn, err);
        if (rc != BURROW_EAGAIN && rc != BURROW_EDENIED)
            return rc;
        denied = denied || rc == BURROW_EDENIED;
    }
    *ret_code = "not_allowed";
    if (allowed == 0 && !permit_port(b->record, b->name, range->first))
        return error_set(err, BURROW_EDENIED, "the client's grants allow no port of %u-%u",
                         range->first, range->last);
    return error_set(err, BURROW_EAGAIN, "no port of %u-%u is free%s", range->first, range->last,
                     denied ? " that the system lets this server listen at" : "");
}

int ports_open(struct bridge *b, uint16_t wanted, acceptor_fn *fn, const char **ret_code,
               struct error *err)
{
    static const struct port_range all = {1, UINT16_MAX};
    const struct port_range *range = &b->record->server->bridge_range;
    const struct grants *grants = b->record->grants;
    int rc;
    *ret_code = "internal";
    if (range->first == 0 && grants != NULL && grants->has[GRANT_PORTS])
        range = &all; /* and of these, what the grants allow */
    if (wanted != 0)
        rc = open_wanted(b, wanted, fn, ret_code, err);
    else if (range->first != 0)
        rc = open_in_range(b, range, fn, ret_code, err);
    else
        rc = listen_at(b, 0, fn, err);
    if (rc != BURROW_OK && rc != BURROW_EDENIED)
        *ret_code = rc == BURROW_EAGAIN || rc == BURROW_ENOMEM ? "limit" : "internal";
    return rc;
}
