/* SPDX-License-Identifier: Apache-2.0 */
/* Small answers over HTTP; see answer.h. */
#include "status/answer.h"

#include <stdlib.h>
#include <string.h>

void answer_text(struct http_answer *ret, uint32_t status, const char *text)
{
    ret->status = status;
    ret->content_type = "text/plain; charset=utf-8";
    ret->body = strdup(text);
    ret->len = ret->body != NULL ? strlen(text) : 0;
}

void answer_metrics(struct http_answer *ret, char *text, size_t len)
{
    if (text == NULL) {
        answer_text(ret, 500, "out of memory\n");
        return;
    }
    *ret = (struct http_answer){200, "text/plain; version=0.0.4; charset=utf-8", text, len};
}

bool answer_health(struct http_answer *ret, const char *path, const char *not_ready)
{
    if (strcmp(path, "/livez") == 0)
        answer_text(ret, 200, "ok");
    else if (strcmp(path, "/readyz") == 0)
        answer_text(ret, not_ready == NULL ? 200 : 503, not_ready == NULL ? "ok" : not_ready);
    else
        return false;
    return true;
}

void answer_send(struct burrow_link *link, void *token, struct http_answer *answer)
{
    const struct burrow_http_response response = {
        .size = sizeof response,
        .status = answer->status,
        .content_type = answer->content_type,
        .body = answer->body != NULL ? answer->body : "",
        .body_len = answer->len,
    };
    link_http_respond(link, token, &response);
    free(answer->body);
    answer->body = NULL;
}
