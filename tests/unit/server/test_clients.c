/* SPDX-License-Identifier: Apache-2.0 */
/* Records and sessions: reconnects, takeovers, limits, expiry, the sweep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void the_same_instance_replaces_its_own_session_without_a_word(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *old = rig_client(rig, "pg", 'a');
    size_t before = old->out_len;
    struct recorder_conn *new = rig_client(rig, "pg", 'a');
    assert_true(old->closing);
    assert_int_equal(old->out_len, before);
    assert_false(new->closing);
    assert_int_equal(rig->server->session_count, 1);
    assert_string_equal(rig_record(rig, "pg")->attachment->session_id, "sess-2");
}

static void another_instance_takes_over_and_the_old_one_is_told(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *old = rig_client(rig, "pg", 'a');
    struct recorder_conn *new = rig_client(rig, "pg", 'b');
    rig_expect_error(old, FRAME_V2, "superseded");
    assert_false(new->closing);
    assert_int_equal(rig->server->session_count, 1);
    rig_settle(rig);
    assert_string_equal(rig_record(rig, "pg")->attachment->session_id, "sess-2");
}

static void streams_of_the_old_session_are_reset_at_a_takeover(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    int user = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(user));
    rig_client(rig, "pg", 'b');
    assert_true(rig_was_reset(user));
    close(user);
}

static void the_bridge_stays_over_reconnects_and_absence(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    uint16_t port = b->acceptor.local.port;
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_advance(rig->loop, 60000);
    assert_null(rig_record(rig, "pg")->attachment);
    rig_client(rig, "pg", 'b');
    b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    assert_int_equal(b->acceptor.local.port, port);
    assert_null(TAILQ_NEXT(b, entry));
}

static void clients_are_limited(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "a", 'a');
    rig_client(rig, "b", 'a');
    rig_client(rig, "c", 'a');
    struct recorder_conn *conn = rig_admitted(rig);
    rig_send_register(conn, rig_register("d", 'a'));
    rig_expect_error(conn, FRAME_V1, "limit");
    rig_client(rig, "c", 'b'); /* who is here may come back */
}

static void records_of_the_gone_are_limited_too(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        recorder_closed(rig_client(rig, ids[i], 'a'), BURROW_CLOSE_LOST, 0, 0, "gone");
        rig_settle(rig);
    }
    assert_int_equal(rig->server->record_count, 6);
    assert_null(clients_find(rig->server, "a"));
    assert_non_null(clients_find(rig->server, "g"));
}

static void a_session_ends_half_a_minute_after_its_token(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.expires_ms = loop_unix_ms(rig->loop) + 100000;
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    fake_loop_advance(rig->loop, 129999);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1);
    rig_expect_error(conn, FRAME_V2, "token_expired");
    rig_settle(rig);
    assert_null(rig_record(rig, "pg")->attachment);
}

static void an_expired_token_opens_no_more_streams(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.expires_ms = loop_unix_ms(rig->loop) + 100000;
    rig_client(rig, "pg", 'a');
    fake_loop_advance(rig->loop, 99999);
    int before = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(before));
    fake_loop_advance(rig->loop, 1);
    int after = rig_dial_bridge(rig, "pg");
    assert_true(rig_was_reset(after));
    assert_false(rig_was_reset(before));
    close(before);
    close(after);
}

static void who_is_gone_for_long_is_forgotten(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    fake_loop_advance(rig->loop, 3600000);
    assert_non_null(clients_find(rig->server, "pg"));
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_advance(rig->loop, 600000 - 1);
    assert_non_null(clients_find(rig->server, "pg"));
    fake_loop_advance(rig->loop, 60001);
    assert_null(clients_find(rig->server, "pg"));
    assert_int_equal(rig->server->stats.stale_deleted, 1);
}

static void a_client_may_not_open_streams(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    uint8_t bytes[FRAME_SMALL_ROOM];
    const struct frame_open open = {.service = 1, .limit = 16384};
    recorder_data(conn, bytes, frame_open_encode(bytes, 2, &open));
    rig_settle(rig);
    assert_int_equal(rig->server->workers[0].sessions_stats.streams_active, 0);
    assert_false(conn->closing);
}

static void an_error_of_the_client_ends_its_session(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    struct control *error = calloc(1, sizeof *error);
    error->type = CONTROL_ERROR;
    strcpy(error->code, "protocol");
    recorder_control(conn, FRAME_V2, error);
    free(error);
    rig_settle(rig);
    assert_null(rig_record(rig, "pg")->attachment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_same_instance_replaces_its_own_session_without_a_word),
        TEST(another_instance_takes_over_and_the_old_one_is_told),
        TEST(streams_of_the_old_session_are_reset_at_a_takeover),
        TEST(the_bridge_stays_over_reconnects_and_absence),
        TEST(clients_are_limited),
        TEST(records_of_the_gone_are_limited_too),
        TEST(a_session_ends_half_a_minute_after_its_token),
        TEST(an_expired_token_opens_no_more_streams),
        TEST(who_is_gone_for_long_is_forgotten),
        TEST(a_client_may_not_open_streams),
        TEST(an_error_of_the_client_ends_its_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
