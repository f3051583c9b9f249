/* SPDX-License-Identifier: Apache-2.0 */
/* Dialling local targets: real loopback sockets, a clock of the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/dial_target.h"
#include "fake_loop.h"
#include "wire/frame.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

struct rig {
    struct loop *loop;
    int listener;
    uint16_t port;
    unsigned done;
    int fd;
    uint32_t code;
};

static int setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    rig.fd = -1;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof in;
    rig.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(rig.listener, (struct sockaddr *)(void *)&in, len), 0);
    assert_int_equal(listen(rig.listener, 16), 0);
    assert_int_equal(getsockname(rig.listener, (struct sockaddr *)(void *)&in, &len), 0);
    rig.port = ntohs(in.sin_port);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    if (rig->fd >= 0)
        close(rig->fd);
    close(rig->listener);
    assert_int_equal(fake_loop_timer_count(rig->loop), 0);
    assert_int_equal(fake_loop_watch_count(rig->loop), 0);
    loop_destroy(rig->loop);
    return 0;
}

static void on_done(void *arg, int fd, uint32_t code, const char *text)
{
    struct rig *rig = arg;
    assert_non_null(text);
    rig->done++;
    rig->fd = fd;
    rig->code = code;
}

static struct dial *dial(struct rig *rig, const char *text)
{
    struct endpoint ep;
    assert_int_equal(endpoint_parse(text, ENDPOINT_UNIX, &ep, NULL), 0);
    struct dial *d = dial_target(rig->loop, &ep, on_done, rig);
    assert_non_null(d);
    assert_int_equal(rig->done, 0);
    return d;
}

static struct dial *dial_port(struct rig *rig, const char *host)
{
    char text[64];
    snprintf(text, sizeof text, "%s:%u", host, (unsigned)rig->port);
    return dial(rig, text);
}

static void a_listening_target_is_connected(void **state)
{
    struct rig *rig = *state;
    dial_port(rig, "127.0.0.1");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_true(rig->fd >= 0);
    int accepted = accept(rig->listener, NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
}

static void a_name_is_looked_up_first(void **state)
{
    struct rig *rig = *state;
    dial_port(rig, "localhost");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_true(rig->fd >= 0);
}

static void a_closed_port_is_refused(void **state)
{
    struct rig *rig = *state;
    close(rig->listener);
    dial_port(rig, "127.0.0.1");
    rig->listener = -1;
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->fd, -1);
    assert_int_equal(rig->code, RESET_REFUSED);
}

static void the_next_address_is_tried_after_a_refusal(void **state)
{
    struct rig *rig = *state;
    struct burrow_addr addrs[2];
    assert_int_equal(address_parse_literal("127.0.0.77", 0, &addrs[0]), 0);
    assert_int_equal(address_parse_literal("127.0.0.1", 0, &addrs[1]), 0);
    fake_loop_add_host(rig->loop, "two.test", addrs, 2);
    dial_port(rig, "two.test"); /* the listener is bound to 127.0.0.1 alone */
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_true(rig->fd >= 0);
}

static void an_unknown_name_is_unreachable(void **state)
{
    struct rig *rig = *state;
    dial(rig, "nobody.test:80");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->code, RESET_UNREACHABLE);
}

static void silence_ends_after_five_seconds(void **state)
{
    struct rig *rig = *state;
    fake_loop_hold_lookups(rig->loop, true);
    dial(rig, "slow.test:80");
    fake_loop_advance(rig->loop, DIAL_TARGET_MS - 1);
    assert_int_equal(rig->done, 0);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->code, RESET_TIMED_OUT);
}

static void a_cancelled_dial_tells_nothing(void **state)
{
    struct rig *rig = *state;
    dial_cancel(dial_port(rig, "127.0.0.1"));
    fake_loop_hold_lookups(rig->loop, true);
    dial_cancel(dial(rig, "slow.test:80"));
    fake_loop_advance(rig->loop, 2 * DIAL_TARGET_MS);
    assert_int_equal(rig->done, 0);
}

static void a_dial_that_has_connected_may_still_be_cancelled(void **state)
{
    struct rig *rig = *state;
    char folder[64];
    snprintf(folder, sizeof folder, "%s/burrow-dial-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(folder));
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s/s", folder);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&un, sizeof un), 0);
    assert_int_equal(listen(listener, 1), 0);
    char text[128];
    snprintf(text, sizeof text, "unix:%s", un.sun_path);
    dial_cancel(dial(rig, text)); /* Unix sockets connect at once */
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 0);
    dial(rig, text);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_true(rig->fd >= 0);
    close(listener);
    unlink(un.sun_path);
    rmdir(folder);
}

static void a_missing_unix_socket_is_unreachable(void **state)
{
    struct rig *rig = *state;
    dial(rig, "unix:/nonexistent/socket");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->code, RESET_UNREACHABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_listening_target_is_connected),
        TEST(a_name_is_looked_up_first),
        TEST(a_closed_port_is_refused),
        TEST(the_next_address_is_tried_after_a_refusal),
        TEST(an_unknown_name_is_unreachable),
        TEST(silence_ends_after_five_seconds),
        TEST(a_cancelled_dial_tells_nothing),
        TEST(a_dial_that_has_connected_may_still_be_cancelled),
        TEST(a_missing_unix_socket_is_unreachable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
