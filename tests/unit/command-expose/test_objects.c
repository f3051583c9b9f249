/* SPDX-License-Identifier: Apache-2.0 */
/* Names and objects that expose makes. */
#include "objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static const struct exposure plain = {
    .server_name = "api",
    .name_space = "web",
    .image = "burrow:9",
    .secret = "5ec2e7",
    .service_type = "ClusterIP",
    .port = 8080,
};

/* The text at a path of names and indices, for expectations. */
static const char *text_at(const json_t *json, const char *path)
{
    char copy[200], *rest = copy, *part;
    assert_true(strlen(path) < sizeof copy);
    strcpy(copy, path);
    while ((part = strsep(&rest, "/")) != NULL)
        json = json_is_array(json) ? json_array_get(json, (size_t)(*part - '0'))
                                   : json_object_get(json, part);
    return json_string_value(json);
}

static void names_begin_with_burrow_and_the_secrets_ends_with_auth(void **state)
{
    (void)state;
    char buf[OBJECT_NAME_ROOM];
    assert_string_equal(object_name("api", OBJECT_SECRET, buf), "burrow-api-auth");
    assert_string_equal(object_name("api", OBJECT_SERVICE, buf), "burrow-api");
    assert_string_equal(object_name("api", OBJECT_INGRESS, buf), "burrow-api");
}

static void only_names_that_kubernetes_takes_are_sound(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",    "-a",  "a-",       "A",
        "a.b", "a_b", "\xc3\xbc", "012345678901234567890123456789012345678901234567890"};
    assert_true(server_name_is_sound("api-2"));
    assert_true(server_name_is_sound("01234567890123456789012345678901234567890123456789"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(server_name_is_sound(bad[i]));
}

static void annotations_are_a_key_and_a_value(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "=v",        "key",  "a b=c",
                                      "/x=1", "X.y/z/a=1", "-a=1", "a/=1"};
    assert_true(annotation_is_sound("cert-manager.io/cluster-issuer=letsencrypt"));
    assert_true(annotation_is_sound("key="));
    assert_true(annotation_is_sound("a=b=c"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(annotation_is_sound(bad[i]));
}

static void every_object_carries_the_labels_that_make_it_ours(void **state)
{
    (void)state;
    struct exposure x = plain;
    x.hostname = "t.example.com";
    for (int i = 0; i < OBJECT_COUNT; i++) {
        json_t *object = object_build(&x, (enum object)i);
        assert_non_null(object);
        assert_true(object_is_ours(object, "api"));
        assert_false(object_is_ours(object, "other"));
        assert_string_equal(text_at(object, "metadata/namespace"), "web");
        assert_string_equal(text_at(object, "kind"), object_kind((enum object)i)->kind);
        json_decref(object);
    }
    json_t *foreign =
        json_pack("{s:{s:{s:s}}}", "metadata", "labels", "burrow.dev/server-name", "api");
    assert_false(object_is_ours(foreign, "api"));
    json_decref(foreign);
}

static const json_t *variable(const json_t *deployment, const char *name)
{
    const json_t *pod =
        json_object_get(json_object_get(json_object_get(deployment, "spec"), "template"), "spec");
    const json_t *container = json_array_get(json_object_get(pod, "containers"), 0);
    const json_t *env = json_object_get(container, "env");
    for (size_t i = 0; i < json_array_size(env); i++)
        if (strcmp(text_at(json_array_get(env, i), "name"), name) == 0)
            return json_array_get(env, i);
    return NULL;
}

static void the_server_is_told_its_key_its_address_and_its_selector(void **state)
{
    (void)state;
    json_t *d = object_build(&plain, OBJECT_DEPLOYMENT);
    assert_string_equal(text_at(variable(d, "BURROW_JWT_ALG"), "value"), "HS256");
    assert_string_equal(
        text_at(variable(d, "BURROW_JWT_HMAC_SECRET"), "valueFrom/secretKeyRef/name"),
        "burrow-api-auth");
    assert_string_equal(text_at(variable(d, "BURROW_JWT_AUDIENCE"), "value"), "burrow-server");
    assert_string_equal(text_at(variable(d, "BURROW_JWT_ISSUER"), "value"), "burrow-expose");
    assert_string_equal(text_at(variable(d, "BURROW_SERVER_ADDR"), "value"), ":8080");
    assert_string_equal(text_at(variable(d, "BURROW_BRIDGE_HOST"), "value"), "0.0.0.0");
    assert_string_equal(text_at(variable(d, "BURROW_NAMESPACE"), "valueFrom/fieldRef/fieldPath"),
                        "metadata.namespace");
    assert_string_equal(text_at(variable(d, "BURROW_BRIDGE_POD_SELECTOR"), "value"),
                        "burrow.dev/server-name=api");
    json_decref(d);
}

static void tokens_come_in_register_only_where_it_is_asked_for(void **state)
{
    (void)state;
    struct exposure x = plain;
    json_t *without = object_build(&x, OBJECT_DEPLOYMENT);
    x.token_in_register = true;
    json_t *with = object_build(&x, OBJECT_DEPLOYMENT);
    assert_null(variable(without, "BURROW_TOKEN_IN_REGISTER"));
    assert_string_equal(text_at(variable(with, "BURROW_TOKEN_IN_REGISTER"), "value"), "true");
    json_decref(without);
    json_decref(with);
}

static void a_service_of_type_none_is_headless(void **state)
{
    (void)state;
    struct exposure x = plain;
    x.service_type = "None";
    json_t *s = object_build(&x, OBJECT_SERVICE);
    assert_string_equal(text_at(s, "spec/type"), "ClusterIP");
    assert_string_equal(text_at(s, "spec/clusterIP"), "None");
    json_decref(s);
    x.service_type = "NodePort";
    s = object_build(&x, OBJECT_SERVICE);
    assert_string_equal(text_at(s, "spec/type"), "NodePort");
    assert_null(json_object_get(json_object_get(s, "spec"), "clusterIP"));
    json_decref(s);
}

static void an_ingress_has_class_secret_and_annotations_where_given(void **state)
{
    (void)state;
    static const char *const items[] = {"a.example/b=c=d"};
    struct exposure x = plain;
    x.hostname = "t.example.com";
    json_t *i = object_build(&x, OBJECT_INGRESS);
    assert_null(json_object_get(json_object_get(i, "spec"), "ingressClassName"));
    assert_null(text_at(i, "spec/tls/0/secretName"));
    json_decref(i);
    x.ingress_class = "nginx";
    x.tls_secret = "certificate";
    x.ingress_annotations = (struct burrow_list){items, 1};
    i = object_build(&x, OBJECT_INGRESS);
    assert_string_equal(text_at(i, "spec/ingressClassName"), "nginx");
    assert_string_equal(text_at(i, "spec/tls/0/secretName"), "certificate");
    assert_string_equal(text_at(i, "spec/tls/0/hosts/0"), "t.example.com");
    assert_string_equal(text_at(i, "spec/rules/0/host"), "t.example.com");
    assert_string_equal(text_at(i, "spec/rules/0/http/paths/0/path"), "/ws");
    const json_t *annotations = json_object_get(json_object_get(i, "metadata"), "annotations");
    assert_string_equal(json_string_value(json_object_get(annotations, "a.example/b")), "c=d");
    assert_string_equal(json_string_value(json_object_get(
                            annotations, "nginx.ingress.kubernetes.io/proxy-read-timeout")),
                        "3600");
    json_decref(i);
}

static void what_is_no_utf8_makes_no_object(void **state)
{
    (void)state;
    struct exposure x = plain;
    x.image = "\xff";
    assert_null(object_build(&x, OBJECT_DEPLOYMENT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_begin_with_burrow_and_the_secrets_ends_with_auth),
        cmocka_unit_test(only_names_that_kubernetes_takes_are_sound),
        cmocka_unit_test(annotations_are_a_key_and_a_value),
        cmocka_unit_test(every_object_carries_the_labels_that_make_it_ours),
        cmocka_unit_test(the_server_is_told_its_key_its_address_and_its_selector),
        cmocka_unit_test(tokens_come_in_register_only_where_it_is_asked_for),
        cmocka_unit_test(a_service_of_type_none_is_headless),
        cmocka_unit_test(an_ingress_has_class_secret_and_annotations_where_given),
        cmocka_unit_test(what_is_no_utf8_makes_no_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
