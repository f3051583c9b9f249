/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The framing of RFC 6455, without any I/O: a parser that takes bytes in any split and gives
 * out payload in place, and the encoder of frame headers. It is as strict as the RFC allows
 * to be: whatever a peer must not send ends the connection with the code that the RFC names.
 *
 * Nothing is collected but the payload of a control frame (at most 125 bytes), so the memory
 * of a connection does not depend on what its peer states or does.
 */
#ifndef TRANSPORT_WS_FRAME_H
#define TRANSPORT_WS_FRAME_H

#include "ws_utf8.h"

#define WS_TEXT 1u
#define WS_BINARY 2u
#define WS_CLOSE 8u
#define WS_PING 9u
#define WS_PONG 10u

/* Codes of Close frames (RFC 6455, 7.4.1, and the IANA registry). */
#define WS_CODE_NORMAL 1000u
#define WS_CODE_GOING_AWAY 1001u
#define WS_CODE_PROTOCOL 1002u
#define WS_CODE_NONE 1005u /* never sent: a Close frame without a code */
#define WS_CODE_BAD_DATA 1007u
#define WS_CODE_POLICY 1008u
#define WS_CODE_TOO_BIG 1009u
#define WS_CODE_INTERNAL 1011u
#define WS_CODE_RESTART 1012u

#define WS_CONTROL_MAX 125u
#define WS_HEADER_MAX 14u

struct ws_parser {
    uint64_t max_message;
    uint64_t left;    /* payload of the frame that is still to come */
    uint64_t message; /* payload of the message's frames so far, the present one included */
    struct ws_utf8 utf8;
    uint8_t masked; /* every frame must be; otherwise none may be */
    uint8_t in_payload, in_message, text, fin, opcode;
    uint8_t header_len, control_len;
    uint8_t phase; /* of the mask */
    uint8_t key[4];
    uint8_t header[WS_HEADER_MAX];
    uint8_t control[WS_CONTROL_MAX];
};

enum ws_event {
    WS_MORE,    /* the input is used up */
    WS_DATA,    /* p, n, message_end; n is 0 only with message_end */
    WS_CONTROL, /* opcode; p, n: its payload; for Close also code, and p, n is the reason */
    WS_ERROR,   /* code to close with, reason; the parser must not be used again */
};

/* What ws_next found. p points into the input, or into the parser for control frames, and is
 * valid until the next call. */
struct ws_found {
    uint8_t *p;
    size_t n;
    bool message_end;
    uint8_t opcode;
    uint16_t code;
    const char *reason; /* of an error: a constant */
};

/* masked: the peer is a client. max_message: in bytes, over all its fragments. */
void ws_parser_init(struct ws_parser *parser, bool masked, uint64_t max_message);
/* Takes bytes from *input, which moves forward, until something is found. Payload is unmasked
 * in place. */
enum ws_event ws_next(struct ws_parser *parser, uint8_t **input, const uint8_t *end,
                      struct ws_found *found);

/* Writes the header of an unfragmented frame so that its last byte is at payload - 1 and
 * returns its length, at most WS_HEADER_MAX. key: 4 bytes, or NULL for a server's frame. */
size_t ws_put_header(uint8_t *payload, uint8_t opcode, uint64_t len, const uint8_t *key);
/* The length of the header that ws_put_header makes for a payload of that length. */
size_t ws_header_len(uint64_t len, bool masked);
/* Makes a whole control frame and returns its length: at most 6 + 125. */
size_t ws_put_control(uint8_t out[WS_CONTROL_MAX + 6], uint8_t opcode, const void *payload,
                      size_t len, const uint8_t *key);
/* The payload of a Close frame: code and reason, cut to fit at the border of a character. */
size_t ws_put_close(uint8_t out[WS_CONTROL_MAX], uint16_t code, const char *reason);
/* Whether a peer may send the code in a Close frame. */
bool ws_code_allowed(uint16_t code);

/* XORs p with the key, beginning at its byte `phase` modulo 4. */
void ws_mask(uint8_t *p, size_t n, const uint8_t key[4], size_t phase);

#endif
