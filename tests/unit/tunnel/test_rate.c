/* SPDX-License-Identifier: Apache-2.0 */
/* The speed limit of a session: the bucket by itself, and sessions that have one. */
#include "pair.h"

#include "tunnel/rate.h"

#include <string.h>

#define RATE 100000u
#define BURST 25000u /* of a quarter of a second */

/* ---- the bucket ---------------------------------------------------------------------------- */

static void a_bucket_begins_full_and_fills_with_time(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, RATE, 1000);
    assert_int_equal(bucket_room(&b), BURST);
    bucket_take(&b, BURST);
    assert_int_equal(bucket_room(&b), 0);
    bucket_fill(&b, 1000 + 100000);
    assert_int_equal(bucket_room(&b), 10000);
    bucket_fill(&b, 1000 + 90000000);
    assert_int_equal(bucket_room(&b), BURST);
}

static void a_bucket_loses_no_time_to_rounding(void **state)
{
    struct bucket b;
    uint64_t us;

    (void)state;
    bucket_init(&b, 1500003, 0);
    bucket_take(&b, 375000);
    for (us = 0; us < 100000; us += 3)
        bucket_fill(&b, us);
    bucket_fill(&b, 100000);
    assert_int_equal(b.level, 150000);
    bucket_fill(&b, 200000);
    assert_int_equal(b.level, 300000);
}

static void a_bucket_serves_in_lots(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, RATE, 0);
    assert_int_equal(bucket_lot(&b), 2000);
    bucket_take(&b, BURST);
    assert_in_range(bucket_wait_us(&b), 20000, 20001);
    bucket_fill(&b, 19000);
    assert_int_equal(bucket_room(&b), 0);
    bucket_fill(&b, 19000 + bucket_wait_us(&b));
    assert_int_equal(bucket_room(&b), 2000);
    assert_int_equal(bucket_wait_us(&b), 0);
}

static void a_tiny_rate_waits_no_more_than_a_second(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1, 0);
    bucket_take(&b, 16384);
    assert_in_range(bucket_wait_us(&b), 1000000, 1000001);
}

static void the_largest_rate_does_not_overflow(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1000000000000000, 0);
    bucket_take(&b, 250000000000000);
    bucket_fill(&b, UINT64_MAX);
    assert_int_equal(bucket_room(&b), 250000000000000);
}

static void what_is_given_back_does_not_overflow_the_burst(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, RATE, 0);
    bucket_take(&b, 1000);
    bucket_give_back(&b, 5000);
    assert_int_equal(bucket_room(&b), BURST);
}

/* ---- sessions ------------------------------------------------------------------------------ */

/* A pair whose side 0, the server's, has a limit. */
static int rate_setup(void **state)
{
    struct pair *p = pair_new();

    p->config[0].bytes_per_second = RATE;
    pair_connect(p);
    *state = p;
    return 0;
}

/* A stream that the server opened; *ret_peer is its other end. */
static struct mock_end *stream_between(struct pair *p, struct mock_end **ret_peer)
{
    struct mock_end *e = end_open(p, 0);

    p->side[1].accept = true;
    pair_run(p);
    *ret_peer = p->side[1].last_opened;
    assert_non_null(*ret_peer);
    return e;
}

static void pass_time(struct pair *p, unsigned ms)
{
    for (; ms > 0; ms -= 10) {
        fake_loop_advance(p->loop, 10);
        pair_run(p);
    }
}

static void what_is_sent_is_limited_and_nothing_is_lost(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer, *e = stream_between(p, &peer);

    end_send(e, 1000000);
    pair_run(p);
    assert_in_range(peer->received, 1, BURST);
    pass_time(p, 1000);
    assert_in_range(peer->received, RATE, RATE + BURST);
    pass_time(p, 10000);
    assert_int_equal(peer->received, 1000000);
    assert_false(peer->wrong);
    assert_true(p->stats[0].rate_waits > 0);
}

static void what_is_received_is_limited_by_credit(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer, *e = stream_between(p, &peer);

    end_send(peer, 1000000);
    pair_run(p);
    assert_in_range(e->received, 1, BURST);
    pass_time(p, 1000);
    assert_in_range(e->received, RATE - BURST, RATE + BURST);
    pass_time(p, 10000);
    assert_int_equal(e->received, 1000000);
    assert_false(e->wrong);
}

static void streams_share_the_limit_alike(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer[4], *e[4];
    uint64_t in = 0, out = 0;

    for (int i = 0; i < 4; i++) {
        e[i] = stream_between(p, &peer[i]);
        pass_time(p, 500);
    }
    for (int i = 0; i < 4; i++) {
        end_send(e[i], 10000000);
        end_send(peer[i], 10000000);
    }
    pass_time(p, 4000);
    for (int i = 0; i < 4; i++) {
        assert_in_range(e[i]->received, RATE - BURST, RATE + BURST);
        assert_in_range(peer[i]->received, RATE - BURST, RATE + BURST);
        in += e[i]->received;
        out += peer[i]->received;
    }
    /* Credit that was given before counts too. */
    assert_in_range(in, 4 * RATE - BURST, 4 * RATE + BURST + 4 * 16384);
    assert_in_range(out, 4 * RATE - BURST, 4 * RATE + BURST);
}

static void many_short_streams_do_not_get_around_it(void **state)
{
    struct pair *p = *state;
    uint64_t total = 0;

    for (int i = 0; i < 50; i++) {
        struct mock_end *peer, *e = stream_between(p, &peer);

        end_send(peer, 16384);
        pass_time(p, 20);
        total += e->received;
        stream_reset(e->stream, RESET_PEER_RESET, "");
        pair_run(p);
    }
    assert_in_range(total, RATE / 2, RATE + BURST);
}

static void credit_that_was_not_used_goes_back(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 60; i++) {
        struct mock_end *peer, *e = stream_between(p, &peer);

        end_send(peer, 10);
        pair_run(p);
        assert_int_equal(e->received, 10);
        stream_reset(e->stream, RESET_PEER_RESET, "");
        pair_run(p);
    }
}

static void a_limit_may_be_lifted_while_streams_wait(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer, *e = stream_between(p, &peer);

    end_send(e, 1000000);
    end_send(peer, 1000000);
    pass_time(p, 100);
    assert_true(e->received < 1000000 && peer->received < 1000000);
    session_set_limits(p->side[0].session, 100, 0);
    pass_time(p, 100);
    assert_int_equal(e->received, 1000000);
    assert_int_equal(peer->received, 1000000);
}

static void a_limit_may_come_while_streams_run(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer, *e = stream_between(p, &peer);

    session_set_limits(p->side[0].session, 100, 0);
    pass_time(p, 10);
    end_send(e, 300000);
    pass_time(p, 10);
    assert_int_equal(peer->received, 300000);
    session_set_limits(p->side[0].session, 100, RATE);
    end_send(e, 1000000);
    pass_time(p, 1000);
    assert_in_range(peer->received, 300000 + RATE, 300000 + RATE + BURST);
}

static void a_session_that_waits_takes_no_turns(void **state)
{
    struct pair *p = *state;
    struct mock_end *peer, *e = stream_between(p, &peer);
    uint64_t before;

    end_send(e, 100000000);
    end_send(peer, 100000000);
    pass_time(p, 100);
    before = p->stats[0].rate_waits;
    pass_time(p, 1000);
    assert_in_range(p->stats[0].rate_waits - before, 10, 110);
}

static void an_end_while_streams_wait_is_clean(void **state)
{
    struct pair *p = *state;

    for (int i = 0; i < 5; i++) {
        struct mock_end *peer, *e = stream_between(p, &peer);

        end_send(e, 1000000);
        end_send(peer, 1000000);
        pair_run(p);
    }
    session_close(p->side[0].session, BURROW_CLOSE_NORMAL, NULL, "enough");
    pair_run(p);
    assert_int_equal(p->side[0].session_ended, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rate_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_begins_full_and_fills_with_time),
        cmocka_unit_test(a_bucket_loses_no_time_to_rounding),
        cmocka_unit_test(a_bucket_serves_in_lots),
        cmocka_unit_test(a_tiny_rate_waits_no_more_than_a_second),
        cmocka_unit_test(the_largest_rate_does_not_overflow),
        cmocka_unit_test(what_is_given_back_does_not_overflow_the_burst),
        TEST(what_is_sent_is_limited_and_nothing_is_lost),
        TEST(what_is_received_is_limited_by_credit),
        TEST(streams_share_the_limit_alike),
        TEST(many_short_streams_do_not_get_around_it),
        TEST(credit_that_was_not_used_goes_back),
        TEST(a_limit_may_be_lifted_while_streams_wait),
        TEST(a_limit_may_come_while_streams_run),
        TEST(a_session_that_waits_takes_no_turns),
        TEST(an_end_while_streams_wait_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
