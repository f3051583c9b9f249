/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting to a local target: name look-up off the loop, then its addresses (loop/connect.h),
 * all within one deadline. Nothing else waits meanwhile.
 */
#ifndef CLIENT_DIAL_TARGET_H
#define CLIENT_DIAL_TARGET_H

#include "base/address.h"
#include "loop/loop.h"

#define DIAL_TARGET_MS 5000u

struct dial;

/* Called once, never from inside dial_target; the dial is gone by then. fd is connected,
 * non-blocking and the callee's; or -1 with a RESET_* code and a short text. */
typedef void dial_done_fn(void *arg, int fd, uint32_t reset_code, const char *text);

/* NULL: out of memory. */
struct dial *dial_target(struct loop *loop, const struct endpoint *endpoint, dial_done_fn *done,
                         void *arg);
void dial_cancel(struct dial *dial); /* NULL is allowed; done is not called */

#endif
