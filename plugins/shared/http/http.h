/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small asynchronous HTTP client for plugins: libcurl's multi interface on the host's loop.
 *
 * It knows http and https, HTTP/1.1, whole bodies and streams of chunks. Everything that a
 * server may say is bounded: headers to 64 KiB, a body to what the asker allows, redirects to
 * three of the same origin, time by up to three limits. Names are resolved by the host, so that
 * nothing blocks and a request can be cancelled at any moment.
 *
 *   struct http_ask ask = {.url = "https://idp.example/jwks", .max_body = 1 << 20,
 *                          .connect_ms = 5000, .total_ms = 10000, .done = on_done, .arg = self};
 *   int r = http_start(client, &ask, &self->request);
 *
 * Every request ends in one of two ways: `done` is called exactly once, as its last callback and
 * never from inside http_start, or it is cancelled (http_cancel, http_client_destroy) and no
 * callback comes any more. All of it happens on the instance's loop.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <burrow/plugin.h>
#include <stdbool.h>

#define HTTP_MAX_HEAD 65536u /* bytes of one response's header lines */
#define HTTP_MAX_REDIRECTS 3u
#define HTTP_MAX_URL 2048u

struct http_client;
struct http_request;

/* Bytes of somebody else; data NULL: none. */
struct http_bytes {
    const void *data;
    size_t len;
};

struct http_field {
    const char *name, *value;
};

/* A response, borrowed for the callback that it is given to. */
struct http_response {
    int32_t status;         /* 200, 404 …; 0: none came */
    struct http_bytes body; /* whole; empty where the asker has `data`, followed by a NUL */
    struct http_request *of;
};

/* The value of a response's header by its name in any case, NULL: it has none. Borrowed for the
 * callback, until the next call. Of several the last counts. */
const char *http_header(const struct http_response *response, const char *name);

/* The head of the response came, before any of its body; not for redirects that are followed. May
 * cancel this request. Optional. */
typedef void http_head_fn(void *arg, const struct http_response *response);
/* A piece of the body, borrowed for the call. May cancel this request. */
typedef void http_data_fn(void *arg, const void *data, size_t len);
/*
 * The end. `result` is BURROW_OK when a response came to its end, whatever its status; else no
 * use must be made of a body, `error` is one line for the log, without secrets, and the result
 * says: BURROW_EIO (name, connection, TLS, time), BURROW_EPROTO (what came is no HTTP, or more
 * than allowed), BURROW_EDENIED (a redirect that may not be followed), BURROW_ENOMEM. The request
 * is gone when this is called; a new one may be started.
 */
typedef void http_done_fn(void *arg, int result, const struct http_response *response,
                          const char *error);

#define HTTP_REDIRECT_NONE 0u        /* a 3xx is a response like any other */
#define HTTP_REDIRECT_SAME_ORIGIN 1u /* GET only; scheme, host and port must stay */

/* Proxies as HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment say. */
#define HTTP_PROXY_ENVIRONMENT "environment"

/* One request. All of it is copied by http_start. */
struct http_ask {
    const char *method; /* NULL: GET */
    const char *url;    /* http_url_parse must accept it */
    const struct http_field *fields;
    size_t field_count;
    struct http_bytes body; /* data not NULL: sent with its length, also when empty */

    /* TLS, each PEM: authorities instead of the system's, and a client certificate with its key
     * (both or neither). */
    struct http_bytes ca, cert, key;
    bool skip_verify;
    const char *connect_host; /* name or address to dial instead of the URL's host; or NULL */
    const char *proxy;        /* URL or HTTP_PROXY_ENVIRONMENT; NULL: never one */
    bool fresh;               /* on a connection of its own, closed after it */

    /* Limits. 0: none, but for max_body. */
    uint32_t connect_ms; /* name, TCP and TLS together (libcurl gives up after 300 s) */
    uint32_t total_ms;   /* all of it */
    uint32_t idle_ms;    /* nothing came for so long, once connected */
    uint64_t max_body;   /* bytes; with `data` 0 means no limit, else that none may come */
    uint32_t redirects;

    http_head_fn *head; /* or NULL */
    http_data_fn *data; /* NULL: the body is kept and given to done whole */
    http_done_fn *done;
    void *arg;
};

/* `agent` is the User-Agent; copied. */
int http_client_create(const struct burrow_host *host, const char *agent, struct http_client **ret);
/* Cancels what is under way and closes all connections. NULL is allowed; not from a callback of
 * this client. */
void http_client_destroy(struct http_client *client);

/* BURROW_EINVAL: the ask is not well-formed (see http_url_parse; or a line end in a field, a
 * certificate without its key …); BURROW_ENOMEM. May be called from any callback. */
int http_start(struct http_client *client, const struct http_ask *ask, struct http_request **ret);
/* NULL is allowed. From any callback; not after done was called. */
void http_cancel(struct http_request *request);
/* Requests that are neither done nor cancelled. */
size_t http_pending(const struct http_client *client);

/* ---- URLs ---- */

struct http_url {
    bool https;
    bool loopback; /* an address of 127.0.0.0/8, [::1], or localhost */
    uint16_t port;
    char host[256];   /* without brackets */
    char origin[300]; /* scheme://host:port, for the log: no path, query or user */
};

/* Takes an absolute http or https URL without user information or fragment. BURROW_EINVAL: *ret_why
 * (may be NULL) says what is wrong with it, without repeating it. */
int http_url_parse(const char *url, struct http_url *ret, const char **ret_why);

/* Its field `url` for the log: without the query, where some services have a key. Borrowed. */
struct burrow_field http_url_field(const char *url);

/* ---- headers that say a time ---- */

/* How long a response may be kept by the value of a Cache-Control: max-age in ms, of several the
 * shortest; 0 for no-store and no-cache; -1: it does not say. NULL is allowed. */
int64_t http_cache_ms(const char *cache_control);
/* The same of all Cache-Control lines of a response, which are one list (RFC 9110, 5.3). */
int64_t http_keep_ms(const struct http_response *response);
/* Retry-After in ms from now (seconds or a date); -1: absent or unreadable. NULL is allowed. */
int64_t http_retry_after_ms(const char *retry_after, int64_t unix_now_s);

#endif
