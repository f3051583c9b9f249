/* SPDX-License-Identifier: Apache-2.0 */
/* A wrong belief ends the process with one line that says where. */
#include "base/object.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct thing {
    uint32_t magic;
    int member;
};

static void a_member_leads_to_its_struct(void **state)
{
    (void)state;
    struct thing thing = {.magic = 1, .member = 2};
    int *member = &thing.member;
    assert_ptr_equal(container_of(member, struct thing, member), &thing);
}

static void a_live_object_passes(void **state)
{
    (void)state;
    struct thing thing = {.magic = 42};
    must_be(&thing, 42);
    must(thing.magic == 42);
}

static void a_dead_object_aborts_with_one_line(void **state)
{
    (void)state;
    int fds[2];
    char text[1024] = "";
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        struct thing thing = {.magic = 0};
        must_be(&thing, 42);
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    ssize_t r;
    while ((r = read(fds[0], text + n, sizeof text - 1 - n)) > 0)
        n += (size_t)r;
    close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "burrow: bug: must("));
    assert_non_null(strstr(text, "test_object.c:"));
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_leads_to_its_struct),
        cmocka_unit_test(a_live_object_passes),
        cmocka_unit_test(a_dead_object_aborts_with_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
