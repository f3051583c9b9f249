/* SPDX-License-Identifier: Apache-2.0 */
/* An answer over HTTP, and those that server and client give alike. */
#ifndef STATUS_ANSWER_H
#define STATUS_ANSWER_H

#include "tunnel/link.h"

struct http_answer {
    uint32_t status;
    const char *content_type;
    char *body; /* malloc'ed; NULL: empty */
    size_t len;
};

/* Takes an answer, and what it holds. */
typedef void answer_fn(void *arg, struct http_answer *answer);

void answer_text(struct http_answer *ret, uint32_t status, const char *text);
/* Takes text, from malloc; NULL is a 500. */
void answer_metrics(struct http_answer *ret, char *text, size_t len);
/* /livez and /readyz; false: the path is neither. not_ready: why, NULL when ready. */
bool answer_health(struct http_answer *ret, const char *path, const char *not_ready);
/* Gives it to the transport and frees it. */
void answer_send(struct burrow_link *link, void *token, struct http_answer *answer);

#endif
