/* SPDX-License-Identifier: Apache-2.0 */
/* What statuses of Kubernetes are told as. */
#include "reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

/* Quotes are ' here. */
static json_t *read_json(const char *text)
{
    char copy[800];
    assert_true(strlen(text) < sizeof copy);
    strcpy(copy, text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json_t *json = json_loads(copy, 0, NULL);
    assert_non_null(json);
    return json;
}

static void a_deployment_is_available_when_its_newest_generation_is(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool available;
    } rows[] = {
        {"{'metadata':{'generation':2},'status':{'observedGeneration':2,"
         "'conditions':[{'type':'Available','status':'True'}]}}",
         true},
        {"{'metadata':{'generation':2},'status':{'observedGeneration':1,"
         "'conditions':[{'type':'Available','status':'True'}]}}",
         false},
        {"{'metadata':{'generation':1},'status':{'observedGeneration':1,"
         "'conditions':[{'type':'Available','status':'False'}]}}",
         false},
        {"{'metadata':{'generation':1}}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = read_json(rows[i].text);
        assert_int_equal(deployment_is_available(json), rows[i].available);
        json_decref(json);
    }
}

/* Of the first pod's status; NULL: nothing to tell. */
static const struct {
    const char *status, *reason;
} pods[] = {
    {"'conditions':[{'type':'PodScheduled','status':'False','reason':'Unschedulable',"
     "'message':'no node'}]",
     "Unschedulable: no node"},
    {"'containerStatuses':[{'state':{'waiting':{'reason':'ErrImagePull','message':'not found'}}}]",
     "ErrImagePull: not found"},
    {"'containerStatuses':[{'state':{'waiting':{'reason':'CrashLoopBackOff','message':'x'}},"
     "'lastState':{'terminated':{'exitCode':2,'message':'no\\nkey\\n'}}}]",
     "CrashLoopBackOff: the server ended with code 2: no key"},
    {"'containerStatuses':[{'state':{'terminated':{'exitCode':137,'reason':'OOMKilled'}}}]",
     "the server ended with code 137: OOMKilled"},
    {"'containerStatuses':[{'state':{'waiting':{'reason':'ContainerCreating'}}}]", NULL},
    {"'containerStatuses':[{'state':{'running':{}}}]", NULL},
    {"'phase':'Pending'", NULL},
};

static void a_pod_that_does_not_start_is_told_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pods / sizeof *pods; i++) {
        char text[600] = "{'items':[{'status':{", reason[200] = "";
        strcat(strcat(text, pods[i].status), "}}]}");
        json_t *list = read_json(text);
        assert_int_equal(pods_reason(list, reason, sizeof reason), pods[i].reason != NULL);
        if (pods[i].reason)
            assert_string_equal(reason, pods[i].reason);
        json_decref(list);
    }
}

static void a_deployment_whose_pods_are_refused_says_why(void **state)
{
    (void)state;
    char reason[200];
    json_t *json = read_json("{'status':{'conditions':[{'type':'ReplicaFailure','status':'True',"
                             "'reason':'FailedCreate','message':'quota'}]}}");
    assert_true(deployment_reason(json, reason, sizeof reason));
    assert_string_equal(reason, "FailedCreate: quota");
    json_decref(json);
}

static void addresses_are_those_that_fit_into_a_url(void **state)
{
    (void)state;
    static const struct {
        const char *first, *address;
    } rows[] = {
        {"{'ip':'192.0.2.1'}", "192.0.2.1"},
        {"{'ip':'2001:db8::1'}", "[2001:db8::1]"},
        {"{'hostname':'lb.example'}", "lb.example"},
        {"{'hostname':'evil/x@y'}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200] = "{'status':{'loadBalancer':{'ingress':[", host[300] = "";
        strcat(strcat(text, rows[i].first), "]}}}");
        json_t *json = read_json(text);
        assert_int_equal(load_balancer_address(json, host, sizeof host), rows[i].address != NULL);
        if (rows[i].address)
            assert_string_equal(host, rows[i].address);
        json_decref(json);
    }
}

static void a_ready_nodes_external_address_comes_first(void **state)
{
    (void)state;
    char host[300];
    json_t *list =
        read_json("{'items':[{'status':{'conditions':[{'type':'Ready','status':'False'}],"
                  "'addresses':[{'type':'ExternalIP','address':'192.0.2.9'}]}},"
                  "{'status':{'conditions':[{'type':'Ready','status':'True'}],"
                  "'addresses':[{'type':'InternalIP','address':'10.0.0.1'},"
                  "{'type':'ExternalIP','address':'192.0.2.1'}]}}]}");
    assert_true(node_address(list, host, sizeof host));
    assert_string_equal(host, "192.0.2.1");
    json_decref(list);
    list = read_json("{'items':[]}");
    assert_false(node_address(list, host, sizeof host));
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deployment_is_available_when_its_newest_generation_is),
        cmocka_unit_test(a_pod_that_does_not_start_is_told_with_its_reason),
        cmocka_unit_test(a_deployment_whose_pods_are_refused_says_why),
        cmocka_unit_test(addresses_are_those_that_fit_into_a_url),
        cmocka_unit_test(a_ready_nodes_external_address_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
