/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait for the load under way, each with a copy of its token: a bounded list. */
#ifndef JWKS_WAITERS_H
#define JWKS_WAITERS_H

#include <burrow/auth.h>
#include <stdbool.h>

#define WAITERS_MAX 256u

struct waiter {
    struct waiter *next, **link;
    struct burrow_auth_request *request;
    size_t token_len;
    char token[];
};

struct waiters {
    struct waiter *head, **tail;
    size_t count;
};

void waiters_init(struct waiters *list);
/* False: the list is full, or memory is out. */
bool waiters_add(struct waiters *list, struct burrow_auth_request *request, const char *token,
                 size_t len);
/* Takes the oldest out; NULL: there is none. waiter_free follows. */
struct waiter *waiters_take(struct waiters *list);
/* Forgets the request; false: it does not wait. */
bool waiters_remove(struct waiters *list, const struct burrow_auth_request *request);
void waiter_free(struct waiter *waiter);

#endif
