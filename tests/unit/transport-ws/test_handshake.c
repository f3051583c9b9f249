/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the opening handshake: what is written, and how strictly a response is read. */
#include "ws_handshake.h"

#include <burrow/auth.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define GOOD "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"

static int read_head(const char *head, struct ws_response *ret)
{
    assert_int_equal(ws_head_length(head, strlen(head)), strlen(head));
    return ws_response_parse(head, strlen(head), ACCEPT, ret);
}

static void the_rfc_s_key_has_the_rfc_s_answer(void **state)
{
    char accept[WS_ACCEPT_LEN + 1];
    (void)state;
    assert_int_equal(ws_accept_value(KEY, strlen(KEY), accept), BURROW_OK);
    assert_string_equal(accept, ACCEPT);
}

static void keys_are_sixteen_bytes_in_base64(void **state)
{
    char key[WS_KEY_LEN + 1], other[WS_KEY_LEN + 1];
    (void)state;
    assert_int_equal(ws_key_new(key), BURROW_OK);
    assert_int_equal(ws_key_new(other), BURROW_OK);
    assert_string_not_equal(key, other);
    assert_true(ws_key_valid(key, strlen(key)));
    assert_false(ws_key_valid("", 0));
    assert_false(ws_key_valid(KEY, strlen(KEY) - 1));
    assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25jZQ=a", 24));
    assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25jZ===", 24));
    assert_false(ws_key_valid("dGhlIHNhbXBsZSBub25j Q==", 24));
}

static void lists_are_read_in_any_case_and_spacing(void **state)
{
    (void)state;
    assert_true(ws_list_has("Upgrade", 7, "upgrade"));
    assert_true(ws_list_has("keep-alive ,\tUPGRADE", 20, "upgrade"));
    assert_false(ws_list_has("upgraded", 8, "upgrade"));
    assert_false(ws_list_has("", 0, "upgrade"));
}

static void a_request_names_the_url_s_host(void **state)
{
    char *text;
    size_t len;
    (void)state;
    struct ws_request request = {.host = "::1", .path = "/ws?a=b", .key = KEY, .port = 8080};
    assert_int_equal(ws_request_text(&request, &text, &len), BURROW_OK);
    assert_non_null(strstr(text, "GET /ws?a=b HTTP/1.1\r\nHost: [::1]:8080\r\n"));
    assert_null(strstr(text, "Authorization"));
    assert_int_equal(strlen(text), len);
    free(text);
    request = (struct ws_request){
        .host = "example.com", .path = "/ws", .key = KEY, .port = 443, .tls = true, .token = "t"};
    assert_int_equal(ws_request_text(&request, &text, &len), BURROW_OK);
    assert_non_null(strstr(text, "Host: example.com\r\n"));
    assert_non_null(strstr(text, "Authorization: Bearer t\r\n\r\n"));
    free(text);
}

static void nothing_can_smuggle_a_header_into_a_request(void **state)
{
    char *text;
    size_t len;
    (void)state;
    static const struct ws_request bad[] = {
        {.host = "a\r\nb", .path = "/", .key = KEY},
        {.host = "", .path = "/", .key = KEY},
        {.host = "a", .path = "/ HTTP/1.1\r\nX: y", .key = KEY},
        {.host = "a", .path = "ws", .key = KEY},
        {.host = "a", .path = "/", .key = KEY, .token = "t\r\nX: y"},
        {.host = "a", .path = "/", .key = KEY, .token = "t\x80"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ws_request_text(&bad[i], &text, &len), BURROW_EINVAL);
}

static void a_good_response_upgrades(void **state)
{
    struct ws_response response;
    (void)state;
    assert_int_equal(read_head("HTTP/1.1 101 Switching Protocols\r\n" GOOD "\r\n", &response), 0);
    assert_true(response.upgraded);
    assert_int_equal(read_head("HTTP/1.1 101\r\nconnection:keep-alive, upgrade\r\nUPGRADE:"
                               "WebSocket\r\nsec-websocket-accept:\t" ACCEPT " \r\n\r\n",
                               &response),
                     0);
    assert_true(response.upgraded);
}

static void a_response_that_does_not_answer_is_refused(void **state)
{
    struct ws_response response;
    (void)state;
    static const char *const bad[] = {
        "HTTP/2 101 x\r\n" GOOD "\r\n",
        "HTTP/1.1 1010 x\r\n" GOOD "\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT
        "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Sec-WebSocket-Protocol: chat\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD " folded: x\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "no colon\r\n\r\n",
        "HTTP/1.1 101 x\r\n" GOOD "Name : x\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_head(bad[i], &response), BURROW_EPROTO);
        assert_non_null(response.fault);
    }
}

static void a_refusal_tells_its_status_and_length(void **state)
{
    struct ws_response response;
    (void)state;
    assert_int_equal(
        read_head("HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\n", &response), 0);
    assert_false(response.upgraded);
    assert_int_equal(response.status, 401);
    assert_true(response.length_known);
    assert_int_equal(response.length, 12);
    assert_int_equal(read_head("HTTP/1.0 503 x\r\nContent-Length: 1x\r\n\r\n", &response), 0);
    assert_false(response.length_known);
}

static void a_head_ends_with_an_empty_line(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
    (void)state;
    for (size_t n = 0; n < sizeof head - 1 - 4; n++)
        assert_int_equal(ws_head_length(head, n), 0);
    assert_int_equal(ws_head_length(head, sizeof head - 1), sizeof head - 1 - 4);
}

static void codes_are_found_in_a_body_wherever_they_stand(void **state)
{
    (void)state;
    static const char *const good = "unauthorized: code=token_expired reason=x\n";
    for (uint32_t code = BURROW_CODE_MISSING_BEARER; code <= BURROW_CODE_VERIFIER_CONFIG; code++) {
        char body[128];
        int n = snprintf(body, sizeof body, "<p>unauthorized: code=%s reason=%s",
                         ws_code_name(code), ws_code_text(code));
        assert_int_equal(ws_code_find(body, (size_t)n), code);
    }
    assert_int_equal(ws_code_find(good, strlen(good)), BURROW_CODE_TOKEN_EXPIRED);
    assert_int_equal(ws_code_find("code=token_expired", 18), BURROW_CODE_TOKEN_EXPIRED);
    assert_int_equal(ws_code_find("code=token_expire", 17), 0);
    assert_int_equal(ws_code_find("code=token_expired_x", 20), 0);
    assert_int_equal(ws_code_find("code=x code=invalid_token", 25), BURROW_CODE_INVALID_TOKEN);
    assert_int_equal(ws_code_find("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfc_s_key_has_the_rfc_s_answer),
        cmocka_unit_test(keys_are_sixteen_bytes_in_base64),
        cmocka_unit_test(lists_are_read_in_any_case_and_spacing),
        cmocka_unit_test(a_request_names_the_url_s_host),
        cmocka_unit_test(nothing_can_smuggle_a_header_into_a_request),
        cmocka_unit_test(a_good_response_upgrades),
        cmocka_unit_test(a_response_that_does_not_answer_is_refused),
        cmocka_unit_test(a_refusal_tells_its_status_and_length),
        cmocka_unit_test(a_head_ends_with_an_empty_line),
        cmocka_unit_test(codes_are_found_in_a_body_wherever_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
