/* SPDX-License-Identifier: Apache-2.0 */
/* The create of a wrong plugin whose fault is elsewhere; its struct wrong, which has the host,
 * stands before this. */
#ifndef CONFORMANCE_WRONG_CREATE_H
#define CONFORMANCE_WRONG_CREATE_H

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct wrong *w = calloc(1, sizeof *w);
    (void)config;
    if (w == NULL)
        return BURROW_ENOMEM;
    w->host = host;
    *ret_self = w;
    return BURROW_OK;
}

#endif
