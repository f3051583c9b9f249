/* SPDX-License-Identifier: Apache-2.0 */
/* Relays: real socket pairs on both ends of two sessions in memory. */
#include "base/socket.h"
#include "pair.h"

#include "tunnel/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct ends {
    struct pair *pair;
    int user, target; /* the tests' ends of the two relays */
};

/* A connected, non-blocking TCP pair over loopback: Unix pairs have no RST. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(l >= 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &n), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&a, n), 0);
    fds[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[1] >= 0);
    close(l);
}

static void attach(struct pair *p, int side, struct mock_end *e, int fd)
{
    struct relay *r = relay_create(p->loop, fd);

    (void)side;
    assert_non_null(r);
    stream_set_end(e->stream, &relay_stream_ops, r);
    relay_attach(r, e->stream);
    e->stream = NULL;
}

static int setup(void **state)
{
    struct ends *t = calloc(1, sizeof *t);
    struct mock_end *a;
    int fds[2];

    assert_non_null(t);
    t->pair = pair_new();
    pair_connect(t->pair);
    a = end_open(t->pair, 0);
    pair_run(t->pair);
    tcp_pair(fds);
    t->user = fds[0];
    attach(t->pair, 0, a, fds[1]);
    tcp_pair(fds);
    t->target = fds[0];
    attach(t->pair, 1, t->pair->side[1].last_opened, fds[1]);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct ends *t = *state;

    if (t->user >= 0)
        close(t->user);
    if (t->target >= 0)
        close(t->target);
    pair_free(t->pair);
    free(t);
    return 0;
}

/* Reads what is there; -1 when nothing is. */
static ssize_t take(int fd, void *p, size_t n)
{
    return recv(fd, p, n, MSG_DONTWAIT);
}

/* Runs the pair until fd has something to read or its end, for at most ten seconds. */
static bool wait_readable(struct ends *t, int fd)
{
    int i;

    for (i = 0; i < 10000; i++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        pair_run(t->pair);
        if (poll(&p, 1, 1) == 1)
            return true;
    }
    return false;
}

static void a_request_and_its_answer_pass(void **state)
{
    struct ends *t = *state;
    char buf[64];

    assert_int_equal(send(t->user, "hello", 5, 0), 5);
    assert_true(wait_readable(t, t->target));
    assert_int_equal(take(t->target, buf, sizeof buf), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(send(t->target, "world!", 6, 0), 6);
    assert_true(wait_readable(t, t->user));
    assert_int_equal(take(t->user, buf, sizeof buf), 6);
}

static void a_half_close_lets_the_answer_through(void **state)
{
    struct ends *t = *state;
    char buf[64];

    send(t->user, "q", 1, 0);
    shutdown(t->user, SHUT_WR);
    assert_true(wait_readable(t, t->target));
    assert_int_equal(take(t->target, buf, sizeof buf), 1);
    assert_true(wait_readable(t, t->target));
    assert_int_equal(take(t->target, buf, sizeof buf), 0);
    assert_int_equal(send(t->target, "answer", 6, 0), 6);
    close(t->target);
    t->target = -1;
    assert_true(wait_readable(t, t->user));
    assert_int_equal(take(t->user, buf, sizeof buf), 6);
    assert_true(wait_readable(t, t->user));
    assert_int_equal(take(t->user, buf, sizeof buf), 0);
    pair_run(t->pair);
    assert_int_equal(session_stream_count(t->pair->side[0].session), 0);
    assert_int_equal(session_stream_count(t->pair->side[1].session), 0);
}

static void a_reset_is_a_reset(void **state)
{
    struct ends *t = *state;
    char c;

    socket_reset(t->user);
    t->user = -1;
    assert_true(wait_readable(t, t->target));
    assert_int_equal(take(t->target, &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void a_lost_session_resets_both_sockets(void **state)
{
    struct ends *t = *state;
    char c;

    mock_lose(&t->pair->mock.end[0]);
    mock_lose(&t->pair->mock.end[1]);
    assert_true(wait_readable(t, t->target));
    assert_int_equal(take(t->target, &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_true(wait_readable(t, t->user));
    assert_int_equal(take(t->user, &c, 1), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void megabytes_pass_unchanged_through_a_slow_reader(void **state)
{
    enum { TOTAL = 8 * 1024 * 1024 };
    struct ends *t = *state;
    uint8_t *out = malloc(TOTAL), *in = malloc(TOTAL);
    size_t sent = 0, got = 0;
    uint32_t x = 1;
    size_t i;

    assert_true(out && in);
    for (i = 0; i < TOTAL; i++)
        out[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
    while (got < TOTAL) {
        ssize_t n;

        if (sent < TOTAL) {
            n = send(t->user, out + sent, TOTAL - sent, MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            if (sent == TOTAL)
                shutdown(t->user, SHUT_WR);
        }
        pair_step(t->pair, 256 * 1024, SIZE_MAX);
        n = take(t->target, in + got, TOTAL - got < 50000 ? TOTAL - got : 50000);
        got += n > 0 ? (size_t)n : 0;
        assert_int_not_equal(n, 0);
    }
    assert_memory_equal(in, out, TOTAL);
    assert_true(t->pair->budget[1].used < 6u << 20);
    free(in);
    free(out);
}

static void the_target_that_never_reads_holds_no_more_than_its_window(void **state)
{
    struct ends *t = *state;
    static uint8_t block[65536];
    int i;

    for (i = 0; i < 2000; i++) {
        (void)!send(t->user, block, sizeof block, MSG_DONTWAIT);
        pair_step(t->pair, 256 * 1024, SIZE_MAX);
    }
    assert_true(pool_in_use(loop_pool(t->pair->loop)) < 6u << 20);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* Fills what the socket can hold; the number of bytes. */
static size_t fill(int fd)
{
    static const char filler[4096];
    size_t total = 0;
    ssize_t n;

    while ((n = send(fd, filler, sizeof filler, MSG_DONTWAIT)) > 0)
        total += (size_t)n;
    return total;
}

static void what_is_written_first_comes_first_and_is_not_the_streams(void **state)
{
    struct ends *t = *state;
    struct mock_end *a = end_open(t->pair, 0), *b;
    struct relay *r;
    int fds[2], user[2];
    char buf[4096];
    size_t filler;

    pair_run(t->pair);
    b = t->pair->side[1].last_opened;
    tcp_pair(user);
    attach(t->pair, 0, a, user[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    filler = fill(fds[1]); /* so that the first bytes have to wait */
    r = relay_create(t->pair->loop, fds[1]);
    assert_non_null(r);
    assert_int_equal(relay_write_first(r, "PROXY\r\n", 7), BURROW_OK);
    stream_set_end(b->stream, &relay_stream_ops, r);
    relay_attach(r, b->stream);
    b->stream = NULL;
    assert_int_equal(send(user[0], "data", 4, 0), 4);
    shutdown(user[0], SHUT_WR);
    pair_run(t->pair);
    while (filler > 0) {
        ssize_t n = take(fds[0], buf, filler < sizeof buf ? filler : sizeof buf);

        assert_true(n > 0);
        filler -= (size_t)n;
    }
    assert_true(wait_readable(t, fds[0]));
    pair_run(t->pair);
    assert_int_equal(recv(fds[0], buf, 11, MSG_WAITALL), 11);
    assert_memory_equal(buf, "PROXY\r\ndata", 11);
    assert_true(wait_readable(t, fds[0]));
    assert_int_equal(take(fds[0], buf, sizeof buf), 0);
    close(fds[0]);
    assert_true(wait_readable(t, user[0]));
    assert_int_equal(take(user[0], buf, sizeof buf), 0);
    pair_run(t->pair);
    assert_int_equal(session_stream_count(t->pair->side[0].session), 1); /* the other one */
    assert_int_equal(session_stream_count(t->pair->side[1].session), 1);
    assert_int_equal(t->pair->stats[1].bytes_in, 4);
    close(user[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_its_answer_pass),
        TEST(a_half_close_lets_the_answer_through),
        TEST(a_reset_is_a_reset),
        TEST(a_lost_session_resets_both_sockets),
        TEST(megabytes_pass_unchanged_through_a_slow_reader),
        TEST(the_target_that_never_reads_holds_no_more_than_its_window),
        TEST(what_is_written_first_comes_first_and_is_not_the_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
