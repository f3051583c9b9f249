/* SPDX-License-Identifier: Apache-2.0 */
/* The admin address over a transport that only records: requests, no sessions, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_loop.h"
#include "recorder.h"
#include "status/port.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig {
    struct loop *loop;
    struct log log;
    struct recorder recorder;
    struct accept_guard guard;
    struct status_port *port;
    struct sockaddr_in at;
    answer_fn *later; /* whom to tell what was asked for /later */
    void *later_arg;
    unsigned cancelled;
};

static void *answer(void *arg, const struct burrow_http *request, struct http_answer *ret,
                    answer_fn *fn, void *fn_arg)
{
    struct rig *rig = arg;
    if (strcmp(request->path, "/later") == 0) {
        rig->later = fn;
        rig->later_arg = fn_arg;
        return rig;
    }
    answer_text(ret, 200, request->path);
    return NULL;
}

static void cancel(void *asked)
{
    struct rig *rig = asked;
    rig->cancelled++;
}

/* The port that the kernel chose: the only listening socket among the descriptors. */
static void find_listener(struct rig *rig)
{
    for (int fd = 3; fd < 64; fd++) {
        int listening = 0;
        socklen_t size = sizeof listening, len = sizeof rig->at;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening) {
            assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&rig->at, &len), 0);
            return;
        }
    }
    fail_msg("nobody listens");
}

static int setup(void **state)
{
    static struct rig rig;
    struct error err = {0};
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    log_init(&rig.log, STDERR_FILENO, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    recorder_init(&rig.recorder, "transport-ws");
    assert_int_equal(accept_guard_init(&rig.guard, rig.loop, &rig.log), BURROW_OK);
    rig.recorder.ops.bind(&rig.recorder, &link_transport_host);
    const struct link_transport transport = {.ops = &rig.recorder.ops,
                                             .self = &rig.recorder,
                                             .loop = rig.loop,
                                             .log = &rig.log,
                                             .name = "transport-ws"};
    const struct status_config config = {.loop = rig.loop,
                                         .fd = -1,
                                         .log = &rig.log,
                                         .transport = &transport,
                                         .guard = &rig.guard,
                                         .answer = answer,
                                         .cancel = cancel,
                                         .arg = &rig};
    assert_int_equal(status_port_open(&config, "nonsense", &rig.port, &err), BURROW_EINVAL);
    assert_non_null(strstr(err.text, "--admin-addr (BURROW_ADMIN_ADDR)"));
    assert_int_equal(status_port_open(&config, "127.0.0.1:0", &rig.port, &err), BURROW_OK);
    find_listener(&rig);
    *state = &rig;
    return 0;
}

static void settle(struct rig *rig)
{
    fake_loop_settle(rig->loop);
    recorder_settle(&rig->recorder);
    fake_loop_settle(rig->loop);
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    status_port_close(rig->port);
    settle(rig);
    recorder_finish(&rig->recorder);
    accept_guard_finish(&rig->guard);
    assert_int_equal(fake_loop_timer_count(rig->loop), 0);
    assert_int_equal(fake_loop_watch_count(rig->loop), 0);
    loop_destroy(rig->loop);
    return 0;
}

static struct recorder_conn *knock(struct rig *rig)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&rig->at, sizeof rig->at), 0);
    fake_loop_settle(rig->loop);
    close(fd);
    return rig->recorder.conns;
}

static void a_request_is_answered(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    assert_int_equal(conn->role, BURROW_ROLE_ADMIN);
    const struct burrow_http request = {
        .size = sizeof request, .role = BURROW_ROLE_ADMIN, .method = "GET", .path = "/x"};
    recorder_http(conn, &request);
    assert_int_equal(conn->status, 200);
    assert_string_equal(conn->body, "/x");
    assert_int_equal(status_port_stats(rig->port).accepted, 1);
    assert_int_equal(status_port_stats(rig->port).open, 1);
    recorder_closed(conn, BURROW_CLOSE_PEER, 0, 0, "done");
    assert_int_equal(status_port_stats(rig->port).open, 0);
}

static const struct burrow_http later = {
    .size = sizeof later, .role = BURROW_ROLE_ADMIN, .method = "GET", .path = "/later"};

static void a_request_may_be_answered_later(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    recorder_http(conn, &later);
    settle(rig);
    assert_int_equal(conn->status, 0);
    struct http_answer said = {0};
    answer_text(&said, 200, "so it is");
    rig->later(rig->later_arg, &said);
    assert_int_equal(conn->status, 200);
    assert_string_equal(conn->body, "so it is");
    assert_int_equal(rig->cancelled, 0);
}

static void what_was_asked_is_cancelled_when_the_peer_is_gone(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    recorder_http(conn, &later);
    link_transport_host.http_cancel(conn->link, conn);
    assert_int_equal(rig->cancelled, 1);
    recorder_closed(conn, BURROW_CLOSE_PEER, 0, 0, "gone");
    assert_int_equal(rig->cancelled, 1);
}

static void what_was_asked_is_cancelled_when_the_port_closes(void **state)
{
    struct rig *rig = *state;
    recorder_http(knock(rig), &later);
    status_port_close(rig->port);
    rig->port = NULL;
    assert_int_equal(rig->cancelled, 1);
}

static void a_second_request_before_the_answer_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    recorder_http(conn, &later);
    recorder_http(conn, &later);
    assert_true(conn->closing);
    assert_int_equal(rig->cancelled, 1);
}

static void there_are_no_sessions_here(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    recorder_credential(conn, "t");
    assert_true(conn->closing);
    assert_int_equal(conn->admitted, 0);
    settle(rig);
    conn = knock(rig);
    recorder_open(conn);
    assert_true(conn->closing);
}

static void who_says_nothing_is_sent_away(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = knock(rig);
    fake_loop_advance(rig->loop, STATUS_IDLE_MS - 1);
    assert_false(conn->closing);
    fake_loop_advance(rig->loop, 1);
    assert_true(conn->closing);
    assert_int_equal(status_port_stats(rig->port).dropped, 1);
}

static void beyond_the_limit_the_oldest_goes(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *first = knock(rig);
    for (unsigned i = 1; i < STATUS_MAX_CONNECTIONS; i++)
        knock(rig);
    assert_false(first->closing);
    struct recorder_conn *last = knock(rig);
    assert_true(first->closing);
    assert_false(last->closing);
    assert_int_equal(status_port_stats(rig->port).open, STATUS_MAX_CONNECTIONS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(a_request_may_be_answered_later),
        TEST(what_was_asked_is_cancelled_when_the_peer_is_gone),
        TEST(what_was_asked_is_cancelled_when_the_port_closes),
        TEST(a_second_request_before_the_answer_ends_the_connection),
        TEST(there_are_no_sessions_here),
        TEST(who_says_nothing_is_sent_away),
        TEST(beyond_the_limit_the_oldest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
