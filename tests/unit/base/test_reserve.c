/* SPDX-License-Identifier: Apache-2.0 */
/* The reserve for libev, where the system refuses memory until the reserve is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/reserve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LARGE (1u << 20) /* the reserve is the one block of more than this */

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static struct {
    void *reserve;
    bool none_left; /* for realloc */
} system_memory;

void *__wrap_malloc(size_t n)
{
    void *p = __real_malloc(n);
    if (n > LARGE)
        system_memory.reserve = p;
    return p;
}

void *__wrap_realloc(void *p, size_t n)
{
    return system_memory.none_left ? NULL : __real_realloc(p, n);
}

void __wrap_free(void *p)
{
    if (p != NULL && p == system_memory.reserve) {
        system_memory.reserve = NULL;
        system_memory.none_left = false;
    }
    __real_free(p);
}

static void it_is_given_up_when_the_system_gives_nothing(void **state)
{
    (void)state;
    reserve_fill();
    assert_non_null(system_memory.reserve);
    char *p = reserve_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    system_memory.none_left = true;
    p = reserve_realloc(p, 4096);
    assert_non_null(p);
    assert_string_equal(p, "abc");
    assert_null(system_memory.reserve);
    assert_null(reserve_realloc(p, 0));
}

static void without_it_the_old_block_stays(void **state)
{
    (void)state;
    reserve_fill();
    system_memory.none_left = true;
    char *p = reserve_realloc(NULL, 4);
    assert_null(system_memory.reserve);
    memcpy(p, "abc", 4);
    system_memory.none_left = true;
    assert_null(reserve_realloc(p, 4096));
    assert_string_equal(p, "abc");
    system_memory.none_left = false;
    assert_null(reserve_realloc(p, 0));
}

static void it_is_filled_again(void **state)
{
    (void)state;
    reserve_fill();
    void *first = system_memory.reserve;
    assert_non_null(first);
    reserve_fill();
    assert_ptr_equal(system_memory.reserve, first);
    system_memory.none_left = true;
    void *p = reserve_realloc(NULL, 4096);
    assert_non_null(p);
    assert_null(reserve_realloc(p, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_given_up_when_the_system_gives_nothing),
        cmocka_unit_test(without_it_the_old_block_stays),
        cmocka_unit_test(it_is_filled_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
