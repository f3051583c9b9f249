/* SPDX-License-Identifier: Apache-2.0 */
/* Undoes the %NN of URLs (RFC 3986, 2.1). */
#ifndef BASE_PERCENT_H
#define BASE_PERCENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* n bytes at p, decoded into at most size bytes without a NUL behind them; plus_is_space: as in
 * a query. The number of bytes; -1 when there is a % without two digits, or no room. */
ssize_t percent_decode(const char *p, size_t n, bool plus_is_space, char *ret, size_t size);

#endif
