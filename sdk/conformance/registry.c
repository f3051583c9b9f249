/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of registry plugins: operations end once, and each may be repeated; a change is told
 * only of what others did. */
#include "conformance.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OPS_MAX 32
/* One after the other: what a plugin does about its own writes ends sooner. */
#define CHANGES_MAX 8

struct burrow_registry_op {
    struct life *life;
    bool cancelled, ended, listing;
    unsigned done;
    int32_t result;
    unsigned listed;
    char last[160];
};

static struct burrow_registry_op operations[OPS_MAX];
static size_t op_count;

static struct burrow_registry_op *check_op(struct burrow_registry_op *op)
{
    fake_must(op >= operations && op < operations + op_count, "an event names its operation");
    fake_must(!op->cancelled, "an operation that was cancelled is never finished");
    fake_must(!op->life->host.stopped && !op->ended, "after stopped nothing is finished");
    fake_must(op->done == 0, "each operation is finished exactly once, and `done` is the last");
    return op;
}

static void on_done(struct burrow_registry_op *op, int32_t result, const char *reason)
{
    check_op(op)->done++;
    op->result = result;
    fake_must(result <= 0, "a result is 0 or negative");
    fake_must(result == 0 || reason != NULL, "a negative result comes with a short reason");
}

static void on_listed(struct burrow_registry_op *op, const char *client_id)
{
    fake_must(check_op(op)->listing, "listed answers list only");
    fake_must(client_id != NULL && strlen(client_id) < sizeof op->last, "listed names a client");
    op->listed += strcmp(client_id, "conformance") == 0;
}

static unsigned changes;  /* that were told */
static bool older_tables; /* the host is one of before `changed` */

static void on_changed(struct burrow_registry_self *self, const char *client_id)
{
    const struct life *life = (const struct life *)(const void *)self;
    fake_must(!older_tables, "an entry beyond the table's size is not called (BURROW_HAS asks)");
    fake_must(!life->host.stopped, "after stopped no change is told");
    fake_must(client_id == NULL || (*client_id != '\0' && strlen(client_id) <= 128),
              "changed names a client, or NULL for any");
    changes++;
}

static const struct burrow_registry_ops *ops_of(const struct life *life)
{
    return life->d->ops;
}

static void bind_host(struct life *life)
{
    life->registry = (struct burrow_registry_host){
        .size = older_tables ? offsetof(struct burrow_registry_host, self) : sizeof life->registry,
        .done = on_done,
        .listed = on_listed,
        .self = (struct burrow_registry_self *)(void *)life,
        .changed = on_changed,
    };
    ops_of(life)->bind(life->self, &life->registry);
}

/* Not strdup: its memory would count as the plugin's. */
static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(malloc(n), text, n);
}

static struct burrow_registry_op *new_op(struct life *life)
{
    fake_must(op_count < OPS_MAX, "there is room");
    struct burrow_registry_op *op = &operations[op_count++];
    *op = (struct burrow_registry_op){.life = life};
    return op;
}

/* All that is passed is freed at once. */
static struct burrow_registry_op *publish(struct life *life, uint16_t port)
{
    struct burrow_registry_op *op = new_op(life);
    struct burrow_publication *p = calloc(1, sizeof *p);
    struct burrow_published_service *services = calloc(2, sizeof *services);
    char *id = copy("conformance"), *target = copy("127.0.0.1:9");
    for (int i = 0; i < 2; i++)
        services[i] = (struct burrow_published_service){.size = sizeof *services,
                                                        .bridge_port = (uint16_t)(port + i),
                                                        .name = i == 0 ? "db" : "web",
                                                        .target = target};
    *p = (struct burrow_publication){
        .size = sizeof *p, .service_count = 2, .client_id = id, .services = services};
    ops_of(life)->publish(life->self, op, p);
    memset(id, 'Z', strlen(id));
    memset(target, 'Z', strlen(target));
    memset(services, 0x5a, 2 * sizeof *services);
    memset(p, 0x5a, sizeof *p);
    free(id);
    free(target);
    free(services);
    free(p);
    return op;
}

static struct burrow_registry_op *withdraw(struct life *life)
{
    struct burrow_registry_op *op = new_op(life);
    char *id = copy("conformance");
    ops_of(life)->withdraw(life->self, op, id);
    memset(id, 'Z', strlen(id));
    free(id);
    return op;
}

static struct burrow_registry_op *list(struct life *life)
{
    struct burrow_registry_op *op = new_op(life);
    op->listing = true;
    ops_of(life)->list(life->self, op);
    return op;
}

static bool is_done(void *arg)
{
    return ((struct burrow_registry_op *)arg)->done > 0;
}

static struct burrow_registry_op *finish(struct burrow_registry_op *op)
{
    if (!life_wait(op->life, NULL, is_done, op))
        fake_host_fail("broken: each operation is finished by done (one was not, for %d s)",
                       REAL_LIMIT_MS / 1000);
    return op;
}

static void work(struct life *life)
{
    op_count = 0;
    finish(list(life));
    finish(publish(life, 20000));
    finish(list(life));
    finish(withdraw(life));
}

static void begin(struct life *life)
{
    op_count = 0;
    publish(life, 20000);
    list(life);
    withdraw(life);
}

static void end(struct life *life)
{
    (void)life;
    for (size_t i = 0; i < op_count; i++)
        operations[i].ended = true;
}

static void done_once(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    work(&life);
    life_idle(&life, 120000);
    life_stop(&life);
    life_destroy(&life);
}

static void never_after_cancel(struct subject *s)
{
    struct life life;
    bool any = false;
    life_begin(&life, s);
    op_count = 0;
    for (int i = 0; i < 6; i++) {
        struct burrow_registry_op *op = i % 3 == 0   ? publish(&life, 20000)
                                        : i % 3 == 1 ? list(&life)
                                                     : withdraw(&life);
        if (op->done > 0)
            continue;
        any = true;
        op->cancelled = true;
        ops_of(&life)->cancel(life.self, op);
    }
    life_idle(&life, 120000);
    life_stop(&life);
    life_destroy(&life);
    if (!any)
        skip("every operation was finished within its call");
}

static void idempotent(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    op_count = 0;
    int32_t first = finish(publish(&life, 20000))->result;
    fake_must(finish(publish(&life, 20000))->result == first,
              "publish is idempotent: the same again has the same result");
    fake_must(finish(publish(&life, 20010))->result == first,
              "publish makes what is published equal to the publication, also when it changes");
    unsigned listed = finish(list(&life))->listed;
    fake_must(listed <= 1, "list names each publication once");
    fake_must(finish(withdraw(&life))->result == first, "withdraw succeeds as publish did");
    fake_must(finish(withdraw(&life))->result == first, "withdraw is idempotent");
    fake_must(first != 0 || finish(list(&life))->listed == 0,
              "nothing of the client id is published after withdraw");
    life_stop(&life);
    life_destroy(&life);
}

/* Does what the host does about a change, until none is told any more. */
static void own_writes(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    op_count = 0;
    unsigned told = 0;
    finish(publish(&life, 20000));
    for (;;) {
        life_idle(&life, 10000);
        if (changes == told)
            break;
        told = changes;
        fake_must(told <= CHANGES_MAX, "what the plugin itself has written is no change");
        finish(publish(&life, 20000));
    }
    finish(withdraw(&life));
    life_stop(&life);
    life_destroy(&life);
}

static void older_registry_host(struct subject *s)
{
    struct life life;
    older_tables = true;
    life_begin(&life, s);
    work(&life);
    life_idle(&life, 10000);
    life_stop(&life);
    life_destroy(&life);
}

static const struct check checks[] = {
    {"done-once", "each operation is finished exactly once by host->done", done_once},
    {"never-after-cancel", "an operation that is cancelled is never finished", never_after_cancel},
    {"idempotent", "publish and withdraw are idempotent; list names what is published", idempotent},
    {"own-writes", "what the plugin itself writes is not told as a change", own_writes},
    {"older-registry-host", "a host that takes no changes will do", older_registry_host},
    {NULL, NULL, NULL},
};

const struct kind kind_registry = {BURROW_KIND_REGISTRY, bind_host, work, begin, end, checks};
