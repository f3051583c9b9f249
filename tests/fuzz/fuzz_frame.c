/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes to the frame parser, once in one piece and once in pieces and stops that the
 * input chooses: both must hear the same. Payloads go through their decoders, and what can
 * be decoded must come back the same from the encoder.
 *
 * Input: version u8, seed of the splits u32, then the received bytes.
 */
#include "base/object.h"
#include "wire/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What a sink has heard, as numbers: the frames, a hash over them, and the current DATA. */
struct heard {
    size_t frames;
    uint64_t hash;
    uint64_t data_stream;
    size_t data_len;
    bool in_data;
    uint32_t stop_seed; /* 0: never stops */
};

static uint64_t mix(uint64_t hash, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * 1099511628211u;
    return hash;
}

static uint64_t mix_u64(uint64_t hash, uint64_t v)
{
    uint8_t p[8];
    put_u64(p, v);
    return mix(hash, p, sizeof p);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static int answer(struct heard *heard)
{
    return heard->stop_seed != 0 && next_random(&heard->stop_seed) % 4 == 0 ? FRAME_STOP : 0;
}

static void check_open(const struct frame_header *h, const uint8_t *payload)
{
    struct frame_open open, back;
    uint8_t again[FRAME_SMALL_ROOM];
    if (frame_open_decode(&open, payload, h->length) != 0)
        return;
    const size_t n = frame_open_encode(again, h->stream, &open);
    must(n <= FRAME_HEADER + h->length);
    must(frame_open_decode(&back, again + FRAME_HEADER, n - FRAME_HEADER) == 0);
    must(back.service == open.service && back.limit == open.limit);
    must(memcmp(&back.source, &open.source, sizeof open.source) == 0);
    must(memcmp(&back.destination, &open.destination, sizeof open.destination) == 0);
}

static void check_payload(const struct frame_header *h, const uint8_t *payload)
{
    uint8_t again[FRAME_SMALL_ROOM];
    uint64_t a, b;
    uint32_t code;
    const char *text;
    size_t n = 0, len;
    switch (h->kind) {
    case FRAME_OPEN:
        check_open(h, payload);
        return;
    case FRAME_ACCEPT:
        must(frame_u64_decode(&a, payload, h->length) == 0);
        n = frame_accept_encode(again, h->stream, a);
        break;
    case FRAME_WINDOW:
        must(frame_window_decode(&a, &b, payload, h->length) == 0);
        n = frame_window_encode(again, h->stream, a, b);
        break;
    case FRAME_FIN:
        must(frame_u64_decode(&a, payload, h->length) == 0);
        n = frame_fin_encode(again, h->stream, a);
        break;
    case FRAME_RESET:
        must(frame_reset_decode(&code, &text, &len, payload, h->length) == 0);
        must(reset_code_name(code) != NULL && len == h->length - 4);
        must((const uint8_t *)text == payload + 4);
        return;
    case FRAME_PING:
    case FRAME_PONG:
        must(frame_u64_decode(&a, payload, h->length) == 0);
        n = frame_ping_encode(again, (enum frame_kind)h->kind, a);
        break;
    default:
        return;
    }
    must(n == FRAME_HEADER + h->length);
    must(memcmp(again + FRAME_HEADER, payload, h->length) == 0);
}

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct heard *const heard = arg;
    must(!heard->in_data && h->kind != FRAME_DATA && h->length <= FRAME_MAX_CONTROL);
    heard->frames++;
    heard->hash = mix_u64(mix_u64(heard->hash, h->kind), h->stream);
    heard->hash = mix(mix_u64(heard->hash, h->length), payload, h->length);
    if (h->version == FRAME_V2)
        check_payload(h, payload);
    return answer(heard);
}

static int on_data(void *arg, uint64_t stream, const uint8_t *p, size_t n, bool end)
{
    struct heard *const heard = arg;
    must(!heard->in_data || heard->data_stream == stream);
    heard->data_stream = stream;
    heard->data_len += n;
    heard->in_data = !end;
    heard->hash = mix(heard->hash, p, n);
    must(heard->data_len <= FRAME_MAX_PAYLOAD);
    if (end) {
        heard->frames++;
        heard->hash = mix_u64(mix_u64(heard->hash, stream), heard->data_len);
        heard->data_len = 0;
    }
    return answer(heard);
}

static const struct frame_sink SINK = {.frame = on_frame, .data = on_data};

/* Feeds one exact copy, so that a read past it is seen. */
static int feed_copy(struct frame_parser *parser, const uint8_t *p, size_t n, struct heard *heard)
{
    const char *error = NULL;
    uint8_t *const copy = malloc(n > 0 ? n : 1);
    must(copy != NULL);
    memcpy(copy, p, n);
    const int r = frame_parser_feed(parser, copy, n, &SINK, heard, &error);
    must((r == BURROW_EPROTO) == (error != NULL));
    must(r == 0 || r == FRAME_STOP || r == BURROW_EPROTO);
    must(parser->consumed <= n && (r != 0 || parser->consumed == n));
    free(copy);
    return r;
}

static int feed_in_pieces(struct frame_parser *parser, const uint8_t *p, size_t n, uint32_t seed,
                          struct heard *heard)
{
    static const size_t longest[] = {1, 3, 14, 40, 300, 70000};
    const size_t max = longest[next_random(&seed) % 6];
    int r = 0;
    while (n > 0 && r >= 0) {
        size_t piece = next_random(&seed) % (max + 1);
        piece = piece < n ? piece : n;
        r = feed_copy(parser, p, piece, heard);
        p += parser->consumed;
        n -= parser->consumed;
    }
    return r < 0 ? r : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static uint8_t gather[FRAME_MAX_CONTROL];
    if (n < 5)
        return 0;
    const uint8_t version = p[0] % 4 == 1 ? FRAME_V1 : FRAME_V2;
    const uint32_t seed = get_u32(p + 1);
    p += 5;
    n -= 5;

    struct heard whole = {0}, pieces = {.stop_seed = seed | 1};
    struct frame_parser a, b;
    frame_parser_init(&a, version, gather);
    const int result = feed_copy(&a, p, n, &whole);
    memset(gather, 0xA5, sizeof gather);
    frame_parser_init(&b, version, gather);
    must(feed_in_pieces(&b, p, n, seed, &pieces) == result);

    must(whole.frames == pieces.frames && whole.hash == pieces.hash);
    must(whole.in_data == pieces.in_data && whole.data_len == pieces.data_len);
    if (result == 0)
        must(frame_parser_in_frame(&a) == frame_parser_in_frame(&b));
    return 0;
}
