/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through two instances of transport-tls: exact, whatever the sizes and the speeds. */
#include "rig.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define TOTAL (24u * 1024u * 1024u)

/* A generator of sizes and bytes that is the same in every run. */
static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static uint8_t *make_bytes(size_t n, uint32_t seed)
{
    uint8_t *p = (uint8_t *)malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)next_random(&seed);
    return p;
}

struct sender {
    struct burrow_link *link;
    const uint8_t *bytes;
    size_t at, total;
    uint32_t seed;
    unsigned pauses; /* times the queue had reached the watermark */
    bool full;
};

static void send_more(struct sender *sender)
{
    while (sender->at < sender->total && !sender->full) {
        size_t lengths[8], count = 1 + next_random(&sender->seed) % 8, sum = 0;
        static const uint32_t limits[] = {4, 100, 3000, 16385, 65537};
        for (size_t i = 0; i < count; i++) {
            size_t n = next_random(&sender->seed) % limits[next_random(&sender->seed) % 5];
            size_t left = sender->total - sender->at - sum;
            lengths[i] = n < left ? n : left;
            sum += lengths[i];
        }
        assert_int_equal(
            fake_link_send_chain(sender->link, sender->bytes + sender->at, lengths, count),
            BURROW_OK);
        sender->at += sum;
        if (fake_link_queued(sender->link) >= 256u * 1024u) {
            sender->full = true;
            sender->pauses++;
        }
    }
}

static void on_drained(struct burrow_link *link)
{
    struct sender *sender = (struct sender *)link->arg;
    assert_true(sender->full);
    sender->full = false;
    send_more(sender);
}

static bool has_all(void *link)
{
    return ((struct burrow_link *)link)->total >= TOTAL;
}

static void start(struct sender *sender, struct burrow_link *link, const uint8_t *bytes,
                  uint32_t seed)
{
    *sender = (struct sender){.link = link, .bytes = bytes, .total = TOTAL, .seed = seed};
    link->arg = sender;
    link->on_drained = on_drained;
    send_more(sender);
}

static void bytes_arrive_exactly_both_ways_at_once_whatever_their_sizes(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct sender up, down;
    rig_open(rig, &client, &server);
    uint8_t *a = make_bytes(TOTAL, 1), *b = make_bytes(TOTAL, 2);
    start(&up, &client, a, 3);
    start(&down, &server, b, 4);
    fake_host_run(&rig->host, has_all, &server);
    fake_host_run(&rig->host, has_all, &client);
    assert_int_equal(server.got_len, TOTAL);
    assert_int_equal(client.got_len, TOTAL);
    assert_memory_equal(server.got, a, TOTAL);
    assert_memory_equal(client.got, b, TOTAL);
    assert_int_equal(client.drained, up.pauses);
    assert_int_equal(server.drained, down.pauses);
    assert_true(up.pauses > 10);
    rig_drop(rig, &client, &server);
    free(a);
    free(b);
}

/* Reads only now and then. */
static void on_data_pause(struct burrow_link *link, const uint8_t *p, size_t n)
{
    (void)p;
    (void)n;
    fake_link_read_enable(link, false);
}

static void a_reader_that_pauses_after_every_batch_loses_nothing(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    struct sender up;
    rig_open(rig, &client, &server);
    server.on_data = on_data_pause;
    uint8_t *a = make_bytes(TOTAL, 5);
    start(&up, &client, a, 6);
    for (int turns = 0; !has_all(&server); turns++) {
        assert_true(turns < 1000000);
        unsigned batches = server.batches;
        fake_host_turn(&rig->host, 1);
        assert_true(server.batches <= batches + 1);
        fake_host_turn(&rig->host, 0);
        assert_true(server.batches <= batches + 1); /* nothing while it pauses */
        fake_link_read_enable(&server, true);
    }
    assert_memory_equal(server.got, a, TOTAL);
    assert_int_equal(client.drained, up.pauses);
    rig_drop(rig, &client, &server);
    free(a);
}

static void queued_counts_what_the_kernel_has_not_taken(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    uint8_t *a = make_bytes(TOTAL, 7);
    assert_int_equal(fake_link_send(&client, a, TOTAL), BURROW_OK);
    assert_int_equal(fake_link_queued(&client), TOTAL);
    fake_host_settle(&rig->host, 50);
    size_t stuck = fake_link_queued(&client);
    assert_true(stuck > 0 && stuck < TOTAL);
    fake_link_read_enable(&server, true);
    fake_host_run(&rig->host, has_all, &server);
    assert_int_equal(fake_link_queued(&client), 0);
    assert_int_equal(client.drained, 1);
    assert_memory_equal(server.got, a, TOTAL);
    rig_drop(rig, &client, &server);
    free(a);
}

static void drained_follows_the_watermark_that_was_set(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    static const uint8_t bytes[2000];
    rig->client.ops->set_watermark(client.conn, 2001);
    fake_link_send(&client, bytes, 2000);
    fake_host_turn(&rig->host, 1);
    assert_int_equal(client.drained, 0); /* never reached it */
    rig->client.ops->set_watermark(client.conn, 2000);
    fake_link_send(&client, bytes, 1000);
    fake_link_send(&client, bytes, 1000);
    fake_host_turn(&rig->host, 1);
    assert_int_equal(client.drained, 1);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.drained, 1);
    rig_drop(rig, &client, &server);
}

static void nothing_is_written_before_flush(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_send(&client, "hello", 5);
    client.sent_since_flush = false; /* the host forgets to flush */
    fake_host_settle(&rig->host, 20);
    assert_int_equal(server.total, 0);
    assert_int_equal(fake_link_queued(&client), 5);
    client.sent_since_flush = true;
    while (server.total < 5)
        fake_host_turn(&rig->host, 20);
    assert_memory_equal(server.got, "hello", 5);
    rig_drop(rig, &client, &server);
}

static void answer(struct burrow_link *link, const uint8_t *p, size_t n)
{
    fake_link_send(link, p, n);
}

static void small_messages_come_back_at_once(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    server.on_data = answer;
    for (unsigned i = 0; i < 1000; i++) {
        fake_link_send(&client, "ping", 4);
        while (client.total < 4 * (i + 1))
            fake_host_turn(&rig->host, 20);
    }
    assert_int_equal(client.total, 4000);
    rig_drop(rig, &client, &server);
}

/* TLS 1.3 may change keys in mid-stream, and the answer to that is written while reading. */
static void a_change_of_keys_in_mid_stream_is_invisible(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    struct conn *conn = (struct conn *)client.conn;
    uint8_t *a = make_bytes(200000, 8);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(SSL_key_update(conn->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        fake_link_send(&client, a + 10000 * i, 10000);
        fake_host_turn(&rig->host, 1);
        fake_link_send(&server, a + 10000 * i, 10000);
    }
    while (server.total < 200000 || client.total < 200000)
        fake_host_turn(&rig->host, 20);
    assert_memory_equal(server.got, a, 200000);
    assert_memory_equal(client.got, a, 200000);
    rig_drop(rig, &client, &server);
    free(a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(bytes_arrive_exactly_both_ways_at_once_whatever_their_sizes),
        TEST(a_reader_that_pauses_after_every_batch_loses_nothing),
        TEST(queued_counts_what_the_kernel_has_not_taken),
        TEST(drained_follows_the_watermark_that_was_set),
        TEST(nothing_is_written_before_flush),
        TEST(small_messages_come_back_at_once),
        TEST(a_change_of_keys_in_mid_stream_is_invisible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
