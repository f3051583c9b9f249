/* SPDX-License-Identifier: Apache-2.0 */
/* The server's answers over HTTP. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/internal.h"
#include "status/answer.h"

void routes_answer(struct server *server, const struct burrow_http *request,
                   struct http_answer *ret);

/* All metrics as Prometheus text, malloc'ed; NULL: out of memory. (metrics.c) */
char *server_metrics(const struct server *server, size_t *ret_len);

#endif
