/* SPDX-License-Identifier: Apache-2.0 */
/* Moments: as people write them in files and on command lines, and now. */
#ifndef SHARED_UTC_H
#define SHARED_UTC_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-21T08:00:00Z" (RFC 3339 in UTC, without fractions) to Unix time in seconds. */
bool utc_parse(const char *text, int64_t *ret_s);
/* The wall clock as Unix time in milliseconds. */
int64_t utc_now_ms(void);

#endif
