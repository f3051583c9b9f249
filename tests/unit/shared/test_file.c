/* SPDX-License-Identifier: Apache-2.0 */
/* Small files read whole: the bound, and what an operator may name by mistake. */
#include "file.h"
#include "test_certs.h"

#include <burrow/plugin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_file_is_read_to_its_limit_and_no_byte_more(void **state)
{
    (void)state;
    char why[FILE_WHY] = "", *dir = test_dir_make();
    char *path = test_text_write(dir, "four", "four");
    struct file_bytes bytes = {NULL, 0};
    for (size_t max = 3; max <= 5; max++) {
        int r = file_read(path, max, true, &bytes, why);
        assert_int_equal(r, max < 4 ? BURROW_EINVAL : BURROW_OK);
        if (r < 0) {
            assert_non_null(strstr(why, "larger than 3 bytes"));
            assert_null(bytes.data);
            continue;
        }
        assert_int_equal(bytes.len, 4);
        assert_string_equal(bytes.data, "four");
        file_free(&bytes);
    }
    file_free(&bytes);
    free(path);
    test_dir_remove(dir);
}

static void what_is_no_regular_file_is_refused_without_waiting(void **state)
{
    (void)state;
    char why[FILE_WHY], fifo[512], *dir = test_dir_make();
    struct file_bytes bytes = {NULL, 0};
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const char *const paths[] = {fifo, dir, "/dev/zero"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(file_read(paths[i], 100, false, &bytes, why), BURROW_EINVAL);
        assert_non_null(strstr(why, "is not a regular file"));
    }
    assert_int_equal(file_read("/no/such/file", 100, false, &bytes, why), BURROW_EINVAL);
    assert_non_null(strstr(why, "cannot open \"/no/such/file\""));
    assert_null(bytes.data);
    test_dir_remove(dir);
}

static void a_file_that_everybody_may_write_is_not_trusted(void **state)
{
    (void)state;
    char why[FILE_WHY], *dir = test_dir_make();
    char *path = test_text_write(dir, "open", "x");
    struct file_bytes bytes = {NULL, 0};
    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(file_read(path, 100, true, &bytes, why), BURROW_EINVAL);
    assert_non_null(strstr(why, "everyone may write"));
    assert_int_equal(file_read(path, 100, false, &bytes, why), BURROW_OK);
    file_free(&bytes);
    free(path);
    test_dir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_to_its_limit_and_no_byte_more),
        cmocka_unit_test(what_is_no_regular_file_is_refused_without_waiting),
        cmocka_unit_test(a_file_that_everybody_may_write_is_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
