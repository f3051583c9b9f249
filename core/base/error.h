/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One error, made where the reason is known and carried up to whoever tells the user.
 * Functions that fail return a negative BURROW_* code and, where a user may want to know
 * why, fill a struct error once; callers pass it on or add a prefix.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <burrow/plugin.h>

struct error {
    int code; /* BURROW_*; 0: none */
    char text[512];
};

/* Fills err (which may be NULL) and returns code. Longer texts are cut. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int code, const char *fmt,
                                                    ...);
__attribute__((format(printf, 3, 0))) int error_vset(struct error *err, int code, const char *fmt,
                                                     va_list ap);
/* Puts "prefix: " before the text and returns err's code. */
__attribute__((format(printf, 2, 3))) int error_prefix(struct error *err, const char *fmt, ...);

/* A short English text for a BURROW_* code, never NULL. */
const char *error_name(int code);

#endif
