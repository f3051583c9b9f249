/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a request's head out of libwebsockets: see ws_head.h. */
#include "ws_head.h"

#include <stdlib.h>
#include <string.h>

bool head_sent(struct lws *wsi, enum lws_token_indexes token)
{
    return lws_hdr_total_length(wsi, token) > 0;
}

char *head_dup(struct lws *wsi, enum lws_token_indexes token)
{
    int len = lws_hdr_fragment_length(wsi, token, 0);
    char *value = len > 0 ? (char *)malloc((size_t)len + 1) : NULL;
    if (value == NULL)
        return NULL;
    if (lws_hdr_copy_fragment(wsi, value, len + 1, token, 0) == len && strlen(value) == (size_t)len)
        return value;
    free(value);
    return NULL;
}

bool head_is(struct lws *wsi, enum lws_token_indexes token, const char *want)
{
    char value[32];
    int len = lws_hdr_copy_fragment(wsi, value, sizeof value, token, 0);
    return len > 0 && !head_repeated(wsi, token) && (size_t)len == strlen(want) &&
           memcmp(value, want, (size_t)len) == 0;
}

bool head_repeated(struct lws *wsi, enum lws_token_indexes token)
{
    return lws_hdr_fragment_length(wsi, token, 1) > 0;
}

bool head_custom_sent(struct lws *wsi, const char *name)
{
    return lws_hdr_custom_length(wsi, name, (int)strlen(name)) >= 0;
}

bool head_announces_body(struct lws *wsi)
{
    return head_sent(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) ||
           (head_sent(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) &&
            !head_is(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, "0"));
}

bool head_forwarded(struct lws *wsi)
{
    return head_sent(wsi, WSI_TOKEN_X_FORWARDED_FOR) || head_sent(wsi, WSI_TOKEN_HTTP_X_REAL_IP) ||
           head_sent(wsi, WSI_TOKEN_HTTP_VIA) || head_custom_sent(wsi, "forwarded:") ||
           head_custom_sent(wsi, "x-forwarded-host:") ||
           head_custom_sent(wsi, "x-forwarded-proto:");
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~=", c) != NULL);
}

char *head_query(struct lws *wsi)
{
    static const char hex[] = "0123456789ABCDEF";
    int total = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
    size_t n = total > 0 ? (size_t)total : 0;
    char *query = (char *)malloc(3 * n + 1), *part = (char *)malloc(n + 1), *out = query;
    if (query == NULL || part == NULL) {
        free(query);
        free(part);
        return NULL;
    }
    int len;
    for (int i = 0;
         (len = lws_hdr_copy_fragment(wsi, part, (int)n + 1, WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
         i++) {
        if (i > 0)
            *out++ = '&';
        for (int k = 0; k < len; k++) {
            if (is_plain(part[k])) {
                *out++ = part[k];
            } else {
                *out++ = '%';
                *out++ = hex[(unsigned char)part[k] >> 4];
                *out++ = hex[(unsigned char)part[k] & 15];
            }
        }
    }
    *out = '\0';
    free(part);
    return query;
}
