/* SPDX-License-Identifier: Apache-2.0 */
/* Services that change while a session goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct control *offer(uint32_t serial)
{
    struct control *control = calloc(1, sizeof *control);
    assert_non_null(control);
    control->type = CONTROL_SERVICES;
    control->serial = serial;
    return control;
}

static void add(struct control *control, uint16_t id, const char *name)
{
    struct control_service *s = &control->services[control->service_count++];
    s->id = id;
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->target, sizeof s->target, "127.0.0.1:9");
}

/* Sends the list, frees it and returns the answer. */
static struct control *change(struct rig *rig, struct recorder_conn *conn, struct control *list)
{
    struct control *ack = calloc(1, sizeof *ack);
    uint8_t version = 0;
    conn->out_len = 0; /* only what comes from now on */
    recorder_control(conn, FRAME_V2, list);
    rig_settle(rig);
    assert_true(recorder_find(conn, CONTROL_SERVICES_ACK, ack, &version));
    assert_int_equal(version, FRAME_V2);
    assert_int_equal(ack->serial, list->serial);
    assert_int_equal(ack->service_count, list->service_count);
    free(list);
    return ack;
}

/* A client with the service "" as id 1. */
static struct recorder_conn *client(struct rig *rig)
{
    rig_start(rig);
    return rig_client(rig, "pg", 'a');
}

static bool is_active(struct rig *rig, const char *name)
{
    const struct bridge *b = bridges_find(rig_record(rig, "pg"), name);
    return b != NULL && b->active;
}

static void a_service_is_added_and_the_others_stay_as_they_are(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    uint16_t port = bridges_find(rig_record(rig, "pg"), "")->acceptor.local.port;
    int user = rig_dial_bridge(rig, "pg");
    struct control *list = offer(7);
    add(list, 1, "");
    add(list, 2, "web");
    struct control *ack = change(rig, conn, list);
    char bridge[32];
    snprintf(bridge, sizeof bridge, "127.0.0.1:%u", port);
    assert_string_equal(ack->services[0].bridge, bridge);
    assert_string_not_equal(ack->services[1].bridge, "");
    assert_string_not_equal(ack->services[1].bridge, bridge);
    assert_true(is_active(rig, "") && is_active(rig, "web"));
    assert_int_equal(rig->server->workers[0].sessions_stats.streams_active, 1);
    assert_false(rig_was_reset(user));
    assert_false(conn->closing);
    close(user);
    free(ack);
}

static void a_withdrawn_service_resets_what_comes_and_lets_run_what_is_there(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    int running = rig_dial_bridge(rig, "pg");
    struct control *list = offer(1);
    add(list, 2, "web");
    free(change(rig, conn, list));
    assert_false(is_active(rig, ""));
    assert_int_equal(rig->server->workers[0].sessions_stats.streams_active, 1);
    assert_false(rig_was_reset(running));
    int late = rig_dial_bridge(rig, "pg"); /* the first bridge is still that of "" */
    assert_true(rig_was_reset(late));
    close(late);
    close(running);
    fake_loop_advance(rig->loop, 660000);
    assert_null(bridges_find(rig_record(rig, "pg"), ""));
    assert_true(is_active(rig, "web"));
}

static void a_service_that_comes_back_has_its_port_again(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    uint16_t port = bridges_find(rig_record(rig, "pg"), "")->acceptor.local.port;
    free(change(rig, conn, offer(1)));
    assert_false(is_active(rig, ""));
    struct control *list = offer(2);
    add(list, 9, "");
    free(change(rig, conn, list));
    assert_true(is_active(rig, ""));
    assert_int_equal(bridges_find(rig_record(rig, "pg"), "")->acceptor.local.port, port);
    assert_int_equal(bridges_find(rig_record(rig, "pg"), "")->service_id, 9);
}

static void an_id_does_not_change_its_meaning(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    struct control *list = offer(1);
    add(list, 1, "web");
    add(list, 2, "ssh");
    struct control *ack = change(rig, conn, list);
    assert_string_equal(ack->services[0].code, "not_allowed");
    assert_string_equal(ack->services[0].bridge, "");
    assert_string_equal(ack->services[1].code, "");
    assert_null(bridges_find(rig_record(rig, "pg"), "web"));
    assert_true(is_active(rig, "ssh"));
    free(ack);
}

static void the_id_of_a_withdrawn_service_is_not_anothers(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    free(change(rig, conn, offer(1)));
    struct control *list = offer(2);
    add(list, 1, "web");
    add(list, 40000, "ssh");
    struct control *ack = change(rig, conn, list);
    assert_string_equal(ack->services[0].code, "not_allowed");
    assert_string_equal(ack->services[1].code, "");
    free(ack);
    list = offer(3);
    add(list, 40000, "web");
    add(list, 1, "");
    ack = change(rig, conn, list);
    assert_string_equal(ack->services[0].code, "not_allowed");
    assert_string_equal(ack->services[1].code, "");
    assert_true(is_active(rig, ""));
    free(ack);
}

static void a_new_session_numbers_its_services_anew(void **state)
{
    struct rig *rig = *state;
    client(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    snprintf(reg->services[0].name, sizeof reg->services[0].name, "web");
    rig_send_register(conn, reg);
    rig_settle(rig);
    assert_true(is_active(rig, "web"));
    assert_false(is_active(rig, ""));
}

static void registries_are_told_of_changes_and_of_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    assert_int_equal(rig->registry.published, 1);
    struct control *list = offer(1);
    add(list, 1, "");
    free(change(rig, conn, list)); /* as it was */
    assert_int_equal(rig->registry.published, 1);
    list = offer(2);
    add(list, 1, "");
    add(list, 2, "web");
    free(change(rig, conn, list));
    assert_int_equal(rig->registry.published, 2);
    assert_int_equal(rig->registry.services, 2);
    list = offer(3);
    add(list, 1, "");
    add(list, 2, "web");
    snprintf(list->services[1].target, sizeof list->services[1].target, "127.0.0.1:10");
    free(change(rig, conn, list));
    assert_int_equal(rig->registry.published, 3);
    free(change(rig, conn, offer(4)));
    assert_int_equal(rig->registry.published, 4);
    assert_int_equal(rig->registry.services, 0);
}

static void the_last_of_64_services_is_taken(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    for (size_t count = CONTROL_MAX_SERVICES - 1; count <= CONTROL_MAX_SERVICES; count++) {
        struct control *list = offer((uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "s%zu", i);
            add(list, (uint16_t)(i + 2), name);
        }
        struct control *ack = change(rig, conn, list);
        for (size_t i = 0; i < count; i++)
            assert_string_not_equal(ack->services[i].bridge, "");
        free(ack);
    }
    assert_int_equal(rig_record(rig, "pg")->bridge_count, CONTROL_MAX_SERVICES);
}

/* A control as text in a frame of version 2. */
static void send_text(struct recorder_conn *conn, const char *json)
{
    uint8_t frame[8192];
    const size_t n = strlen(json);
    const struct frame_header head = {
        .version = FRAME_V2, .kind = FRAME_CONTROL, .length = (uint32_t)n};
    frame_header_encode(frame, &head);
    memcpy(frame + FRAME_HEADER, json, n);
    recorder_data(conn, frame, FRAME_HEADER + n);
}

static void a_malformed_list_ends_the_session(void **state)
{
    struct rig *rig = *state;
    char many[8192];
    int n =
        snprintf(many, sizeof many, "{\"type\":\"services\",\"serial\":1,\"services\":[{\"id\":1}");
    for (int i = 2; i <= CONTROL_MAX_SERVICES + 1; i++)
        n += snprintf(many + n, sizeof many - (size_t)n, ",{\"id\":%d}", i);
    snprintf(many + n, sizeof many - (size_t)n, "]}");
    const char *const rows[] = {
        "{\"type\":\"services\",\"serial\":1}",
        "{\"type\":\"services\",\"services\":[]}",
        "{\"type\":\"services\",\"serial\":1,\"services\":[{\"id\":1},{\"id\":1}]}",
        many,
    };
    rig_start(rig);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct recorder_conn *conn = rig_client(rig, "pg", 'a');
        conn->out_len = 0;
        send_text(conn, rows[i]);
        rig_settle(rig);
        rig_expect_error(conn, FRAME_V2, "protocol");
    }
}

static void more_than_ten_lists_a_second_are_a_flood(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client(rig);
    fake_loop_advance(rig->loop, 1000);
    for (uint32_t i = 1; i <= 10; i++)
        free(change(rig, conn, offer(i)));
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1000);
    for (uint32_t i = 1; i <= 10; i++)
        free(change(rig, conn, offer(i)));
    assert_false(conn->closing);
    struct control *list = offer(11);
    conn->out_len = 0;
    recorder_control(conn, FRAME_V2, list);
    free(list);
    rig_settle(rig);
    rig_expect_error(conn, FRAME_V2, "flood");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_is_added_and_the_others_stay_as_they_are),
        TEST(a_withdrawn_service_resets_what_comes_and_lets_run_what_is_there),
        TEST(a_service_that_comes_back_has_its_port_again),
        TEST(an_id_does_not_change_its_meaning),
        TEST(the_id_of_a_withdrawn_service_is_not_anothers),
        TEST(a_new_session_numbers_its_services_anew),
        TEST(registries_are_told_of_changes_and_of_nothing_else),
        TEST(the_last_of_64_services_is_taken),
        TEST(a_malformed_list_ends_the_session),
        TEST(more_than_ten_lists_a_second_are_a_flood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
