/* SPDX-License-Identifier: Apache-2.0 */
/* The core's operations, step by step, with each of jansson's allocations failing in its turn: what
 * is written carries our label, and what is deleted is the very object that was looked at. The
 * calls of the API, and the plugin's other files, are played here. */
#include "operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_MAX 1000u

static struct {
    unsigned calls, fail_at;  /* jansson's n-th allocation fails; 0: none */
    struct kube_ask ask;      /* under way; done NULL: none */
    unsigned writes, deletes; /* that were asked for */
    unsigned finished;
    int result;
} played; /* neither jansson nor the API's caller passes a pointer of ours */

static void *failing_malloc(size_t n)
{
    return ++played.calls == played.fail_at ? NULL : malloc(n);
}

/* ---- the plugin's other files ---- */

int kube_call(struct kube_client *client, const struct kube_ask *ask, struct kube_call **ret)
{
    (void)client;
    const json_t *options = json_object_get(ask->body, "preconditions");
    const char *uid = json_string_value(json_object_get(options, "uid"));
    const char *version = json_string_value(json_object_get(options, "resourceVersion"));
    assert_null(played.ask.done);
    if (strcmp(ask->method, "DELETE") == 0) {
        assert_true(uid != NULL && strcmp(uid, "u") == 0);
        assert_true(version != NULL && strcmp(version, "7") == 0);
        played.deletes++;
    } else if (strcmp(ask->method, "GET") != 0) {
        assert_true(is_ours(ask->body));
        played.writes++;
    }
    played.ask = *ask;
    *ret = NULL;
    return BURROW_OK;
}

void kube_cancel(struct kube_call *call)
{
    assert_null(call);
}

const char *kube_path(char buf[KUBE_MAX_PATH], const char *prefix, const char *name_space,
                      const char *kind, const char *name)
{
    (void)prefix, (void)name_space;
    snprintf(buf, KUBE_MAX_PATH, "%s/%s", kind, name != NULL ? name : "");
    return buf;
}

void changes_expect(struct registry *r, const struct wanted *wanted)
{
    (void)r, (void)wanted;
}

void changes_forget(struct registry *r, const char *name)
{
    (void)r, (void)name;
}

void changes_end_slices(struct registry *r)
{
    (void)r;
}

void identify(struct registry *r)
{
    (void)r;
}

void tell_event(struct registry *r, const char *name, const char *reason, const char *message)
{
    (void)r, (void)name, (void)reason, (void)message;
}

void events_forget(struct registry *r, const char *name)
{
    (void)r, (void)name;
}

/* ---- the core ---- */

static void add(struct burrow_self *self, uint32_t index, int64_t delta)
{
    (void)self, (void)index, (void)delta;
}

static void on_finished(struct burrow_registry_op *op, int32_t result, const char *reason)
{
    (void)op, (void)reason;
    played.finished++;
    played.result = result;
}

static const struct burrow_host host = {.size = sizeof host, .metric_add = add};
static const struct burrow_registry_host core = {.size = sizeof core, .done = on_finished};
static const struct settings settings = {.policy = "access=yes"};

/* One operation to its end, in which the API has `there` (NULL: nothing), and takes what it is
 * given. */
static void run(struct registry *r, enum verb verb, const json_t *there)
{
    static const struct burrow_published_service service = {
        .bridge_port = 4001, .name = "", .target = "a:80"};
    const struct burrow_publication publication = {
        .size = sizeof publication, .service_count = 1, .client_id = "a", .services = &service};
    played.calls = played.writes = played.deletes = played.finished = 0;
    operation_begin(r, verb, NULL, verb == PUBLISH ? &publication : NULL, "a");
    while (played.finished == 0) {
        struct kube_ask ask = played.ask;
        assert_non_null(ask.done);
        played.ask.done = NULL;
        bool is_there = there != NULL || strcmp(ask.method, "GET") != 0;
        ask.done(ask.arg, is_there ? BURROW_OK : BURROW_EIO, is_there ? 200 : 404, there, "no");
    }
    assert_int_equal(played.finished, 1);
    assert_null(played.ask.done);
    assert_true(LIST_EMPTY(&r->operations));
}

/* The operation with each allocation failing in its turn, and at last with none. */
static void try_all(enum verb verb, const char *text, unsigned writes, unsigned deletes)
{
    json_t *there = text != NULL ? json_loads(text, 0, NULL) : NULL;
    struct registry r = {
        .host = &host,
        .core = &core,
        .settings = &settings,
        .selector = selector_from("app=x"),
        .identified = true,
        .slices = true,
        .holder = {.pod = "server-0", .address = "10.0.0.7"},
    };
    assert_true(text == NULL || there != NULL);
    json_set_alloc_funcs(failing_malloc, free);
    played.fail_at = 0;
    do {
        played.fail_at++;
        run(&r, verb, there);
        assert_true(played.result == BURROW_OK || played.calls >= played.fail_at);
        assert_true(played.fail_at < RUNS_MAX);
    } while (played.calls >= played.fail_at);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(played.writes, writes);
    assert_int_equal(played.deletes, deletes);
    json_decref(r.selector);
    json_decref(there);
}

#define OURS_OF(more)                                                                              \
    "{\"metadata\": {\"uid\": \"u\", \"resourceVersion\": \"7\", \"labels\": "                     \
    "{\"app.kubernetes.io/managed-by\": \"burrow\", \"burrow.dev/client-id\": \"a\"}" more "}}"

static void without_memory_nothing_is_made_without_our_label(void **state)
{
    (void)state;
    try_all(PUBLISH, NULL, 3, 0);
}

static void without_memory_nothing_is_replaced_without_our_label(void **state)
{
    (void)state;
    try_all(PUBLISH, OURS_OF(""), 3, 0);
}

static void without_memory_only_the_very_service_is_deleted(void **state)
{
    (void)state;
    try_all(WITHDRAW, OURS_OF(""), 0, 1);
}

static void a_service_whose_pod_has_ended_is_deleted_without_memory_too(void **state)
{
    (void)state;
    /* The pod is answered with the same object. */
    try_all(
        WITHDRAW,
        "{\"status\": {\"phase\": \"Failed\"}, \"metadata\": {\"uid\": \"u\", \"resourceVersion\": "
        "\"7\", \"annotations\": {\"burrow.dev/holder\": \"server-1\"}, \"labels\": "
        "{\"app.kubernetes.io/managed-by\": \"burrow\", \"burrow.dev/client-id\": \"a\"}}}",
        0, 1);
    try_all(WITHDRAW, OURS_OF(", \"annotations\": {\"burrow.dev/holder\": \"server-1\"}"), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_is_made_without_our_label),
        cmocka_unit_test(without_memory_nothing_is_replaced_without_our_label),
        cmocka_unit_test(without_memory_only_the_very_service_is_deleted),
        cmocka_unit_test(a_service_whose_pod_has_ended_is_deleted_without_memory_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
