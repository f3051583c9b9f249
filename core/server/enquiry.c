/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request over HTTP whose answer takes more than one loop. It goes from the worker that has the
 * connection to the main loop, which knows the routes; for metrics from there to all workers, each
 * of which gives a copy of its counts; and back.
 */
#include "server/routes.h"

#include "base/object.h"

#include <stdlib.h>
#include <string.h>

#define ENQUIRY_MAGIC 0x454e5131u

/* What one worker is asked for. */
struct part {
    struct enquiry *enquiry;
    struct worker *worker;
    struct loop_call call;
    struct worker_counts counts;
};

struct enquiry {
    uint32_t magic;
    struct server *server;
    struct loop_call call;
    /* The asker's. */
    struct worker *asker;
    answer_fn *fn;
    void *arg;
    bool cancelled;
    /* For the main loop. */
    struct burrow_http request;
    char *texts; /* of the request */
    size_t waiting;
    struct http_answer answer;
    struct part parts[]; /* of each worker */
};

static void enquiry_free(void *arg)
{
    struct enquiry *e = arg;
    free(e->texts);
    free(e->answer.body);
    e->magic = 0;
    free(e);
}

/* ---- the main loop ---- */

static void deliver(void *arg)
{
    struct enquiry *e = arg;
    must_be(e, ENQUIRY_MAGIC);
    if (!e->cancelled)
        e->fn(e->arg, &e->answer);
    enquiry_free(e);
}

static void send_back(struct enquiry *e)
{
    e->call.fn = deliver;
    loop_post_call(e->asker->loop, &e->call);
}

/* The loop of this part ends; all threads have ended before. */
static void drop_part(void *arg)
{
    struct part *part = arg;
    if (--part->enquiry->waiting == 0)
        enquiry_free(part->enquiry);
}

static void counts_came(void *arg)
{
    struct part *part = arg;
    struct enquiry *e = part->enquiry;
    must_be(e, ENQUIRY_MAGIC);
    must(e->waiting > 0);
    if (--e->waiting > 0)
        return;
    struct worker_counts sum = {.pending = 0};
    for (size_t i = 0; i < e->server->worker_count; i++)
        worker_counts_add(&sum, &e->parts[i].counts);
    routes_metrics(e->server, &sum, &e->answer);
    send_back(e);
}

static void give_counts(void *arg)
{
    struct part *part = arg;
    worker_counts_take(part->worker, &part->counts);
    part->call.fn = counts_came;
    loop_post_call(part->enquiry->server->loop, &part->call);
}

static void judge(void *arg)
{
    struct enquiry *e = arg;
    must_be(e, ENQUIRY_MAGIC);
    struct server *server = e->server;
    if (routes_answer(server, &e->request, &e->answer)) {
        send_back(e);
        return;
    }
    e->waiting = server->worker_count;
    for (size_t i = 0; i < server->worker_count; i++) {
        struct part *part = &e->parts[i];
        part->enquiry = e;
        part->worker = &server->workers[i];
        part->call = (struct loop_call){.fn = give_counts, .arg = part, .drop = drop_part};
        loop_post_call(part->worker->loop, &part->call);
    }
}

/* ---- the asker ---- */

/* Puts a copy of *text at *at, behind which the next one goes. */
static void keep_text(const char **text, char **at)
{
    if (*text == NULL)
        return;
    size_t n = strlen(*text) + 1;
    memcpy(*at, *text, n);
    *text = *at;
    *at += n;
}

static size_t text_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static struct enquiry *enquiry_create(struct worker *asker, const struct burrow_http *request)
{
    struct server *server = asker->server;
    struct enquiry *e = calloc(1, sizeof *e + server->worker_count * sizeof *e->parts);
    size_t size = text_size(request->method) + text_size(request->path) +
                  text_size(request->query) + text_size(request->authorization);
    char *at = e != NULL ? malloc(size) : NULL;
    if (at == NULL) {
        free(e);
        return NULL;
    }
    e->magic = ENQUIRY_MAGIC;
    e->server = server;
    e->asker = asker;
    e->texts = at;
    e->request = *request;
    keep_text(&e->request.method, &at);
    keep_text(&e->request.path, &at);
    keep_text(&e->request.query, &at);
    keep_text(&e->request.authorization, &at);
    return e;
}

struct enquiry *routes_ask(struct worker *asker, const struct burrow_http *request,
                           struct http_answer *ret, answer_fn *fn, void *arg)
{
    if (worker_is_main(asker) && routes_answer(asker->server, request, ret))
        return NULL;
    struct enquiry *e = enquiry_create(asker, request);
    if (e == NULL) {
        answer_text(ret, 500, "out of memory\n");
        return NULL;
    }
    e->fn = fn;
    e->arg = arg;
    e->call = (struct loop_call){.fn = judge, .arg = e, .drop = enquiry_free};
    loop_post_call(asker->server->loop, &e->call);
    return e;
}

void routes_cancel(struct enquiry *e)
{
    if (e == NULL)
        return;
    must_be(e, ENQUIRY_MAGIC);
    e->cancelled = true; /* it is under way, perhaps with others */
}
