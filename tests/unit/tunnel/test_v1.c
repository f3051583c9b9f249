/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of version 1 of the wire: opening, the flow of data, ends; most of it two sessions
 * against each other. Side 0 is the server's. */
#include "v1.h"

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
    mock_message(&p->mock.end[0], bytes, v1_put_data(bytes, 1, 1));
    assert_int_equal(a->received, 1);
    assert_int_equal(a->ended, 0);
}

static void data_and_close_before_the_accept_are_kept_for_it(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[FRAME_HEADER + 1];
    struct mock_end *b;

    p->side[1].accept = false;
    v1_control(p, 1, "{\"type\":\"open\",\"stream_id\":5}");
    mock_message(&p->mock.end[1], bytes, v1_put_data(bytes, 5, 1));
    v1_control(p, 1, "{\"type\":\"close\",\"stream_id\":5}");
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 0);
    stream_accept(b->stream);
    fake_loop_turn(p->loop);
    assert_int_equal(b->received, 1);
    assert_true(b->got_fin);
    assert_int_equal(v1_count_controls(p, 0, CONTROL_OPEN_ACK), 0);
    assert_int_equal(v1_count_controls(p, 0, CONTROL_CLOSE), 1);
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
}

static void a_stream_that_holds_up_the_others_is_closed_after_half_the_timeout(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b = fill(p, &a), *other;

    other = end_open(p, 0);
    fake_loop_advance(p->loop, V1_TIMEOUT_MS / 2 - 1000);
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
        fake_loop_advance(p->loop, V1_TIMEOUT_MS / 3);
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

static void who_sent_nothing_is_waited_for_five_seconds(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    end_finish(a);
    pair_run(p);
    fake_loop_advance(p->loop, 4000);
    pair_run(p);
    assert_false(p->side[1].last_opened->got_fin);
    fake_loop_advance(p->loop, 2000);
    pair_run(p);
    assert_true(p->side[1].last_opened->got_fin);
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
    v1_control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    v1_control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    end_send(a, MIB);
    fake_loop_settle(p->loop);
    assert_true(a->got_fin);
    assert_int_equal(a->sent, MIB);
    assert_int_equal(p->stats[0].bytes_out, 0);
    assert_int_equal(v1_count_controls(p, 1, CONTROL_CLOSE), 1);
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
    v1_control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
    end_send(a, 100 * MIB); /* faster than it can be read */
    fake_loop_turn(p->loop);
    assert_in_range(a->sent, 1, MIB);
    fake_loop_turn(p->loop);
    assert_in_range(a->sent, MIB / 4, 2 * MIB);
}

static void a_local_side_that_does_not_end_is_left_after_a_moment(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    pair_run(p);
    v1_control(p, 0, "{\"type\":\"close\",\"stream_id\":1}");
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

    v1_control(p, 1, "{\"type\":\"open\",\"stream_id\":1,\"target\":\"10.0.0.1:22\"}");
    fake_loop_turn(p->loop);
    assert_null(p->side[1].last_opened);
    assert_int_equal(v1_count_controls(p, 0, CONTROL_ERROR), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, v1_setup, pair_teardown)

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
        TEST(who_sent_nothing_is_waited_for_five_seconds),
        TEST(who_hears_on_after_its_eof_is_waited_for_a_minute),
        TEST(who_had_an_answer_to_everything_is_not_held_for_long),
        TEST(after_a_close_the_rest_of_the_local_side_goes_nowhere),
        TEST(what_goes_nowhere_is_read_a_part_a_turn),
        TEST(a_local_side_that_does_not_end_is_left_after_a_moment),
        TEST(a_refusal_is_an_error_and_resets_the_user),
        TEST(an_open_without_an_answer_is_given_up),
        TEST(an_open_for_another_target_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
