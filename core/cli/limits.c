/* SPDX-License-Identifier: Apache-2.0 */
/* Raises the limit of descriptors. */
#include "cli/limits.h"

#include <errno.h>
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
