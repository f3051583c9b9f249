/* SPDX-License-Identifier: Apache-2.0 */
/* The first word, `burrow plugins`, and commands that are plugins. */
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void no_command_is_refused(void **state)
{
    struct said *s = *state;
    said_main(s);
    assert_refused(s, "expected the name of a command");
}

static void an_unknown_command_is_refused_with_the_nearest(void **state)
{
    struct said *s = *state;
    WORDS(s, "plugin");
    said_main(s);
    assert_refused(s, "did you mean plugins?");
}

static void an_option_before_the_command_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "--log-level", "debug", "plugins");
    said_main(s);
    assert_refused(s, "\"--log-level\": expected the name of a command first");
}

static void a_command_that_is_no_name_is_refused_in_quotes(void **state)
{
    struct said *s = *state;
    WORDS(s, "../x\x1b[2J");
    said_main(s);
    assert_refused(s, "\"../x\\x1b[2J\"");
}

static void version_and_help_answer(void **state)
{
    struct said *s = *state;
    WORDS(s, "--version");
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "burrow ");
    assert_out(s, "plugin ABI v0");
    free(s->argv[--s->argc]);
    WORDS(s, "help");
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "check-config");
}

static void the_list_shows_good_plugins_and_names_broken_ones(void **state)
{
    struct said *s = *state;
    WORDS(s, "plugins", "--plugin-dir", MODULES);
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "auth-good              1.2.3        auth       A plugin for tests\n");
    assert_out(s, "auth-crash             broken: plugin auth-crash: crashed when it was opened");
    assert_out(s, "auth-exit              broken: plugin auth-exit: ended the process");
    assert_out(s, "auth-hang              broken: plugin auth-hang: did not open within");
    assert_out(s, "auth-abi               broken: ");
    assert_out(s, "built for plugin ABI v7");
}

static void info_shows_options_and_metrics(void **state)
{
    struct said *s = *state;
    said_variable(s, "BURROW_PLUGIN_DIR=" MODULES);
    WORDS(s, "plugins", "info", "auth-good");
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "auth-good 1.2.3: A plugin for tests");
    assert_out(s, "--auth-good.number N");
    assert_out(s, "BURROW_AUTH_GOOD_NUMBER, default 3");
    assert_out(s, "burrow_plugin_auth_good_asked_total (counter)");
}

static void info_of_a_broken_plugin_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "plugins", "info", "auth-crash", "--plugin-dir", MODULES);
    said_main(s);
    assert_refused(s, "crashed when it was opened");
}

static void a_missing_plugin_folder_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "plugins", "--plugin-dir", "/nonexistent");
    said_main(s);
    assert_refused(s, "--plugin-dir (BURROW_PLUGIN_DIR): /nonexistent: No such file");
}

static void a_command_plugin_gets_its_options_and_arguments(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "say", "big", "--greeting=good day", "world", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "good day big world\n");
}

static void a_command_that_ends_twice_is_named(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "say", "world", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_err(s, "event=plugin_fault plugin=command-greet what=\"a command finished twice\"");
}

static void the_exit_code_is_the_commands_own(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "later", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 7);
}

static void a_signal_is_the_commands_to_answer(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "wait", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 5);
}

static void a_command_that_knows_no_signals_ends_by_them(void **state)
{
    struct said *s = *state;
    WORDS(s, "deaf", "wait", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 130);
}

static void a_wrong_subcommand_is_refused_with_the_right_ones(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "sya", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_refused(s, "greet: unknown subcommand \"sya\"; expected say, later, wait");
}

static void a_missing_subcommand_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_refused(s, "greet: no subcommand");
}

static void too_few_and_too_many_arguments_are_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "say", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_refused(s, "greet say: 0 arguments; expected WORD [WORD]");
    WORDS(s, "a", "b", "c");
    said_main(s);
    assert_refused(s, "greet say: 3 arguments");
}

static void help_of_a_command_plugin_is_made_from_its_tables(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "--help", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_int_equal(s->code, 0);
    assert_out(s, "burrow greet say WORD [WORD] [--option value]...");
    assert_out(s, "--greeting TEXT");
    assert_out(s, "BURROW_GREETING, default hello");
}

static void a_commands_secret_is_overwritten(void **state)
{
    struct said *s = *state;
    WORDS(s, "greet", "later", "--greeting-key", "s3cret", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_string_equal(s->argv[3], "******");
}

static void a_missing_bundled_command_names_its_package(void **state)
{
    struct said *s = *state;
    WORDS(s, "expose", "--plugin-dir", COMMANDS);
    said_main(s);
    assert_refused(s, "package burrow-plugin-kubernetes");
}

static void check_config_of_something_else_is_refused(void **state)
{
    struct said *s = *state;
    WORDS(s, "check-config", "plugins");
    said_main(s);
    assert_refused(s, "\"plugins\" has no configuration");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, said_setup, said_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_command_is_refused),
        TEST(an_unknown_command_is_refused_with_the_nearest),
        TEST(an_option_before_the_command_is_refused),
        TEST(a_command_that_is_no_name_is_refused_in_quotes),
        TEST(version_and_help_answer),
        TEST(the_list_shows_good_plugins_and_names_broken_ones),
        TEST(info_shows_options_and_metrics),
        TEST(info_of_a_broken_plugin_is_refused),
        TEST(a_missing_plugin_folder_is_refused),
        TEST(a_command_plugin_gets_its_options_and_arguments),
        TEST(a_command_that_ends_twice_is_named),
        TEST(the_exit_code_is_the_commands_own),
        TEST(a_signal_is_the_commands_to_answer),
        TEST(a_command_that_knows_no_signals_ends_by_them),
        TEST(a_wrong_subcommand_is_refused_with_the_right_ones),
        TEST(a_missing_subcommand_is_refused),
        TEST(too_few_and_too_many_arguments_are_refused),
        TEST(help_of_a_command_plugin_is_made_from_its_tables),
        TEST(a_commands_secret_is_overwritten),
        TEST(a_missing_bundled_command_names_its_package),
        TEST(check_config_of_something_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
