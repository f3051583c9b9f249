/* SPDX-License-Identifier: Apache-2.0 */
/* The frame parser: any split gives the same frames, and every impossible header ends it. */
#include "wire/frame.h"
#include "wire_test.h"

#include <stdio.h>

/* A sink that writes down what it hears; pieces of one DATA frame are joined. */
struct record {
    char log[4096];
    size_t frames, pieces;
    const uint8_t *first_piece;
    int answer; /* of the callbacks, once `after` of them have answered 0 */
    size_t after;
    size_t data_len;
    uint32_t data_sum;
};

static void note(struct record *r, const char *what, uint64_t kind, uint64_t stream, size_t n,
                 uint32_t sum)
{
    const size_t at = strlen(r->log);
    const int w = snprintf(r->log + at, sizeof r->log - at, "%s %llu/%llu %zu %08x\n", what,
                           (unsigned long long)kind, (unsigned long long)stream, n, sum);
    assert_true(w > 0 && (size_t)w < sizeof r->log - at);
}

static uint32_t sum(uint32_t seed, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        seed = seed * 31 + p[i] + 1;
    return seed;
}

static int answer(const struct record *r)
{
    return r->frames + r->pieces > r->after ? r->answer : 0;
}

static int on_frame(void *arg, const struct frame_header *h, const uint8_t *payload)
{
    struct record *const r = arg;
    r->frames++;
    note(r, "frame", h->kind, h->stream, h->length, sum(0, payload, h->length));
    return answer(r);
}

static int on_data(void *arg, uint64_t stream, const uint8_t *p, size_t n, bool end)
{
    struct record *const r = arg;
    if (r->pieces++ == 0)
        r->first_piece = p;
    r->data_len += n;
    r->data_sum = sum(r->data_sum, p, n);
    if (end) {
        note(r, "data", FRAME_DATA, stream, r->data_len, r->data_sum);
        r->data_len = r->data_sum = 0;
    }
    return answer(r);
}

static const struct frame_sink SINK = {.frame = on_frame, .data = on_data};

static uint8_t gather[FRAME_MAX_CONTROL];

/* One frame of a kind with `length` payload bytes that differ; returns its size. */
static size_t put_frame(uint8_t *p, uint8_t version, uint8_t kind, uint64_t stream, uint32_t length)
{
    const struct frame_header h = {version, kind, stream, length};
    frame_header_encode(p, &h);
    for (uint32_t i = 0; i < length; i++)
        p[FRAME_HEADER + i] = (uint8_t)(i * 7 + kind);
    return FRAME_HEADER + length;
}

/* One of each kind, an empty DATA, an empty and a filled frame of unknown kinds. */
static size_t put_mixture(uint8_t *p)
{
    size_t n = 0;
    n += put_frame(p + n, 2, FRAME_CONTROL, 0, 20);
    n += put_frame(p + n, 2, FRAME_OPEN, 1, 10);
    n += put_frame(p + n, 2, FRAME_DATA, 1, 33);
    n += put_frame(p + n, 2, FRAME_DATA, 2, 0);
    n += put_frame(p + n, 2, 10, 0, 0);
    n += put_frame(p + n, 2, FRAME_ACCEPT, 2, 8);
    n += put_frame(p + n, 2, FRAME_WINDOW, 2, 16);
    n += put_frame(p + n, 2, 200, 9, 17);
    n += put_frame(p + n, 2, FRAME_FIN, 1, 8);
    n += put_frame(p + n, 2, FRAME_RESET, 2, 4);
    n += put_frame(p + n, 2, FRAME_PING, 0, 8);
    n += put_frame(p + n, 2, FRAME_PONG, 0, 8);
    return n;
}

static struct record feed_whole(const uint8_t *p, size_t n)
{
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V2, gather);
    assert_int_equal(frame_parser_feed(&parser, p, n, &SINK, &r, &error), 0);
    assert_false(frame_parser_in_frame(&parser));
    assert_null(error);
    return r;
}

static void parser_gives_every_frame_once_and_in_order(void **state)
{
    (void)state;
    uint8_t p[1024];
    const struct record r = feed_whole(p, put_mixture(p));
    assert_int_equal(r.frames, 8);
    assert_int_equal(r.pieces, 2);
    assert_ptr_equal(strstr(r.log, "frame 1/0 20 "), r.log);
    assert_non_null(strstr(r.log, "data 2/1 33 "));
    assert_non_null(strstr(r.log, "data 2/2 0 00000000\nframe 4/2 8 "));
}

static void parser_gives_the_same_frames_for_every_split_in_three(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t n = put_mixture(p);
    const struct record whole = feed_whole(p, n);
    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct record r = {0};
            struct frame_parser parser;
            const char *error = NULL;
            frame_parser_init(&parser, FRAME_V2, gather);
            assert_int_equal(frame_parser_feed(&parser, p, a, &SINK, &r, &error), 0);
            assert_int_equal(frame_parser_feed(&parser, p + a, b - a, &SINK, &r, &error), 0);
            assert_int_equal(frame_parser_feed(&parser, p + b, n - b, &SINK, &r, &error), 0);
            assert_false(frame_parser_in_frame(&parser));
            assert_string_equal(r.log, whole.log);
        }
    }
}

static void parser_gives_the_same_frames_byte_by_byte(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t n = put_mixture(p);
    const struct record whole = feed_whole(p, n);
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V2, gather);
    for (size_t i = 0; i < n; i++) {
        uint8_t *const byte = malloc(1); /* so that a sanitizer sees reads past it */
        assert_non_null(byte);
        *byte = p[i];
        assert_int_equal(frame_parser_feed(&parser, byte, 1, &SINK, &r, &error), 0);
        assert_int_equal(parser.consumed, 1);
        free(byte);
    }
    assert_string_equal(r.log, whole.log);
}

static void parser_does_not_copy_data(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t n = put_frame(p, 2, FRAME_DATA, 1, 500);
    const struct record r = feed_whole(p, n);
    assert_int_equal(r.pieces, 1);
    assert_ptr_equal(r.first_piece, p + FRAME_HEADER);
}

static void parser_hands_on_data_before_the_frame_is_complete(void **state)
{
    (void)state;
    uint8_t p[1024];
    put_frame(p, 2, FRAME_DATA, 1, 500);
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V2, gather);
    assert_int_equal(frame_parser_feed(&parser, p, FRAME_HEADER + 3, &SINK, &r, &error), 0);
    assert_int_equal(r.data_len, 3);
    assert_string_equal(r.log, "");
    assert_true(frame_parser_in_frame(&parser));
}

static void parser_waits_for_the_rest_of_a_split_header(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 13; length++) {
        uint8_t p[64];
        put_frame(p, 2, FRAME_DATA, 1, 0);
        struct record r = {0};
        struct frame_parser parser;
        const char *error = NULL;
        frame_parser_init(&parser, FRAME_V2, gather);
        assert_int_equal(frame_parser_feed(&parser, p, length, &SINK, &r, &error), 0);
        assert_int_equal(r.frames + r.pieces, 0);
        assert_int_equal(frame_parser_in_frame(&parser), length > 0);
    }
}

static void parser_takes_no_bytes_from_nowhere(void **state)
{
    (void)state;
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V2, gather);
    assert_int_equal(frame_parser_feed(&parser, NULL, 0, &SINK, &r, &error), 0);
    assert_false(frame_parser_in_frame(&parser));
}

/* Feeds one header (and as much payload as it states, if that is small). */
static int feed_one(uint8_t parser_version, uint8_t version, uint8_t kind, uint64_t stream,
                    uint32_t length)
{
    static uint8_t p[FRAME_HEADER + FRAME_MAX_PAYLOAD];
    const bool fits = length <= FRAME_MAX_PAYLOAD;
    const struct frame_header h = {version, kind, stream, length};
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_header_encode(p, &h);
    frame_parser_init(&parser, parser_version, gather);
    const int result =
        frame_parser_feed(&parser, p, FRAME_HEADER + (fits ? length : 0), &SINK, &r, &error);
    assert_int_equal(error != NULL, result != 0);
    if (result != 0)
        assert_int_equal(r.frames + r.pieces, 0);
    return result;
}

static void parser_refuses_other_versions(void **state)
{
    (void)state;
    for (unsigned version = 0; version < 256; version++) {
        assert_int_equal(feed_one(FRAME_V2, (uint8_t)version, FRAME_DATA, 1, 1),
                         version == 2 ? 0 : BURROW_EPROTO);
        assert_int_equal(feed_one(FRAME_V1, (uint8_t)version, FRAME_DATA, 1, 1),
                         version == 1 ? 0 : BURROW_EPROTO);
    }
}

static void data_of_version_1_has_at_most_32_kib(void **state)
{
    (void)state;
    assert_int_equal(feed_one(FRAME_V1, FRAME_V1, FRAME_DATA, 1, FRAME_V1_MAX_DATA), 0);
    assert_int_equal(feed_one(FRAME_V1, FRAME_V1, FRAME_DATA, 1, FRAME_V1_MAX_DATA + 1),
                     BURROW_EPROTO);
}

static void parser_refuses_lengths_that_do_not_suit_the_kind(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        uint64_t stream;
        uint32_t min, max;
    } kinds[] = {
        {FRAME_CONTROL, 0, 2, FRAME_MAX_CONTROL},
        {FRAME_DATA, 1, 0, FRAME_MAX_PAYLOAD},
        {FRAME_OPEN, 1, 10, FRAME_MAX_SMALL},
        {FRAME_ACCEPT, 1, 8, 8},
        {FRAME_WINDOW, 1, 16, 16},
        {FRAME_FIN, 1, 8, 8},
        {FRAME_RESET, 1, 4, FRAME_MAX_SMALL},
        {FRAME_PING, 0, 8, 8},
        {FRAME_PONG, 0, 8, 8},
        {0, 7, 0, FRAME_MAX_PAYLOAD},
        {10, 0, 0, FRAME_MAX_PAYLOAD},
        {255, UINT64_MAX, 0, FRAME_MAX_PAYLOAD},
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const uint8_t kind = kinds[i].kind;
        const uint64_t stream = kinds[i].stream;
        const uint32_t min = kinds[i].min, max = kinds[i].max;
        assert_int_equal(feed_one(2, 2, kind, stream, min), 0);
        assert_int_equal(feed_one(2, 2, kind, stream, max), 0);
        if (max > min) {
            assert_int_equal(feed_one(2, 2, kind, stream, min + 1), 0);
            assert_int_equal(feed_one(2, 2, kind, stream, max - 1), 0);
        }
        if (min > 0)
            assert_int_equal(feed_one(2, 2, kind, stream, min - 1), BURROW_EPROTO);
        assert_int_equal(feed_one(2, 2, kind, stream, max + 1), BURROW_EPROTO);
        assert_int_equal(feed_one(2, 2, kind, stream, UINT32_MAX), BURROW_EPROTO);
    }
}

static void parser_refuses_stream_ids_that_do_not_suit_the_kind(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind;
        uint32_t length;
    } with[] = {{FRAME_DATA, 1},    {FRAME_OPEN, 10}, {FRAME_ACCEPT, 8},
                {FRAME_WINDOW, 16}, {FRAME_FIN, 8},   {FRAME_RESET, 4}},
      without[] = {{FRAME_CONTROL, 2}, {FRAME_PING, 8}, {FRAME_PONG, 8}};
    for (size_t i = 0; i < COUNT(with); i++) {
        assert_int_equal(feed_one(2, 2, with[i].kind, 0, with[i].length), BURROW_EPROTO);
        assert_int_equal(feed_one(2, 2, with[i].kind, 1, with[i].length), 0);
        assert_int_equal(feed_one(2, 2, with[i].kind, UINT64_MAX, with[i].length), 0);
    }
    for (size_t i = 0; i < COUNT(without); i++) {
        assert_int_equal(feed_one(2, 2, without[i].kind, 0, without[i].length), 0);
        assert_int_equal(feed_one(2, 2, without[i].kind, 1, without[i].length), BURROW_EPROTO);
        assert_int_equal(feed_one(2, 2, without[i].kind, UINT64_MAX, without[i].length),
                         BURROW_EPROTO);
    }
}

static void parser_of_version_1_leaves_stream_ids_to_others(void **state)
{
    (void)state;
    assert_int_equal(feed_one(1, 1, FRAME_CONTROL, 0, 2), 0);
    assert_int_equal(feed_one(1, 1, FRAME_CONTROL, 7, 2), 0);
    assert_int_equal(feed_one(1, 1, FRAME_DATA, 0, 2), 0);
}

static void parser_of_version_1_skips_the_kinds_of_version_2(void **state)
{
    (void)state;
    uint8_t p[64];
    const size_t n = put_frame(p, 1, FRAME_PING, 0, 8);
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V1, gather);
    assert_int_equal(frame_parser_feed(&parser, p, n, &SINK, &r, &error), 0);
    assert_int_equal(r.frames, 0);
}

static int stop_behind_skipped(void *arg)
{
    ++*(int *)arg;
    return FRAME_STOP;
}

static void parser_tells_the_end_of_a_skipped_frame_to_who_asks(void **state)
{
    (void)state;
    static const struct frame_sink asks = {.skipped = stop_behind_skipped};
    uint8_t p[64];
    const size_t n = put_frame(p, 1, FRAME_PING, 0, 8);
    int skipped = 0;
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V1, gather);
    assert_int_equal(frame_parser_feed(&parser, p, n - 1, &asks, &skipped, &error), 0);
    assert_int_equal(skipped, 0);
    assert_int_equal(frame_parser_feed(&parser, p + n - 1, 2, &asks, &skipped, &error), FRAME_STOP);
    assert_int_equal(skipped, 1);
    assert_int_equal(parser.consumed, 1);
    assert_false(frame_parser_in_frame(&parser));
}

static void parser_judges_a_header_before_its_payload_comes(void **state)
{
    (void)state;
    uint8_t p[FRAME_HEADER];
    const struct frame_header h = {2, FRAME_CONTROL, 0, FRAME_MAX_CONTROL + 1};
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_header_encode(p, &h);
    frame_parser_init(&parser, FRAME_V2, gather);
    assert_int_equal(frame_parser_feed(&parser, p, 13, &SINK, &r, &error), 0);
    assert_int_equal(frame_parser_feed(&parser, p + 13, 1, &SINK, &r, &error), BURROW_EPROTO);
}

static void parser_that_failed_takes_nothing_more(void **state)
{
    (void)state;
    uint8_t p[64];
    const size_t bad = put_frame(p, 2, FRAME_DATA, 0, 1);
    const size_t good = put_frame(p + bad, 2, FRAME_DATA, 1, 1);
    struct record r = {0};
    struct frame_parser parser;
    const char *error = NULL;
    frame_parser_init(&parser, FRAME_V2, gather);
    assert_int_equal(frame_parser_feed(&parser, p, bad, &SINK, &r, &error), BURROW_EPROTO);
    assert_int_equal(frame_parser_feed(&parser, p + bad, good, &SINK, &r, &error), BURROW_EPROTO);
    assert_int_equal(r.pieces, 0);
}

static void parser_passes_on_the_sinks_code_and_stops(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t n = put_mixture(p);
    for (size_t after = 0; after < 10; after++) {
        struct record r = {.answer = BURROW_EDENIED, .after = after};
        struct frame_parser parser;
        const char *error = NULL;
        frame_parser_init(&parser, FRAME_V2, gather);
        assert_int_equal(frame_parser_feed(&parser, p, n, &SINK, &r, &error), BURROW_EDENIED);
        assert_int_equal(r.frames + r.pieces, after + 1);
        assert_null(error);
        assert_int_equal(frame_parser_feed(&parser, p, n, &SINK, &r, &error), BURROW_EPROTO);
        assert_int_equal(r.frames + r.pieces, after + 1);
    }
}

static void parser_that_was_stopped_goes_on_where_it_was(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t n = put_mixture(p);
    const struct record whole = feed_whole(p, n);
    struct record r = {.answer = FRAME_STOP};
    struct frame_parser parser;
    const char *error = NULL;
    size_t at = 0, stops = 0;
    frame_parser_init(&parser, FRAME_V2, gather);
    while (frame_parser_feed(&parser, p + at, n - at, &SINK, &r, &error) == FRAME_STOP) {
        at += parser.consumed;
        stops++;
    }
    assert_int_equal(at, n);
    assert_int_equal(stops, 10);
    assert_string_equal(r.log, whole.log);
}

static void rest_after_a_register_goes_to_a_parser_of_version_2(void **state)
{
    (void)state;
    uint8_t p[1024];
    const size_t first = put_frame(p, 1, FRAME_CONTROL, 0, 40);
    const size_t n = first + put_mixture(p + first);
    const struct record expected = feed_whole(p + first, n - first);
    for (size_t split = 0; split <= n; split++) {
        struct record reg = {.answer = FRAME_STOP}, r = {0};
        struct frame_parser parser;
        const char *error = NULL;
        frame_parser_init(&parser, FRAME_V1, gather);
        int result = frame_parser_feed(&parser, p, split, &SINK, &reg, &error);
        size_t at = parser.consumed;
        if (result == 0) {
            assert_int_equal(at, split);
            result = frame_parser_feed(&parser, p + at, n - at, &SINK, &reg, &error);
            at += parser.consumed;
        }
        assert_int_equal(result, FRAME_STOP);
        assert_int_equal(at, first);
        assert_int_equal(reg.frames, 1);
        frame_parser_init(&parser, FRAME_V2, gather);
        assert_int_equal(frame_parser_feed(&parser, p + at, n - at, &SINK, &r, &error), 0);
        assert_string_equal(r.log, expected.log);
    }
}

static void largest_frames_come_through_in_two_pieces(void **state)
{
    (void)state;
    static uint8_t p[FRAME_HEADER + FRAME_MAX_PAYLOAD + FRAME_HEADER + FRAME_MAX_CONTROL];
    size_t n = put_frame(p, 2, FRAME_DATA, 3, FRAME_MAX_PAYLOAD);
    n += put_frame(p + n, 2, FRAME_CONTROL, 0, FRAME_MAX_CONTROL);
    const struct record whole = feed_whole(p, n);
    for (size_t split = 1; split < n; split += 997) {
        struct record r = {0};
        struct frame_parser parser;
        const char *error = NULL;
        frame_parser_init(&parser, FRAME_V2, gather);
        assert_int_equal(frame_parser_feed(&parser, p, split, &SINK, &r, &error), 0);
        assert_int_equal(frame_parser_feed(&parser, p + split, n - split, &SINK, &r, &error), 0);
        assert_string_equal(r.log, whole.log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_gives_every_frame_once_and_in_order),
        cmocka_unit_test(parser_gives_the_same_frames_for_every_split_in_three),
        cmocka_unit_test(parser_gives_the_same_frames_byte_by_byte),
        cmocka_unit_test(parser_does_not_copy_data),
        cmocka_unit_test(parser_hands_on_data_before_the_frame_is_complete),
        cmocka_unit_test(parser_waits_for_the_rest_of_a_split_header),
        cmocka_unit_test(parser_takes_no_bytes_from_nowhere),
        cmocka_unit_test(parser_refuses_other_versions),
        cmocka_unit_test(data_of_version_1_has_at_most_32_kib),
        cmocka_unit_test(parser_refuses_lengths_that_do_not_suit_the_kind),
        cmocka_unit_test(parser_refuses_stream_ids_that_do_not_suit_the_kind),
        cmocka_unit_test(parser_of_version_1_leaves_stream_ids_to_others),
        cmocka_unit_test(parser_of_version_1_skips_the_kinds_of_version_2),
        cmocka_unit_test(parser_tells_the_end_of_a_skipped_frame_to_who_asks),
        cmocka_unit_test(parser_judges_a_header_before_its_payload_comes),
        cmocka_unit_test(parser_that_failed_takes_nothing_more),
        cmocka_unit_test(parser_passes_on_the_sinks_code_and_stops),
        cmocka_unit_test(parser_that_was_stopped_goes_on_where_it_was),
        cmocka_unit_test(rest_after_a_register_goes_to_a_parser_of_version_2),
        cmocka_unit_test(largest_frames_come_through_in_two_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
