/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of auth plugins: each question is answered once, or cancelled and never. */
#include "conformance.h"

#include <stdlib.h>
#include <string.h>

#define QUESTIONS_MAX 64

struct burrow_auth_request {
    struct life *life;
    bool asked, cancelled, ended; /* ended: its instance is gone */
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

static struct burrow_auth_request questions[QUESTIONS_MAX];
static size_t question_count;

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
    if (v->result == BURROW_AUTH_ALLOW && v->subject != NULL)
        fake_must(v->subject_len > 0 && v->subject_len <= 128 &&
                      memchr(v->subject, 0, v->subject_len) == NULL,
                  "a subject has 1 to 128 bytes, none of them NUL");
    q->answers++;
    q->result = v->result;
}

static int on_check_grants(const char *grants_json, char *ret_why, size_t why_size)
{
    (void)grants_json;
    if (why_size > 0)
        ret_why[0] = '\0';
    return BURROW_OK;
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

/* All that is passed is freed at once: what must live on is copied. */
static struct burrow_auth_request *ask(struct life *life, size_t i)
{
    static const struct burrow_header header = {"x-request-id", "1"};
    const char *text = garbage[i % GARBAGE];
    size_t len = text == NULL ? 0 : i % GARBAGE == 13 ? 4 : strlen(text);
    char *copy = text != NULL ? malloc(len + 1) : NULL;
    fake_must(question_count < QUESTIONS_MAX, "there is room");
    struct burrow_auth_request *q = &questions[question_count++];
    *q = (struct burrow_auth_request){.life = life, .asked = true};
    if (copy != NULL)
        memcpy(copy, text, len);
    struct burrow_credential *c = calloc(1, sizeof *c);
    *c = (struct burrow_credential){
        .size = sizeof *c,
        .method = i % 2 ? BURROW_CREDENTIAL_HEADER : BURROW_CREDENTIAL_REGISTER,
        .token = copy,
        .token_len = len,
        .headers = i % 2 ? &header : NULL,
        .header_count = i % 2,
        .peer = {.family = 4, .port = 1, .bytes = {127, 0, 0, 1}},
    };
    ops_of(life)->verify(life->self, q, c);
    if (copy != NULL) {
        memset(copy, 'Z', len);
        free(copy);
    }
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

static void ask_all(struct life *life)
{
    question_count = 0;
    for (size_t i = 0; i < GARBAGE; i++)
        ask(life, i);
    if (!life_wait(life, NULL, all_answered, NULL))
        fake_host_fail("broken: every request is answered exactly once (one was not, for %d s)",
                       REAL_LIMIT_MS / 1000);
}

static void begin(struct life *life)
{
    question_count = 0;
    for (size_t i = 0; i < GARBAGE; i++)
        ask(life, i);
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
    for (size_t i = 0; i < 2 * GARBAGE; i++) {
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
        if (questions[i].result == BURROW_AUTH_ALLOW)
            fake_host_fail("broken: a credential that is garbage is not allowed (number %zu was)",
                           i);
    life_stop(&life);
    life_destroy(&life);
}

static const struct check checks[] = {
    {"answers-once", "every request is answered exactly once", answers_once},
    {"never-after-cancel", "a request that is cancelled is never answered", never_after_cancel},
    {"garbage-denied", "a credential that is garbage is denied, abstained from or unavailable",
     garbage_denied},
    {NULL, NULL, NULL},
};

const struct kind kind_auth = {BURROW_KIND_AUTH, bind_host, ask_all, begin, end, checks};
