/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions of version 1 of the wire against each other, and one against raw messages. Side 0
 * is the server's. */
#include "pair.h"
#include "wire/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)
#define HEARTBEAT_MS 10000u
#define TIMEOUT_MS 30000u

static int setup(void **state)
{
    struct pair *p = pair_new();
    int i;

    for (i = 0; i < 2; i++) {
        p->config[i].protocol = 1;
        p->config[i].service = 7;
        p->config[i].open_timeout_ms = 30000;
        p->config[i].target = "127.0.0.1:5432";
        p->mock.end[i].messages = true;
    }
    p->log.level = BURROW_LOG_ERROR + 1;
    pair_connect(p);
    *state = p;
    return 0;
}

static size_t put_control(uint8_t *p, const char *json)
{
    size_t n = strlen(json);
    const struct frame_header h = {
        .version = FRAME_V1, .kind = FRAME_CONTROL, .length = (uint32_t)n};

    frame_header_encode(p, &h);
    memcpy(p + FRAME_HEADER, json, n);
    return FRAME_HEADER + n;
}

static void control(struct pair *p, int side, const char *json)
{
    uint8_t bytes[512];

    mock_message(&p->mock.end[side], bytes, put_control(bytes, json));
}

static size_t put_data(uint8_t *p, uint64_t stream, uint32_t n)
{
    const struct frame_header h = {
        .version = FRAME_V1, .kind = FRAME_DATA, .stream = stream, .length = n};

    frame_header_encode(p, &h);
    memset(p + FRAME_HEADER, 0, n);
    return FRAME_HEADER + n;
}

/* How many controls of the type wait in a side's inbox, as the other has sent them. */
static int count_controls(const struct pair *p, int side, enum control_type type)
{
    const struct mock_conn *conn = &p->mock.end[side];
    struct control *c = calloc(1, sizeof *c);
    int count = 0;
    size_t at;

    assert_non_null(c);
    for (at = 0; at < conn->inbox_len;) {
        struct frame_header h;

        frame_header_decode(&h, conn->inbox + at);
        if (h.kind == FRAME_CONTROL) {
            assert_int_equal(control_decode(c, conn->inbox + at + FRAME_HEADER, h.length, NULL), 0);
            count += c->type == type;
        }
        at += FRAME_HEADER + h.length;
    }
    free(c);
    return count;
}

static void data_flows_both_ways(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    end_send(a, 4 * MIB);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_int_equal(p->side[1].last_open.service, 7);
    end_send(b, 3 * MIB);
    pair_run(p);
    assert_true(a->was_accepted);
    assert_int_equal(b->received, 4 * MIB);
    assert_int_equal(a->received, 3 * MIB);
    assert_false(a->wrong || b->wrong);
}

static void ids_begin_where_the_owner_says_and_rise_by_one(void **state)
{
    struct pair *p = *state;

    assert_int_equal(stream_id(end_open(p, 0)->stream), 1);
    assert_int_equal(stream_id(end_open(p, 0)->stream), 2);
    assert_int_equal(session_next_id(p->side[0].session), 3);
}

static void a_stream_sends_nothing_before_open_ack(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->side[1].accept = false;
    a = end_open(p, 0);
    end_send(a, 100);
    pair_run(p);
    assert_int_equal(a->sent, 0);
    stream_accept(p->side[1].last_opened->stream);
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->received, 100);
}

static void data_before_open_ack_is_delivered(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;
    uint8_t bytes[FRAME_HEADER + 1];

    p->side[1].accept = false;
    a = end_open(p, 0);
    pair_run(p);
    mock_message(&p->mock.end[0], bytes, put_data(bytes, 1, 1));
    assert_int_equal(a->received, 1);
    assert_int_equal(a->ended, 0);
}

static void data_and_close_before_the_accept_are_kept_for_it(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[FRAME_HEADER + 1];
    struct mock_end *b;

    p->side[1].accept = false;
    control(p, 1, "{\"type\":\"open\",\"stream_id\":5}");
    mock_message(&p->mock.end[1], bytes, put_data(bytes, 5, 1));
    control(p, 1, "{\"type\":\"close\",\"stream_id\":5}");
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 0);
    stream_accept(b->stream);
    fake_loop_turn(p->loop);
    assert_int_equal(b->received, 1);
    assert_true(b->got_fin);
    assert_int_equal(count_controls(p, 0, CONTROL_OPEN_ACK), 0);
    assert_int_equal(count_controls(p, 0, CONTROL_CLOSE), 1);
}

static struct mock_end *fill(struct pair *p, struct mock_end **ret_a)
{
    struct mock_end *b;

    *ret_a = end_open(p, 0);
    pair_run(p);
    b = p->side[1].last_opened;
    b->hold = true;
    end_send(*ret_a, 8 * MIB);
    pair_run(p);
    return b;
}

static void a_full_stream_stops_the_reading_until_half_of_it_is_taken(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b = fill(p, &a);
    uint64_t held = b->unread;

    assert_true(p->mock.end[1].read_off);
    assert_in_range(held, MIB, MIB + MIB / 2);
    end_consume(b, held / 2 - 100);
    assert_true(p->mock.end[1].read_off);
    end_consume(b, 101);
    assert_false(p->mock.end[1].read_off);
    b->hold = false;
    end_consume(b, b->unread);
    pair_run(p);
    assert_int_equal(b->received, 8 * MIB);
    assert_false(b->wrong);
    assert_int_equal(p->stats[1].backpressure_drops, 0);
}

static void a_stream_that_holds_up_the_others_is_closed_after_half_the_timeout(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b = fill(p, &a), *other;

    other = end_open(p, 0);
    fake_loop_advance(p->loop, TIMEOUT_MS / 2 - 1000);
    assert_int_equal(b->ended, 0);
    fake_loop_advance(p->loop, 1500);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->end_code, RESET_TIMED_OUT);
    assert_int_equal(p->stats[1].streams_stalled, 1);
    assert_false(p->mock.end[1].read_off);
    pair_run(p);
    assert_true(other->was_accepted);
    assert_int_equal(p->side[1].session_ended, 0);
}

static void a_full_stream_that_is_reset_lets_the_reading_go_on(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b = fill(p, &a);

    stream_reset(b->stream, RESET_PEER_RESET, "");
    b->stream = NULL;
    assert_false(p->mock.end[1].read_off);
    pair_run(p);
    fake_loop_advance(p->loop, 6000);
    pair_run(p);
    assert_int_equal(session_stream_count(p->side[0].session), 0);
}

static void the_clock_stands_still_while_nothing_is_read(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b = fill(p, &a);
    int i;

    for (i = 0; i < 10; i++) { /* full again and again, for longer than the timeout */
        fake_loop_advance(p->loop, TIMEOUT_MS / 3);
        end_consume(b, b->unread);
        mock_receive(&p->mock.end[0], 256 * 1024, SIZE_MAX);
        mock_receive(&p->mock.end[1], 2 * MIB, SIZE_MAX);
        fake_loop_turn(p->loop);
    }
    assert_int_equal(p->side[1].session_ended, 0);
    b->hold = false;
    end_consume(b, b->unread);
    pair_run(p);
}

static void a_close_waits_for_the_answer(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    end_send(a, 10);
    end_finish(a);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 10);
    assert_false(b->got_fin);
    end_send(b, 2 * MIB);
    end_finish(b);
    pair_run(p);
    assert_int_equal(a->received, 2 * MIB);
    fake_loop_advance(p->loop, 6000); /* the target's side holds its own for a moment */
    pair_run(p);
    assert_true(a->got_fin);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, 0);
    assert_int_equal(b->ended, 1);
}

static void an_answer_is_awaited_for_a_minute_of_silence(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;
    int i;

    end_send(a, 10);
    end_finish(a);
    pair_run(p);
    b = p->side[1].last_opened;
    for (i = 0; i < 11; i++) {
        fake_loop_advance(p->loop, 5000);
        pair_run(p);
    }
    assert_false(b->got_fin);
    end_send(b, 1); /* something moves: the minute begins anew */
    pair_run(p);
    for (i = 0; i < 11; i++) {
        fake_loop_advance(p->loop, 5000);
        pair_run(p);
    }
    assert_int_equal(a->ended, 0);
    for (i = 0; i < 3; i++) {
        fake_loop_advance(p->loop, 5000);
        pair_run(p);
    }
    assert_true(b->got_fin);
    assert_int_equal(a->ended, 1);
}

/* One of the target's bytes behind the EOF would have reset a user that is gone. */
static void who_hears_on_after_its_eof_is_waited_for_a_minute(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;
    int i;

    end_send(a, 10);
    pair_run(p);
    b = p->side[1].last_opened;
    end_send(b, 10);
    pair_run(p);
    end_finish(a);
    pair_run(p);
    end_send(b, 10);
    pair_run(p);
    for (i = 0; i < 11; i++) {
        fake_loop_advance(p->loop, 5000);
        pair_run(p);
    }
    assert_int_equal(a->ended, 0);
    end_send(b, 10);
    pair_run(p);
    assert_int_equal(a->received, 30);
    for (i = 0; i < 13; i++) {
        fake_loop_advance(p->loop, 5000);
        pair_run(p);
    }
    assert_true(b->got_fin);
    assert_int_equal(a->ended, 1);
}

static void who_had_an_answer_to_everything_is_not_held_for_long(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    end_send(a, 10);
    pair_run(p);
    end_send(p->side[1].last_opened, 10);
    pair_run(p);
    end_finish(a);
    pair_run(p);
    assert_int_equal(a->ended, 0);
    fake_loop_advance(p->loop, 6000);
    pair_run(p);
    assert_int_equal(a->ended, 1);
}

static void after_a_close_the_rest_of_the_local_side_goes_nowhere(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    pair_run(p);
    control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    end_send(a, MIB);
    fake_loop_settle(p->loop);
    assert_true(a->got_fin);
    assert_int_equal(a->sent, MIB);
    assert_int_equal(p->stats[0].bytes_out, 0);
    assert_int_equal(count_controls(p, 1, CONTROL_CLOSE), 1);
    end_finish(a);
    fake_loop_turn(p->loop);
    fake_loop_turn(p->loop);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, 0);
}

static void what_goes_nowhere_is_read_a_part_a_turn(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    pair_run(p);
    control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    end_send(a, 100 * MIB); /* faster than it can be read */
    fake_loop_turn(p->loop);
    assert_in_range(a->sent, 1, MIB);
    fake_loop_turn(p->loop);
    assert_in_range(a->sent, MIB / 4, 2 * MIB);
}

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
        control(p, 1, json);
        snprintf(json, sizeof json, "{\"type\":\"close\",\"stream_id\":%d}", i);
        control(p, 1, json);
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

static void a_local_side_that_does_not_end_is_left_after_a_moment(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    pair_run(p);
    control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    fake_loop_advance(p->loop, 6000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, 0);
}

static void a_refusal_is_an_error_and_resets_the_user(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->side[1].refuse = true;
    p->side[1].refuse_code = RESET_UNREACHABLE;
    a = end_open(p, 0);
    pair_run(p);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, RESET_REFUSED);
}

static void an_open_without_an_answer_is_given_up(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;
    int i;

    p->side[1].accept = false;
    a = end_open(p, 0);
    pair_run(p);
    for (i = 0; i < 4; i++) { /* heartbeats go on */
        assert_int_equal(a->ended, 0);
        fake_loop_advance(p->loop, 8000);
        pair_run(p);
    }
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, RESET_TIMED_OUT);
    assert_int_equal(p->side[0].session_ended, 0);
}

static void an_open_for_another_target_is_refused(void **state)
{
    struct pair *p = *state;

    control(p, 1, "{\"type\":\"open\",\"stream_id\":1,\"target\":\"10.0.0.1:22\"}");
    fake_loop_turn(p->loop);
    assert_null(p->side[1].last_opened);
    assert_int_equal(count_controls(p, 0, CONTROL_ERROR), 1);
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
        control(p, 1, json);
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
        fake_loop_advance(p->loop, HEARTBEAT_MS);
        assert_int_equal(count_controls(p, 1, CONTROL_HEARTBEAT), 1);
        mock_receive(&p->mock.end[1], SIZE_MAX, SIZE_MAX);
        fake_loop_turn(p->loop);
        assert_true(count_controls(p, 0, CONTROL_HEARTBEAT_ACK) > 0);
        mock_receive(&p->mock.end[0], SIZE_MAX, SIZE_MAX);
    }
    assert_int_equal(p->side[0].session_ended + p->side[1].session_ended, 0);
}

static void a_flood_of_heartbeats_is_answered_by_few(void **state)
{
    struct pair *p = *state;
    int i;

    for (i = 0; i < 1000; i++)
        control(p, 1, "{\"type\":\"heartbeat\"}");
    fake_loop_turn(p->loop);
    assert_int_equal(count_controls(p, 0, CONTROL_HEARTBEAT_ACK), 16);
}

static void silence_ends_the_session(void **state)
{
    struct pair *p = *state;

    fake_loop_advance(p->loop, TIMEOUT_MS + 1000);
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
    size_t n = put_data(bytes, 9, 1);

    put_data(bytes + n, 9, 1);
    mock_message(&p->mock.end[0], bytes, 2 * n);
    expect_end(p, "goes on behind its frame");
}

static void a_message_with_less_than_its_frame_ends_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[FRAME_HEADER + 2];

    mock_message(&p->mock.end[0], bytes, put_data(bytes, 9, 2) - 1);
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
    size_t n = put_data(bytes, 1, 10);

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
    size_t n = put_data(bytes, 9, 1);

    bytes[1] = 9;
    put_data(bytes + n, 9, 1);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_flows_both_ways),
        TEST(ids_begin_where_the_owner_says_and_rise_by_one),
        TEST(a_stream_sends_nothing_before_open_ack),
        TEST(data_before_open_ack_is_delivered),
        TEST(data_and_close_before_the_accept_are_kept_for_it),
        TEST(a_full_stream_stops_the_reading_until_half_of_it_is_taken),
        TEST(a_stream_that_holds_up_the_others_is_closed_after_half_the_timeout),
        TEST(a_full_stream_that_is_reset_lets_the_reading_go_on),
        TEST(the_clock_stands_still_while_nothing_is_read),
        TEST(a_close_waits_for_the_answer),
        TEST(an_answer_is_awaited_for_a_minute_of_silence),
        TEST(who_hears_on_after_its_eof_is_waited_for_a_minute),
        TEST(who_had_an_answer_to_everything_is_not_held_for_long),
        TEST(after_a_close_the_rest_of_the_local_side_goes_nowhere),
        TEST(what_goes_nowhere_is_read_a_part_a_turn),
        TEST(opens_do_not_pile_up_before_a_peer_that_reads_nothing),
        TEST(who_makes_us_answer_and_reads_nothing_is_left),
        TEST(a_local_side_that_does_not_end_is_left_after_a_moment),
        TEST(a_refusal_is_an_error_and_resets_the_user),
        TEST(an_open_without_an_answer_is_given_up),
        TEST(an_open_for_another_target_is_refused),
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
