/* SPDX-License-Identifier: Apache-2.0 */
/* How connections of transport-tls end: in order, by the peer, by the network, by surprise. The
 * fake link checks in all of them that `closed` is last and that every buffer has come back. */
#include "rig.h"

#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BULK (8u * 1024u * 1024u)

static void close_sends_what_is_queued_and_tells_the_peer(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&client, bulk, BULK);
    fake_link_close(&client, BURROW_CLOSE_GOING_AWAY, "restarting");
    assert_int_equal(client.closed, 0); /* never inside an op */
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(server.total, BULK);
    assert_int_equal(client.code, BURROW_CLOSE_GOING_AWAY);
    assert_string_equal(client.reason, "restarting");
    assert_int_equal(server.code, BURROW_CLOSE_PEER);
    fake_link_finish(&client);
    fake_link_finish(&server);
    free(bulk);
}

static void close_of_an_idle_connection_needs_no_timer(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_close(&server, BURROW_CLOSE_NORMAL, NULL);
    rig_until_closed(rig, &server);
    rig_until_closed(rig, &client);
    assert_int_equal(server.code, BURROW_CLOSE_NORMAL);
    assert_int_equal(client.code, BURROW_CLOSE_PEER);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void close_both_ends_at_once_is_orderly(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_close(&server, BURROW_CLOSE_NORMAL, "a");
    fake_link_close(&client, BURROW_CLOSE_POLICY, "b");
    rig_until_closed(rig, &server);
    rig_until_closed(rig, &client);
    assert_int_equal(server.code, BURROW_CLOSE_NORMAL);
    assert_int_equal(client.code, BURROW_CLOSE_POLICY);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void close_waits_for_a_stuck_peer_a_second_and_no_longer(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&client, bulk, BULK);
    fake_host_settle(&rig->host, 30);
    assert_true(fake_link_queued(&client) > 0);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "enough");
    fake_host_advance(&rig->host, 999);
    fake_host_settle(&rig->host, 30);
    assert_int_equal(client.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_NORMAL);
    rig_drop(rig, &client, &server);
    free(bulk);
}

static void close_called_again_shortens_the_wait(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&client, bulk, BULK);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "first");
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.closed, 0);
    fake_link_close(&client, BURROW_CLOSE_ABORT, "second");
    assert_int_equal(client.closed, 0);
    rig_until_closed(rig, &client);
    assert_string_equal(client.reason, "first");
    fake_link_read_enable(&server, true);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    rig_drop(rig, &client, &server);
    free(bulk);
}

static void no_event_but_release_follows_close(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&server, bulk, 1000);
    fake_link_send(&client, bulk, BULK);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "done");
    rig_until_closed(rig, &client);
    assert_int_equal(client.total, 0);
    assert_int_equal(client.drained, 0);
    rig_drop(rig, &client, &server);
    free(bulk);
}

static void send_after_close_gives_the_buffers_back(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "done");
    assert_int_equal(fake_link_send(&client, "late", 4), BURROW_EIO);
    assert_int_equal(client.out, 0);
    rig_drop(rig, &client, &server);
}

static void abort_drops_at_once_and_the_peer_sees_a_loss(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_send(&client, "never sent", 10);
    fake_link_close(&client, BURROW_CLOSE_ABORT, "panic");
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(client.code, BURROW_CLOSE_ABORT);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    assert_int_equal(server.total, 0);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void close_now(struct burrow_link *link, const uint8_t *p, size_t n)
{
    (void)p;
    (void)n;
    fake_link_close(link, (uint32_t)(uintptr_t)link->arg, "inside data");
}

static void closing_inside_data_still_ends_the_batch(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const uint32_t codes[] = {BURROW_CLOSE_PROTOCOL, BURROW_CLOSE_ABORT};
    for (size_t i = 0; i < 2; i++) {
        struct burrow_link client = {0}, server = {0};
        rig_open(rig, &client, &server);
        server.on_data = close_now;
        server.arg = (void *)(uintptr_t)codes[i];
        uint8_t *bulk = (uint8_t *)calloc(1, BULK);
        assert_non_null(bulk);
        fake_link_send(&client, bulk, BULK);
        rig_until_closed(rig, &server);
        assert_int_equal(server.code, codes[i]);
        assert_int_equal(server.batches, 1);
        rig_until_closed(rig, &client);
        rig_drop(rig, &client, &server);
        free(bulk);
    }
}

static void close_at_open(struct burrow_link *link)
{
    fake_link_close(link, BURROW_CLOSE_POLICY, "not you");
}

static void closing_inside_accepted_is_allowed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    server.on_open = close_at_open;
    rig_fail(rig, "localhost", &client, &server);
    assert_int_equal(server.code, BURROW_CLOSE_POLICY);
    assert_int_equal(client.code, BURROW_CLOSE_PEER);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void close_on_drained(struct burrow_link *link)
{
    fake_link_close(link, BURROW_CLOSE_NORMAL, "inside drained");
}

static void closing_inside_drained_is_allowed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    client.on_drained = close_on_drained;
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&client, bulk, BULK);
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(client.drained, 1);
    assert_int_equal(server.total, BULK);
    fake_link_finish(&client);
    fake_link_finish(&server);
    free(bulk);
}

/* The socket dies under the connection, as when the peer's process is killed. */
static void a_connection_cut_without_farewell_is_lost_not_ended(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    shutdown(((struct conn *)client.conn)->fd, SHUT_WR);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    rig_drop(rig, &client, &server);
}

static void noise_instead_of_records_is_a_failure_of_tls(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    static const char noise[] = "\x17\x03\x03\x00\x20 this is no record that we have written";
    assert_true(write(((struct conn *)client.conn)->fd, noise, sizeof noise) > 0);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_TLS);
    rig_until_closed(rig, &client);
    rig_drop(rig, &client, &server);
}

static void a_reset_is_noticed_while_reading_is_off(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_host_settle(&rig->host, 20); /* tickets are through */
    fake_link_read_enable(&server, false);
    fake_link_close(&client, BURROW_CLOSE_ABORT, "gone");
    rig_until_closed(rig, &client);
    fake_host_settle(&rig->host, 20);
    fake_host_advance(&rig->host, 1000);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    rig_drop(rig, &client, &server);
}

static void a_reset_is_noticed_while_reading_is_off_and_writing_is_stuck(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    fake_link_read_enable(&client, false);
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    assert_non_null(bulk);
    fake_link_send(&server, bulk, BULK);
    fake_host_settle(&rig->host, 20);
    assert_true(fake_link_queued(&server) > 0);
    fake_link_close(&client, BURROW_CLOSE_ABORT, "gone");
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    rig_drop(rig, &client, &server);
    free(bulk);
}

static void what_came_before_a_reset_is_still_read_when_sending_fails(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_host_settle(&rig->host, 20);
    fake_link_read_enable(&server, false);
    fake_link_send(&client, "last words", 10);
    fake_host_settle(&rig->host, 20);
    fake_link_close(&client, BURROW_CLOSE_ABORT, "gone");
    rig_until_closed(rig, &client);
    fake_link_read_enable(&server, true);
    fake_link_send(&server, "into the void", 13);
    rig_until_closed(rig, &server);
    assert_int_equal(server.total, 10);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    rig_drop(rig, &client, &server);
}

static bool both_are_closed(void *links)
{
    struct burrow_link **two = (struct burrow_link **)links;
    return two[0]->closed > 0 && two[1]->closed > 0;
}

static void stop_is_answered_after_the_last_connection_has_closed(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    rig->server.plugin->stop(rig->server.self);
    assert_false(rig->host.stopped);
    struct burrow_link *links[] = {&client, &server};
    fake_host_run(&rig->host, both_are_closed, links);
    assert_true(rig->host.stopped);
    assert_int_equal(server.code, BURROW_CLOSE_GOING_AWAY);
    fake_link_finish(&client);
    fake_link_finish(&server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(close_sends_what_is_queued_and_tells_the_peer),
        TEST(close_of_an_idle_connection_needs_no_timer),
        TEST(close_both_ends_at_once_is_orderly),
        TEST(close_waits_for_a_stuck_peer_a_second_and_no_longer),
        TEST(close_called_again_shortens_the_wait),
        TEST(no_event_but_release_follows_close),
        TEST(send_after_close_gives_the_buffers_back),
        TEST(abort_drops_at_once_and_the_peer_sees_a_loss),
        TEST(closing_inside_data_still_ends_the_batch),
        TEST(closing_inside_accepted_is_allowed),
        TEST(closing_inside_drained_is_allowed),
        TEST(a_connection_cut_without_farewell_is_lost_not_ended),
        TEST(noise_instead_of_records_is_a_failure_of_tls),
        TEST(a_reset_is_noticed_while_reading_is_off),
        TEST(a_reset_is_noticed_while_reading_is_off_and_writing_is_stuck),
        TEST(what_came_before_a_reset_is_still_read_when_sending_fails),
        TEST(stop_is_answered_after_the_last_connection_has_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
