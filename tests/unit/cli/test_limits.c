/* SPDX-License-Identifier: Apache-2.0 */
/* What control groups allow of cores, from files as the kernel writes them; and the processors that
 * a process may use. */
#include "cli/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct root {
    char path[32];
};

static int setup(void **state)
{
    static struct root root;
    snprintf(root.path, sizeof root.path, "/tmp/burrow-limits-XXXXXX");
    assert_non_null(mkdtemp(root.path));
    *state = &root;
    return 0;
}

static int teardown(void **state)
{
    const struct root *root = *state;
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", root->path);
    return system(command);
}

/* Writes a file, and the folders above it that are not there. */
static void put(const struct root *root, const char *name, const char *text)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", root->path, name);
    for (char *at = path + strlen(root->path) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    assert_true(n > 0 && (size_t)n < sizeof path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void test_without_control_groups_there_is_no_quota(void **state)
{
    const struct root *root = *state;
    assert_int_equal(limits_quota(root->path), 0);
    put(root, "proc/self/cgroup", "0::/\n");
    assert_int_equal(limits_quota(root->path), 0);
}

static void test_max_is_no_quota(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup", "0::/pod\n");
    put(root, "sys/fs/cgroup/pod/cpu.max", "max 100000\n");
    assert_int_equal(limits_quota(root->path), 0);
}

static void test_a_quota_is_rounded_up(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup", "0::/pod\n");
    put(root, "sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
    assert_int_equal(limits_quota(root->path), 3);
    put(root, "sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
    assert_int_equal(limits_quota(root->path), 2);
    put(root, "sys/fs/cgroup/pod/cpu.max", "10000 100000\n");
    assert_int_equal(limits_quota(root->path), 1);
}

static void test_the_least_of_the_groups_above_counts(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup", "0::/slice/pod/container\n");
    put(root, "sys/fs/cgroup/slice/pod/container/cpu.max", "max 100000\n");
    put(root, "sys/fs/cgroup/slice/pod/cpu.max", "400000 100000\n");
    put(root, "sys/fs/cgroup/slice/cpu.max", "800000 100000\n");
    assert_int_equal(limits_quota(root->path), 4);
}

static void test_in_a_container_the_files_are_at_the_mount(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup", "0::/../of/the/host\n");
    put(root, "sys/fs/cgroup/cpu.max", "150000 100000\n");
    assert_int_equal(limits_quota(root->path), 2);
}

static void test_version_1_has_its_quota_in_two_files(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup",
        "12:cpuset:/\n4:cpu,cpuacct:/docker/1f\n1:name=systemd:/docker/1f\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limits_quota(root->path), 0);
    put(root, "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_quota_us", "300000\n");
    put(root, "sys/fs/cgroup/cpu/docker/1f/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limits_quota(root->path), 3);
}

static void test_a_controller_whose_name_begins_alike_is_another(void **state)
{
    const struct root *root = *state;
    put(root, "proc/self/cgroup", "3:cpuset:/\n2:cpuacct:/\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    put(root, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(limits_quota(root->path), 0);
}

static void test_who_may_use_one_processor_has_one_core(void **state)
{
    (void)state;
    cpu_set_t all;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(limits_cores(), 1, CPU_COUNT(&all));
    size_t first = 0;
    while (!CPU_ISSET(first, &all))
        first++;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(limits_cores(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_control_groups_there_is_no_quota, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_max_is_no_quota, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_quota_is_rounded_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_least_of_the_groups_above_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_a_container_the_files_are_at_the_mount, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_version_1_has_its_quota_in_two_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_controller_whose_name_begins_alike_is_another, setup,
                                        teardown),
        cmocka_unit_test(test_who_may_use_one_processor_has_one_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
