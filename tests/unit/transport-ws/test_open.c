/* SPDX-License-Identifier: Apache-2.0 */
/* How connections of transport-ws open, carry bytes and end, plain and behind TLS. */
#include "rig.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void a_client_and_a_server_open_and_exchange_messages(void **state)
{
    struct rig *rig = (struct rig *)*state;
    struct burrow_link client = {0}, server = {0};
    rig_open(rig, &client, &server);
    fake_link_send(&client, "up", 2);
    rig_until_bytes(rig, &server, 2);
    fake_link_send(&server, "down", 4);
    rig_until_bytes(rig, &client, 4);
    assert_memory_equal(server.got, "up", 2);
    assert_memory_equal(client.got, "down", 4);
    assert_int_equal(server.messages, 1);
    assert_int_equal(client.messages, 1);
    rig_drop(rig, &client, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_and_a_server_open_and_exchange_messages,
                                        rig_setup_plain, rig_teardown),
        cmocka_unit_test_setup_teardown(a_client_and_a_server_open_and_exchange_messages,
                                        rig_setup_tls, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
