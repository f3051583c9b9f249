/* SPDX-License-Identifier: Apache-2.0 */
/* Watched files: when the plugin is told, and what becomes of its answer. */
#include "fake_loop.h"
#include "plugin/plugin.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000u

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
    char folder[64], mode[100];
    struct config config;
    struct error err;
};

static void put(struct fixture *f, const char *name, const char *text)
{
    char path[200], fresh[200];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    snprintf(fresh, sizeof fresh, "%s/new", f->folder);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void drop(struct fixture *f, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    (void)unlink(path);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->loop = loop_create();
    assert_non_null(f->loop);
    assert_int_equal(pipe2(f->pipe, O_CLOEXEC | O_NONBLOCK), 0);
    log_init(&f->log, f->pipe[1], BURROW_LOG_DEBUG, LOG_LOGFMT);
    assert_int_equal(plugin_open(MODULES, "auth-good", &f->plugin, &f->err), 0);
    snprintf(f->folder, sizeof f->folder, "burrow-files-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    put(f, "a", "one");
    put(f, "b", "two");
    snprintf(f->mode, sizeof f->mode, "watches=%s", f->folder);
    f->config.mode = f->mode;
    assert_int_equal(
        instance_create(f->plugin, f->loop, &f->log, &f->config, &f->instance, &f->err), 0);
    assert_int_equal(instance_start(f->instance, &f->err), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    instance_destroy(f->instance);
    assert_int_equal(fake_loop_timer_count(f->loop), 0);
    loop_destroy(f->loop);
    plugin_close(f->plugin);
    drop(f, "a");
    drop(f, "b");
    assert_int_equal(rmdir(f->folder), 0);
    close(f->pipe[0]);
    close(f->pipe[1]);
    free(f);
    return 0;
}

static void assert_counts(struct fixture *f, uint64_t taken, uint64_t refused)
{
    struct file_counts counts = instance_file_counts(f->instance);
    assert_int_equal(counts.taken, taken);
    assert_int_equal(counts.refused, refused);
}

static void assert_logged(struct fixture *f, const char *text)
{
    char buf[8192];
    ssize_t n = read(f->pipe[0], buf, sizeof buf - 1);
    buf[n > 0 ? n : 0] = '\0';
    if (!strstr(buf, text))
        fail_msg("the log is: %s\nexpected in it: %s", buf, text);
}

static void files_that_stay_as_they_are_are_not_told(void **state)
{
    struct fixture *f = *state;
    fake_loop_advance(f->loop, 60 * SECOND);
    assert_counts(f, 0, 0);
}

static void a_change_is_told_once_when_it_has_settled(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "another");
    fake_loop_advance(f->loop, SECOND);
    assert_counts(f, 0, 0);
    fake_loop_advance(f->loop, SECOND);
    assert_counts(f, 1, 0);
    assert_logged(f, "event=file_reloaded plugin=auth-good");
    fake_loop_advance(f->loop, 60 * SECOND);
    assert_counts(f, 1, 0);
}

static void a_pair_that_is_replaced_one_by_one_is_told_once(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "another");
    fake_loop_advance(f->loop, SECOND);
    put(f, "b", "another");
    fake_loop_advance(f->loop, 10 * SECOND);
    assert_counts(f, 1, 0);
}

static void a_file_that_goes_away_is_a_change_that_is_refused(void **state)
{
    struct fixture *f = *state;
    drop(f, "b");
    fake_loop_advance(f->loop, SECOND);
    assert_counts(f, 0, 0);
    fake_loop_advance(f->loop, 60 * SECOND);
    assert_counts(f, 0, 1);
    assert_logged(f, "/b reason=\"b is missing\"");
    put(f, "b", "back");
    fake_loop_advance(f->loop, 2 * SECOND);
    assert_counts(f, 1, 1);
}

static void a_missing_file_holds_no_change_of_another_one_back(void **state)
{
    struct fixture *f = *state;
    drop(f, "b");
    fake_loop_advance(f->loop, 10 * SECOND);
    put(f, "a", "another");
    fake_loop_advance(f->loop, 10 * SECOND);
    assert_counts(f, 0, 2);
    assert_logged(f, "/a reason=\"b is missing\"");
}

static void a_file_that_is_away_for_one_look_is_told_once_when_it_is_back(void **state)
{
    struct fixture *f = *state;
    drop(f, "b");
    fake_loop_advance(f->loop, SECOND);
    put(f, "b", "back");
    fake_loop_advance(f->loop, 10 * SECOND);
    assert_counts(f, 1, 0);
}

static void a_refusal_is_logged_counted_and_not_repeated(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "x");
    fake_loop_advance(f->loop, 60 * SECOND);
    assert_counts(f, 0, 1);
    assert_logged(f, "reason=\"an x is no good\"");
    put(f, "a", "better");
    fake_loop_advance(f->loop, 2 * SECOND);
    assert_counts(f, 1, 1);
}

static void a_link_that_points_elsewhere_is_a_change(void **state)
{
    struct fixture *f = *state;
    char a[200];
    snprintf(a, sizeof a, "%s/a", f->folder);
    drop(f, "a");
    assert_int_equal(symlink("b", a), 0);
    fake_loop_advance(f->loop, 2 * SECOND);
    assert_counts(f, 1, 0);
}

static void a_watch_may_end_inside_its_own_call(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "u");
    fake_loop_advance(f->loop, 2 * SECOND);
    assert_counts(f, 1, 0);
    put(f, "a", "more");
    fake_loop_advance(f->loop, 10 * SECOND);
    assert_counts(f, 1, 0);
}

static void a_watch_that_is_left_is_named_and_taken_away(void **state)
{
    struct fixture *f = *state;
    instance_destroy(f->instance);
    f->instance = NULL;
    assert_logged(f, "event=plugin_leftovers plugin=auth-good watches=0 first_fd=-1 timers=0 "
                     "lookups=0 files=1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_that_stay_as_they_are_are_not_told),
        TEST(a_change_is_told_once_when_it_has_settled),
        TEST(a_pair_that_is_replaced_one_by_one_is_told_once),
        TEST(a_file_that_goes_away_is_a_change_that_is_refused),
        TEST(a_missing_file_holds_no_change_of_another_one_back),
        TEST(a_file_that_is_away_for_one_look_is_told_once_when_it_is_back),
        TEST(a_refusal_is_logged_counted_and_not_repeated),
        TEST(a_link_that_points_elsewhere_is_a_change),
        TEST(a_watch_may_end_inside_its_own_call),
        TEST(a_watch_that_is_left_is_named_and_taken_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
