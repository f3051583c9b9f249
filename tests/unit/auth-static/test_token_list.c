/* SPDX-License-Identifier: Apache-2.0 */
/* The file of tokens: what is read from it, what is refused, and who is found. */
#include "token_list.h"

#include <burrow/plugin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* SHA-256 of "test" and of "hello". */
#define TEST_HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define HELLO_HASH "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

struct folder {
    char path[32], file[64];
};

static int set_up(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    snprintf(f->path, sizeof f->path, "/tmp/tokens-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->file, sizeof f->file, "%s/tokens", f->path);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *f = *state;
    unlink(f->file);
    rmdir(f->path);
    free(f);
    return 0;
}

static void put(const struct folder *f, const void *text, size_t n)
{
    FILE *file = fopen(f->file, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->file, 0600), 0);
}

static struct token_list good(const struct folder *f, const char *text)
{
    struct token_list list;
    char why[TOKEN_LIST_WHY] = "";
    put(f, text, strlen(text));
    if (token_list_read(f->file, &list, why) != BURROW_OK)
        fail_msg("%s", why);
    return list;
}

static const struct token_entry *find(const struct token_list *list, const char *token)
{
    const struct token_entry *entry = NULL;
    assert_int_equal(token_list_find(list, token, strlen(token), &entry), BURROW_OK);
    return entry;
}

static void a_token_is_found_by_its_hash(void **state)
{
    struct token_list list = good(*state, TEST_HASH " client-a\n" HELLO_HASH " client-b");
    assert_int_equal(list.count, 2);
    assert_string_equal(find(&list, "test")->subject, "client-a");
    assert_string_equal(find(&list, "hello")->subject, "client-b");
    assert_null(find(&list, "Test"));
    assert_null(find(&list, TEST_HASH));
    assert_null(find(&list, ""));
    assert_int_equal(find(&list, "test")->expires_ms, 0);
    assert_null(find(&list, "test")->grants);
    token_list_free(&list);
}

static void comments_empty_lines_and_odd_space_do_not_count(void **state)
{
    struct token_list list =
        good(*state, "# a comment\n\n   \t\n  # another\r\n\t" TEST_HASH "\t \tclient-a  \r\n");
    assert_int_equal(list.count, 1);
    assert_string_equal(find(&list, "test")->subject, "client-a");
    assert_int_equal(find(&list, "test")->line, 5);
    token_list_free(&list);
}

static void the_hash_may_have_capitals(void **state)
{
    struct token_list list =
        good(*state, "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08 client-a\n");
    assert_non_null(find(&list, "test"));
    token_list_free(&list);
}

static void a_line_may_say_when_it_ends_and_what_it_grants(void **state)
{
    struct token_list list =
        good(*state, TEST_HASH " client-a expires=2027-01-31T00:00:00Z grants={\"services\": "
                               "[\"a\"],  \"max_streams\": 3} \n" HELLO_HASH " client-b grants={}");
    const struct token_entry *entry = find(&list, "test");
    assert_int_equal(entry->expires_ms, 1801353600000);
    assert_string_equal(entry->grants, "{\"services\": [\"a\"],  \"max_streams\": 3}");
    assert_string_equal(find(&list, "hello")->grants, "{}");
    token_list_free(&list);
}

static void an_empty_file_is_a_list_of_nobody(void **state)
{
    struct token_list list = good(*state, "");
    assert_int_equal(list.count, 0);
    assert_null(find(&list, "test"));
    token_list_free(&list);
}

#define LONG_SUBJECT                                                                               \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                             \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void a_subject_has_at_most_128_bytes(void **state)
{
    struct token_list list = good(*state, TEST_HASH " " LONG_SUBJECT "\n");
    assert_int_equal(strlen(find(&list, "test")->subject), 128);
    token_list_free(&list);
}

/* Each with a word of its error. */
static const struct {
    const char *text, *word;
} BAD[] = {
    {"client-a " TEST_HASH "\n", "line 1: expected the SHA-256"},
    {"# x\n" TEST_HASH "0 client-a\n", "line 2: expected the SHA-256"},
    {"9f86d081 client-a\n", "SHA-256"},
    {"g" TEST_HASH " client-a\n", "SHA-256"},
    {TEST_HASH "\n", "subject"},
    {TEST_HASH "  \n", "subject"},
    {TEST_HASH " a" LONG_SUBJECT "\n", "subject"},
    {TEST_HASH " cl\x1bient\n", "subject"},
    {TEST_HASH " client a\n", "behind the subject"},
    {TEST_HASH " client-a expires=\n", "expires="},
    {TEST_HASH " client-a expires=tomorrow\n", "expires="},
    {TEST_HASH " client-a expires=2027-02-30T00:00:00Z\n", "expires="},
    {TEST_HASH " client-a expires=2027-01-31\n", "expires="},
    {TEST_HASH " client-a expires=1970-01-01T00:00:00Z\n", "expires="},
    {TEST_HASH " client-a expires=2027-01-31T00:00:00Z expires=2027-01-31T00:00:00Z\n", "behind"},
    {TEST_HASH " client-a grants=\n", "grants="},
    {TEST_HASH " client-a grants=[]\n", "grants="},
    {TEST_HASH " client-a Grants={}\n", "behind the subject"},
    {TEST_HASH " client-a # mine\n", "behind the subject"},
    {TEST_HASH " client-a\n" TEST_HASH " client-b\n", "line 2: the same token"},
};

static void whatever_is_not_understood_is_an_error_that_names_the_line(void **state)
{
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct token_list list;
        char why[TOKEN_LIST_WHY] = "";
        put(*state, BAD[i].text, strlen(BAD[i].text));
        if (token_list_read(((struct folder *)*state)->file, &list, why) != BURROW_EINVAL)
            fail_msg("taken: %s", BAD[i].text);
        if (strstr(why, BAD[i].word) == NULL)
            fail_msg("\"%s\" has no \"%s\"", why, BAD[i].word);
    }
}

static void expect_refusal(const struct folder *f, const char *word)
{
    struct token_list list;
    char why[TOKEN_LIST_WHY] = "";
    assert_int_equal(token_list_read(f->file, &list, why), BURROW_EINVAL);
    if (strstr(why, word) == NULL || strstr(why, f->file) == NULL)
        fail_msg("\"%s\" has no \"%s\"", why, word);
}

static void a_file_must_be_a_small_text_that_not_everyone_may_write(void **state)
{
    const struct folder *f = *state;
    expect_refusal(f, "No such file");
    put(f, TEST_HASH " a\0b", sizeof TEST_HASH + 3);
    expect_refusal(f, "not a text file");
    put(f, TEST_HASH " client-a\n", sizeof TEST_HASH + 9);
    assert_int_equal(chmod(f->file, 0602), 0);
    expect_refusal(f, "chmod o-w");
    assert_int_equal(chmod(f->file, 0600), 0);
    assert_int_equal(truncate(f->file, TOKEN_LIST_MAX + 1), 0);
    expect_refusal(f, "larger than");
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    expect_refusal(f, "not a regular file");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_found_by_its_hash),
        TEST(comments_empty_lines_and_odd_space_do_not_count),
        TEST(the_hash_may_have_capitals),
        TEST(a_line_may_say_when_it_ends_and_what_it_grants),
        TEST(an_empty_file_is_a_list_of_nobody),
        TEST(a_subject_has_at_most_128_bytes),
        TEST(whatever_is_not_understood_is_an_error_that_names_the_line),
        TEST(a_file_must_be_a_small_text_that_not_everyone_may_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
