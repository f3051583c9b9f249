/* SPDX-License-Identifier: Apache-2.0 */
/* A newer token inside a session: when it is offered, and what follows from the answer. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* {"exp":1700000600}: ten minutes after the fake clock's beginning. */
#define ENDS_IN_TEN_MINUTES "e30.eyJleHAiOjE3MDAwMDA2MDB9.x"

/* The offer that the server got; finish it. */
static bool find_offer(struct rig *rig, struct control *ret)
{
    uint8_t version = 0;
    if (!recorder_find(rig->recorder.conns, CONTROL_TOKEN, ret, &version))
        return false;
    assert_int_equal(version, FRAME_V2);
    return true;
}

static void assert_offered(struct rig *rig, const char *token, uint32_t serial)
{
    struct control *offer = calloc(1, sizeof *offer);
    assert_true(find_offer(rig, offer));
    assert_string_equal(offer->token, token);
    assert_int_equal(offer->serial, serial);
    control_finish(offer);
    free(offer);
    rig->recorder.conns->out_len = 0; /* the next one is found by itself */
}

static void assert_not_offered(struct rig *rig)
{
    struct control *offer = calloc(1, sizeof *offer);
    assert_false(find_offer(rig, offer));
    free(offer);
}

static void acknowledge(struct rig *rig, uint32_t serial, const char *code, int64_t expires_ms)
{
    struct control *ack = calloc(1, sizeof *ack);
    ack->type = CONTROL_TOKEN_ACK;
    ack->serial = serial;
    ack->expires_ms = expires_ms;
    snprintf(ack->code, sizeof ack->code, "%s", code);
    recorder_control(rig->recorder.conns, FRAME_V2, ack);
    free(ack);
    settle(rig);
}

/* To where the file is looked at: the window is 30 s, the token ends in 60. */
static void pass_to_the_window(struct rig *rig)
{
    fake_loop_advance(rig->loop, 30001);
    settle(rig);
}

static void a_newer_token_is_offered_before_the_old_one_ends(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    write_token(rig, ENDS_IN_TEN_MINUTES);
    fake_loop_advance(rig->loop, 29000);
    assert_not_offered(rig);
    fake_loop_advance(rig->loop, 1001);
    assert_offered(rig, ENDS_IN_TEN_MINUTES, 1);
    acknowledge(rig, 1, "", 1700000600000);
    assert_int_equal(rig->client->expires_ms, 1700000600000);
    fake_loop_advance(rig->loop, 500000);
    assert_not_offered(rig);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
    assert_int_equal(rig->recorder.count, 1);
}

static void an_unchanged_token_is_not_offered(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    fake_loop_advance(rig->loop, 50000);
    assert_not_offered(rig);
    write_token(rig, "newer");
    fake_loop_advance(rig->loop, 10000);
    assert_offered(rig, "newer", 1);
}

static void a_token_file_that_is_gone_is_no_reason_to_cut(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    unlink(rig->file);
    fake_loop_advance(rig->loop, 50000);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
}

static void a_refused_token_leaves_the_old_one_and_is_not_offered_again(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    write_token(rig, "bad");
    pass_to_the_window(rig);
    assert_offered(rig, "bad", 1);
    acknowledge(rig, 1, "invalid_token", 0);
    fake_loop_advance(rig->loop, 12000);
    assert_not_offered(rig);
    write_token(rig, "good");
    fake_loop_advance(rig->loop, 12000);
    assert_offered(rig, "good", 2);
    assert_int_equal(rig->recorder.count, 1);
}

static void a_token_whose_time_has_not_come_is_offered_again(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    write_token(rig, "early");
    pass_to_the_window(rig);
    assert_offered(rig, "early", 1);
    acknowledge(rig, 1, "token_not_yet_valid", 0);
    fake_loop_advance(rig->loop, 12000);
    assert_offered(rig, "early", 2);
}

static void one_offer_is_outstanding_at_a_time(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    write_token(rig, "newer");
    pass_to_the_window(rig);
    assert_offered(rig, "newer", 1);
    write_token(rig, "newest");
    fake_loop_advance(rig->loop, 10000);
    renew_now(rig->client);
    assert_not_offered(rig);
}

static void an_answer_to_another_offer_counts_for_nothing(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    acknowledge(rig, 1, "", 1);
    assert_int_equal(rig->client->expires_ms, 1700000060000);
    write_token(rig, "newer");
    pass_to_the_window(rig);
    acknowledge(rig, 7, "", 1);
    assert_int_equal(rig->client->expires_ms, 1700000060000);
}

static void a_server_that_does_not_answer_is_connected_to_anew(void **state)
{
    struct rig *rig = *state;
    use_file(rig);
    get_connected(rig);
    write_token(rig, "newer");
    pass_to_the_window(rig);
    fake_loop_advance(rig->loop, 15000);
    settle(rig);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->recorder.count, 2);
    assert_string_equal(rig->recorder.conns->token, "newer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_newer_token_is_offered_before_the_old_one_ends),
        TEST(an_unchanged_token_is_not_offered),
        TEST(a_token_file_that_is_gone_is_no_reason_to_cut),
        TEST(a_refused_token_leaves_the_old_one_and_is_not_offered_again),
        TEST(a_token_whose_time_has_not_come_is_offered_again),
        TEST(one_offer_is_outstanding_at_a_time),
        TEST(an_answer_to_another_offer_counts_for_nothing),
        TEST(a_server_that_does_not_answer_is_connected_to_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
