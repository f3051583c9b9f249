/* SPDX-License-Identifier: Apache-2.0 */
/* Watches against an API that ends, breaks, refuses and floods them. (Lists: test_pages.c.) */
#include "watch_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_list_is_told_and_then_each_change(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {STREAM,
         CHANGE("MODIFIED", "b", "6") CHANGE("BOOKMARK", "", "9") CHANGE("DELETED", "a", "10"), 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    assert_int_equal(api.events, 0); /* never from inside kube_watch */
    rig_run(&api.rig, &api.events, 5);
    assert_string_equal(api.log, "LIST ADDED a LISTED MODIFIED b DELETED a");
    assert_string_equal(api.paths[0], LIST_PATH);
    assert_string_equal(api.paths[1], "/things?labelSelector=x&watch=true&allowWatchBookmarks=true"
                                      "&timeoutSeconds=240&resourceVersion=5");
    api_end(&api);
}

static void a_stream_that_ends_is_taken_up_where_it_was(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {ENDED_STREAM, CHANGE("MODIFIED", "b", "7"), 0},
        {ENDED_STREAM, CHANGE("BOOKMARK", "", "9"), 0},
        {STREAM, CHANGE("DELETED", "b", "12"), 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.events, 5);
    assert_string_equal(api.log, "LIST ADDED a LISTED MODIFIED b DELETED b");
    assert_non_null(strstr(api.paths[2], "resourceVersion=7"));
    assert_non_null(strstr(api.paths[3], "resourceVersion=9"));
    api_end(&api);
}

/* After each of these the version is of no use. */
static void what_cannot_be_taken_up_begins_with_a_new_list(void **state)
{
    (void)state;
    static const struct step spoiled[] = {
        {ENDED_STREAM, GONE, 0},
        {STREAM, GONE, 0},
        {WHOLE, "{\"kind\": \"Status\", \"code\": 410}", 410},
        {STREAM, "no JSON\n", 0},
        {STREAM, "\n", 0},
        {STREAM, "[]\n", 0},
        {STREAM, "{\"object\": {\"metadata\": {\"resourceVersion\": \"7\"}}}\n", 0},
        {STREAM, "{\"type\": \"MODIFIED\"}\n", 0},
        {STREAM, "{\"type\": \"MODIFIED\", \"object\": {}}\n", 0},
        {STREAM, CHANGE("MODIFIED", "b", "7&watch=false"), 0},
        {STREAM, CHANGE("MODIFIED", "b", ""), 0},
        {FLOOD, "{\"type\": \"", 0}, /* a line without an end */
    };
    for (size_t i = 0; i < sizeof spoiled / sizeof *spoiled; i++) {
        const struct step steps[] = {
            {WHOLE, LIST, 0}, spoiled[i], {WHOLE, LIST, 0}, {STREAM, "", 0}};
        struct api api;
        BEGIN(&api, steps);
        api_watch(&api);
        rig_run(&api.rig, &api.lists, 2);
        api_wait_for_requests(&api, 4);
        assert_string_equal(api.paths[2], LIST_PATH);
        assert_non_null(strstr(api.paths[3], "resourceVersion=5"));
        api_end(&api);
    }
}

static void a_list_without_a_version_is_trouble_and_asked_for_again(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, "{\"kind\": \"List\", \"metadata\": {}, \"items\": []}", 0},
        {WHOLE, "<html>", 0},
        {WHOLE, "{\"message\": \"boom\"}", 500},
        {WHOLE, LIST, 0},
        {STREAM, "", 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_string_equal(api.error, "the list has no usable resourceVersion");
    rig_run(&api.rig, &api.troubles, 2);
    rig_run(&api.rig, &api.troubles, 3);
    assert_int_equal(api.status, 500);
    assert_string_equal(api.error, "the API answered 500: boom");
    rig_run(&api.rig, &api.lists, 1);
    api_end(&api);
}

static void streams_that_end_at_once_are_asked_for_after_pauses(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {ENDED_STREAM, "", 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    api_wait_for_requests(&api, 2);
    uint64_t before = api.rig.host.now_ms;
    api_wait_for_requests(&api, 5);
    assert_true(api.rig.host.now_ms - before >= 3 * 100);
    assert_int_equal(api.troubles, 0); /* an end in order is none */
    api_end(&api);
}

static void what_is_refused_is_asked_for_again_after_minutes(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {WHOLE, "{\"kind\": \"Status\", \"code\": 403}", 403},
        {STREAM, CHANGE("MODIFIED", "b", "7"), 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_int_equal(api.status, 403);
    assert_string_equal(api.error, "the watch was answered 403");
    api_advance(&api, 290000);
    assert_int_equal(api_requests(&api), 2);
    api_advance(&api, 20000);
    rig_run(&api.rig, &api.events, 4);
    assert_int_equal(api_requests(&api), 3);
    api_end(&api);
}

static void a_busy_api_is_left_alone_as_long_as_it_asks(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {WHOLE, "Retry-After: 60\r\n\r\n{}", 429},
        {STREAM, CHANGE("MODIFIED", "b", "7"), 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    api_advance(&api, 58000);
    assert_int_equal(api_requests(&api), 2);
    api_advance(&api, 20000);
    rig_run(&api.rig, &api.events, 4);
    api_end(&api);
}

static void silence_is_a_dead_connection_at_last(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {WHOLE, LIST, 0},
        {STREAM, CHANGE("MODIFIED", "b", "7"), 0},
        {STREAM, CHANGE("MODIFIED", "c", "8"), 0},
    };
    struct api api;
    BEGIN(&api, steps);
    api_watch(&api);
    rig_run(&api.rig, &api.events, 4);
    api_advance(&api, 280000);
    rig_run(&api.rig, &api.events, 5);
    assert_int_equal(api.troubles, 1);
    assert_int_equal(api.status, 0);
    assert_non_null(strstr(api.paths[2], "resourceVersion=7"));
    api_end(&api);
}

static void a_watch_may_be_stopped_in_each_of_its_callbacks(void **state)
{
    (void)state;
    static const struct step good[] = {
        {WHOLE, LIST, 0},
        {STREAM, CHANGE("MODIFIED", "b", "6") CHANGE("DELETED", "b", "7"), 0},
    };
    static const struct step refused[] = {{WHOLE, "{}", 403}};
    static const struct step broken[] = {{WHOLE, LIST, 0}, {WHOLE, "{}", 500}};
    static const struct {
        const char *at, *log;
        const struct step *steps;
        size_t count;
    } rows[] = {
        {"LIST", "LIST", good, 2},
        {"ADDED", "LIST ADDED a", good, 2},
        {"LISTED", "LIST ADDED a LISTED", good, 2},
        {"MODIFIED", "LIST ADDED a LISTED MODIFIED b", good, 2},
        {"DELETED", "LIST ADDED a LISTED MODIFIED b DELETED b", good, 2},
        {"trouble", "trouble", refused, 1},
        {"trouble", "LIST ADDED a LISTED trouble", broken, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct api api;
        api_begin(&api, rows[i].steps, rows[i].count);
        api.stop_at = rows[i].at;
        api_watch(&api);
        for (int ms = 0; api.watch != NULL; ms += 20) {
            assert_true(ms < 30000);
            rig_linger(&api.rig, 20);
        }
        api_advance(&api, 400000);
        assert_string_equal(api.log, rows[i].log);
        api_end(&api);
    }
}

static void a_watch_may_be_stopped_at_any_time(void **state)
{
    (void)state;
    static const struct step steps[] = {{WHOLE, PAGE("a", "5", "x1"), 0},
                                        {WHOLE, PAGE("b", "5", ""), 0},
                                        {WHOLE, "{}", 500},
                                        {STREAM, "", 0}};
    for (unsigned n = 0; n < 5; n++) {
        struct api api;
        BEGIN(&api, steps);
        api_watch(&api);
        if (n == 4)
            rig_run(&api.rig, &api.troubles, 1); /* within a pause */
        else
            api_wait_for_requests(&api, n);
        kube_watch_stop(api.watch);
        api.watch = NULL;
        api_advance(&api, 400000);
        api_end(&api);
    }
}

static void without_memory_a_watch_is_refused_or_tells(void **state)
{
    (void)state;
    static const struct step steps[] = {{WHOLE, LIST, 0},
                                        {STREAM, CHANGE("MODIFIED", "b", "6"), 0}};
    for (unsigned n = 1; n < 12; n++) {
        struct api api;
        BEGIN(&api, steps);
        api.rig.host.fail_at = n;
        if (api_watch_path(&api, "/things") == BURROW_OK) {
            for (int ms = 0; api.events < 4 && api.troubles == 0; ms += 20) {
                assert_true(ms < 30000);
                rig_linger(&api.rig, 20);
            }
        } else {
            assert_int_equal(n, 1);
            assert_null(api.watch);
        }
        api_end(&api);
    }
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static const struct step steps[] = {{WHOLE, LIST, 0}};
    struct api api;
    BEGIN(&api, steps);
    char path[KUBE_MAX_PATH + 1];
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_int_equal(api_watch_path(&api, path), BURROW_EINVAL);
    api_end(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_told_and_then_each_change),
        cmocka_unit_test(a_stream_that_ends_is_taken_up_where_it_was),
        cmocka_unit_test(what_cannot_be_taken_up_begins_with_a_new_list),
        cmocka_unit_test(a_list_without_a_version_is_trouble_and_asked_for_again),
        cmocka_unit_test(streams_that_end_at_once_are_asked_for_after_pauses),
        cmocka_unit_test(what_is_refused_is_asked_for_again_after_minutes),
        cmocka_unit_test(a_busy_api_is_left_alone_as_long_as_it_asks),
        cmocka_unit_test(silence_is_a_dead_connection_at_last),
        cmocka_unit_test(a_watch_may_be_stopped_in_each_of_its_callbacks),
        cmocka_unit_test(a_watch_may_be_stopped_at_any_time),
        cmocka_unit_test(without_memory_a_watch_is_refused_or_tells),
        cmocka_unit_test(a_path_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
