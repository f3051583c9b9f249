/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to the service manager, read from a real socket, on a virtual clock. */
#include "cli/notify.h"

#include "fake_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct world {
    struct loop *loop;
    int manager; /* what NOTIFY_SOCKET names */
    char message[512];
    const char *state;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    char name[64];
    assert_non_null(w);
    w->loop = loop_create();
    w->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    /* The kernel chooses an abstract name. */
    assert_int_equal(bind(w->manager, (struct sockaddr *)(void *)&sun, sizeof sun.sun_family), 0);
    socklen_t len = sizeof sun;
    assert_int_equal(getsockname(w->manager, (struct sockaddr *)(void *)&sun, &len), 0);
    size_t n = len - offsetof(struct sockaddr_un, sun_path);
    assert_true(n > 1 && n < sizeof name);
    memcpy(name, sun.sun_path, n);
    name[0] = '@';
    name[n] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    w->state = "";
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    loop_destroy(w->loop);
    close(w->manager);
    free(w);
    return 0;
}

/* The next message, "" when there is none. */
static const char *next(struct world *w)
{
    ssize_t n = recv(w->manager, w->message, sizeof w->message - 1, 0);
    w->message[n > 0 ? n : 0] = '\0';
    return w->message;
}

static void status(void *arg, char *buf, size_t size)
{
    const struct world *w = arg;
    snprintf(buf, size, "%s", w->state);
}

static void ready_and_stopping_are_told(void **state)
{
    struct world *w = *state;
    struct notify *notify = notify_create(w->loop, NULL, NULL);
    assert_string_equal(next(w), "");
    notify_ready(notify);
    assert_string_equal(next(w), "READY=1");
    notify_stopping(notify);
    assert_string_equal(next(w), "STOPPING=1");
    notify_destroy(notify);
}

static void a_reload_tells_the_time_of_its_beginning(void **state)
{
    struct world *w = *state;
    struct notify *notify = notify_create(w->loop, NULL, NULL);
    char expected[80];
    snprintf(expected, sizeof expected, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)loop_clock_us(w->loop));
    notify_reloading(notify);
    assert_string_equal(next(w), expected);
    notify_destroy(notify);
}

static void the_watchdog_is_fed_three_times_in_its_time(void **state)
{
    struct world *w = *state;
    setenv("WATCHDOG_USEC", "3000000", 1);
    struct notify *notify = notify_create(w->loop, NULL, NULL);
    fake_loop_advance(w->loop, 999);
    assert_string_equal(next(w), "");
    fake_loop_advance(w->loop, 2001);
    for (int i = 0; i < 3; i++)
        assert_string_equal(next(w), "WATCHDOG=1");
    assert_string_equal(next(w), "");
    notify_destroy(notify);
}

static void the_watchdog_of_another_process_is_not_fed(void **state)
{
    struct world *w = *state;
    setenv("WATCHDOG_USEC", "3000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    struct notify *notify = notify_create(w->loop, NULL, NULL);
    fake_loop_advance(w->loop, 60000);
    assert_string_equal(next(w), "");
    notify_destroy(notify);
}

static void the_status_is_told_when_it_changes(void **state)
{
    struct world *w = *state;
    struct notify *notify = notify_create(w->loop, status, w);
    w->state = "0 clients";
    notify_ready(notify);
    assert_string_equal(next(w), "READY=1");
    assert_string_equal(next(w), "STATUS=0 clients");
    fake_loop_advance(w->loop, 60000);
    assert_string_equal(next(w), "");
    w->state = "1 client";
    fake_loop_advance(w->loop, 5000);
    assert_string_equal(next(w), "STATUS=1 client");
    notify_destroy(notify);
}

static void a_manager_that_does_not_read_holds_nobody_up(void **state)
{
    struct world *w = *state;
    struct notify *notify = notify_create(w->loop, NULL, NULL);
    for (int i = 0; i < 10000; i++)
        notify_ready(notify);
    assert_string_equal(next(w), "READY=1");
    notify_destroy(notify);
}

static void without_a_manager_nothing_is_sent_and_no_timer_runs(void **state)
{
    struct world *w = *state;
    static const char *const names[] = {NULL, "", "@", "/", "vsock:2:1", "/no/such/socket"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv("NOTIFY_SOCKET");
        if (names[i] != NULL)
            setenv("NOTIFY_SOCKET", names[i], 1);
        struct notify *notify = notify_create(w->loop, status, w);
        assert_non_null(notify);
        assert_int_equal(fake_loop_next_timer(w->loop), -1);
        notify_ready(notify);
        notify_destroy(notify);
    }
    notify_ready(NULL);
    notify_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ready_and_stopping_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reload_tells_the_time_of_its_beginning, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_fed_three_times_in_its_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_of_another_process_is_not_fed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_status_is_told_when_it_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_manager_that_does_not_read_holds_nobody_up, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_manager_nothing_is_sent_and_no_timer_runs, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
