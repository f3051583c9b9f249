/* SPDX-License-Identifier: Apache-2.0 */
/* From a connection to a session, and all the ways that end before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void an_allowed_client_is_answered_and_has_a_session(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.subject = "pg";
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    snprintf(reg->previous_session_id, sizeof reg->previous_session_id, "sess-0");
    rig_send_register(conn, reg);
    fake_loop_settle(rig->loop);
    struct control *ack = calloc(1, sizeof *ack);
    uint8_t version = 0;
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, &version));
    assert_int_equal(version, FRAME_V1);
    assert_string_equal(ack->session_id, "sess-1");
    assert_string_equal(ack->previous_session_id, "sess-0");
    assert_int_equal(ack->protocol, 2);
    assert_int_equal(ack->window, 16384);
    assert_int_equal(ack->max_frame, 65536);
    assert_int_equal(ack->heartbeat_ms, rig->options.heartbeat_interval);
    assert_int_equal(ack->timeout_ms, rig->options.heartbeat_timeout);
    assert_int_equal(ack->service_count, 1);
    assert_string_equal(ack->services[0].code, "");
    assert_int_equal(strncmp(ack->services[0].bridge, "127.0.0.1:", 10), 0);
    control_finish(ack);
    free(ack);
    assert_int_equal(rig->server->session_count, 1);
    assert_int_equal(rig->server->workers[0].pending.count, 0);
}

static void a_denied_credential_is_refused_by_the_transport(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_TOKEN_EXPIRED;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_credential(conn, "t");
    assert_int_equal(conn->admitted, 0);
    fake_loop_settle(rig->loop);
    assert_int_equal(conn->admitted, BURROW_AUTH_DENY);
    assert_int_equal(conn->admit_code, BURROW_CODE_TOKEN_EXPIRED);
    assert_int_equal(conn->admit_request, 1);
    assert_int_equal(rig->server->workers[0].stats.refused[BURROW_CODE_TOKEN_EXPIRED], 1);
    recorder_closed(conn, BURROW_CLOSE_POLICY, 0, 0, "refused");
    assert_int_equal(rig->server->workers[0].pending.count, 0);
}

static void a_connection_that_goes_cancels_its_question(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = 0;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_credential(conn, "t");
    assert_int_equal(auth_pending(rig->server->chain), 1);
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    assert_int_equal(auth_pending(rig->server->chain), 0);
}

static void without_a_credential_the_register_frame_must_bring_the_token(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.subject = "pg";
    struct recorder_conn *conn = rig_accept(rig);
    recorder_open(conn);
    struct control *reg = rig_register("pg", 'a');
    reg->token = strdup("secret");
    rig_send_register(conn, reg);
    assert_true(conn->read_off);
    rig_settle(rig);
    assert_int_equal(rig->script.method, BURROW_CREDENTIAL_REGISTER);
    assert_string_equal(rig->script.token, "secret");
    assert_int_equal(rig->server->session_count, 1);
    assert_false(conn->read_off);
}

static void a_certificate_is_judged_before_the_register_frame(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.subject = "pg";
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_CERTIFICATE);
    rig_settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_ALLOW);
    assert_true(rig->script.cert_len > 0);
    recorder_open(conn);
    rig_send_register(conn, rig_register("pg", 'a'));
    rig_settle(rig);
    assert_int_equal(rig->script.asked, 1);
    assert_int_equal(rig->server->session_count, 1);
}

static void a_certificate_that_nobody_judges_is_shown_again_with_the_token(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_ABSTAIN;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_CERTIFICATE);
    rig_settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_ALLOW);
    recorder_open(conn);
    rig->script.result = BURROW_AUTH_ALLOW;
    rig->script.cert_len = 0;
    struct control *reg = rig_register("pg", 'a');
    reg->token = strdup("secret");
    rig_send_register(conn, reg);
    rig_settle(rig);
    assert_int_equal(rig->script.asked, 2);
    assert_string_equal(rig->script.token, "secret");
    assert_true(rig->script.cert_len > 0);
    assert_int_equal(rig->server->session_count, 1);
}

static void a_certificate_that_nobody_judges_lets_nobody_in_by_itself(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_ABSTAIN;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_CERTIFICATE);
    rig_settle(rig);
    recorder_open(conn);
    rig_send_register(conn, rig_register("pg", 'a'));
    rig_settle(rig);
    rig_expect_error(conn, FRAME_V1, "invalid_token");
    assert_int_equal(rig->server->session_count, 0);
}

static void a_denied_certificate_is_told_in_a_frame_and_no_register_helps(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_TOKEN_EXPIRED;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_CERTIFICATE);
    rig_settle(rig);
    rig->script.result = BURROW_AUTH_ALLOW;
    recorder_open(conn);
    rig_settle(rig);
    rig_expect_error(conn, FRAME_V1, "token_expired");
    assert_int_equal(rig->server->workers[0].stats.refused[BURROW_CODE_TOKEN_EXPIRED], 1);
    assert_int_equal(rig->server->session_count, 0);
    assert_int_equal(rig->server->workers[0].pending.count, 0);
}

static void over_http_an_unjudged_certificate_without_a_token_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_ABSTAIN;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_HEADER);
    rig_settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_DENY);
    assert_int_equal(conn->admit_code, BURROW_CODE_INVALID_TOKEN);
    recorder_closed(conn, BURROW_CLOSE_POLICY, 0, 0, "refused");
}

static void a_denied_register_is_told_the_code(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_MISSING_BEARER;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_open(conn);
    rig_send_register(conn, rig_register("pg", 'a'));
    fake_loop_settle(rig->loop);
    assert_string_equal(rig->script.token, "-");
    rig_expect_error(conn, FRAME_V1, "missing_bearer");
    assert_int_equal(rig->server->session_count, 0);
    assert_null(clients_find(rig->server, "pg"));
}

static void an_unavailable_verifier_is_an_internal_error(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.result = 0;
    struct recorder_conn *conn = rig_accept(rig);
    recorder_open(conn);
    rig_send_register(conn, rig_register("pg", 'a'));
    fake_loop_advance(rig->loop, AUTH_DEADLINE_MS);
    rig_expect_error(conn, FRAME_V1, "internal");
    rig->script.request = NULL;
}

/* Not even the one that knows the certificate, or lets everybody in. */
static void several_credentials_are_refused_and_nobody_is_asked(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_accept(rig);
    recorder_certificate(conn, BURROW_CREDENTIAL_SEVERAL);
    fake_loop_settle(rig->loop);
    assert_int_equal(conn->admitted, BURROW_AUTH_DENY);
    assert_int_equal(conn->admit_code, BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(rig->script.asked, 0);
    assert_int_equal(rig->server->workers[0].stats.refused[BURROW_CODE_INVALID_TOKEN], 1);
    recorder_closed(conn, BURROW_CLOSE_POLICY, 0, 0, "refused");
}

static void a_subject_that_is_not_the_client_id_is_a_mismatch(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    static const char *const ids[] = {"pg2", "p", "PG", "pg "};
    rig->script.subject = "pg";
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct recorder_conn *conn = rig_admitted(rig);
        rig_send_register(conn, rig_register(ids[i], 'a'));
        rig_expect_error(conn, FRAME_V1, "identity_mismatch");
        assert_null(clients_find(rig->server, ids[i]));
    }
}

static void send_v1_register(struct recorder_conn *conn, const char *client_id)
{
    struct control *reg = rig_register(client_id, 'a');
    reg->has_meta = false;
    snprintf(reg->target, sizeof reg->target, "127.0.0.1:9");
    snprintf(reg->previous_session_id, sizeof reg->previous_session_id, "sess-77");
    rig_send_register(conn, reg);
}

/* The message of the first error that was sent, which has no code; copied. */
static void expect_v1_error(const struct recorder_conn *conn, const char *message)
{
    struct control *error = calloc(1, sizeof *error);
    uint8_t version = 0;
    assert_true(recorder_find(conn, CONTROL_ERROR, error, &version));
    assert_int_equal(version, FRAME_V1);
    assert_string_equal(error->code, "");
    assert_int_equal(error->stream_id, 0);
    assert_string_equal(error->message, message);
    assert_true(conn->closing);
    assert_int_equal(conn->close_code, BURROW_CLOSE_INTERNAL);
    free(error);
}

static void a_version_1_client_gets_an_answer_without_meta(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    send_v1_register(conn, "pg");
    struct control *ack = calloc(1, sizeof *ack);
    uint8_t version = 0;
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, &version));
    assert_int_equal(version, FRAME_V1);
    assert_false(ack->has_meta);
    assert_string_equal(ack->session_id, "sess-1");
    assert_string_equal(ack->previous_session_id, "sess-77");
    free(ack);
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    assert_string_equal(b->name, "");
    assert_string_equal(b->target, "127.0.0.1:9");
}

static void a_version_1_client_of_another_name_is_told_so_and_may_come_back(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->script.subject = "pg";
    struct recorder_conn *conn = rig_admitted(rig);
    send_v1_register(conn, "pg2");
    expect_v1_error(conn, "client identity mismatch");
}

static void version_1_needs_a_transport_that_keeps_messages(void **state)
{
    struct rig *rig = *state;
    rig->recorder.ops.flags &= ~BURROW_TRANSPORT_MESSAGES;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    send_v1_register(conn, "pg");
    expect_v1_error(conn, "tls:// needs wire protocol 2; the client offered 1");
}

static void before_its_register_an_admitted_clients_frames_do_not_count(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    const struct frame_header h = {.version = FRAME_V1, .kind = FRAME_DATA, .stream = 1};
    uint8_t data[FRAME_HEADER];
    struct control *beat = calloc(1, sizeof *beat);
    beat->type = CONTROL_HEARTBEAT;
    frame_header_encode(data, &h);
    recorder_data(conn, data, sizeof data);
    recorder_control(conn, FRAME_V1, beat);
    free(beat);
    assert_int_equal(conn->out_len, 0);
    send_v1_register(conn, "pg");
    assert_int_equal(rig->server->session_count, 1);
}

static void nothing_may_follow_the_register_before_its_answer(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_accept(rig);
    recorder_open(conn);
    rig->script.result = 0;
    rig_send_register(conn, rig_register("pg", 'a'));
    recorder_data(conn, "x", 1);
    rig_expect_error(conn, FRAME_V1, "protocol");
    assert_int_equal(auth_pending(rig->server->chain), 0);
}

static void a_register_may_come_byte_by_byte(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    char *text;
    size_t n;
    assert_int_equal(control_encode(reg, &text, &n), 0);
    uint8_t head[FRAME_HEADER];
    const struct frame_header h = {
        .version = FRAME_V1, .kind = FRAME_CONTROL, .length = (uint32_t)n};
    frame_header_encode(head, &h);
    for (size_t i = 0; i < sizeof head; i++)
        recorder_data(conn, head + i, 1);
    for (size_t i = 0; i < n; i++)
        recorder_data(conn, text + i, 1);
    control_text_free(text, n);
    control_finish(reg);
    free(reg);
    assert_int_equal(rig->server->session_count, 1);
}

static void other_first_frames_are_refused(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    static const struct frame_header heads[] = {
        {.version = FRAME_V2, .kind = FRAME_CONTROL, .length = 4},
        {.version = FRAME_V1, .kind = FRAME_CONTROL, .length = 4},
        {.version = FRAME_V1, .kind = FRAME_CONTROL, .length = FRAME_MAX_CONTROL + 1},
        {.version = 0, .kind = 0},
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        uint8_t bytes[FRAME_HEADER + 4] = {0};
        struct recorder_conn *conn = rig_admitted(rig);
        frame_header_encode(bytes, &heads[i]);
        memcpy(bytes + FRAME_HEADER, "null", 4);
        recorder_data(conn, bytes, sizeof bytes);
        rig_expect_error(conn, FRAME_V1, "protocol");
    }
    /* Who has not shown a token yet must begin with it. */
    struct recorder_conn *conn = rig_accept(rig);
    recorder_open(conn);
    struct control *ack = rig_register("pg", 'a');
    ack->type = CONTROL_ERROR;
    rig_send_register(conn, ack);
    rig_expect_error(conn, FRAME_V1, "protocol");
}

static void a_register_must_come_within_five_seconds(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    fake_loop_advance(rig->loop, REGISTER_MS - 1);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1);
    assert_true(conn->closing);
    assert_int_equal(rig->server->workers[0].pending.count, 0);
}

static void a_silent_connection_is_dropped_after_ten_seconds(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_accept(rig);
    fake_loop_advance(rig->loop, HANDSHAKE_MS - 1);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(conn->close_code, BURROW_CLOSE_ABORT);
}

static void at_the_limit_the_oldest_handshake_goes(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *oldest = rig_accept(rig), *second = rig_accept(rig);
    for (unsigned i = 2; i < MAX_PENDING; i++)
        rig_accept(rig);
    assert_false(oldest->closing);
    fake_loop_advance(rig->loop, PENDING_YOUNG_MS);
    rig_accept(rig);
    assert_true(oldest->closing);
    assert_false(second->closing);
    assert_int_equal(rig->server->workers[0].pending.count, MAX_PENDING);
}

static void a_young_handshake_does_not_go_but_for_a_flood(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *oldest = rig_accept(rig);
    for (unsigned i = 1; i < MAX_PENDING; i++)
        rig_accept(rig);
    assert_true(workers_full(rig->server));
    fake_loop_advance(rig->loop, PENDING_YOUNG_MS - 1);
    for (unsigned i = 0; i < PENDING_OVER; i++)
        rig_accept(rig);
    assert_false(oldest->closing);
    rig_accept(rig);
    assert_true(oldest->closing);
}

static void token_in_register_lets_a_connection_without_a_token_go_on(void **state)
{
    struct rig *rig = *state;
    rig->options.token_in_register = 1;
    rig_start(rig);
    struct recorder_conn *conn = rig_accept(rig);
    recorder_credential(conn, NULL);
    assert_int_equal(conn->admitted, BURROW_AUTH_ALLOW);
    assert_int_equal(rig->script.asked, 0);
    recorder_open(conn);
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_MISSING_BEARER;
    rig_send_register(conn, rig_register("pg", 'a'));
    fake_loop_settle(rig->loop);
    rig_expect_error(conn, FRAME_V1, "missing_bearer");
}

static void a_refused_accept_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->recorder.refuse = true;
    assert_null(rig_accept(rig));
    assert_int_equal(rig->server->workers[0].pending.count, 0);
}

static void stop_drops_handshakes_and_ends_sessions(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *client = rig_client(rig, "pg", 'a');
    struct recorder_conn *pending = rig_accept(rig);
    server_stop(rig->server, "SIGTERM");
    assert_true(pending->closing);
    rig_expect_error(client, FRAME_V2, "draining");
    assert_int_equal(client->close_code, BURROW_CLOSE_GOING_AWAY);
    assert_int_equal(rig->stopped, 0);
    fake_loop_advance(rig->loop, 2000);
    assert_int_equal(rig->stopped, 1);
}

static void without_an_auth_plugin_there_is_no_server(void **state)
{
    struct rig *rig = *state;
    const struct server_config config = {.options = &rig->options,
                                         .loop = rig->loop,
                                         .log = &rig->log,
                                         .instances = rig->instances,
                                         .instance_count = 1};
    struct error err = {0};
    assert_true(server_create(&config, &rig->server, &err) < 0);
    assert_non_null(strstr(err.text, "auth-none"));
    assert_null(rig->server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_allowed_client_is_answered_and_has_a_session),
        TEST(a_denied_credential_is_refused_by_the_transport),
        TEST(a_connection_that_goes_cancels_its_question),
        TEST(without_a_credential_the_register_frame_must_bring_the_token),
        TEST(a_certificate_is_judged_before_the_register_frame),
        TEST(a_certificate_that_nobody_judges_is_shown_again_with_the_token),
        TEST(a_certificate_that_nobody_judges_lets_nobody_in_by_itself),
        TEST(a_denied_certificate_is_told_in_a_frame_and_no_register_helps),
        TEST(over_http_an_unjudged_certificate_without_a_token_is_refused),
        TEST(a_denied_register_is_told_the_code),
        TEST(an_unavailable_verifier_is_an_internal_error),
        TEST(several_credentials_are_refused_and_nobody_is_asked),
        TEST(a_subject_that_is_not_the_client_id_is_a_mismatch),
        TEST(a_version_1_client_gets_an_answer_without_meta),
        TEST(a_version_1_client_of_another_name_is_told_so_and_may_come_back),
        TEST(version_1_needs_a_transport_that_keeps_messages),
        TEST(before_its_register_an_admitted_clients_frames_do_not_count),
        TEST(nothing_may_follow_the_register_before_its_answer),
        TEST(a_register_may_come_byte_by_byte),
        TEST(other_first_frames_are_refused),
        TEST(a_register_must_come_within_five_seconds),
        TEST(a_silent_connection_is_dropped_after_ten_seconds),
        TEST(at_the_limit_the_oldest_handshake_goes),
        TEST(a_young_handshake_does_not_go_but_for_a_flood),
        TEST(token_in_register_lets_a_connection_without_a_token_go_on),
        TEST(a_refused_accept_leaves_nothing),
        TEST(stop_drops_handshakes_and_ends_sessions),
        TEST(without_an_auth_plugin_there_is_no_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
