/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch of the Kubernetes API: list, then stream changes from the list's resourceVersion. A
 * stream that ends is taken up where it was; one that cannot be (410) begins with a new list.
 */
#include "kubernetes/transfer.h"
#include "must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_MAGIC 0x4157424bu /* "KBWA" in memory order */
#define VERSION_ROOM 64
#define PAUSE_FIRST_MS 500u
#define PAUSE_MAX_MS 15000u
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
    int status; /* of the stream's head */
    struct burrow_timer *timer;
    uint32_t failures;
    char *line;
    size_t len, room;
    bool stopped, busy; /* busy: a callback is on the stack; stop frees after it */
};

static void next_step(void *arg);

static void watch_free(struct kube_watch *w)
{
    if (w->timer != NULL)
        kube_client_host(w->client)->cancel(w->timer);
    kube_cancel(w->listing);
    http_cancel(w->stream);
    free(w->line);
    w->magic = 0;
    free(w);
}

/* Calls the asker; false: it has stopped the watch, which is to be freed. */
static bool tell(struct kube_watch *w, const char *type, const json_t *object)
{
    w->busy = true;
    w->event(w->arg, type, object);
    w->busy = false;
    return !w->stopped;
}

static bool tell_trouble(struct kube_watch *w, int status, const char *error)
{
    w->busy = true;
    if (w->trouble != NULL)
        w->trouble(w->arg, status, error);
    w->busy = false;
    return !w->stopped;
}

static void go_on(struct kube_watch *w, bool failed)
{
    uint32_t limit = PAUSE_FIRST_MS;
    const struct burrow_host *host = kube_client_host(w->client);
    w->failures = failed ? w->failures + 1 : 0;
    for (uint32_t i = 1; i < w->failures && limit < PAUSE_MAX_MS; i++)
        limit *= 2;
    uint64_t ms = failed ? 100 + kube_jitter(limit < PAUSE_MAX_MS ? limit : PAUSE_MAX_MS) : 0;
    w->timer = host->after(host->self, ms, next_step, w);
}

/* ---- the list ---- */

static void on_list(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct kube_watch *w = arg;
    must(w->magic == WATCH_MAGIC);
    w->listing = NULL;
    const char *version =
        json_string_value(json_object_get(json_object_get(body, "metadata"), "resourceVersion"));
    if (result != BURROW_OK || version == NULL || strlen(version) >= VERSION_ROOM) {
        if (!tell_trouble(w, status, error != NULL ? error : "the list has no resourceVersion"))
            watch_free(w);
        else
            go_on(w, true);
        return;
    }
    snprintf(w->version, sizeof w->version, "%s", version);
    bool alive = tell(w, "LIST", NULL);
    const json_t *items = json_object_get(body, "items");
    for (size_t i = 0; alive && i < json_array_size(items); i++)
        alive = tell(w, "ADDED", json_array_get(items, i));
    if (alive)
        go_on(w, false);
    else
        watch_free(w);
}

/* ---- the stream ---- */

/* One line is one change. false: the watch was stopped, or must begin anew. */
static bool on_line(struct kube_watch *w)
{
    json_t *change = json_loadb(w->line, w->len, 0, NULL);
    const char *type = json_string_value(json_object_get(change, "type"));
    const json_t *object = json_object_get(change, "object");
    const char *version =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
    bool alive = true, sound = true;
    if (type == NULL || object == NULL || strcmp(type, "ERROR") == 0) {
        w->version[0] = '\0'; /* 410 Gone, most of all */
        sound = false;
    } else {
        if (version != NULL && strlen(version) < VERSION_ROOM)
            snprintf(w->version, sizeof w->version, "%s", version);
        if (strcmp(type, "BOOKMARK") != 0)
            alive = tell(w, type, object);
    }
    json_decref(change);
    return alive && sound;
}

static bool grow(struct kube_watch *w, size_t more)
{
    if (w->len + more <= w->room)
        return true;
    size_t room = w->room * 2 > w->len + more ? w->room * 2 : w->len + more;
    char *line = room <= MAX_LINE ? realloc(w->line, room) : NULL;
    if (line == NULL)
        return false;
    w->line = line;
    w->room = room;
    return true;
}

static void on_head(void *arg, const struct http_response *response)
{
    ((struct kube_watch *)arg)->status = response->status;
}

/* What cannot go on: the stream is given up, and the next step comes on a fresh turn. */
static void give_up(struct kube_watch *w)
{
    http_cancel(w->stream);
    w->stream = NULL;
    w->len = 0;
    if (w->stopped)
        watch_free(w);
    else
        go_on(w, w->version[0] == '\0');
}

static void on_stream_data(void *arg, const void *data, size_t len)
{
    struct kube_watch *w = arg;
    must(w->magic == WATCH_MAGIC);
    const char *p = data;
    if (w->status != 200)
        return; /* on_stream_done says it */
    while (len > 0) {
        const char *end = memchr(p, '\n', len);
        size_t n = end != NULL ? (size_t)(end - p) : len;
        if (!grow(w, n)) {
            w->version[0] = '\0';
            give_up(w);
            return;
        }
        memcpy(w->line + w->len, p, n);
        w->len += n;
        n += end != NULL;
        p += n;
        len -= n;
        if (end == NULL)
            return;
        bool alive = on_line(w);
        w->len = 0;
        if (!alive) {
            give_up(w);
            return;
        }
    }
}

static void on_stream_done(void *arg, int result, const struct http_response *response,
                           const char *error)
{
    struct kube_watch *w = arg;
    must(w->magic == WATCH_MAGIC);
    char text[64];
    w->stream = NULL;
    w->len = 0;
    bool in_order = result == BURROW_OK && response->status == 200;
    if (result == BURROW_OK && response->status == 410)
        w->version[0] = '\0';
    snprintf(text, sizeof text, "the watch was answered %d", w->status);
    if (!in_order && !tell_trouble(w, w->status, result == BURROW_OK ? text : error))
        watch_free(w);
    else
        go_on(w, !in_order);
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
    return kube_transfer(w->client, &transfer, &w->stream, why);
}

static void next_step(void *arg)
{
    struct kube_watch *w = arg;
    must(w->magic == WATCH_MAGIC);
    char why[FILE_WHY] = "out of memory";
    w->timer = NULL;
    const struct kube_ask list = {.method = "GET", .path = w->path, .done = on_list, .arg = w};
    int rc = w->version[0] == '\0' ? kube_call(w->client, &list, &w->listing) : stream(w, why);
    if (rc == BURROW_OK)
        return;
    if (tell_trouble(w, 0, why))
        go_on(w, true);
    else
        watch_free(w);
}

int kube_watch(struct kube_client *client, const char *path, kube_event_fn *event,
               kube_trouble_fn *trouble, void *arg, struct kube_watch **ret)
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
    w->trouble = trouble;
    w->arg = arg;
    go_on(w, false);
    if (w->timer == NULL) {
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
    if (w->busy)
        w->stopped = true;
    else
        watch_free(w);
}
