/* SPDX-License-Identifier: Apache-2.0 */
/* Whether there is memory to be had. tests/faults tries it at a limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"

static void a_little_is_there(void **state)
{
    (void)state;
    assert_true(memory_has_room(1 << 20));
}

static void more_than_an_address_space_is_not(void **state)
{
    (void)state;
    assert_false(memory_has_room(SIZE_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_little_is_there),
        cmocka_unit_test(more_than_an_address_space_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
