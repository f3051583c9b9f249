/* SPDX-License-Identifier: Apache-2.0 */
/* What a second reading keeps of the first. */
#include "config/arena.h"
#include "config/reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct values {
    const char *fixed_text, *free_text;
    int64_t fixed_number;
    uint8_t fixed_truth;
    struct burrow_secret fixed_secret, free_secret;
    struct burrow_list fixed_list;
};

#define R BURROW_OPT_RELOADABLE
static const struct burrow_option options[] = {
    BURROW_OPTION_STRING(struct values, fixed_text, "fixed-text", NULL, "T", 0, NULL, "a"),
    BURROW_OPTION_STRING(struct values, free_text, "free-text", NULL, "T", R, NULL, "a"),
    BURROW_OPTION_INT(struct values, fixed_number, "fixed-number", "1", "N", 0, 0, 99, "a"),
    BURROW_OPTION_BOOL(struct values, fixed_truth, "fixed-truth", NULL, 0, "a"),
    BURROW_OPTION_SECRET(struct values, fixed_secret, "fixed-secret", "S", 0, "a"),
    BURROW_OPTION_SECRET(struct values, free_secret, "free-secret", "S", R, "a"),
    BURROW_OPTION_LIST(struct values, fixed_list, "fixed-list", "L", 0, "a"),
    BURROW_OPTION_END,
};

static const struct config_group group = {"tests", NULL, false, options, sizeof(struct values)};

struct reading {
    char *argv[20];
    struct config_sources sources;
    struct config *config;
    struct values *values;
};

static void read_words(struct reading *r, const char *const *words)
{
    static const struct config_others none = {.groups = NULL};
    struct error err = {0};
    void *values[1];
    static char *envp[] = {NULL};
    memset(r, 0, sizeof *r);
    for (; words[r->sources.argc]; r->sources.argc++)
        r->argv[r->sources.argc] = strdup(words[r->sources.argc]);
    r->sources.argv = r->argv;
    r->sources.envp = envp;
    assert_int_equal(config_read(&r->sources, &r->config, &err), 0);
    assert_int_equal(config_parse(r->config, &group, 1, &none, values, &err), 0);
    r->values = values[0];
}

static void finish(struct reading *r)
{
    config_destroy(r->config);
    for (char **word = r->argv; *word; word++)
        free(*word);
}

#define READ(r, ...) read_words((r), (const char *const[]){__VA_ARGS__, NULL})

static char told[500];

static void tell(void *arg, const char *name)
{
    (void)arg;
    strcat(strcat(told, name), " ");
}

static int keep(struct reading *fresh, const struct reading *old, bool with_all)
{
    told[0] = '\0';
    return config_keep(fresh->config, &group, old->values, fresh->values, with_all, tell, NULL);
}

static void what_is_the_same_is_not_told(void **state)
{
    (void)state;
    struct reading old, fresh;
    READ(&old, "--fixed-text=a", "--fixed-list=a", "--fixed-list=b", "--fixed-secret=s");
    READ(&fresh, "--fixed-text=a", "--fixed-list=a", "--fixed-list=b", "--fixed-secret=s");
    assert_int_equal(keep(&fresh, &old, false), 0);
    assert_string_equal(told, "");
    finish(&old);
    finish(&fresh);
}

static void what_may_change_changes(void **state)
{
    (void)state;
    struct reading old, fresh;
    READ(&old, "--free-text=a", "--free-secret=a");
    READ(&fresh, "--free-text=b", "--free-secret=b");
    assert_int_equal(keep(&fresh, &old, false), 0);
    assert_string_equal(fresh.values->free_text, "b");
    finish(&old);
    finish(&fresh);
}

static void what_may_not_change_keeps_its_value_and_is_told(void **state)
{
    (void)state;
    struct reading old, fresh;
    READ(&old, "--fixed-text=a", "--fixed-number=2", "--fixed-truth", "--fixed-secret=secret",
         "--fixed-list=a", "--fixed-list=b");
    READ(&fresh, "--fixed-number=3", "--fixed-secret=other", "--fixed-list=a", "--free-text=b");
    assert_int_equal(keep(&fresh, &old, false), 5);
    assert_string_equal(told, "fixed-text fixed-number fixed-truth fixed-secret fixed-list ");
    finish(&old); /* the values are copies */
    const struct values *v = fresh.values;
    assert_string_equal(v->fixed_text, "a");
    assert_int_equal(v->fixed_number, 2);
    assert_true(v->fixed_truth);
    assert_int_equal(v->fixed_secret.len, 6);
    assert_memory_equal(v->fixed_secret.data, "secret", 6);
    assert_int_equal(v->fixed_list.count, 2);
    assert_string_equal(v->fixed_list.items[1], "b");
    assert_string_equal(v->free_text, "b");
    finish(&fresh);
}

static void a_plugin_without_reload_keeps_everything(void **state)
{
    (void)state;
    struct reading old, fresh;
    READ(&old, "--free-text=a");
    READ(&fresh, "--free-text=b");
    assert_int_equal(keep(&fresh, &old, true), 1);
    assert_string_equal(fresh.values->free_text, "a");
    finish(&old);
    finish(&fresh);
}

static void a_value_that_was_unset_is_unset_again(void **state)
{
    (void)state;
    struct reading old, fresh;
    READ(&old, "--free-text=a");
    READ(&fresh, "--fixed-text=b", "--fixed-secret=s");
    assert_int_equal(keep(&fresh, &old, false), 2);
    assert_null(fresh.values->fixed_text);
    assert_null(fresh.values->fixed_secret.data);
    finish(&old);
    finish(&fresh);
}

static void kept_sources_outlive_the_wiping(void **state)
{
    (void)state;
    char secret[] = "--free-secret=s3cret", other[] = "HOME=/", variable[] = "BURROW_FREE_TEXT=t";
    char *argv[] = {secret, NULL}, *envp[] = {other, variable, NULL};
    const struct config_sources sources = {1, argv, envp, NULL};
    struct config_sources_copy *copy = NULL;
    struct error err = {0};
    assert_int_equal(config_sources_keep(&sources, &copy, &err), 0);
    memset(secret, '*', strlen(secret));
    const struct config_sources *kept = config_sources_kept(copy);
    assert_int_equal(kept->argc, 1);
    assert_string_equal(kept->argv[0], "--free-secret=s3cret");
    assert_string_equal(kept->envp[0], "BURROW_FREE_TEXT=t");
    assert_null(kept->envp[1]);
    config_sources_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same_is_not_told),
        cmocka_unit_test(what_may_change_changes),
        cmocka_unit_test(what_may_not_change_keeps_its_value_and_is_told),
        cmocka_unit_test(a_plugin_without_reload_keeps_everything),
        cmocka_unit_test(a_value_that_was_unset_is_unset_again),
        cmocka_unit_test(kept_sources_outlive_the_wiping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
