/* SPDX-License-Identifier: Apache-2.0 */
/* The plain pipe over a pair of sockets; the tests of transport-tls drive the pipe behind TLS. */
#include "fake_host.h"
#include "pipe.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BULK (4u * 1024u * 1024u)

struct end {
    struct fake_host host;
    int fd, peer; /* the pipe's socket, and the test's */
    struct pipe *pipe;
    size_t got, batches, drained, released, ended;
    uint32_t code;
    uint8_t last[64];
    bool in_batch;
    struct burrow_buf bufs[300];
    void (*in_data)(struct end *end);
    void (*in_drained)(struct end *end);
    void (*in_ended)(struct end *end);
    void (*in_batch_end)(struct end *end);
};

static void on_data(void *arg, uint8_t *p, size_t n)
{
    struct end *end = (struct end *)arg;
    assert_non_null(end->pipe);
    assert_int_equal(end->ended, 0);
    end->got += n;
    memcpy(end->last, p, n < sizeof end->last ? n : sizeof end->last);
    memset(p, 0xff, n); /* the callee may change it */
    end->in_batch = true;
    if (end->in_data != NULL)
        end->in_data(end);
}

static void on_batch_end(void *arg)
{
    struct end *end = (struct end *)arg;
    assert_true(end->in_batch);
    end->in_batch = false;
    end->batches++;
    if (end->in_batch_end != NULL)
        end->in_batch_end(end);
}

static void on_drained(void *arg)
{
    struct end *end = (struct end *)arg;
    assert_non_null(end->pipe);
    end->drained++;
    if (end->in_drained != NULL)
        end->in_drained(end);
}

static void on_release(void *arg, struct burrow_buf *chain)
{
    struct end *end = (struct end *)arg;
    for (; chain != NULL; chain = chain->next) {
        assert_true(chain >= end->bufs && chain < end->bufs + 300);
        end->released++;
    }
}

static void on_ended(void *arg, uint32_t code, const char *reason)
{
    struct end *end = (struct end *)arg;
    assert_non_null(reason);
    assert_non_null(end->pipe);
    end->ended++;
    end->code = code;
    if (end->in_ended != NULL)
        end->in_ended(end);
}

static const struct pipe_events events = {on_data, on_batch_end, on_drained, on_release, on_ended};

static int setup(void **state)
{
    struct end *end = (struct end *)calloc(1, sizeof *end);
    assert_non_null(end);
    fake_host_init(&end->host);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end->fd = fds[0];
    end->peer = fds[1];
    end->pipe = pipe_create(&end->host.table, end->fd, NULL, &events, end);
    assert_non_null(end->pipe);
    *state = end;
    return 0;
}

static void close_pipe(struct end *end)
{
    struct pipe *pipe = end->pipe;
    end->pipe = NULL; /* an event after this is a mistake */
    pipe_close(pipe);
}

static int teardown(void **state)
{
    struct end *end = (struct end *)*state;
    if (end->pipe != NULL)
        close_pipe(end);
    fake_host_finish(&end->host);
    close(end->fd);
    if (end->peer >= 0)
        close(end->peer);
    free(end);
    return 0;
}

static void close_peer(struct end *end)
{
    close(end->peer);
    end->peer = -1;
}

static void turns(struct end *end, unsigned n)
{
    while (n-- > 0)
        fake_host_turn(&end->host, 1);
}

/* count buffers of these bytes, each with n of them. */
static struct burrow_buf *chain_of(struct end *end, uint8_t *p, uint32_t n, size_t count)
{
    for (size_t i = 0; i < count; i++)
        end->bufs[i] = (struct burrow_buf){.next = i + 1 < count ? &end->bufs[i + 1] : NULL,
                                           .base = p,
                                           .capacity = n + BURROW_HEADROOM,
                                           .off = BURROW_HEADROOM,
                                           .len = n};
    return end->bufs;
}

static size_t drain_peer(const struct end *end, uint8_t *ret, size_t size)
{
    size_t n = 0;
    for (ssize_t r; n < size && (r = recv(end->peer, ret + n, size - n, MSG_DONTWAIT)) > 0;)
        n += (size_t)r;
    return n;
}

static void a_turn_reads_one_batch_of_at_most_256_kib(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t *bulk = (uint8_t *)calloc(1, BULK);
    ssize_t n = send(end->peer, bulk, BULK, MSG_DONTWAIT);
    assert_true(n > 0);
    fake_host_turn(&end->host, 1);
    assert_int_equal(end->batches, 1);
    assert_true(end->got <= 256 * 1024);
    for (int i = 0; i < 100 && end->got < (size_t)n; i++)
        fake_host_turn(&end->host, 1);
    assert_int_equal(end->got, n);
    free(bulk);
}

static void more_buffers_than_one_call_takes_arrive_in_order(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t bytes[BURROW_HEADROOM + 300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    struct burrow_buf *chain = chain_of(end, bytes, 0, 300);
    for (uint32_t i = 0; i < 300; i++) { /* one byte each, and each seventh empty */
        end->bufs[i].off = BURROW_HEADROOM + i;
        end->bufs[i].capacity = BURROW_HEADROOM + 300;
        end->bufs[i].len = i % 7 != 0;
    }
    pipe_send(end->pipe, chain);
    assert_int_equal(pipe_queued(end->pipe), 300 - 43);
    assert_int_equal(end->released, 0);
    pipe_flush(end->pipe);
    assert_int_equal(end->released, 300);
    assert_int_equal(pipe_queued(end->pipe), 0);
    uint8_t got[400];
    assert_int_equal(drain_peer(end, got, sizeof got), 300 - 43);
    for (uint32_t i = 0, at = 0; i < 300; i++)
        if (i % 7 != 0)
            assert_int_equal(got[at++], (uint8_t)(BURROW_HEADROOM + i));
}

static void buffers_and_copies_keep_their_order(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t bytes[BURROW_HEADROOM + 3];
    memcpy(bytes + BURROW_HEADROOM, "bcd", 3);
    assert_int_equal(pipe_send_copy(end->pipe, "a", 1), BURROW_OK);
    pipe_send(end->pipe, chain_of(end, bytes, 3, 1));
    assert_int_equal(pipe_send_copy(end->pipe, "ef", 2), BURROW_OK);
    pipe_flush(end->pipe);
    uint8_t got[16];
    assert_int_equal(drain_peer(end, got, sizeof got), 6);
    assert_memory_equal(got, "abcdef", 6);
    assert_int_equal(end->released, 1); /* copies are the pipe's own */
}

/* Fills the kernel and the queue. */
static uint8_t *stuff(struct end *end)
{
    uint8_t *bulk = (uint8_t *)calloc(1, BULK + BURROW_HEADROOM);
    assert_non_null(bulk);
    pipe_send(end->pipe, chain_of(end, bulk, BULK, 1));
    pipe_flush(end->pipe);
    assert_true(pipe_queued(end->pipe) > 256 * 1024);
    assert_int_equal(end->released, 0);
    return bulk;
}

static void drained_comes_once_when_the_peer_has_read(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t *bulk = stuff(end), *sink = (uint8_t *)malloc(BULK);
    size_t n = 0;
    while (n < BULK) {
        assert_int_equal(end->drained, pipe_queued(end->pipe) < 256 * 1024);
        n += drain_peer(end, sink, BULK);
        fake_host_turn(&end->host, 1);
    }
    turns(end, 3);
    assert_int_equal(end->drained, 1);
    assert_int_equal(end->released, 1);
    free(bulk);
    free(sink);
}

static void an_orderly_end_is_told_once_after_the_data(void **state)
{
    struct end *end = (struct end *)*state;
    assert_int_equal(write(end->peer, "last", 4), 4);
    close_peer(end);
    turns(end, 4);
    assert_int_equal(end->got, 4);
    assert_int_equal(end->ended, 1);
    assert_int_equal(end->code, BURROW_CLOSE_PEER);
}

static void shutdown_follows_the_queue(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t *bulk = stuff(end), *sink = (uint8_t *)malloc(BULK);
    pipe_shutdown(end->pipe);
    size_t n = 0;
    for (int i = 0; i < 1000 && n < BULK; i++) {
        n += drain_peer(end, sink, BULK);
        fake_host_turn(&end->host, 1);
    }
    assert_int_equal(n, BULK);
    turns(end, 3);
    assert_int_equal(recv(end->peer, sink, 1, 0), 0);
    assert_int_equal(write(end->peer, "x", 1), 1); /* the other way is open */
    turns(end, 2);
    assert_int_equal(end->got, 1);
    free(bulk);
    free(sink);
}

static void shutdown_needs_no_flush(void **state)
{
    struct end *end = (struct end *)*state;
    pipe_shutdown(end->pipe);
    turns(end, 2);
    char byte;
    assert_int_equal(recv(end->peer, &byte, 1, 0), 0);
}

static void close_releases_what_is_queued(void **state)
{
    struct end *end = (struct end *)*state;
    uint8_t *bulk = stuff(end);
    close_pipe(end);
    assert_int_equal(end->released, 1);
    free(bulk);
}

static void closing_inside_any_event_is_safe(void **state)
{
    struct end *end = (struct end *)*state;
    void (**hooks[])(struct end *) = {&end->in_data, &end->in_batch_end, &end->in_drained,
                                      &end->in_ended};
    for (size_t i = 0; i < 4; i++) {
        *hooks[i] = close_pipe;
        end->released = 0;
        uint8_t *bulk = i == 2 ? stuff(end) : NULL;
        if (i < 2)
            assert_int_equal(write(end->peer, "x", 1), 1);
        uint8_t *sink = (uint8_t *)malloc(BULK);
        if (i == 3)
            shutdown(end->peer, SHUT_WR);
        for (int turn = 0; turn < 1000 && end->pipe != NULL; turn++) {
            (void)drain_peer(end, sink, BULK);
            fake_host_turn(&end->host, 1);
        }
        assert_null(end->pipe);
        (void)drain_peer(end, sink, BULK);
        *hooks[i] = NULL;
        end->in_batch = false;
        free(bulk);
        free(sink);
        end->pipe = pipe_create(&end->host.table, end->fd, NULL, &events, end);
        assert_non_null(end->pipe);
    }
}

static void flush_in_data(struct end *end)
{
    assert_int_equal(pipe_send_copy(end->pipe, "answer", 6), BURROW_OK);
    pipe_flush(end->pipe);
    assert_int_equal(pipe_queued(end->pipe), 6); /* the scratch is lent */
}

static void a_flush_inside_data_happens_after_the_batch(void **state)
{
    struct end *end = (struct end *)*state;
    end->in_data = flush_in_data;
    assert_int_equal(write(end->peer, "x", 1), 1);
    fake_host_turn(&end->host, 1);
    uint8_t got[16];
    assert_int_equal(drain_peer(end, got, sizeof got), 6);
}

static void a_pipe_that_does_not_read_notices_a_dead_peer(void **state)
{
    struct end *end = (struct end *)*state;
    pipe_read_enable(end->pipe, 0);
    close_peer(end);
    turns(end, 3);
    assert_int_equal(end->ended, 0);
    fake_host_advance(&end->host, 1000);
    turns(end, 2);
    assert_int_equal(end->ended, 1);
    assert_int_equal(end->code, BURROW_CLOSE_LOST);
}

static void a_send_to_a_dead_peer_ends_the_pipe_and_releases(void **state)
{
    struct end *end = (struct end *)*state;
    pipe_read_enable(end->pipe, 0);
    close_peer(end);
    uint8_t bytes[BURROW_HEADROOM + 10] = {0};
    pipe_send(end->pipe, chain_of(end, bytes, 10, 1));
    pipe_flush(end->pipe);
    assert_int_equal(end->ended, 1);
    assert_int_equal(end->code, BURROW_CLOSE_LOST);
    assert_int_equal(end->released, 1);
}

static void reading_goes_on_where_it_was_paused(void **state)
{
    struct end *end = (struct end *)*state;
    pipe_read_enable(end->pipe, 0);
    assert_int_equal(write(end->peer, "abc", 3), 3);
    turns(end, 3);
    assert_int_equal(end->got, 0);
    pipe_read_enable(end->pipe, 1);
    turns(end, 2);
    assert_int_equal(end->got, 3);
    assert_memory_equal(end->last, "abc", 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_turn_reads_one_batch_of_at_most_256_kib),
        TEST(more_buffers_than_one_call_takes_arrive_in_order),
        TEST(buffers_and_copies_keep_their_order),
        TEST(drained_comes_once_when_the_peer_has_read),
        TEST(an_orderly_end_is_told_once_after_the_data),
        TEST(shutdown_follows_the_queue),
        TEST(shutdown_needs_no_flush),
        TEST(close_releases_what_is_queued),
        TEST(closing_inside_any_event_is_safe),
        TEST(a_flush_inside_data_happens_after_the_batch),
        TEST(a_pipe_that_does_not_read_notices_a_dead_peer),
        TEST(a_send_to_a_dead_peer_ends_the_pipe_and_releases),
        TEST(reading_goes_on_where_it_was_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
