/* SPDX-License-Identifier: Apache-2.0 */
/* The option table of `burrow server`. */
#include "server/options.h"

#include "loop/acceptor.h"

#include "base/address.h"
#include "config/option.h"

#include <stddef.h>
#include <string.h>

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define S struct server_options
#define R BURROW_OPT_RELOADABLE
#define SECOND 1000
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)

/* clang-format off */
const struct burrow_option server_option_table[] = {
    BURROW_OPTION_STRING(S, server_addr, "server-addr", ":8080", "HOST:PORT", 0, NULL,
        "where to listen for HTTP and WebSocket clients; port 0 takes any free one"),
    BURROW_OPTION_STRING(S, tls_addr, "tls-addr", NULL, "HOST:PORT", 0, NULL,
        "where to listen for raw TLS clients (tls:// URLs)"),
    BURROW_OPTION_STRING(S, admin_addr, "admin-addr", NULL, "HOST:PORT", 0, NULL,
        "serve metrics, health and the client API here; the public port keeps /ws and /healthz"),
    BURROW_OPTION_LIST(S, listen, "listen", "NAME=ADDRESS", 0,
        "let clients of the transport plugin NAME in at ADDRESS: HOST:PORT or unix:PATH"),
    BURROW_OPTION_STRING(S, bridge_host, "bridge-host", "127.0.0.1", "HOST", OPTION_EMPTY_IS_VALUE,
        NULL, "address that bridge listeners bind; an empty value turns bridges off"),
    BURROW_OPTION_STRING(S, bridge_port_range, "bridge-port-range", NULL, "A-B", R, NULL,
        "ports for bridges; a client's service gets the same one again while it is free"),
    BURROW_OPTION_BOOL(S, allow_client_ports, "allow-client-ports", "false", R,
        "let clients ask for a certain port of --bridge-port-range"),
    BURROW_OPTION_STRING(S, enable_client_api, "enable-client-api", "auto", "WHEN", R,
        "auto|true|false",
        "who may ask /api/clients: local peers and holders of the API token, everyone, nobody"),
    BURROW_OPTION_SECRET(S, api_token, "api-token", "TOKEN", R,
        "bearer token that opens /api/clients"),
    BURROW_OPTION_DURATION(S, heartbeat_interval, "heartbeat-interval", "10s", R, 100, HOUR,
        "how long a quiet connection is left alone before it is asked for a sign of life"),
    BURROW_OPTION_DURATION(S, heartbeat_timeout, "heartbeat-timeout", "30s", R, 200, DAY,
        "how long a connection may be silent before it counts as dead"),
    BURROW_OPTION_DURATION(S, sweep_interval, "sweep-interval", "1m", R, 100, DAY,
        "how often to look for clients that are gone"),
    BURROW_OPTION_DURATION(S, stale_service_age, "stale-service-age", "10m", R, 100,
        (int64_t)365 * DAY, "how long the bridge and the services of a client that is gone are kept"),
    BURROW_OPTION_DURATION(S, drain_timeout, "drain-timeout", "30s", R, 0, DAY,
        "how long running streams may go on after SIGTERM; 0s ends them at once"),
    BURROW_OPTION_INT(S, max_clients, "max-clients", "10000", "COUNT", R, 1, 1000000,
        "clients connected at once"),
    BURROW_OPTION_INT(S, max_streams, "max-streams", "1024", "COUNT", R, 1, 65536,
        "streams of one client at once"),
    BURROW_OPTION_BYTES(S, buffer_limit, "buffer-limit", "128MiB", R, 1 << 20, (int64_t)1 << 40,
        "bytes that all clients together may have under way to this process"),
    BURROW_OPTION_STRING(S, workers, "workers", "1", "COUNT", 0, NULL,
        "threads that share the clients, up to 64; auto is one for each core that this process may use"),
    BURROW_OPTION_BOOL(S, metrics_per_service, "metrics-per-service", "false", R,
        "add metrics of each service, with client id and service name as labels"),
    BURROW_OPTION_BOOL(S, token_in_register, "token-in-register", "false", R,
        "let clients without an Authorization header in; their register frame must carry a token"),
    BURROW_OPTION_END,
};
/* clang-format on */

static int check_address(const char *flag, const char *variable, const char *text,
                         struct error *err)
{
    struct endpoint ep;
    if (text == NULL)
        return BURROW_OK;
    if (endpoint_parse(text, ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST, &ep, err) != BURROW_OK)
        return error_prefix(err, "--%s (%s)", flag, variable);
    return BURROW_OK;
}

/* A literal or something that may be a name; whether it exists is seen when bridges bind. */
static int check_bridge_host(const char *host, struct error *err)
{
    struct burrow_addr literal;
    char quoted[320];
    if (host == NULL || host[0] == '\0' || address_parse_literal(host, 0, &literal) == BURROW_OK)
        return BURROW_OK;
    size_t n = strlen(host);
    if (n < 254 && strspn(host, NAME_CHARACTERS) == n)
        return BURROW_OK;
    return error_set(err, BURROW_EINVAL,
                     "--bridge-host (BURROW_BRIDGE_HOST): %s is no address; expected an IP address "
                     "or a host name, without a port",
                     option_quote(host, quoted, sizeof quoted));
}

int listen_item_parse(const char *text, struct listen_item *ret, struct error *err)
{
    struct listen_item item = {.path = NULL};
    char quoted[320];
    const char *equals = strchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : 0;
    int rc = BURROW_OK;
    if (n == 0 || n >= sizeof item.transport)
        rc = error_set(err, BURROW_EINVAL,
                       "%s is no NAME=ADDRESS; expected one such as "
                       "transport-x=127.0.0.1:7000 or transport-x=unix:/run/x.sock",
                       option_quote(text, quoted, sizeof quoted));
    if (rc == BURROW_OK) {
        memcpy(item.transport, text, n);
        if (strncmp(equals + 1, "unix:", 5) != 0) {
            rc = endpoint_parse(equals + 1, ENDPOINT_ANY_PORT | ENDPOINT_NO_HOST, &item.at, err);
        } else {
            item.path = equals + 6;
            size_t len = strlen(item.path);
            if (item.path[0] != '/' || len >= ACCEPTOR_PATH)
                rc = error_set(err, BURROW_EINVAL,
                               "%s: expected an absolute path of at most %u bytes after unix:",
                               option_quote(text, quoted, sizeof quoted), ACCEPTOR_PATH - 1);
        }
    }
    if (rc != BURROW_OK)
        return error_prefix(err, "--listen (BURROW_LISTEN)");
    *ret = item;
    return BURROW_OK;
}

static int check_listen(const struct burrow_list *listen, struct error *err)
{
    struct listen_item item;
    if (listen->count > SERVER_MAX_LISTEN)
        return error_set(err, BURROW_EINVAL, "--listen (BURROW_LISTEN): %zu items; at most %d",
                         listen->count, SERVER_MAX_LISTEN);
    for (size_t i = 0; i < listen->count; i++)
        if (listen_item_parse(listen->items[i], &item, err) != BURROW_OK)
            return BURROW_EINVAL;
    return BURROW_OK;
}

/* The digits at *p, which is left behind them; 0: no port. */
static uint16_t port_at(const char **p)
{
    unsigned port = 0;
    size_t n = strspn(*p, "0123456789");
    for (size_t i = 0; i < n && port <= UINT16_MAX; i++)
        port = port * 10 + (unsigned)((*p)[i] - '0');
    *p += n;
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

int port_range_parse(const char *text, struct port_range *ret, struct error *err)
{
    struct port_range range = {0};
    const char *p = text;
    char quoted[320];
    if (text != NULL) {
        range.first = port_at(&p);
        if (*p == '-') {
            p++;
            range.last = port_at(&p);
        }
        if (range.first == 0 || range.last < range.first || *p != '\0')
            return error_set(err, BURROW_EINVAL,
                             "--bridge-port-range (BURROW_BRIDGE_PORT_RANGE): %s is no range of "
                             "ports; expected A-B with 1 <= A <= B <= 65535, such as 15000-15999",
                             option_quote(text, quoted, sizeof quoted));
    }
    *ret = range;
    return BURROW_OK;
}

int workers_parse(const char *text, size_t *ret, struct error *err)
{
    char quoted[320];
    size_t count = 0, n = strspn(text, "0123456789");
    for (size_t i = 0; i < n && count <= SERVER_MAX_WORKERS; i++)
        count = count * 10 + (size_t)(text[i] - '0');
    bool is_auto = strcmp(text, "auto") == 0;
    if (!is_auto && (text[n] != '\0' || count == 0 || count > SERVER_MAX_WORKERS))
        return error_set(
            err, BURROW_EINVAL,
            "--workers (BURROW_WORKERS): %s is no number of workers; expected 1 to %u, "
            "or auto",
            option_quote(text, quoted, sizeof quoted), SERVER_MAX_WORKERS);
    *ret = count;
    return BURROW_OK;
}

static int check_ports(const struct server_options *options, struct error *err)
{
    struct port_range range;
    int rc = port_range_parse(options->bridge_port_range, &range, err);
    if (rc == BURROW_OK && options->allow_client_ports && range.first == 0)
        rc = error_set(err, BURROW_EINVAL,
                       "--allow-client-ports (BURROW_ALLOW_CLIENT_PORTS): needs "
                       "--bridge-port-range (BURROW_BRIDGE_PORT_RANGE), the ports that clients "
                       "may ask for");
    return rc;
}

int server_options_check(const struct server_options *options, struct error *err)
{
    int rc = check_address("server-addr", "BURROW_SERVER_ADDR", options->server_addr, err);
    if (rc == BURROW_OK)
        rc = check_address("tls-addr", "BURROW_TLS_ADDR", options->tls_addr, err);
    if (rc == BURROW_OK)
        rc = check_address("admin-addr", "BURROW_ADMIN_ADDR", options->admin_addr, err);
    if (rc == BURROW_OK)
        rc = check_listen(&options->listen, err);
    if (rc == BURROW_OK)
        rc = check_bridge_host(options->bridge_host, err);
    if (rc == BURROW_OK)
        rc = check_ports(options, err);
    size_t workers;
    if (rc == BURROW_OK && options->workers != NULL)
        rc = workers_parse(options->workers, &workers, err);
    if (rc != BURROW_OK)
        return rc;
    if (options->heartbeat_timeout <= options->heartbeat_interval)
        return error_set(err, BURROW_EINVAL,
                         "--heartbeat-timeout (BURROW_HEARTBEAT_TIMEOUT): %lldms is not longer "
                         "than --heartbeat-interval (%lldms)",
                         (long long)options->heartbeat_timeout,
                         (long long)options->heartbeat_interval);
    return BURROW_OK;
}
