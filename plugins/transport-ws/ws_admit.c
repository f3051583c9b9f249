/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upgrade of a client: what its request must say (RFC 6455, 4.2.1), the credential that the
 * host judges, and the answer: 101, 401 with a code, or 503.
 */
#include "ws.h"
#include "ws_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 5

struct ws_upgrade {
    char accept[WS_ACCEPT_LEN + 1];
    bool several;      /* credentials: none of them counts */
    const char *token; /* into text; NULL: none */
    size_t token_len;
    struct burrow_header headers[HEADERS_MAX];
    size_t header_count, used;
    char text[]; /* the values */
};

void ws_upgrade_free(struct ws_upgrade *upgrade)
{
    if (upgrade == NULL)
        return;
    if (upgrade->token_len > 0) {
        char *token = upgrade->text + (upgrade->token - upgrade->text);
        OPENSSL_cleanse(token, upgrade->token_len);
    }
    free(upgrade);
}

static int refuse(struct ws_refusal *ret, unsigned status, const char *text, const char *extra)
{
    *ret = (struct ws_refusal){status, text, extra};
    return BURROW_EPROTO;
}

/* A browser names the page that connects; anyone else sends no Origin. */
static bool origin_allowed(const struct ws_config *config, struct lws *wsi)
{
    bool allowed = false;
    if (!head_sent(wsi, WSI_TOKEN_ORIGIN))
        return true;
    char *origin = head_dup(wsi, WSI_TOKEN_ORIGIN);
    if (origin == NULL || head_repeated(wsi, WSI_TOKEN_ORIGIN)) {
        free(origin);
        return false;
    }
    for (size_t i = 0; i < config->origins.count && !allowed; i++)
        allowed = strcmp(config->origins.items[i], "*") == 0 ||
                  strcasecmp(config->origins.items[i], origin) == 0;
    free(origin);
    return allowed;
}

static bool path_is_ours(const struct ws_conn *conn, struct lws *wsi)
{
    char *path = head_dup(wsi, WSI_TOKEN_GET_URI);
    bool ours = path != NULL && strcmp(path, conn->self->config.path) == 0;
    free(path);
    return ours && conn->role == BURROW_ROLE_MAIN;
}

/* The key, once and valid; its length is fixed. */
static bool take_key(struct lws *wsi, char key[WS_KEY_LEN + 1])
{
    int len = lws_hdr_copy_fragment(wsi, key, WS_KEY_LEN + 1, WSI_TOKEN_KEY, 0);
    return len > 0 && !head_repeated(wsi, WSI_TOKEN_KEY) && ws_key_valid(key, (size_t)len);
}

static bool connection_upgrades(struct lws *wsi)
{
    int len = lws_hdr_total_length(wsi, WSI_TOKEN_CONNECTION);
    char list[256];
    if (len <= 0 || len >= (int)sizeof list)
        return false;
    len = lws_hdr_copy(wsi, list, sizeof list, WSI_TOKEN_CONNECTION);
    return len > 0 && ws_list_has(list, (size_t)len, "upgrade");
}

static int check_request(const struct ws_conn *conn, struct lws *wsi, char key[WS_KEY_LEN + 1],
                         struct ws_refusal *ret)
{
    if (!head_sent(wsi, WSI_TOKEN_GET_URI))
        return refuse(ret, 405, "method not allowed", "Allow: GET\r\n");
    if (!path_is_ours(conn, wsi))
        return refuse(ret, 404, "not found", NULL);
    if (!head_is(wsi, WSI_TOKEN_HTTP, "HTTP/1.1") || !connection_upgrades(wsi) ||
        head_repeated(wsi, WSI_TOKEN_UPGRADE) || head_announces_body(wsi))
        return refuse(ret, 400, "bad request for an upgrade", NULL);
    if (!head_is(wsi, WSI_TOKEN_VERSION, "13"))
        return refuse(ret, 426, "WebSocket version 13 is required",
                      "Sec-WebSocket-Version: 13\r\n");
    if (!take_key(wsi, key))
        return refuse(ret, 400, "bad Sec-WebSocket-Key", NULL);
    if (!origin_allowed(&conn->self->config, wsi))
        return refuse(ret, 403, "origin not allowed", NULL);
    return BURROW_OK;
}

/* Copies a value to the end of the text, which has room for the whole head. */
static const char *keep(struct ws_upgrade *upgrade, const char *value, size_t len)
{
    char *at = upgrade->text + upgrade->used;
    memcpy(at, value, len);
    at[len] = '\0';
    upgrade->used += len + 1;
    return at;
}

/* "Bearer TOKEN", the scheme in any case (RFC 9110, 11.1). Another scheme is no token. */
static void keep_token(struct ws_upgrade *upgrade, struct lws *wsi)
{
    char *value = head_dup(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (value == NULL)
        return;
    size_t len = strlen(value), skip = 7;
    while (len > skip && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    while (len > skip && value[skip] == ' ')
        skip++;
    if (strncasecmp(value, "Bearer ", 7) == 0 && len > skip) {
        upgrade->token = keep(upgrade, value + skip, len - skip);
        upgrade->token_len = len - skip;
    }
    OPENSSL_cleanse(value, strlen(value));
    free(value);
}

static const struct {
    const char *name;
    int token; /* WSI_TOKEN_*, or -1: libwebsockets has none */
} kept_headers[HEADERS_MAX] = {
    {"x-forwarded-for", WSI_TOKEN_X_FORWARDED_FOR},
    {"x-real-ip", WSI_TOKEN_HTTP_X_REAL_IP},
    {"origin", WSI_TOKEN_ORIGIN},
    {"user-agent", WSI_TOKEN_HTTP_USER_AGENT},
    {"forwarded", -1},
};

static int value_length(struct lws *wsi, size_t i)
{
    return kept_headers[i].token >= 0
               ? lws_hdr_total_length(wsi, (enum lws_token_indexes)kept_headers[i].token)
               : lws_hdr_custom_length(wsi, "forwarded:", 10);
}

static void keep_headers(struct ws_upgrade *upgrade, struct lws *wsi)
{
    for (size_t i = 0; i < HEADERS_MAX; i++) {
        int len = value_length(wsi, i);
        char *at = upgrade->text + upgrade->used;
        if (len <= 0)
            continue;
        int got =
            kept_headers[i].token >= 0
                ? lws_hdr_copy(wsi, at, len + 1, (enum lws_token_indexes)kept_headers[i].token)
                : lws_hdr_custom_copy(wsi, at, len + 1, "forwarded:", 10);
        if (got <= 0)
            continue;
        upgrade->used += (size_t)len + 1;
        upgrade->headers[upgrade->header_count++] =
            (struct burrow_header){kept_headers[i].name, at};
    }
}

int ws_upgrade_take(struct ws_conn *conn, struct lws *wsi, struct ws_refusal *ret)
{
    char key[WS_KEY_LEN + 1];
    int r = check_request(conn, wsi, key, ret);
    if (r < 0)
        return r;
    int total = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    size_t room = (total > 0 ? (size_t)total : 0) + 1;
    for (size_t i = 0; i < HEADERS_MAX; i++) {
        int len = value_length(wsi, i);
        room += (len > 0 ? (size_t)len : 0) + 1;
    }
    struct ws_upgrade *upgrade = (struct ws_upgrade *)calloc(1, sizeof *upgrade + room);
    if (upgrade == NULL)
        return refuse(ret, 503, "out of memory", NULL);
    if (ws_accept_value(key, WS_KEY_LEN, upgrade->accept) < 0) {
        free(upgrade);
        return refuse(ret, 500, "internal error", NULL);
    }
    upgrade->several = head_repeated(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    if (!upgrade->several)
        keep_token(upgrade, wsi);
    keep_headers(upgrade, wsi);
    conn->upgrade = upgrade;
    return BURROW_OK;
}

void ws_upgrade_ask(struct ws_conn *conn)
{
    const struct ws_upgrade *upgrade = conn->upgrade;
    struct burrow_credential credential = {
        .size = sizeof credential,
        .method = upgrade->several ? BURROW_CREDENTIAL_SEVERAL : BURROW_CREDENTIAL_HEADER,
        .token = upgrade->token,
        .token_len = upgrade->token_len,
        .headers = upgrade->headers,
        .header_count = upgrade->header_count,
        .peer = conn->peer,
    };
    SSL *ssl = lws_get_ssl(conn->wsi);
    unsigned char *der =
        ssl != NULL ? tls_peer_certificate(ssl, &credential.client_cert_len) : NULL;
    credential.client_cert_der = der;
    conn->self->transport->authenticate(conn->link, &credential);
    OPENSSL_free(der);
}

static void admit_refused(struct ws_conn *conn, const struct burrow_verdict *verdict)
{
    bool later = verdict->result == BURROW_AUTH_UNAVAILABLE;
    char text[512], body[160], id[48] = "";
    if (BURROW_HAS(verdict, request_id) && verdict->request_id != 0)
        snprintf(id, sizeof id, "X-Request-Id: %llu\r\n", (unsigned long long)verdict->request_id);
    const char *name = ws_code_name(verdict->code);
    int body_len = later ? snprintf(body, sizeof body, "unavailable: try again later\n")
                         : snprintf(body, sizeof body, "unauthorized: code=%s reason=%s\n", name,
                                    ws_code_text(verdict->code));
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                       "Content-Length: %d\r\n%s%sConnection: close\r\n\r\n%s",
                       later ? "503 Service Unavailable" : "401 Unauthorized", body_len, id,
                       later ? "Retry-After: 5\r\n" : "WWW-Authenticate: Bearer\r\n", body);
    must(body_len > 0 && len > 0 && (size_t)len < sizeof text);
    char reason[64];
    snprintf(reason, sizeof reason, "refused: %s", later ? "unavailable" : name);
    ws_conn_part(conn, text, (size_t)len, WS_FAREWELL_MS, BURROW_CLOSE_POLICY, reason);
}

void ws_upgrade_admit(struct ws_conn *conn, const struct burrow_verdict *verdict)
{
    if (conn->state != WS_ASKING)
        return;
    struct ws_upgrade *upgrade = conn->upgrade;
    conn->upgrade = NULL;
    if (verdict->result != BURROW_AUTH_ALLOW) {
        ws_upgrade_free(upgrade);
        admit_refused(conn, verdict);
        return;
    }
    char text[256];
    int len = snprintf(text, sizeof text,
                       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                       upgrade->accept);
    ws_upgrade_free(upgrade);
    must(len > 0 && (size_t)len < sizeof text);
    if (pipe_send_copy(conn->pipe, text, (size_t)len) < 0) {
        ws_doom(conn, BURROW_CLOSE_INTERNAL, "out of memory");
        return;
    }
    ws_conn_open(conn);
    ws_later(conn, WS_LATER_OPEN);
    conn->self->transport->want_flush(conn->link);
}
