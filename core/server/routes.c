/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server answers over HTTP; a transport carries the requests. Health and metrics
 * for operators, and /api/clients/ID/bridge-addr for whoever may know a bridge's address.
 */
#include "server/routes.h"

#include "base/percent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define API_PREFIX "/api/clients/"
#define API_SUFFIX "/bridge-addr"

/* ---- the client API ---- */

/* Takes the same time for every wrong token of the right length. */
static bool token_matches(const struct burrow_secret *token, const char *authorization)
{
    if (token->data == NULL || authorization == NULL ||
        strncasecmp(authorization, "Bearer ", 7) != 0)
        return false;
    const char *shown = authorization + 7;
    shown += strspn(shown, " ");
    if (strlen(shown) != token->len)
        return false;
    unsigned difference = 0;
    for (size_t i = 0; i < token->len; i++)
        difference |= (unsigned)((uint8_t)shown[i] ^ token->data[i]);
    return difference == 0;
}

/* The status for somebody who asks the client API: 200 goes on. */
static uint32_t api_policy(const struct server_options *o, const struct burrow_http *request)
{
    bool has_token = o->api_token.data != NULL && o->api_token.len > 0;
    if (strcmp(o->enable_client_api, "false") == 0)
        return 404;
    if (has_token && token_matches(&o->api_token, request->authorization))
        return 200;
    if (strcmp(o->enable_client_api, "true") == 0)
        return has_token ? 401 : 200;
    if (request->flags & BURROW_HTTP_TRUSTED_PEER)
        return 200;
    return has_token ? 401 : 404;
}

/* The value of `name` in a query, percent-decoded; false when it is not there or does not
 * fit. */
static bool query_value(const char *query, const char *name, char *ret, size_t size)
{
    size_t name_len = strlen(name);
    for (const char *p = query; *p != '\0'; p += *p == '&') {
        size_t len = strcspn(p, "&");
        const char *end = p + len;
        if (len <= name_len || strncmp(p, name, name_len) != 0 || p[name_len] != '=') {
            p = end;
            continue;
        }
        p += name_len + 1;
        ssize_t n = percent_decode(p, (size_t)(end - p), true, ret, size - 1);
        if (n < 0 || memchr(ret, '\0', (size_t)n) != NULL)
            return false;
        ret[n] = '\0';
        return true;
    }
    return false;
}

static const struct bridge *choose_bridge(struct client_record *record, const char *query)
{
    char name[64];
    if (query_value(query, "service", name, sizeof name))
        return bridges_find(record, name);
    const struct bridge *b, *first = NULL;
    TAILQ_FOREACH(b, &record->bridges, entry)
    {
        if (b->active && (first == NULL || b->service_id < first->service_id))
            first = b;
    }
    return first;
}

static void answer_bridge(struct server *server, const struct burrow_http *request, const char *id,
                          struct http_answer *ret)
{
    struct client_record *record = clients_find(server, id);
    if (record == NULL || record->attachment == NULL) {
        answer_text(ret, 404, "client not found\n");
        return;
    }
    const struct bridge *b = choose_bridge(record, request->query != NULL ? request->query : "");
    char addr[ADDRESS_TEXT] = "";
    if (b == NULL || !b->active || bridge_address(b, addr)[0] == '\0') {
        answer_text(ret, 404, "no bridge listener\n");
        return;
    }
    answer_text(ret, 200, addr);
}

/* True when the path is one of the client API's; a client id may itself hold a slash. */
static bool api_client(const char *path, char id[CONTROL_MAX_CLIENT_ID + 1])
{
    size_t prefix = strlen(API_PREFIX), suffix = strlen(API_SUFFIX), len = strlen(path);
    if (len <= prefix + suffix || strncmp(path, API_PREFIX, prefix) != 0 ||
        strcmp(path + len - suffix, API_SUFFIX) != 0)
        return false;
    size_t n = len - prefix - suffix;
    if (n > CONTROL_MAX_CLIENT_ID)
        return false;
    memcpy(id, path + prefix, n);
    id[n] = '\0';
    return true;
}

/* Who asks sees no more than a status; whoever set this up may wonder. */
static void say_refused(struct server *server, const struct burrow_http *request, uint32_t status)
{
    bool off = strcmp(server->options->enable_client_api, "false") == 0;
    char peer[ADDRESS_TEXT];
    uint32_t dropped;
    if (off || !log_sample(&server->api_sample, loop_now_ms(server->loop), &dropped))
        return;
    log_at(server->log, BURROW_LOG_WARN, "api_refused",
           burrow_str("peer", address_format(&request->peer, peer)), burrow_uint("status", status),
           burrow_str("reason", status == 401
                                    ? "not the token of --api-token (BURROW_API_TOKEN)"
                                    : "not a peer on this machine; let holders of --api-token "
                                      "(BURROW_API_TOKEN) in, or everyone with "
                                      "--enable-client-api true (BURROW_ENABLE_CLIENT_API)"),
           burrow_uint("left_out", dropped));
}

static void answer_api(struct server *server, const struct burrow_http *request,
                       struct http_answer *ret)
{
    char id[CONTROL_MAX_CLIENT_ID + 1];
    uint32_t status = api_policy(server->options, request);
    if (status != 200)
        say_refused(server, request, status);
    switch (status) {
    case 200:
        if (api_client(request->path, id)) {
            answer_bridge(server, request, id, ret);
            return;
        }
        break;
    case 401:
        answer_text(ret, 401, "unauthorized\n");
        return;
    default:
        break;
    }
    answer_text(ret, 404, "not found\n");
}

/* ---- all routes ---- */

/* NULL: it takes clients. */
static const char *not_ready(const struct server *server)
{
    return server->draining                       ? "draining\n"
           : server->started && !server->stopping ? NULL
                                                  : "not ready\n";
}

bool routes_answer(struct server *server, const struct burrow_http *request,
                   struct http_answer *ret)
{
    const char *path = request->path;
    /* With an admin address the public one keeps only what strangers need. */
    bool full = server->options->admin_addr == NULL || request->role == BURROW_ROLE_ADMIN;
    if (strcmp(path, "/healthz") == 0) {
        answer_text(ret, 200, "ok");
    } else if (full && answer_health(ret, path, not_ready(server))) {
        return true;
    } else if (full && strcmp(path, "/metrics") == 0) {
        struct worker_counts counts;
        if (server->worker_count > 1)
            return false;
        worker_counts_take(&server->workers[0], &counts);
        routes_metrics(server, &counts, ret);
    } else if (full && strncmp(path, "/api/", 5) == 0) {
        answer_api(server, request, ret);
    } else {
        answer_text(ret, 404, "not found\n");
    }
    return true;
}
