/* SPDX-License-Identifier: Apache-2.0 */
/* The list of waiting requests, first in, first out; see waiters.h. */
#include "waiters.h"

#include <stdlib.h>
#include <string.h>

void waiters_init(struct waiters *list)
{
    *list = (struct waiters){.head = NULL};
    list->tail = &list->head;
}

bool waiters_add(struct waiters *list, struct burrow_auth_request *request, const char *token,
                 size_t len)
{
    /* The host's limit of a token is 8 KiB, so that the sum cannot wrap. */
    struct waiter *w = list->count < WAITERS_MAX ? malloc(sizeof *w + len) : NULL;
    if (!w)
        return false;
    w->request = request;
    w->token_len = len;
    memcpy(w->token, token, len);
    w->next = NULL;
    w->link = list->tail;
    *list->tail = w;
    list->tail = &w->next;
    list->count++;
    return true;
}

static void take_out(struct waiters *list, struct waiter *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    else
        list->tail = w->link;
    list->count--;
}

struct waiter *waiters_take(struct waiters *list)
{
    struct waiter *w = list->head;
    if (w)
        take_out(list, w);
    return w;
}

bool waiters_remove(struct waiters *list, const struct burrow_auth_request *request)
{
    for (struct waiter *w = list->head; w; w = w->next) {
        if (w->request != request)
            continue;
        take_out(list, w);
        waiter_free(w);
        return true;
    }
    return false;
}

void waiter_free(struct waiter *w)
{
    explicit_bzero(w->token, w->token_len);
    free(w);
}
