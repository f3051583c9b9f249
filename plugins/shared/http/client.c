/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's multi handle on the host's loop: its descriptors are watched and its one timer is
 * run by the host, and after every call into it what has ended is told.
 *
 * libcurl must not be called from inside its own callbacks. `in_curl` says when it is on the
 * stack: requests that are cancelled then are only marked, and new ones begin on a later turn
 * in any case.
 */
#include "http/internal.h"

#include <stdlib.h>
#include <string.h>

/* Idle connections that are kept for a next request to the same origin. */
#define IDLE_CONNECTIONS 4L

/* One descriptor of libcurl's. */
struct http_sock {
    uint32_t magic;
    curl_socket_t fd;
    struct http_client *client;
    struct burrow_watch *watch;
    struct http_sock *next, **link;
};

static struct http_client *client_of(void *arg)
{
    struct http_client *c = arg;
    must(c != NULL && c->magic == HTTP_CLIENT_MAGIC);
    return c;
}

/* Lets libcurl work on one descriptor, or (CURL_SOCKET_TIMEOUT) on what is due. */
static void act(struct http_client *c, curl_socket_t fd, int events)
{
    int running;
    must(!c->in_curl);
    c->in_curl = true;
    CURLMcode code = curl_multi_socket_action(c->multi, fd, events, &running);
    c->in_curl = false;
    if (code == CURLM_OUT_OF_MEMORY)
        c->exhausted = true;
    http_settle(c);
}

static void on_io(void *arg, int events)
{
    struct http_sock *sock = arg;
    must(sock->magic == HTTP_SOCK_MAGIC);
    int bits = ((events & BURROW_READ) ? CURL_CSELECT_IN : 0) |
               ((events & BURROW_WRITE) ? CURL_CSELECT_OUT : 0);
    act(sock->client, sock->fd, bits);
}

static void sock_free(struct http_sock *sock)
{
    sock->client->host->unwatch(sock->watch);
    *sock->link = sock->next;
    if (sock->next)
        sock->next->link = sock->link;
    sock->magic = 0;
    free(sock);
}

static struct http_sock *sock_create(struct http_client *c, curl_socket_t fd, int events)
{
    struct http_sock *sock = calloc(1, sizeof *sock);
    if (!sock)
        return NULL;
    sock->magic = HTTP_SOCK_MAGIC;
    sock->fd = fd;
    sock->client = c;
    sock->watch = c->host->watch(c->host->self, fd, events, on_io, sock);
    if (!sock->watch) {
        free(sock);
        return NULL;
    }
    sock->link = &c->socks;
    sock->next = c->socks;
    if (sock->next)
        sock->next->link = &sock->next;
    c->socks = sock;
    return sock;
}

/* CURLMOPT_SOCKETFUNCTION. A failure is only noted: the multi handle cannot be used any more
 * after a callback of it has failed. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock_arg)
{
    struct http_client *c = client_of(arg);
    struct http_sock *sock = sock_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (sock) {
            curl_multi_assign(c->multi, fd, NULL);
            sock_free(sock);
        }
        return 0;
    }
    int events =
        ((what & CURL_POLL_IN) ? BURROW_READ : 0) | ((what & CURL_POLL_OUT) ? BURROW_WRITE : 0);
    if (sock) {
        must(sock->magic == HTTP_SOCK_MAGIC);
        if (c->host->rewatch(sock->watch, events) < 0)
            c->exhausted = true;
        return 0;
    }
    sock = sock_create(c, fd, events);
    if (sock)
        curl_multi_assign(c->multi, fd, sock);
    else
        c->exhausted = true;
    return 0;
}

static void on_timer(void *arg)
{
    struct http_client *c = client_of(arg);
    c->timer = NULL;
    act(c, CURL_SOCKET_TIMEOUT, 0);
}

static void set_timer(struct http_client *c, long ms)
{
    c->host->cancel(c->timer);
    c->timer = c->host->after(c->host->self, (uint64_t)ms, on_timer, c);
    if (!c->timer)
        c->exhausted = true;
}

/* CURLMOPT_TIMERFUNCTION */
static int on_timeout(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = client_of(arg);
    (void)multi;
    if (ms >= 0) {
        set_timer(c, ms);
    } else {
        c->host->cancel(c->timer);
        c->timer = NULL;
    }
    return 0;
}

/* The ended transfers, each of which may set off anything but the client's end. */
static void tell_ended(struct http_client *c)
{
    int left;
    for (;;) {
        CURLMsg *msg = curl_multi_info_read(c->multi, &left);
        if (!msg)
            return;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        void *private = NULL;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private);
        struct http_request *r = private;
        must(r != NULL && r->magic == HTTP_REQUEST_MAGIC);
        curl_multi_remove_handle(c->multi, r->easy);
        r->added = false;
        http_transfer_ended(r, code);
    }
}

/* The first request that must end, each time from the start: ending one may free others. */
static struct http_request *doomed(const struct http_client *c)
{
    for (struct http_request *r = c->requests; r; r = r->next)
        if (r->cancelled || (c->exhausted && r->added))
            return r;
    return NULL;
}

void http_settle(struct http_client *c)
{
    tell_ended(c);
    for (struct http_request *r = doomed(c); r; r = doomed(c)) {
        if (r->cancelled)
            http_request_free(r);
        else
            http_end(r, BURROW_ENOMEM, "out of memory");
    }
    c->exhausted = false;
    /* libcurl does not ask again for a timer that came a moment early by its own clock. */
    long ms = -1;
    if (!c->timer && curl_multi_timeout(c->multi, &ms) == CURLM_OK && ms >= 0)
        set_timer(c, ms > 0 ? ms : 1);
}

size_t http_pending(const struct http_client *client)
{
    return client->pending;
}

int http_client_create(const struct burrow_host *host, const char *agent, struct http_client **ret)
{
    /* Counted by libcurl, and safe with other plugins in the process that use it. */
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return BURROW_ENOMEM;
    struct http_client *c = calloc(1, sizeof *c);
    if (!c) {
        curl_global_cleanup();
        return BURROW_ENOMEM;
    }
    c->magic = HTTP_CLIENT_MAGIC;
    c->host = host;
    c->agent = strdup(agent);
    c->multi = curl_multi_init();
    if (!c->agent || !c->multi) {
        http_client_destroy(c);
        return BURROW_ENOMEM;
    }
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, IDLE_CONNECTIONS);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    *ret = c;
    return BURROW_OK;
}

void http_client_destroy(struct http_client *c)
{
    if (!c)
        return;
    must(c->magic == HTTP_CLIENT_MAGIC && !c->in_curl && !c->in_done);
    while (c->requests)
        http_request_free(c->requests);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    while (c->socks)
        sock_free(c->socks);
    c->host->cancel(c->timer);
    free(c->agent);
    c->magic = 0;
    free(c);
    curl_global_cleanup();
}
