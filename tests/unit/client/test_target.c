/* SPDX-License-Identifier: Apache-2.0 */
/* Local targets as users write them: one by one, and the whole list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void good_targets_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *name, *address;
        uint16_t port;
        enum proxy_protocol proxy;
    } rows[] = {
        {"127.0.0.1:5432", "", "127.0.0.1:5432", 0, PROXY_NONE},
        {"pg-1=db.local:5432", "pg-1", "db.local:5432", 0, PROXY_NONE},
        {"pg=[::1]:5432,port=15432", "pg", "[::1]:5432", 15432, PROXY_NONE},
        {"h:1,proxy-protocol=v1,port=1", "", "h:1", 1, PROXY_V1},
        {"h:1,port=65535,proxy-protocol=v2,name=web", "web", "h:1", 65535, PROXY_V2},
        {"h:1,proxy-protocol=off", "", "h:1", 0, PROXY_NONE},
        {",target=h:1", "", "h:1", 0, PROXY_NONE},
        {",name=pg,port=7,target=h:1", "pg", "h:1", 7, PROXY_NONE},
        {"web=unix:/run/a=b", "web", "unix:/run/a=b", 0, PROXY_NONE},
        {"unix:/run/a=b", "", "unix:/run/a=b", 0, PROXY_NONE},
        {"unix:/run/a\\,b,port=9", "", "unix:/run/a,b", 9, PROXY_NONE},
        {"unix:/run/a\\b", "", "unix:/run/a\\b", 0, PROXY_NONE},
        {"port=h:1", "port", "h:1", 0, PROXY_NONE}, /* a name like any other */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct target t;
        struct error err = {0};
        assert_int_equal(target_parse(rows[i].text, &t, &err), 0);
        assert_string_equal(t.name, rows[i].name);
        assert_string_equal(t.text, rows[i].address);
        assert_int_equal(t.port, rows[i].port);
        assert_int_equal(t.proxy, rows[i].proxy);
        assert_int_equal(t.endpoint.is_unix, strncmp(rows[i].address, "unix:", 5) == 0);
    }
}

static void bad_targets_are_refused_and_nothing_is_stored(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "=h:80",
        "A=h:80",
        "a b=h:80",
        "h:80=",
        "pg=",
        "pg=h",
        ":80",
        ",",
        ",name=pg",
        "h:1,",
        ",,target=h:1",
        "h:1,target=h:2",
        "pg=h:1,name=pg",
        "h:1,port=",
        "h:1,port=0",
        "h:1,port=-1",
        "h:1,port=65536",
        "h:1,port=100000",
        "h:1,port=1x",
        "h:1,port=1,port=2",
        "h:1,proxy=v1",
        "h:1,proxy-protocol=",
        "h:1,proxy-protocol=V1",
        "h:1,proxy-protocol=3",
        "h:1,name=",
        "h:1,name=a_b",
        "h:1 ,port=1",
        "h:1,port",
        "port=15432",
        "unix:rel",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct target t = {.port = 4711};
        struct error err = {0};
        assert_int_equal(target_parse(rows[i], &t, &err), BURROW_EINVAL);
        assert_string_not_equal(err.text, "");
        assert_int_equal(t.port, 4711);
    }
}

static void an_option_that_lost_its_address_is_told_where_it_belongs(void **state)
{
    (void)state;
    struct target t;
    struct error err = {0};
    assert_int_equal(target_parse("port=15432", &t, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "belongs behind the address"));
}

static void addresses_have_at_most_255_bytes(void **state)
{
    (void)state;
    for (size_t n = 63; n <= 64; n++) {
        struct target t;
        struct error err = {0};
        char text[400], name[65];
        memset(name, 'n', sizeof name);
        name[n] = '\0';
        snprintf(text, sizeof text, "%s=h:1", name);
        assert_int_equal(target_parse(text, &t, &err), n == 63 ? 0 : BURROW_EINVAL);
        snprintf(text, sizeof text, "h:1,name=%s", name);
        assert_int_equal(target_parse(text, &t, &err), n == 63 ? 0 : BURROW_EINVAL);
    }
    static char longest[2000];
    struct target t;
    struct error err = {0};
    memset(longest, 'h', sizeof longest - 1);
    assert_int_equal(target_parse(longest, &t, &err), BURROW_EINVAL);
    longest[1023] = '\0';
    assert_int_equal(target_parse(longest, &t, &err), BURROW_EINVAL);
}

static int parse(const char *const *items, size_t n, struct error *err)
{
    const struct burrow_list list = {.items = items, .count = n};
    struct target *targets = NULL;
    int rc = targets_parse(&list, &targets, err);
    assert_int_equal(targets != NULL, rc == BURROW_OK);
    free(targets);
    return rc;
}

static void a_list_has_1_to_64_targets(void **state)
{
    (void)state;
    static char texts[65][16];
    const char *items[65];
    for (size_t i = 0; i < 65; i++) {
        snprintf(texts[i], sizeof texts[i], "s%zu=h:1", i);
        items[i] = texts[i];
    }
    struct error err = {0};
    assert_int_equal(parse(items, 0, &err), BURROW_EINVAL);
    assert_int_equal(parse(items, 1, &err), BURROW_OK);
    assert_int_equal(parse(items, 63, &err), BURROW_OK);
    assert_int_equal(parse(items, 64, &err), BURROW_OK);
    assert_int_equal(parse(items, 65, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "--local-target (BURROW_LOCAL_TARGET): given 65 times"));
}

static void names_and_wanted_ports_stand_once_in_a_list(void **state)
{
    (void)state;
    static const struct {
        const char *items[3];
        const char *what; /* NULL: good */
    } rows[] = {
        {{"a=h:1", "b=h:1", "c=h:1"}, NULL},
        {{"h:1", "b=h:1", "c=h:1"}, NULL}, /* one without a name */
        {{"a=h:1,port=1", "b=h:1,port=2", "c=h:1"}, NULL},
        {{"a=h:1", "b=h:1", "a=h:2"}, "two targets have the name \"a\""},
        {{"h:1", "b=h:1", "h:2"}, "\"h:1\" and \"h:2\" have no name"},
        {{"a=h:1,port=7", "b=h:1", "c=h:1,port=7"}, "two targets ask for the bridge port 7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        int rc = parse(rows[i].items, 3, &err);
        assert_int_equal(rc, rows[i].what == NULL ? BURROW_OK : BURROW_EINVAL);
        assert_true(rows[i].what == NULL || strstr(err.text, rows[i].what) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_targets_are_taken_apart),
        cmocka_unit_test(bad_targets_are_refused_and_nothing_is_stored),
        cmocka_unit_test(an_option_that_lost_its_address_is_told_where_it_belongs),
        cmocka_unit_test(addresses_have_at_most_255_bytes),
        cmocka_unit_test(a_list_has_1_to_64_targets),
        cmocka_unit_test(names_and_wanted_ports_stand_once_in_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
