/* SPDX-License-Identifier: Apache-2.0 */
/* The objects of a client: ports that do not clash, and what becomes of them without memory. */
#include "objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static struct {
    unsigned calls, fail_at; /* jansson's n-th allocation fails; 0: none */
} memory;                    /* json_set_alloc_funcs passes no pointer of ours */

static void *failing_malloc(size_t n)
{
    return ++memory.calls == memory.fail_at ? NULL : malloc(n);
}

static struct wanted wanted_of(const char *id, const struct burrow_published_service *services,
                               uint32_t count)
{
    const struct burrow_publication publication = {
        .size = sizeof publication,
        .service_count = count,
        .client_id = id,
        .services = services,
    };
    struct wanted wanted;
    wanted_from(&wanted, &publication);
    return wanted;
}

static void ports_of_a_client_have_names_and_numbers_of_their_own(void **state)
{
    (void)state;
    static const struct burrow_published_service services[] = {
        {.bridge_port = 4001, .name = "", .target = "a:80"},
        {.bridge_port = 4002, .name = "tcp", .target = "b:80"},
        {.bridge_port = 4003, .name = "tcp-4005", .target = "c:4004"},
        {.bridge_port = 4004, .name = "x", .target = "d:4003"},
        {.bridge_port = 4005, .name = "not--one", .target = "e:80"},
        {.bridge_port = 65535, .name = "y", .target = "f:65535"},
        {.bridge_port = 65535, .name = "z", .target = "g:80"},
    };
    static const struct port expected[] = {
        {"tcp", 80, 4001}, {"tcp-4002", 4002, 4002}, {"tcp-4005", 4004, 4003},
        {"x", 4003, 4004}, {"tcp-4006", 4005, 4005}, {"y", 65535, 65535},
        {"z", 1, 65535},
    };
    struct wanted w = wanted_of("a", services, sizeof services / sizeof *services);
    assert_int_equal(w.port_count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < w.port_count; i++) {
        assert_string_equal(w.ports[i].name, expected[i].name);
        assert_int_equal(w.ports[i].port, expected[i].port);
        assert_int_equal(w.ports[i].bridge_port, expected[i].bridge_port);
    }
}

struct makings {
    struct wanted wanted;
    struct holder holder;
    json_t *owner, *service, *selector, *there;
};

static json_t *a_new_service(const struct makings *m)
{
    return service_object(&m->wanted, NULL, m->selector, &m->holder);
}

static json_t *a_service_that_is_there(const struct makings *m)
{
    return service_object(&m->wanted, m->service, NULL, &m->holder);
}

static json_t *a_slice(const struct makings *m)
{
    return slice_object(&m->wanted, NULL, m->service, &m->holder);
}

static json_t *a_slice_that_is_there(const struct makings *m)
{
    return slice_object(&m->wanted, m->there, m->service, &m->holder);
}

static json_t *a_policy(const struct makings *m)
{
    return policy_object(&m->wanted, NULL, m->service, m->selector, m->selector);
}

static json_t *admitted(const struct makings *m)
{
    return admitted_pods("a=b,{client}=true", m->wanted.client_id);
}

static json_t *an_event(const struct makings *m)
{
    return event_object(m->owner, "here", "Reason", "text", "2026-01-01T00:00:00Z");
}

static void without_memory_an_object_is_whole_or_none(void **state)
{
    (void)state;
    static json_t *(*const makers[])(const struct makings *) = {
        a_new_service, a_service_that_is_there, a_slice, a_slice_that_is_there, a_policy, admitted,
        an_event};
    static const struct burrow_published_service services[] = {
        {.bridge_port = 4001, .name = "", .target = "a:80"},
        {.bridge_port = 4002, .name = "b", .target = "b:81"},
    };
    struct makings m = {
        .wanted = wanted_of("no label: @", services, 2),
        .holder = {.pod = "server-0", .address = "10.0.0.7"},
        .owner = json_pack("{s:s, s:s}", "kind", "Deployment", "uid", "d"),
        .selector = selector_from("app=x,tier=y"),
        .service =
            json_loads("{\"metadata\": {\"uid\": \"u\", \"labels\": {\"team\": \"a\"}}, \"spec\": "
                       "{\"selector\": {\"a\": \"b\"}, \"ports\": [{\"name\": \"b\", "
                       "\"nodePort\": 30001}]}}",
                       0, NULL),
        .there = json_loads("{\"metadata\": {\"annotations\": {\"a\": \"b\"}}}", 0, NULL),
    };
    m.holder.owner = m.owner;
    json_set_alloc_funcs(failing_malloc, free);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        json_t *right = makers[i](&m);
        assert_non_null(right);
        memory.fail_at = 1;
        for (bool failed = true; failed; memory.fail_at++) {
            memory.calls = 0;
            json_t *made = makers[i](&m);
            failed = memory.calls >= memory.fail_at;
            assert_true(made == NULL || json_equal(made, right));
            assert_true(failed || made != NULL);
            json_decref(made);
        }
        assert_true(memory.fail_at > 5);
        memory.fail_at = 0;
        json_decref(right);
    }
    json_set_alloc_funcs(malloc, free);
    json_decref(m.owner);
    json_decref(m.selector);
    json_decref(m.service);
    json_decref(m.there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_of_a_client_have_names_and_numbers_of_their_own),
        cmocka_unit_test(without_memory_an_object_is_whole_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
