/* SPDX-License-Identifier: Apache-2.0 */
/* Grants: what is read from their JSON, what is an error, and what they then allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct grants *parsed(const char *json)
{
    struct grants *g = NULL;
    struct error err = {0};
    int r = grants_parse(json, &g, &err);
    if (r != BURROW_OK)
        fail_msg("%s: %s", json, err.text);
    return g;
}

static void no_grants_limit_nothing(void **state)
{
    (void)state;
    struct grants *empty = parsed(" {\n} ");
    const struct grants *const both[] = {NULL, empty};
    for (int i = 0; i < 2; i++) {
        assert_true(grants_allow_service(both[i], ""));
        assert_true(grants_allow_service(both[i], "anything"));
        assert_true(grants_allow_port(both[i], 1));
        assert_int_equal(grants_next_port(both[i], 20000), 20000);
        assert_int_equal(grants_max_streams(both[i], 1024), 1024);
        assert_int_equal(grants_bytes_per_second(both[i]), 0);
    }
    grants_unref(empty);
}

static void an_empty_list_allows_nothing(void **state)
{
    (void)state;
    struct grants *g = parsed("{\"services\":[],\"ports\":[],\"max_streams\":0}");
    assert_false(grants_allow_service(g, ""));
    assert_false(grants_allow_service(g, "pg"));
    assert_false(grants_allow_port(g, 5432));
    assert_int_equal(grants_next_port(g, 1), 0);
    assert_int_equal(grants_max_streams(g, 1024), 0);
    grants_unref(g);
}

static void services_are_names_or_beginnings(void **state)
{
    (void)state;
    struct grants *g = parsed("{\"services\":[\"pg\",\"web-*\"]}");
    assert_true(grants_allow_service(g, "pg"));
    assert_true(grants_allow_service(g, "web-"));
    assert_true(grants_allow_service(g, "web-1"));
    assert_false(grants_allow_service(g, "web"));
    assert_false(grants_allow_service(g, "pg2"));
    assert_false(grants_allow_service(g, "p"));
    assert_false(grants_allow_service(g, ""));
    grants_unref(g);
    g = parsed("{\"services\":[\"\"]}");
    assert_true(grants_allow_service(g, ""));
    assert_false(grants_allow_service(g, "pg"));
    grants_unref(g);
    g = parsed("{\"services\":[\"*\"]}");
    assert_true(grants_allow_service(g, "pg"));
    grants_unref(g);
}

static void ports_are_numbers_and_ranges(void **state)
{
    (void)state;
    struct grants *g = parsed("{\"ports\":[\"20000-20100\",15432,\"65535-65535\"]}");
    static const uint16_t good[] = {15432, 20000, 20050, 20100, 65535};
    static const uint16_t bad[] = {0, 1, 15431, 15433, 19999, 20101, 65534};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(grants_allow_port(g, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(grants_allow_port(g, bad[i]));
    assert_int_equal(grants_next_port(g, 0), 15432);
    assert_int_equal(grants_next_port(g, 15433), 20000);
    assert_int_equal(grants_next_port(g, 20101), 65535);
    grants_unref(g);
}

static void the_lesser_number_of_streams_holds(void **state)
{
    (void)state;
    struct grants *g = parsed("{\"max_streams\":50,\"bytes_per_second\":1000}");
    assert_int_equal(grants_max_streams(g, 1024), 50);
    assert_int_equal(grants_max_streams(g, 10), 10);
    assert_int_equal(grants_bytes_per_second(g), 1000);
    grants_unref(g);
}

/* Each with a word of its error. */
static const struct {
    const char *json, *word;
} BAD[] = {
    {"", "JSON"},
    {"{", "JSON"},
    {"{} x", "JSON"},
    {"null", "object"},
    {"[]", "object"},
    {"\"services\"", "object"},
    {"{\"service\":[]}", "grant service is not known"},
    {"{\"Services\":[]}", "not known"},
    {"{\"services\":[],\"services\":[\"pg\"]}", "duplicate"},
    {"{\"services\":null}", "services is not a list"},
    {"{\"services\":\"pg\"}", "services is not a list"},
    {"{\"services\":{\"pg\":1}}", "services is not a list"},
    {"{\"services\":[1]}", "services, item 1"},
    {"{\"services\":[\"pg\",\"PG\"]}", "services, item 2"},
    {"{\"services\":[\"w*b\"]}", "services"},
    {"{\"services\":[\"**\"]}", "services"},
    {"{\"services\":[\"a b\"]}", "services"},
    {"{\"services\":[\"p\\u0000g\"]}", "JSON"},
    {"{\"ports\":15432}", "ports is not a list"},
    {"{\"ports\":[0]}", "ports, item 1"},
    {"{\"ports\":[65536]}", "ports"},
    {"{\"ports\":[-1]}", "ports"},
    {"{\"ports\":[80.0]}", "ports"},
    {"{\"ports\":[true]}", "ports"},
    {"{\"ports\":[\"80\"]}", "ports"},
    {"{\"ports\":[\"80-79\"]}", "ports"},
    {"{\"ports\":[\"0-79\"]}", "ports"},
    {"{\"ports\":[\"80-65536\"]}", "ports"},
    {"{\"ports\":[\"80-99999999999999999999\"]}", "ports"},
    {"{\"ports\":[\"80 - 81\"]}", "ports"},
    {"{\"ports\":[\"80-81-82\"]}", "ports"},
    {"{\"ports\":[\"080-81\"]}", "ports"},
    {"{\"ports\":[\"-80\"]}", "ports"},
    {"{\"max_streams\":-1}", "max_streams"},
    {"{\"max_streams\":1000001}", "max_streams"},
    {"{\"max_streams\":1.5}", "max_streams"},
    {"{\"max_streams\":\"5\"}", "max_streams"},
    {"{\"max_streams\":null}", "max_streams"},
    {"{\"max_streams\":99999999999999999999}", "JSON"},
    {"{\"bytes_per_second\":0}", "bytes_per_second"},
    {"{\"bytes_per_second\":1e6}", "bytes_per_second"},
    {"{\"bytes_per_second\":[1]}", "bytes_per_second"},
};

static void whatever_is_not_understood_is_an_error_that_names_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct grants *g = NULL;
        struct error err = {0};
        if (grants_parse(BAD[i].json, &g, &err) != BURROW_EINVAL || g != NULL)
            fail_msg("%s was taken", BAD[i].json);
        if (strstr(err.text, BAD[i].word) == NULL)
            fail_msg("%s: \"%s\" has no \"%s\"", BAD[i].json, err.text, BAD[i].word);
    }
}

/* {"services":["aaaa…"]} with so many items. */
static char *many(size_t n, const char *item)
{
    char *text = malloc(64 + n * (strlen(item) + 1));
    size_t used = (size_t)sprintf(text, "{\"services\":[");
    for (size_t i = 0; i < n; i++)
        used += (size_t)sprintf(text + used, "%s%s", i > 0 ? "," : "", item);
    sprintf(text + used, "]}");
    return text;
}

static void lists_names_and_the_text_are_bounded(void **state)
{
    (void)state;
    static const char a63[] = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
    static const char a64[] =
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
    const struct {
        size_t n;
        const char *item;
        int result;
    } cases[] = {
        {64, "\"a\"", BURROW_OK}, {65, "\"a\"", BURROW_EINVAL},  {64, a63, BURROW_OK},
        {1, a64, BURROW_EINVAL},  {9000, "\"\"", BURROW_EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct grants *g = NULL;
        char *text = many(cases[i].n, cases[i].item);
        assert_int_equal(grants_parse(text, &g, NULL), cases[i].result);
        grants_unref(g);
        free(text);
    }
}

static void they_are_told_in_one_line(void **state)
{
    (void)state;
    char text[GRANTS_TEXT];
    struct grants *g = parsed("{\"bytes_per_second\":9,\"ports\":[80,\"90-91\"],\"max_streams\":3,"
                              "\"services\":[\"pg\",\"w*\"]}");
    assert_string_equal(grants_describe(g, text),
                        "services=pg,w* ports=80-80,90-91 max_streams=3 bytes_per_second=9");
    grants_unref(g);
    assert_string_equal(grants_describe(NULL, text), "");
}

static void a_reference_keeps_them(void **state)
{
    (void)state;
    struct grants *g = parsed("{\"max_streams\":3}");
    struct grants *other = grants_ref(g);
    grants_unref(g);
    assert_int_equal(grants_max_streams(other, 9), 3);
    grants_unref(other);
    assert_null(grants_ref(NULL));
    grants_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_grants_limit_nothing),
        cmocka_unit_test(an_empty_list_allows_nothing),
        cmocka_unit_test(services_are_names_or_beginnings),
        cmocka_unit_test(ports_are_numbers_and_ranges),
        cmocka_unit_test(the_lesser_number_of_streams_holds),
        cmocka_unit_test(whatever_is_not_understood_is_an_error_that_names_it),
        cmocka_unit_test(lists_names_and_the_text_are_bounded),
        cmocka_unit_test(they_are_told_in_one_line),
        cmocka_unit_test(a_reference_keeps_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
