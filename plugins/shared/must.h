/* SPDX-License-Identifier: Apache-2.0 */
/* An assertion that stays in release builds: for what we believe of our own code, never for
 * what a peer sends. */
#ifndef SHARED_MUST_H
#define SHARED_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(cond)                                                                                 \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            fprintf(stderr, "%s:%d: %s: '%s' does not hold\n", __FILE__, __LINE__, __func__,       \
                    #cond);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
