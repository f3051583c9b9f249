/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The opening handshake of RFC 6455 as text, without I/O: keys and their answers, lists of
 * tokens, the client's request, the server's response as the client reads it, and the names of
 * refusals (`code=NAME`) that both sides know.
 */
#ifndef TRANSPORT_WS_HANDSHAKE_H
#define TRANSPORT_WS_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_KEY_LEN 24u    /* 16 bytes in base64 */
#define WS_ACCEPT_LEN 28u /* 20 bytes in base64 */

/* The longest head of a request or response that is read. */
#define WS_HEAD_MAX 16384u
/* A refusal's code is looked for in so much of its body. */
#define WS_BODY_MAX 4096u

/* A new random key, with NUL. 0 or BURROW_EIO. */
int ws_key_new(char key[WS_KEY_LEN + 1]);
/* Whether this is a Sec-WebSocket-Key: the base64 form of exactly 16 bytes. */
bool ws_key_valid(const char *key, size_t len);
/* The Sec-WebSocket-Accept that answers a key, with NUL. 0 or BURROW_EIO. */
int ws_accept_value(const char *key, size_t len, char accept[WS_ACCEPT_LEN + 1]);

/* Whether a comma-separated list contains the token, in any case. */
bool ws_list_has(const char *list, size_t len, const char *token);

/* What a client asks for. Nothing may hold control characters; checked by ws_request_text. */
struct ws_request {
    const char *host; /* no brackets */
    const char *path;
    const char *token; /* NULL: no Authorization */
    const char *key;
    uint16_t port;
    bool tls; /* 443 is the port that goes without saying, not 80 */
};
/* The request as text in memory of its own, which the caller frees. BURROW_EINVAL: a field
 * holds what no header may. */
int ws_request_text(const struct ws_request *request, char **ret_text, size_t *ret_len);

struct ws_response {
    unsigned status;
    bool upgraded;     /* 101 with all that the RFC asks for */
    bool length_known; /* Content-Length was given */
    size_t length;     /* of the body */
    const char *fault; /* with a negative result: a constant */
};
/* Reads a whole head (it ends with an empty line). 0 with ret filled, or BURROW_EPROTO with
 * ret->fault: it is no HTTP, or a 101 that does not answer our request. */
int ws_response_parse(const char *head, size_t len, const char *accept, struct ws_response *ret);
/* The length of the head at the beginning of p, with its empty line; 0: it is not whole. */
size_t ws_head_length(const char *p, size_t len);

/* The name of a BURROW_CODE_* in a refusal, and its public text; for an unknown code those of
 * invalid_token. */
const char *ws_code_name(uint32_t code);
const char *ws_code_text(uint32_t code);
/* The code that the body of a refusal names, or 0. */
uint32_t ws_code_find(const char *body, size_t len);

#endif
