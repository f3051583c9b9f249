/* SPDX-License-Identifier: Apache-2.0 */
/* CONTROL frames that are wrong or too large are refused by name, when read and when written. */
#include "control_text.h"
#include "wire/frame.h"

#include <stdio.h>

static void encoder_refuses_what_the_decoder_would_refuse(void **state)
{
    (void)state;
    const struct control good = {.type = CONTROL_REGISTER,
                                 .client_id = "pg",
                                 .has_meta = true,
                                 .protocol = 2,
                                 .instance = INSTANCE,
                                 .window = 1,
                                 .max_frame = 16384,
                                 .services = {{.id = 1}},
                                 .service_count = 1};
    struct control bad[8];
    for (size_t i = 0; i < COUNT(bad); i++)
        bad[i] = good;
    bad[0].type = CONTROL_UNKNOWN;
    bad[1].client_id[0] = '\0';
    bad[2].instance[31] = '\0';
    bad[3].max_frame = 16383;
    bad[4].services[0].id = 0;
    bad[5].services[0].name[0] = 'A';
    bad[6].target[0] = '\xff';
    memset(bad[7].client_id, 'x', sizeof bad[7].client_id);
    char *text = NULL;
    size_t n = 0;
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(control_encode(&bad[i], &text, &n), BURROW_EINVAL);
    assert_null(text);
    assert_int_equal(control_encode(&good, &text, &n), 0);
    control_text_free(text, n);
}

static void encoder_stops_at_16_kib(void **state)
{
    (void)state;
    struct control c = {.type = CONTROL_REGISTER,
                        .client_id = "pg",
                        .has_meta = true,
                        .protocol = 2,
                        .instance = INSTANCE,
                        .window = 1,
                        .max_frame = 16384};
    char *text = NULL;
    size_t n = 0;
    int r = 0;
    while (r == 0 && c.service_count < CONTROL_MAX_SERVICES) {
        struct control_service *const s = &c.services[c.service_count++];
        s->id = (uint16_t)c.service_count;
        memset(s->target, 't', sizeof s->target - 1);
        memset(s->name, 'n', sizeof s->name - 1);
        control_text_free(text, n);
        text = NULL;
        r = control_encode(&c, &text, &n);
        assert_true(r != 0 || n <= FRAME_MAX_CONTROL);
    }
    assert_int_equal(r, BURROW_ENOMEM);
    assert_true(c.service_count > 40);
}

static void sixty_four_services_are_taken_and_one_more_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *head, *tail;
    } forms[] = {{"{\"type\":\"register_ack\",\"meta\":{" ACK_META ",\"services\":[", "]}}"},
                 {"{\"type\":\"services\",\"serial\":1,\"services\":[", "]}"}};
    for (int run = 0; run < 6; run++) {
        const int count = 63 + run / 2;
        char json[8192];
        int n = snprintf(json, sizeof json, "%s", forms[run % 2].head);
        for (int i = 1; i <= count; i++)
            n += snprintf(json + n, sizeof json - (size_t)n, "%s{\"id\":%d}", i > 1 ? "," : "", i);
        snprintf(json + n, sizeof json - (size_t)n, "%s", forms[run % 2].tail);
        if (count <= 64) {
            const struct control c = decoded(json);
            assert_int_equal(c.service_count, count);
            assert_int_equal(c.services[count - 1].id, count);
        } else {
            assert_refused(json, "64 services");
        }
    }
}

static void a_list_of_services_needs_its_serial_and_its_list(void **state)
{
    (void)state;
    static const struct {
        const char *json, *what;
    } rows[] = {
        {"{\"type\":\"services\",\"services\":[]}", "serial"},
        {"{\"type\":\"services\",\"serial\":0,\"services\":[]}", "serial"},
        {"{\"type\":\"services\",\"serial\":4294967296,\"services\":[]}", "serial"},
        {"{\"type\":\"services\",\"serial\":\"1\",\"services\":[]}", "serial"},
        {"{\"type\":\"services\",\"serial\":1}", "services"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":{}}", "services"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":[1]}", "service"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":[{\"name\":\"a\"}]}", "id"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":[{\"id\":1},{\"id\":1}]}", "one id"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":[{\"id\":1,\"port\":65536}]}", "port"},
        {"{\"type\":\"services\",\"serial\":1,\"services\":[{\"id\":1,\"name\":\"A\"}]}", "name"},
        {"{\"type\":\"services_ack\",\"serial\":1}", "services"},
        {"{\"type\":\"services_ack\",\"services\":[]}", "serial"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_refused(rows[i].json, rows[i].what);
}

static void client_ids_have_1_to_128_bytes(void **state)
{
    (void)state;
    for (size_t length = 0; length <= 130; length++) {
        char id[131], json[256];
        memset(id, 'i', sizeof id);
        id[length] = '\0';
        snprintf(json, sizeof json, "{\"type\":\"register\",\"client_id\":\"%s\"}", id);
        if (length >= 1 && length <= 128) {
            const struct control c = decoded(json);
            assert_string_equal(c.client_id, id);
        } else {
            assert_refused(json, "client_id");
        }
    }
}

static void a_token_needs_its_serial_and_itself(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"token\",\"token\":\"t\"}", "serial");
    assert_refused("{\"type\":\"token\",\"serial\":1}", "token");
    assert_refused("{\"type\":\"token\",\"serial\":1,\"token\":\"\"}", "token");
    assert_refused("{\"type\":\"token_ack\"}", "serial");
    assert_refused("{\"type\":\"drain\",\"deadline_ms\":-1}", "deadline_ms");
}

static void tokens_have_at_most_8_kib(void **state)
{
    (void)state;
    static char token[8194], json[10000];
    for (size_t length = 8191; length <= 8193; length++) {
        memset(token, 't', length);
        token[length] = '\0';
        snprintf(json, sizeof json, REGISTER_WITH(",\"token\":\"%s\""), token);
        if (length <= 8192) {
            struct control c = decoded(json);
            assert_string_equal(c.token, token);
            control_finish(&c);
        } else {
            assert_refused(json, "token");
        }
    }
}

static void control_of_16_kib_is_taken_and_one_byte_more_is_not(void **state)
{
    (void)state;
    static char json[FRAME_MAX_CONTROL + 1];
    const char start[] = "{\"type\":\"error\",\"code\":\"flood\"}";
    memset(json, ' ', sizeof json);
    memcpy(json, start, sizeof start - 1);
    struct control c;
    for (size_t n = FRAME_MAX_CONTROL - 1; n <= FRAME_MAX_CONTROL; n++)
        assert_int_equal(control_decode(&c, json, n, NULL), 0);
    assert_refused_n(json, FRAME_MAX_CONTROL + 1, "16384 bytes");
}

static void nesting_of_8_is_taken_and_9_is_not(void **state)
{
    (void)state;
    for (int depth = 7; depth <= 9; depth++) {
        char json[128] = "{\"type\":\"later\",\"x\":";
        for (int i = 1; i < depth; i++)
            strcat(json, "[");
        for (int i = 1; i < depth; i++)
            strcat(json, "]");
        strcat(json, "}");
        if (depth <= 8)
            assert_int_equal(decoded(json).type, CONTROL_UNKNOWN);
        else
            assert_refused(json, "deeper than 8");
    }
}

static void sixteen_kib_of_open_brackets_are_refused_before_they_are_parsed(void **state)
{
    (void)state;
    static char json[FRAME_MAX_CONTROL];
    memset(json, '[', sizeof json);
    assert_refused_n(json, sizeof json, "deeper than 8");
}

static void what_is_no_json_object_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "[]",
                                      "null",
                                      "\"type\"",
                                      "{\"type\":\"error\"",
                                      "{type:\"error\"}",
                                      "{\"type\":\"error\",}",
                                      "{\"type\":\"error\"} x",
                                      "{\"type\":\"error\"}{}",
                                      "{'type':'error'}",
                                      "{\"type\":\"err\nor\"}",
                                      "{\"a\":01,\"type\":\"error\"}",
                                      "{\"a\":1e999,\"type\":\"error\"}",
                                      "{\"a\":99999999999999999999,\"type\":\"error\"}",
                                      "{\"type\":\"error\",\"a\":\"\xff\"}",
                                      "{\"type\":\"error\",\"a\":\"\xc0\x80\"}",
                                      "{\"type\":\"error\",\"a\":\"\xed\xa0\x80\"}",
                                      "{\"type\":\"error\",\"a\":\"\\ud800\"}",
                                      "{\"type\":\"error\",\"a\":\"\\u0000\"}",
                                      "{\"type\":\"error\",\"\\u0000\":1}",
                                      "\xef\xbb\xbf{\"type\":\"error\"}"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(bad[i], "control: ");
}

static void nul_bytes_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    const char good[] = "{\"type\":\"error\",\"code\":\"flood\"}";
    const size_t n = sizeof good - 1;
    for (size_t at = 0; at <= n; at++) {
        char bad[sizeof good];
        memcpy(bad, good, at);
        bad[at] = '\0';
        memcpy(bad + at + 1, good + at, n - at);
        assert_refused_n(bad, n + 1, "not JSON");
    }
}

static void every_cut_of_a_control_is_refused(void **state)
{
    (void)state;
    const char good[] = REGISTER_WITH(",\"services\":[{\"id\":1,\"name\":\"a\"}]");
    for (size_t n = 0; n < sizeof good - 1; n++)
        assert_refused_n(good, n, "control: ");
    (void)decoded(good);
}

static void members_that_stand_twice_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"type\":\"error\",\"type\":\"error\"}", "twice");
    assert_refused(REGISTER_WITH(",\"window\":5"), "twice");
    assert_refused(REGISTER_WITH(",\"x\":{\"y\":1,\"y\":1}"), "twice");
}

static void members_of_a_wrong_type_or_range_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *json, *what;
    } bad[] = {
        {"{}", "type"},
        {"{\"type\":1}", "type"},
        {"{\"type\":\"register\"}", "client_id"},
        {"{\"type\":\"register\",\"client_id\":1}", "client_id"},
        {"{\"type\":\"register\",\"client_id\":null}", "client_id"},
        {REGISTER(",\"target\":[]"), "target"},
        {REGISTER(",\"previous_session_id\":1"), "previous_session_id"},
        {REGISTER(",\"meta\":[]"), "meta"},
        {REGISTER(",\"meta\":{\"protocol\":\"2\"}"), "protocol"},
        {REGISTER(",\"meta\":{\"protocol\":2.0}"), "protocol"},
        {REGISTER(",\"meta\":{\"protocol\":0}"), "protocol"},
        {REGISTER(",\"meta\":{\"protocol\":-1}"), "protocol"},
        {REGISTER(",\"meta\":{\"protocol\":4294967296}"), "protocol"},
        {REGISTER(",\"meta\":{\"protocol\":2}"), "instance"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"0123\"}"), "instance"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE "0\"}"), "instance"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"g123456789abcdef0123456789abcdef\"}"),
         "instance"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE "\"}"), "window"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE "\",\"window\":0}"),
         "window"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE "\",\"window\":1}"),
         "max_frame"},
        {REGISTER(",\"meta\":{\"protocol\":2,\"instance\":\"" INSTANCE
                  "\",\"window\":1,\"max_frame\":16383}"),
         "max_frame"},
        {REGISTER_WITH(",\"token\":7"), "token"},
        {REGISTER_WITH(",\"agent\":{}"), "agent"},
        {REGISTER_WITH(",\"features\":\"x\""), "features"},
        {REGISTER_WITH(",\"features\":[1]"), "feature"},
        {REGISTER_WITH(",\"services\":{}"), "services"},
        {REGISTER_WITH(",\"services\":[1]"), "service"},
        {REGISTER_WITH(",\"services\":[{}]"), "id"},
        {REGISTER_WITH(",\"services\":[{\"id\":0}]"), "id"},
        {REGISTER_WITH(",\"services\":[{\"id\":65536}]"), "id"},
        {REGISTER_WITH(",\"services\":[{\"id\":1},{\"id\":1}]"), "one id"},
        {REGISTER_WITH(",\"services\":[{\"id\":1,\"port\":65536}]"), "port"},
        {REGISTER_WITH(",\"services\":[{\"id\":1,\"port\":-1}]"), "port"},
        {REGISTER_WITH(",\"services\":[{\"id\":1,\"name\":\"a b\"}]"), "name"},
        {"{\"type\":\"register_ack\",\"meta\":{\"protocol\":2,\"window\":1,\"max_frame\":16384}}",
         "heartbeat_ms"},
        {ACK_WITH(",\"expires_ms\":-1"), "expires_ms"},
        {ACK_WITH(",\"expires_ms\":true"), "expires_ms"},
        {ACK_WITH(",\"services\":[{\"id\":1,\"bridge\":1}]"), "bridge"},
        {"{\"type\":\"error\",\"code\":1}", "code"},
        {"{\"type\":\"error\",\"code\":\"0123456789012345678901234567890123\"}", "code"},
        {"{\"type\":\"error\",\"message\":1}", "message"},
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_refused(bad[i].json, bad[i].what);
}

static void reasons_never_quote_the_token(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"type\":\"register\",\"client_id\":\"pg\",\"meta\":{\"token\":\"sesame",
        "{\"type\":\"register\",\"client_id\":\"pg\",\"meta\":{\"token\":\"sesame\" sesame}}",
        REGISTER_WITH(",\"token\":\"sesame\",\"token\":\"sesame\""),
        REGISTER_WITH(",\"token\":[\"sesame\"]"),
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct control c;
        struct error err = {0};
        assert_int_equal(control_decode(&c, bad[i], strlen(bad[i]), &err), BURROW_EPROTO);
        assert_null(strstr(err.text, "sesame"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoder_refuses_what_the_decoder_would_refuse),
        cmocka_unit_test(encoder_stops_at_16_kib),
        cmocka_unit_test(sixty_four_services_are_taken_and_one_more_is_not),
        cmocka_unit_test(a_list_of_services_needs_its_serial_and_its_list),
        cmocka_unit_test(client_ids_have_1_to_128_bytes),
        cmocka_unit_test(a_token_needs_its_serial_and_itself),
        cmocka_unit_test(tokens_have_at_most_8_kib),
        cmocka_unit_test(control_of_16_kib_is_taken_and_one_byte_more_is_not),
        cmocka_unit_test(nesting_of_8_is_taken_and_9_is_not),
        cmocka_unit_test(sixteen_kib_of_open_brackets_are_refused_before_they_are_parsed),
        cmocka_unit_test(what_is_no_json_object_is_refused),
        cmocka_unit_test(nul_bytes_are_refused_wherever_they_stand),
        cmocka_unit_test(every_cut_of_a_control_is_refused),
        cmocka_unit_test(members_that_stand_twice_are_refused),
        cmocka_unit_test(members_of_a_wrong_type_or_range_are_refused_by_name),
        cmocka_unit_test(reasons_never_quote_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
