/* SPDX-License-Identifier: Apache-2.0 */
/* Flags, variables, their order of precedence, and what is said when they are wrong. */
#include "sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void defaults_count_when_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    assert_int_equal(read_all(f, &all), 0);
    assert_null(all->name);
    assert_string_equal(all->host, "127.0.0.1");
    assert_int_equal(all->count, 7);
    assert_int_equal(all->wait, 10000);
    assert_int_equal(all->size, 65536);
    assert_int_equal(all->quick, 0);
    assert_null(all->key.data);
    assert_int_equal(all->target.count, 0);
    assert_warns(f, NULL);
}

static void every_type_is_read_from_flags(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    FLAGS(f, "--name", "x", "--count=9", "--wait-time", "250s", "--size", "1MiB", "--quick",
          "--key", "s3cret");
    FLAGS(f, "--target", "a:1", "--target=b:2,c");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "x");
    assert_int_equal(all->count, 9);
    assert_int_equal(all->wait, 250000);
    assert_int_equal(all->size, 1048576);
    assert_int_equal(all->quick, 1);
    assert_int_equal(all->key.len, 6);
    assert_memory_equal(all->key.data, "s3cret", 6);
    assert_int_equal(all->target.count, 2);
    assert_string_equal(all->target.items[1], "b:2,c");
}

static void a_flag_beats_a_variable_beats_the_file_beats_the_default(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "name: file\ncount: 2\nsize: 3\n");
    variable(f, "BURROW_NAME=variable");
    variable(f, "BURROW_COUNT=4");
    FLAGS(f, "--name", "flag");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "flag");
    assert_int_equal(all->count, 4);
    assert_int_equal(all->size, 3);
    assert_int_equal(all->wait, 10000);
}

static void empty_flags_and_variables_are_unset(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "name: file\n");
    variable(f, "BURROW_NAME=");
    variable(f, "BURROW_COUNT=");
    FLAGS(f, "--name=", "--wait-time", "");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "file");
    assert_int_equal(all->count, 7);
    assert_int_equal(all->wait, 10000);
}

static void an_empty_bridge_host_is_a_value(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    variable(f, "BURROW_BRIDGE_HOST=");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->host, "");
}

static void the_last_of_a_repeated_flag_counts(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    FLAGS(f, "--count", "1", "--count", "2");
    assert_int_equal(read_all(f, &all), 0);
    assert_int_equal(all->count, 2);
}

static void a_bool_takes_its_value_behind_an_equals_sign(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    variable(f, "BURROW_QUICK=yes");
    FLAGS(f, "--quick=false");
    assert_int_equal(read_all(f, &all), 0);
    assert_int_equal(all->quick, 0);
}

static void a_word_behind_a_bool_is_refused_with_the_right_form(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--quick", "true");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--option=true");
}

static void a_list_variable_is_split_at_commas(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    variable(f, "BURROW_TARGET=a:1,,b\\,c");
    assert_int_equal(read_all(f, &all), 0);
    assert_int_equal(all->target.count, 2);
    assert_string_equal(all->target.items[0], "a:1");
    assert_string_equal(all->target.items[1], "b,c");
}

/* One wrong flag: the line must name flag and variable, and have these texts. */
static void refused(struct fixture *f, const char *flag, const char *value, const char *quoted,
                    const char *expected)
{
    f->argc = 0;
    config_destroy(f->config);
    f->config = NULL;
    char *words[2] = {strdup(flag), strdup(value)};
    f->argv[0] = words[0];
    f->argv[1] = words[1];
    f->argc = 2;
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    f->argc = 0;
    free(words[0]);
    free(words[1]);
    assert_says(f, flag);
    assert_says(f, "(BURROW_");
    assert_says(f, quoted);
    assert_says(f, expected);
}

static void a_wrong_number_is_refused_with_its_range(void **state)
{
    struct fixture *f = *state;
    refused(f, "--count", "-1", "\"-1\" is out of range", "from 1 to 100");
    refused(f, "--count", "0", "\"0\" is out of range", "from 1 to 100");
    refused(f, "--count", "101", "\"101\" is out of range", "from 1 to 100");
    refused(f, "--count", "1e99", "\"1e99\" is no whole number", "from 1 to 100");
    refused(f, "--count", "99999999999999999999", "is too large", "from 1 to 100");
    refused(f, "--count", "7 ", "\"7 \" is no whole number", "from 1 to 100");
}

static void a_wrong_duration_is_refused_with_its_range(void **state)
{
    struct fixture *f = *state;
    refused(f, "--wait-time", "10", "\"10\" has no unit", "from 1s to 1h, such as 10s");
    refused(f, "--wait-time", "999ms", "\"999ms\" is out of range", "from 1s to 1h");
    refused(f, "--wait-time", "soon", "\"soon\" is no duration", "from 1s to 1h");
}

static void other_wrong_values_are_refused_with_the_form_expected(void **state)
{
    struct fixture *f = *state;
    refused(f, "--size", "64K", "\"64K\" is no size", "64KiB");
    refused(f, "--level", "medium", "\"medium\"", "low or high");
    refused(f, "--name", "\xff", "\"\\xff\" is not valid UTF-8", "expected");
}

static void a_wrong_variable_is_refused_by_both_names(void **state)
{
    struct fixture *f = *state;
    variable(f, "BURROW_WAIT_TIME=10");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--wait-time (BURROW_WAIT_TIME): \"10\" has no unit");
}

static void a_missing_value_is_refused(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--count", "--quick");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--count (BURROW_COUNT): has no value");
}

static void an_unknown_flag_is_refused_with_the_nearest_name(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--brige-host", "x");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--brige-host: unknown option; did you mean --bridge-host?");
}

static void an_unknown_flag_does_not_show_its_value(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--keyy=s3cret");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "did you mean --key?");
    assert_says_not(f, "s3cret");
}

static void a_flag_of_another_command_is_refused_as_such(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--client-id", "x");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "`burrow client`");
}

static void a_flag_of_a_plugin_that_is_not_in_use_is_refused_as_such(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--jwks-url", "https://x");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--jwks-url (BURROW_JWKS_URL): belongs to auth-jwks");
}

static void a_flag_that_needs_no_plugin_is_passed_over_with_a_warning(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--enable-kube-api", "false", "--namespace=default");
    assert_int_equal(read_all(f, NULL), 0);
    assert_warns(f, "--namespace (BURROW_NAMESPACE) has no effect");
}

static void a_flag_that_says_to_do_without_a_plugin_is_taken_in_silence(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--enable-kube-api", "auto");
    assert_int_equal(read_all(f, NULL), 0);
    assert_warns(f, NULL);
}

static void single_hyphens_and_words_are_refused(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "-count", "3");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "two hyphens");
}

static void an_argument_is_refused_where_none_is_taken(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--count", "3", "file");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "\"file\": unexpected argument");
}

static void a_misspelt_variable_is_warned_of_with_the_nearest_name(void **state)
{
    struct fixture *f = *state;
    variable(f, "BURROW_BRIGDE_HOST=x");
    assert_int_equal(read_all(f, NULL), 0);
    assert_warns(f, "\"BURROW_BRIGDE_HOST\" is not known; did you mean BURROW_BRIDGE_HOST?");
}

static void variables_of_kubernetes_and_of_other_commands_are_not_warned_of(void **state)
{
    struct fixture *f = *state;
    variable(f, "BURROW_SERVER_SERVICE_HOST=10.0.0.1");
    variable(f, "BURROW_SERVER_PORT=tcp://10.0.0.1:80");
    variable(f, "BURROW_SERVER_PORT_80_TCP=tcp://10.0.0.1:80");
    variable(f, "BURROW_CLIENT_ID=x");
    variable(f, "BURROW_NOTHING=");
    assert_int_equal(read_all(f, NULL), 0);
    assert_warns(f, NULL);
}

static void a_variable_of_a_plugin_that_is_not_in_use_is_warned_of(void **state)
{
    struct fixture *f = *state;
    variable(f, "BURROW_JWT_ISSUER=x");
    assert_int_equal(read_all(f, NULL), 0);
    assert_warns(f, "BURROW_JWT_ISSUER has no effect");
}

static void secrets_are_overwritten_in_argv_and_environment(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--key", "s3cret", "--plugin", "auth-x,own=1,own-secret=s3cret", "--name=n");
    variable(f, "BURROW_KEY=s3cret");
    assert_int_equal(read_both(f, false, &all, &extra), 0);
    config_wipe_sources(f->config);
    assert_string_equal(f->argv[1], "******");
    assert_string_equal(f->argv[3], "auth-x,own=1,*****************");
    assert_string_equal(f->argv[4], "--name=n");
    assert_string_equal(f->envp[0], "BURROW_KEY=******");
    assert_memory_equal(all->key.data, "s3cret", 7);
    assert_memory_equal(extra->secret.data, "s3cret", 7);
}

static void a_bare_name_goes_to_all_that_have_it(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--name", "n", "--own", "o");
    assert_int_equal(read_both(f, false, &all, &extra), 0);
    assert_string_equal(all->name, "n");
    assert_string_equal(extra->name, "n");
    assert_string_equal(extra->own, "o");
}

static void options_of_third_parties_carry_the_plugins_name(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--name", "n", "--auth-x.own", "o");
    variable(f, "BURROW_AUTH_X_NAME=m");
    assert_int_equal(read_both(f, true, &all, &extra), 0);
    assert_string_equal(all->name, "n");
    assert_string_equal(extra->name, "m");
    assert_string_equal(extra->own, "o");
}

static void options_of_third_parties_have_no_bare_names(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--own", "o");
    assert_int_equal(read_both(f, true, &all, &extra), BURROW_EINVAL);
    assert_says(f, "--own: unknown option");
}

static void options_stand_behind_the_plugins_name(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--plugin", "auth-x,own=a\\,b,name=n=1");
    assert_int_equal(read_both(f, true, &all, &extra), 0);
    assert_string_equal(extra->own, "a,b");
    assert_string_equal(extra->name, "n=1");
    assert_null(all->name);
}

static void an_unknown_option_behind_the_plugins_name_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    FLAGS(f, "--plugin", "auth-x,owm=1");
    assert_int_equal(read_both(f, true, &all, &extra), BURROW_EINVAL);
    assert_says(f, "auth-x has no option \"owm\"; did you mean own?");
}

static void two_types_of_one_bare_name_are_refused(void **state)
{
    static const struct burrow_option other[] = {
        BURROW_OPTION_INT(struct all, count, "name", NULL, "N", 0, 0, 0, "a number"),
        BURROW_OPTION_END};
    struct fixture *f = *state;
    struct config_group groups[] = {
        {"server", NULL, false, all_options, sizeof(struct all)},
        {"auth-x", "auth-x", false, other, sizeof(struct all)},
    };
    struct config_others others = {NULL, NULL, 0, 0, false};
    void *values[2];
    assert_int_equal(read_first(f), 0);
    assert_int_equal(config_parse(f->config, groups, 2, &others, values, &f->err), BURROW_EINVAL);
    assert_says(f, "--name: has another type in auth-x");
}

static void a_required_option_must_be_there(void **state)
{
    static const struct burrow_option needs[] = {
        BURROW_OPTION_STRING(struct all, name, "url", NULL, "URL", BURROW_OPT_REQUIRED, NULL, "u"),
        BURROW_OPTION_END};
    struct fixture *f = *state;
    struct config_group group = {"auth-x", "auth-x", true, needs, sizeof(struct all)};
    struct config_others others = {NULL, NULL, 0, 0, false};
    void *values[1];
    assert_int_equal(read_first(f), 0);
    assert_int_equal(config_parse(f->config, &group, 1, &others, values, &f->err), BURROW_EINVAL);
    assert_says(f, "--auth-x.url (BURROW_AUTH_X_URL): is required by auth-x; expected URL");
}

static void values_that_begin_with_hyphens_need_an_equals_sign(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    FLAGS(f, "--name=--count");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "--count");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_count_when_nothing_is_said),
        TEST(every_type_is_read_from_flags),
        TEST(a_flag_beats_a_variable_beats_the_file_beats_the_default),
        TEST(empty_flags_and_variables_are_unset),
        TEST(an_empty_bridge_host_is_a_value),
        TEST(the_last_of_a_repeated_flag_counts),
        TEST(a_bool_takes_its_value_behind_an_equals_sign),
        TEST(a_word_behind_a_bool_is_refused_with_the_right_form),
        TEST(a_list_variable_is_split_at_commas),
        TEST(a_wrong_number_is_refused_with_its_range),
        TEST(a_wrong_duration_is_refused_with_its_range),
        TEST(other_wrong_values_are_refused_with_the_form_expected),
        TEST(a_wrong_variable_is_refused_by_both_names),
        TEST(a_missing_value_is_refused),
        TEST(an_unknown_flag_is_refused_with_the_nearest_name),
        TEST(an_unknown_flag_does_not_show_its_value),
        TEST(a_flag_of_another_command_is_refused_as_such),
        TEST(a_flag_of_a_plugin_that_is_not_in_use_is_refused_as_such),
        TEST(a_flag_that_needs_no_plugin_is_passed_over_with_a_warning),
        TEST(a_flag_that_says_to_do_without_a_plugin_is_taken_in_silence),
        TEST(single_hyphens_and_words_are_refused),
        TEST(an_argument_is_refused_where_none_is_taken),
        TEST(a_misspelt_variable_is_warned_of_with_the_nearest_name),
        TEST(variables_of_kubernetes_and_of_other_commands_are_not_warned_of),
        TEST(a_variable_of_a_plugin_that_is_not_in_use_is_warned_of),
        TEST(secrets_are_overwritten_in_argv_and_environment),
        TEST(a_bare_name_goes_to_all_that_have_it),
        TEST(options_of_third_parties_carry_the_plugins_name),
        TEST(options_of_third_parties_have_no_bare_names),
        TEST(options_stand_behind_the_plugins_name),
        TEST(an_unknown_option_behind_the_plugins_name_is_refused),
        TEST(two_types_of_one_bare_name_are_refused),
        TEST(a_required_option_must_be_there),
        TEST(values_that_begin_with_hyphens_need_an_equals_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
