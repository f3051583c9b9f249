/* SPDX-License-Identifier: Apache-2.0 */
/* The config file: what may stand in it, and the row "config file" of bad input. */
#include "sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void every_type_is_read_from_the_file(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "# a comment\nname: x\nbridge-host: \"\"\ncount: 9\nwait-time: 1m\nsize: 2KiB\n"
            "quick: yes\nkey: 's3cret'\ntarget:\n  - a:1\n  - b:2\n");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "x");
    assert_string_equal(all->host, "");
    assert_int_equal(all->count, 9);
    assert_int_equal(all->wait, 60000);
    assert_int_equal(all->size, 2048);
    assert_int_equal(all->quick, 1);
    assert_memory_equal(all->key.data, "s3cret", 7);
    assert_int_equal(all->target.count, 2);
}

static void nulls_and_an_empty_file_say_nothing(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "name:\ncount: ~\nwait-time: null\nplugins:\n");
    assert_int_equal(read_all(f, &all), 0);
    assert_null(all->name);
    assert_int_equal(all->count, 7);
    config_destroy(f->config);
    f->config = NULL;
    file(f, "# nothing\n");
    assert_int_equal(read_all(f, &all), 0);
    config_destroy(f->config);
    f->config = NULL;
    file(f, "");
    assert_int_equal(read_all(f, &all), 0);
}

static void a_byte_order_mark_and_crlf_do_no_harm(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "\xef\xbb\xbfname: x\r\ncount: 9\r\n");
    assert_int_equal(read_all(f, &all), 0);
    assert_string_equal(all->name, "x");
    assert_int_equal(all->count, 9);
}

static void plugins_are_names_or_names_with_options(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    size_t n;
    file(f, "plugins:\n  - transport-ws\n  - auth-x:\n      own: a\n      name: b\n  - auth-y:\n");
    assert_int_equal(read_both(f, true, &all, &extra), 0);
    const struct config_plugin *plugins = config_plugins(f->config, &n);
    assert_int_equal(n, 3);
    assert_string_equal(plugins[0].name, "transport-ws");
    assert_string_equal(plugins[1].name, "auth-x");
    assert_true(plugins[1].from_file);
    assert_string_equal(extra->own, "a");
    assert_string_equal(extra->name, "b");
}

static void a_flag_beats_the_item_in_the_list(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    file(f, "own: top\nplugins:\n  - auth-x: {own: item, name: item}\n");
    FLAGS(f, "--name", "flag");
    assert_int_equal(read_both(f, false, &all, &extra), 0);
    assert_string_equal(extra->own, "item");
    assert_string_equal(extra->name, "flag");
}

static void plugin_flags_beat_the_variable_beats_the_file(void **state)
{
    struct fixture *f = *state;
    size_t n;
    file(f, "plugins: [auth-a, auth-b]\n");
    variable(f, "BURROW_PLUGINS=auth-c, auth-d");
    assert_int_equal(read_first(f), 0);
    const struct config_plugin *plugins = config_plugins(f->config, &n);
    assert_int_equal(n, 2);
    assert_string_equal(plugins[1].name, "auth-d");
    config_destroy(f->config);
    f->config = NULL;
    FLAGS(f, "--plugin", "auth-e");
    assert_int_equal(read_first(f), 0);
    plugins = config_plugins(f->config, &n);
    assert_int_equal(n, 1);
    assert_string_equal(plugins[0].name, "auth-e");
}

static void a_plugin_listed_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    file(f, "plugins: [auth-a, transport-ws, auth-a]\n");
    assert_int_equal(read_first(f), BURROW_EINVAL);
    assert_says(f, "auth-a is listed twice");
}

/* The file with this text is refused at this place and with this text. */
static void refused(struct fixture *f, const char *yaml, const char *place, const char *text)
{
    config_destroy(f->config);
    f->config = NULL;
    file(f, yaml);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, f->path);
    assert_says(f, place);
    assert_says(f, text);
}

static void wrong_values_are_refused_with_their_place(void **state)
{
    struct fixture *f = *state;
    refused(f, "name: x\ncount: 0\n", ":2:8: count:", "\"0\" is out of range");
    refused(f, "wait-time: 10\n", ":1:12: wait-time:", "\"10\" has no unit");
    refused(f, "count: [1, 2]\n", ":1:9: count:", "has 2 values");
}

static void unknown_keys_are_refused_with_the_nearest_name(void **state)
{
    struct fixture *f = *state;
    refused(f, "name: x\n\nbrige-host: y\n", ":3:1:", "did you mean bridge-host?");
    refused(f, "plugin: x\n", ":1:1:", "did you mean plugins?");
    refused(f, "config: x\n", ":1:1:", "not allowed");
}

static void keys_of_another_command_are_passed_over(void **state)
{
    struct fixture *f = *state;
    file(f, "client-id: x\ntls-ca: y\n");
    assert_int_equal(read_all(f, NULL), 0);
}

static void keys_of_a_plugin_that_is_not_in_use_are_refused_as_such(void **state)
{
    struct fixture *f = *state;
    refused(f, "jwt-issuer: x\n", ":1:1:", "belongs to auth-hmac");
}

static void unknown_options_of_a_listed_plugin_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    const struct extra *extra;
    file(f, "plugins:\n  - auth-x:\n      owm: a\n");
    assert_int_equal(read_both(f, true, &all, &extra), BURROW_EINVAL);
    assert_says(f, ":3:7: auth-x has no option \"owm\"; did you mean own?");
}

static void duplicate_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, "name: a\ncount: 1\nname: b\n", ":3:1:", "\"name\" is there twice, first in line 1");
    refused(f, "plugins:\n  - auth-x: {own: 1, own: 2}\n", ":2:22:", "twice");
}

static void anchors_aliases_and_tags_are_refused(void **state)
{
    struct fixture *f = *state;
    refused(f, "name: &a x\n", ":1:7:", "anchors");
    refused(f, "target: &a [x, x]\ncount: *a\n", ":1:9:", "anchors");
    refused(f, "name: *a\n", ":1:7:", "aliases");
    refused(f, "name: !!str x\n", ":1:7:", "tags");
    refused(f, "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", ":1:4:", "anchors");
}

static void maps_in_a_list_that_takes_them_are_texts_of_pairs(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    file(f, "maps:\n  - plain\n  - a: 1\n    b: x,y\n  - {c: 'k=v', d: }\n  - {}\n");
    assert_int_equal(read_all(f, &all), 0);
    assert_int_equal(all->maps.count, 4);
    assert_string_equal(all->maps.items[0], "plain");
    assert_string_equal(all->maps.items[1], ",a=1,b=x\\,y");
    assert_string_equal(all->maps.items[2], ",c=k=v,d=");
    assert_string_equal(all->maps.items[3], "");
}

static void maps_elsewhere_and_what_they_may_not_hold_is_refused(void **state)
{
    struct fixture *f = *state;
    static char longest[4096];
    refused(f, "target:\n  - a\n  - b: c\n", ":3:5:", "a map is not allowed here");
    refused(f, "maps:\n  - a: [b]\n", ":2:8:", "plain values");
    refused(f, "maps:\n  - a: {b: c}\n", ":2:8:", "plain values");
    refused(f, "maps: {a: b}\n", ":1:7:", "a map is not allowed here");
    int n = snprintf(longest, sizeof longest, "maps:\n  - a: ");
    memset(longest + n, 'x', 3000);
    refused(f, longest, ":2:8:", "too long");
}

static void wrong_shapes_are_refused_with_their_place(void **state)
{
    struct fixture *f = *state;
    refused(f, "- a\n- b\n", ":1:1:", "option: value");
    refused(f, "name: {a: b}\n", ":1:7:", "map");
    refused(f, "target: [[a]]\n", ":1:10:", "plain values");
    refused(f, "plugins: auth-x\n", ":1:10:", "list");
    refused(f, "plugins: [[a]]\n", ":1:11:", "name of a plugin");
    refused(f, "plugins:\n  - auth-x: 5\n", ":2:13:", "options");
    refused(f, "plugins:\n  - auth-x:\n    own: 5\n", ":3:5:", "one plugin");
    refused(f, "? [a]\n: b\n", ":1:3:", "name of an option");
    refused(f, "name: a\n---\nname: b\n", ":2:1:", "second document");
    refused(f, "name: 'a\n", ":", "found unexpected end of stream");
    refused(f, "name: \"a\\0b\"\n", ":1:7:", "NUL");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct fixture *f = *state;
    file_bytes(f, "name: \xff\xff\n", 9);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "UTF-8");
    file_bytes(f, "\0\1\2\3", 4);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
}

static void deep_nesting_ends_at_its_first_level(void **state)
{
    struct fixture *f = *state;
    size_t n = 500000;
    char *deep = malloc(n);
    assert_non_null(deep);
    memset(deep, '[', n);
    file_bytes(f, deep, n);
    free(deep);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, ":1:1:");
}

static void a_file_larger_than_a_mebibyte_is_refused(void **state)
{
    struct fixture *f = *state;
    file(f, "name: x\n");
    assert_int_equal(truncate(f->path, 1 << 30), 0);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "larger than 1 MiB");
}

static void more_than_a_thousand_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    char *text = malloc(1001 * 8 + 1);
    assert_non_null(text);
    for (int i = 0; i <= 1000; i++)
        snprintf(text + i * 8, 9, "k%04d: \n", i);
    file(f, text);
    free(text);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "1000 keys");
}

static void a_missing_default_file_is_no_error_but_a_named_one_is(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_all(f, NULL), 0);
    config_destroy(f->config);
    f->config = NULL;
    FLAGS(f, "--config", f->path);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "--config (BURROW_CONFIG): /tmp/burrow-test-");
    assert_says(f, "No such file");
}

/* As one who may not read f->path: root, whom no mode keeps out, is another user for that long. */
static int read_as_a_stranger(struct fixture *f)
{
    uid_t mine = geteuid();
    config_destroy(f->config);
    f->config = NULL;
    assert_int_equal(seteuid(mine == 0 ? 65534 : mine), 0);
    int rc = read_all(f, NULL);
    assert_int_equal(seteuid(mine), 0);
    return rc;
}

static void a_closed_default_file_counts_as_missing_but_a_named_one_is_an_error(void **state)
{
    struct fixture *f = *state;
    file(f, "no option: x\n");
    assert_int_equal(chmod(f->path, 0), 0);
    for (int folder = 0; folder < 2; folder++) {
        assert_int_equal(chmod(f->dir, folder ? 0 : 0755), 0);
        int rc = read_as_a_stranger(f);
        assert_int_equal(chmod(f->dir, 0755), 0);
        assert_int_equal(rc, 0);
        assert_string_equal(config_closed_file(f->config), f->path);
    }
    FLAGS(f, "--config", f->path);
    assert_int_equal(read_as_a_stranger(f), BURROW_EINVAL);
    assert_says(f, "--config (BURROW_CONFIG): /tmp/burrow-test-");
    assert_says(f, "Permission denied");
}

static void no_other_file_counts_as_closed(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_all(f, NULL), 0);
    assert_null(config_closed_file(f->config));
    config_destroy(f->config);
    f->config = NULL;
    file(f, "name: x\n");
    assert_int_equal(read_all(f, NULL), 0);
    assert_null(config_closed_file(f->config));
}

static void what_is_no_regular_file_is_refused(void **state)
{
    struct fixture *f = *state;
    FLAGS(f, "--config", f->dir);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "is a directory");
    FLAGS(f, "--config", "/dev/zero");
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "/dev/zero: is a device");
    assert_int_equal(mkfifo(f->path, 0600), 0);
    FLAGS(f, "--config", f->path);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, "is a FIFO");
}

static void the_variable_names_a_config_file_too(void **state)
{
    struct fixture *f = *state;
    const struct all *all;
    char text[160], other[80];
    snprintf(other, sizeof other, "%s/other", f->dir);
    snprintf(text, sizeof text, "BURROW_CONFIG=%s", other);
    variable(f, text);
    FILE *out = fopen(other, "w");
    assert_non_null(out);
    fputs("name: other\n", out);
    fclose(out);
    int rc = read_all(f, &all);
    unlink(other);
    assert_int_equal(rc, 0);
    assert_string_equal(all->name, "other");
}

static void a_secret_in_a_file_that_others_may_write_is_refused(void **state)
{
    struct fixture *f = *state;
    file(f, "name: x\nkey: s3cret\n");
    assert_int_equal(chmod(f->path, 0646), 0);
    assert_int_equal(read_all(f, NULL), BURROW_EINVAL);
    assert_says(f, ":2:1:");
    assert_says(f, "others may write");
    assert_says_not(f, "s3cret");
}

static void a_file_without_secrets_may_be_writable_by_others(void **state)
{
    struct fixture *f = *state;
    file(f, "name: x\n");
    assert_int_equal(chmod(f->path, 0666), 0);
    assert_int_equal(read_all(f, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_type_is_read_from_the_file),
        TEST(nulls_and_an_empty_file_say_nothing),
        TEST(a_byte_order_mark_and_crlf_do_no_harm),
        TEST(plugins_are_names_or_names_with_options),
        TEST(a_flag_beats_the_item_in_the_list),
        TEST(plugin_flags_beat_the_variable_beats_the_file),
        TEST(a_plugin_listed_twice_is_refused),
        TEST(wrong_values_are_refused_with_their_place),
        TEST(unknown_keys_are_refused_with_the_nearest_name),
        TEST(keys_of_another_command_are_passed_over),
        TEST(keys_of_a_plugin_that_is_not_in_use_are_refused_as_such),
        TEST(unknown_options_of_a_listed_plugin_are_refused),
        TEST(duplicate_keys_are_refused),
        TEST(anchors_aliases_and_tags_are_refused),
        TEST(maps_in_a_list_that_takes_them_are_texts_of_pairs),
        TEST(maps_elsewhere_and_what_they_may_not_hold_is_refused),
        TEST(wrong_shapes_are_refused_with_their_place),
        TEST(bytes_that_are_no_text_are_refused),
        TEST(deep_nesting_ends_at_its_first_level),
        TEST(a_file_larger_than_a_mebibyte_is_refused),
        TEST(more_than_a_thousand_keys_are_refused),
        TEST(a_missing_default_file_is_no_error_but_a_named_one_is),
        TEST(a_closed_default_file_counts_as_missing_but_a_named_one_is_an_error),
        TEST(no_other_file_counts_as_closed),
        TEST(what_is_no_regular_file_is_refused),
        TEST(the_variable_names_a_config_file_too),
        TEST(a_secret_in_a_file_that_others_may_write_is_refused),
        TEST(a_file_without_secrets_may_be_writable_by_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
