/* SPDX-License-Identifier: Apache-2.0 */
/* Where the shared secret comes from, and whether it is good enough. */
#include "jwt/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How messages name the two options: by flag and variable. */
#define BY_VALUE "--jwt-hmac-secret (BURROW_JWT_HMAC_SECRET)"
#define BY_FILE "--jwt-hmac-secret-file (BURROW_JWT_HMAC_SECRET_FILE)"

/* Reads until the end of the file or until the buffer is full. */
static int read_all(int fd, uint8_t *out, size_t capacity, size_t *ret_len)
{
    size_t len = 0;
    while (len < capacity) {
        ssize_t n = read(fd, out + len, capacity - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return BURROW_EIO;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return BURROW_OK;
}

/* Devices and pipes are refused (they may never end), and so is what anybody may write:
 * its author could sign tokens for every client. */
static int check_file(const struct burrow_host *host, int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return burrow_error(host, BURROW_EINVAL, "%s: cannot read \"%s\": %s", BY_FILE, path,
                            strerror(errno));
    if (!S_ISREG(st.st_mode))
        return burrow_error(host, BURROW_EINVAL, "%s: \"%s\" is not a regular file", BY_FILE, path);
    if (st.st_mode & S_IWOTH)
        return burrow_error(host, BURROW_EINVAL,
                            "%s: \"%s\" may be written by everyone; take that away with "
                            "chmod o-w",
                            BY_FILE, path);
    return BURROW_OK;
}

/* One line end at the end is not part of the secret: editors and echo put it there. */
static size_t without_newline(const uint8_t *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
    return len;
}

static int read_file(const struct burrow_host *host, const char *path, uint8_t *out,
                     size_t capacity, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return burrow_error(host, BURROW_EINVAL, "%s: cannot read \"%s\": %s", BY_FILE, path,
                            strerror(errno));
    size_t len = 0;
    int r = check_file(host, fd, path);
    if (r == BURROW_OK && read_all(fd, out, capacity, &len) < 0)
        r = burrow_error(host, BURROW_EINVAL, "%s: cannot read \"%s\": %s", BY_FILE, path,
                         strerror(errno));
    close(fd);
    if (r < 0)
        return r;
    len = without_newline(out, len);
    if (len == 0)
        return burrow_error(host, BURROW_EINVAL, "%s: \"%s\" is empty", BY_FILE, path);
    *ret_len = len;
    return BURROW_OK;
}

/* The secret as given, into out. */
static int take(const struct burrow_host *host, const struct jwt_secret_options *options,
                uint8_t *out, size_t capacity, size_t *ret_len)
{
    bool by_value = options->secret.data && options->secret.len > 0;
    bool by_file = options->file && options->file[0];
    if (by_value && by_file)
        return burrow_error(host, BURROW_EINVAL, "give only one of %s and %s", BY_VALUE, BY_FILE);
    if (by_file)
        return read_file(host, options->file, out, capacity, ret_len);
    if (!by_value)
        return burrow_error(host, BURROW_EINVAL, "a secret is missing: give %s or %s", BY_FILE,
                            BY_VALUE);
    *ret_len = options->secret.len;
    if (options->secret.len <= capacity)
        memcpy(out, options->secret.data, options->secret.len);
    return BURROW_OK;
}

int jwt_secret_load(const struct burrow_host *host, const struct jwt_secret_options *options,
                    const struct jwt_alg *alg, struct jwt_secret *ret)
{
    size_t capacity = JWT_MAX_SECRET + 3; /* a line end, and one byte that tells "longer" */
    uint8_t *bytes = malloc(capacity);
    if (!bytes)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    size_t len = 0;
    int r = take(host, options, bytes, capacity, &len);
    const char *option = options->file && options->file[0] ? BY_FILE : BY_VALUE;
    if (r == BURROW_OK && len > JWT_MAX_SECRET)
        r = burrow_error(host, BURROW_EINVAL, "%s: the secret is longer than %u bytes", option,
                         JWT_MAX_SECRET);
    bool weak = len < alg->min_secret;
    if (r == BURROW_OK && weak && !options->allow_weak)
        r = burrow_error(host, BURROW_EINVAL,
                         "%s: the secret has %zu bytes, %s needs at least %zu; make one with "
                         "\"openssl rand -hex 32\", or accept the risk with "
                         "--jwt-allow-weak-secret",
                         option, len, alg->name, alg->min_secret);
    if (r < 0) {
        OPENSSL_cleanse(bytes, capacity);
        free(bytes);
        return r;
    }
    ret->value.data = bytes;
    ret->value.len = len;
    ret->weak = weak;
    return BURROW_OK;
}

void jwt_secret_finish(struct jwt_secret *secret)
{
    struct burrow_secret empty = {NULL, 0};
    if (secret->value.data) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)secret->value.data;
        OPENSSL_cleanse(bytes, secret->value.len);
        free(bytes);
    }
    secret->value = empty;
}
