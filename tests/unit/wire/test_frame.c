/* SPDX-License-Identifier: Apache-2.0 */
/* The encoders and payload decoders of version 2's frames, and the header of both. */
#include "wire/frame.h"
#include "wire_test.h"

static void header_is_14_big_endian_bytes(void **state)
{
    (void)state;
    const struct frame_header h = {2, 7, 0x0102030405060708u, 0x0a0b0c0d};
    const uint8_t expected[FRAME_HEADER] = {2, 7, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13};
    uint8_t p[FRAME_HEADER];
    frame_header_encode(p, &h);
    assert_memory_equal(p, expected, sizeof p);
}

static void header_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    const struct frame_header headers[] = {
        {0, 0, 0, 0}, {255, 255, UINT64_MAX, UINT32_MAX}, {1, 2, 1, 65536}, {2, 9, 1u << 31, 8}};
    for (size_t i = 0; i < COUNT(headers); i++) {
        uint8_t p[FRAME_HEADER];
        struct frame_header back;
        frame_header_encode(p, &headers[i]);
        frame_header_decode(&back, p);
        assert_int_equal(back.version, headers[i].version);
        assert_int_equal(back.kind, headers[i].kind);
        assert_true(back.stream == headers[i].stream);
        assert_int_equal(back.length, headers[i].length);
    }
}

/* Checks the header at p of a frame of n bytes and returns its payload. */
static const uint8_t *payload_of(const uint8_t *p, size_t n, enum frame_kind kind, uint64_t stream)
{
    struct frame_header h;
    assert_true(n >= FRAME_HEADER && n <= FRAME_SMALL_ROOM);
    frame_header_decode(&h, p);
    assert_int_equal(h.version, FRAME_V2);
    assert_int_equal(h.kind, kind);
    assert_true(h.stream == stream);
    assert_int_equal(h.length, n - FRAME_HEADER);
    return p + FRAME_HEADER;
}

static void assert_same_addr(const struct burrow_addr *a, const struct burrow_addr *b)
{
    assert_int_equal(a->family, b->family);
    assert_int_equal(a->port, b->port);
    assert_memory_equal(a->bytes, b->bytes, sizeof a->bytes);
}

static void open_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    const struct burrow_addr none = {0};
    const struct burrow_addr v4 = {.family = 4, .port = 65535, .bytes = {127, 0, 0, 1}};
    struct burrow_addr v6 = {.family = 6, .port = 1};
    for (size_t i = 0; i < 16; i++)
        v6.bytes[i] = (uint8_t)(0xf0 + i);
    const struct burrow_addr addrs[] = {none, v4, v6};
    for (size_t s = 0; s < COUNT(addrs); s++) {
        for (size_t d = 0; d < COUNT(addrs); d++) {
            const struct frame_open open = {(uint16_t)(s * 1000 + d), UINT64_MAX - s, addrs[s],
                                            addrs[d]};
            uint8_t p[FRAME_SMALL_ROOM];
            const size_t n = frame_open_encode(p, 3, &open);
            struct frame_open back;
            const uint8_t *payload = payload_of(p, n, FRAME_OPEN, 3);
            assert_int_equal(frame_open_decode(&back, payload, n - FRAME_HEADER), 0);
            assert_int_equal(back.service, open.service);
            assert_true(back.limit == open.limit);
            assert_same_addr(&back.source, &open.source);
            assert_same_addr(&back.destination, &open.destination);
        }
    }
}

#define OPEN_HEAD 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0

static void open_with_an_empty_source_tells_no_address(void **state)
{
    (void)state;
    const uint8_t p[] = {OPEN_HEAD, 1, 0};
    struct frame_open open;
    assert_int_equal(frame_open_decode(&open, p, sizeof p), 0);
    assert_int_equal(open.source.family, 0);
    assert_int_equal(open.service, 1);
    assert_true(open.limit == 16384);
}

static void open_ignores_attributes_that_it_does_not_know(void **state)
{
    (void)state;
    const uint8_t p[] = {OPEN_HEAD, 9, 3, 'a', 'b', 'c', 2, 6, 10, 0, 0, 7, 0x1f, 0x90, 0, 0};
    struct frame_open open;
    assert_int_equal(frame_open_decode(&open, p, sizeof p), 0);
    assert_int_equal(open.destination.family, 4);
    assert_int_equal(open.destination.port, 8080);
    assert_int_equal(open.destination.bytes[3], 7);
}

static void open_cut_anywhere_but_between_attributes_is_refused(void **state)
{
    (void)state;
    const uint8_t p[] = {OPEN_HEAD, 1, 6, 1, 2, 3, 4, 5, 6, 2, 0};
    for (size_t n = 0; n <= sizeof p; n++) {
        const bool border = n == 10 || n == 18 || n == 20;
        struct frame_open open = {.service = 4242};
        uint8_t *const exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, p, n);
        assert_int_equal(frame_open_decode(&open, exact, n), border ? 0 : BURROW_EPROTO);
        assert_int_equal(open.service, border ? 1 : 4242);
        free(exact);
    }
}

static void open_with_an_address_of_a_wrong_length_is_refused(void **state)
{
    (void)state;
    for (size_t length = 1; length < 40; length++) {
        uint8_t p[10 + 2 + 40] = {OPEN_HEAD, 1, (uint8_t)length};
        struct frame_open open;
        const int expected = length == 6 || length == 18 ? 0 : BURROW_EPROTO;
        assert_int_equal(frame_open_decode(&open, p, 12 + length), expected);
    }
}

static void open_with_one_attribute_twice_is_refused(void **state)
{
    (void)state;
    const uint8_t p[] = {OPEN_HEAD, 2, 0, 2, 0};
    struct frame_open open;
    assert_int_equal(frame_open_decode(&open, p, sizeof p), BURROW_EPROTO);
}

static void numbers_come_back_as_they_were_sent(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < COUNT(values); i++) {
        const uint64_t v = values[i];
        uint8_t p[FRAME_SMALL_ROOM];
        uint64_t back = 77, back2 = 77;
        size_t n = frame_accept_encode(p, 5, v);
        assert_int_equal(
            frame_u64_decode(&back, payload_of(p, n, FRAME_ACCEPT, 5), n - FRAME_HEADER), 0);
        assert_true(back == v);
        n = frame_fin_encode(p, UINT64_MAX, v);
        assert_int_equal(
            frame_u64_decode(&back, payload_of(p, n, FRAME_FIN, UINT64_MAX), n - FRAME_HEADER), 0);
        assert_true(back == v);
        n = frame_window_encode(p, 6, v, ~v);
        assert_int_equal(
            frame_window_decode(&back, &back2, payload_of(p, n, FRAME_WINDOW, 6), n - FRAME_HEADER),
            0);
        assert_true(back == v && back2 == ~v);
        n = frame_ping_encode(p, FRAME_PONG, v);
        assert_int_equal(frame_u64_decode(&back, payload_of(p, n, FRAME_PONG, 0), n - FRAME_HEADER),
                         0);
        assert_true(back == v);
    }
}

static void numbers_of_any_other_length_are_refused(void **state)
{
    (void)state;
    const uint8_t p[32] = {0};
    for (size_t n = 0; n <= sizeof p; n++) {
        uint64_t a = 1, b = 1;
        assert_int_equal(frame_u64_decode(&a, p, n), n == 8 ? 0 : BURROW_EPROTO);
        assert_true(a == (n == 8 ? 0 : 1));
        a = 1;
        assert_int_equal(frame_window_decode(&a, &b, p, n), n == 16 ? 0 : BURROW_EPROTO);
        assert_true(a == (n == 16 ? 0 : 1) && b == a);
    }
}

static void reset_carries_a_code_and_a_text(void **state)
{
    (void)state;
    uint8_t p[FRAME_SMALL_ROOM];
    const size_t n = frame_reset_encode(p, 9, RESET_UNREACHABLE, "no route");
    uint32_t code;
    const char *text;
    size_t len;
    const uint8_t *payload = payload_of(p, n, FRAME_RESET, 9);
    assert_int_equal(frame_reset_decode(&code, &text, &len, payload, n - FRAME_HEADER), 0);
    assert_int_equal(code, RESET_UNREACHABLE);
    assert_int_equal(len, strlen("no route"));
    assert_memory_equal(text, "no route", len);
}

static void reset_without_a_text_is_four_bytes(void **state)
{
    (void)state;
    uint8_t p[FRAME_SMALL_ROOM];
    assert_int_equal(frame_reset_encode(p, 9, 1, NULL), FRAME_HEADER + 4);
    assert_int_equal(frame_reset_encode(p, 9, 1, ""), FRAME_HEADER + 4);
}

static void reset_texts_are_cut_to_256_bytes(void **state)
{
    (void)state;
    for (size_t length = 255; length <= 257; length++) {
        uint8_t p[FRAME_SMALL_ROOM];
        char text[300];
        memset(text, 'x', sizeof text);
        text[length] = '\0';
        assert_int_equal(frame_reset_encode(p, 1, 1, text),
                         FRAME_HEADER + 4 + (length < 256 ? length : 256));
    }
}

static void reset_shorter_than_its_code_is_refused(void **state)
{
    (void)state;
    const uint8_t p[4] = {0, 0, 0, 1};
    uint32_t code = 99;
    const char *text = NULL;
    size_t len = 99;
    for (size_t n = 0; n < 4; n++)
        assert_int_equal(frame_reset_decode(&code, &text, &len, p, n), BURROW_EPROTO);
    assert_int_equal(code, 99);
    assert_int_equal(frame_reset_decode(&code, &text, &len, p, 4), 0);
    assert_int_equal(len, 0);
}

static void every_reset_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (uint32_t a = RESET_REFUSED; a <= RESET_WITHDRAWN; a++) {
        assert_string_not_equal(reset_code_name(a), "unknown");
        for (uint32_t b = RESET_REFUSED; b < a; b++)
            assert_string_not_equal(reset_code_name(a), reset_code_name(b));
    }
}

static void other_reset_codes_are_called_unknown(void **state)
{
    (void)state;
    assert_string_equal(reset_code_name(0), "unknown");
    assert_string_equal(reset_code_name(11), "unknown");
    assert_string_equal(reset_code_name(UINT32_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_14_big_endian_bytes),
        cmocka_unit_test(header_comes_back_as_it_was_sent),
        cmocka_unit_test(open_comes_back_as_it_was_sent),
        cmocka_unit_test(open_with_an_empty_source_tells_no_address),
        cmocka_unit_test(open_ignores_attributes_that_it_does_not_know),
        cmocka_unit_test(open_cut_anywhere_but_between_attributes_is_refused),
        cmocka_unit_test(open_with_an_address_of_a_wrong_length_is_refused),
        cmocka_unit_test(open_with_one_attribute_twice_is_refused),
        cmocka_unit_test(numbers_come_back_as_they_were_sent),
        cmocka_unit_test(numbers_of_any_other_length_are_refused),
        cmocka_unit_test(reset_carries_a_code_and_a_text),
        cmocka_unit_test(reset_without_a_text_is_four_bytes),
        cmocka_unit_test(reset_texts_are_cut_to_256_bytes),
        cmocka_unit_test(reset_shorter_than_its_code_is_refused),
        cmocka_unit_test(every_reset_code_has_a_name_of_its_own),
        cmocka_unit_test(other_reset_codes_are_called_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
