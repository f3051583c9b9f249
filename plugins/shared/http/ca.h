/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of authorities that a plugin's option names for its HTTP requests: read when the plugin
 * starts and whenever the host sees it change. A broken one leaves the old in force; the host logs
 * and counts that.
 */
#ifndef HTTP_CA_H
#define HTTP_CA_H

#include "file.h"
#include "http/http.h"

#define HTTP_MAX_CA (1024u * 1024u)

/* All zero: the system's authorities. Stays where it is while a file is watched. */
struct http_ca {
    const struct burrow_host *host;
    const char *option, *path; /* borrowed */
    struct file_bytes bytes;
    struct burrow_files *files;
};

/* Explains by host->verror what is wrong; `option` without its hyphens. NULL or "": BURROW_OK. */
int http_ca_check(const struct burrow_host *host, const char *option, const char *path);

/* Takes the file (NULL or "": the system's authorities) in place of the one before, and watches it.
 * Explains what is wrong, and then nothing has changed. */
int http_ca_set(struct http_ca *ca, const struct burrow_host *host, const char *option,
                const char *path);
/* Fills ask->ca, borrowed until the next turn. */
void http_ca_use(const struct http_ca *ca, struct http_ask *ask);
void http_ca_finish(struct http_ca *ca);

#endif
