/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the auth plugins in turn. A plugin may answer within verify or at any later time;
 * either way the answer is only noted, and the work goes on in a task of its own, so that no
 * plugin ever finds itself below the code that its answer sets in motion.
 */
#include "auth/chain.h"

#include "auth/ticket.h"
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN_MAGIC 0x43484e30u
#define REQUEST_MAGIC 0x52455130u
#define MAX_EXPIRES_MS INT64_C(253402300799000) /* 9999-12-31: a later one counts as this */

struct auth_chain {
    uint32_t magic;
    struct loop *loop;
    struct auth_member *members;
    size_t n, pending;
    struct ticket_pool *tickets;
    struct auth_request *requests;
};

struct auth_request {
    uint32_t magic;
    bool answered;
    struct auth_chain *chain;
    struct auth_request *next, **link;
    auth_done_fn *done;
    void *arg;
    size_t member;         /* who is being asked */
    struct ticket *ticket; /* the question that is open, or NULL */
    struct loop_timer *deadline;
    struct loop_task task;
    struct credential_copy copy; /* the question may go to several plugins over several turns */
    /* The answer. */
    uint32_t result, code;
    int64_t expires_ms;
    bool has_subject, unjudged_by_all;
    struct grants *grants;
    char subject[AUTH_MAX_SUBJECT + 1];
    char reason[320];
    /* What those who abstained would say, if nobody judges. */
    uint32_t unjudged_code;
    char unjudged[320];
};

static const struct {
    const char *name, *text;
} CODES[AUTH_CODES] = {
    [0] = {"invalid_token", "the token is not valid"},
    [BURROW_CODE_MISSING_BEARER] = {"missing_bearer", "a bearer token is required"},
    [BURROW_CODE_TOKEN_EXPIRED] = {"token_expired", "the token has expired"},
    [BURROW_CODE_TOKEN_NOT_YET_VALID] = {"token_not_yet_valid", "the token is not yet valid"},
    [BURROW_CODE_INVALID_TOKEN] = {"invalid_token", "the token is not valid"},
    [BURROW_CODE_VERIFIER_CONFIG] = {"verifier_config", "the server cannot verify tokens"},
};

const char *auth_code_name(uint32_t code)
{
    return CODES[code < AUTH_CODES ? code : 0].name;
}

const char *auth_code_text(uint32_t code)
{
    return CODES[code < AUTH_CODES ? code : 0].text;
}

uint32_t auth_code_parse(const char *name)
{
    for (uint32_t code = 1; code < AUTH_CODES; code++)
        if (strcmp(name, CODES[code].name) == 0)
            return code;
    return 0;
}

/* ---- answers ---- */

static void deny(struct auth_request *r, uint32_t code, const char *reason)
{
    r->result = BURROW_AUTH_DENY;
    r->code = code;
    snprintf(r->reason, sizeof r->reason, "%.*s", (int)sizeof r->reason - 1, reason);
}

static void cannot_tell(struct auth_request *r, const char *reason)
{
    r->result = BURROW_AUTH_UNAVAILABLE;
    snprintf(r->reason, sizeof r->reason, "%.*s", (int)sizeof r->reason - 1, reason);
}

/* A right that has ended would begin a session only to end it, and end an older one for it. */
static bool note_expiry(struct auth_request *r, int64_t expires_ms)
{
    if (expires_ms < 0) {
        deny(r, BURROW_CODE_INVALID_TOKEN, "the time at which the right ends is before 1970");
        return false;
    }
    r->expires_ms = expires_ms < MAX_EXPIRES_MS ? expires_ms : MAX_EXPIRES_MS;
    if (expires_ms == 0 || loop_unix_ms(r->chain->loop) < r->expires_ms + AUTH_LEEWAY_MS)
        return true;
    deny(r, BURROW_CODE_TOKEN_EXPIRED, "the right has ended already");
    return false;
}

static void note_allow(struct auth_request *r, const struct burrow_verdict *v)
{
    struct error err = {0};
    int rc = BURROW_OK;
    if (BURROW_HAS(v, grants_json) && v->grants_json != NULL)
        rc = grants_parse(v->grants_json, &r->grants, &err);
    if (rc == BURROW_ENOMEM) {
        cannot_tell(r, err.text);
        return;
    }
    if (rc < 0) {
        deny(r, BURROW_CODE_INVALID_TOKEN, err.text);
        return;
    }
    if (v->subject != NULL) {
        if (v->subject_len == 0 || v->subject_len > AUTH_MAX_SUBJECT ||
            memchr(v->subject, 0, v->subject_len) != NULL) {
            deny(r, BURROW_CODE_INVALID_TOKEN, "the subject is not 1 to 128 bytes without NUL");
            return;
        }
        memcpy(r->subject, v->subject, v->subject_len);
        r->subject[v->subject_len] = '\0';
        r->has_subject = true;
    }
    if (note_expiry(r, v->expires_ms))
        r->result = BURROW_AUTH_ALLOW;
}

/* Its code and reason count when everybody abstains: then they tell why. */
static void note_abstention(struct auth_request *r, const struct burrow_verdict *v)
{
    r->result = BURROW_AUTH_ABSTAIN;
    if (v->code == 0 || v->code >= AUTH_CODES)
        return;
    r->unjudged_code = v->code;
    size_t used = strlen(r->unjudged);
    bool alone = r->chain->n == 1;
    snprintf(r->unjudged + used, sizeof r->unjudged - used, "%s%s%s%s", used > 0 ? "; " : "",
             alone ? "" : r->chain->members[r->member].name, alone ? "" : ": ", r->reason);
}

static void on_answer(struct burrow_auth_request *name, const struct burrow_verdict *v)
{
    const struct ticket *ticket = (const struct ticket *)(const void *)name;
    struct auth_chain *chain = ticket_keeper(ticket);
    must_be(chain, CHAIN_MAGIC);
    struct auth_request *r = ticket_owner(ticket);
    const struct auth_member *asked = ticket_asked(ticket);
    if (r == NULL) {
        plugin_fault(asked->faults, "an auth request was answered twice or after its cancellation");
        return;
    }
    must_be(r, REQUEST_MAGIC);
    ticket_retire(r->ticket);
    r->ticket = NULL;
    r->answered = true;
    r->result = BURROW_AUTH_DENY;
    r->code = BURROW_CODE_INVALID_TOKEN;
    if (v != NULL && BURROW_HAS(v, expires_ms)) {
        const char *reason = BURROW_HAS(v, reason) ? v->reason : NULL;
        snprintf(r->reason, sizeof r->reason, "%s", reason != NULL ? reason : "");
        if (v->result == BURROW_AUTH_ALLOW)
            note_allow(r, v);
        else if (v->result == BURROW_AUTH_UNAVAILABLE)
            r->result = v->result;
        else if (v->result == BURROW_AUTH_ABSTAIN)
            note_abstention(r, v);
        else if (v->result == BURROW_AUTH_DENY && v->code > 0 && v->code < AUTH_CODES)
            r->code = v->code;
        else
            plugin_fault(asked->faults,
                         "a verdict of an unknown result or code counts as a denial");
    } else {
        plugin_fault(asked->faults, "an empty verdict counts as a denial");
    }
    loop_task_schedule(chain->loop, &r->task);
}

static int check_grants(const char *json, char *ret_why, size_t why_size)
{
    struct grants *grants = NULL;
    struct error err = {0};
    int r = grants_parse(json, &grants, &err);
    grants_unref(grants);
    if (r < 0 && why_size > 0)
        snprintf(ret_why, why_size, "%.*s", (int)why_size - 1, err.text);
    return r;
}

static const struct burrow_auth_host auth_host = {
    .size = sizeof(struct burrow_auth_host),
    .answer = on_answer,
    .check_grants = check_grants,
};

/* ---- requests ---- */

static void request_free(struct auth_request *r)
{
    struct auth_chain *chain = r->chain;
    if (r->ticket != NULL)
        ticket_retire(r->ticket);
    loop_task_cancel(chain->loop, &r->task);
    loop_timer_destroy(r->deadline);
    if (r->link != NULL) {
        *r->link = r->next;
        if (r->next != NULL)
            r->next->link = r->link;
        chain->pending--;
    }
    credential_wipe(&r->copy);
    grants_unref(r->grants);
    r->magic = 0;
    free(r);
}

static void withdraw_question(struct auth_request *r)
{
    if (r->ticket == NULL)
        return;
    struct ticket *ticket = r->ticket;
    const struct auth_member *m = &r->chain->members[r->member];
    /* Retired first: an answer from inside cancel is already too late. */
    ticket_retire(ticket);
    r->ticket = NULL;
    if (m->ops->cancel != NULL)
        m->ops->cancel(m->self, (struct burrow_auth_request *)(void *)ticket);
}

static void finish(struct auth_request *r)
{
    const struct auth_verdict verdict = {
        .result = r->result,
        .code = r->code,
        .subject = r->has_subject ? r->subject : NULL,
        .expires_ms = r->expires_ms,
        .unjudged = r->unjudged_by_all,
        .grants = r->result == BURROW_AUTH_ALLOW ? grants_ref(r->grants) : NULL,
        .reason = r->reason,
        .plugin = r->member < r->chain->n ? r->chain->members[r->member].name : "",
    };
    char subject[AUTH_MAX_SUBJECT + 1], reason[sizeof r->reason];
    memcpy(subject, r->subject, sizeof subject);
    memcpy(reason, r->reason, sizeof reason);
    struct auth_verdict copy = verdict;
    copy.subject = verdict.subject != NULL ? subject : NULL;
    copy.reason = reason;
    auth_done_fn *done = r->done;
    void *arg = r->arg;
    request_free(r);
    done(arg, &copy);
    grants_unref(copy.grants);
}

static void ask_member(struct auth_request *r)
{
    struct auth_member *m = &r->chain->members[r->member];
    r->ticket = ticket_issue(r->chain->tickets, r, m);
    if (r->ticket == NULL) {
        cannot_tell(r, "out of memory");
        loop_task_schedule(r->chain->loop, &r->task);
        return;
    }
    r->answered = false;
    m->ops->verify(m->self, (struct burrow_auth_request *)(void *)r->ticket, &r->copy.credential);
}

/* An answer was noted: go on to the next plugin or tell the asker. */
static void on_task(void *arg)
{
    struct auth_request *r = arg;
    must_be(r, REQUEST_MAGIC);
    if (r->result != BURROW_AUTH_ABSTAIN) {
        finish(r);
        return;
    }
    if (++r->member < r->chain->n) {
        ask_member(r);
        return;
    }
    bool shown = r->copy.credential.token != NULL || r->copy.credential.client_cert_der != NULL;
    uint32_t code = shown ? BURROW_CODE_INVALID_TOKEN : BURROW_CODE_MISSING_BEARER;
    deny(r, r->unjudged_code != 0 ? r->unjudged_code : code,
         r->unjudged[0] != '\0' ? r->unjudged : "no auth plugin judges such a credential");
    r->unjudged_by_all = true;
    if (r->chain->n == 1)
        r->member = 0; /* it is this plugin that did not let them in */
    finish(r);
}

static void on_deadline(void *arg)
{
    struct auth_request *r = arg;
    must_be(r, REQUEST_MAGIC);
    if (r->answered)
        return; /* the task that goes on with it is scheduled already */
    plugin_fault(r->chain->members[r->member].faults, "an auth request was not answered in time");
    withdraw_question(r);
    r->result = BURROW_AUTH_UNAVAILABLE;
    snprintf(r->reason, sizeof r->reason, "no answer within %u s", AUTH_DEADLINE_MS / 1000u);
    finish(r);
}

struct auth_request *auth_ask(struct auth_chain *chain, const struct burrow_credential *credential,
                              auth_done_fn *done, void *arg)
{
    must_be(chain, CHAIN_MAGIC);
    struct auth_request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->magic = REQUEST_MAGIC;
    r->chain = chain;
    r->done = done;
    r->arg = arg;
    loop_task_init(&r->task, LOOP_PHASE_OUTPUT, on_task, r);
    r->deadline = loop_timer_create(chain->loop, on_deadline, r);
    if (r->deadline == NULL || credential_keep(&r->copy, credential) != BURROW_OK) {
        request_free(r);
        return NULL;
    }
    r->next = chain->requests;
    if (r->next != NULL)
        r->next->link = &r->next;
    r->link = &chain->requests;
    chain->requests = r;
    chain->pending++;
    loop_timer_set(r->deadline, AUTH_DEADLINE_MS);
    ask_member(r);
    return r;
}

void auth_cancel(struct auth_request *request)
{
    if (request == NULL)
        return;
    must_be(request, REQUEST_MAGIC);
    withdraw_question(request);
    request_free(request);
}

size_t auth_pending(const struct auth_chain *chain)
{
    return chain->pending;
}

/* ---- the chain ---- */

int auth_chain_create(struct loop *loop, const struct auth_member *members, size_t n,
                      struct auth_chain **ret)
{
    if (n == 0)
        return BURROW_EINVAL;
    struct auth_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return BURROW_ENOMEM;
    chain->magic = CHAIN_MAGIC;
    chain->loop = loop;
    chain->n = n;
    chain->members = calloc(n, sizeof *chain->members);
    chain->tickets = ticket_pool_create(loop, chain);
    if (chain->members == NULL || chain->tickets == NULL) {
        auth_chain_destroy(chain);
        return BURROW_ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        chain->members[i] = members[i];
        members[i].ops->bind(members[i].self, &auth_host);
    }
    *ret = chain;
    return BURROW_OK;
}

void auth_chain_destroy(struct auth_chain *chain)
{
    if (chain == NULL)
        return;
    must_be(chain, CHAIN_MAGIC);
    while (chain->requests != NULL)
        auth_cancel(chain->requests);
    ticket_pool_destroy(chain->tickets);
    free(chain->members);
    chain->magic = 0;
    free(chain);
}
