/* SPDX-License-Identifier: Apache-2.0 */
/* The client's state machine: attempts, answers, pauses, the end. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void find_register(struct rig *rig, struct control *ret)
{
    uint8_t version = 0;
    assert_true(recorder_find(rig->recorder.conns, CONTROL_REGISTER, ret, &version));
    assert_int_equal(version, FRAME_V1);
}

static void the_token_goes_by_the_header_where_there_is_one(void **state)
{
    struct rig *rig = *state;
    start(rig);
    assert_string_equal(rig->recorder.conns->token, "abc");
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    find_register(rig, reg);
    assert_null(reg->token);
    assert_string_equal(reg->client_id, "pg");
    assert_int_equal(reg->protocol, 2);
    assert_int_equal(strlen(reg->instance), 32);
    assert_int_equal(reg->service_count, 1);
    assert_string_equal(reg->services[0].target, "127.0.0.1:9");
    assert_string_equal(reg->previous_session_id, "");
    control_finish(reg);
    free(reg);
}

static void the_token_goes_by_the_register_frame_over_raw_tls(void **state)
{
    struct rig *rig = *state;
    snprintf(rig->url, sizeof rig->url, "tls://server.test:%u", (unsigned)rig->port);
    rig->recorder.ops.flags = 0;
    start(rig);
    assert_string_equal(rig->recorder.conns->token, "");
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    find_register(rig, reg);
    assert_string_equal(reg->token, "abc");
    control_finish(reg);
    free(reg);
}

static void token_in_register_keeps_it_out_of_the_header(void **state)
{
    struct rig *rig = *state;
    rig->options.token_in_register = 1;
    start(rig);
    assert_string_equal(rig->recorder.conns->token, "");
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    find_register(rig, reg);
    assert_string_equal(reg->token, "abc");
    control_finish(reg);
    free(reg);
}

static void an_ack_begins_the_session_and_later_frames_are_its_own(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    assert_non_null(rig->client->current);
    assert_string_equal(rig->client->session_id, "sess-1");
}

static void a_server_cannot_make_the_client_race(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_open(rig->recorder.conns);
    answer_with(rig, "sess-1", 1, 2);
    fake_loop_settle(rig->loop);
    assert_in_range(fake_loop_next_timer(rig->loop), HEARTBEAT_MIN_MS, HEARTBEAT_MIN_MS);
}

static void each_address_is_tried_in_turn(void **state)
{
    struct rig *rig = *state;
    start(rig);
    assert_int_equal(rig->recorder.conns->addr.bytes[3], 1);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_UNREACHABLE, 0, 0, "no TLS");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->recorder.count, 2);
    assert_int_equal(rig->recorder.conns->addr.bytes[3], 2);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_UNREACHABLE, 0, 0, "no route");
    settle(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    fake_loop_advance(rig->loop, 1000);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->recorder.count, 3);
}

static void a_name_without_address_is_looked_up_again(void **state)
{
    struct rig *rig = *state;
    rig->options.server_url = "ws://nobody.test/ws";
    start(rig);
    assert_int_equal(rig->recorder.count, 0);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_true(fake_loop_next_timer(rig->loop) <= 1000);
}

/* The longest pause of the cause that the client is in is at most max and its first. */
static void refused_with(struct rig *rig, uint32_t auth_code, enum backoff_cause cause)
{
    unsigned count = rig->recorder.count;
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_REFUSED, 401, auth_code, "unauthorized");
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_int_equal(rig->recorder.count, count); /* no other address: the server has spoken */
    assert_int_equal(rig->client->backoff.failures[cause], 1);
}

static void a_401_waits_as_its_code_demands(void **state)
{
    struct rig *rig = *state;
    start(rig);
    refused_with(rig, BURROW_CODE_INVALID_TOKEN, BACKOFF_REFUSED);
    fake_loop_advance(rig->loop, 5000);
    refused_with(rig, BURROW_CODE_TOKEN_EXPIRED, BACKOFF_EXPIRED_INLINE);
    fake_loop_advance(rig->loop, 15000);
    refused_with(rig, BURROW_CODE_TOKEN_NOT_YET_VALID, BACKOFF_NOT_YET_VALID);
}

static void a_503_is_a_matter_of_the_network(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_REFUSED, 503, 0, "unavailable");
    assert_int_equal(rig->client->backoff.failures[BACKOFF_NETWORK], 1);
}

static void a_refused_register_waits_as_its_code_demands(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_open(rig->recorder.conns);
    send_error(rig, FRAME_V1, "identity_mismatch");
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_int_equal(rig->client->backoff.failures[BACKOFF_REFUSED], 1);
}

/* A server of version 1 answers without meta. */
static void answer_v1(struct rig *rig)
{
    struct control *ack = calloc(1, sizeof *ack);
    ack->type = CONTROL_REGISTER_ACK;
    snprintf(ack->session_id, sizeof ack->session_id, "sess-1");
    recorder_control(rig->recorder.conns, FRAME_V1, ack);
    free(ack);
}

static void a_server_of_version_1_gets_a_session_of_version_1(void **state)
{
    struct rig *rig = *state;
    struct control *beat = calloc(1, sizeof *beat);
    start(rig);
    recorder_open(rig->recorder.conns);
    beat->type = CONTROL_HEARTBEAT; /* may come before the answer, and is none */
    recorder_control(rig->recorder.conns, FRAME_V1, beat);
    free(beat);
    answer_v1(rig);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
    assert_int_equal(session_protocol(rig->client->current->session), 1);
}

static void over_bytes_without_messages_version_1_is_refused(void **state)
{
    struct rig *rig = *state;
    rig->recorder.ops.flags &= ~BURROW_TRANSPORT_MESSAGES;
    start(rig);
    recorder_open(rig->recorder.conns);
    answer_v1(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_int_equal(rig->client->backoff.failures[BACKOFF_REFUSED], 1);
    assert_true(rig->recorder.conns->closing);
}

static void garbage_for_an_answer_is_refused(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_open(rig->recorder.conns);
    recorder_data(rig->recorder.conns, "HTTP/1.1 200 OK\r\n\r\n", 19);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_true(rig->recorder.conns->closing);
}

static void an_answer_must_come_within_ten_seconds(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_open(rig->recorder.conns);
    fake_loop_advance(rig->loop, 9999);
    assert_int_equal(rig->client->state, CLIENT_REGISTERING);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_true(rig->recorder.conns->closing);
}

static void a_lost_session_is_followed_by_another_that_names_it(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->recorder.count, 2);
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    find_register(rig, reg);
    assert_string_equal(reg->previous_session_id, "sess-1");
    control_finish(reg);
    free(reg);
}

static void who_is_superseded_waits_a_minute(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    send_error(rig, FRAME_V2, "superseded");
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    fake_loop_advance(rig->loop, 59999);
    assert_int_equal(rig->recorder.count, 1);
    fake_loop_advance(rig->loop, 6001);
    assert_int_equal(rig->recorder.count, 2);
}

static void a_draining_server_is_asked_again_soon(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    send_error(rig, FRAME_V2, "draining");
    assert_int_equal(rig->client->backoff.failures[BACKOFF_NETWORK], 1);
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->recorder.count, 2);
}

static void a_dial_that_fails_at_once_is_retried_later(void **state)
{
    struct rig *rig = *state;
    rig->recorder.refuse = true;
    start(rig);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    rig->recorder.refuse = false;
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->recorder.count, 1);
}

static void stop_says_good_bye_and_ends(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    client_stop(rig->client, "SIGTERM");
    assert_true(rig->recorder.conns->closing);
    assert_int_equal(rig->recorder.conns->close_code, BURROW_CLOSE_NORMAL);
    assert_int_equal(rig->stopped, 0);
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->stopped, 1);
    assert_int_equal(rig->recorder.count, 1);
}

static void stop_ends_every_state(void **state)
{
    struct rig *rig = *state;
    for (int step = 0; step < 4; step++) {
        fake_loop_hold_lookups(rig->loop, step == 0);
        start(rig);
        if (step >= 2)
            recorder_open(rig->recorder.conns);
        if (step == 3)
            send_error(rig, FRAME_V1, "internal");
        client_stop(rig->client, "SIGTERM");
        fake_loop_advance(rig->loop, 70000);
        assert_int_equal(rig->stopped, step + 1);
        client_destroy(rig->client);
        rig->client = NULL;
        settle(rig);
    }
}

static void a_look_up_that_is_not_answered_is_given_up_and_tried_again(void **state)
{
    struct rig *rig = *state;
    fake_loop_hold_lookups(rig->loop, true);
    start(rig);
    fake_loop_advance(rig->loop, LOOK_UP_MS - 1);
    assert_int_equal(rig->client->state, CLIENT_RESOLVING);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->client->state, CLIENT_WAITING);
    assert_int_equal(rig->client->failures[BACKOFF_NETWORK], 1);
    fake_loop_hold_lookups(rig->loop, false);
    fake_loop_advance(rig->loop, 1000);
    assert_int_equal(rig->client->state, CLIENT_DIALING);
    assert_int_equal(rig->recorder.count, 1);
}

static void a_missing_token_file_is_retried(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    unlink(rig->file);
    start(rig);
    assert_int_equal(rig->recorder.count, 0);
    write_token(rig, "there");
    fake_loop_advance(rig->loop, 10000);
    assert_int_equal(rig->recorder.count, 1);
}

static void a_stream_to_an_unknown_service_is_not_allowed(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    uint8_t bytes[FRAME_SMALL_ROOM];
    const struct frame_open open = {.service = 2, .limit = 16384};
    size_t before = rig->recorder.conns->out_len;
    recorder_data(rig->recorder.conns, bytes, frame_open_encode(bytes, 1, &open));
    fake_loop_settle(rig->loop);
    const uint8_t *p = rig->recorder.conns->out;
    struct frame_header h = {0};
    for (size_t at = before; at < rig->recorder.conns->out_len; at += FRAME_HEADER + h.length) {
        frame_header_decode(&h, p + at);
        if (h.kind != FRAME_RESET)
            continue;
        uint32_t code;
        const char *text;
        size_t n;
        assert_int_equal(frame_reset_decode(&code, &text, &n, p + at + FRAME_HEADER, h.length), 0);
        assert_int_equal(code, RESET_NOT_ALLOWED);
        return;
    }
    fail_msg("no RESET");
}

static void a_lost_session_gives_up_the_dials_of_its_streams(void **state)
{
    struct rig *rig = *state;
    static const char *const slow[] = {"slow.test:80"};
    rig->options.local_target.items = slow;
    get_connected(rig);
    fake_loop_hold_lookups(rig->loop, true);
    uint8_t bytes[FRAME_SMALL_ROOM];
    const struct frame_open open = {.service = 1, .limit = 16384};
    recorder_data(rig->recorder.conns, bytes, frame_open_encode(bytes, 1, &open));
    assert_false(LIST_EMPTY(&rig->client->joinings));
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_true(LIST_EMPTY(&rig->client->joinings));
    fake_loop_hold_lookups(rig->loop, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_token_goes_by_the_header_where_there_is_one),
        TEST(the_token_goes_by_the_register_frame_over_raw_tls),
        TEST(token_in_register_keeps_it_out_of_the_header),
        TEST(an_ack_begins_the_session_and_later_frames_are_its_own),
        TEST(a_server_cannot_make_the_client_race),
        TEST(each_address_is_tried_in_turn),
        TEST(a_name_without_address_is_looked_up_again),
        TEST(a_401_waits_as_its_code_demands),
        TEST(a_503_is_a_matter_of_the_network),
        TEST(a_refused_register_waits_as_its_code_demands),
        TEST(a_server_of_version_1_gets_a_session_of_version_1),
        TEST(over_bytes_without_messages_version_1_is_refused),
        TEST(garbage_for_an_answer_is_refused),
        TEST(an_answer_must_come_within_ten_seconds),
        TEST(a_lost_session_is_followed_by_another_that_names_it),
        TEST(who_is_superseded_waits_a_minute),
        TEST(a_draining_server_is_asked_again_soon),
        TEST(a_dial_that_fails_at_once_is_retried_later),
        TEST(stop_says_good_bye_and_ends),
        TEST(stop_ends_every_state),
        TEST(a_look_up_that_is_not_answered_is_given_up_and_tried_again),
        TEST(a_missing_token_file_is_retried),
        TEST(a_stream_to_an_unknown_service_is_not_allowed),
        TEST(a_lost_session_gives_up_the_dials_of_its_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
