/* SPDX-License-Identifier: Apache-2.0 */
/* What the service thinks of a token: its HTTP response, read strictly, as a verdict that can be
 * kept. */
#ifndef AUTH_HTTP_OPINION_H
#define AUTH_HTTP_OPINION_H

#include "http/http.h"

#include <burrow/auth.h>

#define OPINION_MAX_BODY 65536u
#define OPINION_MAX_SUBJECT 128u
/* However long the service allows: an opinion is asked for again after this. */
#define OPINION_LONGEST_MS 3600000

struct opinion {
    uint32_t result, code;
    size_t subject_len;
    char subject[OPINION_MAX_SUBJECT + 1];
    int64_t expires_ms; /* Unix time; 0: never */
    char *grants;       /* JSON, or NULL */
    char reason[160];   /* for the log */
};

/* Reads the response at the Unix time now_ms; *ret_keep_ms: how long the opinion may be kept, 0:
 * not at all. */
void opinion_read(const struct http_response *response, int64_t now_ms, struct opinion *ret,
                  int64_t *ret_keep_ms);
/* The service could not be asked. */
void opinion_unavailable(const char *reason, struct opinion *ret);
/* False: out of memory. */
bool opinion_copy(const struct opinion *from, struct opinion *ret);
void opinion_finish(struct opinion *opinion); /* all zero is allowed */

/* Tells the host. */
void opinion_answer(const struct opinion *opinion, const struct burrow_auth_host *host,
                    struct burrow_auth_request *request);

#endif
