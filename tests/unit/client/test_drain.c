/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving a server that drains, and the client's own end in order. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A stream that the server opens and whose target's name is never answered: it stays. */
static void open_stream(struct rig *rig, struct recorder_conn *conn, uint64_t id)
{
    uint8_t bytes[FRAME_SMALL_ROOM];
    const struct frame_open open = {.service = 1, .limit = 16384};
    recorder_data(conn, bytes, frame_open_encode(bytes, id, &open));
    fake_loop_settle(rig->loop);
}

static void reset_stream(struct rig *rig, struct recorder_conn *conn, uint64_t id)
{
    uint8_t bytes[FRAME_SMALL_ROOM];
    recorder_data(conn, bytes, frame_reset_encode(bytes, id, RESET_PEER_RESET, ""));
    settle(rig);
}

static void drain(struct rig *rig, struct recorder_conn *conn)
{
    struct control *control = calloc(1, sizeof *control);
    control->type = CONTROL_DRAIN;
    control->deadline_ms = 30000;
    recorder_control(conn, FRAME_V2, control);
    free(control);
    settle(rig);
}

/* Connected, with the stream 1 under way. */
static struct recorder_conn *connected_with_stream(struct rig *rig)
{
    static const char *const slow[] = {"slow.test:80"};
    rig->options.local_target.items = slow;
    get_connected(rig);
    struct recorder_conn *conn = rig->recorder.conns;
    fake_loop_hold_lookups(rig->loop, true);
    open_stream(rig, conn, 1);
    assert_int_equal(session_stream_count(rig->client->current->session), 1);
    return conn;
}

/* The next attempt leads to a session. */
static struct recorder_conn *connect_again(struct rig *rig)
{
    fake_loop_hold_lookups(rig->loop, false);
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->recorder.count, 2);
    recorder_open(rig->recorder.conns);
    answer(rig, "sess-2");
    settle(rig);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
    return rig->recorder.conns;
}

static void a_client_of_a_draining_server_connects_anew_before_it_leaves(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    assert_false(old->closing);
    assert_null(rig->client->current);
    struct recorder_conn *fresh = connect_again(rig);
    assert_ptr_not_equal(fresh, old);
    assert_string_equal(rig->client->session_id, "sess-2");
}

static void what_is_left_closes_with_its_last_stream(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    struct recorder_conn *old = rig->recorder.conns;
    drain(rig, old);
    assert_false(old->closing); /* empty, but there is no other yet */
    connect_again(rig);
    assert_true(old->closing);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
    fake_loop_advance(rig->loop, 60000);
    assert_int_equal(rig->recorder.count, 2);
}

static void a_stream_keeps_what_is_left_open(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    fake_loop_advance(rig->loop, 1000);
    assert_false(old->closing);
    reset_stream(rig, old, 1);
    assert_false(old->closing);
    connect_again(rig);
    assert_true(old->closing);
}

static void what_is_left_takes_no_new_streams(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    struct recorder_conn *old = rig->recorder.conns;
    drain(rig, old);
    open_stream(rig, old, 1);
    assert_true(LIST_EMPTY(&rig->client->joinings));
}

static void the_end_of_what_is_left_does_not_disturb_the_rest(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    recorder_closed(old, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    connect_again(rig);
}

static void attempts_go_on_while_no_other_server_answers(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    fake_loop_hold_lookups(rig->loop, false);
    fake_loop_advance(rig->loop, 1000);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_REFUSED, 503, 0, "draining");
    settle(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_false(old->closing);
    fake_loop_advance(rig->loop, 3000);
    assert_true(rig->recorder.count >= 3);
}

static void end_with(struct rig *rig, struct recorder_conn *conn, const char *code)
{
    struct control *control = calloc(1, sizeof *control);
    control->type = CONTROL_ERROR;
    snprintf(control->code, sizeof control->code, "%s", code);
    recorder_control(conn, FRAME_V2, control);
    free(control);
    settle(rig);
}

static void assert_begun_anew(const struct rig *rig)
{
    assert_int_equal(rig->client->backoff.failures[BACKOFF_NETWORK], 1);
    assert_true(rig->client->backoff.soon_ms >= BACKOFF_SOON_MS - 1000);
}

/* Attempts have failed for long, and the next one is far away. */
static void wait_long(struct rig *rig, enum backoff_cause cause)
{
    rig->client->backoff.failures[BACKOFF_NETWORK] = 9;
    rig->client->backoff.soon_ms = 0;
    client_wait(rig->client, cause, 60000);
}

static void pauses_begin_anew_when_the_server_drains(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    rig->client->backoff.failures[BACKOFF_NETWORK] = 9;
    drain(rig, old);
    assert_begun_anew(rig);
}

static void pauses_begin_anew_when_a_server_that_drained_stops(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    wait_long(rig, BACKOFF_NETWORK);
    end_with(rig, old, "draining");
    assert_begun_anew(rig);
    connect_again(rig);
}

static void a_pause_for_another_cause_is_not_cut_short_then(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    wait_long(rig, BACKOFF_SUPERSEDED);
    end_with(rig, old, "draining");
    fake_loop_hold_lookups(rig->loop, false);
    fake_loop_advance(rig->loop, 59999);
    assert_int_equal(rig->recorder.count, 1);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->recorder.count, 2);
}

static void another_end_of_what_is_left_leaves_the_pauses(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = connected_with_stream(rig);
    drain(rig, old);
    wait_long(rig, BACKOFF_NETWORK);
    recorder_closed(old, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(rig->client->backoff.failures[BACKOFF_NETWORK], 9);
}

static void a_client_that_stops_lets_its_streams_end(void **state)
{
    struct rig *rig = *state;
    rig->options.drain_timeout = 30000;
    struct recorder_conn *conn = connected_with_stream(rig);
    client_stop(rig->client, "SIGTERM");
    struct control *said = calloc(1, sizeof *said);
    fake_loop_settle(rig->loop);
    assert_true(recorder_find(conn, CONTROL_DRAIN, said, NULL));
    assert_int_equal(said->deadline_ms, 30000);
    free(said);
    fake_loop_advance(rig->loop, 4000); /* less than a target may take to answer */
    assert_false(conn->closing);
    assert_int_equal(rig->stopped, 0);
    reset_stream(rig, conn, 1);
    fake_loop_advance(rig->loop, 100);
    assert_true(conn->closed);
    assert_int_equal(rig->stopped, 1);
}

static void a_client_that_stops_does_not_wait_for_ever(void **state)
{
    struct rig *rig = *state;
    rig->options.drain_timeout = 3000;
    struct recorder_conn *conn = connected_with_stream(rig);
    client_stop(rig->client, "SIGTERM");
    fake_loop_advance(rig->loop, 2900);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 200);
    assert_true(conn->closing);
    assert_int_equal(rig->stopped, 1);
}

static void a_second_signal_ends_at_once(void **state)
{
    struct rig *rig = *state;
    rig->options.drain_timeout = 30000;
    struct recorder_conn *conn = connected_with_stream(rig);
    client_stop(rig->client, "SIGTERM");
    client_stop(rig->client, "SIGTERM");
    fake_loop_advance(rig->loop, 10);
    assert_true(conn->closing);
    assert_int_equal(rig->stopped, 1);
}

static void a_lost_connection_ends_the_wait(void **state)
{
    struct rig *rig = *state;
    rig->options.drain_timeout = 30000;
    struct recorder_conn *conn = connected_with_stream(rig);
    client_stop(rig->client, "SIGTERM");
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    fake_loop_advance(rig->loop, 10);
    assert_int_equal(rig->stopped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_of_a_draining_server_connects_anew_before_it_leaves),
        TEST(what_is_left_closes_with_its_last_stream),
        TEST(a_stream_keeps_what_is_left_open),
        TEST(what_is_left_takes_no_new_streams),
        TEST(the_end_of_what_is_left_does_not_disturb_the_rest),
        TEST(attempts_go_on_while_no_other_server_answers),
        TEST(pauses_begin_anew_when_the_server_drains),
        TEST(pauses_begin_anew_when_a_server_that_drained_stops),
        TEST(a_pause_for_another_cause_is_not_cut_short_then),
        TEST(another_end_of_what_is_left_leaves_the_pauses),
        TEST(a_client_that_stops_lets_its_streams_end),
        TEST(a_client_that_stops_does_not_wait_for_ever),
        TEST(a_second_signal_ends_at_once),
        TEST(a_lost_connection_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
