/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is between an ask and libcurl: the options of a handle, and the bytes of the response,
 * which are counted before they are kept.
 */
#include "http/internal.h"
#include "http/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_ROOM 4096u

/* ---- the request ---- */

static bool is_token(const char *p)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    return p && *p && p[strspn(p, letters)] == '\0';
}

/* Field values (RFC 9110, 5.5): a line end would begin a header of somebody else's choice. */
static bool is_field_value(const char *p)
{
    for (; p && *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    return p != NULL;
}

static bool add_field(struct http_request *r, const char *line)
{
    struct curl_slist *list = curl_slist_append(r->fields, line);
    if (list)
        r->fields = list;
    return list != NULL;
}

static int add_fields(struct http_request *r, const struct http_ask *ask)
{
    bool typed = false;
    for (size_t i = 0; i < ask->field_count; i++) {
        const struct http_field *f = &ask->fields[i];
        if (!is_token(f->name) || !is_field_value(f->value))
            return BURROW_EINVAL;
        typed = typed || strcasecmp(f->name, "content-type") == 0;
        size_t room = strlen(f->name) + strlen(f->value) + 3;
        char *line = malloc(room);
        if (!line)
            return BURROW_ENOMEM;
        /* libcurl's way to send a field without a value is to end it with a semicolon. */
        snprintf(line, room, f->value[0] ? "%s: %s" : "%s;%s", f->name, f->value);
        bool added = add_field(r, line);
        explicit_bzero(line, room);
        free(line);
        if (!added)
            return BURROW_ENOMEM;
    }
    /* No wait for a 100, and no type that nobody has named. */
    bool all =
        !ask->body.data || (add_field(r, "Expect:") && (typed || add_field(r, "Content-Type:")));
    if (!all)
        return BURROW_ENOMEM;
    return curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->fields) == CURLE_OK ? BURROW_OK
                                                                                : BURROW_ENOMEM;
}

/* Sets options one after the other; the first failure stays. */
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (code == CURLE_OK)                                                                      \
            code = curl_easy_setopt(r->easy, option, value);                                       \
    } while (0)

static CURLcode set_method(struct http_request *r, const struct http_ask *ask)
{
    CURLcode code = CURLE_OK;
    const char *method = ask->method ? ask->method : "GET";
    if (ask->body.data) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);
        SET(CURLOPT_COPYPOSTFIELDS, (const char *)ask->body.data);
    } else if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    return code;
}

/* libcurl reads proxies from the environment unless it is given an empty one. */
static CURLcode set_way(struct http_request *r, const struct http_ask *ask)
{
    CURLcode code = CURLE_OK;
    bool environment = ask->proxy && strcmp(ask->proxy, HTTP_PROXY_ENVIRONMENT) == 0;
    if (!environment)
        SET(CURLOPT_PROXY, ask->proxy ? ask->proxy : "");
    SET(CURLOPT_PROTOCOLS_STR, r->url.https ? "https" : "http");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* a proxy's name is looked up by a thread: it is not waited for */
    SET(CURLOPT_FRESH_CONNECT, ask->fresh ? 1L : 0L);
    SET(CURLOPT_FORBID_REUSE, ask->fresh ? 1L : 0L);
    return code;
}

static CURLcode set_callbacks(struct http_request *r)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, (void *)r);
    SET(CURLOPT_ERRORBUFFER, r->error);
    SET(CURLOPT_HEADERFUNCTION, http_on_header);
    SET(CURLOPT_HEADERDATA, (void *)r);
    SET(CURLOPT_WRITEFUNCTION, http_on_body);
    SET(CURLOPT_WRITEDATA, (void *)r);
    SET(CURLOPT_PREREQFUNCTION, http_on_connected);
    SET(CURLOPT_PREREQDATA, (void *)r);
    SET(CURLOPT_USERAGENT, r->client->agent);
    return code;
}

static bool well_formed(const struct http_ask *ask)
{
    return ask->url && ask->done && (!ask->method || is_token(ask->method)) &&
           !ask->cert.data == !ask->key.data && ask->body.len <= INT32_MAX &&
           ask->redirects <= HTTP_REDIRECT_SAME_ORIGIN &&
           !(ask->redirects == HTTP_REDIRECT_SAME_ORIGIN && ask->body.data);
}

int http_set_up(struct http_request *r, const struct http_ask *ask)
{
    if (!well_formed(ask) || http_url_parse(ask->url, &r->url, NULL) < 0)
        return BURROW_EINVAL;
    r->ask = *ask;
    r->ask.url = r->ask.method = r->ask.connect_host = NULL;
    r->ask.fields = NULL;
    r->ask.proxy = ask->proxy ? "" : NULL; /* only whether there is one */
    r->ask.body = r->ask.ca = r->ask.cert = r->ask.key = (struct http_bytes){NULL, 0};
    r->easy = curl_easy_init();
    if (ask->connect_host)
        r->connect_host = strdup(ask->connect_host);
    if (!r->easy || (ask->connect_host && !r->connect_host))
        return BURROW_ENOMEM;
    CURLcode code = set_callbacks(r);
    SET(CURLOPT_URL, ask->url);
    if (code == CURLE_OK)
        code = set_way(r, ask);
    if (code == CURLE_OK)
        code = http_set_tls(r->easy, ask);
    if (code == CURLE_OK)
        code = set_method(r, ask);
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? BURROW_ENOMEM : BURROW_EINVAL;
    return add_fields(r, ask);
}

/* ---- the response ---- */

static struct http_request *transfer_of(void *arg)
{
    struct http_request *r = arg;
    must(r != NULL && r->magic == HTTP_REQUEST_MAGIC);
    return r;
}

/* Ends the transfer from inside libcurl, which sees a callback that takes too little. */
__attribute__((format(printf, 3, 4))) static size_t refuse(struct http_request *r, int result,
                                                           const char *fmt, ...)
{
    va_list ap;
    r->fail = result;
    va_start(ap, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, ap);
    va_end(ap);
    return 0;
}

static void heard(struct http_request *r)
{
    r->heard_ms = r->client->host->now_ms(r->client->host->self);
}

const char *http_header(const struct http_response *response, const char *name)
{
    struct curl_header *header;
    if (response->status == 0)
        return NULL;
    return curl_easy_header(response->of->easy, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK
               ? header->value
               : NULL;
}

/* The empty line after the fields: what the body is for is known now. */
static size_t head_ends(struct http_request *r, size_t n)
{
    long status = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || r->head_told)
        return n; /* more heads come, or these were trailers */
    struct http_response response = {.status = (int32_t)status, .of = r};
    bool redirect =
        status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    r->follow = redirect && r->ask.redirects == HTTP_REDIRECT_SAME_ORIGIN &&
                http_header(&response, "Location");
    r->head_told = true;
    if (r->ask.head && !r->follow)
        r->ask.head(r->ask.arg, &response);
    return r->cancelled ? 0 : n;
}

size_t http_on_header(char *p, size_t size, size_t n, void *arg)
{
    struct http_request *r = transfer_of(arg);
    (void)size; /* is 1 */
    if (r->cancelled)
        return 0;
    heard(r);
    if (n > HTTP_MAX_HEAD - r->head_bytes)
        return refuse(r, BURROW_EPROTO, "%s sent more than %u bytes of headers", r->url.origin,
                      HTTP_MAX_HEAD);
    r->head_bytes += n;
    bool empty = (n == 2 && memcmp(p, "\r\n", 2) == 0) || (n == 1 && p[0] == '\n');
    return empty ? head_ends(r, n) : n;
}

/* Grows by what came, never by what was announced. */
static bool keep(struct http_request *r, const char *p, size_t n)
{
    if (n >= r->body_room - r->body_len) {
        size_t room = r->body_room ? r->body_room : FIRST_ROOM;
        while (room <= r->body_len + n)
            room *= 2;
        char *body = malloc(room);
        if (!body)
            return false;
        if (r->body) {
            memcpy(body, r->body, r->body_len);
            explicit_bzero(r->body, r->body_len);
        }
        free(r->body);
        r->body = body;
        r->body_room = room;
    }
    memcpy(r->body + r->body_len, p, n);
    r->body_len += n;
    r->body[r->body_len] = '\0';
    return true;
}

size_t http_on_body(char *p, size_t size, size_t n, void *arg)
{
    struct http_request *r = transfer_of(arg);
    (void)size; /* is 1 */
    if (r->cancelled)
        return 0;
    heard(r);
    if (r->follow) {
        r->swallowed += n;
        return r->swallowed <= HTTP_MAX_HEAD
                   ? n
                   : refuse(r, BURROW_EPROTO, "%s sent a long body with a redirect", r->url.origin);
    }
    bool bounded = r->ask.max_body > 0 || !r->ask.data;
    if (bounded && n > r->ask.max_body - r->body_bytes)
        return refuse(r, BURROW_EPROTO, "%s sent a body of more than %llu bytes", r->url.origin,
                      (unsigned long long)r->ask.max_body);
    r->body_bytes += n;
    if (r->ask.data) {
        r->ask.data(r->ask.arg, p, n);
        return r->cancelled ? 0 : n;
    }
    return keep(r, p, n) ? n : refuse(r, BURROW_ENOMEM, "out of memory");
}
