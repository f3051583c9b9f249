/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with a second worker, whose loop the test runs itself: what crosses from one loop to
 * the other, and what either finds when the other has gone on meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The second worker, beside the rig's own. */
struct second {
    struct loop *loop;
    struct recorder recorder;
    struct instance *instances[1];
};

static struct second second;

static void settle(struct rig *rig)
{
    bool any = true;
    while (any) {
        any = fake_loop_turn(rig->loop);
        any |= fake_loop_turn(second.loop);
    }
    recorder_settle(&rig->recorder);
    recorder_settle(&second.recorder);
    fake_loop_settle(second.loop);
    fake_loop_settle(rig->loop);
    fake_loop_settle(second.loop);
}

static int setup(void **state)
{
    rig_setup(state);
    struct rig *rig = *state;
    memset(&second, 0, sizeof second);
    second.loop = loop_create();
    recorder_init(&second.recorder, "transport-ws");
    second.instances[0] = &second.recorder.instance;
    rig->workers[1] = (struct instance_group){second.loop, &rig->log, second.instances, 1};
    rig->worker_count = 2;
    rig->options.drain_timeout = 30000;
    rig_start(rig);
    return 0;
}

/* As the process ends: the server stops, and its memory goes when nothing is under way any more. */
static int teardown(void **state)
{
    struct rig *rig = *state;
    server_stop(rig->server, "SIGTERM");
    server_stop(rig->server, "SIGTERM");
    settle(rig);
    fake_loop_advance(rig->loop, 10);
    settle(rig);
    assert_int_equal(rig->stopped, 1);
    server_destroy(rig->server);
    rig->server = NULL;
    settle(rig);
    recorder_finish(&second.recorder);
    assert_int_equal(fake_loop_timer_count(second.loop), 0);
    assert_int_equal(fake_loop_watch_count(second.loop), 0);
    loop_destroy(second.loop);
    return rig_teardown(state);
}

static void hand(struct rig *rig)
{
    const struct burrow_addr peer = {.family = 4, .port = 1, .bytes = {127, 0, 0, 1}};
    workers_hand(&rig->listener, open("/dev/null", O_RDONLY | O_CLOEXEC), &peer);
}

/* A connection on worker 0 or 1, whichever is next, and its transport's record of it. */
static struct recorder_conn *accept_at(struct rig *rig, size_t worker)
{
    struct recorder *recorder = worker == 0 ? &rig->recorder : &second.recorder;
    unsigned before = recorder->count;
    rig->server->next_worker = worker;
    hand(rig);
    settle(rig);
    assert_int_equal(recorder->count, before + 1);
    return recorder->conns;
}

static struct recorder_conn *admitted_at(struct rig *rig, size_t worker)
{
    struct recorder_conn *conn = accept_at(rig, worker);
    recorder_credential(conn, "t");
    settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_ALLOW);
    recorder_open(conn);
    return conn;
}

static struct recorder_conn *client_at(struct rig *rig, size_t worker, char instance)
{
    struct recorder_conn *conn = admitted_at(rig, worker);
    rig_send_register(conn, rig_register("pg", instance));
    settle(rig);
    assert_false(conn->closing);
    const struct attachment *a = rig_record(rig, "pg")->attachment;
    assert_non_null(a);
    assert_int_equal(a->seat->worker->index, worker);
    return conn;
}

static int dial(struct rig *rig)
{
    int user = rig_dial_bridge(rig, "pg");
    settle(rig);
    return user;
}

static uint16_t port_of(struct rig *rig)
{
    return TAILQ_FIRST(&rig_record(rig, "pg")->bridges)->acceptor.local.port;
}

/* The first stream's OPEN is among what the core sent. */
static bool was_opened(const struct recorder_conn *conn)
{
    struct frame_header h = {.kind = 0};
    for (size_t at = 0; at < conn->out_len; at += FRAME_HEADER + h.length) {
        frame_header_decode(&h, conn->out + at);
        if (h.kind == FRAME_OPEN)
            return true;
    }
    return false;
}

static void connections_go_to_the_workers_in_turn(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 6; i++)
        hand(rig);
    settle(rig);
    assert_int_equal(rig->recorder.count, 3);
    assert_int_equal(second.recorder.count, 3);
}

static void a_full_worker_is_passed_over(void **state)
{
    struct rig *rig = *state;
    for (unsigned i = 0; i < MAX_PENDING; i++) {
        rig->server->next_worker = 1;
        hand(rig);
    }
    settle(rig);
    assert_true(handshakes_full(&rig->server->workers[1]));
    assert_false(workers_full(rig->server));
    rig->server->next_worker = 1;
    hand(rig);
    assert_int_equal(rig->recorder.count, 1);
}

static void a_client_of_the_other_worker_has_a_bridge_and_streams(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_at(rig, 1, 'a');
    struct control *ack = calloc(1, sizeof *ack);
    assert_true(recorder_find(conn, CONTROL_REGISTER_ACK, ack, NULL));
    assert_string_equal(ack->session_id, "sess-1");
    free(ack);
    int user = dial(rig);
    assert_true(was_opened(conn));
    assert_int_equal(rig->server->workers[1].sessions_stats.streams_active, 1);
    assert_int_equal(workers_streams(rig->server), 1);
    assert_false(rig_was_reset(user));
    close(user);
}

static void a_refusal_comes_back_with_its_reason(void **state)
{
    struct rig *rig = *state;
    rig->script.result = BURROW_AUTH_DENY;
    rig->script.code = BURROW_CODE_TOKEN_EXPIRED;
    struct recorder_conn *conn = accept_at(rig, 1);
    recorder_credential(conn, "t");
    settle(rig);
    assert_int_equal(conn->admitted, BURROW_AUTH_DENY);
    assert_int_equal(conn->admit_code, BURROW_CODE_TOKEN_EXPIRED);
    assert_int_equal(rig->server->workers[1].stats.refused[BURROW_CODE_TOKEN_EXPIRED], 1);
    recorder_closed(conn, BURROW_CLOSE_POLICY, 0, 0, "refused");
}

static void a_client_that_returns_to_another_worker_keeps_its_port(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = client_at(rig, 1, 'a');
    uint16_t port = port_of(rig);
    int user = dial(rig);
    client_at(rig, 0, 'a');
    assert_true(old->closing);
    assert_true(rig_was_reset(user));
    assert_int_equal(port_of(rig), port);
    assert_int_equal(rig->server->session_count, 1);
    old = client_at(rig, 1, 'a');
    assert_int_equal(port_of(rig), port);
    assert_int_equal(rig->server->session_count, 1);
    int again = dial(rig);
    assert_false(rig_was_reset(again));
    close(again);
    close(user);
}

static void a_takeover_from_another_worker_is_told(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *old = client_at(rig, 1, 'a');
    client_at(rig, 0, 'b');
    rig_expect_error(old, FRAME_V2, "superseded");
    assert_int_equal(rig->server->stats.takeovers_taken, 1);
    assert_int_equal(rig->server->session_count, 1);
}

static void a_connection_that_goes_withdraws_its_question(void **state)
{
    struct rig *rig = *state;
    rig->script.result = 0; /* the plugin takes its time */
    struct recorder_conn *conn = accept_at(rig, 1);
    recorder_credential(conn, "t");
    settle(rig);
    assert_int_equal(auth_pending(rig->server->chain), 1);
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(auth_pending(rig->server->chain), 0);
}

static void a_verdict_for_a_connection_that_has_gone_is_passed_over(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = accept_at(rig, 1);
    recorder_credential(conn, "t");
    fake_loop_settle(rig->loop); /* the verdict is on its way back */
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(rig->server->workers[1].pending.count, 0);
}

static void a_claim_of_a_connection_that_has_gone_leaves_no_session(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = admitted_at(rig, 1);
    rig_send_register(conn, rig_register("pg", 'a'));
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    settle(rig);
    assert_int_equal(rig->server->session_count, 0);
    assert_true(TAILQ_EMPTY(&rig->server->sessions));
    assert_null(rig_record(rig, "pg")->attachment);
    client_at(rig, 1, 'a');
}

static void two_claims_of_one_id_are_answered_in_their_order(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *first = admitted_at(rig, 1), *last = admitted_at(rig, 0);
    rig_send_register(first, rig_register("pg", 'a')); /* still under way when the other comes */
    rig_send_register(last, rig_register("pg", 'b'));
    settle(rig);
    assert_int_equal(rig->server->session_count, 1);
    rig_expect_error(last, FRAME_V2, "superseded");
    assert_false(first->closing);
}

static void a_user_of_a_session_that_has_just_ended_is_reset(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_at(rig, 1, 'a');
    recorder_closed(conn, BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_settle(second.loop); /* the main loop has not heard of it yet */
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    const struct frame_open open = {.service = b->service_id};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    seat_open(rig_record(rig, "pg")->attachment->seat, ends[0], &open, service_stats_create(), 9);
    settle(rig);
    char byte;
    assert_int_equal(read(ends[1], &byte, 1), 0);
    close(ends[1]);
    assert_int_equal(rig->server->workers[1].stats.bridge_refused, 1);
    assert_null(rig_record(rig, "pg")->attachment);
}

static void more_streams_than_allowed_are_counted_where_the_bridge_is(void **state)
{
    struct rig *rig = *state;
    client_at(rig, 1, 'a');
    int users[5];
    for (int i = 0; i < 5; i++)
        users[i] = dial(rig);
    assert_false(rig_was_reset(users[3]));
    assert_true(rig_was_reset(users[4]));
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, "pg")->bridges);
    assert_int_equal(b->accepted, 5);
    assert_int_equal(b->refused, 1);
    assert_int_equal(rig->server->stats.bridge_refused, 1);
    for (int i = 0; i < 5; i++)
        close(users[i]);
}

static void controls_go_to_the_main_loop_and_back(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_at(rig, 1, 'a');
    struct control *said = calloc(1, sizeof *said), *ack = calloc(1, sizeof *ack);
    said->type = CONTROL_SERVICES;
    said->serial = 7;
    said->service_count = 1;
    said->services[0].id = 2;
    strcpy(said->services[0].name, "web");
    strcpy(said->services[0].target, "127.0.0.1:9");
    recorder_control(conn, FRAME_V2, said);
    settle(rig);
    assert_true(recorder_find(conn, CONTROL_SERVICES_ACK, ack, NULL));
    assert_int_equal(ack->serial, 7);
    char token[] = "newer";
    *said = (struct control){.type = CONTROL_TOKEN, .serial = 8, .token = token};
    recorder_control(conn, FRAME_V2, said);
    settle(rig);
    assert_true(recorder_find(conn, CONTROL_TOKEN_ACK, ack, NULL));
    assert_int_equal(ack->serial, 8);
    assert_string_equal(rig->script.token, "newer");
    *said = (struct control){.type = CONTROL_DRAIN, .deadline_ms = 1000};
    recorder_control(conn, FRAME_V2, said);
    settle(rig);
    assert_true(rig_record(rig, "pg")->attachment->leaving);
    free(said);
    free(ack);
}

static void a_drain_waits_for_the_streams_of_all_workers(void **state)
{
    struct rig *rig = *state;
    struct recorder_conn *conn = client_at(rig, 1, 'a');
    int user = dial(rig);
    server_stop(rig->server, "SIGTERM");
    settle(rig);
    fake_loop_advance(rig->loop, 10);
    assert_false(conn->closing);
    assert_int_equal(rig->stopped, 0);
    uint8_t bytes[FRAME_SMALL_ROOM];
    recorder_data(conn, bytes, frame_reset_encode(bytes, 1, RESET_PEER_RESET, ""));
    settle(rig);
    fake_loop_advance(rig->loop, 10);
    settle(rig);
    fake_loop_advance(rig->loop, 10);
    rig_expect_error(conn, FRAME_V2, "draining");
    assert_int_equal(rig->stopped, 1);
    close(user);
}

#define CROSSING(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CROSSING(connections_go_to_the_workers_in_turn),
        CROSSING(a_full_worker_is_passed_over),
        CROSSING(a_client_of_the_other_worker_has_a_bridge_and_streams),
        CROSSING(a_refusal_comes_back_with_its_reason),
        CROSSING(a_client_that_returns_to_another_worker_keeps_its_port),
        CROSSING(a_takeover_from_another_worker_is_told),
        CROSSING(a_connection_that_goes_withdraws_its_question),
        CROSSING(a_verdict_for_a_connection_that_has_gone_is_passed_over),
        CROSSING(a_claim_of_a_connection_that_has_gone_leaves_no_session),
        CROSSING(two_claims_of_one_id_are_answered_in_their_order),
        CROSSING(a_user_of_a_session_that_has_just_ended_is_reset),
        CROSSING(more_streams_than_allowed_are_counted_where_the_bridge_is),
        CROSSING(controls_go_to_the_main_loop_and_back),
        CROSSING(a_drain_waits_for_the_streams_of_all_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
