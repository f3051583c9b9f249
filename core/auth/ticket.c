/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets are kept in one queue of retired ones, oldest first, and reused from its head. */
#include "auth/ticket.h"

#include "base/object.h"

#include <stdlib.h>

#define TICKET_MAGIC 0x544b5430u
#define TICKET_POOL_MAGIC 0x544b5031u
#define TICKET_REST_MS 60000u
#define TICKET_MAX 16384u /* from here on the oldest is reused whatever its age */

struct ticket {
    uint32_t magic;
    struct ticket_pool *pool;
    void *owner, *asked;
    uint64_t retired_ms;
    struct ticket *next;     /* in the queue of retired ones */
    struct ticket *next_all; /* in the list of all */
};

struct ticket_pool {
    uint32_t magic;
    size_t count;
    struct loop *loop;
    void *keeper;
    struct ticket *all, *retired, **retired_end;
};

struct ticket_pool *ticket_pool_create(struct loop *loop, void *keeper)
{
    struct ticket_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->magic = TICKET_POOL_MAGIC;
    pool->loop = loop;
    pool->keeper = keeper;
    pool->retired_end = &pool->retired;
    return pool;
}

void ticket_pool_destroy(struct ticket_pool *pool)
{
    if (pool == NULL)
        return;
    must_be(pool, TICKET_POOL_MAGIC);
    for (struct ticket *t = pool->all; t != NULL;) {
        struct ticket *next = t->next_all;
        t->magic = 0;
        free(t);
        t = next;
    }
    pool->magic = 0;
    free(pool);
}

static struct ticket *take_rested(struct ticket_pool *pool)
{
    struct ticket *t = pool->retired;
    if (t == NULL ||
        (pool->count < TICKET_MAX && loop_now_ms(pool->loop) - t->retired_ms < TICKET_REST_MS))
        return NULL;
    pool->retired = t->next;
    if (pool->retired == NULL)
        pool->retired_end = &pool->retired;
    return t;
}

struct ticket *ticket_issue(struct ticket_pool *pool, void *owner, void *asked)
{
    must_be(pool, TICKET_POOL_MAGIC);
    must(owner != NULL);
    struct ticket *t = take_rested(pool);
    if (t == NULL) {
        t = calloc(1, sizeof *t);
        if (t == NULL)
            return NULL;
        t->magic = TICKET_MAGIC;
        t->pool = pool;
        t->next_all = pool->all;
        pool->all = t;
        pool->count++;
    }
    t->owner = owner;
    t->asked = asked;
    t->next = NULL;
    return t;
}

void ticket_retire(struct ticket *ticket)
{
    must_be(ticket, TICKET_MAGIC);
    must(ticket->owner != NULL);
    struct ticket_pool *pool = ticket->pool;
    ticket->owner = NULL;
    ticket->retired_ms = loop_now_ms(pool->loop);
    ticket->next = NULL;
    *pool->retired_end = ticket;
    pool->retired_end = &ticket->next;
}

void *ticket_owner(const struct ticket *ticket)
{
    must_be(ticket, TICKET_MAGIC);
    return ticket->owner;
}

void *ticket_asked(const struct ticket *ticket)
{
    must_be(ticket, TICKET_MAGIC);
    return ticket->asked;
}

void *ticket_keeper(const struct ticket *ticket)
{
    must_be(ticket, TICKET_MAGIC);
    return ticket->pool->keeper;
}
