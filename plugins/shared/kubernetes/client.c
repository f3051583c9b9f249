/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of the Kubernetes API; see client.h. watch.c stands on them. */
#include "kubernetes/client.h"

#include "kubernetes/pages.h"
#include "kubernetes/transfer.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CLIENT_MAGIC 0x4c43424bu /* "KBCL" in memory order */
#define CALL_MAGIC 0x4143424bu   /* "KBCA" */
#define PAUSE_FIRST_MS 500u
#define PAUSE_MAX_MS 10000u
#define RETRY_AFTER_MAX_MS 30000
#define ASKED_TO_WAIT_MAX 3u /* times that a Retry-After is followed without an attempt left */

struct kube_client {
    uint32_t magic;
    const struct burrow_host *host;
    struct kube_config *config;
    struct kube_login login;
    struct http_client *http;
    struct kube_call *calls;
};

struct kube_call {
    uint32_t magic;
    struct kube_client *client;
    struct kube_call *next, **link;
    char *method, *path, *type, *body;
    uint32_t attempts, failures, waits;
    bool is_list, refused; /* refused: 401 has been answered already */
    struct kube_waiter waiter;
    uint64_t credentials; /* the number of those that were sent */
    struct kube_pages pages;
    kube_done_fn *done;
    void *arg;
    struct http_request *request;
    struct burrow_timer *timer;
};

const struct kube_config *kube_client_config(const struct kube_client *client)
{
    return client->config;
}

const struct burrow_host *kube_client_host(const struct kube_client *client)
{
    return client->host;
}

struct kube_login *kube_client_login(struct kube_client *client)
{
    return &client->login;
}

uint32_t kube_jitter(uint32_t limit_ms)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        random = UINT32_MAX / 2;
    return (uint32_t)((uint64_t)limit_ms * random / UINT32_MAX);
}

/* ---- a transfer ---- */

int kube_authorization(const struct kube_config *c, char *buf, size_t size, bool *ret_has,
                       char why[FILE_WHY])
{
    struct file_bytes bytes = {0};
    *ret_has = false;
    const char *token = c->token;
    if (c->token_file != NULL) {
        int rc = file_read(c->token_file, size / 2, false, &bytes, why);
        if (rc != BURROW_OK && token == NULL)
            return rc;
        token = rc == BURROW_OK ? bytes.data : token;
    }
    if (token != NULL) {
        snprintf(buf, size, "Bearer %.*s", (int)strcspn(token, "\r\n"), token);
        *ret_has = true;
    }
    file_free(&bytes);
    return BURROW_OK;
}

int kube_transfer(struct kube_client *client, const struct kube_transfer *t,
                  struct http_request **ret, char why[FILE_WHY])
{
    const struct kube_config *c = client->config;
    char url[HTTP_MAX_URL], bearer[32768];
    struct http_field fields[3];
    size_t n = 0;
    bool has_token;
    snprintf(why, FILE_WHY, "out of memory");
    int rc = kube_authorization(c, bearer, sizeof bearer, &has_token, why);
    if (rc != BURROW_OK)
        return rc;
    fields[n++] = (struct http_field){"Accept", "application/json"};
    if (has_token)
        fields[n++] = (struct http_field){"Authorization", bearer};
    if (t->body != NULL)
        fields[n++] = (struct http_field){"Content-Type", t->type != NULL ? t->type : KUBE_JSON};
    int len = snprintf(url, sizeof url, "%s%s", c->server, t->path);
    const struct http_ask ask = {
        .method = t->method,
        .url = url,
        .fields = fields,
        .field_count = n,
        .body = {t->body, t->body != NULL ? strlen(t->body) : 0},
        .ca = {c->ca.data, c->ca.len},
        .cert = {c->cert.data, c->cert.len},
        .key = {c->key.data, c->key.len},
        .skip_verify = c->skip_verify,
        .connect_host = c->connect_host,
        .proxy = HTTP_PROXY_ENVIRONMENT,
        .connect_ms = 10000,
        .total_ms = t->total_ms,
        .idle_ms = t->idle_ms,
        .max_body = t->data != NULL ? 0 : KUBE_MAX_ANSWER,
        .head = t->head,
        .data = t->data,
        .done = t->done,
        .arg = t->arg,
    };
    rc = len < (int)sizeof url ? http_start(client->http, &ask, ret) : BURROW_EINVAL;
    explicit_bzero(bearer, sizeof bearer);
    if (rc == BURROW_EINVAL)
        snprintf(why, FILE_WHY, "the request is not well-formed");
    return rc;
}

/* ---- calls ---- */

static void call_free(struct kube_call *call)
{
    must(call->magic == CALL_MAGIC);
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    if (call->timer != NULL)
        call->client->host->cancel(call->timer);
    kube_wait_no_more(&call->waiter);
    http_cancel(call->request);
    free(call->method);
    free(call->path);
    free(call->type);
    free(call->body);
    kube_pages_clear(&call->pages);
    call->magic = 0;
    free(call);
}

static void finish(struct kube_call *call, int result, int status, const json_t *body,
                   const char *error)
{
    kube_done_fn *done = call->done;
    void *arg = call->arg;
    call_free(call);
    done(arg, result, status, body, error);
}

static void begin(void *arg);

/* Runs the call after the pause; without a timer it ends here. */
static void later(struct kube_call *call, uint64_t ms, const char *error)
{
    const struct burrow_host *host = call->client->host;
    call->timer = host->after(host->self, ms, begin, call);
    if (call->timer == NULL)
        finish(call, BURROW_ENOMEM, 0, NULL, error);
}

static bool may_repeat(const struct kube_call *call)
{
    return call->failures + 1 < call->attempts;
}

static void repeat(struct kube_call *call, const char *error)
{
    uint32_t limit = PAUSE_FIRST_MS;
    for (uint32_t i = 0; i < call->failures && limit < PAUSE_MAX_MS; i++)
        limit *= 2;
    call->failures++;
    later(call, 100 + kube_jitter(limit < PAUSE_MAX_MS ? limit : PAUSE_MAX_MS), error);
}

/* How long a busy API wants to be left alone; -1: it did not say, or too long. */
static int64_t asked_pause(const struct http_response *response)
{
    if (response->status != 429 && response->status != 503)
        return -1;
    int64_t ms = http_retry_after_ms(http_header(response, "Retry-After"), (int64_t)time(NULL));
    return ms >= 0 && ms <= RETRY_AFTER_MAX_MS ? ms : -1;
}

void kube_error_text(char *buf, size_t size, int status, const json_t *body)
{
    const char *message = json_string_value(json_object_get(body, "message"));
    snprintf(buf, size, "the API answered %d%s%.400s", status, message != NULL ? ": " : "",
             message != NULL ? message : "");
}

/* Asks for the next page, or tells the list. */
static void on_page(struct kube_call *call, int status, json_t *page, size_t bytes)
{
    bool more = false;
    int rc = kube_pages_take(&call->pages, page, bytes, &more);
    if (rc != BURROW_OK) {
        finish(call, rc, status, NULL,
               rc == BURROW_ENOMEM ? "the list is too long" : "the answer is no page of a list");
    } else if (more) {
        call->failures = call->waits = 0; /* a page is a call of its own to the API */
        call->refused = false;
        later(call, 0, "out of memory");
    } else {
        json_t *list = json_incref(call->pages.list); /* finish frees the call before it tells */
        finish(call, BURROW_OK, status, list, NULL);
        json_decref(list);
    }
}

static void on_done(void *arg, int result, const struct http_response *response, const char *error)
{
    struct kube_call *call = arg;
    must(call->magic == CALL_MAGIC);
    call->request = NULL;
    char text[512];
    if (result != BURROW_OK) {
        if (may_repeat(call) && result != BURROW_EDENIED)
            repeat(call, error);
        else
            finish(call, result, 0, NULL, error);
        return;
    }
    int64_t pause = asked_pause(response);
    if (pause >= 0 && call->waits < ASKED_TO_WAIT_MAX) {
        call->waits++;
        later(call, (uint64_t)pause + kube_jitter(500), "the API is busy");
        return;
    }
    if (response->status == 401 && !call->refused &&
        kube_login_refused(&call->client->login, call->credentials)) {
        call->refused = true;
        later(call, 0, "out of memory");
        return;
    }
    json_t *body = response->body.len > 0
                       ? json_loadb(response->body.data, response->body.len, 0, NULL)
                       : NULL;
    bool good = response->status >= 200 && response->status < 300;
    if (good && !json_is_object(body)) {
        /* A page in HTML with 200: something else than an API answers there. */
        finish(call, BURROW_EPROTO, response->status, NULL, "the answer is no JSON object");
    } else if (good && call->is_list) {
        on_page(call, response->status, body, response->body.len);
    } else if (good) {
        finish(call, BURROW_OK, response->status, body, NULL);
    } else if (may_repeat(call) && (response->status >= 500 || response->status == 429)) {
        repeat(call, "the API failed");
    } else {
        kube_error_text(text, sizeof text, response->status, body);
        finish(call,
               response->status == 403 || response->status == 401 ? BURROW_EDENIED : BURROW_EIO,
               response->status, body, text);
    }
    json_decref(body);
}

/* The credentials are there, or cannot be had. */
static void go(void *arg, int result, const char *error)
{
    struct kube_call *call = arg;
    must(call->magic == CALL_MAGIC);
    char why[FILE_WHY], page[KUBE_MAX_PATH + KUBE_PAGES_ROOM];
    if (result == BURROW_OK) {
        if (call->is_list)
            kube_pages_path(&call->pages, call->path, page, sizeof page);
        const struct kube_transfer transfer = {
            .method = call->method,
            .path = call->is_list ? page : call->path,
            .body = call->body,
            .type = call->type,
            .total_ms = KUBE_CALL_MS,
            .done = on_done,
            .arg = call,
        };
        call->credentials = call->client->login.number;
        result = kube_transfer(call->client, &transfer, &call->request, why);
        error = why;
    }
    if (result == BURROW_OK)
        return;
    if (may_repeat(call))
        repeat(call, error);
    else
        finish(call, result, 0, NULL, error);
}

static void begin(void *arg)
{
    struct kube_call *call = arg;
    must(call->magic == CALL_MAGIC);
    char why[KUBE_WHY] = "out of memory";
    call->timer = NULL;
    int rc = kube_log_in(&call->client->login, &call->waiter, why);
    if (rc != BURROW_EAGAIN)
        go(call, rc, why);
}

int kube_call(struct kube_client *client, const struct kube_ask *ask, struct kube_call **ret)
{
    must(client->magic == CLIENT_MAGIC);
    if (strlen(ask->path) >= KUBE_MAX_PATH)
        return BURROW_EINVAL;
    struct kube_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return BURROW_ENOMEM;
    call->magic = CALL_MAGIC;
    call->client = client;
    call->method = strdup(ask->method);
    call->path = strdup(ask->path);
    call->type = ask->type != NULL ? strdup(ask->type) : NULL;
    call->body = ask->body != NULL ? json_dumps(ask->body, JSON_COMPACT) : NULL;
    call->attempts = ask->attempts;
    call->is_list = ask->is_list;
    call->done = ask->done;
    call->arg = ask->arg;
    call->waiter.wake = go;
    call->waiter.arg = call;
    call->next = client->calls;
    call->link = &client->calls;
    if (call->next != NULL)
        call->next->link = &call->next;
    client->calls = call;
    /* On a fresh turn, so that done is never called from in here. */
    call->timer = client->host->after(client->host->self, 0, begin, call);
    if (call->method == NULL || call->path == NULL || call->timer == NULL ||
        (ask->type != NULL && call->type == NULL) || (ask->body != NULL && call->body == NULL)) {
        call_free(call);
        return BURROW_ENOMEM;
    }
    *ret = call;
    return BURROW_OK;
}

void kube_cancel(struct kube_call *call)
{
    if (call != NULL)
        call_free(call);
}

const char *kube_path(char buf[KUBE_MAX_PATH], const char *prefix, const char *name_space,
                      const char *kind, const char *name)
{
    snprintf(buf, KUBE_MAX_PATH, "%s/namespaces/%s/%s%s%s", prefix, name_space, kind,
             name != NULL ? "/" : "", name != NULL ? name : "");
    return buf;
}

/* ---- the client ---- */

int kube_client_create(const struct burrow_host *host, struct kube_config *config,
                       struct kube_client **ret)
{
    struct kube_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return BURROW_ENOMEM;
    client->magic = CLIENT_MAGIC;
    client->host = host;
    client->config = config;
    kube_login_init(&client->login, host, config);
    int rc = http_client_create(host, "burrow", &client->http);
    if (rc != BURROW_OK) {
        free(client);
        return rc;
    }
    *ret = client;
    return BURROW_OK;
}

void kube_client_destroy(struct kube_client *client)
{
    if (client == NULL)
        return;
    must(client->magic == CLIENT_MAGIC);
    while (client->calls != NULL)
        call_free(client->calls);
    kube_login_finish(&client->login);
    http_client_destroy(client->http);
    client->magic = 0;
    free(client);
}
