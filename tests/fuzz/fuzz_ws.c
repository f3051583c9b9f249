/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the WebSocket framing and the client's reading of a response. The first byte picks the
 * role, the second seeds the splits. What must hold: bytes in any split come to the same as in
 * one piece; payload comes out no longer than it went in; a message that is read can be written
 * as one frame and read again.
 */
#include "ws_frame.h"
#include "ws_handshake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 4096u

#define require(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A running sum over all that was found, which does not depend on where data was cut. */
struct outcome {
    uint64_t sum, bytes;
    uint32_t messages, controls, code;
};

static void add(struct outcome *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out->sum = (out->sum ^ p[i]) * UINT64_C(1099511628211);
}

/* Only what lies before a fault can be compared: how much of the faulty piece was given out
 * depends on the split. */
static void take_piece(struct ws_parser *parser, struct outcome *out, uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    for (;;) {
        struct ws_found found;
        uint8_t marks[4];
        switch (ws_next(parser, &p, end, &found)) {
        case WS_MORE:
            require(p == end);
            return;
        case WS_DATA:
            require(found.n > 0 || found.message_end);
            require(found.n <= n);
            add(out, found.p, found.n);
            out->bytes += found.n;
            out->messages += found.message_end;
            break;
        case WS_CONTROL:
            require(found.n <= WS_CONTROL_MAX);
            marks[0] = found.opcode;
            marks[1] = (uint8_t)found.n;
            marks[2] = (uint8_t)found.code;
            marks[3] = (uint8_t)(found.code >> 8);
            add(out, marks, sizeof marks);
            add(out, found.p, found.n);
            out->controls++;
            break;
        case WS_ERROR:
            require(found.code == WS_CODE_PROTOCOL || found.code == WS_CODE_BAD_DATA ||
                    found.code == WS_CODE_TOO_BIG);
            require(found.reason != NULL);
            out->code = found.code;
            return;
        }
    }
}

/* seed 0: in one piece. */
static struct outcome run(const uint8_t *data, size_t size, bool masked, uint32_t seed)
{
    struct outcome out = {.sum = UINT64_C(1469598103934665603)};
    struct ws_parser parser;
    ws_parser_init(&parser, masked, LIMIT);
    for (size_t at = 0; at < size && out.code == 0;) {
        size_t n = size - at;
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            size_t most = 1 + ((seed >> 8) & 31);
            n = n < most ? n : most;
        }
        uint8_t *piece = (uint8_t *)malloc(n);
        require(piece != NULL);
        memcpy(piece, data + at, n);
        take_piece(&parser, &out, piece, n);
        free(piece);
        at += n;
    }
    return out;
}

static void round_trip(const uint8_t *data, size_t size, bool masked)
{
    static const uint8_t key[4] = {0x9a, 0x00, 0xff, 0x31};
    size_t n = size < LIMIT ? size : LIMIT;
    uint8_t *bytes = (uint8_t *)malloc(WS_HEADER_MAX + n);
    require(bytes != NULL);
    uint8_t *payload = bytes + WS_HEADER_MAX;
    memcpy(payload, data, n);
    struct outcome want = {.sum = UINT64_C(1469598103934665603)};
    add(&want, payload, n);
    if (masked)
        ws_mask(payload, n, key, 0);
    size_t header = ws_put_header(payload, WS_BINARY, n, masked ? key : NULL);
    struct outcome got = run(payload - header, header + n, masked, 0);
    require(got.code == 0 && got.messages == 1 && got.bytes == n && got.sum == want.sum);
    free(bytes);
}

static void read_response(const uint8_t *data, size_t size)
{
    struct ws_response response;
    char *copy = (char *)malloc(size > 0 ? size : 1);
    require(copy != NULL);
    memcpy(copy, data, size);
    size_t head = ws_head_length(copy, size);
    require(head <= size);
    if (head > 0 && ws_response_parse(copy, head, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", &response) < 0)
        require(response.fault != NULL && !response.upgraded);
    (void)ws_code_find(copy, size);
    (void)ws_list_has(copy, size, "upgrade");
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    bool masked = data[0] & 1;
    uint32_t seed = data[1] + 1u;
    data += 2;
    size -= 2;
    struct outcome whole = run(data, size, masked, 0), split = run(data, size, masked, seed);
    require(whole.code == split.code);
    require(whole.messages == split.messages && whole.controls == split.controls);
    if (whole.code == 0)
        require(whole.sum == split.sum && whole.bytes == split.bytes);
    round_trip(data, size, masked);
    read_response(data, size);
    return 0;
}
