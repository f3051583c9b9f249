/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY protocol's header, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"
#include "client/proxy_header.h"

#include <string.h>

static struct burrow_addr addr(const char *text, uint16_t port)
{
    struct burrow_addr a = {0};
    if (text[0] != '\0')
        assert_int_equal(address_parse_literal(text, port, &a), 0);
    return a;
}

static void version_1_is_a_line_of_text(void **state)
{
    (void)state;
    static const struct {
        const char *source, *destination;
        uint16_t from, to;
        const char *line;
    } rows[] = {
        {"127.0.0.5", "127.0.0.1", 40000, 80, "PROXY TCP4 127.0.0.5 127.0.0.1 40000 80\r\n"},
        {"255.255.255.255", "255.255.255.255", 65535, 65535,
         "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"},
        {"2001:db8::1", "::1", 1, 2, "PROXY TCP6 2001:db8::1 ::1 1 2\r\n"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         65535, 65535,
         "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"},
        {"::ffff:10.0.0.1", "10.0.0.2", 3, 4, "PROXY TCP4 10.0.0.1 10.0.0.2 3 4\r\n"},
        {"", "127.0.0.1", 0, 80, "PROXY UNKNOWN\r\n"},
        {"127.0.0.1", "", 80, 0, "PROXY UNKNOWN\r\n"},
        {"", "", 0, 0, "PROXY UNKNOWN\r\n"},
        {"127.0.0.1", "::1", 1, 2, "PROXY UNKNOWN\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t buf[PROXY_HEADER_MAX];
        const struct burrow_addr source = addr(rows[i].source, rows[i].from);
        const struct burrow_addr destination = addr(rows[i].destination, rows[i].to);
        size_t n = proxy_header_encode(buf, PROXY_V1, &source, &destination);
        assert_int_equal(n, strlen(rows[i].line));
        assert_memory_equal(buf, rows[i].line, n);
    }
}

#define SIGNATURE 0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a

static void version_2_tells_ipv4_in_28_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {SIGNATURE, 0x21, 0x11, 0, 12,   127,  0, 0, 5,
                                       127,       0,    0,    1, 0x9c, 0x40, 0, 80};
    uint8_t buf[PROXY_HEADER_MAX];
    const struct burrow_addr source = addr("127.0.0.5", 40000), destination = addr("127.0.0.1", 80);
    assert_int_equal(proxy_header_encode(buf, PROXY_V2, &source, &destination), sizeof expected);
    assert_memory_equal(buf, expected, sizeof expected);
}

static void version_2_tells_ipv6_in_52_bytes(void **state)
{
    (void)state;
    static const uint8_t expected[] = {
        SIGNATURE, 0x21, 0x21, 0, 36, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0,         0,    0,    0, 0,  0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2};
    uint8_t buf[PROXY_HEADER_MAX];
    const struct burrow_addr source = addr("2001:db8::1", 1), destination = addr("::1", 2);
    assert_int_equal(proxy_header_encode(buf, PROXY_V2, &source, &destination), sizeof expected);
    assert_memory_equal(buf, expected, sizeof expected);
}

static void version_2_says_local_when_it_knows_nobody(void **state)
{
    (void)state;
    static const uint8_t expected[] = {SIGNATURE, 0x20, 0, 0, 0};
    uint8_t buf[PROXY_HEADER_MAX];
    const struct burrow_addr none = {0}, four = addr("127.0.0.1", 1), six = addr("::1", 1);
    const struct burrow_addr *const pairs[][2] = {
        {&none, &none}, {&none, &four}, {&four, &none}, {&four, &six}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_int_equal(proxy_header_encode(buf, PROXY_V2, pairs[i][0], pairs[i][1]),
                         sizeof expected);
        assert_memory_equal(buf, expected, sizeof expected);
    }
}

static void without_a_version_nothing_is_written(void **state)
{
    (void)state;
    uint8_t buf[PROXY_HEADER_MAX];
    const struct burrow_addr a = addr("127.0.0.1", 1);
    assert_int_equal(proxy_header_encode(buf, PROXY_NONE, &a, &a), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_a_line_of_text),
        cmocka_unit_test(version_2_tells_ipv4_in_28_bytes),
        cmocka_unit_test(version_2_tells_ipv6_in_52_bytes),
        cmocka_unit_test(version_2_says_local_when_it_knows_nobody),
        cmocka_unit_test(without_a_version_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
