/* SPDX-License-Identifier: Apache-2.0 */
/* The chain against scripted plugins that answer at once, late, twice or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/chain.h"
#include "fake_loop.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOW_MS INT64_C(1700000000000) /* the fake loop's wall clock at first */
#define LATER_MS (NOW_MS + 42)

/* One scripted plugin. */
struct actor {
    const struct burrow_auth_host *host;
    uint32_t answer; /* given inside verify; 0: later */
    uint32_t code;
    const char *subject, *grants;
    size_t subject_len;
    int64_t expires_ms;
    struct burrow_auth_request *request; /* the last one */
    unsigned asked, cancelled;
    char token[64];
};

struct rig {
    struct loop *loop;
    struct log log;
    struct auth_chain *chain;
    struct actor actor[3];
    struct plugin_faults faults[3];
    unsigned done;
    uint32_t streams; /* that the grants of the verdict allow */
    struct auth_verdict verdict;
    char subject[160], reason[200], plugin[32];
};

static void actor_bind(void *self, const struct burrow_auth_host *host)
{
    ((struct actor *)self)->host = host;
}

static void actor_answer(struct actor *a, uint32_t result)
{
    struct burrow_verdict v = {.size = sizeof v,
                               .result = result,
                               .code = a->code,
                               .subject = a->subject,
                               .subject_len = a->subject_len != 0  ? a->subject_len
                                              : a->subject != NULL ? strlen(a->subject)
                                                                   : 0,
                               .expires_ms = a->expires_ms,
                               .reason = "scripted",
                               .grants_json = a->grants};
    a->host->answer(a->request, &v);
}

static void actor_verify(void *self, struct burrow_auth_request *request,
                         const struct burrow_credential *credential)
{
    struct actor *a = self;
    a->request = request;
    a->asked++;
    snprintf(a->token, sizeof a->token, "%s", credential->token != NULL ? credential->token : "-");
    if (a->answer != 0)
        actor_answer(a, a->answer);
}

static void actor_cancel(void *self, struct burrow_auth_request *request)
{
    struct actor *a = self;
    assert_ptr_equal(request, a->request);
    a->cancelled++;
}

static const struct burrow_auth_ops actor_ops = {
    .size = sizeof actor_ops, .bind = actor_bind, .verify = actor_verify, .cancel = actor_cancel};

static void on_done(void *arg, const struct auth_verdict *v)
{
    struct rig *rig = arg;
    rig->done++;
    rig->verdict = *v;
    rig->streams = grants_max_streams(v->grants, 1000);
    snprintf(rig->subject, sizeof rig->subject, "%s", v->subject != NULL ? v->subject : "(any)");
    snprintf(rig->reason, sizeof rig->reason, "%s", v->reason);
    snprintf(rig->plugin, sizeof rig->plugin, "%s", v->plugin);
}

static int setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    log_init(&rig.log, STDERR_FILENO, BURROW_LOG_ERROR, LOG_LOGFMT);
    static const char *const names[] = {"auth-a", "auth-b", "auth-c"};
    struct auth_member members[3];
    for (int i = 0; i < 3; i++) {
        rig.faults[i] = (struct plugin_faults){.log = &rig.log, .plugin = names[i]};
        members[i] = (struct auth_member){
            .ops = &actor_ops, .self = &rig.actor[i], .name = names[i], .faults = &rig.faults[i]};
        rig.actor[i].answer = BURROW_AUTH_ABSTAIN;
    }
    assert_int_equal(auth_chain_create(rig.loop, members, 3, &rig.chain), 0);
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    auth_chain_destroy(rig->chain);
    loop_destroy(rig->loop);
    return 0;
}

static struct auth_request *ask(struct rig *rig, const char *token)
{
    struct burrow_credential c = {.size = sizeof c,
                                  .method = BURROW_CREDENTIAL_HEADER,
                                  .token = token,
                                  .token_len = token != NULL ? strlen(token) : 0};
    return auth_ask(rig->chain, &c, on_done, rig);
}

static struct auth_verdict allowed_until(struct rig *rig, int64_t expires_ms)
{
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    rig->actor[0].expires_ms = expires_ms;
    assert_non_null(ask(rig, "t"));
    fake_loop_settle(rig->loop);
    return rig->verdict;
}

/* Whatever a plugin says: nobody is let in by a right that has ended, and no sum overflows. */
static void an_allowance_that_has_ended_is_a_denial(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(allowed_until(rig, NOW_MS - AUTH_LEEWAY_MS + 1).result, BURROW_AUTH_ALLOW);
    struct auth_verdict ended = allowed_until(rig, NOW_MS - AUTH_LEEWAY_MS);
    assert_int_equal(ended.result, BURROW_AUTH_DENY);
    assert_int_equal(ended.code, BURROW_CODE_TOKEN_EXPIRED);
    const int64_t senseless[] = {-1, INT64_MIN};
    for (size_t i = 0; i < 2; i++) {
        ended = allowed_until(rig, senseless[i]);
        assert_int_equal(ended.result, BURROW_AUTH_DENY);
        assert_int_equal(ended.code, BURROW_CODE_INVALID_TOKEN);
    }
    assert_int_equal(allowed_until(rig, 0).expires_ms, 0);
    assert_int_equal(allowed_until(rig, INT64_MAX).result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig->verdict.expires_ms, INT64_C(253402300799000));
}

static void an_answer_within_verify_resumes_the_asker_later(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    rig->actor[0].subject = "pg";
    rig->actor[0].expires_ms = LATER_MS;
    assert_non_null(ask(rig, "t"));
    assert_int_equal(rig->done, 0);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_ALLOW);
    assert_string_equal(rig->subject, "pg");
    assert_int_equal(rig->verdict.expires_ms, LATER_MS);
    assert_string_equal(rig->plugin, "auth-a");
    assert_int_equal(rig->actor[1].asked, 0);
    assert_int_equal(auth_pending(rig->chain), 0);
}

static void an_answer_on_a_later_turn_resumes_the_asker_after_it(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 0;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 0);
    actor_answer(&rig->actor[0], BURROW_AUTH_ALLOW);
    assert_int_equal(rig->done, 0);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_string_equal(rig->subject, "(any)");
}

static void who_abstains_passes_the_whole_credential_on(void **state)
{
    struct rig *rig = *state;
    char token[] = "secret";
    rig->actor[0].answer = 0;
    rig->actor[2].answer = BURROW_AUTH_ALLOW;
    ask(rig, token);
    memset(token, 'x', sizeof token - 1); /* it was borrowed for the call only */
    actor_answer(&rig->actor[0], BURROW_AUTH_ABSTAIN);
    fake_loop_settle(rig->loop);
    assert_string_equal(rig->actor[2].token, "secret");
    assert_int_equal(rig->verdict.result, BURROW_AUTH_ALLOW);
    assert_string_equal(rig->plugin, "auth-c");
}

static void a_denial_ends_the_chain(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_DENY;
    rig->actor[0].code = BURROW_CODE_TOKEN_EXPIRED;
    rig->actor[1].answer = BURROW_AUTH_ALLOW;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
    assert_int_equal(rig->verdict.code, BURROW_CODE_TOKEN_EXPIRED);
    assert_string_equal(rig->reason, "scripted");
    assert_int_equal(rig->actor[1].asked, 0);
}

static void unavailable_ends_the_chain(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_UNAVAILABLE;
    rig->actor[1].answer = BURROW_AUTH_ALLOW;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_UNAVAILABLE);
    assert_int_equal(rig->actor[1].asked, 0);
}

static void when_all_abstain_a_token_is_invalid(void **state)
{
    struct rig *rig = *state;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
    assert_int_equal(rig->verdict.code, BURROW_CODE_INVALID_TOKEN);
}

static void when_all_abstain_no_token_is_a_missing_bearer(void **state)
{
    struct rig *rig = *state;
    ask(rig, NULL);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
    assert_int_equal(rig->verdict.code, BURROW_CODE_MISSING_BEARER);
}

static void what_those_who_abstain_say_is_the_denial_when_nobody_judges(void **state)
{
    struct rig *rig = *state;
    rig->actor[1].code = BURROW_CODE_INVALID_TOKEN;
    rig->actor[2].code = BURROW_CODE_VERIFIER_CONFIG;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
    assert_int_equal(rig->verdict.code, BURROW_CODE_VERIFIER_CONFIG);
    assert_string_equal(rig->reason, "auth-b: scripted; auth-c: scripted");
    assert_string_equal(rig->plugin, "");
}

static void silence_is_unavailable_after_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 0;
    ask(rig, "t");
    fake_loop_advance(rig->loop, AUTH_DEADLINE_MS - 1);
    assert_int_equal(rig->done, 0);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_UNAVAILABLE);
    assert_int_equal(rig->actor[0].cancelled, 1);
    assert_int_equal(rig->faults[0].count, 1);
}

static void the_deadline_is_for_the_whole_chain(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = rig->actor[1].answer = 0;
    ask(rig, "t");
    fake_loop_advance(rig->loop, AUTH_DEADLINE_MS - 1);
    actor_answer(&rig->actor[0], BURROW_AUTH_ABSTAIN);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->actor[1].asked, 1);
    fake_loop_advance(rig->loop, 1);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->actor[1].cancelled, 1);
}

static void an_answer_after_the_deadline_is_ignored(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 0;
    ask(rig, "t");
    fake_loop_advance(rig->loop, AUTH_DEADLINE_MS);
    actor_answer(&rig->actor[0], BURROW_AUTH_ALLOW);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_UNAVAILABLE);
    assert_int_equal(rig->faults[0].count, 2); /* no answer in time, and one too late */
}

static void a_late_answer_is_the_fault_of_who_gave_it(void **state)
{
    struct rig *rig = *state;
    rig->actor[1].answer = 0;
    struct auth_request *request = ask(rig, "t");
    fake_loop_settle(rig->loop);
    auth_cancel(request);
    actor_answer(&rig->actor[1], BURROW_AUTH_ALLOW);
    assert_int_equal(rig->faults[0].count, 0);
    assert_int_equal(rig->faults[1].count, 1);
    assert_int_equal(rig->faults[2].count, 0);
}

static void a_second_answer_is_ignored_even_for_a_later_question(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 0;
    rig->actor[0].code = BURROW_CODE_INVALID_TOKEN;
    ask(rig, "t");
    struct burrow_auth_request *first = rig->actor[0].request;
    actor_answer(&rig->actor[0], BURROW_AUTH_DENY);
    fake_loop_settle(rig->loop);
    ask(rig, "u");
    struct burrow_auth_request *second = rig->actor[0].request;
    rig->actor[0].request = first;
    actor_answer(&rig->actor[0], BURROW_AUTH_ALLOW);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 1);
    assert_int_equal(auth_pending(rig->chain), 1);
    assert_int_equal(rig->faults[0].count, 1);
    rig->actor[0].request = second;
}

static void a_cancelled_question_is_never_answered(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 0;
    struct auth_request *request = ask(rig, "t");
    auth_cancel(request);
    assert_int_equal(rig->actor[0].cancelled, 1);
    actor_answer(&rig->actor[0], BURROW_AUTH_ALLOW);
    fake_loop_advance(rig->loop, 2 * AUTH_DEADLINE_MS);
    assert_int_equal(rig->done, 0);
}

static void a_question_that_was_answered_is_cancelled_without_asking_the_plugin(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    struct auth_request *request = ask(rig, "t");
    auth_cancel(request);
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->done, 0);
    assert_int_equal(rig->actor[0].cancelled, 0);
}

static void grants_that_are_not_understood_deny(void **state)
{
    struct rig *rig = *state;
    static const char *const texts[] = {"{\"port\":[80]}", "[]", "", "{", "{} x", "null"};
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rig->actor[0].grants = texts[i];
        ask(rig, "t");
        fake_loop_settle(rig->loop);
        assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
        assert_int_equal(rig->verdict.code, BURROW_CODE_INVALID_TOKEN);
    }
}

static void empty_grants_allow(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    rig->actor[0].grants = " { \n} ";
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_ALLOW);
}

static void grants_come_with_the_verdict(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    rig->actor[0].grants = "{\"max_streams\":7}";
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig->streams, 7);
}

static void a_plugin_may_ask_whether_grants_are_good(void **state)
{
    struct rig *rig = *state;
    const struct burrow_auth_host *host = rig->actor[0].host;
    char why[64] = "";
    assert_int_equal(host->check_grants("{\"max_streams\":7}", why, sizeof why), BURROW_OK);
    assert_string_equal(why, "");
    assert_int_equal(host->check_grants("{\"streams\":7}", why, sizeof why), BURROW_EINVAL);
    assert_non_null(strstr(why, "streams"));
}

static void a_subject_must_be_1_to_128_bytes_without_nul(void **state)
{
    struct rig *rig = *state;
    char subject[130];
    memset(subject, 's', sizeof subject);
    static const struct {
        size_t len;
        uint32_t result;
    } cases[] = {{1, BURROW_AUTH_ALLOW}, {128, BURROW_AUTH_ALLOW}, {129, BURROW_AUTH_DENY}};
    rig->actor[0].answer = BURROW_AUTH_ALLOW;
    rig->actor[0].subject = subject;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig->actor[0].subject_len = cases[i].len;
        ask(rig, "t");
        fake_loop_settle(rig->loop);
        assert_int_equal(rig->verdict.result, cases[i].result);
    }
    subject[3] = '\0';
    rig->actor[0].subject_len = 10;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
}

static void a_verdict_that_makes_no_sense_denies(void **state)
{
    struct rig *rig = *state;
    rig->actor[0].answer = 77;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.result, BURROW_AUTH_DENY);
    rig->actor[0].answer = BURROW_AUTH_DENY;
    rig->actor[0].code = 99;
    ask(rig, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->verdict.code, BURROW_CODE_INVALID_TOKEN);
}

static void a_token_over_8192_bytes_is_not_asked_about(void **state)
{
    struct rig *rig = *state;
    static char token[AUTH_MAX_TOKEN + 2];
    memset(token, 't', AUTH_MAX_TOKEN + 1);
    assert_null(ask(rig, token));
    assert_int_equal(rig->actor[0].asked, 0);
    token[AUTH_MAX_TOKEN] = '\0';
    assert_non_null(ask(rig, token));
}

static void a_chain_without_members_is_refused(void **state)
{
    struct rig *rig = *state;
    struct auth_chain *none = NULL;
    assert_int_equal(auth_chain_create(rig->loop, NULL, 0, &none), BURROW_EINVAL);
    assert_null(none);
}

static void codes_have_names_both_ways(void **state)
{
    (void)state;
    for (uint32_t code = 1; code < AUTH_CODES; code++)
        assert_int_equal(auth_code_parse(auth_code_name(code)), code);
    assert_int_equal(auth_code_parse("superseded"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_within_verify_resumes_the_asker_later),
        TEST(an_answer_on_a_later_turn_resumes_the_asker_after_it),
        TEST(who_abstains_passes_the_whole_credential_on),
        TEST(a_denial_ends_the_chain),
        TEST(unavailable_ends_the_chain),
        TEST(when_all_abstain_a_token_is_invalid),
        TEST(when_all_abstain_no_token_is_a_missing_bearer),
        TEST(what_those_who_abstain_say_is_the_denial_when_nobody_judges),
        TEST(silence_is_unavailable_after_the_deadline),
        TEST(the_deadline_is_for_the_whole_chain),
        TEST(an_answer_after_the_deadline_is_ignored),
        TEST(a_late_answer_is_the_fault_of_who_gave_it),
        TEST(a_second_answer_is_ignored_even_for_a_later_question),
        TEST(a_cancelled_question_is_never_answered),
        TEST(a_question_that_was_answered_is_cancelled_without_asking_the_plugin),
        TEST(an_allowance_that_has_ended_is_a_denial),
        TEST(grants_that_are_not_understood_deny),
        TEST(empty_grants_allow),
        TEST(grants_come_with_the_verdict),
        TEST(a_plugin_may_ask_whether_grants_are_good),
        TEST(a_subject_must_be_1_to_128_bytes_without_nul),
        TEST(a_verdict_that_makes_no_sense_denies),
        TEST(a_token_over_8192_bytes_is_not_asked_about),
        TEST(a_chain_without_members_is_refused),
        TEST(codes_have_names_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
