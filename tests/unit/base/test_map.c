/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table without memory says so and is as it was before. */
#include <stdlib.h>

static int allocations_left;
static void *failing_malloc(size_t n)
{
    return allocations_left-- > 0 ? malloc(n) : NULL;
}
#define uthash_malloc(n) failing_malloc(n)

#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    uint64_t key;
    UT_hash_handle by_key;
};

static void an_added_element_is_found(void **state)
{
    (void)state;
    struct item item = {.key = 7}, *table = NULL, *found;
    uint64_t key = 7;
    allocations_left = 2;
    HASH_ADD(by_key, table, key, sizeof item.key, &item);
    assert_true(map_added(&item, by_key));
    HASH_FIND(by_key, table, &key, sizeof key, found);
    assert_ptr_equal(found, &item);
    HASH_DELETE(by_key, table, &item);
    assert_null(table);
}

static void the_first_element_is_refused_without_memory(void **state)
{
    (void)state;
    for (int n = 0; n < 2; n++) { /* the table, its buckets */
        struct item item = {.key = 7}, *table = NULL;
        allocations_left = n;
        HASH_ADD(by_key, table, key, sizeof item.key, &item);
        assert_false(map_added(&item, by_key));
        assert_null(table);
    }
}

static void a_table_that_cannot_grow_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    enum { MANY = 4096 };
    struct item *items = calloc(MANY, sizeof *items), *table = NULL, *found;
    size_t added = 0, refused = 0;
    assert_non_null(items);
    allocations_left = 2;
    for (size_t i = 0; i < MANY; i++) {
        struct item *item = &items[i];
        item->key = i;
        HASH_ADD(by_key, table, key, sizeof item->key, item);
        if (map_added(item, by_key))
            added++;
        else
            refused++;
    }
    assert_true(added > 0);
    assert_true(refused > 0);
    assert_int_equal(HASH_CNT(by_key, table), added);
    for (size_t i = 0; i < MANY; i++) {
        HASH_FIND(by_key, table, &items[i].key, sizeof items[i].key, found);
        assert_ptr_equal(found, map_added(&items[i], by_key) ? &items[i] : NULL);
    }
    while (table != NULL) {
        found = table;
        HASH_DELETE(by_key, table, found);
    }
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_added_element_is_found),
        cmocka_unit_test(the_first_element_is_refused_without_memory),
        cmocka_unit_test(a_table_that_cannot_grow_refuses_and_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
