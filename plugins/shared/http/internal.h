/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the HTTP client share: the client on its loop, and one request. */
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include "http/http.h"
#include "must.h"

#include <curl/curl.h>

#define HTTP_CLIENT_MAGIC 0x43505448u  /* "HTPC" in memory order */
#define HTTP_REQUEST_MAGIC 0x52505448u /* "HTPR" */
#define HTTP_SOCK_MAGIC 0x53505448u    /* "HTPS" */

struct http_sock;

struct http_client {
    uint32_t magic;
    bool in_curl;   /* libcurl is on the stack: it may not be called again */
    bool in_done;   /* a callback of a request is on the stack */
    bool exhausted; /* a watch or timer could not be had: every transfer is stuck */
    const struct burrow_host *host;
    char *agent;
    CURLM *multi;
    struct burrow_timer *timer; /* when libcurl wants to be called */
    struct http_sock *socks;
    struct http_request *requests;
    size_t pending;
};

struct http_request {
    uint32_t magic;
    bool added;     /* to the multi handle */
    bool connected; /* in this hop */
    bool cancelled; /* from inside libcurl: to be freed when that has returned */
    bool head_told, follow;
    uint32_t hops;
    struct http_client *client;
    struct http_request *next, **link;
    CURL *easy;
    struct curl_slist *fields, *addresses;
    struct burrow_lookup *lookup;
    struct burrow_timer *begin, *total, *quiet;
    uint64_t heard_ms;   /* when the last byte came */
    struct http_ask ask; /* the scalars, callbacks and host names; no borrowed pointers */
    char *connect_host;
    struct http_url url;
    size_t head_bytes, swallowed;
    uint64_t body_bytes;
    char *body;
    size_t body_len, body_room;
    int fail; /* why we end it ourselves: BURROW_*, with the text */
    char why[CURL_ERROR_SIZE];
    char error[CURL_ERROR_SIZE]; /* libcurl's */
};

/* After libcurl returned: tells what ended, frees what was cancelled, sets the timer. */
void http_settle(struct http_client *client);

/* Gives the handle to the multi handle, which starts the transfer. Not from inside libcurl. */
int http_transfer(struct http_request *r);
/* libcurl has ended the transfer, and the handle is back. */
void http_transfer_ended(struct http_request *r, CURLcode code);
/* Ends it for a reason of ours. Not from inside libcurl. */
__attribute__((format(printf, 3, 4))) void http_end(struct http_request *r, int result,
                                                    const char *fmt, ...);
/* Takes it back from wherever it is, and frees it. Not from inside libcurl. */
void http_request_free(struct http_request *r);

/* Fills the handle with what the ask says; http_start's part that knows libcurl's options. */
int http_set_up(struct http_request *r, const struct http_ask *ask);
/* libcurl's callbacks of one transfer; arg is the request. */
size_t http_on_header(char *p, size_t size, size_t n, void *arg);
size_t http_on_body(char *p, size_t size, size_t n, void *arg);
int http_on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port);

#endif
