/* SPDX-License-Identifier: Apache-2.0 */
/* A moment as a user types it. */
#ifndef COMMAND_TOKEN_MOMENT_H
#define COMMAND_TOKEN_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

/* "1790000000" (Unix time in seconds), "2026-11-21T08:00:00Z" (UTC), or "90s", "5m", "2h",
 * "1d" from now_s on. *ret_s is Unix time in seconds, 0 to the end of the year 9999. */
bool moment_parse(const char *text, int64_t now_s, int64_t *ret_s);

#endif
