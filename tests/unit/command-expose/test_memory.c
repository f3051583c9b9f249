/* SPDX-License-Identifier: Apache-2.0 */
/* Objects and patches while memory runs out: whole, or not at all. */
#include "objects.h"
#include "patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned fail_at; /* the n-th from now; 0: none */

static void *allocate(size_t size)
{
    return fail_at > 0 && --fail_at == 0 ? NULL : malloc(size);
}

typedef json_t *make_fn(const void *arg);

/* With the first allocation failing, the second … until none does. */
static void try_all(make_fn *make, const void *arg)
{
    json_t *whole = make(arg);
    assert_non_null(whole);
    for (unsigned n = 1;; n++) {
        fail_at = n;
        json_t *made = make(arg);
        bool failed = fail_at == 0;
        fail_at = 0;
        if (made != NULL && !json_equal(made, whole))
            fail_msg("allocation %u: %s", n, json_dumps(made, 0));
        json_decref(made);
        if (!failed)
            break;
    }
    json_decref(whole);
}

static enum object which;

static json_t *build(const void *arg)
{
    return object_build(arg, which);
}

static void an_object_is_whole_or_none(void **state)
{
    (void)state;
    static const char *const annotations[] = {"a=b", "c=d"};
    const struct exposure x = {
        .server_name = "api",
        .name_space = "here",
        .image = "burrow:1",
        .secret = "00",
        .run = "11",
        .service_type = "None",
        .hostname = "t.example.com",
        .tls_secret = "tls",
        .ingress_class = "nginx",
        .ingress_annotations = {annotations, 2},
        .port = 8080,
        .token_in_register = true,
    };
    for (int i = 0; i < OBJECT_COUNT; i++) {
        which = (enum object)i;
        try_all(build, &x);
    }
}

static json_t *patched(const void *arg)
{
    char why[PATCH_WHY];
    json_t *const *both = (json_t *const *)arg;
    return patch_apply(both[0], both[1], false, why);
}

static void a_patched_object_is_whole_or_none(void **state)
{
    (void)state;
    json_t *both[2] = {
        json_loads("{\"containers\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}],"
                   " \"args\": [1, 2, 3], \"m\": {\"a\": 1}}",
                   0, NULL),
        json_loads("{\"containers\": [{\"name\": \"b\", \"image\": \"x\"}, {\"name\": \"d\"},"
                   " {\"name\": \"c\", \"$patch\": \"delete\"}], \"args\": [4],"
                   " \"m\": {\"$retainKeys\": [\"b\"], \"b\": {\"c\": null, \"d\": [1]}}}",
                   0, NULL),
    };
    try_all(patched, both);
    json_decref(both[0]);
    json_decref(both[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_whole_or_none),
        cmocka_unit_test(a_patched_object_is_whole_or_none),
    };
    json_set_alloc_funcs(allocate, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
