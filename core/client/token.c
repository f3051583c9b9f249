/* SPDX-License-Identifier: Apache-2.0 */
/* Reads bearer tokens and their time of expiry. */
#include "client/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (TOKEN_MAX + 1024u) /* some white space around it does no harm */

bool token_is_sound(const char *p, size_t n)
{
    if (n == 0 || n > TOKEN_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] <= ' ' || (unsigned char)p[i] >= 0x7f)
            return false;
    return true;
}

void token_free(char *token)
{
    if (token == NULL)
        return;
    explicit_bzero(token, strlen(token));
    free(token);
}

static ssize_t read_all(int fd, char *p, size_t n)
{
    size_t have = 0;
    while (have < n) {
        ssize_t got = read(fd, p + have, n - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* The whole content, or a negative code. O_NONBLOCK: a FIFO in its place must not hang us. */
static ssize_t read_file(const char *path, char *p, size_t n, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, BURROW_EIO, "%s: %s", path, strerror(errno));
    struct stat st;
    ssize_t have = -1;
    if (fstat(fd, &st) < 0 || (have = S_ISREG(st.st_mode) ? read_all(fd, p, n) : -2) == -1)
        error_set(err, BURROW_EIO, "%s: %s", path, strerror(errno));
    else if (have == -2)
        error_set(err, BURROW_EIO, "%s: not a regular file", path);
    close(fd);
    return have < 0 ? BURROW_EIO : have;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int load_file(const char *path, char **ret, struct error *err)
{
    char *text = malloc(FILE_MAX + 1);
    if (text == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    ssize_t n = read_file(path, text, FILE_MAX, err);
    int rc = n < 0 ? (int)n : BURROW_OK;
    if (rc == BURROW_OK) {
        size_t begin = 0, end = (size_t)n;
        while (begin < end && is_space(text[begin]))
            begin++;
        while (end > begin && is_space(text[end - 1]))
            end--;
        if (begin == end)
            rc = error_set(err, BURROW_EIO, "%s: the file is empty", path);
        else if (!token_is_sound(text + begin, end - begin))
            rc = error_set(err, BURROW_EIO, "%s: not a token of at most %u printable characters",
                           path, TOKEN_MAX);
        else if ((*ret = strndup(text + begin, end - begin)) == NULL)
            rc = error_set(err, BURROW_ENOMEM, "out of memory");
    }
    explicit_bzero(text, FILE_MAX + 1);
    free(text);
    return rc;
}

int token_load(const struct token_source *source, char **ret, struct error *err)
{
    if (source->file != NULL)
        return load_file(source->file, ret, err);
    if (source->literal.data == NULL) {
        *ret = NULL;
        return BURROW_OK;
    }
    char *copy = strndup((const char *)source->literal.data, source->literal.len);
    if (copy == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    *ret = copy;
    return BURROW_OK;
}

/* ---- exp ---- */

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Decodes n characters into at most n bytes; the number of bytes, or -1. */
static ssize_t base64url_decode(const char *p, size_t n, char *ret)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        int value = base64url_value(p[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[out++] = (char)(uint8_t)(bits >> have);
        }
    }
    return (ssize_t)out;
}

/* The text behind "exp": on the first level of a JSON object, or NULL. Enough of JSON for a
 * token that is our own; strings and nesting are passed over. */
static const char *find_exp(const char *p)
{
    int depth = 0;
    for (; *p != '\0'; p++) {
        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            depth--;
        } else if (*p == '"') {
            const char *begin = ++p;
            while (*p != '\0' && *p != '"')
                p += *p == '\\' && p[1] != '\0' ? 2 : 1;
            if (*p == '\0')
                return NULL;
            const char *after = p + 1 + strspn(p + 1, " \t\r\n");
            if (depth == 1 && p - begin == 3 && memcmp(begin, "exp", 3) == 0 && *after == ':')
                return after + 1;
        }
    }
    return NULL;
}

int64_t token_expiry_ms(const char *token)
{
    const char *begin = strchr(token, '.');
    const char *end = begin != NULL ? strchr(begin + 1, '.') : NULL;
    if (end == NULL || strlen(token) > TOKEN_MAX)
        return 0;
    char *json = malloc((size_t)(end - begin));
    if (json == NULL)
        return 0;
    int64_t result = 0;
    ssize_t n = base64url_decode(begin + 1, (size_t)(end - begin - 1), json);
    if (n >= 0) {
        json[n] = '\0';
        const char *value = find_exp(json);
        double seconds = value != NULL ? strtod(value, NULL) : 0;
        if (seconds > 0 && seconds < 1e15)
            result = (int64_t)(seconds * 1000.0);
    }
    explicit_bzero(json, (size_t)(end - begin));
    free(json);
    return result;
}
