/* SPDX-License-Identifier: Apache-2.0 */
/* Instances: what they are told, what is kept in their ledger, and how they end. */
#include "plugin/plugin.h"

#include <burrow/auth.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* As in good_plugin.c. */
struct config {
    const char *mode;
    int64_t number;
};

struct fixture {
    struct loop *loop;
    struct plugin *plugin;
    struct instance *instance;
    struct log log;
    int pipe[2];
    struct config config;
    struct error err;
    unsigned stops;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->loop = loop_create();
    assert_non_null(f->loop);
    assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    log_init(&f->log, f->pipe[1], BURROW_LOG_DEBUG, LOG_LOGFMT);
    assert_int_equal(plugin_open(MODULES, "auth-good", &f->plugin, &f->err), 0);
    f->config.mode = "";
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    instance_destroy(f->instance);
    loop_destroy(f->loop);
    plugin_close(f->plugin);
    close(f->pipe[0]);
    close(f->pipe[1]);
    free(f);
    return 0;
}

static int create(struct fixture *f, const char *mode)
{
    f->config.mode = mode;
    return instance_create(f->plugin, f->loop, &f->log, &f->config, &f->instance, &f->err);
}

static void stopped(void *arg)
{
    struct fixture *f = arg;
    f->stops++;
    loop_break(f->loop);
}

static void break_loop(void *arg)
{
    loop_break(arg);
}

/* What is due now runs. */
static void turn(struct fixture *f)
{
    loop_post(f->loop, break_loop, f->loop);
    loop_run(f->loop);
}

static void start_and_stop(struct fixture *f, uint64_t deadline_ms)
{
    assert_int_equal(instance_start(f->instance, &f->err), 0);
    instance_stop(f->instance, deadline_ms, stopped, f);
    assert_int_equal(f->stops, 0);
    loop_run(f->loop);
    assert_int_equal(f->stops, 1);
}

/* Everything that was logged so far. */
static const char *logged(struct fixture *f, char *buf, size_t size)
{
    ssize_t n = read(f->pipe[0], buf, size - 1);
    buf[n > 0 ? n : 0] = '\0';
    return buf;
}

static void assert_logged(struct fixture *f, const char *text)
{
    char buf[8192];
    if (!strstr(logged(f, buf, sizeof buf), text))
        fail_msg("the log is: %s\nexpected in it: %s", buf, text);
}

static void an_instance_lives_from_create_to_destroy(void **state)
{
    struct fixture *f = *state;
    char buf[8192];
    assert_int_equal(create(f, ""), 0);
    assert_int_equal(instance_kind(f->instance), BURROW_KIND_AUTH);
    assert_string_equal(instance_name(f->instance), "auth-good");
    start_and_stop(f, 60000);
    instance_destroy(f->instance);
    f->instance = NULL;
    assert_null(strstr(logged(f, buf, sizeof buf), "leftovers"));
}

static void ops_are_as_large_as_the_core_expects(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, ""), 0);
    const struct burrow_auth_ops *ops = instance_ops(f->instance);
    assert_non_null(ops->bind);
    assert_non_null(ops->verify);
    assert_null(ops->cancel);
}

static void metrics_are_summed_and_unknown_ones_do_no_harm(void **state)
{
    struct fixture *f = *state;
    const int64_t *values;
    assert_int_equal(create(f, ""), 0);
    start_and_stop(f, 60000);
    const struct burrow_metric *metrics = instance_metrics(f->instance, &values);
    assert_string_equal(metrics[0].name, "asked_total");
    assert_int_equal(values[0], 2);
    assert_int_equal(values[1], -5);
}

static void log_lines_carry_the_plugins_name_and_are_escaped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, ""), 0);
    start_and_stop(f, 60000);
    assert_logged(f, "event=plugin plugin=auth-good msg=\"started with \\\"\\\"\\n\"");
}

static void a_check_that_names_its_option_speaks_for_itself(void **state)
{
    struct fixture *f = *state;
    f->config.mode = "check-fails";
    assert_int_equal(plugin_check(f->plugin, &f->log, &f->config, &f->err), BURROW_EINVAL);
    assert_string_equal(f->err.text, "--mode: is check-fails");
}

static void a_check_can_take_nothing_from_the_loop(void **state)
{
    struct fixture *f = *state;
    f->config.mode = "check-takes";
    assert_int_equal(plugin_check(f->plugin, &f->log, &f->config, &f->err), 0);
}

static void a_create_that_fails_is_told_with_its_reason(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "create-fails"), BURROW_EIO);
    assert_string_equal(f->err.text, "plugin auth-good: the sky is falling");
    assert_null(f->instance);
}

static void a_create_that_fails_without_a_word_is_told_by_its_code(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "create-silent"), BURROW_ENOMEM);
    assert_non_null(strstr(f->err.text, "plugin auth-good: create failed: "));
}

static void a_start_that_fails_is_told_with_its_reason(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "start-fails"), 0);
    assert_int_equal(instance_start(f->instance, &f->err), BURROW_EIO);
    assert_string_equal(f->err.text, "plugin auth-good: no start");
}

static void a_late_answer_to_stop_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char buf[8192];
    assert_int_equal(create(f, "stops-late"), 0);
    start_and_stop(f, 60000);
    assert_null(strstr(logged(f, buf, sizeof buf), "timeout"));
}

static void an_instance_that_does_not_stop_is_named_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "never-stops"), 0);
    start_and_stop(f, 1);
    assert_logged(f, "event=plugin_stop_timeout plugin=auth-good");
}

static void a_second_answer_to_stop_is_named_and_counts_for_nothing(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "stops-twice"), 0);
    start_and_stop(f, 60000);
    turn(f);
    assert_int_equal(f->stops, 1);
    assert_logged(f, "event=plugin_stopped_unasked plugin=auth-good");
}

static void what_is_left_on_the_ledger_is_named_and_taken_away(void **state)
{
    struct fixture *f = *state;
    char buf[8192];
    assert_int_equal(create(f, "leaks"), 0);
    assert_int_equal(instance_start(f->instance, &f->err), 0);
    instance_destroy(f->instance);
    f->instance = NULL;
    logged(f, buf, sizeof buf);
    assert_non_null(strstr(buf, "event=plugin_leftovers plugin=auth-good watches=1"));
    assert_non_null(strstr(buf, "timers=1 lookups=1"));
    assert_non_null(strstr(buf, "event=plugin_leftovers plugin=auth-good posts=1"));
    /* The posted call arrives and must not touch what is gone. */
    turn(f);
}

static void two_instances_of_one_plugin_work_side_by_side(void **state)
{
    struct fixture *f = *state;
    struct instance *other = NULL;
    struct config config = {"", 1};
    const int64_t *values;
    assert_int_equal(create(f, ""), 0);
    assert_int_equal(instance_create(f->plugin, f->loop, &f->log, &config, &other, &f->err), 0);
    assert_int_equal(instance_start(other, &f->err), 0);
    instance_metrics(f->instance, &values);
    assert_int_equal(values[0], 0);
    instance_metrics(other, &values);
    assert_int_equal(values[0], 2);
    instance_destroy(other);
}

static void a_reload_hands_the_new_configuration_over(void **state)
{
    struct fixture *f = *state;
    const int64_t *values;
    struct config config = {"", 7};
    assert_int_equal(create(f, ""), 0);
    assert_int_equal(instance_reload(f->instance, &config, &f->err), 0);
    instance_metrics(f->instance, &values);
    assert_int_equal(values[1], 7);
}

static void a_reload_that_fails_is_told_with_its_reason(void **state)
{
    struct fixture *f = *state;
    struct config config = {"", 9};
    assert_int_equal(create(f, ""), 0);
    assert_int_equal(instance_reload(f->instance, &config, &f->err), BURROW_EIO);
    assert_string_equal(f->err.text, "plugin auth-good: nine is too much");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_instance_lives_from_create_to_destroy),
        TEST(ops_are_as_large_as_the_core_expects),
        TEST(metrics_are_summed_and_unknown_ones_do_no_harm),
        TEST(log_lines_carry_the_plugins_name_and_are_escaped),
        TEST(a_check_that_names_its_option_speaks_for_itself),
        TEST(a_check_can_take_nothing_from_the_loop),
        TEST(a_create_that_fails_is_told_with_its_reason),
        TEST(a_create_that_fails_without_a_word_is_told_by_its_code),
        TEST(a_start_that_fails_is_told_with_its_reason),
        TEST(a_late_answer_to_stop_is_waited_for),
        TEST(an_instance_that_does_not_stop_is_named_at_the_deadline),
        TEST(a_second_answer_to_stop_is_named_and_counts_for_nothing),
        TEST(what_is_left_on_the_ledger_is_named_and_taken_away),
        TEST(a_reload_hands_the_new_configuration_over),
        TEST(a_reload_that_fails_is_told_with_its_reason),
        TEST(two_instances_of_one_plugin_work_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
