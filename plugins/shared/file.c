/* SPDX-License-Identifier: Apache-2.0 */
/* Reads whole small files, see file.h. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3))) static int refuse(char why[FILE_WHY], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, FILE_WHY, fmt, ap);
    va_end(ap);
    return BURROW_EINVAL;
}

/* Reads until the end or until max + 1 bytes are there, which is one too many. */
static int read_all(int fd, const char *path, size_t max, struct file_bytes *bytes,
                    char why[FILE_WHY])
{
    while (bytes->len <= max) {
        ssize_t n = read(fd, bytes->data + bytes->len, max + 1 - bytes->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(why, "cannot read \"%s\": %s", path, strerror(errno));
        if (n == 0)
            break;
        bytes->len += (size_t)n;
    }
    if (bytes->len > max)
        return refuse(why, "\"%s\" is larger than %zu bytes", path, max);
    bytes->data[bytes->len] = '\0';
    return BURROW_OK;
}

static int check(int fd, const char *path, size_t max, bool trusted, char why[FILE_WHY])
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return refuse(why, "\"%s\" is not a regular file", path);
    if (trusted && (st.st_mode & S_IWOTH) != 0)
        return refuse(why, "everyone may write \"%s\"; chmod o-w it", path);
    if (st.st_size < 0 || (size_t)st.st_size > max)
        return refuse(why, "\"%s\" is larger than %zu bytes", path, max);
    return BURROW_OK;
}

int file_read(const char *path, size_t max, bool trusted, struct file_bytes *ret,
              char why[FILE_WHY])
{
    struct file_bytes bytes = {NULL, 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return refuse(why, "cannot open \"%s\": %s", path, strerror(errno));
    int r = check(fd, path, max, trusted, why);
    if (r == BURROW_OK) {
        bytes.data = malloc(max + 2);
        r = bytes.data ? read_all(fd, path, max, &bytes, why) : BURROW_ENOMEM;
    }
    close(fd);
    if (r < 0) {
        file_free(&bytes);
        return r;
    }
    *ret = bytes;
    return BURROW_OK;
}

void file_free(struct file_bytes *bytes)
{
    if (bytes->data)
        explicit_bzero(bytes->data, bytes->len);
    free(bytes->data);
    *bytes = (struct file_bytes){NULL, 0};
}

int file_watch(const struct burrow_host *host, const char *const *paths, uint32_t n,
               burrow_files_fn *fn, void *arg, struct burrow_files **watch)
{
    if (!BURROW_HAS(host, unwatch_files))
        return BURROW_OK;
    struct burrow_files *files = host->watch_files(host->self, paths, n, fn, arg);
    if (!files)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    host->unwatch_files(*watch);
    *watch = files;
    return BURROW_OK;
}

void file_unwatch(const struct burrow_host *host, struct burrow_files **watch)
{
    if (*watch)
        host->unwatch_files(*watch);
    *watch = NULL;
}
