/* SPDX-License-Identifier: Apache-2.0 */
/* Values as users type them. */
#include "config/arena.h"
#include "config/option.h"
#include "config/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int64_t duration(const char *text)
{
    int64_t ms = -1;
    return option_parse_duration(text, &ms) == 0 ? ms : -1;
}

static int64_t bytes(const char *text)
{
    int64_t n = -1;
    return option_parse_bytes(text, &n) == 0 ? n : -1;
}

static void durations_have_units(void **state)
{
    (void)state;
    assert_int_equal(duration("10s"), 10000);
    assert_int_equal(duration("250ms"), 250);
    assert_int_equal(duration("1h30m"), 5400000);
    assert_int_equal(duration("1h1m1s1ms"), 3661001);
    assert_int_equal(duration("1.5s"), 1500);
    assert_int_equal(duration("0s"), 0);
}

static void durations_that_mean_nothing_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "10",
                                      "0",
                                      "s",
                                      "-1s",
                                      "10 s",
                                      "1e3s",
                                      "1m1h",
                                      "1s1s",
                                      "1.s",
                                      ".5s",
                                      "1.0001s",
                                      "10S",
                                      "10sec",
                                      "1d",
                                      " 1s",
                                      "1s ",
                                      "9223372036854775807h",
                                      "99999999999999999999s"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (duration(bad[i]) != -1)
            fail_msg("%s", bad[i]);
}

static void sizes_may_have_binary_units(void **state)
{
    (void)state;
    assert_int_equal(bytes("1000"), 1000);
    assert_int_equal(bytes("64KiB"), 65536);
    assert_int_equal(bytes("16MiB"), 16777216);
    assert_int_equal(bytes("2GiB"), INT64_C(2147483648));
    assert_int_equal(bytes("0"), 0);
    assert_int_equal(bytes("7B"), 7);
}

static void sizes_that_mean_nothing_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "KiB",
                                      "-1",
                                      "1e6",
                                      "64kb",
                                      "64 KiB",
                                      "1.5MiB",
                                      "64K",
                                      "9223372036854775807KiB",
                                      "9223372036854775808"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (bytes(bad[i]) != -1)
            fail_msg("%s", bad[i]);
}

static void durations_and_sizes_are_written_as_they_are_read(void **state)
{
    char buf[64];
    (void)state;
    assert_string_equal(option_format_duration(5400000, buf, sizeof buf), "1h30m");
    assert_string_equal(option_format_duration(250, buf, sizeof buf), "250ms");
    assert_string_equal(option_format_duration(0, buf, sizeof buf), "0s");
    assert_string_equal(option_format_bytes(65536, buf, sizeof buf), "64KiB");
    assert_string_equal(option_format_bytes(1000, buf, sizeof buf), "1000");
}

static void quoted_values_cannot_move_the_cursor(void **state)
{
    char buf[TEXT_QUOTED];
    (void)state;
    assert_string_equal(option_quote("a\"b\\c\n\x1b[2J", buf, sizeof buf),
                        "\"a\\\"b\\\\c\\x0a\\x1b[2J\"");
    assert_string_equal(option_quote("\xff\xfe", buf, sizeof buf), "\"\\xff\\xfe\"");
    assert_string_equal(option_quote("\xc2\x9b", buf, sizeof buf), "\"\\xc2\\x9b\"");
    assert_string_equal(option_quote("\xc3\xa4", buf, sizeof buf), "\"\xc3\xa4\"");
}

static void long_values_are_cut_between_characters(void **state)
{
    char text[200], buf[TEXT_QUOTED];
    (void)state;
    memset(text, 'a', 63);
    memcpy(text + 63, "\xc3\xa4zzzz", 7);
    option_quote(text, buf, sizeof buf);
    assert_int_equal(strlen(buf), 1 + 63 + 3 + 1);
    assert_string_equal(buf + 64, "\xe2\x80\xa6\"");
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    (void)state;
    assert_true(text_is_utf8("grün \xf0\x9f\x98\x80"));
    assert_false(text_is_utf8("\xc0\xaf"));         /* overlong */
    assert_false(text_is_utf8("\xed\xa0\x80"));     /* a surrogate */
    assert_false(text_is_utf8("\xf4\x90\x80\x80")); /* above U+10FFFF */
    assert_false(text_is_utf8("\xe2\x82"));         /* cut */
}

static void the_nearest_name_is_the_one_meant(void **state)
{
    struct nearest n;
    (void)state;
    nearest_init(&n, "server-adr");
    nearest_offer(&n, "server-url");
    nearest_offer(&n, "server-addr");
    assert_string_equal(n.name, "server-addr");
    nearest_init(&n, "xyzzy");
    nearest_offer(&n, "server-addr");
    assert_null(n.name);
}

struct one {
    const char *text;
    int64_t number;
};

static void table_says(const struct burrow_option *row, size_t config_size, const char *expected)
{
    struct burrow_option table[] = {*row, BURROW_OPTION_END};
    struct error err = {0};
    assert_int_equal(option_table_check(table, config_size, &err), BURROW_EINVAL);
    if (!strstr(err.text, expected))
        fail_msg("%s\nexpected: %s", err.text, expected);
}

static void a_wrong_option_table_is_refused_with_the_reason(void **state)
{
    struct burrow_option good =
        BURROW_OPTION_INT(struct one, number, "count", "1", "N", 0, 1, 9, "a number");
    struct burrow_option bad;
    (void)state;
    bad = good;
    bad.name = "Count_er";
    table_says(&bad, sizeof(struct one), "lower-case");
    bad = good;
    bad.type = 99;
    table_says(&bad, sizeof(struct one), "type 99");
    bad = good;
    bad.offset = sizeof(struct one);
    table_says(&bad, sizeof(struct one), "outside");
    bad = good;
    bad.offset = 4;
    table_says(&bad, sizeof(struct one), "aligned");
    bad = good;
    bad.def = "10";
    table_says(&bad, sizeof(struct one), "default");
    bad = good;
    bad.min = 10;
    table_says(&bad, sizeof(struct one), "range");
    bad = good;
    bad.help = NULL;
    table_says(&bad, sizeof(struct one), "help");
}

static void options_must_not_share_names_or_fields(void **state)
{
    struct burrow_option twice[] = {
        BURROW_OPTION_INT(struct one, number, "count", NULL, "N", 0, 0, 0, "a number"),
        BURROW_OPTION_INT(struct one, number, "other", NULL, "N", 0, 0, 0, "a number"),
        BURROW_OPTION_END};
    struct error err = {0};
    (void)state;
    assert_int_equal(option_table_check(twice, sizeof(struct one), &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "share a field"));
    twice[1].name = "count";
    assert_int_equal(option_table_check(twice, sizeof(struct one), &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "twice"));
    assert_int_equal(option_table_check(NULL, 0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(durations_that_mean_nothing_are_refused),
        cmocka_unit_test(sizes_may_have_binary_units),
        cmocka_unit_test(sizes_that_mean_nothing_are_refused),
        cmocka_unit_test(durations_and_sizes_are_written_as_they_are_read),
        cmocka_unit_test(quoted_values_cannot_move_the_cursor),
        cmocka_unit_test(long_values_are_cut_between_characters),
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(the_nearest_name_is_the_one_meant),
        cmocka_unit_test(a_wrong_option_table_is_refused_with_the_reason),
        cmocka_unit_test(options_must_not_share_names_or_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
