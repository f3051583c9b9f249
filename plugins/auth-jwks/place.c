/* SPDX-License-Identifier: Apache-2.0 */
/* What --jwks-url may be: https, a local file, and plain http where nobody can be in between or
 * the operator has said so. */
#include "http/http.h"
#include "source.h"

#include <string.h>

#define BY_URL "--jwks-url (BURROW_JWKS_URL)"

/* file:/PATH and file:///PATH (RFC 8089); the path stands as it is in the file system. */
static int read_file_url(const struct burrow_host *host, const char *url, struct jwks_place *ret)
{
    const char *path = url + strlen("file:");
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    if (path[0] != '/' || path[1] == '\0' || strchr(path, '%'))
        return burrow_error(host, BURROW_EINVAL,
                            BY_URL ": \"%s\" does not name a file; expected file:/PATH with an "
                                   "absolute path, without %% escapes",
                            url);
    *ret = (struct jwks_place){.url = url, .path = path};
    return BURROW_OK;
}

int jwks_place_read(const struct burrow_host *host, const char *url, bool allow_http,
                    struct jwks_place *ret)
{
    struct http_url parsed;
    const char *why = NULL;
    if (!url || !url[0])
        return burrow_error(host, BURROW_EINVAL, BY_URL ": the URL of the key set is missing");
    if (strncmp(url, "file:", 5) == 0)
        return read_file_url(host, url, ret);
    if (http_url_parse(url, &parsed, &why) < 0) /* not shown: it may carry a password */
        return burrow_error(host, BURROW_EINVAL,
                            BY_URL ": not a URL of a key set: %s; expected https://HOST/PATH or "
                                   "file:/PATH",
                            why);
    bool plain = !parsed.https && !parsed.loopback;
    if (plain && !allow_http)
        return burrow_error(host, BURROW_EINVAL,
                            BY_URL ": %s is plain http, where anyone on the way can put in keys; "
                                   "use https (or --jwks-allow-http)",
                            parsed.origin);
    *ret = (struct jwks_place){.url = url, .plain = plain};
    return BURROW_OK;
}
