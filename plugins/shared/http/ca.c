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

int http_ca_read(const char *path, struct file_bytes *bytes, struct http_ask *ask,
                 char why[FILE_WHY])
{
    if (!path || !path[0])
        return BURROW_OK;
    int r = file_read(path, HTTP_MAX_CA, true, bytes, why);
    if (r == BURROW_OK)
        ask->ca = (struct http_bytes){bytes->data, bytes->len};
    return r;
}
