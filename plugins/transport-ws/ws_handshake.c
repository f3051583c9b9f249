/* SPDX-License-Identifier: Apache-2.0 */
/* The opening handshake as text: see ws_handshake.h. */
#include "ws_handshake.h"

#include <burrow/auth.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RFC 6455, 1.3 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define NONCE_LEN 16

int ws_key_new(char key[WS_KEY_LEN + 1])
{
    unsigned char nonce[NONCE_LEN];
    if (RAND_bytes(nonce, sizeof nonce) != 1)
        return BURROW_EIO;
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof nonce);
    return BURROW_OK;
}

bool ws_key_valid(const char *key, size_t len)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (len != WS_KEY_LEN || memcmp(key + len - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < len - 2; i++)
        if (key[i] == '\0' || strchr(alphabet, key[i]) == NULL)
            return false;
    return true;
}

int ws_accept_value(const char *key, size_t len, char accept[WS_ACCEPT_LEN + 1])
{
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned digest_len = 0;
    if (len > sizeof text - sizeof ACCEPT_GUID)
        return BURROW_EINVAL;
    memcpy(text, key, len);
    memcpy(text + len, ACCEPT_GUID, sizeof ACCEPT_GUID - 1);
    if (EVP_Digest(text, len + sizeof ACCEPT_GUID - 1, digest, &digest_len, EVP_sha1(), NULL) != 1)
        return BURROW_EIO;
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)digest_len);
    return BURROW_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes blanks off both ends. */
static void trim(const char **p, size_t *len)
{
    while (*len > 0 && is_blank(**p)) {
        (*p)++;
        (*len)--;
    }
    while (*len > 0 && is_blank((*p)[*len - 1]))
        (*len)--;
}

static bool equals(const char *p, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(p, word, len) == 0;
}

bool ws_list_has(const char *list, size_t len, const char *token)
{
    const char *end = list + len;
    while (list < end) {
        const char *comma = (const char *)memchr(list, ',', (size_t)(end - list));
        const char *item = list;
        size_t n = (size_t)((comma != NULL ? comma : end) - list);
        trim(&item, &n);
        if (equals(item, n, token))
            return true;
        list = comma != NULL ? comma + 1 : end;
    }
    return false;
}

/* Printable ASCII only, and no space unless allowed: nothing that could end a line or a word. */
static bool is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= 0x20 || *text > 0x7e)
            return false;
    return true;
}

int ws_request_text(const struct ws_request *request, char **ret_text, size_t *ret_len)
{
    if (!is_clean(request->host) || *request->host == '\0' || !is_clean(request->path) ||
        request->path[0] != '/' || (request->token != NULL && !is_clean(request->token)))
        return BURROW_EINVAL;
    bool brackets = strchr(request->host, ':') != NULL;
    char port[8] = "";
    if (request->port != (request->tls ? 443 : 80))
        snprintf(port, sizeof port, ":%u", request->port);
    char *text = NULL;
    int n = asprintf(&text,
                     "GET %s HTTP/1.1\r\n"
                     "Host: %s%s%s%s\r\n"
                     "Upgrade: websocket\r\n"
                     "Connection: Upgrade\r\n"
                     "Sec-WebSocket-Key: %s\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "User-Agent: burrow\r\n"
                     "%s%s%s\r\n",
                     request->path, brackets ? "[" : "", request->host, brackets ? "]" : "", port,
                     request->key, request->token != NULL ? "Authorization: Bearer " : "",
                     request->token != NULL ? request->token : "",
                     request->token != NULL ? "\r\n" : "");
    if (n < 0)
        return BURROW_ENOMEM;
    *ret_text = text;
    *ret_len = (size_t)n;
    return BURROW_OK;
}

size_t ws_head_length(const char *p, size_t len)
{
    const char *end = (const char *)memmem(p, len, "\r\n\r\n", 4);
    return end != NULL ? (size_t)(end - p) + 4 : 0;
}

/* "HTTP/1.1 101 …": its three digits, or 0. */
static unsigned status_of(const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ' || (len > 12 && line[12] != ' '))
        return 0;
    unsigned status = 0;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return 0;
        status = status * 10 + (unsigned)(line[i] - '0');
    }
    return status >= 100 ? status : 0;
}

/* How often each header that counts was seen, and what it said. */
struct seen {
    unsigned upgrade, accept, length;
    bool upgrade_good, connection_good, accept_good, extension, protocol, length_good;
    size_t content_length;
};

static bool parse_length(const char *value, size_t len, size_t *ret)
{
    size_t n = 0;
    if (len == 0 || len > 12)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (value[i] < '0' || value[i] > '9')
            return false;
        n = n * 10 + (size_t)(value[i] - '0');
    }
    *ret = n;
    return true;
}

static void note_header(struct seen *seen, const char *name, size_t name_len, const char *value,
                        size_t len, const char *accept)
{
    if (equals(name, name_len, "upgrade")) {
        seen->upgrade++;
        seen->upgrade_good = equals(value, len, "websocket");
    } else if (equals(name, name_len, "connection")) {
        seen->connection_good |= ws_list_has(value, len, "upgrade");
    } else if (equals(name, name_len, "sec-websocket-accept")) {
        seen->accept++;
        seen->accept_good = len == strlen(accept) && memcmp(value, accept, len) == 0;
    } else if (equals(name, name_len, "sec-websocket-extensions")) {
        seen->extension = true;
    } else if (equals(name, name_len, "sec-websocket-protocol")) {
        seen->protocol = true;
    } else if (equals(name, name_len, "content-length")) {
        seen->length++;
        seen->length_good = parse_length(value, len, &seen->content_length);
    }
}

/* Why a 101 does not open a WebSocket (RFC 6455, 4.1), or NULL. */
static const char *upgrade_fault(const struct seen *seen)
{
    if (seen->upgrade != 1 || !seen->upgrade_good)
        return "the server's 101 does not upgrade to websocket";
    if (!seen->connection_good)
        return "the server's 101 has no Connection: Upgrade";
    if (seen->accept != 1 || !seen->accept_good)
        return "the server's Sec-WebSocket-Accept does not answer our key";
    if (seen->extension)
        return "the server chose an extension that was not offered";
    if (seen->protocol)
        return "the server chose a subprotocol that was not offered";
    return NULL;
}

static int bad(struct ws_response *ret, const char *fault)
{
    ret->fault = fault;
    return BURROW_EPROTO;
}

int ws_response_parse(const char *head, size_t len, const char *accept, struct ws_response *ret)
{
    struct seen seen = {0};
    const char *line = head, *end = head + len;
    memset(ret, 0, sizeof *ret);
    if (memchr(head, '\0', len) != NULL)
        return bad(ret, "the server's response holds a NUL byte");
    for (bool first = true;; first = false) {
        const char *eol = (const char *)memmem(line, (size_t)(end - line), "\r\n", 2);
        if (eol == NULL)
            return bad(ret, "the server's response is cut");
        size_t n = (size_t)(eol - line);
        if (first) {
            ret->status = status_of(line, n);
            if (ret->status == 0)
                return bad(ret, "the server does not speak HTTP/1.1");
        } else if (n == 0) {
            break;
        } else {
            const char *colon = (const char *)memchr(line, ':', n);
            if (colon == NULL || colon == line || is_blank(line[0]) || is_blank(colon[-1]))
                return bad(ret, "the server's response has a malformed header");
            const char *value = colon + 1;
            size_t value_len = (size_t)(eol - value);
            trim(&value, &value_len);
            note_header(&seen, line, (size_t)(colon - line), value, value_len, accept);
        }
        line = eol + 2;
    }
    ret->length_known = seen.length == 1 && seen.length_good;
    ret->length = seen.content_length;
    if (ret->status != 101)
        return BURROW_OK;
    const char *fault = upgrade_fault(&seen);
    if (fault != NULL)
        return bad(ret, fault);
    ret->upgraded = true;
    return BURROW_OK;
}

static const struct {
    uint32_t code;
    const char *name, *text;
} refusals[] = {
    {BURROW_CODE_INVALID_TOKEN, "invalid_token", "the token is not valid"},
    {BURROW_CODE_MISSING_BEARER, "missing_bearer", "a bearer token is required"},
    {BURROW_CODE_TOKEN_EXPIRED, "token_expired", "the token has expired"},
    {BURROW_CODE_TOKEN_NOT_YET_VALID, "token_not_yet_valid", "the token is not valid yet"},
    {BURROW_CODE_VERIFIER_CONFIG, "verifier_config", "the server cannot verify tokens"},
};
#define REFUSALS (sizeof refusals / sizeof refusals[0])

static size_t refusal_of(uint32_t code)
{
    for (size_t i = 0; i < REFUSALS; i++)
        if (refusals[i].code == code)
            return i;
    return 0;
}

const char *ws_code_name(uint32_t code)
{
    return refusals[refusal_of(code)].name;
}

const char *ws_code_text(uint32_t code)
{
    return refusals[refusal_of(code)].text;
}

uint32_t ws_code_find(const char *body, size_t len)
{
    const char *end = body + len;
    for (const char *p = body; (p = (const char *)memmem(p, (size_t)(end - p), "code=", 5));) {
        p += 5;
        size_t n = 0;
        while (p + n < end && ((p[n] >= 'a' && p[n] <= 'z') || p[n] == '_'))
            n++;
        for (size_t i = 0; i < REFUSALS; i++)
            if (n == strlen(refusals[i].name) && memcmp(p, refusals[i].name, n) == 0)
                return refusals[i].code;
    }
    return 0;
}
