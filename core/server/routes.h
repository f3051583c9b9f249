/* SPDX-License-Identifier: Apache-2.0 */
/* The server's answers over HTTP. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/internal.h"
#include "status/answer.h"

/* Answers within the call, on the main loop. false: *ret is untouched, and it takes the counts of
 * other workers than that of the main loop; routes_ask gets them. */
bool routes_answer(struct server *server, const struct burrow_http *request,
                   struct http_answer *ret);

/* What one worker counts, in a copy, or the sum of several. */
struct worker_counts {
    struct session_stats sessions;
    struct worker_stats handshakes;
    uint64_t credit, buffers, queued, pending;
};

/* All metrics, of which sum has what workers count; on the main loop. (metrics.c) */
void routes_metrics(const struct server *server, const struct worker_counts *sum,
                    struct http_answer *ret);
/* On the worker's thread. */
void worker_counts_take(const struct worker *worker, struct worker_counts *ret);
void worker_counts_add(struct worker_counts *sum, const struct worker_counts *one);

/* ---- enquiry.c ---- */
struct enquiry;
/* Asks for the answer, on the asker's thread: NULL when *ret has it, else fn(arg, answer) follows
 * on a later turn unless it is cancelled. */
struct enquiry *routes_ask(struct worker *asker, const struct burrow_http *request,
                           struct http_answer *ret, answer_fn *fn, void *arg);
void routes_cancel(struct enquiry *enquiry); /* NULL is allowed */

#endif
