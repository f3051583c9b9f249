/* SPDX-License-Identifier: Apache-2.0 */
/* Makes errors, puts context before them, and names the result codes. */
#include "base/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Errors are shown as one line on a terminal and quote what users and files said: control
 * bytes become '?', and a text that was cut does not end inside a UTF-8 sequence. */
static void clean(char *text, bool cut)
{
    if (cut) {
        size_t n = strlen(text);
        while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
            text[--n] = '\0';
        if (n > 0 && (unsigned char)text[n - 1] >= 0xc0)
            text[n - 1] = '\0';
    }
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
}

int error_vset(struct error *err, int code, const char *fmt, va_list ap)
{
    if (err == NULL)
        return code;
    /* A buffer of its own: the arguments may point into err. */
    char text[sizeof err->text];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n < 0)
        text[0] = '\0';
    clean(text, n >= (int)sizeof text);
    memcpy(err->text, text, sizeof text);
    err->code = code;
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    char prefix[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    if (n < 0)
        return err->code;
    return error_set(err, err->code, "%s: %s", prefix, err->text);
}

const char *error_name(int code)
{
    static const char *const names[] = {
        [-BURROW_OK] = "success",
        [-BURROW_EINVAL] = "invalid argument",
        [-BURROW_ENOMEM] = "out of memory or at a limit",
        [-BURROW_EAGAIN] = "not now",
        [-BURROW_EIO] = "input/output error",
        [-BURROW_EPROTO] = "protocol error",
        [-BURROW_EDENIED] = "not allowed",
        [-BURROW_ENOSYS] = "not supported",
    };
    if (code > 0 || code <= -(int)(sizeof names / sizeof names[0]))
        return "unknown error";
    return names[-code];
}
