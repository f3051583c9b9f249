/* SPDX-License-Identifier: Apache-2.0 */
/* What a session does with a peer that breaks the rules of docs/wire.md. */
#include "pair.h"

#include <string.h>

#define ROOM FRAME_SMALL_ROOM

static size_t data_frame(uint8_t *p, uint64_t stream, uint32_t n)
{
    struct frame_header h = {
        .version = FRAME_V2, .kind = FRAME_DATA, .stream = stream, .length = n};

    frame_header_encode(p, &h);
    memset(p + FRAME_HEADER, 0, n);
    return FRAME_HEADER + n;
}

static void inject_open(struct pair *p, int side, uint64_t id)
{
    uint8_t f[ROOM];
    struct frame_open open = {.service = 1, .limit = 16384};

    inject(p, side, f, frame_open_encode(f, id, &open));
}

static void expect_session_error(struct pair *p, int side, const char *code)
{
    struct side *other = &p->side[!side];

    pair_run(p);
    assert_int_equal(p->side[side].session_ended, 1);
    assert_int_equal(p->mock.end[side].close_code,
                     strcmp(code, "flood") == 0 ? BURROW_CLOSE_POLICY : BURROW_CLOSE_PROTOCOL);
    assert_int_equal(other->controls, 1);
    assert_non_null(strstr(other->last_control, code));
}

static void an_open_with_the_wrong_parity_ends_the_connection(void **state)
{
    inject_open(*state, 1, 2); /* side 0 opens odd ids */
    expect_session_error(*state, 1, "protocol");
}

static void an_open_that_does_not_rise_ends_the_connection(void **state)
{
    struct pair *p = *state;

    end_open(p, 0);
    end_open(p, 0);
    pair_run(p);
    inject_open(p, 1, 3);
    expect_session_error(p, 1, "protocol");
}

static void a_frame_for_a_stream_that_never_was_ends_the_connection(void **state)
{
    uint8_t f[ROOM];

    inject(*state, 1, f, data_frame(f, 7, 1));
    expect_session_error(*state, 1, "protocol");
}

static void a_frame_for_a_stream_of_ours_that_never_was_ends_the_connection(void **state)
{
    uint8_t f[ROOM];

    inject(*state, 1, f, frame_fin_encode(f, 2, 0));
    expect_session_error(*state, 1, "protocol");
}

static void late_frames_of_an_ended_stream_are_ignored(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0);
    uint8_t f[ROOM];

    pair_run(p);
    stream_reset(a->stream, RESET_PEER_RESET, "");
    a->stream = NULL;
    pair_run(p);
    assert_int_equal(p->side[1].last_opened->ended, 1);
    inject(p, 1, f, data_frame(f, 1, 100));
    inject(p, 1, f, frame_fin_encode(f, 1, 100));
    inject(p, 1, f, frame_window_encode(f, 1, 0, 1 << 20));
    inject(p, 1, f, frame_accept_encode(f, 1, 1 << 20));
    inject(p, 1, f, frame_reset_encode(f, 1, RESET_REFUSED, ""));
    pair_run(p);
    assert_int_equal(p->side[1].session_ended, 0);
    assert_int_equal(p->side[1].last_opened->ended, 1);
}

/* The stream alone ends, with RESET 8, and the session goes on. */
static void expect_stream_error(struct pair *p, struct mock_end *victim)
{
    pair_run(p);
    assert_int_equal(victim->ended, 1);
    assert_int_equal(victim->end_code, RESET_PROTOCOL);
    assert_int_equal(p->side[0].session_ended, 0);
    assert_int_equal(p->side[1].session_ended, 0);
    assert_int_equal(session_stream_count(p->side[0].session), 0);
    assert_int_equal(session_stream_count(p->side[1].session), 0);
}

static struct mock_end *opened(struct pair *p)
{
    p->log.level = BURROW_LOG_ERROR + 1;
    end_open(p, 0);
    pair_run(p);
    return p->side[1].last_opened;
}

static void data_past_the_window_resets_the_stream(void **state)
{
    struct pair *p = *state;
    struct mock_end *b = opened(p);
    static uint8_t f[FRAME_HEADER + 16385];

    b->hold = true;
    inject(p, 1, f, data_frame(f, 1, 16384));
    pair_run(p);
    assert_int_equal(b->ended, 0);
    inject(p, 1, f, data_frame(f, 1, 1));
    expect_stream_error(p, b);
}

static void data_after_fin_resets_the_stream(void **state)
{
    struct pair *p = *state;
    struct mock_end *b = opened(p);
    uint8_t f[ROOM];

    inject(p, 1, f, frame_fin_encode(f, 1, 0));
    inject(p, 1, f, data_frame(f, 1, 1));
    expect_stream_error(p, b);
}

static void a_fin_at_the_wrong_offset_resets_the_stream(void **state)
{
    struct pair *p = *state;
    struct mock_end *b = opened(p);
    uint8_t f[ROOM];

    inject(p, 1, f, frame_fin_encode(f, 1, 5));
    expect_stream_error(p, b);
}

static void a_window_for_more_than_was_sent_resets_the_stream(void **state)
{
    struct pair *p = *state;
    struct mock_end *b = opened(p);
    uint8_t f[ROOM];

    inject(p, 1, f, frame_window_encode(f, 1, 1, 1 << 20));
    expect_stream_error(p, b);
}

static void an_accept_for_a_stream_of_the_peers_resets_it(void **state)
{
    struct pair *p = *state;
    struct mock_end *b = opened(p);
    uint8_t f[ROOM];

    inject(p, 1, f, frame_accept_encode(f, 1, 1 << 20));
    expect_stream_error(p, b);
}

static void data_before_accept_from_the_acceptor_resets_the_stream(void **state)
{
    struct pair *p = *state;
    struct mock_end *a;
    uint8_t f[ROOM];

    p->log.level = BURROW_LOG_ERROR + 1;
    p->side[1].accept = false;
    a = end_open(p, 0);
    pair_run(p);
    inject(p, 0, f, data_frame(f, 1, 1));
    expect_stream_error(p, a);
}

static void limits_never_fall(void **state)
{
    struct pair *p = *state;
    struct mock_end *a = end_open(p, 0), *b;
    uint8_t f[ROOM];

    pair_run(p);
    b = p->side[1].last_opened;
    inject(p, 0, f, frame_window_encode(f, 1, 0, 0));
    end_send(a, 16384);
    pair_run(p);
    assert_int_equal(b->received, 16384);
}

static void more_than_ten_pings_a_second_end_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t f[ROOM];
    int i;

    pair_run(p);
    fake_loop_advance(p->loop, 2000);
    for (i = 0; i < 10; i++)
        inject(p, 1, f, frame_ping_encode(f, FRAME_PING, 1));
    pair_run(p);
    assert_int_equal(p->side[1].session_ended, 0);
    inject(p, 1, f, frame_ping_encode(f, FRAME_PING, 1));
    expect_session_error(p, 1, "flood");
}

static void pongs_are_merged_to_the_newest_ping(void **state)
{
    struct pair *p = *state;
    uint8_t f[ROOM];
    int i;

    pair_run(p);
    for (i = 0; i < 5; i++)
        inject(p, 1, f, frame_ping_encode(f, FRAME_PING, (uint64_t)i + 100));
    fake_loop_turn(p->loop);
    mock_receive(&p->mock.end[1], SIZE_MAX, SIZE_MAX);
    fake_loop_turn(p->loop);
    assert_int_equal(p->mock.end[0].inbox_len, FRAME_HEADER + 8);
    assert_int_equal(get_u64(p->mock.end[0].inbox + FRAME_HEADER), 104);
}

static void too_many_refusals_that_wait_end_the_connection(void **state)
{
    struct pair *p = *state;
    uint8_t f[ROOM];
    struct frame_open open = {.service = 1};
    uint64_t i;

    p->side[1].refuse = true;
    p->side[1].refuse_code = RESET_NOT_ALLOWED;
    for (i = 0; i < 1024; i++)
        inject(p, 1, f, frame_open_encode(f, 2 * i + 1, &open));
    mock_receive(&p->mock.end[1], SIZE_MAX, SIZE_MAX);
    assert_int_equal(p->side[1].session_ended, 0);
    inject(p, 1, f, frame_open_encode(f, 2 * i + 1, &open));
    mock_receive(&p->mock.end[1], SIZE_MAX, SIZE_MAX);
    fake_loop_turn(p->loop);
    assert_int_equal(p->side[1].session_ended, 1);
    assert_int_equal(p->mock.end[1].close_code, BURROW_CLOSE_POLICY);
}

static void a_broken_frame_ends_the_connection(void **state)
{
    uint8_t f[FRAME_HEADER] = {9, 2};

    inject(*state, 1, f, sizeof f);
    expect_session_error(*state, 1, "protocol");
}

static void unknown_kinds_are_skipped(void **state)
{
    struct pair *p = *state;
    uint8_t f[ROOM];
    size_t n = data_frame(f, 0, 20);

    f[1] = 77;
    inject(p, 1, f, n);
    end_open(p, 0);
    pair_run(p);
    assert_int_equal(p->side[1].session_ended, 0);
    assert_non_null(p->side[1].last_opened);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_open_with_the_wrong_parity_ends_the_connection),
        TEST(an_open_that_does_not_rise_ends_the_connection),
        TEST(a_frame_for_a_stream_that_never_was_ends_the_connection),
        TEST(a_frame_for_a_stream_of_ours_that_never_was_ends_the_connection),
        TEST(late_frames_of_an_ended_stream_are_ignored),
        TEST(data_past_the_window_resets_the_stream),
        TEST(data_after_fin_resets_the_stream),
        TEST(a_fin_at_the_wrong_offset_resets_the_stream),
        TEST(a_window_for_more_than_was_sent_resets_the_stream),
        TEST(an_accept_for_a_stream_of_the_peers_resets_it),
        TEST(data_before_accept_from_the_acceptor_resets_the_stream),
        TEST(limits_never_fall),
        TEST(more_than_ten_pings_a_second_end_the_connection),
        TEST(pongs_are_merged_to_the_newest_ping),
        TEST(too_many_refusals_that_wait_end_the_connection),
        TEST(a_broken_frame_ends_the_connection),
        TEST(unknown_kinds_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
