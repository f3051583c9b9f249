/* SPDX-License-Identifier: Apache-2.0 */
/* CONTROL frames: what is written comes back, and what is not known is passed over. */
#include "control_text.h"
#include "wire/frame.h"

static void register_of_version_1_has_no_meta(void **state)
{
    (void)state;
    struct control c = decoded("{\"type\":\"register\",\"client_id\":\"edge.node_01\","
                               "\"target\":\"127.0.0.1:5432\",\"previous_session_id\":\"sess-7\"}");
    assert_int_equal(c.type, CONTROL_REGISTER);
    assert_string_equal(c.client_id, "edge.node_01");
    assert_string_equal(c.target, "127.0.0.1:5432");
    assert_string_equal(c.previous_session_id, "sess-7");
    assert_false(c.has_meta);
    assert_int_equal(c.protocol, 0);
    assert_null(c.token);
    control_finish(&c);
}

static void meta_without_a_protocol_is_a_version_1_peers_own(void **state)
{
    (void)state;
    const struct control c = decoded(REGISTER(",\"meta\":{\"window\":\"wide\",\"token\":\"t\"}"));
    assert_false(c.has_meta);
    assert_null(c.token);
    assert_int_equal(c.window, 0);
}

static void meta_of_protocol_1_needs_nothing_more(void **state)
{
    (void)state;
    const struct control c = decoded(REGISTER(",\"meta\":{\"protocol\":1}"));
    assert_true(c.has_meta);
    assert_int_equal(c.protocol, 1);
}

static void register_of_version_2_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    char token[] = "aaa.bbb.ccc";
    struct control c = {.type = CONTROL_REGISTER,
                        .client_id = "pg",
                        .target = "127.0.0.1:5432",
                        .previous_session_id = "sess-1",
                        .has_meta = true,
                        .protocol = 3,
                        .instance = INSTANCE,
                        .agent = "burrow/0.1.0",
                        .window = 16384,
                        .max_frame = 65536,
                        .token = token,
                        .services = {{.id = 1, .name = "pg", .target = "127.0.0.1:5432"},
                                     {.id = 65535, .port = 65535, .target = "unix:/run/x"}},
                        .service_count = 2};
    struct control back = round_trip(&c);
    assert_string_equal(back.token, token);
    control_finish(&back);
    c.token = NULL;
    assert_memory_equal(&back, &c, sizeof c);
}

static void register_ack_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    const struct control c = {
        .type = CONTROL_REGISTER_ACK,
        .session_id = "sess-9",
        .previous_session_id = "sess-8",
        .has_meta = true,
        .protocol = 2,
        .window = 1,
        .max_frame = 16384,
        .heartbeat_ms = 10000,
        .timeout_ms = 30000,
        .expires_ms = 1764000000000,
        .services = {{.id = 1, .bridge = "0.0.0.0:40123"},
                     {.id = 2, .code = "not_allowed", .message = "port \"80\" \xe2\x9c\x97"}},
        .service_count = 2};
    const struct control back = round_trip(&c);
    assert_memory_equal(&back, &c, sizeof c);
}

static void error_comes_back_as_it_was_sent(void **state)
{
    (void)state;
    const struct control c = {
        .type = CONTROL_ERROR, .code = "superseded", .message = "another instance\nis \\ newer"};
    const struct control back = round_trip(&c);
    assert_memory_equal(&back, &c, sizeof c);
}

static void encoder_writes_only_what_is_set(void **state)
{
    (void)state;
    const struct control c = {.type = CONTROL_REGISTER, .client_id = "pg"};
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(control_encode(&c, &text, &n), 0);
    assert_string_equal(text, "{\"type\":\"register\",\"client_id\":\"pg\"}");
    control_text_free(text, n);
}

static void lists_of_services_and_their_answers_keep_all_members(void **state)
{
    (void)state;
    const struct control offer = {
        .type = CONTROL_SERVICES,
        .serial = UINT32_MAX,
        .service_count = 2,
        .services = {{.id = 1, .name = "pg", .target = "db:5432", .port = 15432},
                     {.id = 65535, .name = "web", .target = "unix:/run/web"}}};
    struct control back = round_trip(&offer);
    assert_int_equal(back.type, CONTROL_SERVICES);
    assert_int_equal(back.serial, UINT32_MAX);
    assert_int_equal(back.service_count, 2);
    assert_memory_equal(back.services, offer.services, 2 * sizeof offer.services[0]);
    const struct control answer = {
        .type = CONTROL_SERVICES_ACK,
        .serial = 1,
        .service_count = 2,
        .services = {{.id = 1, .bridge = "127.0.0.1:15432"},
                     {.id = 65535, .code = "limit", .message = "no free port"}}};
    back = round_trip(&answer);
    assert_int_equal(back.type, CONTROL_SERVICES_ACK);
    assert_memory_equal(back.services, answer.services, 2 * sizeof answer.services[0]);
    const struct control none = {.type = CONTROL_SERVICES, .serial = 2};
    assert_int_equal(round_trip(&none).service_count, 0);
}

static void a_token_its_answer_and_drain_keep_all_members(void **state)
{
    (void)state;
    char token[] = "aaa.bbb.ccc";
    const struct control sent[] = {
        {.type = CONTROL_TOKEN, .serial = 7, .token = token},
        {.type = CONTROL_TOKEN_ACK, .serial = 7, .expires_ms = 1764000000000},
        {.type = CONTROL_TOKEN_ACK, .serial = UINT32_MAX, .code = "invalid_token"},
        {.type = CONTROL_DRAIN, .deadline_ms = 30000},
    };
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        struct control back = round_trip(&sent[i]);
        assert_int_equal(back.type, sent[i].type);
        assert_int_equal(back.serial, sent[i].serial);
        assert_int_equal(back.expires_ms, sent[i].expires_ms);
        assert_int_equal(back.deadline_ms, sent[i].deadline_ms);
        assert_string_equal(back.code, sent[i].code);
        if (sent[i].token != NULL)
            assert_string_equal(back.token, sent[i].token);
        control_finish(&back);
    }
}

static void brackets_in_strings_do_not_nest(void **state)
{
    (void)state;
    const struct control c =
        decoded("{\"type\":\"error\",\"message\":\"[[[[[\\\"[[[[[{{{{{{{{{\\\\\"}");
    assert_string_equal(c.message, "[[[[[\"[[[[[{{{{{{{{{\\");
}

static void unknown_types_and_members_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(decoded("{\"type\":\"weather\",\"client_id\":5}").type, CONTROL_UNKNOWN);
    assert_int_equal(decoded("{\"type\":\"heartbeat\",\"client_id\":5}").type, CONTROL_HEARTBEAT);
    struct control c = decoded(REGISTER(",\"new\":[1,{}],\"session_id\":7,\"code\":null"));
    assert_int_equal(c.type, CONTROL_REGISTER);
    assert_string_equal(c.session_id, "");
    c = decoded(REGISTER_WITH(",\"new\":1e3,\"heartbeat_ms\":\"x\",\"features\":[\"later\"]"));
    assert_int_equal(c.heartbeat_ms, 0);
}

static void texts_for_people_are_cut_between_characters(void **state)
{
    (void)state;
    char json[600] = "{\"type\":\"error\",\"message\":\"";
    for (int i = 0; i < 100; i++)
        strcat(json, "\xe2\x82\xac"); /* 3 bytes each: 255 is 85 of them */
    strcat(json, "\"}");
    assert_int_equal(strlen(decoded(json).message), 255);
    char *const x = strchr(json, '\xe2');
    memmove(x + 1, x, strlen(x) + 1);
    *x = 'x'; /* 1 + 84 * 3 = 253, the 85th does not fit */
    assert_int_equal(strlen(decoded(json).message), 253);
}

static void larger_frames_than_64_kib_are_not_promised(void **state)
{
    (void)state;
    const struct control c =
        decoded(REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE
                         "\",\"window\":4294967295,\"max_frame\":4294967295}"));
    assert_int_equal(c.max_frame, FRAME_MAX_PAYLOAD);
    assert_int_equal(c.window, UINT32_MAX);
}

/* Each control of version 1, as one of its peers writes it, and nothing more comes back. */
static void controls_of_version_1_are_read_and_written_to_the_letter(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum control_type type;
        uint64_t stream;
    } all[] = {
        {"{\"type\":\"open\",\"stream_id\":1,\"target\":\"127.0.0.1:5432\"}", CONTROL_OPEN, 1},
        {"{\"type\":\"open_ack\",\"stream_id\":7}", CONTROL_OPEN_ACK, 7},
        {"{\"type\":\"close\",\"stream_id\":9223372036854775807}", CONTROL_CLOSE, INT64_MAX},
        {"{\"type\":\"heartbeat\"}", CONTROL_HEARTBEAT, 0},
        {"{\"type\":\"heartbeat_ack\"}", CONTROL_HEARTBEAT_ACK, 0},
        {"{\"type\":\"error\",\"stream_id\":3,\"message\":\"refused\"}", CONTROL_ERROR, 3},
        {"{\"type\":\"error\",\"message\":\"client identity mismatch\"}", CONTROL_ERROR, 0},
    };
    for (size_t i = 0; i < COUNT(all); i++) {
        const struct control c = decoded(all[i].json);
        char *text = NULL;
        size_t n = 0;
        assert_int_equal(c.type, all[i].type);
        assert_int_equal(c.stream_id, all[i].stream);
        assert_int_equal(control_encode(&c, &text, &n), 0);
        assert_string_equal(text, all[i].json);
        control_text_free(text, n);
    }
}

static void a_stream_id_is_a_number_that_is_not_negative(void **state)
{
    (void)state;
    assert_int_equal(decoded("{\"type\":\"close\"}").stream_id, 0);
    assert_int_equal(decoded("{\"type\":\"heartbeat\",\"stream_id\":\"x\"}").stream_id, 0);
    assert_refused("{\"type\":\"close\",\"stream_id\":-1}", "stream_id");
    assert_refused("{\"type\":\"open_ack\",\"stream_id\":\"1\"}", "stream_id");
    assert_refused("{\"type\":\"open\",\"stream_id\":1.0}", "stream_id");
}

static void finish_may_be_called_twice(void **state)
{
    (void)state;
    struct control c = decoded(REGISTER_WITH(",\"token\":\"t\""));
    assert_non_null(c.token);
    control_finish(&c);
    assert_null(c.token);
    control_finish(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(register_of_version_1_has_no_meta),
        cmocka_unit_test(meta_without_a_protocol_is_a_version_1_peers_own),
        cmocka_unit_test(meta_of_protocol_1_needs_nothing_more),
        cmocka_unit_test(register_of_version_2_comes_back_as_it_was_sent),
        cmocka_unit_test(register_ack_comes_back_as_it_was_sent),
        cmocka_unit_test(error_comes_back_as_it_was_sent),
        cmocka_unit_test(encoder_writes_only_what_is_set),
        cmocka_unit_test(lists_of_services_and_their_answers_keep_all_members),
        cmocka_unit_test(a_token_its_answer_and_drain_keep_all_members),
        cmocka_unit_test(brackets_in_strings_do_not_nest),
        cmocka_unit_test(unknown_types_and_members_are_ignored),
        cmocka_unit_test(texts_for_people_are_cut_between_characters),
        cmocka_unit_test(larger_frames_than_64_kib_are_not_promised),
        cmocka_unit_test(controls_of_version_1_are_read_and_written_to_the_letter),
        cmocka_unit_test(a_stream_id_is_a_number_that_is_not_negative),
        cmocka_unit_test(finish_may_be_called_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
