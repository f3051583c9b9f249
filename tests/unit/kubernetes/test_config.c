/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod finds of its cluster. (kubeconfig files: tests/e2e and tests/kube.) */
#include "kubernetes/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/burrow-kube-XXXXXX";
static const char *const files[] = {"token", "ca.crt", "namespace"};

static const char *path_of(const char *name)
{
    static char path[sizeof folder + 16];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    (void)state;
    write_file("token", "first\n");
    write_file("ca.crt", "a certificate");
    write_file("namespace", "here\n");
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
    return 0;
}

static void a_pod_finds_its_cluster(void **state)
{
    (void)state;
    struct kube_config config;
    char why[KUBE_WHY];
    assert_true(kube_config_is_in_cluster(folder));
    assert_int_equal(kube_config_in_cluster(folder, &config, why), BURROW_OK);
    assert_string_equal(config.server, "https://10.96.0.1:6443");
    assert_string_equal(config.name_space, "here");
    assert_memory_equal(config.ca.data, "a certificate", config.ca.len);
    assert_false(config.skip_verify);
    kube_config_finish(&config);
}

static void an_ipv6_address_stands_in_brackets_and_443_is_the_port_without_one(void **state)
{
    (void)state;
    struct kube_config config;
    char why[KUBE_WHY];
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "", 1);
    assert_int_equal(kube_config_in_cluster(folder, &config, why), BURROW_OK);
    assert_string_equal(config.server, "https://[fd00::1]:443");
    kube_config_finish(&config);
}

static void the_token_is_read_again_for_each_request(void **state)
{
    (void)state;
    struct kube_config config;
    char why[FILE_WHY > KUBE_WHY ? FILE_WHY : KUBE_WHY], bearer[64];
    bool has;
    assert_int_equal(kube_config_in_cluster(folder, &config, why), BURROW_OK);
    assert_int_equal(kube_authorization(&config, bearer, sizeof bearer, &has, why), BURROW_OK);
    assert_true(has);
    assert_string_equal(bearer, "Bearer first");
    write_file("token", "second");
    assert_int_equal(kube_authorization(&config, bearer, sizeof bearer, &has, why), BURROW_OK);
    assert_string_equal(bearer, "Bearer second");
    unlink(path_of("token"));
    assert_true(kube_authorization(&config, bearer, sizeof bearer, &has, why) < 0);
    kube_config_finish(&config);
}

static void a_token_file_goes_before_a_token(void **state)
{
    (void)state;
    char token[] = "of old", file[64], why[FILE_WHY], bearer[64];
    bool has;
    snprintf(file, sizeof file, "%s", path_of("token"));
    struct kube_config config = {.token = token, .token_file = file};
    assert_int_equal(kube_authorization(&config, bearer, sizeof bearer, &has, why), BURROW_OK);
    assert_string_equal(bearer, "Bearer first");
    unlink(file); /* as client-go: the last that is known */
    assert_int_equal(kube_authorization(&config, bearer, sizeof bearer, &has, why), BURROW_OK);
    assert_string_equal(bearer, "Bearer of old");
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct kube_config config;
    for (size_t i = 1; i < sizeof files / sizeof *files; i++) {
        char why[KUBE_WHY] = "";
        setup(state);
        unlink(path_of(files[i]));
        assert_int_equal(kube_config_in_cluster(folder, &config, why), BURROW_EINVAL);
        assert_non_null(strstr(why, files[i]));
    }
    char why[KUBE_WHY] = "";
    unlink(path_of("token"));
    assert_false(kube_config_is_in_cluster(folder));
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_int_equal(kube_config_in_cluster(folder, &config, why), BURROW_EINVAL);
    assert_non_null(strstr(why, "KUBERNETES_SERVICE_HOST"));
}

static int remove_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlink(path_of(files[i]));
    return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pod_finds_its_cluster),
        TEST(an_ipv6_address_stands_in_brackets_and_443_is_the_port_without_one),
        TEST(the_token_is_read_again_for_each_request),
        TEST(a_token_file_goes_before_a_token),
        TEST(what_is_missing_is_named),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, remove_all);
}
