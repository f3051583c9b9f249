/* SPDX-License-Identifier: Apache-2.0 */
/* What the server does with grants: services, ports and streams that they do not allow. */
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

/* Registers a client with these grants and services called a, b, …; returns the ack. */
static struct control *register_with(struct rig *rig, const char *grants, size_t services)
{
    rig->script.grants = grants;
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    reg->service_count = services;
    for (size_t i = 0; i < services; i++) {
        reg->services[i].id = (uint16_t)(i + 1);
        snprintf(reg->services[i].name, sizeof reg->services[i].name, "%c", (char)('a' + i));
        snprintf(reg->services[i].target, sizeof reg->services[i].target, "127.0.0.1:9");
    }
    rig_send_register(conn, reg);
    rig_settle(rig);
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    assert_int_equal(ack->service_count, services);
    return ack;
}

static void drop(struct control *ack)
{
    control_finish(ack);
    free(ack);
}

static struct grants *parsed(const char *json)
{
    struct grants *g = NULL;
    assert_int_equal(grants_parse(json, &g, NULL), BURROW_OK);
    return g;
}

static uint64_t refused(const struct rig *rig, enum grant grant)
{
    return rig->server->stats.grant_refused[grant];
}

static void a_service_that_is_not_granted_is_refused_and_the_others_go_on(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct control *ack = register_with(rig, "{\"services\":[\"a\",\"c\"]}", 3);
    assert_string_equal(ack->services[0].code, "");
    assert_string_not_equal(ack->services[0].bridge, "");
    assert_string_equal(ack->services[1].code, "not_allowed");
    assert_string_equal(ack->services[1].bridge, "");
    assert_string_equal(ack->services[2].code, "");
    assert_int_equal(refused(rig, GRANT_SERVICES), 1);
    drop(ack);
}

static void without_grants_nothing_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct control *ack = register_with(rig, "{}", 2);
    assert_string_equal(ack->services[0].code, "");
    assert_string_equal(ack->services[1].code, "");
    drop(ack);
    for (int i = 0; i < GRANT_COUNT; i++)
        assert_int_equal(refused(rig, (enum grant)i), 0);
}

static void a_grant_of_no_ports_gives_no_bridge(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct control *ack = register_with(rig, "{\"ports\":[]}", 1);
    assert_string_equal(ack->services[0].code, "not_allowed");
    assert_true(refused(rig, GRANT_PORTS) > 0);
    drop(ack);
}

static void streams_are_limited_by_the_grant(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    drop(register_with(rig, "{\"max_streams\":2}", 1));
    int users[3];
    for (int i = 0; i < 3; i++)
        users[i] = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(users[0]));
    assert_false(rig_was_reset(users[1]));
    assert_true(rig_was_reset(users[2]));
    assert_int_equal(refused(rig, GRANT_MAX_STREAMS), 1);
    for (int i = 0; i < 3; i++)
        close(users[i]);
}

static void a_grant_does_not_raise_the_servers_limit(void **state)
{
    struct rig *rig = *state;
    rig_start(rig); /* with a limit of 4 */
    drop(register_with(rig, "{\"max_streams\":100}", 1));
    int users[5];
    for (int i = 0; i < 5; i++)
        users[i] = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(users[3]));
    assert_true(rig_was_reset(users[4]));
    for (int i = 0; i < 5; i++)
        close(users[i]);
}

static void renewed_grants_count_for_new_streams_only(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    drop(register_with(rig, "{\"services\":[\"a\"]}", 1));
    int before = rig_dial_bridge(rig, "pg");
    struct grants *other = parsed("{\"services\":[\"b\"]}");
    attachment_set_grants(rig_record(rig, "pg")->attachment, other);
    grants_unref(other);
    int after = rig_dial_bridge(rig, "pg");
    assert_true(rig_was_reset(after));
    assert_false(rig_was_reset(before));
    assert_int_equal(refused(rig, GRANT_SERVICES), 1);
    attachment_set_grants(rig_record(rig, "pg")->attachment, NULL);
    int again = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(again));
    close(before);
    close(after);
    close(again);
}

static void the_grants_of_a_session_end_with_it(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    drop(register_with(rig, "{\"services\":[]}", 1));
    struct control *ack = register_with(rig, NULL, 1);
    assert_string_equal(ack->services[0].code, "");
    assert_null(rig_record(rig, "pg")->grants);
    drop(ack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_that_is_not_granted_is_refused_and_the_others_go_on),
        TEST(without_grants_nothing_is_refused),
        TEST(a_grant_of_no_ports_gives_no_bridge),
        TEST(streams_are_limited_by_the_grant),
        TEST(a_grant_does_not_raise_the_servers_limit),
        TEST(renewed_grants_count_for_new_streams_only),
        TEST(the_grants_of_a_session_end_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
