/* SPDX-License-Identifier: Apache-2.0 */
/* The file of authorities that a plugin's option names for its HTTP requests. It is checked when
 * the plugin is configured and read again for each request, so that a new one counts at once. */
#ifndef HTTP_CA_H
#define HTTP_CA_H

#include "file.h"
#include "http/http.h"

#define HTTP_MAX_CA (1024u * 1024u)

/* Explains by host->verror what is wrong; `option` without its hyphens. NULL or "": BURROW_OK. */
int http_ca_check(const struct burrow_host *host, const char *option, const char *path);

/* Fills ask->ca from the file, or leaves it alone when path is NULL or "". The bytes must live
 * until http_start has returned; then file_free. As file_read. */
int http_ca_read(const char *path, struct file_bytes *bytes, struct http_ask *ask,
                 char why[FILE_WHY]);

#endif
