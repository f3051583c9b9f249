/* SPDX-License-Identifier: Apache-2.0 */
/* The API that watches are tried against; see watch_rig.h. */
#include "watch_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the API ---- */

static bool say_stream(struct http_peer *peer, const struct step *step)
{
    char flood[16384];
    memset(flood, 'x', sizeof flood);
    http_peer_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    /* In two pieces, so that a line comes in halves. */
    size_t n = strlen(step->text), half = n / 2;
    const char *text = step->text;
    if (half > 0 && (!http_peer_say(peer, "%zx\r\n%.*s\r\n", half, (int)half, text) ||
                     !http_peer_wait(peer, 20)))
        return false;
    if (n > half && !http_peer_say(peer, "%zx\r\n%s\r\n", n - half, text + half))
        return false;
    while (step->how == FLOOD && http_peer_say(peer, "4000\r\n") &&
           http_peer_write(peer, flood, sizeof flood) && http_peer_say(peer, "\r\n"))
        continue;
    while (step->how == STREAM && http_peer_wait(peer, 100))
        continue;
    return step->how == ENDED_STREAM && http_peer_say(peer, "0\r\n\r\n");
}

static bool answer(void *arg, struct http_peer *peer)
{
    struct api *api = arg;
    pthread_mutex_lock(&api->lock);
    unsigned i = api->requests++;
    if (i < STEPS_MAX)
        snprintf(api->paths[i], sizeof api->paths[i], "%s", peer->path);
    pthread_mutex_unlock(&api->lock);
    const struct step *step = &api->steps[i < api->step_count ? i : api->step_count - 1];
    if (step->how != WHOLE)
        return say_stream(peer, step);
    const char *end = strstr(step->text, "\r\n\r\n"), *body = end != NULL ? end + 4 : step->text;
    return http_peer_say(peer, "HTTP/1.1 %d Said\r\n%.*sContent-Length: %zu\r\n\r\n%s",
                         step->status != 0 ? step->status : 200,
                         end != NULL ? (int)(end + 2 - step->text) : 0, step->text, strlen(body),
                         body);
}

unsigned api_requests(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    unsigned n = api->requests;
    pthread_mutex_unlock(&api->lock);
    return n;
}

/* ---- the watch ---- */

static void note(struct api *api, const char *what)
{
    size_t n = strlen(api->log);
    assert_non_null(api->watch); /* not after it was stopped */
    snprintf(api->log + n, sizeof api->log - n, "%s%s", n > 0 ? " " : "", what);
    if (api->stop_at != NULL && strncmp(what, api->stop_at, strlen(api->stop_at)) == 0) {
        kube_watch_stop(api->watch);
        api->watch = NULL;
    }
}

static void on_event(void *arg, const char *type, const json_t *object)
{
    struct api *api = arg;
    char text[100];
    const char *name =
        json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
    api->events++;
    api->lists += strcmp(type, "LISTED") == 0;
    snprintf(text, sizeof text, "%s%s%s", type, name != NULL ? " " : "", name != NULL ? name : "");
    note(api, text);
}

static void on_trouble(void *arg, int status, const char *error)
{
    struct api *api = arg;
    api->troubles++;
    api->status = status;
    snprintf(api->error, sizeof api->error, "%s", error);
    note(api, "trouble");
}

void api_begin(struct api *api, const struct step *steps, size_t count)
{
    memset(api, 0, sizeof *api);
    pthread_mutex_init(&api->lock, NULL);
    api->steps = steps;
    api->step_count = count;
    rig_init(&api->rig, NULL, answer, api);
    snprintf(api->url, sizeof api->url, "http://127.0.0.1:%u", http_server_port(api->rig.server));
    api->config.server = api->url;
    assert_int_equal(kube_client_create(&api->rig.host.table, &api->config, &api->client),
                     BURROW_OK);
}

int api_watch_path(struct api *api, const char *path)
{
    return kube_watch(api->client, path, on_event, on_trouble, api, &api->watch);
}

void api_watch(struct api *api)
{
    assert_int_equal(api_watch_path(api, "/things?labelSelector=x"), BURROW_OK);
}

void api_end(struct api *api)
{
    kube_watch_stop(api->watch);
    kube_client_destroy(api->client);
    rig_finish(&api->rig); /* fails when something is held */
    pthread_mutex_destroy(&api->lock);
}

void api_wait_for_requests(struct api *api, unsigned n)
{
    for (int ms = 0; api_requests(api) < n; ms += 20) {
        assert_true(ms < 30000);
        rig_linger(&api->rig, 20);
    }
}

void api_advance(struct api *api, uint64_t ms)
{
    fake_host_advance(&api->rig.host, ms);
    rig_linger(&api->rig, 50);
}
