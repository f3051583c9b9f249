/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of version 1 of the wire: heartbeats, floods, messages that are no frames, its end.
 * Side 0 is the server's. */
#include "v1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts more into the link than may wait there before control frames have to. */
static void choke(struct pair *p, int side)
{
    int i;

    p->mock.end[side].room = 0;
    for (i = 0; i < 40; i++) {
        struct burrow_buf *b = pool_get(loop_pool(p->loop), POOL_LARGE);

        assert_non_null(b);
        b->len = POOL_LARGE;
        assert_int_equal(link_send(p->mock.end[side].link, b), BURROW_OK);
    }
}

static void opens_do_not_pile_up_before_a_peer_that_reads_nothing(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_new(&p->side[0]);
    const struct frame_open open = {0};
    int i;

    choke(p, 0);
    for (i = 0; i < 100000; i++) {
        if (stream_open(p->side[0].session, &open, &mock_end_ops, a, &a->stream) < 0)
            break;
        stream_reset(a->stream, RESET_PEER_RESET, "");
        fake_loop_turn(p->loop);
    }
    assert_in_range(i, 1000, 20000);
    assert_int_equal(p->side[0].session_ended, 0);
    p->mock.end[0].room = SIZE_MAX;
    mock_flush(&p->mock.end[0]);
    fake_loop_turn(p->loop);
    assert_int_equal(stream_open(p->side[0].session, &open, &mock_end_ops, a, &a->stream), 0);
}

static void who_makes_us_answer_and_reads_nothing_is_left(void **state)
{
    struct pair *p = *state;
    char json[64];
    int i;

    choke(p, 1);
    for (i = 1; i < 100000; i++) {
        snprintf(json, sizeof json, "{\"type\":\"open\",\"stream_id\":%d}", i);
        v1_control(p, 1, json);
        snprintf(json, sizeof json, "{\"type\":\"close\",\"stream_id\":%d}", i);
        v1_control(p, 1, json);
        if (p->side[1].peer_end_count == 0)
            break; /* it is over */
        stream_reset(p->side[1].peer_ends[0]->stream, RESET_PEER_RESET, "");
        fake_loop_turn(p->loop);
        free(p->side[1].peer_ends[--p->side[1].peer_end_count]);
    }
    fake_loop_turn(p->loop);
    assert_in_range(i, 1000, 99999);
    assert_non_null(strstr(p->side[1].reason, "too much to answer"));
}

static void a_flood_of_opens_for_other_targets_does_not_fill_the_log(void **state)
{
    struct pair *p = *state;
    FILE *file = tmpfile();
    char json[128], line[512];
    unsigned lines = 0;

    assert_non_null(file);
    log_init(&p->log, fileno(file), BURROW_LOG_WARN, LOG_LOGFMT);
    for (int i = 1; i <= 200; i++) {
        snprintf(json, sizeof json,
                 "{\"type\":\"open\",\"stream_id\":%d,\"target\":\"10.0.0.1:22\"}", i);
        v1_control(p, 1, json);
        pair_run(p);
    }
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        lines += strstr(line, "event=stream_refused") != NULL;
    assert_int_equal(lines, LOG_SAMPLE);
    fclose(file);
}

static void heartbeats_go_out_in_each_interval_and_are_answered(void **state)
{
    struct pair *p = *state;
    int i;

    for (i = 1; i <= 3; i++) {
        fake_loop_advance(p->loop, V1_HEARTBEAT_MS);
        assert_int_equal(v1_count_controls(p, 1, CONTROL_HEARTBEAT), 1);
        mock_receive(&p->mock.end[1], SIZE_MAX, SIZE_MAX);
        fake_loop_turn(p->loop);
        assert_true(v1_count_controls(p, 0, CONTROL_HEARTBEAT_ACK) > 0);
        mock_receive(&p->mock.end[0], SIZE_MAX, SIZE_MAX);
    }
    assert_int_equal(p->side[0].session_ended + p->side[1].session_ended, 0);
}

static void a_flood_of_heartbeats_is_answered_by_few(void **state)
{
    struct pair *p = *state;
    int i;

    for (i = 0; i < 1000; i++)
        v1_control(p, 1, "{\"type\":\"heartbeat\"}");
    fake_loop_turn(p->loop);
    assert_int_equal(v1_count_controls(p, 0, CONTROL_HEARTBEAT_ACK), 16);
}

static void silence_ends_the_session(void **state)
{
    struct pair *p = *state;

    fake_loop_advance(p->loop, V1_TIMEOUT_MS + 1000);
    assert_int_equal(p->side[0].session_ended, 1);
    assert_int_equal(p->side[1].session_ended, 1);
}

static void expect_end(struct pair *p, const char *reason)
{
    fake_loop_turn(p->loop);
    assert_int_equal(p->side[0].session_ended, 1);
    assert_non_null(strstr(p->side[0].reason, reason));
    assert_int_equal(p->mock.end[0].close_code, BURROW_CLOSE_INTERNAL); /* never 1000 or 1001 */
}

static void a_message_with_more_than_its_frame_ends_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[2 * (FRAME_HEADER + 1)];
    size_t n = v1_put_data(bytes, 9, 1);

    v1_put_data(bytes + n, 9, 1);
    mock_message(&p->mock.end[0], bytes, 2 * n);
    expect_end(p, "goes on behind its frame");
}

static void a_message_with_less_than_its_frame_ends_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[FRAME_HEADER + 2];

    mock_message(&p->mock.end[0], bytes, v1_put_data(bytes, 9, 2) - 1);
    expect_end(p, "ends inside its frame");
}

static void a_message_without_a_frame_ends_the_connection(void **state)
{
    struct pair *p = *state;

    mock_message(&p->mock.end[0], (const uint8_t *)"", 0);
    expect_end(p, "without a frame");
}

static void a_frame_of_an_unknown_kind_is_ignored(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);
    uint8_t bytes[FRAME_HEADER + 10];
    size_t n = v1_put_data(bytes, 1, 10);

    bytes[1] = 9;
    mock_message(&p->mock.end[0], bytes, n);
    end_send(a, 10);
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->received, 10);
    assert_int_equal(p->side[0].session_ended, 0);
}

static void a_second_frame_behind_one_of_an_unknown_kind_ends_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[2 * (FRAME_HEADER + 1)];
    size_t n = v1_put_data(bytes, 9, 1);

    bytes[1] = 9;
    v1_put_data(bytes + n, 9, 1);
    mock_message(&p->mock.end[0], bytes, 2 * n);
    expect_end(p, "goes on behind its frame");
}

static void frames_of_version_2_end_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[FRAME_SMALL_ROOM];

    mock_message(&p->mock.end[0], bytes, frame_ping_encode(bytes, FRAME_PING, 1));
    expect_end(p, "wrong version");
}

static void a_message_may_come_in_any_pieces(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);
    int quiet = 0;

    end_send(a, 100000);
    while (quiet < 3)
        quiet = pair_step(p, SIZE_MAX, 7) ? 0 : quiet + 1;
    assert_int_equal(p->side[1].last_opened->received, 100000);
    assert_false(p->side[1].last_opened->wrong);
}

static void an_end_says_nothing_but_a_code_on_which_the_client_comes_back(void **state)
{
    static const uint32_t codes[][2] = {
        {BURROW_CLOSE_NORMAL, BURROW_CLOSE_GOING_AWAY},
        {BURROW_CLOSE_GOING_AWAY, BURROW_CLOSE_GOING_AWAY},
        {BURROW_CLOSE_POLICY, BURROW_CLOSE_INTERNAL},
        {BURROW_CLOSE_PROTOCOL, BURROW_CLOSE_INTERNAL},
        {BURROW_CLOSE_ABORT, BURROW_CLOSE_ABORT},
    };
    struct pair *p = *state;
    size_t i;

    for (i = 0; i < sizeof codes / sizeof *codes; i++)
        assert_int_equal(link_v1_close_code(codes[i][0]), codes[i][1]);
    session_close(p->side[0].session, BURROW_CLOSE_POLICY, "superseded", "another one came");
    fake_loop_turn(p->loop);
    assert_int_equal(p->mock.end[0].close_code, BURROW_CLOSE_INTERNAL);
    assert_int_equal(p->mock.end[1].inbox_len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, v1_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(opens_do_not_pile_up_before_a_peer_that_reads_nothing),
        TEST(who_makes_us_answer_and_reads_nothing_is_left),
        TEST(a_flood_of_opens_for_other_targets_does_not_fill_the_log),
        TEST(heartbeats_go_out_in_each_interval_and_are_answered),
        TEST(a_flood_of_heartbeats_is_answered_by_few),
        TEST(silence_ends_the_session),
        TEST(a_message_with_more_than_its_frame_ends_the_connection),
        TEST(a_message_with_less_than_its_frame_ends_the_connection),
        TEST(a_message_without_a_frame_ends_the_connection),
        TEST(a_frame_of_an_unknown_kind_is_ignored),
        TEST(a_second_frame_behind_one_of_an_unknown_kind_ends_the_connection),
        TEST(frames_of_version_2_end_the_connection),
        TEST(a_message_may_come_in_any_pieces),
        TEST(an_end_says_nothing_but_a_code_on_which_the_client_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
