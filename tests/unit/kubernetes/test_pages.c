/* SPDX-License-Identifier: Apache-2.0 */
/* Lists that come in pages, as a watch asks for them, and their bounds. */
#include "watch_rig.h"

#include "kubernetes/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_long_list_comes_in_pages_and_is_told_as_one(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, PAGE("a", "5", "x-1"), 0},
        {WHOLE, PAGE("b", "5", "x_2"), 0},
        {WHOLE, PAGE("c", "6", ""), 0},
        {STREAM, "", 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.lists, 1);
    api_wait_for_requests(&api, 4);
    assert_string_equal(api.log, "LIST ADDED a ADDED b ADDED c LISTED");
    assert_string_equal(api.paths[0], LIST_PATH);
    assert_string_equal(api.paths[1], LIST_PATH "&continue=x-1");
    assert_string_equal(api.paths[2], LIST_PATH "&continue=x_2");
    assert_non_null(strstr(api.paths[3], "resourceVersion=6"));
    api_end(&api);
}

/* Nothing is told of the pages that came before. */
static void a_list_whose_next_page_cannot_be_had_is_trouble_and_begins_anew(void **state)
{
    (void)state;
    static const struct step spoiled[][2] = {
        {{WHOLE, PAGE("a", "5", "x1"), 0}, {WHOLE, "{\"kind\": \"Status\", \"code\": 410}", 410}},
        {{WHOLE, PAGE("a", "5", "x1"), 0}, {WHOLE, "{\"items\": 3}", 0}},
        {{WHOLE, PAGE("a", "5", "x1"), 0}, {WHOLE, "{\"items\": []}", 0}},
        {{WHOLE, PAGE("a", "5", "x1"), 0}, {WHOLE, PAGE("b", "5", "x y"), 0}},
        {{WHOLE, PAGE("a", "5", "x1"), 0}, {WHOLE, PAGE("b", "5", "x&y"), 0}},
    };
    for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
        const struct step steps[] = {
            spoiled[i][0], spoiled[i][1], {WHOLE, LIST, 0}, {STREAM, "", 0}};
        struct api api;
        BEGIN(&api, steps);
        api_watch(&api);
        rig_run(&api.rig, &api.troubles, 1);
        api_advance(&api, 1000);
        rig_run(&api.rig, &api.lists, 1);
        api_wait_for_requests(&api, 4);
        assert_string_equal(api.log, "trouble LIST ADDED a LISTED");
        assert_string_equal(api.paths[2], LIST_PATH);
        api_end(&api);
    }
}

static void a_busy_api_is_asked_for_the_same_page_again(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, PAGE("a", "5", "x1"), 0},
        {WHOLE, "Retry-After: 1\r\n\r\n{}", 429},
        {WHOLE, PAGE("b", "5", ""), 0},
        {STREAM, "", 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    api_wait_for_requests(&api, 2);
    while (api.lists == 0)
        api_advance(&api, 500);
    assert_string_equal(api.log, "LIST ADDED a ADDED b LISTED");
    assert_string_equal(api.paths[1], LIST_PATH "&continue=x1");
    assert_string_equal(api.paths[2], LIST_PATH "&continue=x1");
    api_end(&api);
}

static void a_list_without_an_end_is_given_up(void **state)
{
    (void)state;
    static const struct step steps[] = {{WHOLE, PAGE("a", "5", "again"), 0}};
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_string_equal(api.error, "the list is too long");
    assert_int_equal(api_requests(&api), 200);
    api_end(&api);
}

/* Straight to the pages: the limit is met exactly. */
static void the_last_page_that_is_allowed_may_be_the_end(void **state)
{
    (void)state;
    for (unsigned n = 200; n <= 201; n++) {
        struct kube_pages pages = {0};
        bool more = true;
        int rc = BURROW_OK;
        for (unsigned i = 1; rc == BURROW_OK && more; i++) {
            json_t *page = json_pack("{s{ss}s[i]}", "metadata", "continue", i < n ? "more" : "",
                                     "items", (int)i);
            assert_non_null(page);
            rc = kube_pages_take(&pages, page, 10, &more);
            json_decref(page);
        }
        assert_int_equal(rc, n == 200 ? BURROW_OK : BURROW_ENOMEM);
        if (n == 200)
            assert_int_equal(json_array_size(json_object_get(pages.list, "items")), 200);
        kube_pages_clear(&pages);
    }
}

static void a_list_of_too_many_bytes_is_refused(void **state)
{
    (void)state;
    struct kube_pages pages = {0};
    bool more;
    json_t *page = json_pack("{s{ss}s[]}", "metadata", "continue", "more", "items");
    assert_int_equal(kube_pages_take(&pages, page, 63u << 20, &more), BURROW_OK);
    assert_int_equal(kube_pages_take(&pages, page, (1u << 20) + 1, &more), BURROW_ENOMEM);
    kube_pages_clear(&pages);
    json_decref(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_list_comes_in_pages_and_is_told_as_one),
        cmocka_unit_test(a_list_whose_next_page_cannot_be_had_is_trouble_and_begins_anew),
        cmocka_unit_test(a_busy_api_is_asked_for_the_same_page_again),
        cmocka_unit_test(a_list_without_an_end_is_given_up),
        cmocka_unit_test(the_last_page_that_is_allowed_may_be_the_end),
        cmocka_unit_test(a_list_of_too_many_bytes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
