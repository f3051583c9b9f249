/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `burrow server` that belong to the core, and the rules between them. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include "base/address.h"
#include "base/error.h"

struct server_options {
    const char *server_addr, *tls_addr, *admin_addr; /* tls, admin: NULL when unset */
    const char *bridge_host;                         /* "" or NULL: no bridges */
    const char *bridge_port_range;                   /* "A-B", NULL when unset */
    uint8_t allow_client_ports;
    const char *enable_client_api; /* "auto", "true", "false" */
    struct burrow_secret api_token;
    int64_t heartbeat_interval, heartbeat_timeout; /* ms */
    int64_t sweep_interval, stale_service_age;     /* ms */
    int64_t drain_timeout;                         /* ms */
    int64_t max_clients, max_streams;
    int64_t buffer_limit; /* bytes */
    const char *workers;  /* a number, or "auto" */
    uint8_t metrics_per_service;
    uint8_t token_in_register;
    struct burrow_list listen; /* NAME=ADDRESS */
};

#define SERVER_MAX_LISTEN 16
#define SERVER_MAX_WORKERS 64u

/* A number of workers from 1 on, or "auto", which is 0. */
int workers_parse(const char *text, size_t *ret, struct error *err);

/* One item of --listen: which transport, and where: a Unix socket or HOST:PORT. */
struct listen_item {
    char transport[65];
    const char *path; /* of the socket, within the item; NULL: `at` holds */
    struct endpoint at;
};
int listen_item_parse(const char *text, struct listen_item *ret, struct error *err);

extern const struct burrow_option server_option_table[];

/* Ports, both ends included; first is 0 for none. */
struct port_range {
    uint16_t first, last;
};
/* "A-B" with 1 ≤ A ≤ B ≤ 65535; NULL is none. */
int port_range_parse(const char *text, struct port_range *ret, struct error *err);

/* Looks over what a table cannot say: addresses that parse, a timeout longer than the
 * interval. err has the form "--flag (BURROW_FLAG): …". */
int server_options_check(const struct server_options *options, struct error *err);

#endif
