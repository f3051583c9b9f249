/* SPDX-License-Identifier: Apache-2.0 */
/* What is answered over HTTP, to whom, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"
#include "server/options.h"
#include "server/routes.h"

#include "config/option.h"

#include <stdlib.h>
#include <string.h>

static const struct burrow_http metrics = {.size = sizeof metrics,
                                           .role = BURROW_ROLE_MAIN,
                                           .method = "GET",
                                           .path = "/metrics",
                                           .query = ""};

struct asked {
    const char *path, *query, *authorization;
    uint32_t role, flags;
};

static void expect(struct rig *rig, struct asked asked, uint32_t status, const char *body)
{
    const struct burrow_http request = {
        .size = sizeof request,
        .role = asked.role != 0 ? asked.role : BURROW_ROLE_MAIN,
        .flags = asked.flags,
        .method = "GET",
        .path = asked.path,
        .query = asked.query != NULL ? asked.query : "",
        .authorization = asked.authorization,
    };
    struct http_answer answer = {0};
    assert_true(routes_answer(rig->server, &request, &answer));
    assert_int_equal(answer.status, status);
    if (body != NULL) {
        assert_int_equal(answer.len, strlen(body));
        assert_memory_equal(answer.body, body, answer.len);
        assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
    }
    free(answer.body);
}

#define PATH "/api/clients/pg/bridge-addr"

static const char *bridge_of(struct rig *rig, const char *name)
{
    static char text[ADDRESS_TEXT];
    return bridge_address(bridges_find(rig_record(rig, "pg"), name), text);
}

static void health_is_ok_without_a_newline(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    expect(rig, (struct asked){.path = "/healthz"}, 200, "ok");
    expect(rig, (struct asked){.path = "/livez"}, 200, "ok");
    expect(rig, (struct asked){.path = "/readyz"}, 200, "ok");
    expect(rig, (struct asked){.path = "/"}, 404, "not found\n");
    expect(rig, (struct asked){.path = "/healthz/"}, 404, "not found\n");
    expect(rig, (struct asked){.path = ""}, 404, "not found\n");
}

static void a_stopping_server_lives_but_is_not_ready(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    server_stop(rig->server, "SIGTERM");
    expect(rig, (struct asked){.path = "/readyz"}, 503, "not ready\n");
    expect(rig, (struct asked){.path = "/livez"}, 200, "ok");
}

static void auto_answers_trusted_peers_only(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    expect(rig, (struct asked){.path = PATH, .flags = BURROW_HTTP_TRUSTED_PEER}, 200,
           bridge_of(rig, ""));
    expect(rig, (struct asked){.path = PATH}, 404, "not found\n");
    expect(rig, (struct asked){.path = PATH, .authorization = "Bearer "}, 404, "not found\n");
}

static void auto_answers_holders_of_the_token_from_anywhere(void **state)
{
    struct rig *rig = *state;
    rig->options.api_token = (struct burrow_secret){(const uint8_t *)"key", 3};
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    const char *addr = bridge_of(rig, "");
    expect(rig, (struct asked){.path = PATH, .authorization = "Bearer key"}, 200, addr);
    expect(rig, (struct asked){.path = PATH, .authorization = "bearer  key"}, 200, addr);
    expect(rig, (struct asked){.path = PATH, .flags = BURROW_HTTP_TRUSTED_PEER}, 200, addr);
    static const char *const wrong[] = {NULL,        "Bearer kez", "Bearer ke", "Bearer keyy",
                                        "Basic key", "key",        "Bearer",    ""};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect(rig, (struct asked){.path = PATH, .authorization = wrong[i]}, 401, "unauthorized\n");
}

static void true_answers_everyone_or_holders_of_the_token(void **state)
{
    struct rig *rig = *state;
    rig->options.enable_client_api = "true";
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    expect(rig, (struct asked){.path = PATH}, 200, bridge_of(rig, ""));
    rig->options.api_token = (struct burrow_secret){(const uint8_t *)"key", 3};
    expect(rig, (struct asked){.path = PATH, .flags = BURROW_HTTP_TRUSTED_PEER}, 401,
           "unauthorized\n");
    expect(rig, (struct asked){.path = PATH, .authorization = "Bearer key"}, 200,
           bridge_of(rig, ""));
}

static void false_answers_nobody(void **state)
{
    struct rig *rig = *state;
    rig->options.enable_client_api = "false";
    rig->options.api_token = (struct burrow_secret){(const uint8_t *)"key", 3};
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    expect(rig,
           (struct asked){
               .path = PATH, .flags = BURROW_HTTP_TRUSTED_PEER, .authorization = "Bearer key"},
           404, "not found\n");
}

static void each_kind_of_absence_has_its_text(void **state)
{
    struct rig *rig = *state;
    rig->options.enable_client_api = "true";
    rig_start(rig);
    expect(rig, (struct asked){.path = PATH}, 404, "client not found\n");
    struct recorder_conn *conn = rig_client(rig, "pg", 'a');
    expect(rig, (struct asked){.path = PATH, .query = "service=web"}, 404, "no bridge listener\n");
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    rig_settle(rig);
    expect(rig, (struct asked){.path = PATH}, 404, "client not found\n");
    expect(rig, (struct asked){.path = "/api/clients/pg"}, 404, "not found\n");
    expect(rig, (struct asked){.path = "/api/clients//bridge-addr"}, 404, "not found\n");
    expect(rig, (struct asked){.path = "/api/"}, 404, "not found\n");
}

static void services_are_asked_for_by_name(void **state)
{
    struct rig *rig = *state;
    rig->options.enable_client_api = "true";
    rig_start(rig);
    struct recorder_conn *conn = rig_admitted(rig);
    struct control *reg = rig_register("pg", 'a');
    reg->service_count = 2;
    reg->services[1] = reg->services[0];
    reg->services[1].id = 2;
    strcpy(reg->services[0].name, "one");
    strcpy(reg->services[1].name, "two");
    rig_send_register(conn, reg);
    fake_loop_settle(rig->loop);
    expect(rig, (struct asked){.path = PATH}, 200, bridge_of(rig, "one"));
    expect(rig, (struct asked){.path = PATH, .query = "service=two"}, 200, bridge_of(rig, "two"));
    expect(rig, (struct asked){.path = PATH, .query = "x&service=%74wo&y=1"}, 200,
           bridge_of(rig, "two"));
    expect(rig, (struct asked){.path = PATH, .query = "service=three"}, 404,
           "no bridge listener\n");
}

static void a_client_id_may_hold_a_slash(void **state)
{
    struct rig *rig = *state;
    rig->options.enable_client_api = "true";
    rig_start(rig);
    rig_client(rig, "a/b", 'a');
    expect(rig, (struct asked){.path = "/api/clients/a/b/bridge-addr"}, 200, NULL);
}

static void with_an_admin_address_the_public_port_keeps_healthz(void **state)
{
    struct rig *rig = *state;
    rig->options.admin_addr = "127.0.0.1:0";
    rig->options.enable_client_api = "true";
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    static const char *const paths[] = {"/livez", "/readyz", "/metrics", PATH};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        expect(rig, (struct asked){.path = paths[i]}, 404, "not found\n");
        expect(rig, (struct asked){.path = paths[i], .role = BURROW_ROLE_ADMIN}, 200, NULL);
    }
    expect(rig, (struct asked){.path = "/healthz"}, 200, "ok");
}

static void metrics_tell_the_sums(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    struct http_answer answer = {0};
    assert_true(routes_answer(rig->server, &metrics, &answer));
    const char *text = answer.body;
    assert_non_null(text);
    assert_int_equal(strlen(text), answer.len);
    static const char *const lines[] = {
        "\nburrow_sessions_active 1\n",
        "\nburrow_streams_active 0\n",
        "\nburrow_stale_services_deleted_total 0\n",
        "\nburrow_stream_backpressure_drops_total 0\n",
        "\nburrow_auth_refusals_total{code=\"token_expired\"} 0\n",
        "\nburrow_stream_ends_total{result=\"refused\"} 0\n",
        "\n# TYPE burrow_plugin_auth_script_checks_total counter\n",
        "\nburrow_plugin_auth_script_checks_total 7\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_non_null(strstr(text, lines[i]));
    assert_null(strstr(text, "pg"));
    free(answer.body);
}

static void metrics_tell_of_connections_and_their_queues(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_accept(rig);
    fake_loop_advance(rig->loop, HANDSHAKE_MS);
    rig_settle(rig);
    rig_accept(rig);
    rig_client(rig, "a", 'a')->queued = 1200;
    rig_client(rig, "b", 'b')->queued = 34;
    struct http_answer answer = {0};
    assert_true(routes_answer(rig->server, &metrics, &answer));
    static const char *const lines[] = {
        "\nburrow_build_info{version=\"" BURROW_VERSION "\"} 1\n",
        "\nburrow_handshakes_pending 1\n",
        "\nburrow_handshakes_dropped_total 1\n",
        "\nburrow_send_queue_bytes 1234\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (strstr(answer.body, lines[i]) == NULL)
            fail_msg("no%sin\n%s", lines[i], answer.body);
    free(answer.body);
}

struct told {
    unsigned times;
    char *text;
};

static void tell(void *arg, struct http_answer *answer)
{
    struct told *told = arg;
    told->times++;
    told->text = answer->body;
    answer->body = NULL;
}

static void with_two_workers_metrics_wait_for_both(void **state)
{
    struct rig *rig = *state;
    rig->worker_count = 2;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    struct http_answer now = {0};
    struct told told = {0};
    assert_false(routes_answer(rig->server, &metrics, &now));
    assert_non_null(routes_ask(&rig->server->workers[1], &metrics, &now, tell, &told));
    assert_int_equal(told.times, 0);
    fake_loop_settle(rig->loop);
    assert_int_equal(told.times, 1);
    assert_non_null(strstr(told.text, "\nburrow_sessions_active 1\n"));
    assert_non_null(strstr(told.text, "\nburrow_registers_total 1\n"));
    free(told.text);
}

static void what_was_asked_and_cancelled_is_not_answered(void **state)
{
    struct rig *rig = *state;
    rig->worker_count = 2;
    rig_start(rig);
    struct http_answer now = {0};
    struct told told = {0};
    for (int turns = 0; turns < 3; turns++) {
        struct enquiry *enquiry = routes_ask(&rig->server->workers[0], &metrics, &now, tell, &told);
        assert_non_null(enquiry);
        for (int i = 0; i < turns; i++)
            fake_loop_turn(rig->loop);
        routes_cancel(enquiry);
        fake_loop_settle(rig->loop);
    }
    assert_int_equal(told.times, 0);
}

static void what_was_asked_goes_with_the_loop(void **state)
{
    struct rig *rig = *state;
    rig->worker_count = 2;
    rig_start(rig);
    struct http_answer now = {0};
    struct told told = {0};
    assert_non_null(routes_ask(&rig->server->workers[0], &metrics, &now, tell, &told));
    fake_loop_turn(rig->loop);
    server_destroy(rig->server);
    rig->server = NULL;
    recorder_settle(&rig->recorder);
    loop_destroy(rig->loop);
    rig->loop = loop_create();
    assert_int_equal(told.times, 0);
}

static void requests_come_by_a_link_and_keep_it_for_ten_seconds(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    struct recorder_conn *conn = rig_accept(rig);
    const struct burrow_http request = {.size = sizeof request,
                                        .role = BURROW_ROLE_MAIN,
                                        .method = "GET",
                                        .path = "/healthz",
                                        .query = ""};
    for (int i = 0; i < 3; i++) {
        fake_loop_advance(rig->loop, 9999);
        recorder_http(conn, &request);
        assert_int_equal(conn->status, 200);
        assert_string_equal(conn->body, "ok");
    }
    fake_loop_advance(rig->loop, 10000);
    assert_true(conn->closing);
}

static void workers_are_a_number_or_auto(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        int rc;
    } rows[] = {
        {"1", 1, BURROW_OK},
        {"64", 64, BURROW_OK},
        {"auto", 0, BURROW_OK},
        {"0", 7, BURROW_EINVAL},
        {"65", 7, BURROW_EINVAL},
        {"", 7, BURROW_EINVAL},
        {"2x", 7, BURROW_EINVAL},
        {"-1", 7, BURROW_EINVAL},
        {"AUTO", 7, BURROW_EINVAL},
        {"1 ", 7, BURROW_EINVAL},
        {"18446744073709551617", 7, BURROW_EINVAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = {0};
        size_t n = 7;
        assert_int_equal(workers_parse(rows[i].text, &n, &err), rows[i].rc);
        assert_int_equal(n, rows[i].n);
        assert_true(rows[i].rc == BURROW_OK || strstr(err.text, "--workers (BURROW_WORKERS): "));
    }
}

static void the_option_table_is_sound(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(option_table_check(server_option_table, sizeof(struct server_options), &err),
                     0);
}

static void contradictions_of_options_are_named(void **state)
{
    struct rig *rig = *state;
    struct error err = {0};
    rig->options.heartbeat_timeout = rig->options.heartbeat_interval;
    assert_int_equal(server_options_check(&rig->options, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "--heartbeat-timeout (BURROW_HEARTBEAT_TIMEOUT)"));
    rig->options.heartbeat_timeout++;
    assert_int_equal(server_options_check(&rig->options, &err), 0);
    static const char *const hosts[] = {"a b", "h:1", "[::1]", "x/y"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        rig->options.bridge_host = hosts[i];
        assert_int_equal(server_options_check(&rig->options, &err), BURROW_EINVAL);
        assert_non_null(strstr(err.text, "--bridge-host (BURROW_BRIDGE_HOST)"));
    }
    static const char *const good[] = {"::1", "0.0.0.0", "localhost", ""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rig->options.bridge_host = good[i];
        assert_int_equal(server_options_check(&rig->options, &err), 0);
    }
    rig->options.tls_addr = "h:99999";
    assert_int_equal(server_options_check(&rig->options, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "--tls-addr (BURROW_TLS_ADDR)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(health_is_ok_without_a_newline),
        TEST(a_stopping_server_lives_but_is_not_ready),
        TEST(auto_answers_trusted_peers_only),
        TEST(auto_answers_holders_of_the_token_from_anywhere),
        TEST(true_answers_everyone_or_holders_of_the_token),
        TEST(false_answers_nobody),
        TEST(each_kind_of_absence_has_its_text),
        TEST(services_are_asked_for_by_name),
        TEST(a_client_id_may_hold_a_slash),
        TEST(with_an_admin_address_the_public_port_keeps_healthz),
        TEST(metrics_tell_the_sums),
        TEST(metrics_tell_of_connections_and_their_queues),
        TEST(with_two_workers_metrics_wait_for_both),
        TEST(what_was_asked_and_cancelled_is_not_answered),
        TEST(what_was_asked_goes_with_the_loop),
        TEST(requests_come_by_a_link_and_keep_it_for_ten_seconds),
        cmocka_unit_test(workers_are_a_number_or_auto),
        TEST(the_option_table_is_sound),
        TEST(contradictions_of_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
