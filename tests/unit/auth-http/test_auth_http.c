/* SPDX-License-Identifier: Apache-2.0 */
/* The plugin auth-http as its real .so, with a fake host and a real service that answers as the
 * token says. */
#include "../auth-hmac/loaded.h"
#include "http_server.h"

#include <burrow/auth.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LIMIT_MS 30000

/* What the host was answered; the host's name for a request is the test's own struct. */
struct burrow_auth_request {
    unsigned answers;
    uint32_t result, code;
    char subject[200], reason[256], grants[256];
    int64_t expires_ms;
};

struct rig {
    struct loaded plugin;
    void *self;
    struct http_server *server;
    char url[64];
    atomic_int at_once, most_at_once;
    atomic_bool hold; /* answers wait for its end */
    pthread_mutex_t lock;
    char head[8192]; /* of the last request */
};

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static bool respond(struct http_peer *peer, int status, const char *fields, const char *body)
{
    return http_peer_say(peer, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n%s", status, fields,
                         strlen(body), body);
}

/* The token is the order. */
static bool serve(void *arg, struct http_peer *peer)
{
    struct rig *rig = arg;
    const char *at = strstr(peer->head, "\r\nAuthorization: Bearer ");
    char token[128] = "", body[256];
    pthread_mutex_lock(&rig->lock);
    snprintf(rig->head, sizeof rig->head, "%s", peer->head);
    pthread_mutex_unlock(&rig->lock);
    if (at)
        sscanf(at + 24, "%127[^\r]", token);
    int now = atomic_fetch_add(&rig->at_once, 1) + 1;
    if (now > atomic_load(&rig->most_at_once))
        atomic_store(&rig->most_at_once, now);
    bool open = true;
    while (atomic_load(&rig->hold) && open)
        open = http_peer_wait(peer, 20);
    atomic_fetch_sub(&rig->at_once, 1);
    if (!open)
        return false;
    if (strncmp(token, "kept-", 5) == 0) {
        snprintf(body, sizeof body, "{\"subject\":\"%s\",\"expires\":%lld}", token,
                 (long long)now_s() + 3600);
        return respond(peer, 200, "Cache-Control: private, max-age=60\r\n", body);
    }
    if (strcmp(token, "two-lines") == 0) /* the service's own, and that of a proxy before it */
        return respond(peer, 200, "Cache-Control: no-store\r\nCache-Control: max-age=60\r\n",
                       "{\"subject\":\"a\"}");
    if (strcmp(token, "short") == 0) {
        snprintf(body, sizeof body, "{\"subject\":\"a\",\"expires\":%lld}",
                 (long long)now_s() + 20);
        return respond(peer, 200, "Cache-Control: max-age=3600\r\n", body);
    }
    if (strcmp(token, "past") == 0)
        return respond(peer, 200, "", "{\"subject\":\"a\",\"expires\":1000}");
    if (strcmp(token, "granted") == 0)
        return respond(peer, 200, "",
                       "{\"subject\":\"a\",\"grants\":{\"services\":[\"web\"]},\"name\":\"Ada\"}");
    if (strcmp(token, "unknown") == 0)
        return respond(peer, 401, "Cache-Control: max-age=60\r\n", "");
    if (strcmp(token, "expired") == 0)
        return respond(peer, 401, "", "{\"code\":\"token_expired\",\"reason\":\"too old\"}");
    if (strcmp(token, "barred") == 0)
        return respond(peer, 403, "", "{\"code\":\"nonsense\"}");
    if (strcmp(token, "html") == 0)
        return respond(peer, 200, "", "<html>sign in</html>");
    if (strcmp(token, "nobody") == 0)
        return respond(peer, 200, "Cache-Control: max-age=60\r\n", "{\"subject\":\"\"}");
    if (strcmp(token, "when") == 0)
        return respond(peer, 200, "", "{\"subject\":\"a\",\"expires\":\"tomorrow\"}");
    if (strcmp(token, "twice") == 0)
        return respond(peer, 200, "", "{\"subject\":\"a\",\"subject\":\"b\"}");
    if (strcmp(token, "away") == 0)
        return respond(peer, 302, "Location: /elsewhere\r\n", "");
    if (strcmp(token, "broken") == 0)
        return respond(peer, 500, "Cache-Control: max-age=60\r\n", "");
    snprintf(body, sizeof body, "{\"subject\":\"%s\"}", token);
    return respond(peer, 200, "", body);
}

static void answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    assert_int_equal(verdict->size, sizeof *verdict);
    request->answers++;
    request->result = verdict->result;
    request->code = verdict->code;
    request->expires_ms = verdict->expires_ms;
    snprintf(request->subject, sizeof request->subject, "%.*s", (int)verdict->subject_len,
             verdict->subject ? verdict->subject : "");
    snprintf(request->reason, sizeof request->reason, "%s", verdict->reason ? verdict->reason : "");
    snprintf(request->grants, sizeof request->grants, "%s",
             verdict->grants_json ? verdict->grants_json : "");
}

static const struct burrow_auth_host auth_host = {.size = sizeof auth_host, .answer = answer};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    pthread_mutex_init(&rig->lock, NULL);
    rig->server = http_server_start(NULL, serve, rig);
    snprintf(rig->url, sizeof rig->url, "http://127.0.0.1:%u/auth", http_server_port(rig->server));
    loaded_init(&rig->plugin, PLUGIN_FILE, "auth-http", BURROW_KIND_AUTH);
    loaded_set_string(&rig->plugin, "auth-http-url", rig->url);
    loaded_set_number(&rig->plugin, "auth-http-timeout", 5000);
    loaded_set_number(&rig->plugin, "auth-http-max-requests", 32);
    loaded_set_number(&rig->plugin, "auth-http-cache", 3);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    if (rig->self)
        loaded_end(&rig->plugin, rig->self);
    loaded_finish(&rig->plugin);
    http_server_stop(rig->server);
    pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static void begin(struct rig *rig)
{
    rig->self = loaded_start(&rig->plugin);
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)->bind(rig->self, &auth_host);
}

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void turn(struct rig *rig)
{
    uint64_t before = real_ms();
    fake_host_turn(&rig->plugin.host, 5);
    fake_host_advance(&rig->plugin.host, real_ms() - before);
}

static void until(struct rig *rig, const unsigned *n, unsigned want)
{
    uint64_t deadline = real_ms() + LIMIT_MS;
    while (*n < want) {
        turn(rig);
        if (real_ms() > deadline)
            fail_msg("no answer within %d ms", LIMIT_MS);
    }
}

static void ask_from(struct rig *rig, struct burrow_auth_request *request, const char *token,
                     uint8_t last_byte)
{
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_HEADER,
        .token = token,
        .token_len = token ? strlen(token) : 0,
        .peer = {.family = 4, .port = 999, .bytes = {192, 0, 2, last_byte}},
    };
    memset(request, 0, sizeof *request);
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)
        ->verify(rig->self, request, &credential);
}

static void ask(struct rig *rig, struct burrow_auth_request *request, const char *token)
{
    ask_from(rig, request, token, 7);
}

static struct burrow_auth_request verdict_on(struct rig *rig, const char *token)
{
    struct burrow_auth_request request;
    ask(rig, &request, token);
    until(rig, &request.answers, 1);
    assert_int_equal(request.answers, 1);
    return request;
}

static void the_service_sees_the_token_and_the_address(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    struct burrow_auth_request request = verdict_on(rig, "client-a");
    assert_int_equal(request.result, BURROW_AUTH_ALLOW);
    assert_string_equal(request.subject, "client-a");
    assert_int_equal(request.expires_ms, 0);
    assert_string_equal(request.grants, "");
    pthread_mutex_lock(&rig->lock);
    assert_true(strncmp(rig->head, "GET /auth HTTP/1.1\r\n", 20) == 0);
    assert_non_null(strstr(rig->head, "\r\nAuthorization: Bearer client-a\r\n"));
    assert_non_null(strstr(rig->head, "\r\nX-Burrow-Peer: 192.0.2.7\r\n"));
    pthread_mutex_unlock(&rig->lock);
}

static void end_and_grants_are_handed_on(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    struct burrow_auth_request request = verdict_on(rig, "kept-a");
    assert_true(request.expires_ms >= (now_s() + 3590) * 1000);
    assert_int_equal(request.expires_ms % 1000, 0);
    request = verdict_on(rig, "granted");
    assert_string_equal(request.grants, "{\"services\":[\"web\"]}");
}

static void each_answer_has_its_verdict(void **state)
{
    static const struct {
        const char *token;
        uint32_t result, code;
        const char *reason;
    } rows[] = {
        {"unknown", BURROW_AUTH_ABSTAIN, BURROW_CODE_INVALID_TOKEN, "the service answered 401"},
        {"expired", BURROW_AUTH_ABSTAIN, BURROW_CODE_TOKEN_EXPIRED, "401: too old"},
        {"barred", BURROW_AUTH_DENY, BURROW_CODE_INVALID_TOKEN, "the service answered 403"},
        {"past", BURROW_AUTH_ABSTAIN, BURROW_CODE_TOKEN_EXPIRED, "it has expired"},
        {"html", BURROW_AUTH_UNAVAILABLE, 0, "no JSON object"},
        {"twice", BURROW_AUTH_UNAVAILABLE, 0, "no JSON object"},
        {"nobody", BURROW_AUTH_UNAVAILABLE, 0, "no \"subject\""},
        {"when", BURROW_AUTH_UNAVAILABLE, 0, "\"expires\""},
        {"away", BURROW_AUTH_UNAVAILABLE, 0, "the service answered 302"},
        {"broken", BURROW_AUTH_UNAVAILABLE, 0, "the service answered 500"},
    };
    struct rig *rig = *state;
    begin(rig);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct burrow_auth_request request = verdict_on(rig, rows[i].token);
        assert_int_equal(request.result, rows[i].result);
        assert_int_equal(request.code, rows[i].code);
        if (!strstr(request.reason, rows[i].reason))
            fail_msg("\"%s\" is not in \"%s\"", rows[i].reason, request.reason);
        assert_string_equal(request.subject, "");
    }
}

static void what_cannot_be_a_bearer_token_is_not_shown_to_the_service(void **state)
{
    static const char *const bad[] = {"", "a b", "a\r\nX-Admin: 1", "\x01", "\xc3\xb6", "a,b"};
    struct rig *rig = *state;
    struct burrow_auth_request request;
    begin(rig);
    for (size_t i = 0; i < 6; i++) {
        ask(rig, &request, bad[i]);
        assert_int_equal(request.answers, 1);
        assert_int_equal(request.result, BURROW_AUTH_ABSTAIN);
        assert_int_equal(request.code,
                         i == 0 ? BURROW_CODE_MISSING_BEARER : BURROW_CODE_INVALID_TOKEN);
    }
    ask(rig, &request, NULL);
    assert_int_equal(request.code, BURROW_CODE_MISSING_BEARER);
    assert_int_equal(http_server_requests(rig->server), 0);
}

static void an_answer_is_kept_as_long_as_it_says(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    struct burrow_auth_request request = verdict_on(rig, "kept-a");
    ask(rig, &request, "kept-a");
    assert_int_equal(request.answers, 1);
    assert_string_equal(request.subject, "kept-a");
    assert_int_equal(rig->plugin.host.metrics[2], 1);
    ask_from(rig, &request, "kept-a", 8); /* another address may get another answer */
    until(rig, &request.answers, 1);
    assert_int_equal(http_server_requests(rig->server), 2);
    fake_host_advance(&rig->plugin.host, 60000);
    verdict_on(rig, "kept-a");
    assert_int_equal(http_server_requests(rig->server), 3);
    verdict_on(rig, "unknown");
    verdict_on(rig, "unknown");
    assert_int_equal(http_server_requests(rig->server), 4);
    verdict_on(rig, "broken");
    verdict_on(rig, "broken");
    assert_int_equal(http_server_requests(rig->server), 6);
    verdict_on(rig, "client-a");
    verdict_on(rig, "client-a");
    assert_int_equal(http_server_requests(rig->server), 8);
}

static void all_lines_of_cache_control_count(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    verdict_on(rig, "two-lines");
    verdict_on(rig, "two-lines");
    assert_int_equal(http_server_requests(rig->server), 2);
}

static void no_answer_is_kept_beyond_its_expires(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    verdict_on(rig, "short");
    verdict_on(rig, "short");
    assert_int_equal(http_server_requests(rig->server), 1);
    fake_host_advance(&rig->plugin.host, 20000);
    verdict_on(rig, "short");
    assert_int_equal(http_server_requests(rig->server), 2);
}

static void of_more_answers_than_may_be_kept_the_least_used_goes(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    verdict_on(rig, "kept-1");
    verdict_on(rig, "kept-2");
    verdict_on(rig, "kept-3");
    verdict_on(rig, "kept-1"); /* used again */
    verdict_on(rig, "kept-4"); /* in place of 2 */
    assert_int_equal(rig->plugin.host.metrics[3], 3);
    assert_int_equal(http_server_requests(rig->server), 4);
    verdict_on(rig, "kept-1");
    verdict_on(rig, "kept-3");
    verdict_on(rig, "kept-4");
    assert_int_equal(http_server_requests(rig->server), 4);
    verdict_on(rig, "kept-2");
    assert_int_equal(http_server_requests(rig->server), 5);
}

static void the_same_token_is_asked_for_once_at_a_time(void **state)
{
    struct rig *rig = *state;
    struct burrow_auth_request requests[50];
    atomic_store(&rig->hold, true);
    begin(rig);
    for (int i = 0; i < 50; i++)
        ask(rig, &requests[i], "client-a");
    while (atomic_load(&rig->at_once) == 0)
        turn(rig);
    atomic_store(&rig->hold, false);
    for (int i = 0; i < 50; i++) {
        until(rig, &requests[i].answers, 1);
        assert_string_equal(requests[i].subject, "client-a");
    }
    assert_int_equal(http_server_requests(rig->server), 1);
    assert_int_equal(rig->plugin.host.metrics[4], 0);
}

static void only_so_many_are_asked_at_once_and_all_in_the_end(void **state)
{
    struct rig *rig = *state;
    struct burrow_auth_request requests[40];
    loaded_set_number(&rig->plugin, "auth-http-max-requests", 4);
    loaded_set_number(&rig->plugin, "auth-http-timeout", 9000);
    atomic_store(&rig->hold, true);
    begin(rig);
    for (int i = 0; i < 40; i++) {
        char token[32];
        snprintf(token, sizeof token, "client-%d", i);
        ask(rig, &requests[i], token);
    }
    while (atomic_load(&rig->at_once) < 4)
        turn(rig);
    for (int i = 0; i < 20; i++)
        turn(rig);
    atomic_store(&rig->hold, false);
    for (int i = 0; i < 40; i++) {
        char token[32];
        snprintf(token, sizeof token, "client-%d", i);
        until(rig, &requests[i].answers, 1);
        assert_string_equal(requests[i].subject, token);
    }
    assert_int_equal(atomic_load(&rig->most_at_once), 4);
    assert_int_equal(http_server_requests(rig->server), 40);
}

static void a_service_that_stalls_is_unavailable_and_said_so_once(void **state)
{
    struct rig *rig = *state;
    struct burrow_auth_request requests[3];
    loaded_set_number(&rig->plugin, "auth-http-timeout", 500);
    atomic_store(&rig->hold, true);
    begin(rig);
    for (int i = 0; i < 3; i++) {
        const char *const tokens[] = {"x", "y", "z"};
        ask(rig, &requests[i], tokens[i]);
    }
    for (int i = 0; i < 3; i++) {
        until(rig, &requests[i].answers, 1);
        assert_int_equal(requests[i].result, BURROW_AUTH_UNAVAILABLE);
        assert_non_null(strstr(requests[i].reason, "not done within 500 ms"));
    }
    assert_int_equal(fake_host_log_lines(&rig->plugin.host, BURROW_LOG_WARN), 1);
    assert_true(fake_host_logged(&rig->plugin.host, BURROW_LOG_WARN, "event=auth_http_failing"));
    atomic_store(&rig->hold, false);
    assert_int_equal(verdict_on(rig, "client-a").result, BURROW_AUTH_ALLOW);
    assert_true(fake_host_logged(&rig->plugin.host, BURROW_LOG_INFO, "event=auth_http_recovered"));
}

static void a_cancelled_request_is_not_answered_and_others_are(void **state)
{
    struct rig *rig = *state;
    struct burrow_auth_request one, other, alone;
    const struct burrow_auth_ops *ops = rig->plugin.plugin->ops;
    atomic_store(&rig->hold, true);
    begin(rig);
    ask(rig, &one, "client-a");
    ask(rig, &other, "client-a");
    ask(rig, &alone, "client-b");
    while (atomic_load(&rig->at_once) < 2)
        turn(rig);
    ops->cancel(rig->self, &one);
    ops->cancel(rig->self, &alone);
    ops->cancel(rig->self, &alone); /* is no more */
    atomic_store(&rig->hold, false);
    until(rig, &other.answers, 1);
    for (int i = 0; i < 20; i++)
        turn(rig);
    assert_int_equal(one.answers + alone.answers, 0);
    assert_int_equal(rig->plugin.host.metrics[4], 0);
}

static void stop_answers_who_waits_and_holds_nothing(void **state)
{
    struct rig *rig = *state;
    struct burrow_auth_request requests[3];
    loaded_set_number(&rig->plugin, "auth-http-max-requests", 1);
    atomic_store(&rig->hold, true);
    begin(rig);
    ask(rig, &requests[0], "client-a");
    ask(rig, &requests[1], "client-a");
    ask(rig, &requests[2], "client-b"); /* queued */
    while (atomic_load(&rig->at_once) < 1)
        turn(rig);
    rig->plugin.plugin->stop(rig->self);
    assert_true(rig->plugin.host.stopped);
    assert_int_equal(rig->plugin.host.left_at_stop, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(requests[i].answers, 1);
        assert_int_equal(requests[i].result, BURROW_AUTH_UNAVAILABLE);
    }
    rig->plugin.plugin->destroy(rig->self);
    rig->self = NULL;
    atomic_store(&rig->hold, false);
}

static void reload_forgets_what_was_kept(void **state)
{
    struct rig *rig = *state;
    begin(rig);
    verdict_on(rig, "kept-a");
    assert_int_equal(rig->plugin.plugin->reload(rig->self, rig->plugin.config), BURROW_OK);
    assert_int_equal(rig->plugin.host.metrics[3], 0);
    verdict_on(rig, "kept-a");
    assert_int_equal(http_server_requests(rig->server), 2);
}

static void urls_that_would_give_tokens_away_are_refused(void **state)
{
    static const struct {
        const char *url, *said;
    } rows[] = {
        {NULL, "it is missing"},
        {"idp.example/auth", "expected https://HOST/PATH"},
        {"file:/etc/passwd", "expected https://HOST/PATH"},
        {"https://user:hunter2@idp.example/", "user name or password"},
        {"http://idp.example/auth", "--auth-http-allow-http"},
    };
    struct rig *rig = *state;
    struct fake_host *host = &rig->plugin.host;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        loaded_set_string(&rig->plugin, "auth-http-url", rows[i].url);
        assert_int_equal(rig->plugin.plugin->check(&host->table, rig->plugin.config),
                         BURROW_EINVAL);
        assert_non_null(strstr(host->error, "--auth-http-url (BURROW_AUTH_HTTP_URL)"));
        assert_null(strstr(host->error, "hunter2"));
        if (!strstr(host->error, rows[i].said))
            fail_msg("\"%s\" is not in \"%s\"", rows[i].said, host->error);
    }
    loaded_set_bool(&rig->plugin, "auth-http-allow-http", 1);
    loaded_set_string(&rig->plugin, "auth-http-ca", "/no/such/file");
    assert_int_equal(rig->plugin.plugin->check(&host->table, rig->plugin.config), BURROW_EINVAL);
    assert_non_null(strstr(host->error, "--auth-http-ca"));
    loaded_set_string(&rig->plugin, "auth-http-ca", "");
    begin(rig);
    assert_true(fake_host_logged(host, BURROW_LOG_WARN, "event=auth_http_without_tls"));
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(the_service_sees_the_token_and_the_address),
        WITH_RIG(end_and_grants_are_handed_on),
        WITH_RIG(each_answer_has_its_verdict),
        WITH_RIG(what_cannot_be_a_bearer_token_is_not_shown_to_the_service),
        WITH_RIG(an_answer_is_kept_as_long_as_it_says),
        WITH_RIG(all_lines_of_cache_control_count),
        WITH_RIG(no_answer_is_kept_beyond_its_expires),
        WITH_RIG(of_more_answers_than_may_be_kept_the_least_used_goes),
        WITH_RIG(the_same_token_is_asked_for_once_at_a_time),
        WITH_RIG(only_so_many_are_asked_at_once_and_all_in_the_end),
        WITH_RIG(a_service_that_stalls_is_unavailable_and_said_so_once),
        WITH_RIG(a_cancelled_request_is_not_answered_and_others_are),
        WITH_RIG(stop_answers_who_waits_and_holds_nothing),
        WITH_RIG(reload_forgets_what_was_kept),
        WITH_RIG(urls_that_would_give_tokens_away_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
