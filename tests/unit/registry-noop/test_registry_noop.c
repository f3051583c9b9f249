/* SPDX-License-Identifier: Apache-2.0 */
/* registry-noop answers every operation at once, and lists nothing. */
#include "../auth-hmac/loaded.h"

#include <burrow/registry.h>
#include <setjmp.h>

#include <cmocka.h>

struct burrow_registry_op {
    unsigned done, listed;
    int32_t result;
};

static void done(struct burrow_registry_op *op, int32_t result, const char *reason)
{
    (void)reason;
    op->done++;
    op->result = result;
}

static void listed(struct burrow_registry_op *op, const char *client_id)
{
    (void)client_id;
    op->listed++;
}

static const struct burrow_registry_host registry_host = {
    .size = sizeof registry_host, .done = done, .listed = listed};

static void every_operation_is_done_once_and_at_once(void **state)
{
    (void)state;
    struct loaded l;
    loaded_init(&l, PLUGIN_FILE, "registry-noop", BURROW_KIND_REGISTRY);
    void *self = loaded_start(&l);
    const struct burrow_registry_ops *ops = l.plugin->ops;
    ops->bind(self, &registry_host);
    const struct burrow_publication publication = {.size = sizeof publication,
                                                   .client_id = "client-a"};
    struct burrow_registry_op op[3] = {{.result = 1}, {.result = 1}, {.result = 1}};
    ops->publish(self, &op[0], &publication);
    ops->withdraw(self, &op[1], "client-a");
    ops->list(self, &op[2]);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(op[i].done, 1);
        assert_int_equal(op[i].result, BURROW_OK);
        assert_int_equal(op[i].listed, 0);
        ops->cancel(self, &op[i]);
        assert_int_equal(op[i].done, 1);
    }
    loaded_end(&l, self);
    loaded_finish(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_is_done_once_and_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
