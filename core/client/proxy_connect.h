/* SPDX-License-Identifier: Apache-2.0 */
/* Asks an HTTP proxy for a way to a server by CONNECT (RFC 9110, 9.3.6). */
#ifndef CLIENT_PROXY_CONNECT_H
#define CLIENT_PROXY_CONNECT_H

#include "loop/loop.h"

#define PROXY_HEAD_MAX 16384u

struct proxy_connect;

/* Called once, never from inside proxy_connect; it is gone by then. fd leads to the server and
 * is the callee's; or it is -1, and reason says why. status: the proxy's HTTP status with a
 * refusal, else 0. */
typedef void proxy_connect_fn(void *arg, int fd, unsigned status, const char *reason);

/* Takes fd, which is connected to the proxy, in any case. authorization: the value of
 * Proxy-Authorization, "" for none. NULL: out of memory. The owner has the deadline. */
struct proxy_connect *proxy_connect(struct loop *loop, int fd, const char *host, uint16_t port,
                                    const char *authorization, proxy_connect_fn *done, void *arg);
void proxy_connect_cancel(struct proxy_connect *connect); /* NULL is allowed; done is not called */

#endif
