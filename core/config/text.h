/* SPDX-License-Identifier: Apache-2.0 */
/* Small questions about texts that the parts of config/ and the help ask. */
#ifndef CONFIG_TEXT_H
#define CONFIG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Room for what option_quote writes: 64 bytes, each perhaps as \xNN, quotes and "…". */
#define TEXT_QUOTED 272

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *text);
bool text_in_choices(const char *text, const char *choices);
/* Edits (insert, delete, change, swap of neighbours) between the texts; large when more
 * than a few. Texts longer than 63 bytes are far from everything. */
unsigned text_distance(const char *a, const char *b);

/* Of all the names offered, the nearest to `text`, if it is near enough to be meant. */
struct nearest {
    const char *text;
    const char *name; /* NULL: none is near */
    unsigned distance;
};
void nearest_init(struct nearest *nearest, const char *text);
void nearest_offer(struct nearest *nearest, const char *name);

#endif
