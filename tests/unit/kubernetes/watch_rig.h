/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch, and the API that it asks: a real server that answers each request with the next of the
 * steps that a test gives, and notes what it was asked and what the watch told.
 */
#ifndef TEST_WATCH_RIG_H
#define TEST_WATCH_RIG_H

#include "../http/rig.h"

#include "kubernetes/client.h"

#include <pthread.h>

#define STEPS_MAX 16
#define LIST                                                                                       \
    "{\"kind\": \"List\", \"metadata\": {\"resourceVersion\": \"5\"}, \"items\": [" ITEM("a") "]}"
#define ITEM(name) "{\"metadata\": {\"name\": \"" name "\", \"resourceVersion\": \"1\"}}"
#define CHANGE(type, name, version)                                                                \
    "{\"type\": \"" type "\", \"object\": {\"metadata\": {\"name\": \"" name                       \
    "\", \"resourceVersion\": \"" version "\"}}}\n"
#define GONE                                                                                       \
    "{\"type\": \"ERROR\", \"object\": {\"kind\": \"Status\", \"metadata\": {}, \"code\": 410}}\n"

#define LIST_PATH "/things?labelSelector=x&limit=500"
#define PAGE(name, version, token)                                                                 \
    "{\"metadata\": {\"resourceVersion\": \"" version "\", \"continue\": \"" token                 \
    "\"}, \"items\": [{\"metadata\": {\"name\": \"" name "\"}}]}"

/* How one request is answered. */
struct step {
    enum { WHOLE, STREAM, ENDED_STREAM, FLOOD } how; /* STREAM: it stays open */
    const char *text; /* the body; of WHOLE the fields may come first, up to an empty line */
    int status;       /* 0: 200 */
};

struct api {
    struct rig rig;
    struct kube_config config;
    struct kube_client *client;
    struct kube_watch *watch;
    char url[64];
    const struct step *steps;
    size_t step_count;

    pthread_mutex_t lock;
    char paths[STEPS_MAX][600];
    unsigned requests; /* beyond the steps the last one counts again */

    char log[1024];
    unsigned events, troubles, lists;
    int status;
    char error[200];
    const char *stop_at; /* the callback in which the watch is stopped */
};

void api_begin(struct api *api, const struct step *steps, size_t count);
#define BEGIN(api, steps) api_begin(api, steps, sizeof(steps) / sizeof *(steps))
/* Stops the watch if it is there; fails when something is held. */
void api_end(struct api *api);

/* Begins the watch of LIST_PATH's collection, or of another one. */
void api_watch(struct api *api);
int api_watch_path(struct api *api, const char *path);

unsigned api_requests(struct api *api);
void api_wait_for_requests(struct api *api, unsigned n);
/* Lets the clock go on while nothing is under way. */
void api_advance(struct api *api, uint64_t ms);

#endif
