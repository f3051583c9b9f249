/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver of one loop, as loop.c sees it. */
#ifndef LOOP_RESOLVE_H
#define LOOP_RESOLVE_H

#include "loop/loop.h"

struct resolver;

struct resolver *resolver_create(struct loop *loop);
/* No thread posts to the loop any more. Does not wait for a name server: threads that still
 * do end on their own. */
void resolver_stop(struct resolver *resolver);
/* Frees the look-ups that are left. NULL is allowed. */
void resolver_destroy(struct resolver *resolver);
struct resolver *loop_resolver(struct loop *loop);

#endif
