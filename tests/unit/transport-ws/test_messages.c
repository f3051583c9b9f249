/* SPDX-License-Identifier: Apache-2.0 */
/* Messages, pings and ends of open connections: between two instances, plain and behind TLS,
 * and against a raw socket that keeps or breaks the rules. */
#include "rig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BULK (8u * 1024u * 1024u)

/* A client's frame with the mask 0, which leaves the payload readable. */
static size_t client_frame(uint8_t *out, uint8_t first, const void *payload, size_t n)
{
    static const uint8_t key[4];
    size_t header = ws_put_header(out + WS_HEADER_MAX, first & 0x0f, n, key);
    memmove(out, out + WS_HEADER_MAX - header, header);
    out[0] = first;
    if (n > 0)
        memcpy(out + header, payload, n);
    return header + n;
}

static void send_frame(int fd, uint8_t first, const void *payload, size_t n)
{
    uint8_t *out = (uint8_t *)malloc(n + 2 * WS_HEADER_MAX);
    assert_non_null(out);
    size_t len = client_frame(out, first, payload, n);
    raw_send(fd, out, len);
    free(out);
}

/* Reads a server's short frame; returns its first byte, the payload in buf. */
static uint8_t read_frame(struct rig *rig, int fd, uint8_t *buf, size_t *ret_len)
{
    uint8_t header[2];
    assert_int_equal(raw_read(rig, fd, header, 2), 2);
    assert_true(header[1] < 126);
    assert_int_equal(raw_read(rig, fd, buf, header[1]), header[1]);
    *ret_len = header[1];
    return header[0];
}

static void expect_close(struct rig *rig, int fd, uint16_t code)
{
    uint8_t buf[128];
    size_t n;
    assert_int_equal(read_frame(rig, fd, buf, &n), 0x88);
    assert_true(n >= 2);
    assert_int_equal((buf[0] << 8) | buf[1], code);
}

static void messages_of_every_size_arrive_whole_and_in_order(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const size_t sizes[] = {0, 1, 2, 125, 126, 127, 4096, 65535, 65536, 65550, 16384, 3};
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    size_t total = 0, count = sizeof sizes / sizeof sizes[0];
    for (size_t i = 0; i < count; i++)
        total += sizes[i];
    uint8_t *bytes = (uint8_t *)malloc(total);
    assert_non_null(bytes);
    for (size_t i = 0; i < total; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    fake_link_send_chain(&client, bytes, sizes, count);
    fake_link_send_chain(&server, bytes, sizes, count);
    rig_until_bytes(rig, &server, total);
    rig_until_bytes(rig, &client, total);
    fake_host_settle(&rig->host, 5);
    assert_memory_equal(server.got, bytes, total);
    assert_memory_equal(client.got, bytes, total);
    assert_int_equal(server.messages, count);
    assert_int_equal(client.messages, count);
    rig_drop(rig, &client, &server);
    free(bytes);
}

static void send_bulk(struct burrow_link *link, size_t size)
{
    uint8_t *block = (uint8_t *)calloc(1, 65536);
    assert_non_null(block);
    for (size_t done = 0; done < size; done += 65536)
        fake_link_send(link, block, 65536);
    free(block);
}

static void a_reader_that_pauses_stops_the_sender_and_loses_nothing(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.forget = true};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    send_bulk(&client, BULK);
    fake_host_settle(&rig->host, 20);
    assert_true(fake_link_queued(&client) > 256 * 1024);
    assert_int_equal(client.drained, 0);
    assert_int_equal(server.total, 0);
    fake_link_read_enable(&server, true);
    rig_until_bytes(rig, &server, BULK);
    rig_until(rig, &client.drained, 1);
    assert_int_equal(client.drained, 1); /* once per crossing */
    fake_host_settle(&rig->host, 5);
    assert_int_equal(fake_link_queued(&client), 0);
    assert_int_equal(client.out, 0);
    rig_drop(rig, &client, &server);
}

static void close_sends_what_is_queued_and_tells_the_peer(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {.forget = true};
    rig_open(rig, &client, &server);
    send_bulk(&client, BULK);
    fake_link_close(&client, BURROW_CLOSE_GOING_AWAY, "restarting");
    assert_int_equal(client.closed, 0);
    rig_until_closed(rig, &client);
    rig_until_closed(rig, &server);
    assert_int_equal(server.total, BULK);
    assert_int_equal(client.code, BURROW_CLOSE_GOING_AWAY);
    assert_string_equal(client.reason, "restarting");
    assert_int_equal(server.code, BURROW_CLOSE_PEER);
    assert_non_null(strstr(server.reason, "1001: restarting"));
    fake_link_finish(&client);
    fake_link_finish(&server);
}

static void both_may_close_at_once(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_close(&server, BURROW_CLOSE_NORMAL, NULL);
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
    struct burrow_link client = {0}, server = {.forget = true};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    send_bulk(&client, BULK);
    fake_host_settle(&rig->host, 20);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "enough");
    fake_host_advance(&rig->host, 999);
    fake_host_settle(&rig->host, 20);
    assert_int_equal(client.closed, 0);
    fake_host_advance(&rig->host, 1);
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_NORMAL);
    fake_link_finish(&client);
    rig_drop(rig, &server, NULL);
}

static void closing_twice_shortens_the_wait(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_read_enable(&server, false);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "first");
    fake_link_close(&client, BURROW_CLOSE_ABORT, "second");
    rig_until_closed(rig, &client);
    assert_int_equal(client.code, BURROW_CLOSE_NORMAL);
    assert_string_equal(client.reason, "first");
    fake_link_finish(&client);
    rig_drop(rig, &server, NULL);
}

static void send_after_close_gives_the_buffer_back(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_close(&client, BURROW_CLOSE_NORMAL, "done");
    assert_true(fake_link_send(&client, "late", 4) < 0);
    assert_int_equal(client.out, 0);
    rig_drop(rig, &client, &server);
}

static void close_in_data(struct burrow_link *link, const uint8_t *p, size_t n)
{
    (void)p;
    (void)n;
    fake_link_close(link, link->arg != NULL ? BURROW_CLOSE_ABORT : BURROW_CLOSE_PROTOCOL, "no");
    link->on_data = NULL;
}

static void closing_inside_data_ends_the_data(void **state)
{
    struct rig *rig = (struct rig *)*state;
    for (int abort = 0; abort < 2; abort++) {
        struct burrow_link client = {0},
                           server = {.on_data = close_in_data, .arg = abort ? &abort : NULL};
        rig_open(rig, &client, &server);
        fake_link_send(&client, "one", 3);
        fake_link_send(&client, "two", 3);
        rig_until_closed(rig, &server);
        rig_until_closed(rig, &client);
        assert_int_equal(server.total, 3);
        assert_int_equal(server.code, abort ? BURROW_CLOSE_ABORT : BURROW_CLOSE_PROTOCOL);
        fake_link_finish(&client);
        fake_link_finish(&server);
    }
}

/* Burrow 0.5's clients leave for good on 1000 and 1001. */
static void a_server_never_closes_with_1000_or_1001(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const struct {
        uint32_t code;
        uint16_t wire;
    } cases[] = {{BURROW_CLOSE_NORMAL, 1012},   {BURROW_CLOSE_GOING_AWAY, 1012},
                 {BURROW_CLOSE_PROTOCOL, 1002}, {BURROW_CLOSE_POLICY, 1008},
                 {BURROW_CLOSE_INTERNAL, 1011}, {BURROW_CLOSE_TOO_BIG, 1009}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct burrow_link server = {0};
        int fd = rig_raw_open(rig, &server);
        fake_link_close(&server, cases[i].code, "why");
        expect_close(rig, fd, cases[i].wire);
        send_frame(fd, 0x88, "\x03\xe8", 2);
        close(fd);
        rig_until_closed(rig, &server);
        assert_int_equal(server.code, cases[i].code);
        fake_link_finish(&server);
    }
}

static void a_close_frame_is_answered_with_its_code_and_the_end(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    uint8_t rest[8];
    int fd = rig_raw_open(rig, &server);
    send_frame(fd, 0x88,
               "\x03\xe9"
               "bye",
               5);
    expect_close(rig, fd, 1001);
    assert_int_equal(raw_read(rig, fd, rest, sizeof rest), 0);
    close(fd);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_PEER);
    assert_non_null(strstr(server.reason, "1001: bye"));
    fake_link_finish(&server);
}

static void an_end_without_a_close_frame_is_a_loss(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_raw_open(rig, &server);
    close(fd);
    rig_until_closed(rig, &server);
    assert_int_equal(server.code, BURROW_CLOSE_LOST);
    fake_link_finish(&server);
}

static void broken_rules_end_the_connection_with_the_rfc_s_code(void **state)
{
    struct rig *rig = (struct rig *)*state;
    static const struct {
        const char *bytes;
        size_t n;
        uint16_t wire;
        uint32_t code;
    } cases[] = {
        {"\x82\x01x", 3, 1002, BURROW_CLOSE_PROTOCOL},
        {"\xc2\x80\0\0\0\0", 6, 1002, BURROW_CLOSE_PROTOCOL},
        {"\x83\x80\0\0\0\0", 6, 1002, BURROW_CLOSE_PROTOCOL},
        {"\x09\x80\0\0\0\0", 6, 1002, BURROW_CLOSE_PROTOCOL},
        {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002, BURROW_CLOSE_PROTOCOL},
        {"\x82\xff\0\0\0\0\0\1\0\x0f\0\0\0\0", 14, 1009, BURROW_CLOSE_TOO_BIG},
        {"\x81\x81\0\0\0\0\xff", 7, 1007, BURROW_CLOSE_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct burrow_link server = {0};
        uint8_t rest[8];
        int fd = rig_raw_open(rig, &server);
        raw_send(fd, cases[i].bytes, cases[i].n);
        expect_close(rig, fd, cases[i].wire);
        assert_int_equal(raw_read(rig, fd, rest, sizeof rest), 0);
        close(fd);
        rig_until_closed(rig, &server);
        assert_int_equal(server.code, cases[i].code);
        fake_link_finish(&server);
    }
}

static void a_fault_is_over_within_a_second_though_the_peer_stays(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_raw_open(rig, &server);
    raw_send(fd, "\x82\x01x", 3);
    expect_close(rig, fd, 1002);
    fake_host_advance(&rig->host, 1000);
    rig_until_closed(rig, &server);
    close(fd);
    fake_link_finish(&server);
}

static void fragments_are_one_message_and_pings_between_are_answered(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    uint8_t buf[128];
    size_t n;
    int fd = rig_raw_open(rig, &server);
    send_frame(fd, 0x02, "one ", 4);
    send_frame(fd, 0x89, "ping", 4);
    send_frame(fd, 0x00, "", 0);
    send_frame(fd, 0x80, "message", 7);
    rig_until_bytes(rig, &server, 11);
    assert_memory_equal(server.got, "one message", 11);
    assert_int_equal(server.messages, 1);
    assert_int_equal(read_frame(rig, fd, buf, &n), 0x8a);
    assert_int_equal(n, 4);
    assert_memory_equal(buf, "ping", 4);
    rig_drop(rig, &server, NULL);
    close(fd);
}

static void text_messages_are_taken_like_binary_ones(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_raw_open(rig, &server);
    send_frame(fd, 0x81, "{\"type\":1}", 10);
    rig_until_bytes(rig, &server, 10);
    assert_int_equal(server.messages, 1);
    rig_drop(rig, &server, NULL);
    close(fd);
}

static void only_the_newest_of_many_pings_is_answered(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    uint8_t bytes[100 * 8], buf[128];
    size_t len = 0, n;
    int fd = rig_raw_open(rig, &server);
    for (uint8_t i = 0; i < 100; i++)
        len += client_frame(bytes + len, 0x89, &i, 1);
    raw_send(fd, bytes, len);
    assert_int_equal(read_frame(rig, fd, buf, &n), 0x8a);
    assert_int_equal(buf[0], 99);
    fake_host_settle(&rig->host, 5);
    assert_int_equal(recv(fd, buf, sizeof buf, MSG_DONTWAIT), -1);
    rig_drop(rig, &server, NULL);
    close(fd);
}

static void pings_of_a_peer_that_does_not_read_fill_no_queue(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    int fd = rig_raw_open(rig, &server);
    send_bulk(&server, BULK);
    fake_host_settle(&rig->host, 20);
    size_t before = fake_link_queued(&server);
    assert_true(before > 0);
    for (unsigned i = 0; i < 1000; i++) {
        send_frame(fd, 0x89, &i, sizeof i);
        if (i % 10 == 0)
            fake_host_turn(&rig->host, 0);
    }
    fake_host_settle(&rig->host, 20);
    assert_true(fake_link_queued(&server) <= before);
    rig_drop(rig, &server, NULL);
    close(fd);
}

static void a_version_1_frame_of_nine_fragments_is_one_message(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link server = {0};
    uint8_t block[4096];
    memset(block, 'v', sizeof block);
    int fd = rig_raw_open(rig, &server);
    for (unsigned i = 0; i < 8; i++)
        send_frame(fd, i == 0 ? 0x02 : 0x00, block, sizeof block);
    send_frame(fd, 0x80, block, 14);
    rig_until_bytes(rig, &server, 32768 + 14);
    assert_int_equal(server.messages, 1);
    rig_drop(rig, &server, NULL);
    close(fd);
}

#define PLAIN(name) cmocka_unit_test_setup_teardown(name, rig_setup_plain, rig_teardown)
#define TLS(name) cmocka_unit_test_setup_teardown(name, rig_setup_tls, rig_teardown)
#define BOTH(name) PLAIN(name), TLS(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(messages_of_every_size_arrive_whole_and_in_order),
        BOTH(a_reader_that_pauses_stops_the_sender_and_loses_nothing),
        BOTH(close_sends_what_is_queued_and_tells_the_peer),
        BOTH(both_may_close_at_once),
        BOTH(close_waits_for_a_stuck_peer_a_second_and_no_longer),
        BOTH(closing_twice_shortens_the_wait),
        BOTH(send_after_close_gives_the_buffer_back),
        BOTH(closing_inside_data_ends_the_data),
        PLAIN(a_server_never_closes_with_1000_or_1001),
        PLAIN(a_close_frame_is_answered_with_its_code_and_the_end),
        PLAIN(an_end_without_a_close_frame_is_a_loss),
        PLAIN(broken_rules_end_the_connection_with_the_rfc_s_code),
        PLAIN(a_fault_is_over_within_a_second_though_the_peer_stays),
        PLAIN(fragments_are_one_message_and_pings_between_are_answered),
        PLAIN(text_messages_are_taken_like_binary_ones),
        PLAIN(only_the_newest_of_many_pings_is_answered),
        PLAIN(pings_of_a_peer_that_does_not_read_fill_no_queue),
        PLAIN(a_version_1_frame_of_nine_fragments_is_one_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
