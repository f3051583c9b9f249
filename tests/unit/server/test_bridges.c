/* SPDX-License-Identifier: Apache-2.0 */
/* Bridges: which connections become streams, and which services get a listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "server/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void a_connection_becomes_a_stream_with_its_addresses(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    size_t at = conn->out_len;
    int user = rig_dial_bridge(rig, "pg");
    assert_int_equal(rig->server->workers[0].sessions_stats.streams_active, 1);
    struct frame_header h = {0};
    struct frame_open open = {0};
    for (; at < conn->out_len && h.kind != FRAME_OPEN; at += FRAME_HEADER + h.length) {
        frame_header_decode(&h, conn->out + at);
        if (h.kind == FRAME_OPEN)
            assert_int_equal(frame_open_decode(&open, conn->out + at + FRAME_HEADER, h.length), 0);
    }
    assert_int_equal(h.kind, FRAME_OPEN);
    assert_int_equal(h.stream, 1);
    assert_int_equal(open.service, 1);
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    struct burrow_addr mine;
    assert_int_equal(getsockname(user, (struct sockaddr *)(void *)&ss, &len), 0);
    address_from_sockaddr(&mine, (struct sockaddr *)(void *)&ss);
    assert_int_equal(open.source.port, mine.port);
    assert_int_equal(open.destination.port,
                     TAILQ_FIRST(&rig_record(rig, "pg")->bridges)->acceptor.local.port);
    close(user);
}

static void without_a_client_a_connection_is_reset_at_once(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    recorder_closed(rig_client(rig, "pg", 'a'), BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_settle(rig->loop);
    for (int i = 0; i < 3; i++) {
        int user = rig_dial_bridge(rig, "pg");
        assert_true(rig_was_reset(user));
        close(user);
    }
    assert_int_equal(rig->server->stats.bridge_refused, 3);
}

static void streams_of_a_client_are_limited(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    int users[5];
    for (int i = 0; i < 5; i++)
        users[i] = rig_dial_bridge(rig, "pg");
    for (int i = 0; i < 4; i++)
        assert_false(rig_was_reset(users[i]));
    assert_true(rig_was_reset(users[4]));
    for (int i = 0; i < 5; i++)
        close(users[i]);
}

static void without_a_bridge_host_there_is_no_listener(void **state)
{
    struct rig *rig = *state;
    rig->options.bridge_host = "";
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    assert_string_equal(ack->services[0].bridge, "");
    assert_string_equal(ack->services[0].code, "");
    control_finish(ack);
    free(ack);
}

/* Registers with services of these names and returns the ack; ports: 0 for each. */
static struct control *register_names(struct rig *rig, const char *const *names, size_t n)
{
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    reg->service_count = n;
    for (size_t i = 0; i < n; i++) {
        reg->services[i].id = (uint16_t)(i + 1);
        snprintf(reg->services[i].name, sizeof reg->services[i].name, "%s", names[i]);
        snprintf(reg->services[i].target, sizeof reg->services[i].target, "127.0.0.1:9");
    }
    rig_send_register(conn, reg);
    rig_settle(rig);
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    assert_int_equal(ack->service_count, n);
    return ack;
}

static void drop(struct control *ack)
{
    control_finish(ack);
    free(ack);
}

static void services_keep_their_bridges_by_name(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct control *first = register_names(rig, (const char *const[]){"pg", "web"}, 2);
    struct control *second = register_names(rig, (const char *const[]){"web", "ssh", "pg"}, 3);
    assert_string_equal(second->services[2].bridge, first->services[0].bridge);
    assert_string_equal(second->services[0].bridge, first->services[1].bridge);
    assert_string_not_equal(second->services[1].bridge, "");
    assert_int_equal(rig_record(rig, "pg")->bridge_count, 3);
    drop(first);
    drop(second);
}

static void a_service_that_is_not_offered_any_more_resets_and_is_swept(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    drop(register_names(rig, (const char *const[]){"pg", "web"}, 2));
    drop(register_names(rig, (const char *const[]){"web"}, 1));
    assert_false(bridges_find(rig_record(rig, "pg"), "pg")->active);
    int user = rig_dial_bridge(rig, "pg"); /* the first bridge is that of pg */
    assert_true(rig_was_reset(user));
    close(user);
    fake_loop_advance(rig->loop, 660000);
    assert_null(bridges_find(rig_record(rig, "pg"), "pg"));
    assert_true(bridges_find(rig_record(rig, "pg"), "web")->active);
}

static void a_name_twice_is_refused_once(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct control *ack = register_names(rig, (const char *const[]){"pg", "pg"}, 2);
    assert_string_equal(ack->services[0].code, "");
    assert_string_equal(ack->services[1].code, "not_allowed");
    assert_string_equal(ack->services[1].bridge, "");
    drop(ack);
}

static void a_wanted_port_is_not_allowed(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    reg->services[0].port = 8080;
    rig_send_register(conn, reg);
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    assert_string_equal(ack->services[0].code, "not_allowed");
    drop(ack);
}

static void ever_new_names_do_not_pile_up_listeners(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    for (int round = 0; round < 3; round++) {
        char text[32][16];
        const char *names[32];
        for (int i = 0; i < 32; i++) {
            snprintf(text[i], sizeof text[i], "s%d-%d", round, i);
            names[i] = text[i];
        }
        struct control *ack = register_names(rig, names, 32);
        for (int i = 0; i < 32; i++)
            assert_string_not_equal(ack->services[i].bridge, "");
        drop(ack);
    }
    assert_int_equal(rig_record(rig, "pg")->bridge_count, CONTROL_MAX_SERVICES);
}

static char *metrics(struct rig *rig)
{
    const struct burrow_http request = {
        .size = sizeof request, .role = BURROW_ROLE_MAIN, .path = "/metrics"};
    struct http_answer answer = {0};
    assert_true(routes_answer(rig->server, &request, &answer));
    assert_non_null(answer.body);
    return answer.body;
}

static void a_services_metrics_have_its_names_escaped(void **state)
{
    struct rig *rig = *state;
    rig->options.metrics_per_service = 1;
    rig_start(rig);
    rig_client(rig, "a\"b\\c", 'a');
    int user = rig_dial_bridge(rig, "a\"b\\c");
    char *text = metrics(rig);
    assert_non_null(strstr(text, "\nburrow_service_connections_total"
                                 "{client=\"a\\\"b\\\\c\",service=\"\"} 1\n"));
    assert_non_null(strstr(text, "\nburrow_service_streams_active"
                                 "{client=\"a\\\"b\\\\c\",service=\"\"} 1\n"));
    free(text);
    close(user);
}

static void without_asking_no_metric_names_a_client(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg-of-somebody", 'a');
    char *text = metrics(rig);
    assert_null(strstr(text, "pg-of-somebody"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_becomes_a_stream_with_its_addresses),
        TEST(without_a_client_a_connection_is_reset_at_once),
        TEST(streams_of_a_client_are_limited),
        TEST(without_a_bridge_host_there_is_no_listener),
        TEST(services_keep_their_bridges_by_name),
        TEST(a_service_that_is_not_offered_any_more_resets_and_is_swept),
        TEST(a_name_twice_is_refused_once),
        TEST(a_wanted_port_is_not_allowed),
        TEST(ever_new_names_do_not_pile_up_listeners),
        TEST(a_services_metrics_have_its_names_escaped),
        TEST(without_asking_no_metric_names_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
