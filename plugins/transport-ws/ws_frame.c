/* SPDX-License-Identifier: Apache-2.0 */
/* The framing of RFC 6455, section 5: see ws_frame.h. */
#include "ws_frame.h"

#include <string.h>

#define FIN 0x80u
#define RSV 0x70u
#define MASK 0x80u
#define CONTINUATION 0u

void ws_parser_init(struct ws_parser *parser, bool masked, uint64_t max_message)
{
    memset(parser, 0, sizeof *parser);
    parser->masked = masked;
    parser->max_message = max_message;
}

static enum ws_event fail(struct ws_found *found, uint16_t code, const char *reason)
{
    found->code = code;
    found->reason = reason;
    return WS_ERROR;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= 8;
}

/* How long the header is, as far as its first bytes tell. */
static size_t header_needed(const struct ws_parser *parser)
{
    size_t need = 2;
    if (parser->header_len < 2)
        return need;
    uint8_t len = parser->header[1] & 0x7f;
    if (len == 126)
        need += 2;
    else if (len == 127)
        need += 8;
    return need + (parser->masked ? 4 : 0);
}

/* The first two bytes, judged before more is waited for. NULL: they may stand. */
static const char *first_bytes_fault(const struct ws_parser *parser)
{
    uint8_t first = parser->header[0], second = parser->header[1];
    uint8_t opcode = first & 0x0f;
    if (first & RSV)
        return "reserved bits are set";
    if (((second & MASK) != 0) != (parser->masked != 0))
        return parser->masked ? "a client's frame is not masked" : "a server's frame is masked";
    if (is_control(opcode)) {
        if (opcode > WS_PONG)
            return "unknown control opcode";
        if (!(first & FIN))
            return "a control frame is fragmented";
        if ((second & 0x7f) > WS_CONTROL_MAX)
            return "a control frame is too long";
        return NULL;
    }
    if (opcode > WS_BINARY)
        return "unknown opcode";
    if (opcode == CONTINUATION && !parser->in_message)
        return "a continuation without a message";
    if (opcode != CONTINUATION && parser->in_message)
        return "a new message inside a message";
    return NULL;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

/* The header is whole: begins the frame. WS_MORE: go on. */
static enum ws_event begin_frame(struct ws_parser *parser, struct ws_found *found)
{
    uint64_t len = parser->header[1] & 0x7f;
    size_t at = 2;
    if (len == 126) {
        len = big_endian(parser->header + at, 2);
        at += 2;
        if (len < 126)
            return fail(found, WS_CODE_PROTOCOL, "a length is not in its shortest form");
    } else if (len == 127) {
        len = big_endian(parser->header + at, 8);
        at += 8;
        if (len < 65536)
            return fail(found, WS_CODE_PROTOCOL, "a length is not in its shortest form");
        if (len >> 63)
            return fail(found, WS_CODE_PROTOCOL, "a length has its highest bit set");
    }
    if (parser->masked)
        memcpy(parser->key, parser->header + at, 4);
    parser->opcode = parser->header[0] & 0x0f;
    parser->fin = (parser->header[0] & FIN) != 0;
    parser->header_len = 0;
    parser->phase = 0;
    parser->left = len;
    parser->in_payload = 1;
    if (is_control(parser->opcode)) {
        parser->control_len = 0;
        return WS_MORE;
    }
    if (parser->opcode != CONTINUATION) {
        parser->in_message = 1;
        parser->message = 0;
        parser->text = parser->opcode == WS_TEXT;
        memset(&parser->utf8, 0, sizeof parser->utf8);
    }
    if (len > parser->max_message - parser->message)
        return fail(found, WS_CODE_TOO_BIG, "a message is too long");
    parser->message += len;
    return WS_MORE;
}

/* Takes header bytes; WS_MORE with in_payload set: the header is whole. */
static enum ws_event take_header(struct ws_parser *parser, uint8_t **input, const uint8_t *end,
                                 struct ws_found *found)
{
    while (*input < end) {
        parser->header[parser->header_len++] = *(*input)++;
        if (parser->header_len == 2) {
            const char *fault = first_bytes_fault(parser);
            if (fault != NULL)
                return fail(found, WS_CODE_PROTOCOL, fault);
        }
        if (parser->header_len >= 2 && parser->header_len == header_needed(parser))
            return begin_frame(parser, found);
    }
    return WS_MORE;
}

static enum ws_event end_control(struct ws_parser *parser, struct ws_found *found)
{
    struct ws_utf8 utf8 = {0};
    found->opcode = parser->opcode;
    found->p = parser->control;
    found->n = parser->control_len;
    if (parser->opcode != WS_CLOSE)
        return WS_CONTROL;
    found->code = WS_CODE_NONE;
    if (found->n == 0)
        return WS_CONTROL;
    if (found->n == 1)
        return fail(found, WS_CODE_PROTOCOL, "a Close frame with half a code");
    found->code = (uint16_t)big_endian(found->p, 2);
    found->p += 2;
    found->n -= 2;
    if (!ws_code_allowed(found->code))
        return fail(found, WS_CODE_PROTOCOL, "a Close frame with a code that must not be sent");
    if (!ws_utf8_feed(&utf8, found->p, found->n) || !ws_utf8_done(&utf8))
        return fail(found, WS_CODE_BAD_DATA, "a Close frame whose reason is not UTF-8");
    return WS_CONTROL;
}

/* Payload of the frame that has begun, perhaps none. WS_MORE: nothing to tell yet. */
static enum ws_event take_payload(struct ws_parser *parser, uint8_t **input, const uint8_t *end,
                                  struct ws_found *found)
{
    size_t n = (size_t)(end - *input);
    if (n > parser->left)
        n = (size_t)parser->left;
    uint8_t *p = *input;
    *input += n;
    parser->left -= n;
    if (parser->masked && n > 0) {
        ws_mask(p, n, parser->key, parser->phase);
        parser->phase = (uint8_t)((parser->phase + n) & 3);
    }
    bool whole = parser->left == 0;
    if (whole)
        parser->in_payload = 0;

    if (is_control(parser->opcode)) {
        memcpy(parser->control + parser->control_len, p, n);
        parser->control_len = (uint8_t)(parser->control_len + n);
        return whole ? end_control(parser, found) : WS_MORE;
    }
    bool last = whole && parser->fin;
    if (parser->text) {
        if (!ws_utf8_feed(&parser->utf8, p, n) || (last && !ws_utf8_done(&parser->utf8)))
            return fail(found, WS_CODE_BAD_DATA, "a text message is not UTF-8");
    }
    if (last)
        parser->in_message = 0;
    if (n == 0 && !last)
        return WS_MORE;
    found->p = p;
    found->n = n;
    found->message_end = last;
    return WS_DATA;
}

enum ws_event ws_next(struct ws_parser *parser, uint8_t **input, const uint8_t *end,
                      struct ws_found *found)
{
    memset(found, 0, sizeof *found);
    for (;;) {
        enum ws_event event;
        if (parser->in_payload) {
            if (parser->left > 0 && *input == end)
                return WS_MORE;
            event = take_payload(parser, input, end, found);
        } else {
            if (*input == end)
                return WS_MORE;
            event = take_header(parser, input, end, found);
        }
        if (event != WS_MORE)
            return event;
    }
}

bool ws_code_allowed(uint16_t code)
{
    if (code >= 3000)
        return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

size_t ws_header_len(uint64_t len, bool masked)
{
    size_t n = len < 126 ? 2 : len < 65536 ? 4 : 10;
    return n + (masked ? 4 : 0);
}

size_t ws_put_header(uint8_t *payload, uint8_t opcode, uint64_t len, const uint8_t *key)
{
    size_t n = ws_header_len(len, key != NULL);
    uint8_t *p = payload - n;
    uint8_t mask = key != NULL ? MASK : 0;
    *p++ = (uint8_t)(FIN | opcode);
    if (len < 126) {
        *p++ = (uint8_t)(mask | len);
    } else {
        unsigned bytes = len < 65536 ? 2 : 8;
        *p++ = (uint8_t)(mask | (bytes == 2 ? 126 : 127));
        while (bytes-- > 0)
            *p++ = (uint8_t)(len >> (8 * bytes));
    }
    if (key != NULL)
        memcpy(p, key, 4);
    return n;
}

size_t ws_put_control(uint8_t out[WS_CONTROL_MAX + 6], uint8_t opcode, const void *payload,
                      size_t len, const uint8_t *key)
{
    if (len > WS_CONTROL_MAX)
        len = WS_CONTROL_MAX;
    size_t header = ws_header_len(len, key != NULL);
    ws_put_header(out + header, opcode, len, key);
    if (len > 0)
        memcpy(out + header, payload, len);
    if (key != NULL)
        ws_mask(out + header, len, key, 0);
    return header + len;
}

size_t ws_put_close(uint8_t out[WS_CONTROL_MAX], uint16_t code, const char *reason)
{
    size_t n = strnlen(reason, WS_CONTROL_MAX - 2);
    if (reason[n] != '\0') /* cut: not inside a character */
        while (n > 0 && ((uint8_t)reason[n] & 0xc0) == 0x80)
            n--;
    struct ws_utf8 utf8 = {0};
    if (!ws_utf8_feed(&utf8, (const uint8_t *)reason, n) || !ws_utf8_done(&utf8))
        n = 0;
    out[0] = (uint8_t)(code >> 8);
    out[1] = (uint8_t)code;
    memcpy(out + 2, reason, n);
    return n + 2;
}
