/* SPDX-License-Identifier: Apache-2.0 */
/* Connecting to several addresses: real loopback sockets, a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/address.h"
#include "fake_loop.h"
#include "loop/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILLERS 8

struct rig {
    struct loop *loop;
    int listener; /* at 127.0.0.1 */
    int silent;   /* at 127.0.0.2, the same port: its backlog is full, so that it never answers */
    int fillers[FILLERS];
    uint16_t port;
    unsigned done, tried;
    char order[CONNECT_MAX_ADDRESSES + 1]; /* of the addresses' last digits */
    int fd, error;
    struct burrow_addr addr;
};

static int listen_at(uint32_t host, uint16_t port, int backlog, uint16_t *ret_port)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(host), .sin_port = htons(port)};
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)(void *)&in, len) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&in, &len), 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

static int setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    rig.fd = -1;
    uint16_t same;
    do {
        rig.listener = listen_at(INADDR_LOOPBACK, 0, 16, &rig.port);
        rig.silent = listen_at(INADDR_LOOPBACK + 1, rig.port, 0, &same);
        if (rig.silent < 0)
            close(rig.listener); /* somebody else has that port there */
    } while (rig.silent < 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
                             .sin_port = htons(rig.port)};
    for (int i = 0; i < FILLERS; i++) {
        rig.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(rig.fillers[i], (struct sockaddr *)(void *)&to, sizeof to);
    }
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    if (rig->fd >= 0)
        close(rig->fd);
    for (int i = 0; i < FILLERS; i++)
        close(rig->fillers[i]);
    close(rig->silent);
    close(rig->listener);
    assert_int_equal(fake_loop_timer_count(rig->loop), 0);
    assert_int_equal(fake_loop_watch_count(rig->loop), 0);
    loop_destroy(rig->loop);
    return 0;
}

static void on_trying(void *arg, const struct burrow_addr *addr)
{
    struct rig *rig = arg;
    rig->order[rig->tried++] = (char)('0' + addr->bytes[addr->family == 4 ? 3 : 15]);
}

static void on_done(void *arg, int fd, const struct burrow_addr *addr, int error)
{
    struct rig *rig = arg;
    rig->done++;
    rig->fd = fd;
    rig->error = error;
    rig->addr = *addr;
}

static const struct loop_connect_events events = {.trying = on_trying, .done = on_done};

static struct burrow_addr at(const struct rig *rig, const char *text)
{
    struct burrow_addr addr;
    assert_int_equal(address_parse_literal(text, rig->port, &addr), BURROW_OK);
    return addr;
}

static struct loop_connect *begin(struct rig *rig, const struct burrow_addr *addrs, size_t n)
{
    struct loop_connect *c = loop_connect(rig->loop, addrs, n, &events, rig);
    assert_non_null(c);
    assert_int_equal(rig->done, 0);
    return c;
}

static void the_first_that_answers_wins_and_no_other_is_tried(void **state)
{
    struct rig *rig = *state;
    const struct burrow_addr addrs[] = {at(rig, "127.0.0.1"), at(rig, "127.0.0.2")};
    begin(rig, addrs, 2);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_true(rig->fd >= 0);
    assert_memory_equal(&rig->addr, &addrs[0], sizeof addrs[0]);
    fake_loop_advance(rig->loop, 10 * CONNECT_STAGGER_MS);
    assert_string_equal(rig->order, "1");
}

static void a_refusal_brings_the_next_at_once(void **state)
{
    struct rig *rig = *state;
    const struct burrow_addr addrs[] = {at(rig, "127.0.0.3"), at(rig, "127.0.0.1")};
    begin(rig, addrs, 2);
    fake_loop_settle(rig->loop);
    assert_true(rig->fd >= 0);
    assert_string_equal(rig->order, "31");
}

static void silence_brings_the_next_after_a_quarter_of_a_second(void **state)
{
    struct rig *rig = *state;
    const struct burrow_addr addrs[] = {at(rig, "127.0.0.2"), at(rig, "127.0.0.1")};
    begin(rig, addrs, 2);
    fake_loop_settle(rig->loop);
    fake_loop_advance(rig->loop, CONNECT_STAGGER_MS - 1);
    assert_string_equal(rig->order, "2");
    fake_loop_advance(rig->loop, 1);
    fake_loop_settle(rig->loop);
    assert_string_equal(rig->order, "21");
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->addr.bytes[3], 1);
}

static void the_families_take_turns(void **state)
{
    struct rig *rig = *state;
    /* None of them answers: 127.0.0.3 and above are closed, and so are ours of IPv6. */
    struct burrow_addr addrs[] = {at(rig, "::1"),       at(rig, "::1"),       at(rig, "::1"),
                                  at(rig, "127.0.0.3"), at(rig, "127.0.0.4"), at(rig, "127.0.0.5")};
    begin(rig, addrs, 6);
    fake_loop_settle(rig->loop);
    assert_string_equal(rig->order, "131415");
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->fd, -1);
    assert_int_equal(rig->error, ECONNREFUSED);
}

static void nothing_to_try_fails(void **state)
{
    struct rig *rig = *state;
    begin(rig, NULL, 0);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->error, EHOSTUNREACH);
}

static void a_cancelled_connect_tells_nothing(void **state)
{
    struct rig *rig = *state;
    const struct burrow_addr addrs[] = {at(rig, "127.0.0.2"), at(rig, "127.0.0.1")};
    loop_connect_cancel(begin(rig, addrs, 2));
    loop_connect_cancel(begin(rig, addrs + 1, 1));
    fake_loop_advance(rig->loop, 10 * CONNECT_STAGGER_MS);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_that_answers_wins_and_no_other_is_tried),
        TEST(a_refusal_brings_the_next_at_once),
        TEST(silence_brings_the_next_after_a_quarter_of_a_second),
        TEST(the_families_take_turns),
        TEST(nothing_to_try_fails),
        TEST(a_cancelled_connect_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
