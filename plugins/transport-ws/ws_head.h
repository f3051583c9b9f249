/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a request's head out of libwebsockets, while it has one (in its callbacks only). */
#ifndef TRANSPORT_WS_HEAD_H
#define TRANSPORT_WS_HEAD_H

#include <libwebsockets.h>
#include <stdbool.h>

/* Whether a header was sent and is not empty. */
bool head_sent(struct lws *wsi, enum lws_token_indexes token);
/* A copy of its value (of a repeated one: the first), which the caller frees. NULL: not sent,
 * empty, with a NUL in it, or out of memory. */
char *head_dup(struct lws *wsi, enum lws_token_indexes token);
/* Whether it was sent once and is this. */
bool head_is(struct lws *wsi, enum lws_token_indexes token, const char *want);
/* Whether it was sent more than once. */
bool head_repeated(struct lws *wsi, enum lws_token_indexes token);
/* Whether a header that libwebsockets has no token for was sent: "forwarded:", lower case. */
bool head_custom_sent(struct lws *wsi, const char *name);
/* Whether a body follows the head, or may: RFC 9112, 6.3. */
bool head_announces_body(struct lws *wsi);
/* Whether a proxy has written into the head. */
bool head_forwarded(struct lws *wsi);
/* The query as it would be typed, libwebsockets having decoded it: the caller frees it. "" if
 * there is none, NULL: out of memory. */
char *head_query(struct lws *wsi);

#endif
