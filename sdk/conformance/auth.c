/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of auth plugins: each question is answered once, or cancelled and never. All of them
 * show garbage, and besides it the credential of --token and --certificate, so that also the way
 * to an allowance is gone in every check.
 */
#include "conformance.h"

#include "auth/grants.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUESTIONS_MAX 64

struct burrow_auth_request {
    struct life *life;
    bool cancelled, ended; /* ended: its instance is gone */
    bool right;            /* it shows the credential that must be allowed */
    unsigned answers;
    uint32_t result;
};

/* What a stranger may show. NULL: no token. */
static const char *const garbage[] = {
    NULL,
    "",
    "x",
    ".",
    "..",
    "...",
    "a.b.c",
    "a.b.c.d",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhIn0.",
    "eyJhbGciOiJIUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAA",
    "eyJhbGciOiJIUzI1NiIsImtpZCI6Ii4uLy4uL2V0Yy9wYXNzd2QifQ.e30.AAAA",
    "\xff\xfe\x80\x00",
    "%s%n",
};
#define GARBAGE (sizeof garbage / sizeof *garbage)
#define RIGHT 2 /* at once, as what is asked twice may be answered from one source */

static struct burrow_auth_request questions[QUESTIONS_MAX];
static size_t question_count;

/* The host's judgement (core/auth/chain.c), in which a fault of the plugin would be a denial. */
static void judge_allowance(const struct burrow_verdict *v)
{
    struct grants *grants = NULL;
    struct error err = {0};
    if (v->subject != NULL)
        fake_must(v->subject_len > 0 && v->subject_len <= 128 &&
                      memchr(v->subject, 0, v->subject_len) == NULL,
                  "a subject has 1 to 128 bytes, none of them NUL");
    fake_must(v->expires_ms >= 0, "expires_ms is Unix time in ms, or 0");
    if (!BURROW_HAS(v, grants_json) || v->grants_json == NULL)
        return;
    if (grants_parse(v->grants_json, &grants, &err) == BURROW_EINVAL)
        fake_host_fail("broken: grants_json is what burrow/auth.h says of it: %s", err.text);
    grants_unref(grants);
}

static void on_answer(struct burrow_auth_request *q, const struct burrow_verdict *v)
{
    fake_must(q >= questions && q < questions + question_count, "an answer names its request");
    fake_must(!q->cancelled, "a request that was cancelled is never answered");
    fake_must(!q->life->host.stopped && !q->ended, "after stopped nothing is answered");
    fake_must(q->answers == 0, "every request is answered exactly once");
    fake_must(v != NULL && BURROW_HAS(v, expires_ms), "a verdict begins with its size");
    fake_must(v->result >= BURROW_AUTH_ALLOW && v->result <= BURROW_AUTH_UNAVAILABLE,
              "a verdict's result is one of BURROW_AUTH_*");
    if (v->result == BURROW_AUTH_DENY)
        fake_must(v->code >= BURROW_CODE_MISSING_BEARER && v->code <= BURROW_CODE_VERIFIER_CONFIG,
                  "a denial has one of BURROW_CODE_*");
    if (v->result == BURROW_AUTH_ALLOW)
        judge_allowance(v);
    q->answers++;
    q->result = v->result;
}

static int on_check_grants(const char *grants_json, char *ret_why, size_t why_size)
{
    struct grants *grants = NULL;
    struct error err = {0};
    int rc = grants_parse(grants_json, &grants, &err);
    grants_unref(grants);
    if (why_size > 0)
        snprintf(ret_why, why_size, "%s", err.text);
    return rc;
}

static const struct burrow_auth_host host_table = {
    .size = sizeof host_table,
    .answer = on_answer,
    .check_grants = on_check_grants,
};

static const struct burrow_auth_ops *ops_of(const struct life *life)
{
    return life->d->ops;
}

static void bind_host(struct life *life)
{
    ops_of(life)->bind(life->self, &host_table);
}

static size_t credentials(const struct life *life)
{
    const struct subject *s = life->subject;
    return GARBAGE + (s->token != NULL || s->certificate != NULL ? RIGHT : 0);
}

static void *copy_of(const void *bytes, size_t len)
{
    char *copy = bytes != NULL ? malloc(len + 1) : NULL;
    if (copy != NULL)
        memcpy(copy, bytes, len);
    return copy;
}

static void wipe(void *bytes, size_t len)
{
    if (bytes != NULL)
        memset(bytes, 'Z', len);
    free(bytes);
}

/* Shows the i-th credential. All that is passed is freed at once: what must live on is copied. */
static struct burrow_auth_request *ask(struct life *life, size_t i)
{
    static const struct burrow_header header = {"x-request-id", "1"};
    const struct subject *s = life->subject;
    bool right = i % credentials(life) >= GARBAGE;
    const char *text = right ? s->token : garbage[i % credentials(life)];
    bool has_nul = !right && i % credentials(life) == 13;
    size_t len = text == NULL ? 0 : has_nul ? 4 : strlen(text);
    bool by_header = right || i % 2 == 1;
    fake_must(question_count < QUESTIONS_MAX, "there is room");
    struct burrow_auth_request *q = &questions[question_count++];
    *q = (struct burrow_auth_request){.life = life, .right = right};
    char *token = copy_of(text, len);
    uint8_t *certificate = right ? copy_of(s->certificate, s->certificate_len) : NULL;
    struct burrow_credential *c = calloc(1, sizeof *c);
    *c = (struct burrow_credential){
        .size = sizeof *c,
        .method = by_header ? BURROW_CREDENTIAL_HEADER : BURROW_CREDENTIAL_REGISTER,
        .token = token,
        .token_len = len,
        .client_cert_der = certificate,
        .client_cert_len = certificate != NULL ? s->certificate_len : 0,
        .headers = by_header ? &header : NULL,
        .header_count = by_header,
        .peer = {.family = 4, .port = 1, .bytes = {127, 0, 0, 1}},
    };
    if (right && token == NULL)
        c->method = BURROW_CREDENTIAL_CERTIFICATE;
    ops_of(life)->verify(life->self, q, c);
    wipe(token, len);
    wipe(certificate, certificate != NULL ? s->certificate_len : 0);
    memset(c, 0x5a, sizeof *c);
    free(c);
    return q;
}

static bool all_answered(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < question_count; i++)
        if (questions[i].answers == 0 && !questions[i].cancelled)
            return false;
    return true;
}

static void begin(struct life *life)
{
    question_count = 0;
    for (size_t i = 0; i < credentials(life); i++)
        ask(life, i);
}

static void must_be_allowed(const struct burrow_auth_request *q)
{
    if (q->result != BURROW_AUTH_ALLOW)
        fake_host_fail("broken: the credential of --token and --certificate is allowed (the result "
                       "was %u)",
                       (unsigned)q->result);
}

static void wait_for_answers(struct life *life)
{
    if (!life_wait(life, NULL, all_answered, NULL))
        fake_host_fail("broken: every request is answered exactly once (one was not, for %d s)",
                       REAL_LIMIT_MS / 1000);
}

static void ask_all(struct life *life)
{
    begin(life);
    wait_for_answers(life);
    /* The kit's clock goes faster than programs and networks, so it may be that nobody could judge;
     * for want of memory anything may be. */
    for (size_t i = 0; i < question_count && !life->hurried; i++)
        if (questions[i].right && questions[i].result != BURROW_AUTH_UNAVAILABLE)
            must_be_allowed(&questions[i]);
}

static void end(struct life *life)
{
    (void)life;
    for (size_t i = 0; i < question_count; i++)
        questions[i].ended = true;
}

static void answers_once(struct subject *s)
{
    struct life life;
    life_begin(&life, s);
    ask_all(&life);
    life_idle(&life, 120000); /* a second answer would come here */
    life_stop(&life);
    life_destroy(&life);
}

static void never_after_cancel(struct subject *s)
{
    struct life life;
    bool any = false;
    life_begin(&life, s);
    question_count = 0;
    for (size_t i = 0; i < 2 * credentials(&life); i++) {
        struct burrow_auth_request *q = ask(&life, i);
        if (i % 3 == 0)
            life_idle(&life, 20);
        if (q->answers > 0)
            continue;
        fake_must(ops_of(&life)->cancel != NULL,
                  "cancel is optional only for plugins that always answer within verify");
        any = true;
        q->cancelled = true;
        ops_of(&life)->cancel(life.self, q);
    }
    life_idle(&life, 120000);
    life_stop(&life);
    life_destroy(&life);
    if (!any)
        skip("every answer came within verify");
}

static void garbage_denied(struct subject *s)
{
    struct life life;
    if (s->allows_garbage)
        skip("--allows-garbage was given");
    life_begin(&life, s);
    ask_all(&life);
    for (size_t i = 0; i < question_count; i++)
        if (!questions[i].right && questions[i].result == BURROW_AUTH_ALLOW)
            fake_host_fail("broken: a credential that is garbage is not allowed (number %zu was)",
                           i);
    life_stop(&life);
    life_destroy(&life);
}

static void right_allowed(struct subject *s)
{
    struct life life;
    if (s->token == NULL && s->certificate == NULL)
        skip("neither --token nor --certificate was given");
    life_begin(&life, s);
    life.by_real_clock = true;
    question_count = 0;
    for (size_t i = GARBAGE; i < credentials(&life); i++)
        ask(&life, i);
    wait_for_answers(&life);
    for (size_t i = 0; i < question_count; i++)
        must_be_allowed(&questions[i]);
    life_stop(&life);
    life_destroy(&life);
}

static const struct check checks[] = {
    {"answers-once", "every request is answered exactly once", answers_once},
    {"never-after-cancel", "a request that is cancelled is never answered", never_after_cancel},
    {"garbage-denied", "a credential that is garbage is denied, abstained from or unavailable",
     garbage_denied},
    {"right-allowed", "a credential that is right is allowed, and the host can take the verdict",
     right_allowed},
    {NULL, NULL, NULL},
};

const struct kind kind_auth = {BURROW_KIND_AUTH, bind_host, ask_all, begin, end, checks};
