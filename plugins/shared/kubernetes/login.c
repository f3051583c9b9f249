/* SPDX-License-Identifier: Apache-2.0 */
/* When a kubeconfig's program is run, and who waits for it; see login.h. */
#include "kubernetes/login.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Credentials that have expired when they come (a clock is wrong) count for so long: the API's
 * answer decides. */
#define COUNTS_S 10

void kube_login_init(struct kube_login *login, const struct burrow_host *host,
                     struct kube_config *config)
{
    *login = (struct kube_login){.host = host, .config = config};
}

void kube_login_finish(struct kube_login *login)
{
    kube_run_cancel(login->run);
    login->run = NULL;
}

void kube_wait_no_more(struct kube_waiter *waiter)
{
    if (waiter->link == NULL)
        return;
    *waiter->link = waiter->next;
    if (waiter->next != NULL)
        waiter->next->link = waiter->link;
    waiter->link = NULL;
}

/* Whoever is woken may begin to wait again, but for another run: these are taken off first. */
static void wake_all(struct kube_login *login, int result, const char *why)
{
    struct kube_waiter *first = login->waiting;
    login->waiting = NULL;
    if (first != NULL)
        first->link = &first;
    while (first != NULL) {
        struct kube_waiter *waiter = first;
        kube_wait_no_more(waiter);
        waiter->wake(waiter->arg, result, why);
    }
}

static void on_run(void *arg, int result, struct kube_credential *credential, const char *why)
{
    struct kube_login *login = arg;
    login->run = NULL;
    if (result == BURROW_OK) {
        int64_t now = (int64_t)time(NULL);
        login->expires = credential->expires;
        if (login->expires != 0 && login->expires < now + COUNTS_S)
            login->expires = now + COUNTS_S;
        kube_config_take(login->config, credential);
        login->number++;
        login->refused = false;
    }
    wake_all(login, result, why);
}

static bool is_there(const struct kube_login *login)
{
    return login->number > 0 && !login->refused &&
           (login->expires == 0 || (int64_t)time(NULL) < login->expires);
}

int kube_log_in(struct kube_login *login, struct kube_waiter *waiter, char why[KUBE_WHY])
{
    if (login->config->exec == NULL || is_there(login))
        return BURROW_OK;
    if (login->run == NULL) {
        int rc = kube_run_begin(login->host, login->config->exec, on_run, login, &login->run, why);
        if (rc != BURROW_OK)
            return rc;
    }
    waiter->next = login->waiting;
    waiter->link = &login->waiting;
    if (waiter->next != NULL)
        waiter->next->link = &waiter->next;
    login->waiting = waiter;
    return BURROW_EAGAIN;
}

bool kube_login_refused(struct kube_login *login, uint64_t number)
{
    if (login->config->exec == NULL)
        return false;
    if (number == login->number)
        login->refused = true;
    return true;
}
