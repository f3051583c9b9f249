/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one request: asked, its name resolved by the host, transferred by libcurl (once
 * more for each redirect that is followed), and ended in one place, by `end`.
 */
#include "http/internal.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ADDRESSES 8u

static struct http_request *request_of(void *arg)
{
    struct http_request *r = arg;
    must(r != NULL && r->magic == HTTP_REQUEST_MAGIC);
    return r;
}

/* Takes the request out of the client: nothing of it runs any more. */
static void detach(struct http_request *r)
{
    struct http_client *c = r->client;
    if (r->added) {
        must(!c->in_curl);
        curl_multi_remove_handle(c->multi, r->easy);
    }
    r->added = false;
    c->host->resolve_cancel(r->lookup);
    c->host->cancel(r->begin);
    c->host->cancel(r->total);
    c->host->cancel(r->quiet);
    r->lookup = NULL;
    r->begin = r->total = r->quiet = NULL;
    if (r->link) {
        *r->link = r->next;
        if (r->next)
            r->next->link = r->link;
        r->link = NULL;
        c->pending -= r->cancelled ? 0 : 1;
    }
}

static void release(struct http_request *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->fields);
    curl_slist_free_all(r->addresses);
    free(r->connect_host);
    if (r->body)
        explicit_bzero(r->body, r->body_len); /* may be keys, tokens or Secrets */
    free(r->body);
    r->magic = 0;
    free(r);
}

void http_request_free(struct http_request *r)
{
    detach(r);
    release(r);
}

/* The one end of a request that was not cancelled. */
static void end(struct http_request *r, int result, const char *error)
{
    struct http_client *c = r->client;
    struct http_response response = {.of = r};
    detach(r);
    if (result == BURROW_OK) {
        long status = 0;
        curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
        response.status = (int32_t)status;
        response.body = (struct http_bytes){r->body ? r->body : "", r->body_len};
    }
    bool outer = c->in_done;
    c->in_done = true;
    r->ask.done(r->ask.arg, result, &response, error);
    c->in_done = outer;
    release(r);
}

void http_end(struct http_request *r, int result, const char *fmt, ...)
{
    char text[CURL_ERROR_SIZE];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    end(r, result, text);
}

void http_cancel(struct http_request *r)
{
    if (!r)
        return;
    request_of(r);
    if (!r->client->in_curl) {
        http_request_free(r);
        return;
    }
    must(!r->cancelled);
    r->cancelled = true;
    r->client->pending--;
}

/* ---- time ---- */

static void on_total(void *arg)
{
    struct http_request *r = request_of(arg);
    r->total = NULL;
    http_end(r, BURROW_EIO, "not done within %u ms", r->ask.total_ms);
}

static void on_quiet(void *arg);

/* Watches over the connection being made, and then over silence. 0: nothing to watch. */
static int arm_quiet(struct http_request *r, uint64_t ms)
{
    const struct burrow_host *host = r->client->host;
    host->cancel(r->quiet);
    r->quiet = ms > 0 ? host->after(host->self, ms, on_quiet, r) : NULL;
    return ms > 0 && !r->quiet ? BURROW_ENOMEM : BURROW_OK;
}

static void on_quiet(void *arg)
{
    struct http_request *r = request_of(arg);
    const struct burrow_host *host = r->client->host;
    r->quiet = NULL;
    if (!r->connected) {
        http_end(r, BURROW_EIO, "no connection to %s within %u ms", r->url.origin,
                 r->ask.connect_ms);
        return;
    }
    uint64_t silent = host->now_ms(host->self) - r->heard_ms;
    if (silent >= r->ask.idle_ms)
        http_end(r, BURROW_EIO, "nothing came from %s for %u ms", r->url.origin, r->ask.idle_ms);
    else if (arm_quiet(r, r->ask.idle_ms - silent) < 0)
        http_end(r, BURROW_ENOMEM, "out of memory");
}

int http_on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct http_request *r = request_of(arg);
    const struct burrow_host *host = r->client->host;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    r->connected = true;
    r->heard_ms = host->now_ms(host->self);
    if (arm_quiet(r, r->ask.idle_ms) < 0)
        r->client->exhausted = true;
    return CURL_PREREQFUNC_OK;
}

/* ---- the way to the transfer ---- */

int http_transfer(struct http_request *r)
{
    r->connected = r->head_told = r->follow = false;
    r->head_bytes = r->swallowed = r->body_len = 0;
    r->body_bytes = 0;
    r->error[0] = '\0';
    CURLMcode code = curl_multi_add_handle(r->client->multi, r->easy);
    if (code != CURLM_OK)
        return BURROW_ENOMEM;
    r->added = true;
    return BURROW_OK;
}

static void begin_transfer(struct http_request *r)
{
    struct http_client *c = r->client;
    if (http_transfer(r) < 0)
        http_end(r, BURROW_ENOMEM, "out of memory");
    http_settle(c);
}

static void on_begin(void *arg)
{
    struct http_request *r = request_of(arg);
    r->begin = NULL;
    begin_transfer(r);
}

/* Puts one address behind "+HOST:PORT:" in libcurl's form. */
static size_t show_address(const struct burrow_addr *addr, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    bool v6 = addr->family == 6;
    if (!inet_ntop(v6 ? AF_INET6 : AF_INET, addr->bytes, text, sizeof text))
        return 0;
    int n = snprintf(out, size, v6 ? "[%s]" : "%s", text);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

static void on_resolved(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                        const char *error)
{
    struct http_request *r = request_of(arg);
    r->lookup = NULL;
    const char *name = r->connect_host ? r->connect_host : r->url.host;
    if (result < 0) {
        http_end(r, BURROW_EIO, "cannot resolve %s: %s", name, error);
        return;
    }
    char text[sizeof r->url.host + 16 + MAX_ADDRESSES * (INET6_ADDRSTRLEN + 3)];
    size_t used = (size_t)snprintf(text, sizeof text, "+%s:%u:", r->url.host, r->url.port);
    for (size_t i = 0; i < n && i < MAX_ADDRESSES; i++) {
        if (i > 0)
            text[used++] = ',';
        used += show_address(&addrs[i], text + used, sizeof text - used);
    }
    text[used] = '\0';
    r->addresses = curl_slist_append(NULL, text);
    if (!r->addresses || curl_easy_setopt(r->easy, CURLOPT_RESOLVE, r->addresses) != CURLE_OK) {
        http_end(r, BURROW_ENOMEM, "out of memory");
        return;
    }
    begin_transfer(r);
}

static bool is_literal(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* A proxy resolves the name itself. */
static int schedule(struct http_request *r)
{
    const struct burrow_host *host = r->client->host;
    if (r->ask.total_ms > 0) {
        r->total = host->after(host->self, r->ask.total_ms, on_total, r);
        if (!r->total)
            return BURROW_ENOMEM;
    }
    if (arm_quiet(r, r->ask.connect_ms) < 0)
        return BURROW_ENOMEM;
    const char *name = r->connect_host ? r->connect_host : r->url.host;
    if (!r->ask.proxy && (r->connect_host || !is_literal(name))) {
        r->lookup = host->resolve(host->self, name, r->url.port, on_resolved, r);
        return r->lookup ? BURROW_OK : BURROW_ENOMEM;
    }
    r->begin = host->after(host->self, 0, on_begin, r);
    return r->begin ? BURROW_OK : BURROW_ENOMEM;
}

int http_start(struct http_client *client, const struct http_ask *ask, struct http_request **ret)
{
    must(client != NULL && client->magic == HTTP_CLIENT_MAGIC);
    struct http_request *r = calloc(1, sizeof *r);
    if (!r)
        return BURROW_ENOMEM;
    r->magic = HTTP_REQUEST_MAGIC;
    r->client = client;
    int result = http_set_up(r, ask);
    if (result == BURROW_OK)
        result = schedule(r);
    if (result < 0) {
        http_request_free(r);
        return result;
    }
    r->link = &client->requests;
    r->next = client->requests;
    if (r->next)
        r->next->link = &r->next;
    client->requests = r;
    client->pending++;
    *ret = r;
    return BURROW_OK;
}

/* ---- the way from the transfer ---- */

/* The server has sent us elsewhere, and the asker allows the same origin. */
static void follow(struct http_request *r)
{
    const char *location = NULL;
    struct http_url url;
    curl_easy_getinfo(r->easy, CURLINFO_REDIRECT_URL, &location);
    if (!location || http_url_parse(location, &url, NULL) < 0)
        http_end(r, BURROW_EDENIED, "%s redirects to what is no http URL", r->url.origin);
    else if (strcmp(url.origin, r->url.origin) != 0)
        http_end(r, BURROW_EDENIED, "%s redirects to %s: only the same origin is followed",
                 r->url.origin, url.origin);
    else if (r->hops >= HTTP_MAX_REDIRECTS)
        http_end(r, BURROW_EPROTO, "%s redirects more than %u times", r->url.origin,
                 HTTP_MAX_REDIRECTS);
    else if (curl_easy_setopt(r->easy, CURLOPT_URL, location) != CURLE_OK ||
             arm_quiet(r, r->ask.connect_ms) < 0 || http_transfer(r) < 0)
        http_end(r, BURROW_ENOMEM, "out of memory");
    else
        r->hops++;
}

static int result_of(CURLcode code)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return BURROW_ENOMEM;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return BURROW_EPROTO;
    default:
        return BURROW_EIO;
    }
}

void http_transfer_ended(struct http_request *r, CURLcode code)
{
    if (r->cancelled) {
        http_request_free(r);
    } else if (r->fail < 0) {
        end(r, r->fail, r->why);
    } else if (code != CURLE_OK) {
        char text[CURL_ERROR_SIZE];
        snprintf(text, sizeof text, "%s", r->error[0] ? r->error : curl_easy_strerror(code));
        text[strcspn(text, "\r\n")] = '\0';
        end(r, result_of(code), text);
    } else if (r->follow) {
        follow(r);
    } else {
        end(r, BURROW_OK, "");
    }
}
