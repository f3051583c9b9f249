/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events at the Deployment or the pod say why a client is not published, where the Role allows
 * them. The core tries again and again, so that one and the same text is told once, until the
 * client's operation succeeds, another text comes, or the Event has gone, as Events do.
 */
#include "registry.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HASH_NONFATAL_OOM 1 /* running out of memory is seen, and no exit() */
#include <uthash.h>

#define ATTEMPTS 5u
#define EVENT_LIFE_S 3600 /* --event-ttl of the API server, by default */

struct told {
    UT_hash_handle hh;
    char name[SERVICE_NAME_ROOM]; /* of the Service; "" where it is not about one */
    char text[HASH_ROOM];         /* the hash of it */
    time_t at;
};

static struct told *find(const struct registry *r, const char *name)
{
    struct told *t;
    HASH_FIND_STR(r->told, name, t);
    return t;
}

static void forget(struct registry *r, struct told *t)
{
    HASH_DEL(r->told, t);
    free(t);
}

void events_forget(struct registry *r, const char *name)
{
    struct told *t = find(r, name);
    if (t != NULL)
        forget(r, t);
}

void events_drop(struct registry *r)
{
    struct told *t, *next;
    HASH_ITER(hh, r->told, t, next)
    {
        forget(r, t);
    }
}

/* False: it has been told. Without memory for that it is told again. */
static bool is_news(struct registry *r, const char *name, const char *message, time_t now)
{
    char text[HASH_ROOM];
    struct told *t = find(r, name);
    client_hash(message, text);
    if (t != NULL && strcmp(t->text, text) == 0 && now - t->at < EVENT_LIFE_S)
        return false;
    if (t == NULL) {
        t = calloc(1, sizeof *t);
        if (t == NULL)
            return true;
        memcpy(t->name, name, strlen(name));
        HASH_ADD_STR(r->told, name, t);
        if (t->hh.tbl == NULL) {
            free(t);
            return true;
        }
    }
    memcpy(t->text, text, sizeof text);
    t->at = now;
    return true;
}

static void on_event(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct registry *r = arg;
    (void)result, (void)body;
    /* Of another failure the Event is lost; the log has it, too. */
    if (status == 403 && !r->said_events) {
        r->said_events = true;
        burrow_log(r->host, BURROW_LOG_INFO, "no Events are written: %s", error);
    }
}

void tell_event(struct registry *r, const char *name, const char *reason, const char *message)
{
    char path[KUBE_MAX_PATH], text[32];
    struct kube_call *call;
    time_t now = time(NULL);
    struct tm tm;
    if (r->about == NULL || r->said_events || !is_news(r, name, message, now))
        return;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_t *event = event_object(r->about, r->config.name_space, reason, message, text);
    const struct kube_ask ask = {
        .method = "POST",
        .path = kube_path(path, "/api/v1", r->config.name_space, "events", NULL),
        .body = event,
        .attempts = ATTEMPTS,
        .done = on_event,
        .arg = r,
    };
    if (event != NULL)
        (void)kube_call(r->client, &ask, &call); /* lost without memory */
    json_decref(event);
}
