/* SPDX-License-Identifier: Apache-2.0 */
/* The client's services: how they are offered, changed and asked for again. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct burrow_list list_of(const char *const *items, size_t n)
{
    return (struct burrow_list){.items = items, .count = n};
}

#define SET(rig, ...)                                                                              \
    set((rig), (const char *const[]){__VA_ARGS__},                                                 \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void set(struct rig *rig, const char *const *items, size_t n)
{
    struct error err = {0};
    const struct burrow_list list = list_of(items, n);
    rig->recorder.conns->out_len = 0; /* only what comes from now on */
    assert_int_equal(client_set_targets(rig->client, &list, &err), BURROW_OK);
    settle(rig);
}

/* The list that was sent since, or NULL. */
static struct control *sent(struct rig *rig)
{
    struct control *list = calloc(1, sizeof *list);
    uint8_t version = 0;
    if (recorder_find(rig->recorder.conns, CONTROL_SERVICES, list, &version)) {
        assert_int_equal(version, FRAME_V2);
        return list;
    }
    free(list);
    return NULL;
}

static void expect_sent(struct rig *rig, uint32_t serial, size_t n, const uint16_t *ids)
{
    struct control *list = sent(rig);
    assert_non_null(list);
    assert_int_equal(list->serial, serial);
    assert_int_equal(list->service_count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(list->services[i].id, ids[i]);
    free(list);
}

/* The server's answer: code "" is a bridge, for each service that the client has. */
static void acknowledge(struct rig *rig, uint32_t serial, const char *code)
{
    struct control *ack = calloc(1, sizeof *ack);
    ack->type = CONTROL_SERVICES_ACK;
    ack->serial = serial;
    ack->service_count = rig->client->target_count;
    for (size_t i = 0; i < ack->service_count; i++) {
        ack->services[i].id = rig->client->targets[i].id;
        snprintf(ack->services[i].code, sizeof ack->services[i].code, "%s", code);
        if (code[0] == '\0')
            snprintf(ack->services[i].bridge, sizeof ack->services[i].bridge, "127.0.0.1:%zu",
                     i + 1);
    }
    rig->recorder.conns->out_len = 0;
    recorder_control(rig->recorder.conns, FRAME_V2, ack);
    free(ack);
    settle(rig);
}

/* The RESET that answers an OPEN of this service; 0: none. */
static uint32_t open_service(struct rig *rig, uint64_t stream, uint16_t service)
{
    struct recorder_conn *conn = rig->recorder.conns;
    const struct frame_open open = {.service = service, .limit = 1024};
    uint8_t frame[FRAME_SMALL_ROOM];
    conn->out_len = 0;
    recorder_data(conn, frame, frame_open_encode(frame, stream, &open));
    settle(rig);
    struct frame_header h;
    for (size_t at = 0; at < conn->out_len; at += FRAME_HEADER + h.length) {
        frame_header_decode(&h, conn->out + at);
        if (h.kind == FRAME_RESET && h.stream == stream)
            return get_u32(conn->out + at + FRAME_HEADER);
    }
    return 0;
}

static void the_register_offers_all_services(void **state)
{
    struct rig *rig = *state;
    static const char *const targets[] = {"pg=127.0.0.1:9,port=15432",
                                          "web=unix:/run/w,proxy-protocol=v2"};
    rig->options.local_target = list_of(targets, 2);
    start(rig);
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    assert_true(recorder_find(rig->recorder.conns, CONTROL_REGISTER, reg, NULL));
    assert_int_equal(reg->service_count, 2);
    assert_int_equal(reg->services[0].id, 1);
    assert_int_equal(reg->services[0].port, 15432);
    assert_string_equal(reg->services[0].name, "pg");
    assert_string_equal(reg->services[0].target, "127.0.0.1:9");
    assert_int_equal(reg->services[1].id, 2);
    assert_string_equal(reg->services[1].target, "unix:/run/w");
    assert_string_equal(reg->target, "127.0.0.1:9");
    control_finish(reg);
    free(reg);
}

static void a_register_that_is_too_long_leaves_the_targets_out(void **state)
{
    struct rig *rig = *state;
    static char texts[64][200], token[8000];
    const char *items[64];
    for (size_t i = 0; i < 64; i++) {
        int n = snprintf(texts[i], sizeof texts[i], "%055zu-name=unix:/", i);
        memset(texts[i] + n, 'x', 100);
        items[i] = texts[i];
    }
    memset(token, 't', sizeof token);
    rig->options.bearer_token = (struct burrow_secret){(const uint8_t *)token, sizeof token};
    rig->options.token_in_register = 1;
    rig->options.local_target = list_of(items, 64);
    start(rig);
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    assert_true(recorder_find(rig->recorder.conns, CONTROL_REGISTER, reg, NULL));
    assert_int_equal(reg->service_count, 64);
    assert_string_equal(reg->services[63].target, "");
    assert_int_equal(strlen(reg->services[63].name), 60);
    control_finish(reg);
    free(reg);
}

static void names_that_stay_keep_their_ids_and_new_ones_get_new_ids(void **state)
{
    struct rig *rig = *state;
    get_connected(rig); /* the service "" is 1 */
    SET(rig, "pg=127.0.0.1:9", "127.0.0.1:9");
    expect_sent(rig, 1, 2, (const uint16_t[]){2, 1});
    SET(rig, "web=127.0.0.1:9", "pg=127.0.0.1:10");
    expect_sent(rig, 2, 2, (const uint16_t[]){3, 2});
    SET(rig, "127.0.0.1:9");
    expect_sent(rig, 3, 1, (const uint16_t[]){4});
}

static void nothing_is_said_when_the_server_would_learn_nothing(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    SET(rig, "127.0.0.1:9");
    assert_null(sent(rig));
    SET(rig, "127.0.0.1:9,proxy-protocol=v1");
    assert_null(sent(rig));
    assert_int_equal(rig->client->targets[0].proxy, PROXY_V1);
}

static void a_bad_list_changes_nothing(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    struct error err = {0};
    static const char *const bad[] = {"pg=127.0.0.1:9", "pg=127.0.0.1:10"};
    const struct burrow_list list = list_of(bad, 2);
    assert_int_equal(client_set_targets(rig->client, &list, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "--local-target"));
    assert_int_equal(rig->client->target_count, 1);
    assert_string_equal(rig->client->targets[0].name, "");
}

static void opens_of_withdrawn_services_are_told_so_and_unknown_ones_are_refused(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    SET(rig, "pg=127.0.0.1:9");
    assert_int_equal(open_service(rig, 1, 1), RESET_WITHDRAWN);
    assert_int_equal(open_service(rig, 3, 3), RESET_NOT_ALLOWED);
    assert_int_equal(open_service(rig, 5, 0), RESET_NOT_ALLOWED);
    assert_int_equal(open_service(rig, 7, UINT16_MAX), RESET_NOT_ALLOWED);
    assert_false(rig->recorder.conns->closing);
}

static void a_flood_of_opens_of_unknown_services_does_not_fill_the_log(void **state)
{
    struct rig *rig = *state;
    FILE *file = tmpfile();
    char line[512];
    unsigned lines = 0;
    assert_non_null(file);
    get_connected(rig);
    log_init(&rig->log, fileno(file), BURROW_LOG_WARN, LOG_LOGFMT);
    for (uint64_t stream = 1; stream < 200; stream += 2)
        assert_int_equal(open_service(rig, stream, 9), RESET_NOT_ALLOWED);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
        lines += strstr(line, "event=service_unknown") != NULL;
    assert_int_equal(lines, LOG_SAMPLE);
    fclose(file);
}

static void a_change_during_the_register_is_told_behind_its_answer(void **state)
{
    struct rig *rig = *state;
    start(rig);
    recorder_open(rig->recorder.conns);
    SET(rig, "pg=127.0.0.1:9");
    assert_null(sent(rig));
    answer(rig, "sess-1");
    settle(rig);
    expect_sent(rig, 1, 1, (const uint16_t[]){2});
}

static void a_change_without_a_session_is_told_by_the_next_register(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    static const char *const items[] = {"pg=127.0.0.1:9"};
    const struct burrow_list list = list_of(items, 1);
    assert_int_equal(client_set_targets(rig->client, &list, NULL), BURROW_OK);
    fake_loop_advance(rig->loop, 1000);
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    assert_true(recorder_find(rig->recorder.conns, CONTROL_REGISTER, reg, NULL));
    assert_int_equal(reg->service_count, 1);
    assert_string_equal(reg->services[0].name, "pg");
    control_finish(reg);
    free(reg);
}

static void what_the_server_refuses_for_now_is_asked_for_again(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    SET(rig, "127.0.0.1:9", "pg=127.0.0.1:9");
    acknowledge(rig, 1, "limit");
    assert_null(sent(rig));
    fake_loop_advance(rig->loop, 5000);
    expect_sent(rig, 2, 2, (const uint16_t[]){1, 2});
    acknowledge(rig, 2, "internal");
    fake_loop_advance(rig->loop, 10000);
    expect_sent(rig, 3, 2, (const uint16_t[]){1, 2});
    acknowledge(rig, 3, "");
    assert_string_equal(rig->client->targets[1].bridge, "127.0.0.1:2");
    fake_loop_advance(rig->loop, 120000);
    assert_null(sent(rig));
}

static void what_is_not_allowed_is_not_asked_for_again(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    SET(rig, "pg=127.0.0.1:9");
    acknowledge(rig, 1, "not_allowed");
    fake_loop_advance(rig->loop, 120000);
    assert_null(sent(rig));
}

static void an_answer_to_an_older_list_is_passed_over(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    SET(rig, "pg=127.0.0.1:9");
    SET(rig, "web=127.0.0.1:9");
    acknowledge(rig, 1, "");
    assert_string_equal(rig->client->targets[0].bridge, "");
    acknowledge(rig, 2, "");
    assert_string_equal(rig->client->targets[0].bridge, "127.0.0.1:1");
}

static void ids_that_have_grown_high_begin_anew_with_a_session(void **state)
{
    struct rig *rig = *state;
    get_connected(rig);
    rig->client->last_service_id = UINT16_MAX - 1;
    SET(rig, "pg=127.0.0.1:9");
    expect_sent(rig, 1, 1, (const uint16_t[]){UINT16_MAX});
    struct error err = {0};
    static const char *const items[] = {"web=127.0.0.1:9"};
    const struct burrow_list list = list_of(items, 1);
    assert_int_equal(client_set_targets(rig->client, &list, &err), BURROW_ENOMEM);
    assert_string_equal(rig->client->targets[0].name, "pg");
    recorder_closed(rig->recorder.conns, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    fake_loop_advance(rig->loop, 1000);
    recorder_open(rig->recorder.conns);
    struct control *reg = calloc(1, sizeof *reg);
    assert_true(recorder_find(rig->recorder.conns, CONTROL_REGISTER, reg, NULL));
    assert_int_equal(reg->services[0].id, 1);
    control_finish(reg);
    free(reg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_register_offers_all_services),
        TEST(a_register_that_is_too_long_leaves_the_targets_out),
        TEST(names_that_stay_keep_their_ids_and_new_ones_get_new_ids),
        TEST(nothing_is_said_when_the_server_would_learn_nothing),
        TEST(a_bad_list_changes_nothing),
        TEST(opens_of_withdrawn_services_are_told_so_and_unknown_ones_are_refused),
        TEST(a_flood_of_opens_of_unknown_services_does_not_fill_the_log),
        TEST(a_change_during_the_register_is_told_behind_its_answer),
        TEST(a_change_without_a_session_is_told_by_the_next_register),
        TEST(what_the_server_refuses_for_now_is_asked_for_again),
        TEST(what_is_not_allowed_is_not_asked_for_again),
        TEST(an_answer_to_an_older_list_is_passed_over),
        TEST(ids_that_have_grown_high_begin_anew_with_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
