/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks UTF-8 that arrives in pieces, as RFC 6455 (8.1) asks for text messages and for the
 * reason of a Close frame: the shortest forms only, no surrogates, nothing past U+10FFFF.
 */
#ifndef TRANSPORT_WS_UTF8_H
#define TRANSPORT_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: at the border of two characters. */
struct ws_utf8 {
    uint8_t missing;   /* continuation bytes that the character still needs */
    uint8_t low, high; /* bounds of the next one, while some are missing */
};

/* False: the bytes up to here can begin no valid text. */
bool ws_utf8_feed(struct ws_utf8 *state, const uint8_t *p, size_t n);
/* The text so far is whole. */
bool ws_utf8_done(const struct ws_utf8 *state);

#endif
