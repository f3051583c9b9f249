/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: a worker has judged a register and asks the main loop for the client id. The claim goes
 * there, is answered at once (clients_register) and comes back, in any case; if nobody waits for it
 * any more, the session that was promised ends before it has begun.
 */
#include "server/internal.h"

#include "base/object.h"

#include <stdlib.h>

#define CLAIM_MAGIC 0x434c4149u

struct claim *claim_make(struct worker *worker, struct control *reg, const struct right *right,
                         const struct burrow_link *link)
{
    struct claim *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->magic = CLAIM_MAGIC;
    c->worker = worker;
    c->reg = reg;
    c->right = *right;
    grants_ref(right->grants);
    c->peer = *link_peer(link);
    c->transport = link_transport_name(link);
    return c;
}

static void claim_free(struct claim *c)
{
    control_finish(c->reg);
    free(c->reg);
    free(c->ack);
    grants_unref(c->right.grants);
    c->magic = 0;
    free(c);
}

static void drop(void *arg)
{
    claim_free(arg);
}

static void on_answer(void *arg)
{
    struct claim *c = arg;
    must_be(c, CLAIM_MAGIC);
    if (c->arg != NULL)
        c->done(c->arg, c);
    else if (c->seat != NULL)
        seat_fail(c->seat, "the connection has gone");
    claim_free(c);
}

static void on_claim(void *arg)
{
    struct claim *c = arg;
    must_be(c, CLAIM_MAGIC);
    clients_register(c);
    c->call = (struct loop_call){.fn = on_answer, .arg = c, .drop = drop};
    worker_call(c->worker, &c->call);
}

void claim_send(struct claim *c, void (*done)(void *arg, struct claim *claim), void *arg)
{
    must_be(c, CLAIM_MAGIC);
    c->done = done;
    c->arg = arg;
    c->call = (struct loop_call){.fn = on_claim, .arg = c, .drop = drop};
    main_call(c->worker, &c->call);
}

void claim_abandon(struct claim *c)
{
    if (c == NULL)
        return;
    must_be(c, CLAIM_MAGIC);
    c->arg = NULL;
}
