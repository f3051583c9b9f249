/* SPDX-License-Identifier: Apache-2.0 */
/* The incremental UTF-8 check: Table 3-7 of the Unicode standard, byte by byte, with a run of
 * ASCII skipped eight bytes at a time. */
#include "ws_utf8.h"

#include <string.h>

static bool lead_byte(struct ws_utf8 *state, uint8_t c)
{
    state->low = 0x80;
    state->high = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        state->missing = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        state->missing = 2;
        if (c == 0xe0)
            state->low = 0xa0; /* shorter forms exist below */
        else if (c == 0xed)
            state->high = 0x9f; /* surrogates above */
    } else if (c >= 0xf0 && c <= 0xf4) {
        state->missing = 3;
        if (c == 0xf0)
            state->low = 0x90;
        else if (c == 0xf4)
            state->high = 0x8f; /* past U+10FFFF above */
    } else {
        return false;
    }
    return true;
}

static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t done = 0;
    while (n - done >= 8) {
        uint64_t word;
        memcpy(&word, p + done, sizeof word);
        if (word & UINT64_C(0x8080808080808080))
            break;
        done += 8;
    }
    while (done < n && p[done] < 0x80)
        done++;
    return done;
}

bool ws_utf8_feed(struct ws_utf8 *state, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (state->missing == 0) {
            i += ascii_run(p + i, n - i);
            if (i == n)
                break;
            if (!lead_byte(state, p[i++]))
                return false;
            continue;
        }
        if (p[i] < state->low || p[i] > state->high)
            return false;
        state->low = 0x80;
        state->high = 0xbf;
        state->missing--;
        i++;
    }
    return true;
}

bool ws_utf8_done(const struct ws_utf8 *state)
{
    return state->missing == 0;
}
