/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin address (--admin-addr): a listener whose connections bring HTTP requests and nothing
 * else. A transport plugin that speaks HTTP carries them; who owns the port answers.
 */
#ifndef STATUS_PORT_H
#define STATUS_PORT_H

#include "loop/acceptor.h"
#include "status/answer.h"

#define STATUS_MAX_CONNECTIONS 256u /* at the limit the oldest goes */
#define STATUS_IDLE_MS 10000u       /* for a request, and for taking its answer */

struct status_port;

struct status_stats {
    uint64_t accepted, dropped;
    size_t open;
};

struct status_config {
    struct loop *loop;
    const struct log *log;
    const struct link_transport *transport; /* copied */
    struct accept_guard *guard;
    int fd; /* a listening socket to use in place of addr, or -1 */
    /* Answers a request within the call, or asks for it: then fn(fn_arg, answer) follows on a later
     * turn, but for what was cancelled. Returns what is asked, NULL when it is answered. */
    void *(*answer)(void *arg, const struct burrow_http *request, struct http_answer *ret,
                    answer_fn *fn, void *fn_arg);
    void (*cancel)(void *asked); /* may be NULL when nothing is ever asked */
    void *arg;
};

/* Listens at addr (HOST:PORT or :PORT) and says so. err names --admin-addr. */
int status_port_open(const struct status_config *config, const char *addr, struct status_port **ret,
                     struct error *err);
void status_port_close(struct status_port *port);                      /* NULL is allowed */
struct status_stats status_port_stats(const struct status_port *port); /* NULL: all 0 */

#endif
