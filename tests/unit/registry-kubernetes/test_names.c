/* SPDX-License-Identifier: Apache-2.0 */
/* Names of Services and ports: the examples are Burrow 0.5's. */
#include "names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void service_names_are_those_of_burrow_0_5(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"client-a", "burrow-client-client-a-6af82af8"},
        {"my-service", "burrow-client-my-service-5ee3ff61"},
        {"edge.node_01", "burrow-client-edge-node-01-211a706c"},
        {"pg", "burrow-client-pg-4a4e4f18"},
        {"Ünïcode", "burrow-client-n-code-b9e85ecb"},
    };
    char buf[SERVICE_NAME_ROOM];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(service_name(names[i][0], buf), names[i][1]);
}

static void a_slug_is_cut_to_forty_and_trimmed_again(void **state)
{
    (void)state;
    char buf[SERVICE_NAME_ROOM];
    service_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbb", buf);
    assert_memory_equal(buf, "burrow-client-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-", 54);
    assert_int_equal(strlen(buf), 54 + 8);
    assert_memory_equal(service_name("***", buf), "burrow-client-client-", 21);
}

static void label_values_are_what_the_api_takes(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "client-a", "edge.node_01", "A1"};
    static const char *const bad[] = {"", "-a", "a-", "user@example.com", "Ünïcode", "a b"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(is_label_value(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(is_label_value(bad[i]));
    char text[65];
    memset(text, 'a', 64);
    text[63] = '\0';
    assert_true(is_label_value(text));
    text[63] = 'a';
    text[64] = '\0';
    assert_false(is_label_value(text));
}

static void ports_are_named_after_services(void **state)
{
    (void)state;
    char buf[PORT_NAME_ROOM];
    assert_string_equal(port_name("", 40000, buf), "tcp");
    assert_string_equal(port_name("pg", 40000, buf), "pg");
    assert_string_equal(port_name("abcdefghijklmno", 40000, buf), "abcdefghijklmno");
    assert_string_equal(port_name("abcdefghijklmnop", 40000, buf), "tcp-40000");
    assert_string_equal(port_name("5432", 40000, buf), "tcp-40000");
    assert_string_equal(port_name("a--b", 40000, buf), "tcp-40000");
}

static void the_target_tells_the_port(void **state)
{
    (void)state;
    assert_int_equal(target_port("127.0.0.1:5432"), 5432);
    assert_int_equal(target_port("[::1]:1"), 1);
    assert_int_equal(target_port("unix:/run/pg:5432"), 80);
    assert_int_equal(target_port("host"), 80);
    assert_int_equal(target_port("host:99999"), 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_names_are_those_of_burrow_0_5),
        cmocka_unit_test(a_slug_is_cut_to_forty_and_trimmed_again),
        cmocka_unit_test(label_values_are_what_the_api_takes),
        cmocka_unit_test(ports_are_named_after_services),
        cmocka_unit_test(the_target_tells_the_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
