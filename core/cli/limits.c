/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel grants this process, of descriptors and of cores. */
#include "cli/limits.h"

#include <errno.h>
#include <sched.h>
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

size_t limits_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1; /* there are more of them than such a set tells */
    int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
}
