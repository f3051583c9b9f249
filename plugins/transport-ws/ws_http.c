/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are no upgrade to a session: /healthz and the like. The host has the answers;
 * here they are made HTTP, one per connection, which then closes.
 */
#include "ws.h"
#include "ws_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A slow reader may take so long over an answer. */
#define ANSWER_MS 10000u

static const struct {
    unsigned status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

static const char *phrase_of(unsigned status)
{
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return status < 400 ? "OK" : "Error";
}

static bool header_safe(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* Sends a whole response and lets the connection end. */
static void answer(struct ws_conn *conn, unsigned status, const char *type, const char *extra,
                   const char *body, size_t len, uint32_t code)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\n%sConnection: close\r\n\r\n",
                     status, phrase_of(status), type, len, extra != NULL ? extra : "");
    size_t head_len = n > 0 && (size_t)n < sizeof head ? (size_t)n : 0;
    size_t body_len = conn->http_head ? 0 : len;
    char *text = head_len > 0 && body_len <= SIZE_MAX - head_len
                     ? (char *)malloc(head_len + body_len)
                     : NULL;
    if (text == NULL) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    memcpy(text, head, head_len);
    if (body_len > 0)
        memcpy(text + head_len, body, body_len);
    char reason[64];
    snprintf(reason, sizeof reason, "answered a request with %u", status);
    ws_conn_part(conn, text, head_len + body_len, ANSWER_MS, code, reason);
    free(text);
}

void ws_http_refuse(struct ws_conn *conn, const struct ws_refusal *refusal)
{
    char body[160];
    int n = snprintf(body, sizeof body, "%s\n", refusal->text);
    answer(conn, refusal->status, "text/plain; charset=utf-8", refusal->extra, body,
           n > 0 ? (size_t)n : 0, BURROW_CLOSE_PROTOCOL);
}

static void refuse(struct ws_conn *conn, unsigned status, const char *text, const char *extra)
{
    struct ws_refusal refusal = {status, text, extra};
    ws_http_refuse(conn, &refusal);
}

static bool from_loopback(const struct burrow_addr *peer)
{
    static const uint8_t six[16] = {[15] = 1};
    static const uint8_t mapped[13] = {[10] = 0xff, 0xff, 127};
    if (peer->family == 4)
        return peer->bytes[0] == 127;
    return peer->family == 6 && (memcmp(peer->bytes, six, sizeof six) == 0 ||
                                 memcmp(peer->bytes, mapped, sizeof mapped) == 0);
}

/* Asks the host; the strings may be NULL: no memory, or a value that no head may have. */
static void ask(struct ws_conn *conn, struct lws *wsi, const char *path, const char *query,
                const char *authorization)
{
    bool credential = head_sent(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    /* libwebsockets takes an encoded line end in the path for the line's end: no version then. */
    bool version =
        head_is(wsi, WSI_TOKEN_HTTP, "HTTP/1.1") || head_is(wsi, WSI_TOKEN_HTTP, "HTTP/1.0");
    if (!version || path == NULL || path[0] != '/' || !header_safe(path) || query == NULL ||
        (credential && authorization == NULL) || head_announces_body(wsi) ||
        head_repeated(wsi, WSI_TOKEN_HTTP_AUTHORIZATION)) {
        refuse(conn, 400, "bad request", NULL);
        return;
    }
    if (strcmp(path, conn->self->config.path) == 0 && conn->role == BURROW_ROLE_MAIN) {
        refuse(conn, 426, "this path is a WebSocket", "Upgrade: websocket\r\n");
        return;
    }
    struct burrow_http http = {
        .size = sizeof http,
        .role = conn->role,
        .flags = from_loopback(&conn->peer) && !head_forwarded(wsi) ? BURROW_HTTP_TRUSTED_PEER : 0,
        .method = conn->http_head ? "HEAD" : "GET",
        .path = path,
        .query = query,
        .authorization = authorization,
        .peer = conn->peer,
    };
    conn->state = WS_ANSWERING;
    conn->http_pending = 1;
    conn->self->transport->http_request(conn->link, conn, &http);
}

void ws_http_request(struct ws_conn *conn, struct lws *wsi)
{
    conn->http_head = head_sent(wsi, WSI_TOKEN_HEAD_URI);
    if (conn->upgrade_seen == WS_UPGRADE_OTHER) {
        refuse(conn, 400, "only upgrades to websocket are known", NULL);
        return;
    }
    if (!conn->http_head && !head_sent(wsi, WSI_TOKEN_GET_URI)) {
        refuse(conn, 405, "method not allowed", "Allow: GET, HEAD\r\n");
        return;
    }
    char *path = head_dup(wsi, conn->http_head ? WSI_TOKEN_HEAD_URI : WSI_TOKEN_GET_URI);
    char *query = head_query(wsi);
    char *authorization = head_dup(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    ask(conn, wsi, path, query, authorization);
    free(path);
    free(query);
    free(authorization);
}

void ws_http_respond(struct ws_conn *conn, const struct burrow_http_response *response)
{
    must(conn->http_pending);
    conn->http_pending = 0;
    if (conn->state != WS_ANSWERING)
        return;
    const char *type = response->content_type != NULL && header_safe(response->content_type)
                           ? response->content_type
                           : "application/octet-stream";
    answer(conn, response->status, type, NULL, response->body, response->body_len,
           BURROW_CLOSE_NORMAL);
}

void ws_http_abandon(struct ws_conn *conn)
{
    if (!conn->http_pending)
        return;
    conn->http_pending = 0;
    conn->self->transport->http_cancel(conn->link, conn);
}
