/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes the cluster. A fresh run looks at every object first: when one is there already,
 * whoever made it, nothing is changed. Then they are created in order, and what was created is
 * deleted in reverse at the end. Only what carries our labels is ever deleted, and of a run's own
 * objects only those that it made itself: by their uid, or, where no answer told it, by their mark.
 */
#include "expose.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

/* "deployment/burrow-api" */
#define TITLE_ROOM (OBJECT_NAME_ROOM + 20)
static const char *title(const struct expose *e, enum object which, char buf[TITLE_ROOM])
{
    char name[OBJECT_NAME_ROOM];
    snprintf(buf, TITLE_ROOM, "%s/%s", object_kind(which)->word,
             object_name(e->wanted.server_name, which, name));
    return buf;
}

static void ask(struct expose *e, const char *method, const char *name, const json_t *body,
                kube_done_fn *done)
{
    char path[KUBE_MAX_PATH];
    const struct object_kind *kind = object_kind(e->at);
    const struct kube_ask call = {
        .method = method,
        .path = kube_path(path, kind->prefix, e->name_space, kind->plural, name),
        .body = body,
        /* A creation that may have come through is not repeated. */
        .attempts = strcmp(method, "POST") == 0 ? 1 : 3,
        .done = done,
        .arg = e,
    };
    if (kube_call(e->client, &call, &e->call) == BURROW_OK)
        return;
    if (e->ending || e->deleting) {
        e->lost = true;
        expose_finished(e);
    } else {
        e->creating = false;
        expose_fail(e, BURROW_ENOMEM, "out of memory");
    }
}

static void ask_named(struct expose *e, const char *method, const json_t *body, kube_done_fn *done)
{
    char name[OBJECT_NAME_ROOM];
    ask(e, method, object_name(e->wanted.server_name, e->at, name), body, done);
}

static struct expose *answered(void *arg)
{
    struct expose *e = expose_of(arg);
    e->call = NULL;
    return e;
}

/* ---- create ---- */

static void create_next(struct expose *e);

static void on_created(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char what[TITLE_ROOM];
    struct standing *standing = &e->standing[e->at];
    e->creating = false;
    title(e, e->at, what);
    if (result == BURROW_OK) {
        const char *uid =
            json_string_value(json_object_get(json_object_get(body, "metadata"), "uid"));
        snprintf(standing->uid, sizeof standing->uid, "%s", uid ? uid : "");
        standing->present = true;
        expose_say("%s created", what);
    } else {
        /* It may have come through, the last time or, if it is there already, before that. */
        standing->present = status == 0 || status == 409 || status >= 500;
    }
    if (e->ending) {
        expose_wind_up(e);
        return;
    }
    if (result != BURROW_OK) {
        expose_fail(e, result, "%s was not created: %s", what, error);
        return;
    }
    e->at++;
    create_next(e);
}

static void create_next(struct expose *e)
{
    while (e->at < OBJECT_COUNT && !e->objects[e->at])
        e->at++;
    if (e->at == OBJECT_COUNT) {
        wait_begin(e);
        return;
    }
    e->creating = true;
    ask(e, "POST", NULL, e->objects[e->at], on_created);
}

/* ---- look ---- */

static void look_next(struct expose *e);

/* The key of the tokens, out of the Secret of an earlier run. */
static bool read_secret(struct expose *e, const json_t *secret)
{
    const char *text =
        json_string_value(json_object_get(json_object_get(secret, "data"), SECRET_KEY));
    unsigned char raw[3 * (HMAC_HEX + 3)];
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n % 4 != 0 || n / 4 * 3 > sizeof raw)
        return false;
    int decoded = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)n);
    if (decoded < 0)
        return false;
    while (n > 0 && text[n - 1] == '=' && decoded > 0) {
        n--;
        decoded--;
    }
    bool fits = decoded == HMAC_HEX - 1;
    if (fits) {
        memcpy(e->secret, raw, HMAC_HEX - 1);
        e->secret[HMAC_HEX - 1] = '\0';
    }
    explicit_bzero(raw, sizeof raw);
    return fits;
}

static bool needed_for_reuse(enum object which)
{
    return which == OBJECT_SECRET || which == OBJECT_DEPLOYMENT || which == OBJECT_SERVICE;
}

static void found(struct expose *e, const json_t *body)
{
    char what[TITLE_ROOM], command[EXPOSE_COMMAND];
    title(e, e->at, what);
    if (!object_is_ours(body, e->wanted.server_name))
        expose_fail(e, BURROW_EDENIED,
                    "%s exists in namespace %s and was not made by burrow expose for this server: "
                    "nothing was changed; choose another --server-name (BURROW_SERVER_NAME)",
                    what, e->name_space);
    else if (!e->config->reuse)
        expose_fail(
            e, BURROW_EDENIED,
            "%s exists in namespace %s from an earlier run: nothing was changed; connect to "
            "it by --reuse, or remove it by `%s`",
            what, e->name_space, expose_delete_command(e, command));
    else if (e->at == OBJECT_SECRET && !read_secret(e, body))
        expose_fail(e, BURROW_EPROTO, "%s has no \"" SECRET_KEY "\" of %u hexadecimal digits", what,
                    HMAC_HEX - 1);
    else {
        json_decref(e->objects[e->at]);
        e->objects[e->at] = json_deep_copy(body);
        if (!e->objects[e->at]) {
            expose_fail(e, BURROW_ENOMEM, "out of memory");
            return;
        }
        e->at++;
        look_next(e);
    }
}

static void on_looked(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char what[TITLE_ROOM];
    title(e, e->at, what);
    if (result == BURROW_OK) {
        found(e, body);
    } else if (status != 404) {
        expose_fail(e, result, "%s cannot be looked at: %s", what, error);
    } else if (e->config->reuse && needed_for_reuse(e->at)) {
        expose_fail(e, BURROW_EIO,
                    "%s does not exist in namespace %s: there is nothing for --reuse "
                    "(BURROW_REUSE)",
                    what, e->name_space);
    } else {
        e->at++;
        look_next(e);
    }
}

static void look_next(struct expose *e)
{
    bool reuse = e->config->reuse;
    while (e->at < OBJECT_COUNT &&
           (reuse ? !needed_for_reuse(e->at) && e->at != OBJECT_INGRESS : !e->objects[e->at]))
        e->at++;
    if (e->at < OBJECT_COUNT) {
        ask_named(e, "GET", NULL, on_looked);
    } else if (reuse) {
        wait_begin(e);
    } else {
        e->at = 0;
        create_next(e);
    }
}

void apply_begin(struct expose *e)
{
    if (e->config->reuse) /* what is there counts, not what would be made */
        for (int i = 0; i < OBJECT_COUNT; i++) {
            json_decref(e->objects[i]);
            e->objects[i] = NULL;
        }
    e->at = 0;
    look_next(e);
}

/* ---- delete ---- */

static void delete_next(struct expose *e);

static void next_below(struct expose *e)
{
    e->standing[e->at].present = false;
    delete_next(e);
}

static void lost(struct expose *e, const char *error)
{
    char what[TITLE_ROOM];
    e->lost = true;
    burrow_log(e->host, BURROW_LOG_ERROR, "%s in namespace %s stays: %s", title(e, e->at, what),
               e->name_space, error);
    next_below(e);
}

static void on_deleted(void *arg, int result, int status, const json_t *body, const char *error)
{
    struct expose *e = answered(arg);
    char what[TITLE_ROOM];
    (void)body;
    if (result != BURROW_OK && status != 404) {
        lost(e, error);
        return;
    }
    e->deleted++;
    expose_say("%s deleted", title(e, e->at, what));
    next_below(e);
}

static void on_found_to_delete(void *arg, int result, int status, const json_t *body,
                               const char *error)
{
    struct expose *e = answered(arg);
    const char *made = e->standing[e->at].uid;
    const char *uid = json_string_value(json_object_get(json_object_get(body, "metadata"), "uid"));
    if (status == 404) {
        next_below(e);
    } else if (result != BURROW_OK || !uid) {
        lost(e, error ? error : "it has no uid");
    } else if (!object_is_ours(body, e->wanted.server_name)) {
        lost(e, "it was not made by burrow expose for this server");
    } else if (*made ? strcmp(made, uid) != 0 : !e->deleting && !object_is_of_run(body, e->run)) {
        lost(e, "another run has made it");
    } else {
        json_t *options =
            json_pack("{s:s, s:s, s:s, s:{s:s}}", "apiVersion", "v1", "kind", "DeleteOptions",
                      "propagationPolicy", "Background", "preconditions", "uid", uid);
        if (options) /* without them it would delete whatever has the name by then */
            ask_named(e, "DELETE", options, on_deleted);
        else
            lost(e, "out of memory");
        json_decref(options);
    }
}

/* From the last object that may stand to the first. */
static void delete_next(struct expose *e)
{
    int i = OBJECT_COUNT - 1;
    while (i >= 0 && !e->standing[i].present)
        i--;
    if (i < 0) {
        expose_finished(e);
        return;
    }
    e->at = (enum object)i;
    ask_named(e, "GET", NULL, on_found_to_delete);
}

void apply_undo(struct expose *e)
{
    delete_next(e);
}

void apply_delete_all(struct expose *e)
{
    for (int i = 0; i < OBJECT_COUNT; i++)
        e->standing[i].present = true;
    delete_next(e);
}

size_t apply_standing(const struct expose *e, char *buf, size_t size)
{
    char what[TITLE_ROOM];
    size_t used = 0, n = 0;
    buf[0] = '\0';
    for (int i = 0; i < OBJECT_COUNT; i++) {
        if (!e->standing[i].present)
            continue;
        int w =
            snprintf(buf + used, size - used, "%s%s", n ? " " : "", title(e, (enum object)i, what));
        used += w > 0 && (size_t)w < size - used ? (size_t)w : 0;
        n++;
    }
    return n;
}
