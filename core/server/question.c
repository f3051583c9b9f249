/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the auth chain, which is on the main loop, from workers: the credential goes there
 * as a copy and the verdict comes back as one. A question that is cancelled is withdrawn from the
 * chain as well; two references, of the way there and back and of the cancellation, keep it until
 * both are over.
 */
#include "server/internal.h"

#include "auth/credential.h"
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUESTION_MAGIC 0x51554553u

struct question {
    uint32_t magic;
    atomic_uint refs;
    struct worker *worker;
    struct loop_call call, cancel;
    struct credential_copy credential;
    auth_done_fn *done; /* on the worker; NULL: cancelled */
    void *arg;
    struct auth_request *request; /* on the main loop */
    struct auth_verdict verdict;
    char subject[AUTH_MAX_SUBJECT + 1], reason[320];
};

static void unref(void *arg)
{
    struct question *q = arg;
    must_be(q, QUESTION_MAGIC);
    if (atomic_fetch_sub(&q->refs, 1) > 1)
        return;
    credential_wipe(&q->credential);
    grants_unref(q->verdict.grants);
    q->magic = 0;
    free(q);
}

/* On the worker. */
static void on_answer(void *arg)
{
    struct question *q = arg;
    must_be(q, QUESTION_MAGIC);
    auth_done_fn *done = q->done;
    q->done = NULL;
    if (done != NULL)
        done(q->arg, &q->verdict);
    unref(q);
}

/* ---- on the main loop ---- */

static void on_verdict(void *arg, const struct auth_verdict *v)
{
    struct question *q = arg;
    must_be(q, QUESTION_MAGIC);
    q->request = NULL;
    q->verdict = *v;
    if (v->subject != NULL) {
        snprintf(q->subject, sizeof q->subject, "%s", v->subject);
        q->verdict.subject = q->subject;
    }
    snprintf(q->reason, sizeof q->reason, "%s", v->reason);
    q->verdict.reason = q->reason;
    q->verdict.grants = grants_ref(v->grants);
    q->call = (struct loop_call){.fn = on_answer, .arg = q, .drop = unref};
    worker_call(q->worker, &q->call);
}

static void on_asked(void *arg)
{
    struct question *q = arg;
    must_be(q, QUESTION_MAGIC);
    q->request = auth_ask(q->worker->server->chain, &q->credential.credential, on_verdict, q);
    if (q->request != NULL)
        return;
    q->verdict = (struct auth_verdict){
        .result = BURROW_AUTH_UNAVAILABLE, .reason = "out of memory", .plugin = ""};
    q->call = (struct loop_call){.fn = on_answer, .arg = q, .drop = unref};
    loop_post_call(q->worker->loop, &q->call); /* never from inside question_ask */
}

static void on_cancel(void *arg)
{
    struct question *q = arg;
    must_be(q, QUESTION_MAGIC);
    if (q->request != NULL) {
        auth_cancel(q->request);
        q->request = NULL;
        unref(q); /* there will be no answer */
    }
    unref(q);
}

/* ---- on the worker ---- */

struct question *question_ask(struct worker *worker, const struct burrow_credential *credential,
                              auth_done_fn *done, void *arg)
{
    struct question *q = calloc(1, sizeof *q);
    if (q == NULL)
        return NULL;
    if (credential_keep(&q->credential, credential) != BURROW_OK) {
        credential_wipe(&q->credential);
        free(q);
        return NULL;
    }
    q->magic = QUESTION_MAGIC;
    atomic_init(&q->refs, 1);
    q->worker = worker;
    q->done = done;
    q->arg = arg;
    q->call = (struct loop_call){.fn = on_asked, .arg = q, .drop = unref};
    main_call(worker, &q->call);
    return q;
}

void question_cancel(struct question *q)
{
    if (q == NULL)
        return;
    must_be(q, QUESTION_MAGIC);
    q->done = NULL;
    atomic_fetch_add(&q->refs, 1);
    q->cancel = (struct loop_call){.fn = on_cancel, .arg = q, .drop = unref};
    main_call(q->worker, &q->cancel);
}
