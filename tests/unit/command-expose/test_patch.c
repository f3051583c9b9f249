/* SPDX-License-Identifier: Apache-2.0 */
/* Strategic merge patches: a table of what Kubernetes makes of them. */
#include "patch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct row {
    const char *what, *object, *patch, *result;
};

/* Quotes are ' here. */
static const struct row rows[] = {
    {"a value is set", "{'a':1}", "{'b':2}", "{'a':1,'b':2}"},
    {"a value is changed", "{'a':1}", "{'a':2}", "{'a':2}"},
    {"null deletes", "{'a':1,'b':2}", "{'a':null}", "{'b':2}"},
    {"null of nothing is nothing", "{'a':1}", "{'z':null}", "{'a':1}"},
    {"objects are merged", "{'m':{'a':1,'b':2}}", "{'m':{'b':3,'c':4}}",
     "{'m':{'a':1,'b':3,'c':4}}"},
    {"nulls of new objects go", "{}", "{'m':{'a':null,'b':1}}", "{'m':{'b':1}}"},
    {"other lists are replaced", "{'args':['a','b']}", "{'args':['c']}", "{'args':['c']}"},
    {"tolerations are replaced", "{'tolerations':[{'key':'a'}]}", "{'tolerations':[{'key':'b'}]}",
     "{'tolerations':[{'key':'b'}]}"},
    {"containers are merged by name",
     "{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'}]}",
     "{'containers':[{'name':'b','image':'3'}]}",
     "{'containers':[{'name':'a','image':'1'},{'name':'b','image':'3'}]}"},
    {"a new container comes first", "{'containers':[{'name':'a'}]}",
     "{'containers':[{'name':'x'}]}", "{'containers':[{'name':'x'},{'name':'a'}]}"},
    {"an environment is merged by name",
     "{'containers':[{'name':'s','env':[{'name':'A','value':'1'},{'name':'B','value':'2'}]}]}",
     "{'containers':[{'name':'s','env':[{'name':'A','value':'9'}]}]}",
     "{'containers':[{'name':'s','env':[{'name':'A','value':'9'},{'name':'B','value':'2'}]}]}"},
    {"ports of containers are merged by containerPort",
     "{'ports':[{'containerPort':80,'name':'http'}]}",
     "{'ports':[{'containerPort':80,'hostPort':1}]}",
     "{'ports':[{'containerPort':80,'name':'http','hostPort':1}]}"},
    {"mounts are merged by mountPath", "{'volumeMounts':[{'mountPath':'/a','name':'x'}]}",
     "{'volumeMounts':[{'mountPath':'/a','readOnly':true}]}",
     "{'volumeMounts':[{'mountPath':'/a','name':'x','readOnly':true}]}"},
    {"$patch delete takes an element out", "{'volumes':[{'name':'a'},{'name':'b'}]}",
     "{'volumes':[{'name':'a','$patch':'delete'}]}", "{'volumes':[{'name':'b'}]}"},
    {"$patch replace replaces a list", "{'volumes':[{'name':'a'},{'name':'b'}]}",
     "{'volumes':[{'name':'c'},{'$patch':'replace'}]}", "{'volumes':[{'name':'c'}]}"},
    {"$patch replace alone empties a list", "{'volumes':[{'name':'a'}]}",
     "{'volumes':[{'$patch':'replace'}]}", "{'volumes':[]}"},
    {"$patch replace replaces an object", "{'m':{'a':1,'b':2}}", "{'m':{'c':3,'$patch':'replace'}}",
     "{'m':{'c':3}}"},
    {"$patch delete empties an object", "{'m':{'a':1}}", "{'m':{'$patch':'delete'}}", "{'m':{}}"},
    {"$patch merge is what happens anyway", "{'m':{'a':1}}", "{'m':{'b':2,'$patch':'merge'}}",
     "{'m':{'a':1,'b':2}}"},
    {"$retainKeys drops what it does not name",
     "{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}",
     "{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}", "{'strategy':{'type':'Recreate'}}"},
    {"$deleteFromPrimitiveList takes values out", "{'finalizers':['a','b','c']}",
     "{'$deleteFromPrimitiveList/finalizers':['a','c']}", "{'finalizers':['b']}"},
    {"another type replaces", "{'a':{'b':1}}", "{'a':[1]}", "{'a':[1]}"},
};

static json_t *read_json(const char *text)
{
    char copy[600];
    snprintf(copy, sizeof copy, "%s", text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *json = json_loads(copy, 0, NULL);
    assert_non_null(json);
    return json;
}

static void patches_do_what_kubernetes_does(void **state)
{
    (void)state;
    char why[PATCH_WHY];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *object = read_json(rows[i].object), *patch = read_json(rows[i].patch);
        json_t *expected = read_json(rows[i].result), *before = json_deep_copy(object);
        json_t *made = patch_apply(object, patch, false, why);
        if (!json_equal(made, expected)) {
            char *text = json_dumps(made, 0);
            fail_msg("%s: %s", rows[i].what, text ? text : why);
        }
        assert_true(json_equal(object, before));
        json_decref(object);
        json_decref(patch);
        json_decref(expected);
        json_decref(before);
        json_decref(made);
    }
}

static void ports_of_a_service_are_merged_by_port(void **state)
{
    (void)state;
    char why[PATCH_WHY];
    json_t *object = read_json("{'spec':{'ports':[{'port':80,'name':'http'}]}}");
    json_t *patch = read_json("{'spec':{'ports':[{'port':80,'nodePort':30080}]}}");
    json_t *expected = read_json("{'spec':{'ports':[{'port':80,'name':'http','nodePort':30080}]}}");
    json_t *made = patch_apply(object, patch, true, why);
    assert_true(json_equal(made, expected));
    json_decref(object);
    json_decref(patch);
    json_decref(expected);
    json_decref(made);
}

static void what_is_wrong_with_a_patch_is_said(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{'containers':[{'image':'x'}]}", "\"name\""},
        {"{'m':{'$patch':'remove'}}", "remove"},
        {"{'m':{'$patch':7}}", "no text"},
        {"{'$setElementOrder/containers':[]}", "$setElementOrder/containers"},
    };
    char why[PATCH_WHY];
    json_t *object = read_json("{'containers':[{'name':'a'}]}");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *patch = read_json(bad[i][0]);
        assert_null(patch_apply(object, patch, false, why));
        assert_non_null(strstr(why, bad[i][1]));
        json_decref(patch);
    }
    json_decref(object);
}

static void a_patch_that_is_too_deep_is_refused(void **state)
{
    (void)state;
    char why[PATCH_WHY];
    json_t *object = json_object(), *patch = json_object();
    for (int i = 0; i < 40; i++)
        patch = json_pack("{s:o}", "m", patch);
    assert_null(patch_apply(object, patch, false, why));
    assert_non_null(strstr(why, "deeper"));
    json_decref(object);
    json_decref(patch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patches_do_what_kubernetes_does),
        cmocka_unit_test(ports_of_a_service_are_merged_by_port),
        cmocka_unit_test(what_is_wrong_with_a_patch_is_said),
        cmocka_unit_test(a_patch_that_is_too_deep_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
