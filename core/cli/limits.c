/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel grants this process, of descriptors and of cores. */
#include "cli/limits.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void limits_raise_descriptors(const struct log *log)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_at(log, BURROW_LOG_WARN, "descriptor_limit", burrow_str("reason", strerror(errno)));
}

/* ---- cores ---- */

/* The first n numbers of a file, in microseconds; fewer when it has other words. */
static int read_numbers(const char *dir, const char *name, int n, long long *ret)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int got = 0;
    while (got < n && fscanf(file, "%lld", &ret[got]) == 1)
        got++;
    fclose(file);
    return got;
}

/* The quota of one control group: cpu.max in version 2 ("max" is none), two files in version 1. */
static size_t quota_of(const char *dir)
{
    long long us[2];
    bool is_there = read_numbers(dir, "cpu.max", 2, us) == 2 ||
                    (read_numbers(dir, "cpu.cfs_quota_us", 1, &us[0]) == 1 &&
                     read_numbers(dir, "cpu.cfs_period_us", 1, &us[1]) == 1);
    if (!is_there || us[0] <= 0 || us[1] <= 0)
        return 0;
    return (size_t)(us[0] / us[1] + (us[0] % us[1] != 0));
}

/* Of two quotas, where 0 is none. */
static size_t lesser(size_t a, size_t b)
{
    return b == 0 || (a > 0 && a < b) ? a : b;
}

/* The least of the group and those above it. In a container the group's own name may be of outside,
 * and its files at the mount. */
static size_t least_quota(const char *mount, char *group)
{
    size_t least = 0;
    for (;;) {
        char dir[PATH_MAX];
        if ((size_t)snprintf(dir, sizeof dir, "%s%s", mount, group) < sizeof dir)
            least = lesser(least, quota_of(dir));
        char *last = strrchr(group, '/');
        if (last == NULL)
            return least;
        *last = '\0';
    }
}

static bool has_cpu(char *controllers)
{
    for (const char *name; (name = strsep(&controllers, ",")) != NULL;)
        if (strcmp(name, "cpu") == 0)
            return true;
    return false;
}

/* Lines of /proc/self/cgroup, cgroups(7): hierarchy:controllers:group. Version 2 names none. */
size_t limits_quota(const char *root)
{
    char path[PATH_MAX], mount[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    char *line = NULL;
    size_t size = 0, least = 0;
    while (getline(&line, &size, file) > 0) {
        char *rest = line;
        strsep(&rest, ":");
        char *controllers = strsep(&rest, ":");
        if (rest == NULL)
            continue;
        rest[strcspn(rest, "\n")] = '\0';
        bool is_v2 = *controllers == '\0';
        if (!is_v2 && !has_cpu(controllers))
            continue;
        int n = snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, is_v2 ? "" : "/cpu");
        if ((size_t)n < sizeof mount)
            least = lesser(least, least_quota(mount, rest));
    }
    free(line);
    fclose(file);
    return least;
}

size_t limits_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1; /* there are more of them than such a set tells */
    int n = CPU_COUNT(&set);
    return lesser(n > 0 ? (size_t)n : 1, limits_quota(""));
}
