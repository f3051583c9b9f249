/* SPDX-License-Identifier: Apache-2.0 */
/* What registries are told, when, and what happens when they fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

static void a_client_is_published_with_its_bridge(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    assert_int_equal(rig->registry.published, 1);
    assert_string_equal(rig->registry.client, "pg");
    assert_string_equal(rig->registry.target, "127.0.0.1:9");
    assert_int_equal(rig->registry.services, 1);
    assert_int_equal(rig->registry.port,
                     TAILQ_FIRST(&rig_record(rig, "pg")->bridges)->acceptor.local.port);
}

static void a_failed_operation_is_tried_again(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = BURROW_EIO;
    rig_client(rig, "pg", 'a');
    assert_int_equal(rig->registry.published, 1);
    fake_loop_advance(rig->loop, 1500); /* the first pause at its longest */
    const unsigned tries = rig->registry.published;
    assert_in_range(tries, 2, 3); /* short pauses leave room for one more */
    rig->registry.result = 0;
    fake_loop_advance(rig->loop, 10000);
    assert_int_equal(rig->registry.published, tries + 1);
    fake_loop_advance(rig->loop, 120000);
    assert_int_equal(rig->registry.published, tries + 1);
}

static void one_operation_is_under_way_at_a_time(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = INT32_MAX;
    rig_client(rig, "pg", 'a');
    rig_client(rig, "pg", 'a');
    rig_client(rig, "pg", 'a');
    assert_int_equal(rig->registry.published, 1);
    rig->registry.host->done(rig->registry.op, 0, NULL);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->registry.published, 2);
    rig->registry.host->done(rig->registry.op, 0, NULL);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->registry.published, 2);
}

static void who_is_gone_for_long_is_withdrawn_and_then_forgotten(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    recorder_closed(rig_client(rig, "pg", 'a'), BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_settle(rig->loop);
    rig->registry.result = INT32_MAX;
    assert_int_equal(rig->registry.withdrawn, 0);
    fake_loop_advance(rig->loop, 660000);
    assert_int_equal(rig->registry.withdrawn, 1);
    assert_non_null(clients_find(rig->server, "pg"));
    assert_true(TAILQ_EMPTY(&rig_record(rig, "pg")->bridges));
    rig->registry.host->done(rig->registry.op, 0, NULL);
    fake_loop_settle(rig->loop);
    assert_null(clients_find(rig->server, "pg"));
}

static void who_comes_back_during_the_withdrawal_is_published_again(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    recorder_closed(rig_client(rig, "pg", 'a'), BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_settle(rig->loop);
    rig->registry.result = INT32_MAX;
    fake_loop_advance(rig->loop, 660000);
    rig_client(rig, "pg", 'a');
    assert_int_equal(rig->registry.published, 1);
    rig->registry.result = 0;
    rig->registry.host->done(rig->registry.op, 0, NULL);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->registry.published, 2);
    assert_non_null(rig_record(rig, "pg")->attachment);
}

static void what_an_earlier_life_left_is_withdrawn_by_the_sweep(void **state)
{
    struct rig *rig = *state;
    rig->registry.listed = "old";
    rig_start(rig);
    assert_non_null(clients_find(rig->server, "old"));
    fake_loop_advance(rig->loop, 660000);
    assert_int_equal(rig->registry.withdrawn, 1);
    assert_string_equal(rig->registry.client, "old");
    assert_null(clients_find(rig->server, "old"));
}

static void what_a_replica_left_is_found_by_a_later_sweep(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    fake_loop_advance(rig->loop, 120000);
    rig->registry.listed = "orphan";
    fake_loop_advance(rig->loop, 61000);
    assert_non_null(clients_find(rig->server, "orphan"));
    fake_loop_advance(rig->loop, 660000);
    assert_string_equal(rig->registry.client, "orphan");
    assert_null(clients_find(rig->server, "orphan"));
}

static void a_second_done_is_ignored(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    rig->registry.host->done(rig->registry.op, BURROW_EIO, "again");
    fake_loop_advance(rig->loop, 60000);
    assert_int_equal(rig->registry.published, 1);
}

static void an_operation_that_is_never_finished_is_a_fault_and_tried_again(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = INT32_MAX;
    rig_client(rig, "pg", 'a');
    fake_loop_advance(rig->loop, 119999);
    assert_int_equal(rig->registry.cancelled, 0);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->registry.cancelled, 1);
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 1);
    rig->registry.result = 0;
    fake_loop_advance(rig->loop, 1500);
    assert_int_equal(rig->registry.published, 2);
    rig->registry.host->done(rig->registry.op, 0, NULL); /* once too often */
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 2);
}

static void a_list_that_is_never_finished_is_a_fault_and_the_next_sweep_asks_again(void **state)
{
    struct rig *rig = *state;
    rig->registry.list_is_stuck = true;
    rig_start(rig);
    fake_loop_advance(rig->loop, 119999);
    assert_int_equal(rig->registry.cancelled, 0);
    rig->registry.list_is_stuck = false;
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->registry.cancelled, 1);
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 1);
    rig->registry.host->listed(rig->registry.op, "late");
    rig->registry.host->done(rig->registry.op, 0, NULL);
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 3);
    assert_null(clients_find(rig->server, "late"));
    rig->registry.listed = "orphan";
    fake_loop_advance(rig->loop, 60000);
    assert_non_null(clients_find(rig->server, "orphan"));
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 3);
}

static void what_is_no_client_id_is_not_listed(void **state)
{
    struct rig *rig = *state;
    char lengthy[200] = "";
    memset(lengthy, 'a', sizeof lengthy - 1);
    rig->registry.listed = lengthy;
    rig_start(rig);
    assert_int_equal(instance_faults(&rig->registry_instance)->count, 1);
    assert_int_equal(HASH_COUNT(rig->server->clients), 0);
}

static void say_changed(const struct rig *rig, const char *client_id)
{
    rig->registry.host->changed(rig->registry.host->self, client_id);
}

static void what_others_changed_is_published_again_after_a_pause(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    say_changed(rig, "pg");
    fake_loop_advance(rig->loop, 499);
    assert_int_equal(rig->registry.published, 1);
    fake_loop_advance(rig->loop, 1001);
    assert_int_equal(rig->registry.published, 2);
    fake_loop_advance(rig->loop, 120000);
    assert_int_equal(rig->registry.published, 2);
}

static void a_change_of_any_client_is_one_of_each(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    rig_client(rig, "web", 'b');
    say_changed(rig, NULL);
    fake_loop_advance(rig->loop, 1500);
    assert_int_equal(rig->registry.published, 4);
}

static void a_change_during_an_operation_is_put_right_after_it(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = INT32_MAX;
    rig_client(rig, "pg", 'a');
    say_changed(rig, "pg");
    say_changed(rig, "pg");
    rig->registry.result = 0;
    rig->registry.host->done(rig->registry.op, 0, NULL);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->registry.published, 1);
    fake_loop_advance(rig->loop, 1500);
    assert_int_equal(rig->registry.published, 2);
    fake_loop_advance(rig->loop, 120000);
    assert_int_equal(rig->registry.published, 2);
}

static void a_change_with_the_end_of_an_operation_is_put_right_after_a_pause(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = INT32_MAX;
    rig_client(rig, "pg", 'a');
    rig->registry.host->done(rig->registry.op, 0, NULL);
    say_changed(rig, "pg");
    fake_loop_advance(rig->loop, 499);
    assert_int_equal(rig->registry.published, 1);
    fake_loop_advance(rig->loop, 1001);
    assert_int_equal(rig->registry.published, 2);
}

static void who_is_away_is_not_published_again(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    recorder_closed(rig_client(rig, "pg", 'a'), BURROW_CLOSE_LOST, 0, 0, "gone");
    fake_loop_settle(rig->loop);
    say_changed(rig, "pg");
    say_changed(rig, NULL);
    say_changed(rig, "stranger");
    fake_loop_advance(rig->loop, 30000);
    assert_int_equal(rig->registry.published, 1);
    assert_null(clients_find(rig->server, "stranger"));
}

static void who_changes_it_again_and_again_is_given_way(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig_client(rig, "pg", 'a');
    for (int second = 0; second < 300; second++) {
        say_changed(rig, "pg");
        fake_loop_advance(rig->loop, 1000);
    }
    /* The pauses are half a second, and up to 1, 2, 4, 8, 16, 20, 20 … s more. */
    assert_in_range(rig->registry.published, 15, 60);
    fake_loop_advance(rig->loop, 100000);
    const unsigned before = rig->registry.published;
    say_changed(rig, "pg");
    fake_loop_advance(rig->loop, 1500);
    assert_int_equal(rig->registry.published, before + 1);
}

static void stop_cancels_what_is_under_way(void **state)
{
    struct rig *rig = *state;
    rig_start(rig);
    rig->registry.result = INT32_MAX;
    rig_client(rig, "pg", 'a');
    server_stop(rig->server, "SIGTERM");
    assert_int_equal(rig->registry.cancelled, 1);
    fake_loop_advance(rig->loop, 2000);
    assert_int_equal(rig->stopped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_is_published_with_its_bridge),
        TEST(a_failed_operation_is_tried_again),
        TEST(one_operation_is_under_way_at_a_time),
        TEST(who_is_gone_for_long_is_withdrawn_and_then_forgotten),
        TEST(who_comes_back_during_the_withdrawal_is_published_again),
        TEST(what_an_earlier_life_left_is_withdrawn_by_the_sweep),
        TEST(what_a_replica_left_is_found_by_a_later_sweep),
        TEST(a_second_done_is_ignored),
        TEST(an_operation_that_is_never_finished_is_a_fault_and_tried_again),
        TEST(a_list_that_is_never_finished_is_a_fault_and_the_next_sweep_asks_again),
        TEST(what_is_no_client_id_is_not_listed),
        TEST(what_others_changed_is_published_again_after_a_pause),
        TEST(a_change_of_any_client_is_one_of_each),
        TEST(a_change_during_an_operation_is_put_right_after_it),
        TEST(a_change_with_the_end_of_an_operation_is_put_right_after_a_pause),
        TEST(who_is_away_is_not_published_again),
        TEST(who_changes_it_again_and_again_is_given_way),
        TEST(stop_cancels_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
