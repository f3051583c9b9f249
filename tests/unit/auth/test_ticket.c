/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets: what a late answer finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/ticket.h"
#include "fake_loop.h"

struct rig {
    struct loop *loop;
    struct ticket_pool *pool;
};

static int setup(void **state)
{
    static struct rig rig;
    rig.loop = loop_create();
    rig.pool = ticket_pool_create(rig.loop, &rig);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    ticket_pool_destroy(rig->pool);
    loop_destroy(rig->loop);
    return 0;
}

static void a_ticket_leads_to_its_owner_and_keeper(void **state)
{
    struct rig *rig = *state;
    int owner;
    struct ticket *ticket = ticket_issue(rig->pool, &owner, NULL);
    assert_ptr_equal(ticket_owner(ticket), &owner);
    assert_ptr_equal(ticket_keeper(ticket), rig);
}

static void a_retired_ticket_has_no_owner_but_its_keeper(void **state)
{
    struct rig *rig = *state;
    int owner;
    struct ticket *ticket = ticket_issue(rig->pool, &owner, NULL);
    ticket_retire(ticket);
    assert_null(ticket_owner(ticket));
    assert_ptr_equal(ticket_keeper(ticket), rig);
}

static void a_retired_ticket_knows_who_was_asked(void **state)
{
    struct rig *rig = *state;
    int owner, asked;
    struct ticket *ticket = ticket_issue(rig->pool, &owner, &asked);
    ticket_retire(ticket);
    assert_ptr_equal(ticket_asked(ticket), &asked);
}

static void a_retired_ticket_is_not_used_again_within_a_minute(void **state)
{
    struct rig *rig = *state;
    int one, two;
    struct ticket *first = ticket_issue(rig->pool, &one, NULL);
    ticket_retire(first);
    fake_loop_advance(rig->loop, 59999);
    assert_ptr_not_equal(ticket_issue(rig->pool, &two, NULL), first);
    assert_null(ticket_owner(first));
}

static void a_rested_ticket_is_used_again(void **state)
{
    struct rig *rig = *state;
    int one, two;
    struct ticket *first = ticket_issue(rig->pool, &one, NULL);
    ticket_retire(first);
    fake_loop_advance(rig->loop, 60000);
    assert_ptr_equal(ticket_issue(rig->pool, &two, NULL), first);
    assert_ptr_equal(ticket_owner(first), &two);
}

static void tickets_are_reused_in_the_order_of_their_retirement(void **state)
{
    struct rig *rig = *state;
    int owner;
    struct ticket *a = ticket_issue(rig->pool, &owner, NULL),
                  *b = ticket_issue(rig->pool, &owner, NULL);
    ticket_retire(b);
    ticket_retire(a);
    fake_loop_advance(rig->loop, 60000);
    assert_ptr_equal(ticket_issue(rig->pool, &owner, NULL), b);
    assert_ptr_equal(ticket_issue(rig->pool, &owner, NULL), a);
}

static void memory_for_tickets_is_bounded(void **state)
{
    struct rig *rig = *state;
    int owner;
    struct ticket *first = ticket_issue(rig->pool, &owner, NULL);
    ticket_retire(first);
    for (int i = 1; i < 16384; i++)
        ticket_retire(ticket_issue(rig->pool, &owner, NULL));
    assert_ptr_equal(ticket_issue(rig->pool, &owner, NULL), first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_ticket_leads_to_its_owner_and_keeper),
        TEST(a_retired_ticket_has_no_owner_but_its_keeper),
        TEST(a_retired_ticket_knows_who_was_asked),
        TEST(a_retired_ticket_is_not_used_again_within_a_minute),
        TEST(a_rested_ticket_is_used_again),
        TEST(tickets_are_reused_in_the_order_of_their_retirement),
        TEST(memory_for_tickets_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
