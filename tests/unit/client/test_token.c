/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens from the configuration and from files, and the end that they claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/token.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/burrow-token-XXXXXX", P_tmpdir);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    *state = path;
    return 0;
}

static int teardown(void **state)
{
    unlink(*state);
    return 0;
}

static void put(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static void a_file_is_read_afresh_and_trimmed(void **state)
{
    const struct token_source source = {.file = *state};
    char *token = NULL;
    put(*state, " \n abc.def.ghi\r\n", 16);
    assert_int_equal(token_load(&source, &token, NULL), 0);
    assert_string_equal(token, "abc.def.ghi");
    token_free(token);
    put(*state, "new", 3);
    assert_int_equal(token_load(&source, &token, NULL), 0);
    assert_string_equal(token, "new");
    token_free(token);
}

static void a_literal_token_is_copied(void **state)
{
    (void)state;
    const struct token_source source = {.literal = {(const uint8_t *)"abcdef", 3}};
    char *token = NULL;
    assert_int_equal(token_load(&source, &token, NULL), 0);
    assert_string_equal(token, "abc");
    token_free(token);
}

static void no_source_is_no_token(void **state)
{
    (void)state;
    const struct token_source source = {0};
    char *token = (char *)1;
    assert_int_equal(token_load(&source, &token, NULL), 0);
    assert_null(token);
}

static void refused(const char *path, const char *word)
{
    const struct token_source source = {.file = path};
    struct error err = {0};
    char *token = NULL;
    assert_true(token_load(&source, &token, &err) < 0);
    assert_null(token);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, word));
}

static void bad_files_are_named(void **state)
{
    const char *path = *state;
    refused("/nonexistent/token", "No such file");
    refused("/", "not a regular file");
    put(path, "  \n", 3);
    refused(path, "empty");
    put(path, "a b", 3);
    refused(path, "printable");
    put(path, "a\0b", 3);
    refused(path, "printable");
    put(path, "\xff\xfe", 2);
    refused(path, "printable");
}

static void a_fifo_does_not_hang_the_client(void **state)
{
    const char *path = *state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, "not a regular file");
}

static void a_file_may_hold_8192_characters_and_no_more(void **state)
{
    const char *path = *state;
    const struct token_source source = {.file = path};
    static char text[TOKEN_MAX + 1];
    char *token = NULL;
    memset(text, 't', sizeof text);
    put(path, text, TOKEN_MAX);
    assert_int_equal(token_load(&source, &token, NULL), 0);
    assert_int_equal(strlen(token), TOKEN_MAX);
    token_free(token);
    put(path, text, TOKEN_MAX + 1);
    refused(path, "at most");
}

static void exp_is_read_in_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *token;
        int64_t expiry;
    } rows[] = {
        {"e30.eyJleHAiOjE3MDAwMDAwMDB9.x", 1700000000000},       /* {"exp":1700000000} */
        {"e30.eyJhIjp7ImV4cCI6MX0sImV4cCI6Mn0.x", 2000},         /* {"a":{"exp":1},"exp":2} */
        {"e30.eyJzdWIiOiJcImV4cFwiOjkiLCJleHAiOjMuNX0.x", 3500}, /* {"sub":"\"exp\":9","exp":3.5} */
        {"e30.eyJzdWIiOiJleHAifQ.x", 0},                         /* {"sub":"exp"} */
        {"e30.eyJleHAiOiIxIn0.x", 0},                            /* {"exp":"1"} */
        {"e30.eyJleHAiOi0xfQ.x", 0},                             /* {"exp":-1} */
        {"e30.eyJleHAiOjFlNDAwfQ.x", 0},                         /* {"exp":1e400} */
        {"e30.eyJleHAi.x", 0},                                   /* cut */
        {"e30.!!!.x", 0},
        {"abc", 0},
        {"abc.def", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(token_expiry_ms(rows[i].token), rows[i].expiry);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(a_file_is_read_afresh_and_trimmed),
        cmocka_unit_test(a_literal_token_is_copied),
        cmocka_unit_test(no_source_is_no_token),
        FILE_TEST(bad_files_are_named),
        FILE_TEST(a_fifo_does_not_hang_the_client),
        FILE_TEST(a_file_may_hold_8192_characters_and_no_more),
        cmocka_unit_test(exp_is_read_in_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
