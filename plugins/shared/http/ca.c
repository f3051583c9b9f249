/* SPDX-License-Identifier: Apache-2.0 */
/* Authorities from a file, see ca.h: judged by the transports' reader of such files. */
#include "http/ca.h"

#include "tls_file.h"

int http_ca_check(const struct burrow_host *host, const char *option, const char *path)
{
    if (!path || !path[0])
        return BURROW_OK;
    struct tls_error err = {.text = ""};
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    int r = tls_file_authorities(ctx, option, path, NULL, &err);
    SSL_CTX_free(ctx);
    return r < 0 ? burrow_error(host, r, "%s", err.text) : BURROW_OK;
}

static int load(const struct burrow_host *host, const char *option, const char *path,
                struct file_bytes *ret)
{
    char why[FILE_WHY];
    int r = http_ca_check(host, option, path);
    if (r < 0)
        return r;
    r = file_read(path, HTTP_MAX_CA, true, ret, why);
    return r < 0 ? burrow_error(host, r, "--%s: %s", option,
                                r == BURROW_ENOMEM ? "out of memory" : why)
                 : BURROW_OK;
}

static int on_change(void *arg)
{
    struct http_ca *ca = arg;
    struct file_bytes bytes;
    int r = load(ca->host, ca->option, ca->path, &bytes);
    if (r < 0)
        return r;
    file_free(&ca->bytes);
    ca->bytes = bytes;
    return BURROW_OK;
}

int http_ca_set(struct http_ca *ca, const struct burrow_host *host, const char *option,
                const char *path)
{
    struct file_bytes bytes = {NULL, 0};
    struct burrow_files *files = NULL;
    int r = BURROW_OK;
    if (path && path[0]) {
        r = file_watch(host, &path, 1, on_change, ca, &files);
        if (r == BURROW_OK)
            r = load(host, option, path, &bytes);
    }
    if (r < 0) {
        file_unwatch(host, &files);
        return r;
    }
    http_ca_finish(ca);
    *ca = (struct http_ca){host, option, path, bytes, files};
    return BURROW_OK;
}

void http_ca_use(const struct http_ca *ca, struct http_ask *ask)
{
    ask->ca = (struct http_bytes){ca->bytes.data, ca->bytes.len};
}

void http_ca_finish(struct http_ca *ca)
{
    if (ca->files)
        file_unwatch(ca->host, &ca->files);
    file_free(&ca->bytes);
}
