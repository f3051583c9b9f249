/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a handle of libcurl believes and what it shows of itself; also for who uses libcurl past
 * the client. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "http/http.h"

#include <curl/curl.h>

/* ca, cert, key and skip_verify of the ask, all copied. With a ca it alone counts. */
CURLcode http_set_tls(CURL *easy, const struct http_ask *ask);

#endif
