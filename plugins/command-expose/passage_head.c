/* SPDX-License-Identifier: Apache-2.0 */
/* The request's head on its way to the API server; see passage.h. */
#include "passage.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BEGIN "GET /"
#define VERSION " HTTP/1.1\r\n"

static size_t add(char *buf, size_t size, size_t used, const char *text, size_t n)
{
    if (used == 0 || n >= size - used)
        return 0;
    memcpy(buf + used, text, n);
    return used + n;
}

static bool is_ours(const char *line, size_t n)
{
    static const char *const names[] = {"Host:", "Authorization:"};
    for (size_t i = 0; i < 2; i++)
        if (n >= strlen(names[i]) && strncasecmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

size_t passage_head(const char *head, const char *secret, const char *path, const char *host,
                    const char *authorization, char *buf, size_t size)
{
    size_t begin = strlen(BEGIN), n = strlen(secret);
    if (strncmp(head, BEGIN, begin) != 0 || strlen(head) < begin + n ||
        CRYPTO_memcmp(head + begin, secret, n) != 0 ||
        strncmp(head + begin + n, VERSION, strlen(VERSION)) != 0)
        return 0;
    int w = snprintf(buf, size, "GET %s HTTP/1.1\r\nHost: %s\r\n%s%s%s", path, host,
                     authorization ? "Authorization: " : "", authorization ? authorization : "",
                     authorization ? "\r\n" : "");
    size_t used = w > 0 && (size_t)w < size ? (size_t)w : 0;
    for (const char *line = head + begin + n + strlen(VERSION); *line;) {
        const char *end = strstr(line, "\r\n");
        size_t length = end ? (size_t)(end - line) + 2 : strlen(line);
        if (!is_ours(line, length))
            used = add(buf, size, used, line, length);
        line += length;
    }
    return used;
}
