/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: addresses, bounds per turn, and the lack of descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    struct loop *loop;
    struct log log;
    struct accept_guard guard;
    struct acceptor acceptor;
    unsigned accepted;
    int last;
};

static int setup(void **state)
{
    static struct place place;
    memset(&place, 0, sizeof place);
    place.loop = loop_create();
    log_init(&place.log, STDERR_FILENO, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    assert_int_equal(accept_guard_init(&place.guard, place.loop, &place.log), 0);
    place.last = -1;
    *state = &place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    acceptor_close(&place->acceptor);
    accept_guard_finish(&place->guard);
    loop_destroy(place->loop);
    if (place->last >= 0)
        close(place->last);
    return 0;
}

static void on_accepted(void *arg, int fd, const struct burrow_addr *peer)
{
    struct place *place = arg;
    assert_int_equal(peer->family == 0, place->acceptor.path[0] != '\0');
    place->accepted++;
    if (place->last >= 0)
        close(place->last);
    place->last = fd;
}

static int dial(const struct burrow_addr *addr)
{
    struct sockaddr_storage ss;
    socklen_t len = address_to_sockaddr(addr, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&ss, len), 0);
    return fd;
}

static void port_0_is_told_as_the_real_one(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "127.0.0.1", 0, on_accepted, p, NULL),
                     0);
    assert_int_not_equal(p->acceptor.local.port, 0);
    int fd = dial(&p->acceptor.local);
    fake_loop_settle(p->loop);
    assert_int_equal(p->accepted, 1);
    assert_true((fcntl(p->last, F_GETFL) & O_NONBLOCK) != 0);
    close(fd);
}

static void no_host_takes_ipv4_and_ipv6(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "", 0, on_accepted, p, NULL), 0);
    struct burrow_addr four, six;
    assert_int_equal(address_parse_literal("127.0.0.1", p->acceptor.local.port, &four), 0);
    int a = dial(&four);
    fake_loop_settle(p->loop);
    assert_int_equal(p->accepted, 1);
    if (p->acceptor.local.family == 6) {
        assert_int_equal(address_parse_literal("::1", p->acceptor.local.port, &six), 0);
        int b = dial(&six);
        fake_loop_settle(p->loop);
        assert_int_equal(p->accepted, 2);
        close(b);
    }
    close(a);
}

static void a_name_is_resolved(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "localhost", 0, on_accepted, p, NULL),
                     0);
    assert_true(address_is_loopback(&p->acceptor.local));
}

static void an_address_in_use_is_named(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "127.0.0.1", 0, on_accepted, p, NULL),
                     0);
    struct acceptor second;
    struct error err = {0};
    assert_int_equal(acceptor_open(&second, &p->guard, "127.0.0.1", p->acceptor.local.port,
                                   on_accepted, p, &err),
                     BURROW_EAGAIN);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_non_null(strstr(err.text, "in use"));
    acceptor_close(&second); /* does no harm */
}

static void a_turn_accepts_a_bounded_number(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "127.0.0.1", 0, on_accepted, p, NULL),
                     0);
    int fds[ACCEPT_A_TURN + 8];
    for (int i = 0; i < ACCEPT_A_TURN + 8; i++)
        fds[i] = dial(&p->acceptor.local);
    fake_loop_turn(p->loop);
    assert_int_equal(p->accepted, ACCEPT_A_TURN);
    fake_loop_settle(p->loop);
    assert_int_equal(p->accepted, ACCEPT_A_TURN + 8);
    for (int i = 0; i < ACCEPT_A_TURN + 8; i++)
        close(fds[i]);
}

/* The lowest limit under which nothing new can be opened. */
static void forbid_new_descriptors(struct rlimit *ret_before)
{
    assert_int_equal(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    int next = dup(0);
    close(next);
    struct rlimit low = {.rlim_cur = (rlim_t)next, .rlim_max = ret_before->rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
}

static void without_descriptors_accepting_pauses_and_comes_back(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "127.0.0.1", 0, on_accepted, p, NULL),
                     0);
    int first = dial(&p->acceptor.local), second = dial(&p->acceptor.local);
    struct rlimit before;
    forbid_new_descriptors(&before);
    fake_loop_settle(p->loop);
    bool paused = p->acceptor.is_paused;
    unsigned accepted = p->accepted;
    fake_loop_settle(p->loop);
    uint64_t pauses = p->guard.pauses; /* no spinning */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(paused);
    assert_int_equal(accepted, 0);
    assert_int_equal(pauses, 1);
    assert_int_equal(p->guard.shed, 1);
    assert_true(rig_was_reset(first)); /* the one that waited longest was told */
    assert_false(rig_was_reset(second));
    fake_loop_advance(p->loop, 1000);
    assert_int_equal(p->accepted, 1);
    assert_false(p->acceptor.is_paused);
    close(first);
    close(second);
}

static void a_paused_acceptor_may_be_closed(void **state)
{
    struct place *p = *state;
    assert_int_equal(acceptor_open(&p->acceptor, &p->guard, "127.0.0.1", 0, on_accepted, p, NULL),
                     0);
    int fd = dial(&p->acceptor.local);
    struct rlimit before;
    forbid_new_descriptors(&before);
    fake_loop_settle(p->loop);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    acceptor_close(&p->acceptor);
    fake_loop_advance(p->loop, 1000);
    assert_int_equal(p->accepted, 0);
    close(fd);
}

static void a_unix_socket_is_made_and_taken_away(void **state)
{
    struct place *p = *state;
    struct stat st;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/burrow-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/x.sock", dir);
    assert_int_equal(acceptor_open_path(&p->acceptor, &p->guard, sa.sun_path, on_accepted, p, NULL),
                     0);
    assert_int_equal(stat(sa.sun_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&sa, sizeof sa), 0);
    fake_loop_settle(p->loop);
    assert_int_equal(p->accepted, 1);
    close(fd);
    acceptor_close(&p->acceptor);
    assert_int_equal(stat(sa.sun_path, &st), -1);
    rmdir(dir);
}

static void only_an_abandoned_socket_is_replaced(void **state)
{
    struct place *p = *state;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct acceptor second = {0};
    struct error err = {0};
    char dir[] = "/tmp/burrow-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/x.sock", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&sa, sizeof sa), 0);
    close(fd); /* the file stays, as of a process that was killed */
    assert_int_equal(acceptor_open_path(&p->acceptor, &p->guard, sa.sun_path, on_accepted, p, NULL),
                     0);
    assert_true(acceptor_open_path(&second, &p->guard, sa.sun_path, on_accepted, p, &err) < 0);
    assert_non_null(strstr(err.text, sa.sun_path));
    acceptor_close(&p->acceptor);
    fd = open(sa.sun_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* somebody's file */
    close(fd);
    assert_true(acceptor_open_path(&second, &p->guard, sa.sun_path, on_accepted, p, &err) < 0);
    assert_int_equal(unlink(sa.sun_path), 0);
    rmdir(dir);
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(port_0_is_told_as_the_real_one),
        PLACE_TEST(no_host_takes_ipv4_and_ipv6),
        PLACE_TEST(a_name_is_resolved),
        PLACE_TEST(an_address_in_use_is_named),
        PLACE_TEST(a_turn_accepts_a_bounded_number),
        PLACE_TEST(without_descriptors_accepting_pauses_and_comes_back),
        PLACE_TEST(a_paused_acceptor_may_be_closed),
        PLACE_TEST(a_unix_socket_is_made_and_taken_away),
        PLACE_TEST(only_an_abandoned_socket_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
