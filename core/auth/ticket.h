/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tickets: the names under which the core hands questions to plugins. A plugin answers by
 * ticket, without saying who asked, and a faulty one may answer twice or long after the
 * question was withdrawn. So a ticket's memory outlives its question: it lives as long as
 * its pool and is not used again for a minute, and an answer that comes too late finds a
 * retired ticket instead of freed memory or somebody else's question.
 */
#ifndef AUTH_TICKET_H
#define AUTH_TICKET_H

#include "loop/loop.h"

struct ticket_pool;
struct ticket;

/* keeper is what ticket_keeper returns for every ticket of the pool. NULL: out of memory. */
struct ticket_pool *ticket_pool_create(struct loop *loop, void *keeper);
void ticket_pool_destroy(struct ticket_pool *pool); /* no ticket is used afterwards */

/* A ticket for owner, which is not NULL; `asked` is who may use it. NULL: out of memory. */
struct ticket *ticket_issue(struct ticket_pool *pool, void *owner, void *asked);
void ticket_retire(struct ticket *ticket); /* once per issue */
/* The owner, or NULL for a retired ticket. */
void *ticket_owner(const struct ticket *ticket);
/* Who was asked, also of a retired ticket: it is known who answers too late. */
void *ticket_asked(const struct ticket *ticket);
void *ticket_keeper(const struct ticket *ticket);

#endif
