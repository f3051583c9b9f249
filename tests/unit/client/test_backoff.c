/* SPDX-License-Identifier: Apache-2.0 */
/* The pauses between attempts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/backoff.h"

#define MOST UINT32_MAX /* the random number that gives the longest pause */

static uint64_t longest(struct backoff *b, enum backoff_cause cause)
{
    return backoff_next(b, cause, MOST) + 1; /* the range is half open */
}

static void pauses_double_up_to_their_limit(void **state)
{
    (void)state;
    static const struct {
        enum backoff_cause cause;
        uint64_t limits[7];
    } rows[] = {
        {BACKOFF_NETWORK, {1000, 2000, 4000, 8000, 15000, 15000, 15000}},
        {BACKOFF_REFUSED, {5000, 10000, 20000, 40000, 60000, 60000, 60000}},
        {BACKOFF_NOT_YET_VALID, {2000, 4000, 8000, 16000, 30000, 30000, 30000}},
        {BACKOFF_EXPIRED_INLINE, {15000, 30000, 60000, 120000, 120000, 120000, 120000}},
        {BACKOFF_EXPIRED_FILE, {1000, 2000, 4000, 8000, 10000, 10000, 10000}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct backoff b;
        backoff_init(&b, 1000, 5000);
        for (size_t n = 0; n < 7; n++)
            assert_in_range(longest(&b, rows[i].cause), rows[i].limits[n] - 1, rows[i].limits[n]);
    }
}

static void the_jitter_is_full(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 1000, 5000);
    assert_int_equal(backoff_next(&b, BACKOFF_NETWORK, 0), BACKOFF_FLOOR_MS);
    assert_int_equal(backoff_next(&b, BACKOFF_NETWORK, UINT32_MAX / 2 + 1), 1000);
}

static void each_cause_counts_its_own_failures(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 1000, 5000);
    for (int i = 0; i < 10; i++)
        backoff_next(&b, BACKOFF_NETWORK, MOST);
    assert_in_range(longest(&b, BACKOFF_REFUSED), 4999, 5000);
}

static void a_long_session_begins_anew(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 1000, 5000);
    for (int i = 0; i < 10; i++)
        backoff_next(&b, BACKOFF_NETWORK, MOST);
    backoff_after_session(&b, BACKOFF_LONG_SESSION_MS - 1);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 14999, 15000);
    backoff_after_session(&b, BACKOFF_LONG_SESSION_MS);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 999, 1000);
}

static void after_a_server_that_stops_the_pauses_stay_short_for_a_while(void **state)
{
    (void)state;
    struct backoff b;
    uint64_t passed = 0;
    backoff_init(&b, 1000, 5000);
    for (int i = 0; i < 8; i++)
        (void)longest(&b, BACKOFF_NETWORK);
    backoff_begin_anew(&b);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 999, 1000);
    for (passed = 1000; passed < BACKOFF_SOON_MS; passed += 2000)
        assert_in_range(longest(&b, BACKOFF_NETWORK), 1999, 2000);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 14999, 15000);
}

static void who_was_superseded_waits_a_minute_at_least(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 1000, 5000);
    for (int i = 0; i < 20; i++) {
        assert_in_range(backoff_next(&b, BACKOFF_SUPERSEDED, 0), 60000, 60000);
        assert_in_range(backoff_next(&b, BACKOFF_SUPERSEDED, MOST), 64000, 66000);
    }
}

static void a_first_pause_above_the_limit_raises_it(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 100000, 5000);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 99999, 100000);
    assert_in_range(longest(&b, BACKOFF_NETWORK), 99999, 100000);
}

static void a_short_first_pause_is_kept(void **state)
{
    (void)state;
    struct backoff b;
    backoff_init(&b, 20, 5000);
    assert_int_equal(backoff_next(&b, BACKOFF_NETWORK, 0), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_double_up_to_their_limit),
        cmocka_unit_test(the_jitter_is_full),
        cmocka_unit_test(each_cause_counts_its_own_failures),
        cmocka_unit_test(a_long_session_begins_anew),
        cmocka_unit_test(after_a_server_that_stops_the_pauses_stay_short_for_a_while),
        cmocka_unit_test(who_was_superseded_waits_a_minute_at_least),
        cmocka_unit_test(a_first_pause_above_the_limit_raises_it),
        cmocka_unit_test(a_short_first_pause_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
