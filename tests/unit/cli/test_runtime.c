/* SPDX-License-Identifier: Apache-2.0 */
/* What server and client stand on, tried with a command of the test's own. */
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct options {
    const char *addr;
    struct burrow_secret key;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct options, addr, "addr", ":1", "HOST:PORT", 0, NULL, "an address"),
    BURROW_OPTION_SECRET(struct options, key, "addr-key", "KEY", 0, "a secret"),
    BURROW_OPTION_END,
};

static int check(const struct runtime *rt, struct error *err)
{
    const struct options *o = rt->options;
    assert_null(rt->workers);
    if (strcmp(o->addr, "wrong") == 0)
        return error_set(err, BURROW_EINVAL, "--addr (BURROW_ADDR): is wrong; expected another");
    return 0;
}

/* Prints what it sees, so that a test can look at it. */
static int run(struct runtime *rt)
{
    const struct options *o = rt->options;
    struct error err = {0};
    size_t at = 0;
    printf("run with %s and key %.*s\n", o->addr, (int)o->key.len, (const char *)o->key.data);
    for (struct instance *i; (i = runtime_next(rt, BURROW_KIND_AUTH, &at)) != NULL;)
        printf("instance %s\n", instance_name(i));
    const int64_t *number = runtime_option(rt, "auth-good", "number", BURROW_OPT_INT);
    if (number)
        printf("number %lld\n", (long long)*number);
    if (runtime_start(rt, &err) != 0)
        return cli_fail(&err);
    if (strcmp(o->addr, "impatient") == 0)
        runtime_stop(rt, 1);
    return strcmp(o->addr, "3") == 0 ? 3 : 0;
}

static const struct cli_command command = {
    .name = "server",
    .summary = "tests",
    .options = options,
    .options_size = sizeof(struct options),
    .kinds = 1u << BURROW_KIND_AUTH,
    .check = check,
    .run = run,
};
static const struct cli_command other_kind = {
    .name = "server",
    .summary = "tests",
    .options = options,
    .options_size = sizeof(struct options),
    .kinds = 1u << BURROW_KIND_REGISTRY,
    .run = run,
};

static void instances_are_made_in_order_and_run_gets_the_options(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-other", "--plugin", "auth-good", "--addr",
          "3", "--addr-key", "s3cret");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 3);
    assert_out(s, "run with 3 and key s3cret\ninstance auth-other\ninstance auth-good\n");
    assert_err(s, "event=plugin plugin=auth-other");
    assert_string_equal(s->argv[9], "******");
}

static void a_command_can_look_at_a_plugins_option(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good,number=9");
    said_call(s, cli_run_runtime, &command);
    assert_out(s, "number 9\n");
}

static void a_start_that_fails_ends_with_one(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-other", "--plugin",
          "auth-good,mode=start-fails", "--log-level=error");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 1);
    assert_string_equal(s->err, "burrow: plugin auth-good: no start\n");
}

static void a_create_that_fails_keeps_run_from_being_called(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-other", "--plugin",
          "auth-good,mode=create-fails");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 1);
    assert_err(s, "burrow: plugin auth-good: the sky is falling\n");
    assert_string_equal(s->out, "");
}

static void a_wrong_plugin_keeps_run_from_being_called(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good", "--plugin", "auth-abi");
    said_call(s, cli_run_runtime, &command);
    assert_refused(s, "built for plugin ABI v7");
    assert_string_equal(s->out, "");
}

static void a_contradiction_is_refused_before_anything_is_made(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good", "--addr", "wrong");
    said_call(s, cli_run_runtime, &command);
    assert_refused(s, "--addr (BURROW_ADDR): is wrong; expected another");
    assert_string_equal(s->out, "");
}

static void a_plugin_of_a_kind_without_use_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good");
    said_call(s, cli_run_runtime, &other_kind);
    assert_refused(s, "auth-good is a plugin of the kind auth");
}

static void one_file_for_two_commands_names_plugins_of_both(void **state)
{
    struct said *s = *state;
    FILE *out = fopen(s->config, "w");
    assert_non_null(out);
    fputs("plugins: [registry-x, auth-good]\n", out);
    fclose(out);
    WORDS(s, "--plugin-dir", MODULES);
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_out(s, "instance auth-good\n");
}

static void an_instance_that_does_not_stop_does_not_hold_the_end(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good,mode=never-stops", "--addr",
          "impatient");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_err(s, "event=plugin_stop_timeout plugin=auth-good");
}

static void check_config_checks_and_does_not_run(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good");
    said_call(s, cli_check_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_string_equal(s->out, "configuration OK\n");
}

static void check_config_asks_the_plugins(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good,mode=check-fails");
    said_call(s, cli_check_runtime, &command);
    assert_refused(s, "burrow: --mode: is check-fails");
    assert_string_equal(s->out, "");
}

static void a_wrong_plugin_option_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good", "--auth-good.number", "11");
    said_call(s, cli_check_runtime, &command);
    assert_refused(s, "--auth-good.number (BURROW_AUTH_GOOD_NUMBER): \"11\" is out of range");
}

static void warnings_are_logged(void **state)
{
    struct said *s = *state;
    said_variable(s, "BURROW_ADRD=x");
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good", "--log-format", "json");
    said_call(s, cli_check_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_err(s, "\"level\":\"warn\"");
    assert_err(s, "did you mean BURROW_ADDR?");
}

static void help_shows_core_and_plugin_options_with_their_variables(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", MODULES, "--plugin", "auth-good", "--help");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_out(s, "--addr HOST:PORT\n        an address\n        BURROW_ADDR, default :1\n");
    assert_out(s, "--plugin NAME[,option=value...]");
    assert_out(s, "BURROW_PLUGINS, may be repeated");
    assert_out(s, "Options of auth-good:");
    assert_out(s, "BURROW_AUTH_GOOD_NUMBER, default 3");
}

static void help_works_when_no_plugin_does(void **state)
{
    struct said *s = *state;
    WORDS(s, "--plugin-dir", "/nonexistent", "--plugin", "auth-nobody", "--help");
    said_call(s, cli_run_runtime, &command);
    assert_int_equal(s->code, 0);
    assert_out(s, "--addr HOST:PORT");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, said_setup, said_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(instances_are_made_in_order_and_run_gets_the_options),
        TEST(a_command_can_look_at_a_plugins_option),
        TEST(a_start_that_fails_ends_with_one),
        TEST(a_create_that_fails_keeps_run_from_being_called),
        TEST(a_wrong_plugin_keeps_run_from_being_called),
        TEST(a_contradiction_is_refused_before_anything_is_made),
        TEST(a_plugin_of_a_kind_without_use_is_refused),
        TEST(one_file_for_two_commands_names_plugins_of_both),
        TEST(an_instance_that_does_not_stop_does_not_hold_the_end),
        TEST(check_config_checks_and_does_not_run),
        TEST(check_config_asks_the_plugins),
        TEST(a_wrong_plugin_option_is_refused),
        TEST(warnings_are_logged),
        TEST(help_shows_core_and_plugin_options_with_their_variables),
        TEST(help_works_when_no_plugin_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
