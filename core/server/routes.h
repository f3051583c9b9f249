/* SPDX-License-Identifier: Apache-2.0 */
/* The server's answers over HTTP. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/internal.h"

struct route_answer {
    uint32_t status;
    const char *content_type;
    char *body; /* malloc'ed; NULL: empty */
    size_t len;
};

void routes_answer(struct server *server, const struct burrow_http *request,
                   struct route_answer *ret);

/* All metrics as Prometheus text, malloc'ed; NULL: out of memory. (metrics.c) */
char *metrics_text(struct server *server, size_t *ret_len);

#endif
