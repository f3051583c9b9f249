/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers have their room, are used again, and are counted. */
#include "base/pool.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void a_fresh_buffer_has_headroom_and_exactly_its_class_of_room(void **state)
{
    (void)state;
    static const struct {
        size_t asked, room;
    } cases[] = {{0, POOL_SMALL},          {1, POOL_SMALL},
                 {POOL_SMALL, POOL_SMALL}, {POOL_SMALL + 1, POOL_LARGE},
                 {POOL_LARGE, POOL_LARGE}, {POOL_LARGE + 1, POOL_LARGE + 1},
                 {64 * 1024, 64 * 1024}};
    struct pool *pool = pool_create();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct burrow_buf *b = pool_get(pool, cases[i].asked);
        assert_non_null(b);
        assert_null(b->next);
        assert_int_equal(b->off, POOL_HEADROOM);
        assert_int_equal(b->len, 0);
        assert_int_equal(buf_room(b), cases[i].room);
        memset(b->base, 0xa5, b->capacity); /* all of it is ours (AddressSanitizer) */
        pool_put(pool, b);
    }
    pool_destroy(pool);
}

static void a_fresh_payload_begins_on_a_cache_line(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    static const size_t sizes[] = {1, POOL_LARGE, 40000};
    for (size_t i = 0; i < 3; i++) {
        struct burrow_buf *b = pool_get(pool, sizes[i]);
        assert_int_equal((uintptr_t)buf_data(b) % 64, 0);
        pool_put(pool, b);
    }
    pool_destroy(pool);
}

static void more_than_the_biggest_buffer_is_refused(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    assert_null(pool_get(pool, 64 * 1024 + 1));
    assert_null(pool_get(pool, SIZE_MAX));
    assert_int_equal(pool_in_use(pool), 0);
    pool_destroy(pool);
}

static void the_last_buffer_given_back_is_the_next_given_out_and_is_fresh(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct burrow_buf *a = pool_get(pool, 1000), *b = pool_get(pool, 1000);
    assert_ptr_not_equal(a, b);
    b->off = 3;
    b->len = 99;
    b->next = NULL;
    b->mask[0] = 5;
    pool_put(pool, a);
    pool_put(pool, b);
    struct burrow_buf *again = pool_get(pool, 1000);
    assert_ptr_equal(again, b);
    assert_int_equal(again->off, POOL_HEADROOM);
    assert_int_equal(again->len, 0);
    assert_int_equal(again->mask[0], 0);
    pool_put(pool, again);
    pool_destroy(pool);
}

static void buffers_that_are_out_are_counted(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct burrow_buf *small = pool_get(pool, 1), *large = pool_get(pool, POOL_LARGE),
                      *big = pool_get(pool, 50000);
    size_t all = (size_t)small->capacity + large->capacity + big->capacity;
    assert_int_equal(pool_in_use(pool), all);
    pool_put(pool, large);
    assert_int_equal(pool_in_use(pool), (size_t)small->capacity + big->capacity);
    small->next = big;
    pool_put(pool, small);
    assert_int_equal(pool_in_use(pool), 0);
    pool_put(pool, NULL);
    pool_destroy(pool);
}

static void a_flood_of_buffers_is_given_back_to_the_system(void **state)
{
    (void)state;
    struct pool *pool = pool_create();
    struct burrow_buf *chain = NULL;
    for (int i = 0; i < 2000; i++) { /* 32 MiB, of which 8 MiB are kept */
        struct burrow_buf *b = pool_get(pool, POOL_LARGE);
        assert_non_null(b);
        b->next = chain;
        chain = b;
    }
    pool_put(pool, chain);
    assert_int_equal(pool_in_use(pool), 0);
    pool_destroy(pool); /* LeakSanitizer counts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_buffer_has_headroom_and_exactly_its_class_of_room),
        cmocka_unit_test(a_fresh_payload_begins_on_a_cache_line),
        cmocka_unit_test(more_than_the_biggest_buffer_is_refused),
        cmocka_unit_test(the_last_buffer_given_back_is_the_next_given_out_and_is_fresh),
        cmocka_unit_test(buffers_that_are_out_are_counted),
        cmocka_unit_test(a_flood_of_buffers_is_given_back_to_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
