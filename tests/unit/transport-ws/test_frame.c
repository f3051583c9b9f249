/* SPDX-License-Identifier: Apache-2.0 */
/* The framing: the examples of RFC 6455 (5.7), and every rule that a peer could break. */
#include "ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT 1000u

/* What a parser made of an input. */
struct outcome {
    enum ws_event last; /* WS_MORE or WS_ERROR */
    uint16_t code;
    size_t got_len, messages, controls;
    uint8_t got[4 * LIMIT];
    uint8_t opcode, control[WS_CONTROL_MAX];
    size_t control_len;
    uint16_t close_code;
};

/* Feeds pieces of `step` bytes, each in memory of its own so that a sanitizer sees the edges. */
static struct outcome feed(bool masked, const void *bytes, size_t n, size_t step)
{
    struct outcome out = {.last = WS_MORE};
    struct ws_parser parser;
    ws_parser_init(&parser, masked, LIMIT);
    for (size_t at = 0; at < n && out.last != WS_ERROR; at += step) {
        size_t len = n - at < step ? n - at : step;
        uint8_t *piece = (uint8_t *)malloc(len), *p = piece;
        struct ws_found found;
        assert_non_null(piece);
        memcpy(piece, (const uint8_t *)bytes + at, len);
        while ((out.last = ws_next(&parser, &p, piece + len, &found)) != WS_MORE &&
               out.last != WS_ERROR) {
            if (out.last == WS_DATA) {
                assert_true(found.n > 0 || found.message_end);
                memcpy(out.got + out.got_len, found.p, found.n);
                out.got_len += found.n;
                out.messages += found.message_end;
            } else {
                out.controls++;
                out.opcode = found.opcode;
                out.close_code = found.code;
                out.control_len = found.n;
                memcpy(out.control, found.p, found.n);
            }
        }
        if (out.last == WS_ERROR)
            out.code = found.code;
        else
            assert_ptr_equal(p, piece + len);
        free(piece);
    }
    return out;
}

/* Whole and byte by byte must come to the same. */
static struct outcome parse(bool masked, const void *bytes, size_t n)
{
    struct outcome whole = feed(masked, bytes, n, n), split = feed(masked, bytes, n, 1);
    assert_int_equal(whole.last, split.last);
    assert_int_equal(whole.code, split.code);
    assert_int_equal(whole.messages, split.messages);
    assert_int_equal(whole.controls, split.controls);
    if (whole.last != WS_ERROR) {
        assert_int_equal(whole.got_len, split.got_len);
        assert_memory_equal(whole.got, split.got, whole.got_len);
    }
    return whole;
}

#define SERVER_SENDS(literal) parse(false, literal, sizeof(literal) - 1)
#define CLIENT_SENDS(literal) parse(true, literal, sizeof(literal) - 1)

static void assert_fails(struct outcome out, uint16_t code)
{
    assert_int_equal(out.last, WS_ERROR);
    assert_int_equal(out.code, code);
}

static void the_rfc_s_examples_are_read(void **state)
{
    (void)state;
    struct outcome out = SERVER_SENDS("\x81\x05Hello");
    assert_int_equal(out.messages, 1);
    assert_memory_equal(out.got, "Hello", 5);
    out = CLIENT_SENDS("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_int_equal(out.messages, 1);
    assert_memory_equal(out.got, "Hello", 5);
    out = SERVER_SENDS("\x01\x03Hel\x80\x02lo");
    assert_int_equal(out.messages, 1);
    assert_memory_equal(out.got, "Hello", 5);
    out = SERVER_SENDS("\x89\x05Hello");
    assert_int_equal(out.opcode, WS_PING);
    assert_memory_equal(out.control, "Hello", 5);
    out = CLIENT_SENDS("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_int_equal(out.opcode, WS_PONG);
    assert_memory_equal(out.control, "Hello", 5);
    uint8_t big[4 + 256] = {0x82, 0x7e, 0x01, 0x00};
    out = parse(false, big, sizeof big);
    assert_int_equal(out.messages, 1);
    assert_int_equal(out.got_len, 256);
}

static void a_client_must_mask_and_a_server_must_not(void **state)
{
    (void)state;
    assert_fails(CLIENT_SENDS("\x82\x01x"), WS_CODE_PROTOCOL);
    assert_fails(CLIENT_SENDS("\x89\x00"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x82\x81\x00\x00\x00\x00x"), WS_CODE_PROTOCOL);
}

static void reserved_bits_and_opcodes_are_refused(void **state)
{
    (void)state;
    for (unsigned bits = 0x10; bits <= 0x70; bits += 0x10) {
        uint8_t frame[] = {(uint8_t)(0x82 | bits), 0};
        assert_fails(parse(false, frame, sizeof frame), WS_CODE_PROTOCOL);
    }
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        uint8_t frame[] = {(uint8_t)(0x80 | opcode), 0};
        bool known = opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10);
        struct outcome out = parse(false, frame, sizeof frame);
        assert_int_equal(out.last, known ? WS_MORE : WS_ERROR);
    }
}

static void control_frames_are_short_and_whole(void **state)
{
    (void)state;
    assert_fails(SERVER_SENDS("\x09\x00"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x08\x00"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x89\x7e\x00\x7e"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x89\x7f"), WS_CODE_PROTOCOL);
    uint8_t longest[2 + 125] = {0x89, 125};
    struct outcome out = parse(false, longest, sizeof longest);
    assert_int_equal(out.controls, 1);
    assert_int_equal(out.control_len, 125);
}

static void a_ping_may_stand_between_fragments(void **state)
{
    (void)state;
    struct outcome out = SERVER_SENDS("\x02\x02he\x89\x01p\x00\x00\x80\x03llo");
    assert_int_equal(out.controls, 1);
    assert_int_equal(out.messages, 1);
    assert_int_equal(out.got_len, 5);
    assert_memory_equal(out.got, "hello", 5);
}

static void fragments_keep_their_order(void **state)
{
    (void)state;
    assert_fails(SERVER_SENDS("\x80\x01x"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x00\x01x"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x02\x01x\x82\x01y"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x02\x01x\x80\x01y\x80\x01z"), WS_CODE_PROTOCOL);
}

static void lengths_are_in_their_shortest_form(void **state)
{
    (void)state;
    assert_fails(SERVER_SENDS("\x82\x7e\x00\x7d"), WS_CODE_PROTOCOL);
    assert_int_equal(SERVER_SENDS("\x82\x7e\x00\x7e").last, WS_MORE);
    assert_fails(SERVER_SENDS("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"), WS_CODE_TOO_BIG);
}

static void a_message_over_the_limit_is_refused_by_its_header(void **state)
{
    (void)state;
    uint8_t fits[4 + LIMIT] = {0x82, 0x7e, LIMIT >> 8, LIMIT & 0xff};
    assert_int_equal(parse(false, fits, sizeof fits).messages, 1);
    assert_fails(SERVER_SENDS("\x82\x7e\x03\xe9"), WS_CODE_TOO_BIG);
    uint8_t in_two[4 + LIMIT + 2] = {0x02, 0x7e, LIMIT >> 8, LIMIT & 0xff};
    in_two[4 + LIMIT] = 0x80;
    in_two[4 + LIMIT + 1] = 0;
    assert_int_equal(parse(false, in_two, sizeof in_two).messages, 1);
    in_two[4 + LIMIT + 1] = 1;
    assert_fails(parse(false, in_two, sizeof in_two), WS_CODE_TOO_BIG);
}

static void an_empty_message_is_a_message(void **state)
{
    (void)state;
    struct outcome out = CLIENT_SENDS("\x82\x80\x01\x02\x03\x04");
    assert_int_equal(out.messages, 1);
    assert_int_equal(out.got_len, 0);
    out = SERVER_SENDS("\x02\x00\x00\x00\x80\x00");
    assert_int_equal(out.messages, 1);
}

static void close_frames_carry_a_code_that_may_be_sent(void **state)
{
    (void)state;
    struct outcome out = SERVER_SENDS("\x88\x00");
    assert_int_equal(out.close_code, WS_CODE_NONE);
    out = SERVER_SENDS("\x88\x05\x03\xf3why");
    assert_int_equal(out.close_code, 1011);
    assert_memory_equal(out.control, "why", 3);
    assert_fails(SERVER_SENDS("\x88\x01\x03"), WS_CODE_PROTOCOL);
    assert_fails(SERVER_SENDS("\x88\x04\x03\xe8\xc3\x28"), WS_CODE_BAD_DATA);
    assert_fails(SERVER_SENDS("\x88\x03\x03\xe8\xc3"), WS_CODE_BAD_DATA);
    static const struct {
        uint16_t code;
        bool allowed;
    } codes[] = {{0, false},    {999, false},  {1000, true},  {1003, true},
                 {1004, false}, {1005, false}, {1006, false}, {1007, true},
                 {1014, true},  {1015, false}, {1016, false}, {2999, false},
                 {3000, true},  {4999, true},  {5000, false}, {65535, false}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t frame[] = {0x88, 2, (uint8_t)(codes[i].code >> 8), (uint8_t)codes[i].code};
        assert_int_equal(parse(false, frame, sizeof frame).last,
                         codes[i].allowed ? WS_MORE : WS_ERROR);
    }
}

static void text_is_checked_across_fragments(void **state)
{
    (void)state;
    assert_int_equal(SERVER_SENDS("\x01\x02\xce\xba\x00\x01\xe2\x80\x02\x82\xac").messages, 1);
    assert_fails(SERVER_SENDS("\x81\x01\xff"), WS_CODE_BAD_DATA);
    assert_fails(SERVER_SENDS("\x01\x01\xe2\x80\x01\x82"), WS_CODE_BAD_DATA);
    assert_int_equal(SERVER_SENDS("\x82\x01\xff").messages, 1);
    /* The next text begins afresh. */
    assert_int_equal(SERVER_SENDS("\x81\x02\xce\xba\x81\x01x").messages, 2);
}

static void utf8_is_judged_by_the_table_of_the_standard(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"\x7f", true},
        {"\xc2\x80", true},
        {"\xdf\xbf", true},
        {"\xe0\xa0\x80", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xc2", false},
        {"\xc2\x41", false},
        {"\xe2\x82", false},
        {"12345678\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ws_utf8 utf8 = {0};
        const uint8_t *p = (const uint8_t *)cases[i].text;
        bool good = ws_utf8_feed(&utf8, p, strlen(cases[i].text)) && ws_utf8_done(&utf8);
        assert_int_equal(good, cases[i].good);
    }
}

static void masking_is_the_same_at_every_length_and_phase(void **state)
{
    (void)state;
    static const uint8_t key[4] = {0x11, 0x22, 0x44, 0x88};
    for (size_t n = 0; n < 200; n++) {
        for (size_t phase = 0; phase < 4; phase++) {
            uint8_t *p = (uint8_t *)malloc(n + 1);
            assert_non_null(p);
            for (size_t i = 0; i < n; i++)
                p[i] = (uint8_t)i;
            ws_mask(p, n, key, phase);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(p[i], (uint8_t)i ^ key[(phase + i) & 3]);
            free(p);
        }
    }
}

static void headers_that_are_written_can_be_read(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 999, 1000};
    static const uint8_t key[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        for (int masked = 0; masked < 2; masked++) {
            uint8_t bytes[WS_HEADER_MAX + LIMIT] = {0};
            uint8_t *payload = bytes + WS_HEADER_MAX;
            size_t len = (size_t)lengths[i];
            memset(payload, 'x', len);
            if (masked)
                ws_mask(payload, len, key, 0);
            size_t header = ws_put_header(payload, WS_BINARY, len, masked ? key : NULL);
            assert_int_equal(header, ws_header_len(len, masked));
            struct outcome out = parse(masked, payload - header, header + len);
            assert_int_equal(out.messages, 1);
            assert_int_equal(out.got_len, len);
            for (size_t k = 0; k < len; k++)
                assert_int_equal(out.got[k], 'x');
        }
    }
    assert_int_equal(ws_header_len(65535, false), 4);
    assert_int_equal(ws_header_len(65536, true), 14);
}

static void a_long_reason_is_cut_at_a_character(void **state)
{
    (void)state;
    char reason[200];
    uint8_t out[WS_CONTROL_MAX];
    memset(reason, 'a', sizeof reason);
    reason[199] = '\0';
    assert_int_equal(ws_put_close(out, 1011, reason), 125);
    memcpy(reason + 121, "\xe2\x82\xac", 3); /* its third byte would be the 124th */
    assert_int_equal(ws_put_close(out, 1011, reason), 2 + 121);
    assert_int_equal(ws_put_close(out, 1011, "\xff"), 2);
    assert_int_equal(ws_put_close(out, 1011, ""), 2);
}

static void a_million_fragments_of_one_byte_cost_no_memory(void **state)
{
    (void)state;
    struct ws_parser parser;
    struct ws_found found;
    size_t messages = 0, bytes = 0;
    ws_parser_init(&parser, false, 2000000);
    for (size_t i = 0; i < 1000000; i++) {
        uint8_t frame[] = {i == 0 ? 0x02 : i == 999999 ? 0x80 : 0x00, 1, 'x'}, *p = frame;
        assert_int_equal(ws_next(&parser, &p, frame + 3, &found), WS_DATA);
        bytes += found.n;
        messages += found.message_end;
    }
    assert_int_equal(bytes, 1000000);
    assert_int_equal(messages, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_s_examples_are_read),
        cmocka_unit_test(a_client_must_mask_and_a_server_must_not),
        cmocka_unit_test(reserved_bits_and_opcodes_are_refused),
        cmocka_unit_test(control_frames_are_short_and_whole),
        cmocka_unit_test(a_ping_may_stand_between_fragments),
        cmocka_unit_test(fragments_keep_their_order),
        cmocka_unit_test(lengths_are_in_their_shortest_form),
        cmocka_unit_test(a_message_over_the_limit_is_refused_by_its_header),
        cmocka_unit_test(an_empty_message_is_a_message),
        cmocka_unit_test(close_frames_carry_a_code_that_may_be_sent),
        cmocka_unit_test(text_is_checked_across_fragments),
        cmocka_unit_test(utf8_is_judged_by_the_table_of_the_standard),
        cmocka_unit_test(masking_is_the_same_at_every_length_and_phase),
        cmocka_unit_test(headers_that_are_written_can_be_read),
        cmocka_unit_test(a_long_reason_is_cut_at_a_character),
        cmocka_unit_test(a_million_fragments_of_one_byte_cost_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
