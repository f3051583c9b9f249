/* SPDX-License-Identifier: Apache-2.0 */
/* Watches against an API that ends, breaks, refuses and floods them. */
#include "../http/rig.h"

#include "kubernetes/client.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS_MAX 16
#define LIST                                                                                       \
    "{\"kind\": \"List\", \"metadata\": {\"resourceVersion\": \"5\"}, \"items\": [" ITEM("a") "]}"
#define ITEM(name) "{\"metadata\": {\"name\": \"" name "\", \"resourceVersion\": \"1\"}}"
#define CHANGE(type, name, version)                                                                \
    "{\"type\": \"" type "\", \"object\": {\"metadata\": {\"name\": \"" name                       \
    "\", \"resourceVersion\": \"" version "\"}}}\n"
#define GONE                                                                                       \
    "{\"type\": \"ERROR\", \"object\": {\"kind\": \"Status\", \"metadata\": {}, \"code\": 410}}\n"

#define LIST_PATH "/things?labelSelector=x&limit=500"
#define PAGE(name, version, token)                                                                 \
    "{\"metadata\": {\"resourceVersion\": \"" version "\", \"continue\": \"" token                 \
    "\"}, \"items\": [{\"metadata\": {\"name\": \"" name "\"}}]}"

/* How one request is answered. */
struct step {
    enum { WHOLE, STREAM, ENDED_STREAM, FLOOD } how; /* STREAM: it stays open */
    const char *text; /* the body; of WHOLE the fields may come first, up to an empty line */
    int status;       /* 0: 200 */
};

struct api {
    struct rig rig;
    struct kube_config config;
    struct kube_client *client;
    struct kube_watch *watch;
    char url[64];
    const struct step *steps;
    size_t step_count;

    pthread_mutex_t lock;
    char paths[STEPS_MAX][600];
    unsigned requests; /* beyond the steps the last one counts again */

    char log[1024];
    unsigned events, troubles, lists;
    int status;
    char error[200];
    const char *stop_at; /* the callback in which the watch is stopped */
};

/* ---- the API ---- */

static bool say_stream(struct http_peer *peer, const struct step *step)
{
    char flood[16384];
    memset(flood, 'x', sizeof flood);
    http_peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    /* In two pieces, so that a line comes in halves. */
    size_t n = strlen(step->text), half = n / 2;
    const char *text = step->text;
    if (half > 0 && (!http_peer_say(peer, "%zx\r\n%.*s\r\n", half, (int)half, text) ||
                     !http_peer_wait(peer, 20)))
        return false;
    if (n > half && !http_peer_say(peer, "%zx\r\n%s\r\n", n - half, text + half))
        return false;
    while (step->how == FLOOD && http_peer_say(peer, "4000\r\n") &&
           http_peer_write(peer, flood, sizeof flood) && http_peer_say(peer, "\r\n"))
        continue;
    while (step->how == STREAM && http_peer_wait(peer, 100))
        continue;
    return step->how == ENDED_STREAM && http_peer_say(peer, "0\r\n\r\n");
}

static bool answer(void *arg, struct http_peer *peer)
{
    struct api *api = arg;
    pthread_mutex_lock(&api->lock);
    unsigned i = api->requests++;
    if (i < STEPS_MAX)
        snprintf(api->paths[i], sizeof api->paths[i], "%s", peer->path);
    pthread_mutex_unlock(&api->lock);
    const struct step *step = &api->steps[i < api->step_count ? i : api->step_count - 1];
    if (step->how != WHOLE)
        return say_stream(peer, step);
    const char *end = strstr(step->text, "\r\n\r\n"), *body = end != NULL ? end + 4 : step->text;
    return http_peer_say(peer, "HTTP/1.1 %d Said\r\n%.*sContent-Length: %zu\r\n\r\n%s",
                         step->status != 0 ? step->status : 200,
                         end != NULL ? (int)(end + 2 - step->text) : 0, step->text, strlen(body),
                         body);
}

static unsigned requests(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    unsigned n = api->requests;
    pthread_mutex_unlock(&api->lock);
    return n;
}

/* ---- the watch ---- */

static void note(struct api *api, const char *what)
{
    size_t n = strlen(api->log);
    assert_non_null(api->watch); /* not after it was stopped */
    snprintf(api->log + n, sizeof api->log - n, "%s%s", n > 0 ? " " : "", what);
    if (api->stop_at != NULL && strncmp(what, api->stop_at, strlen(api->stop_at)) == 0) {
        kube_watch_stop(api->watch);
        api->watch = NULL;
    }
}

static void on_event(void *arg, const char *type, const json_t *object)
{
    struct api *api = arg;
    char text[100];
    const char *name =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    api->events++;
    api->lists += strcmp(type, "LISTED") == 0;
    snprintf(text, sizeof text, "%s%s%s", type, name != NULL ? " " : "", name != NULL ? name : "");
    note(api, text);
}

static void on_trouble(void *arg, int status, const char *error)
{
    struct api *api = arg;
    api->troubles++;
    api->status = status;
    snprintf(api->error, sizeof api->error, "%s", error);
    note(api, "trouble");
}

static void begin(struct api *api, const struct step *steps, size_t count)
{
    memset(api, 0, sizeof *api);
    pthread_mutex_init(&api->lock, NULL);
    api->steps = steps;
    api->step_count = count;
    rig_init(&api->rig, NULL, answer, api);
    snprintf(api->url, sizeof api->url, "http://127.0.0.1:%u", http_server_port(api->rig.server));
    api->config.server = api->url;
    assert_int_equal(kube_client_create(&api->rig.host.table, &api->config, &api->client),
                     BURROW_OK);
}

#define BEGIN(api, steps) begin(api, steps, sizeof(steps) / sizeof *(steps))

static void watch(struct api *api)
{
    assert_int_equal(
        kube_watch(api->client, "/things?labelSelector=x", on_event, on_trouble, api, &api->watch),
        BURROW_OK);
}

static void end(struct api *api)
{
    kube_watch_stop(api->watch);
    kube_client_destroy(api->client);
    rig_finish(&api->rig); /* fails when something is held */
    pthread_mutex_destroy(&api->lock);
}

static void wait_for_requests(struct api *api, unsigned n)
{
    for (int ms = 0; requests(api) < n; ms += 20) {
        assert_true(ms < 30000);
        rig_linger(&api->rig, 20);
    }
}

/* Lets the clock go on while nothing is under way. */
static void advance(struct api *api, uint64_t ms)
{
    fake_host_advance(&api->rig.host, ms);
    rig_linger(&api->rig, 50);
}

/* ---- the tests ---- */

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
    watch(&api);
    assert_int_equal(api.events, 0); /* never from inside kube_watch */
    rig_run(&api.rig, &api.events, 5);
    assert_string_equal(api.log, "LIST ADDED a LISTED MODIFIED b DELETED a");
    assert_string_equal(api.paths[0], LIST_PATH);
    assert_string_equal(api.paths[1], "/things?labelSelector=x&watch=true&allowWatchBookmarks=true"
                                      "&timeoutSeconds=240&resourceVersion=5");
    end(&api);
}

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
    watch(&api);
    rig_run(&api.rig, &api.lists, 1);
    wait_for_requests(&api, 4);
    assert_string_equal(api.log, "LIST ADDED a ADDED b ADDED c LISTED");
    assert_string_equal(api.paths[0], LIST_PATH);
    assert_string_equal(api.paths[1], LIST_PATH "&continue=x-1");
    assert_string_equal(api.paths[2], LIST_PATH "&continue=x_2");
    assert_non_null(strstr(api.paths[3], "resourceVersion=6"));
    end(&api);
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
        watch(&api);
        rig_run(&api.rig, &api.troubles, 1);
        advance(&api, 1000);
        rig_run(&api.rig, &api.lists, 1);
        wait_for_requests(&api, 4);
        assert_string_equal(api.log, "trouble LIST ADDED a LISTED");
        assert_string_equal(api.paths[2], LIST_PATH);
        end(&api);
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
    watch(&api);
    wait_for_requests(&api, 2);
    while (api.lists == 0)
        advance(&api, 500);
    assert_string_equal(api.log, "LIST ADDED a ADDED b LISTED");
    assert_string_equal(api.paths[1], LIST_PATH "&continue=x1");
    assert_string_equal(api.paths[2], LIST_PATH "&continue=x1");
    end(&api);
}

static void a_list_without_an_end_is_given_up(void **state)
{
    (void)state;
    static const struct step steps[] = {{WHOLE, PAGE("a", "5", "again"), 0}};
    struct api api;
    BEGIN(&api, steps);
    watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_string_equal(api.error, "the list is too long");
    assert_int_equal(requests(&api), 200);
    end(&api);
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
    watch(&api);
    rig_run(&api.rig, &api.events, 5);
    assert_string_equal(api.log, "LIST ADDED a LISTED MODIFIED b DELETED b");
    assert_non_null(strstr(api.paths[2], "resourceVersion=7"));
    assert_non_null(strstr(api.paths[3], "resourceVersion=9"));
    end(&api);
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
        watch(&api);
        rig_run(&api.rig, &api.lists, 2);
        wait_for_requests(&api, 4);
        assert_string_equal(api.paths[2], LIST_PATH);
        assert_non_null(strstr(api.paths[3], "resourceVersion=5"));
        end(&api);
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
    watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_string_equal(api.error, "the list has no usable resourceVersion");
    rig_run(&api.rig, &api.troubles, 2);
    rig_run(&api.rig, &api.troubles, 3);
    assert_int_equal(api.status, 500);
    assert_string_equal(api.error, "the API answered 500: boom");
    rig_run(&api.rig, &api.lists, 1);
    end(&api);
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
    watch(&api);
    wait_for_requests(&api, 2);
    uint64_t before = api.rig.host.now_ms;
    wait_for_requests(&api, 5);
    assert_true(api.rig.host.now_ms - before >= 3 * 100);
    assert_int_equal(api.troubles, 0); /* an end in order is none */
    end(&api);
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
    watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    assert_int_equal(api.status, 403);
    assert_string_equal(api.error, "the watch was answered 403");
    advance(&api, 290000);
    assert_int_equal(requests(&api), 2);
    advance(&api, 20000);
    rig_run(&api.rig, &api.events, 4);
    assert_int_equal(requests(&api), 3);
    end(&api);
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
    watch(&api);
    rig_run(&api.rig, &api.troubles, 1);
    advance(&api, 58000);
    assert_int_equal(requests(&api), 2);
    advance(&api, 20000);
    rig_run(&api.rig, &api.events, 4);
    end(&api);
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
    watch(&api);
    rig_run(&api.rig, &api.events, 4);
    advance(&api, 280000);
    rig_run(&api.rig, &api.events, 5);
    assert_int_equal(api.troubles, 1);
    assert_int_equal(api.status, 0);
    assert_non_null(strstr(api.paths[2], "resourceVersion=7"));
    end(&api);
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
        begin(&api, rows[i].steps, rows[i].count);
        api.stop_at = rows[i].at;
        watch(&api);
        for (int ms = 0; api.watch != NULL; ms += 20) {
            assert_true(ms < 30000);
            rig_linger(&api.rig, 20);
        }
        advance(&api, 400000);
        assert_string_equal(api.log, rows[i].log);
        end(&api);
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
        watch(&api);
        if (n == 4)
            rig_run(&api.rig, &api.troubles, 1); /* within a pause */
        else
            wait_for_requests(&api, n);
        kube_watch_stop(api.watch);
        api.watch = NULL;
        advance(&api, 400000);
        end(&api);
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
        if (kube_watch(api.client, "/things", on_event, on_trouble, &api, &api.watch) ==
            BURROW_OK) {
            for (int ms = 0; api.events < 4 && api.troubles == 0; ms += 20) {
                assert_true(ms < 30000);
                rig_linger(&api.rig, 20);
            }
        } else {
            assert_int_equal(n, 1);
            assert_null(api.watch);
        }
        end(&api);
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
    assert_int_equal(kube_watch(api.client, path, on_event, on_trouble, &api, &api.watch),
                     BURROW_EINVAL);
    end(&api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_told_and_then_each_change),
        cmocka_unit_test(a_long_list_comes_in_pages_and_is_told_as_one),
        cmocka_unit_test(a_list_whose_next_page_cannot_be_had_is_trouble_and_begins_anew),
        cmocka_unit_test(a_busy_api_is_asked_for_the_same_page_again),
        cmocka_unit_test(a_list_without_an_end_is_given_up),
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
