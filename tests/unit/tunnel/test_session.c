/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: streams carry bytes both ways, end as they should, and stay within credit. */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

static void bytes_arrive_in_order_whatever_the_split(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;
    int i;

    end_send(a, 300000);
    end_finish(a);
    for (i = 0; i < 200000 && !(p->side[1].last_opened && p->side[1].last_opened->got_fin); i++)
        pair_step(p, 997, 13);
    b = p->side[1].last_opened;
    assert_non_null(b);
    assert_int_equal(b->received, 300000);
    assert_false(b->wrong);
    assert_true(b->got_fin);
}

static void either_side_may_open_streams(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 1);

    end_send(a, 1000);
    pair_run(p);
    assert_true(a->was_accepted);
    assert_int_equal(stream_id(a->stream), 2);
    assert_int_equal(p->side[0].last_opened->received, 1000);
}

static void a_stream_ends_when_both_directions_have(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    end_send(a, 10);
    end_finish(a);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_true(b->got_fin);
    assert_int_equal(a->ended, 0);
    end_send(b, 50000);
    pair_run(p);
    assert_int_equal(a->received, 50000);
    assert_int_equal(b->ended, 0);
    end_finish(b);
    pair_run(p);
    assert_true(a->got_fin);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, 0);
    assert_int_equal(b->ended, 1);
    assert_int_equal(session_stream_count(p->side[0].session), 0);
    assert_int_equal(session_stream_count(p->side[1].session), 0);
}

static void data_before_accept_is_kept_and_delivered_after_it(void **state)
{
    struct pair *p = *state;
    struct mock_end *a, *b;

    p->side[1].accept = false;
    a = end_open(p, 0);
    end_send(a, 5000);
    end_finish(a);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 0);
    assert_false(a->was_accepted);
    stream_accept(b->stream);
    pair_run(p);
    assert_int_equal(b->received, 5000);
    assert_true(b->got_fin);
    assert_true(a->was_accepted);
}

static void before_accept_only_the_small_window_is_sent(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->side[1].accept = false;
    a = end_open(p, 0);
    end_send(a, 100000);
    pair_run(p);
    assert_int_equal(a->sent, 16384);
    stream_accept(p->side[1].last_opened->stream);
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->received, 100000);
}

static void a_refusal_ends_the_opener_with_its_code(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->side[1].refuse = true;
    p->side[1].refuse_code = RESET_REFUSED;
    a = end_open(p, 0);
    end_send(a, 100);
    pair_run(p);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, RESET_REFUSED);
    assert_int_equal(session_stream_count(p->side[1].session), 0);
}

static void a_reader_that_stands_still_stops_its_stream_alone(void **state)
{
    struct pair *p = *state;
    struct mock_end *slow = end_open(p, 0), *fast = end_open(p, 0), *slow_peer;

    pair_run(p);
    slow_peer = p->side[1].peer_ends[0];
    slow_peer->hold = true;
    end_send(slow, 10u << 20);
    end_send(fast, 3u << 20);
    pair_run(p);
    assert_int_equal(p->side[1].peer_ends[1]->received, 3u << 20);
    assert_int_equal(slow->sent, 16384);
    assert_int_equal(slow_peer->unread, 16384);
    end_consume(slow_peer, 16384);
    slow_peer->hold = false;
    pair_run(p);
    assert_int_equal(slow_peer->received, 10u << 20);
    assert_false(slow_peer->wrong);
}

static void a_window_grows_for_a_quick_consumer_up_to_its_limit(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    end_send(a, 16u << 20);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 16u << 20);
    b->hold = true;
    a->to_send += 16u << 20;
    stream_ready(a->stream);
    pair_run(p);
    assert_true(b->unread > 1u << 20);
    assert_true(b->unread <= 4u << 20);
    assert_true(p->budget[1].used <= 16u << 20);
}

/* A budget of 1 MiB: 20 streams that all want 4 MiB exhaust it soon. */
static int small_budget(void **state)
{
    struct pair *p = pair_new();

    p->config[1].session_window_max = 1u << 20;
    pair_connect(p);
    *state = p;
    return 0;
}

static void outstanding_credit_stays_within_the_session_budget(void **state)
{
    struct pair *p = *state;
    struct mock_end *ends[20];
    uint64_t sum = 0;
    int i;

    for (i = 0; i < 20; i++) {
        ends[i] = end_open(p, 0);
        end_send(ends[i], 1u << 20);
    }
    pair_run(p);
    for (i = 0; i < 20; i++) {
        p->side[1].peer_ends[i]->hold = true;
        end_send(ends[i], 1u << 20);
    }
    pair_run(p);
    for (i = 0; i < 20; i++)
        sum += p->side[1].peer_ends[i]->unread;
    assert_true(sum <= 1u << 20);
    assert_true(p->budget[1].used <= 1u << 20);
    for (i = 0; i < 20; i++) {
        p->side[1].peer_ends[i]->hold = false;
        end_consume(p->side[1].peer_ends[i], p->side[1].peer_ends[i]->unread);
    }
    pair_run(p);
    for (i = 0; i < 20; i++) {
        assert_int_equal(p->side[1].peer_ends[i]->received, 2u << 20);
        assert_false(p->side[1].peer_ends[i]->wrong);
    }
}

static void streams_move_on_when_the_process_budget_is_used_up(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->budget[1].limit = 1000;
    a = end_open(p, 0);
    end_send(a, 1u << 20);
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->received, 1u << 20);
}

/* A network that takes 256 KiB a step and holds no more, so that the round decides. */
static void narrow_step(struct pair *p)
{
    p->mock.end[0].room = 256 * 1024;
    mock_flush(&p->mock.end[0]);
    pair_step(p, SIZE_MAX, SIZE_MAX);
}

static void the_round_serves_all_streams_alike(void **state)
{
    struct pair *p = *state;
    struct mock_end *ends[16];
    uint64_t least = UINT64_MAX, most = 0, before[16];
    int i, k;

    for (i = 0; i < 16; i++) {
        ends[i] = end_open(p, 0);
        end_send(ends[i], 1u << 30);
    }
    for (k = 0; k < 40; k++) /* windows grow */
        narrow_step(p);
    for (i = 0; i < 16; i++)
        before[i] = p->side[1].peer_ends[i]->received;
    for (k = 0; k < 100; k++)
        narrow_step(p);
    for (i = 0; i < 16; i++) {
        uint64_t got = p->side[1].peer_ends[i]->received - before[i];

        least = got < least ? got : least;
        most = got > most ? got : most;
        stream_reset(ends[i]->stream, RESET_PEER_RESET, "");
        ends[i]->stream = NULL;
    }
    assert_true(least > 1u << 20);
    assert_true(least * 100 >= most * 95);
    p->mock.end[0].room = SIZE_MAX;
}

static void data_stays_in_the_source_while_the_link_is_full(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);

    pair_run(p);
    end_send(a, 4u << 20);
    pair_run(p); /* windows have grown */
    p->mock.end[0].room = 0;
    end_send(a, 16u << 20);
    pair_run(p);
    assert_true(p->mock.end[0].queued < 600 * 1024);
    p->mock.end[0].room = SIZE_MAX;
    mock_flush(&p->mock.end[0]);
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->received, 20u << 20);
}

static void a_local_reset_reaches_the_peer_behind_the_data(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    a->broken = true;
    end_send(a, 1000);
    pair_run(p);
    b = p->side[1].last_opened;
    assert_int_equal(b->received, 1000);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->end_code, RESET_PEER_RESET);
    assert_int_equal(a->ended, 1);
}

static void a_local_reset_is_noticed_while_the_stream_waits_for_credit(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;

    pair_run(p);
    b = p->side[1].last_opened;
    b->hold = true;
    end_send(a, 1u << 20);
    pair_run(p);
    a->broken = true;
    fake_loop_advance(p->loop, 2000);
    pair_run(p);
    assert_int_equal(a->ended, 1);
    assert_int_equal(b->ended, 1);
    assert_int_equal(b->end_code, RESET_PEER_RESET);
}

static void a_lost_connection_ends_all_streams_and_then_the_session(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b = end_open(p, 1);

    pair_run(p);
    mock_lose(&p->mock.end[0]);
    pair_run(p);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, RESET_GOING_AWAY);
    assert_int_equal(p->side[0].session_ended, 1);
    assert_int_equal(p->side[0].close_code, BURROW_CLOSE_LOST);
    assert_int_equal(p->side[0].last_opened->ended, 1);
    assert_int_equal(b->ended, 0);
}

static void a_close_tells_the_peer_why(void **state)
{
    struct pair *p = *state;

    session_close(p->side[0].session, BURROW_CLOSE_POLICY, "superseded", "a newer one came");
    pair_run(p);
    assert_int_equal(p->side[1].controls, 1);
    assert_non_null(strstr(p->side[1].last_control, "superseded"));
    assert_int_equal(p->side[0].session_ended, 1);
    assert_int_equal(p->mock.end[0].close_code, BURROW_CLOSE_POLICY);
}

static void silence_brings_a_ping_and_then_the_end(void **state)
{
    struct pair *p = *state;
    size_t before;

    pair_run(p);
    before = p->mock.end[1].inbox_len;
    assert_int_equal(before, 0);
    fake_loop_advance(p->loop, 10001);
    assert_true(p->mock.end[1].inbox_len > 0);
    p->mock.end[0].inbox_len = p->mock.end[1].inbox_len = 0; /* lost on the way */
    fake_loop_advance(p->loop, 19000);
    assert_int_equal(p->side[0].session_ended, 0);
    p->mock.end[0].inbox_len = 0;
    fake_loop_advance(p->loop, 2000);
    assert_int_equal(p->side[0].session_ended, 1);
    assert_int_equal(p->mock.end[0].close_code, BURROW_CLOSE_ABORT);
}

static void an_idle_connection_lives_by_pings(void **state)
{
    struct pair *p = *state;
    int i;

    for (i = 0; i < 200; i++) {
        fake_loop_advance(p->loop, 1000);
        pair_run(p);
    }
    assert_int_equal(p->side[0].session_ended, 0);
    assert_int_equal(p->side[1].session_ended, 0);
    assert_true(session_rtt_us(p->side[0].session) < 1000000);
}

static void an_open_without_answer_times_out(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;

    p->side[1].accept = false;
    a = end_open(p, 0);
    pair_run(p);
    fake_loop_advance(p->loop, 9000);
    pair_run(p);
    assert_int_equal(a->ended, 0);
    fake_loop_advance(p->loop, 2000);
    pair_run(p);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->end_code, RESET_TIMED_OUT);
    assert_int_equal(p->side[1].last_opened->ended, 1);
}

static void streams_over_the_limit_are_refused(void **state)
{
    struct pair *p = *state;
    struct mock_end *ends[33];
    int i;

    p->side[1].accept = true;
    for (i = 0; i < 32; i++)
        ends[i] = end_open(p, 0);
    pair_run(p);
    assert_int_equal(session_stream_count(p->side[0].session), 32);
    ends[32] = end_open(p, 0);
    assert_int_equal(ends[32]->ended, -1);
    stream_reset(ends[0]->stream, RESET_PEER_RESET, "");
    ends[0]->stream = NULL;
    pair_run(p);
    ends[32] = end_open(p, 0);
    assert_int_equal(ends[32]->ended, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_in_order_whatever_the_split),
        TEST(either_side_may_open_streams),
        TEST(a_stream_ends_when_both_directions_have),
        TEST(data_before_accept_is_kept_and_delivered_after_it),
        TEST(before_accept_only_the_small_window_is_sent),
        TEST(a_refusal_ends_the_opener_with_its_code),
        TEST(a_reader_that_stands_still_stops_its_stream_alone),
        TEST(a_window_grows_for_a_quick_consumer_up_to_its_limit),
        cmocka_unit_test_setup_teardown(outstanding_credit_stays_within_the_session_budget,
                                        small_budget, pair_teardown),
        TEST(streams_move_on_when_the_process_budget_is_used_up),
        TEST(the_round_serves_all_streams_alike),
        TEST(data_stays_in_the_source_while_the_link_is_full),
        TEST(a_local_reset_reaches_the_peer_behind_the_data),
        TEST(a_local_reset_is_noticed_while_the_stream_waits_for_credit),
        TEST(a_lost_connection_ends_all_streams_and_then_the_session),
        TEST(a_close_tells_the_peer_why),
        TEST(silence_brings_a_ping_and_then_the_end),
        TEST(an_idle_connection_lives_by_pings),
        TEST(an_open_without_answer_times_out),
        TEST(streams_over_the_limit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
