/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch of the Kubernetes API: list, then stream changes from the list's resourceVersion. A
 * stream that ends is taken up where it was; one that cannot be (410, or a line that is no change)
 * begins with a new list. A stream that did not last counts as a failure, so that an API that ends
 * all of them at once is not asked without a pause.
 */
#include "kubernetes/transfer.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WATCH_MAGIC 0x4157424bu /* "KBWA" in memory order */
#define VERSION_ROOM 64
#define VERSION_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-"
#define PAUSE_FIRST_MS 500u
#define PAUSE_MAX_MS 15000u
#define PAUSE_REFUSED_MS 300000u /* somebody has to change a Role first */
#define LASTED_MS 10000u
/* The API ends a watch by itself after this; silence beyond it is a dead connection. */
#define WATCH_SECONDS 240u
#define MAX_LINE (2u * 1024u * 1024u)

struct kube_watch {
    uint32_t magic;
    struct kube_client *client;
    char path[KUBE_MAX_PATH];
    kube_event_fn *event;
    kube_trouble_fn *trouble;
    void *arg;
    char version[VERSION_ROOM]; /* "": a list is needed */
    struct kube_call *listing;
    struct http_request *stream;
    struct kube_waiter waiter;
    uint64_t credentials; /* the number of those that the stream was asked for with */
    uint64_t began_ms;    /* of the stream */
    int status;           /* of its head */
    struct burrow_timer *timer;
    uint32_t failures;
    char *line;
    size_t len, room;
    bool stopped, busy; /* busy: a callback is on the stack; stop frees after it */
};

static void next_step(void *arg);

static struct kube_watch *watch_of(void *arg)
{
    struct kube_watch *w = arg;
    must(w->magic == WATCH_MAGIC);
    return w;
}

static void watch_free(struct kube_watch *w)
{
    if (w->timer != NULL)
        kube_client_host(w->client)->cancel(w->timer);
    kube_wait_no_more(&w->waiter);
    kube_cancel(w->listing);
    http_cancel(w->stream);
    free(w->line);
    w->magic = 0;
    free(w);
}

static uint64_t now_ms(const struct kube_watch *w)
{
    const struct burrow_host *host = kube_client_host(w->client);
    return host->now_ms(host->self);
}

/* Calls the asker; false: it has stopped the watch, which is to be freed. */
static bool tell(struct kube_watch *w, const char *type, const json_t *object)
{
    w->busy = true;
    w->event(w->arg, type, object);
    w->busy = false;
    return !w->stopped;
}

/* ---- from one step to the next ---- */

static int after(struct kube_watch *w, uint64_t ms)
{
    const struct burrow_host *host = kube_client_host(w->client);
    w->timer = host->after(host->self, ms, next_step, w);
    return w->timer != NULL ? BURROW_OK : BURROW_ENOMEM;
}

/* Tells the asker, and goes on after a pause: at least as long as the API asks for. */
static void trouble(struct kube_watch *w, int status, const char *error, int64_t asked_ms)
{
    uint32_t limit = PAUSE_FIRST_MS;
    for (uint32_t i = 0; i < w->failures && limit < PAUSE_MAX_MS; i++)
        limit *= 2;
    w->failures++;
    uint64_t ms = 100 + kube_jitter(limit < PAUSE_MAX_MS ? limit : PAUSE_MAX_MS);
    if (status == 403)
        ms += PAUSE_REFUSED_MS;
    else if (asked_ms > 0 && asked_ms < PAUSE_REFUSED_MS)
        ms += (uint64_t)asked_ms;
    w->busy = true;
    if (error != NULL)
        w->trouble(w->arg, status, error);
    if (!w->stopped && after(w, ms) != BURROW_OK)
        w->trouble(w->arg, 0, "out of memory: the watch has ended");
    w->busy = false;
    if (w->stopped)
        watch_free(w);
}

/* The next step on a fresh turn. */
static void go_on(struct kube_watch *w)
{
    if (after(w, 0) != BURROW_OK)
        trouble(w, 0, "out of memory", -1);
}

/* False: it has none that could be sent back in a URL. */
static bool take_version(struct kube_watch *w, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *text = json_string_value(json_object_get(metadata, "resourceVersion"));
    if (text == NULL || *text == '\0' || strlen(text) >= sizeof w->version ||
        text[strspn(text, VERSION_CHARACTERS)] != '\0')
        return false;
    snprintf(w->version, sizeof w->version, "%s", text);
    return true;
}

/* ---- the list ---- */

static void on_list(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct kube_watch *w = watch_of(arg);
    w->listing = NULL;
    if (result != BURROW_OK || !take_version(w, body)) {
        trouble(w, status, error != NULL ? error : "the list has no usable resourceVersion", -1);
        return;
    }
    bool alive = tell(w, "LIST", NULL);
    const json_t *items = json_object_get(body, "items");
    for (size_t i = 0; alive && i < json_array_size(items); i++)
        alive = tell(w, "ADDED", json_array_get(items, i));
    if (alive && tell(w, "LISTED", NULL))
        go_on(w);
    else
        watch_free(w);
}

/* ---- the stream ---- */

/* One line is one change. False: the watch was stopped, or must begin anew. */
static bool on_line(struct kube_watch *w)
{
    json_t *change = json_loadb(w->len > 0 ? w->line : "", w->len, 0, NULL);
    const char *type = json_string_value(json_object_get(change, "type"));
    const json_t *object = json_object_get(change, "object");
    bool goes_on = false;
    /* ERROR is 410 Gone, most of all. */
    if (type == NULL || strcmp(type, "ERROR") == 0 || !take_version(w, object))
        w->version[0] = '\0';
    else
        goes_on = strcmp(type, "BOOKMARK") == 0 || tell(w, type, object);
    json_decref(change);
    return goes_on;
}

static bool keep(struct kube_watch *w, const char *p, size_t n)
{
    if (n == 0)
        return true;
    if (n > MAX_LINE - w->len)
        return false;
    if (w->len + n > w->room) {
        size_t room = w->room * 2 > w->len + n ? w->room * 2 : w->len + n;
        char *line = realloc(w->line, room);
        if (line == NULL)
            return false;
        w->line = line;
        w->room = room;
    }
    memcpy(w->line + w->len, p, n);
    w->len += n;
    return true;
}

static void on_head(void *arg, const struct http_response *response)
{
    watch_of(arg)->status = response->status;
}

/* Whether it lasted decides if the next one comes at once. */
static void stream_ended(struct kube_watch *w, int status, const char *error, int64_t asked_ms)
{
    w->stream = NULL;
    w->len = 0;
    bool lasted = now_ms(w) - w->began_ms >= LASTED_MS;
    if (lasted)
        w->failures = 0;
    if (lasted && error == NULL)
        go_on(w);
    else
        trouble(w, status, error, asked_ms);
}

/* The watch was stopped within a callback, or its list is to be had anew. */
static void give_up(struct kube_watch *w)
{
    http_cancel(w->stream);
    w->stream = NULL;
    if (w->stopped)
        watch_free(w);
    else
        stream_ended(w, 0, NULL, -1);
}

static void on_stream_data(void *arg, const void *data, size_t len)
{
    struct kube_watch *w = watch_of(arg);
    const char *p = data;
    if (w->status != 200)
        return; /* on_stream_done says it */
    while (len > 0) {
        const char *end = memchr(p, '\n', len);
        size_t n = end != NULL ? (size_t)(end - p) : len;
        bool sound = keep(w, p, n);
        if (!sound)
            w->version[0] = '\0';
        else if (end != NULL)
            sound = on_line(w);
        if (!sound) {
            give_up(w);
            return;
        }
        if (end == NULL)
            return;
        w->len = 0;
        p += n + 1;
        len -= n + 1;
    }
}

static void on_stream_done(void *arg, int result, const struct http_response *response,
                           const char *error)
{
    struct kube_watch *w = watch_of(arg);
    char text[64];
    if (result != BURROW_OK || response->status == 200) {
        stream_ended(w, response->status, result != BURROW_OK ? error : NULL, -1);
        return;
    }
    if (response->status == 410)
        w->version[0] = '\0';
    else if (response->status == 401)
        (void)kube_login_refused(kube_client_login(w->client), w->credentials);
    snprintf(text, sizeof text, "the watch was answered %d", response->status);
    stream_ended(w, response->status, text,
                 http_retry_after_ms(http_header(response, "Retry-After"), (int64_t)time(NULL)));
}

static int stream(struct kube_watch *w, char why[FILE_WHY])
{
    char path[KUBE_MAX_PATH + VERSION_ROOM + 100];
    snprintf(path, sizeof path,
             "%s%cwatch=true&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s",
             w->path, strchr(w->path, '?') != NULL ? '&' : '?', WATCH_SECONDS, w->version);
    const struct kube_transfer transfer = {
        .method = "GET",
        .path = path,
        .total_ms = (WATCH_SECONDS + 30) * 1000,
        .head = on_head,
        .data = on_stream_data,
        .done = on_stream_done,
        .arg = w,
    };
    w->status = 0;
    w->began_ms = now_ms(w);
    w->credentials = kube_client_login(w->client)->number;
    return kube_transfer(w->client, &transfer, &w->stream, why);
}

/* The credentials for the stream are there, or cannot be had. */
static void go_stream(void *arg, int result, const char *error)
{
    struct kube_watch *w = watch_of(arg);
    char why[FILE_WHY] = "out of memory";
    if (result == BURROW_OK) {
        result = stream(w, why);
        error = why;
    }
    if (result != BURROW_OK)
        trouble(w, 0, error, -1);
}

static void next_step(void *arg)
{
    struct kube_watch *w = watch_of(arg);
    char why[KUBE_WHY] = "out of memory";
    w->timer = NULL;
    const struct kube_ask list = {
        .method = "GET", .path = w->path, .is_list = true, .done = on_list, .arg = w};
    if (w->version[0] == '\0') {
        if (kube_call(w->client, &list, &w->listing) != BURROW_OK)
            trouble(w, 0, why, -1);
        return;
    }
    int rc = kube_log_in(kube_client_login(w->client), &w->waiter, why);
    if (rc != BURROW_EAGAIN)
        go_stream(w, rc, why);
}

int kube_watch(struct kube_client *client, const char *path, kube_event_fn *event,
               kube_trouble_fn *trouble_fn, void *arg, struct kube_watch **ret)
{
    if (strlen(path) >= KUBE_MAX_PATH)
        return BURROW_EINVAL;
    struct kube_watch *w = calloc(1, sizeof *w);
    if (w == NULL)
        return BURROW_ENOMEM;
    w->magic = WATCH_MAGIC;
    w->client = client;
    snprintf(w->path, sizeof w->path, "%s", path);
    w->event = event;
    w->trouble = trouble_fn;
    w->arg = arg;
    w->waiter.wake = go_stream;
    w->waiter.arg = w;
    if (after(w, 0) != BURROW_OK) {
        watch_free(w);
        return BURROW_ENOMEM;
    }
    *ret = w;
    return BURROW_OK;
}

void kube_watch_stop(struct kube_watch *w)
{
    if (w == NULL)
        return;
    must(w->magic == WATCH_MAGIC);
    w->stopped = true;
    if (!w->busy)
        watch_free(w);
}
