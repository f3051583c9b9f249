/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting to a host that has several addresses (RFC 8305, "happy eyeballs"): the families
 * take turns, the next address is tried when the one before has failed or has been silent for a
 * quarter of a second, and the first that answers wins. There is no deadline; the owner has one.
 */
#ifndef LOOP_CONNECT_H
#define LOOP_CONNECT_H

#include "loop/loop.h"

#define CONNECT_MAX_ADDRESSES 8u
#define CONNECT_STAGGER_MS 250u

struct loop_connect;

struct loop_connect_events {
    /* An address is being tried; must not cancel. May be NULL. */
    void (*trying)(void *arg, const struct burrow_addr *addr);
    /* Once, on a turn of its own; the attempt is gone by then. fd is connected to addr,
     * non-blocking and the callee's; or -1, with the errno of what failed last. */
    void (*done)(void *arg, int fd, const struct burrow_addr *addr, int error);
};

/* Tries the first CONNECT_MAX_ADDRESSES of n. NULL: out of memory. */
struct loop_connect *loop_connect(struct loop *loop, const struct burrow_addr *addrs, size_t n,
                                  const struct loop_connect_events *events, void *arg);
void loop_connect_cancel(struct loop_connect *connect); /* NULL is allowed; done is not called */

#endif
