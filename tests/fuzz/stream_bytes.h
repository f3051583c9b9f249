/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the streams of a fuzzed session: each stream has a sequence of its own for each
 * direction, so that a byte of another stream, direction or place is known at once.
 */
#ifndef FUZZ_STREAM_BYTES_H
#define FUZZ_STREAM_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum way { WAY_IN, WAY_OUT }; /* towards the session, and from it */

/* Those from `offset` on. */
void stream_bytes_fill(enum way way, uint64_t id, uint64_t offset, uint8_t *p, size_t n);
bool stream_bytes_match(enum way way, uint64_t id, uint64_t offset, const uint8_t *p, size_t n);

#endif
