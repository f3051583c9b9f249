/* SPDX-License-Identifier: Apache-2.0 */
/* The process's limits, as both ends of a tunnel need them. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

#include "base/log.h"

#include <stddef.h>

/* Every connection through a tunnel is a descriptor; the soft limit is there for programs
 * that use select. Raises it to the hard one, or warns. */
void limits_raise_descriptors(const struct log *log);

/* Cores' worth of time that this process may use: those it may run on, or what its control groups
 * allow, rounded up, when that is less; at least 1. */
size_t limits_cores(void);

/* What the control groups allow, version 1 or 2, whose files are below `root` ("" is the system's);
 * rounded up, 0 without a quota. */
size_t limits_quota(const char *root);

#endif
