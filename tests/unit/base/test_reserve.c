/* SPDX-License-Identifier: Apache-2.0 */
/* The reserve for libev, where the system refuses memory until the reserve is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reserve.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);

static bool none_left;

void *__wrap_malloc(size_t n) /* compilers call it for realloc(NULL, n) */
{
    return none_left ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return none_left ? NULL : __real_realloc(p, n);
}

static int setup(void **state)
{
    (void)state;
    none_left = false;
    reserve_fill();
    return 0;
}

static void it_gives_when_the_system_gives_nothing(void **state)
{
    (void)state;
    char *p = reserve_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    none_left = true;
    p = reserve_realloc(p, 4096);
    assert_non_null(p);
    assert_string_equal(p, "abc");
    assert_null(reserve_realloc(p, 0));
}

/* As an array of libev's grows while memory stays full. */
static void it_gives_again_and_again(void **state)
{
    (void)state;
    none_left = true;
    unsigned char *one = NULL, *other = NULL;
    for (long n = 64; n <= 256 * 1024; n *= 2) {
        one = reserve_realloc(one, n);
        other = reserve_realloc(other, n);
        assert_non_null(one);
        assert_non_null(other);
        assert_int_equal((uintptr_t)one % _Alignof(max_align_t), 0);
        for (long i = 0; n > 64 && i < n / 2; i++) {
            assert_int_equal(one[i], 1);
            assert_int_equal(other[i], 2);
        }
        memset(one, 1, (size_t)n);
        memset(other, 2, (size_t)n);
    }
    assert_null(reserve_realloc(one, 0));
    assert_null(reserve_realloc(other, 0));
}

static void what_it_gave_goes_back_to_the_system(void **state)
{
    (void)state;
    none_left = true;
    char *p = reserve_realloc(NULL, 4), *q;
    assert_non_null(p);
    memcpy(p, "abc", 4);
    none_left = false;
    q = reserve_realloc(p, 8);
    assert_ptr_not_equal(q, p);
    assert_string_equal(q, "abc");
    none_left = true;
    assert_ptr_equal(reserve_realloc(NULL, 4), p); /* all of it is free again */
    assert_null(reserve_realloc(p, 0));
    assert_null(reserve_realloc(q, 0));
}

static void when_it_is_full_the_old_block_stays(void **state)
{
    (void)state;
    none_left = true;
    char *p = reserve_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    assert_null(reserve_realloc(p, 64L << 20));
    assert_string_equal(p, "abc");
    assert_null(reserve_realloc(p, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_gives_when_the_system_gives_nothing, setup),
        cmocka_unit_test_setup(it_gives_again_and_again, setup),
        cmocka_unit_test_setup(what_it_gave_goes_back_to_the_system, setup),
        cmocka_unit_test_setup(when_it_is_full_the_old_block_stays, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
