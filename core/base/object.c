/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the process when one of our own beliefs is wrong: one line, then a core dump. */
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void must_failed(const char *cond, const char *file, int line, const char *func)
{
    char text[512];
    /* Not stdio's stderr: its lock may be held, and the heap may be what is broken. */
    int n = snprintf(text, sizeof text, "burrow: bug: must(%s) failed in %s at %s:%d\n", cond, func,
                     file, line);
    if (n >= (int)sizeof text) {
        n = (int)sizeof text - 1;
        text[n - 1] = '\n';
    }
    if (n > 0 && write(STDERR_FILENO, text, (size_t)n) < 0)
        abort();
    abort();
}
