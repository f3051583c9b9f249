/* SPDX-License-Identifier: Apache-2.0 */
/* Links of a transport that does not keep its contract: what its owner hears, and who is blamed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_loop.h"
#include "tunnel/link.h"

#include <string.h>
#include <unistd.h>

struct rig {
    struct loop *loop;
    struct log log;
    struct plugin_faults faults;
    struct link_transport transport;
    struct burrow_link *link;
    unsigned closed;
    uint32_t code;
};

static int op_dial(void *self, const struct burrow_dial *dial, struct burrow_link *link,
                   void **ret_conn)
{
    (void)dial, (void)link;
    *ret_conn = self;
    return BURROW_OK;
}

static void op_flush(void *conn)
{
    (void)conn;
}

static void op_close(void *conn, uint32_t code, const char *why)
{
    (void)conn, (void)code, (void)why;
}

static const struct burrow_transport_ops ops = {
    .size = sizeof ops, .dial = op_dial, .flush = op_flush, .close = op_close};

static void on_closed(void *arg, const struct burrow_close_info *info)
{
    struct rig *rig = arg;
    rig->closed++;
    rig->code = info->code;
}

static const struct link_events events = {.closed = on_closed};

static int setup(void **state)
{
    static struct rig rig;
    static const struct burrow_dial dial = {.size = sizeof dial, .fd = -1};
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    log_init(&rig.log, STDERR_FILENO, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    rig.faults = (struct plugin_faults){.log = &rig.log, .plugin = "transport-wrong"};
    rig.transport = (struct link_transport){.ops = &ops,
                                            .self = &rig,
                                            .loop = rig.loop,
                                            .log = &rig.log,
                                            .name = "transport-wrong",
                                            .faults = &rig.faults};
    rig.link = link_dial(&rig.transport, &dial, &events, &rig);
    assert_non_null(rig.link);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    loop_destroy(rig->loop);
    return 0;
}

static void transport_closes(struct rig *rig, uint32_t code)
{
    struct burrow_close_info info = {.size = sizeof info, .code = code, .reason = "scripted"};
    link_transport_host.closed(rig->link, &info);
}

static void a_link_that_is_closed_twice_is_told_once_and_a_fault(void **state)
{
    struct rig *rig = *state;
    transport_closes(rig, BURROW_CLOSE_PEER);
    transport_closes(rig, BURROW_CLOSE_LOST);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->code, BURROW_CLOSE_PEER);
    assert_int_equal(rig->faults.count, 1);
}

static void a_link_that_is_never_closed_counts_as_lost_and_is_a_fault(void **state)
{
    struct rig *rig = *state;
    link_close(rig->link, BURROW_CLOSE_NORMAL, "done");
    fake_loop_advance(rig->loop, 9999);
    assert_int_equal(rig->closed, 0);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->code, BURROW_CLOSE_LOST);
    assert_int_equal(rig->faults.count, 1);
    transport_closes(rig, BURROW_CLOSE_NORMAL); /* late, and it ends the link's memory */
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->closed, 1);
}

static void a_link_that_is_closed_in_time_is_no_fault(void **state)
{
    struct rig *rig = *state;
    link_close(rig->link, BURROW_CLOSE_NORMAL, "done");
    fake_loop_advance(rig->loop, 500);
    transport_closes(rig, BURROW_CLOSE_NORMAL);
    fake_loop_advance(rig->loop, 20000);
    assert_int_equal(rig->closed, 1);
    assert_int_equal(rig->faults.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_link_that_is_closed_twice_is_told_once_and_a_fault),
        TEST(a_link_that_is_never_closed_counts_as_lost_and_is_a_fault),
        TEST(a_link_that_is_closed_in_time_is_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
