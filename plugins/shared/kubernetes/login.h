/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The credentials of a client whose kubeconfig names a program: had when they are first needed,
 * and again when they have expired or the API has refused them. Who needs them meanwhile waits.
 * Without a program there is nothing to wait for.
 */
#ifndef KUBERNETES_LOGIN_H
#define KUBERNETES_LOGIN_H

#include "kubernetes/exec.h"

/* The program has ended: BURROW_OK, or why not. */
typedef void kube_wake_fn(void *arg, int result, const char *why);

/* Zeroed it does not wait. */
struct kube_waiter {
    struct kube_waiter *next, **link;
    kube_wake_fn *wake;
    void *arg;
};

struct kube_login {
    const struct burrow_host *host;
    struct kube_config *config; /* what the program says is put here */
    struct kube_run *run;
    struct kube_waiter *waiting;
    uint64_t number; /* of the credentials that are there; 0: none yet */
    int64_t expires; /* Unix seconds; 0: unknown */
    bool refused;
};

void kube_login_init(struct kube_login *login, const struct burrow_host *host,
                     struct kube_config *config);
void kube_login_finish(struct kube_login *login); /* nobody waits any more */

/* BURROW_OK: a request can go. BURROW_EAGAIN: wake follows, later. Else why. */
int kube_log_in(struct kube_login *login, struct kube_waiter *waiter, char why[KUBE_WHY]);
void kube_wait_no_more(struct kube_waiter *waiter);
/* A request with the credentials of that number was answered 401. True: others are to be had. */
bool kube_login_refused(struct kube_login *login, uint64_t number);

#endif
