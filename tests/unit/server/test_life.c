/* SPDX-License-Identifier: Apache-2.0 */
/* A session's later life: newer tokens, draining from either side, and who may take over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "tunnel/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE 60000

/* ---- renewal ---- */

static void offer_token(struct rig *rig, struct recorder_conn *conn, uint32_t serial)
{
    char token[] = "newer";
    struct control *control = calloc(1, sizeof *control);
    control->type = CONTROL_TOKEN;
    control->serial = serial;
    control->token = token;
    conn->out_len = 0;
    recorder_control(conn, FRAME_V2, control);
    free(control);
    rig_settle(rig);
}

static void assert_answered(struct recorder_conn *conn, uint32_t serial, const char *code,
                            int64_t expires_ms)
{
    struct control *ack = calloc(1, sizeof *ack);
    uint8_t version = 0;
    assert_true(recorder_find(conn, CONTROL_TOKEN_ACK, ack, &version));
    assert_int_equal(version, FRAME_V2);
    assert_int_equal(ack->serial, serial);
    assert_string_equal(ack->code, code);
    assert_int_equal(ack->expires_ms, expires_ms);
    free(ack);
}

/* A user whose stream, the client's first, is accepted. */
static int user_of(struct rig *rig, struct recorder_conn *conn)
{
    uint8_t bytes[FRAME_SMALL_ROOM];
    int user = rig_dial_bridge(rig, "pg");
    recorder_data(conn, bytes, frame_accept_encode(bytes, 1, 16384));
    rig_settle(rig);
    return user;
}

/* With a token that ends in a minute. */
static struct recorder_conn *client_for_a_minute(struct rig *rig)
{
    rig_start(rig);
    rig->script.expires_ms = loop_unix_ms(rig->loop) + MINUTE;
    return rig_client(rig, "pg", 'a');
}

static void a_newer_token_lets_the_session_and_its_streams_live_on(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    int user = user_of(rig, conn);
    int64_t later = loop_unix_ms(rig->loop) + 10 * MINUTE;
    rig->script.expires_ms = later;
    offer_token(rig, conn, 7);
    assert_answered(conn, 7, "", later);
    assert_int_equal(rig->script.method, BURROW_CREDENTIAL_CONTROL);
    assert_string_equal(rig->script.token, "newer");
    fake_loop_advance(rig->loop, 9 * MINUTE);
    assert_false(conn->closing);
    assert_false(rig_was_reset(user));
    fake_loop_advance(rig->loop, MINUTE + AUTH_LEEWAY_MS);
    rig_expect_error(conn, FRAME_V2, "token_expired");
    close(user);
}

static void a_newer_token_saves_a_session_whose_token_has_just_ended(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    fake_loop_advance(rig->loop, MINUTE + AUTH_LEEWAY_MS - 1);
    rig->script.expires_ms = 0;
    offer_token(rig, conn, 1);
    assert_answered(conn, 1, "", 0);
    fake_loop_advance(rig->loop, 60 * MINUTE);
    assert_false(conn->closing);
    int user = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(user));
    close(user);
}

static void a_refused_token_leaves_the_old_one_until_its_end(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_INVALID_TOKEN;
    offer_token(rig, conn, 1);
    assert_answered(conn, 1, "invalid_token", 0);
    assert_int_equal(rig->server->stats.renewals_refused, 1);
    fake_loop_advance(rig->loop, MINUTE + AUTH_LEEWAY_MS - 1);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1);
    rig_expect_error(conn, FRAME_V2, "token_expired");
}

static void a_verifier_that_cannot_judge_now_is_an_internal_error(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    rig->script.result = BURROW_AUTH_UNAVAILABLE;
    offer_token(rig, conn, 1);
    assert_answered(conn, 1, "internal", 0);
    assert_false(conn->closing);
}

static void a_token_of_another_subject_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    rig->script.subject = "somebody";
    offer_token(rig, conn, 1);
    rig_expect_error(conn, FRAME_V2, "identity_mismatch");
}

static void a_second_token_before_the_answer_breaks_the_protocol(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    rig->script.result = 0; /* the plugin takes its time */
    offer_token(rig, conn, 1);
    assert_false(conn->closing);
    offer_token(rig, conn, 2);
    rig_expect_error(conn, FRAME_V2, "protocol");
}

static void a_session_may_end_while_its_newer_token_is_judged(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_for_a_minute(rig);
    rig->script.result = 0;
    offer_token(rig, conn, 1);
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    rig_settle(rig);
    assert_int_equal(auth_pending(rig->server->chain), 0);
}

/* ---- the server drains ---- */

static void end_stream(struct rig *rig, struct recorder_conn *conn, uint64_t id)
{
    uint8_t bytes[FRAME_SMALL_ROOM];
    recorder_data(conn, bytes, frame_reset_encode(bytes, id, RESET_PEER_RESET, ""));
    rig_settle(rig);
}

/* A server with drain-timeout 30s, a client and a stream; it has been told to stop. */
static struct recorder_conn *draining(struct rig *rig, int *ret_user)
{
    rig->options.drain_timeout = 30000;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    *ret_user = user_of(rig, conn);
    conn->out_len = 0;
    server_stop(rig->server, "SIGTERM");
    rig_settle(rig);
    return conn;
}

static void a_draining_server_tells_its_clients_and_keeps_streams(void **state)
{
    struct rig *rig = *state;
    int user;
    struct recorder_conn *conn = draining(rig, &user);
    struct control *said = calloc(1, sizeof *said);
    assert_true(recorder_find(conn, CONTROL_DRAIN, said, NULL));
    assert_int_equal(said->deadline_ms, 30000);
    free(said);
    fake_loop_advance(rig->loop, 29000);
    assert_false(conn->closing);
    assert_false(rig_was_reset(user));
    assert_int_equal(rig->stopped, 0);
    close(user);
}

static void the_last_stream_ends_the_drain(void **state)
{
    struct rig *rig = *state;
    int user;
    struct recorder_conn *conn = draining(rig, &user);
    end_stream(rig, conn, 1);
    fake_loop_advance(rig->loop, 10);
    rig_expect_error(conn, FRAME_V2, "draining");
    assert_int_equal(rig->stopped, 1);
    close(user);
}

static void a_drain_ends_at_its_deadline(void **state)
{
    struct rig *rig = *state;
    int user;
    struct recorder_conn *conn = draining(rig, &user);
    fake_loop_advance(rig->loop, 30010);
    rig_expect_error(conn, FRAME_V2, "draining");
    assert_true(rig_was_reset(user));
    assert_int_equal(rig->stopped, 1);
    close(user);
}

static void a_second_signal_ends_the_drain(void **state)
{
    struct rig *rig = *state;
    int user;
    draining(rig, &user);
    server_stop(rig->server, "SIGTERM");
    fake_loop_advance(rig->loop, 10);
    assert_int_equal(rig->stopped, 1);
    close(user);
}

static void a_draining_server_lets_nobody_in(void **state)
{
    struct rig *rig = *state;
    int user;
    draining(rig, &user);
    struct recorder_conn *conn = rig_accept(rig);
    recorder_credential(conn, "t");
    rig_settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_UNAVAILABLE);
    close(user);
}

static void a_draining_server_frees_its_bridge_ports(void **state)
{
    struct rig *rig = *state;
    int user;
    draining(rig, &user);
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    assert_int_equal(b->acceptor.fd, -1);
    close(user);
}

static void without_streams_there_is_nothing_to_drain(void **state)
{
    struct rig *rig = *state;
    rig->options.drain_timeout = 30000;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    server_stop(rig->server, "SIGTERM");
    fake_loop_advance(rig->loop, 10);
    rig_expect_error(conn, FRAME_V2, "draining");
    assert_int_equal(rig->stopped, 1);
}

/* ---- a client drains ---- */

static void announce(struct rig *rig, struct recorder_conn *conn, uint32_t deadline_ms)
{
    struct control *drain = calloc(1, sizeof *drain);
    drain->type = CONTROL_DRAIN;
    drain->deadline_ms = deadline_ms;
    recorder_control(conn, FRAME_V2, drain);
    free(drain);
    rig_settle(rig);
}

static void a_client_that_drains_gets_no_new_streams_and_keeps_the_old(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    int before = rig_dial_bridge(rig, "pg");
    announce(rig, conn, 30000);
    int after = rig_dial_bridge(rig, "pg");
    assert_true(rig_was_reset(after));
    assert_false(rig_was_reset(before));
    assert_false(conn->closing);
    close(before);
    close(after);
}

static void a_client_that_drained_one_connection_may_have_another(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *old = rig_client(rig, "pg", 'a');
    int before = rig_dial_bridge(rig, "pg");
    announce(rig, old, 30000);
    rig_client(rig, "pg", 'a');
    assert_false(old->closing);
    assert_false(rig_was_reset(before));
    int after = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(after));
    assert_int_equal(rig->server->session_count, 1);
    close(before);
    close(after);
}

static uint64_t rate_of(const struct attachment *a)
{
    return a->seat->session->config.bytes_per_second;
}

static void two_connections_of_a_client_have_the_limits_of_one(void **state)
{
    struct rig *rig = *state;
    rig->options.max_streams = 1;
    rig_start(rig);
    rig->script.grants = "{\"bytes_per_second\":1000}";
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    const struct attachment *old = rig_record(rig, "pg")->attachment;
    int before = user_of(rig, conn);
    announce(rig, conn, 30000);
    rig_client(rig, "pg", 'a');
    const struct attachment *fresh = rig_record(rig, "pg")->attachment;
    assert_ptr_not_equal(fresh, old);
    int after = rig_dial_bridge(rig, "pg");
    assert_true(rig_was_reset(after));
    assert_int_equal(rate_of(old), 500);
    assert_int_equal(rate_of(fresh), 500);
    close(after);
    end_stream(rig, conn, 1);
    after = rig_dial_bridge(rig, "pg");
    assert_false(rig_was_reset(after));
    assert_int_equal(rate_of(fresh), 1000);
    close(before);
    close(after);
}

static void of_connections_that_are_drained_one_is_kept(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *first = rig_client(rig, "pg", 'a');
    announce(rig, first, 30000);
    struct recorder_conn *second = rig_client(rig, "pg", 'a');
    announce(rig, second, 30000);
    rig_client(rig, "pg", 'a');
    rig_settle(rig);
    assert_true(first->closing);
    assert_false(second->closing);
}

static void a_client_does_not_drain_for_ever(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    announce(rig, conn, 30000);
    fake_loop_advance(rig->loop, 2 * MINUTE); /* the sweep has come by */
    assert_true(conn->closing);
}

static void a_client_has_an_hour_to_drain_at_the_most(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    announce(rig, conn, UINT32_MAX);
    assert_int_equal(rig_record(rig, "pg")->attachment->leave_by_ms,
                     loop_now_ms(rig->loop) + 60 * MINUTE);
}

/* ---- takeovers ---- */

static void takeovers_of_one_id_are_limited(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *owner = rig_client(rig, "pg", 'a');
    for (char digit = 'b'; digit < 'b' + (char)TAKEOVERS_A_MINUTE; digit++)
        owner = rig_client(rig, "pg", digit);
    struct recorder_conn *next = rig_admitted(rig);
    rig_send_register(next, rig_register("pg", 'f'));
    rig_settle(rig);
    rig_expect_error(next, FRAME_V1, "superseded");
    assert_false(owner->closing);
    assert_int_equal(rig->server->stats.takeovers_refused, 1);
    fake_loop_advance(rig->loop, MINUTE);
    rig_client(rig, "pg", 'f');
    assert_true(owner->closing);
}

static void a_clients_own_return_is_no_takeover(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    for (int i = 0; i < 20; i++)
        rig_client(rig, "pg", 'a');
    assert_int_equal(rig->server->stats.takeovers_taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newer_token_lets_the_session_and_its_streams_live_on),
        TEST(a_newer_token_saves_a_session_whose_token_has_just_ended),
        TEST(a_refused_token_leaves_the_old_one_until_its_end),
        TEST(a_verifier_that_cannot_judge_now_is_an_internal_error),
        TEST(a_token_of_another_subject_ends_the_connection),
        TEST(a_second_token_before_the_answer_breaks_the_protocol),
        TEST(a_session_may_end_while_its_newer_token_is_judged),
        TEST(a_draining_server_tells_its_clients_and_keeps_streams),
        TEST(the_last_stream_ends_the_drain),
        TEST(a_drain_ends_at_its_deadline),
        TEST(a_second_signal_ends_the_drain),
        TEST(a_draining_server_lets_nobody_in),
        TEST(a_draining_server_frees_its_bridge_ports),
        TEST(without_streams_there_is_nothing_to_drain),
        TEST(a_client_that_drains_gets_no_new_streams_and_keeps_the_old),
        TEST(a_client_that_drained_one_connection_may_have_another),
        TEST(two_connections_of_a_client_have_the_limits_of_one),
        TEST(a_client_has_an_hour_to_drain_at_the_most),
        TEST(of_connections_that_are_drained_one_is_kept),
        TEST(a_client_does_not_drain_for_ever),
        TEST(takeovers_of_one_id_are_limited),
        TEST(a_clients_own_return_is_no_takeover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
