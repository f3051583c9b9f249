/* SPDX-License-Identifier: Apache-2.0 */
/* Name look-ups: one answer each, on a later turn, or none once cancelled. */
#include "base/address.h"
#include "contract.h"

struct question {
    struct loop *loop;
    struct loop_lookup *lookup, *cancels;
    int answers, result;
    size_t n;
    struct burrow_addr first;
    bool loopback; /* all of them */
    char error[128];
};

static void answer(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                   const char *error)
{
    struct question *q = arg;
    q->answers++;
    q->result = result;
    q->n = n;
    q->loopback = n > 0;
    for (size_t i = 0; i < n; i++)
        q->loopback = q->loopback && address_is_loopback(&addrs[i]) && addrs[i].port == 8080;
    if (n > 0)
        q->first = addrs[0];
    if (error != NULL)
        snprintf(q->error, sizeof q->error, "%s", error);
    loop_break(q->loop);
}

static void ask(struct question *q, struct fixture *f, const char *name)
{
    *q = (struct question){.loop = f->loop};
    q->lookup = loop_resolve(f->loop, name, 8080, answer, q);
    assert_non_null(q->lookup);
    assert_int_equal(q->answers, 0);
}

static void a_literal_is_answered_on_a_later_turn(void **state)
{
    struct fixture *f = *state;
    static const char *const literals[] = {"192.0.2.7", "2001:db8::1"};
    static const char *const expected[] = {"192.0.2.7:8080", "[2001:db8::1]:8080"};
    for (int i = 0; i < 2; i++) {
        struct question q;
        char text[ADDRESS_TEXT];
        ask(&q, f, literals[i]);
        loop_run(f->loop);
        assert_int_equal(q.answers, 1);
        assert_int_equal(q.result, 0);
        assert_int_equal(q.n, 1);
        assert_string_equal(address_format(&q.first, text), expected[i]);
    }
}

static void localhost_is_the_loopback_address(void **state)
{
    struct fixture *f = *state;
    struct question q;
    ask(&q, f, "localhost");
    loop_run(f->loop);
    assert_int_equal(q.answers, 1);
    assert_int_equal(q.result, 0);
    assert_true(q.loopback);
}

static void a_name_that_does_not_exist_fails_with_a_reason(void **state)
{
    struct fixture *f = *state;
    struct question q;
    ask(&q, f, "nonexistent.invalid");
    loop_run(f->loop);
    assert_int_equal(q.answers, 1);
    assert_true(q.result < 0);
    assert_int_equal(q.n, 0);
    assert_string_not_equal(q.error, "");
}

static void names_of_no_or_too_great_length_fail(void **state)
{
    struct fixture *f = *state;
    char longest[2000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const names[] = {"", longest};
    for (int i = 0; i < 2; i++) {
        struct question q;
        ask(&q, f, names[i]);
        loop_run(f->loop);
        assert_int_equal(q.answers, 1);
        assert_true(q.result < 0);
        assert_string_not_equal(q.error, "");
    }
}

static void a_cancelled_question_is_not_answered(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"127.0.0.1", "localhost", "nonexistent.invalid"};
    for (int i = 0; i < 3; i++) {
        struct question q, last;
        ask(&q, f, names[i]);
        loop_resolve_cancel(q.lookup);
        ask(&last, f, "localhost"); /* behind it in the queue, if it is in one */
        loop_run(f->loop);
        assert_int_equal(q.answers, 0);
        assert_int_equal(last.answers, 1);
        run_some_turns(f->loop);
        assert_int_equal(q.answers, 0);
    }
}

static void answer_and_cancel(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                              const char *error)
{
    struct question *q = arg;
    answer(q, result, addrs, n, error);
    loop_resolve_cancel(q->cancels);
}

static void an_answer_may_cancel_the_next_one_of_the_same_turn(void **state)
{
    struct fixture *f = *state;
    struct question one = {.loop = f->loop}, two = {.loop = f->loop};
    one.lookup = loop_resolve(f->loop, "127.0.0.1", 1, answer_and_cancel, &one);
    two.lookup = loop_resolve(f->loop, "127.0.0.2", 1, answer_and_cancel, &two);
    one.cancels = two.lookup;
    run_some_turns(f->loop);
    assert_int_equal(one.answers, 1);
    assert_int_equal(two.answers, 0);
}

static void answer_and_ask(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                           const char *error)
{
    struct question *q = arg;
    (void)result;
    (void)addrs;
    (void)n;
    (void)error;
    q->answers++;
    q->lookup = loop_resolve(q->loop, "localhost", 8080, answer, q);
    assert_non_null(q->lookup);
}

static void an_answer_may_ask_again(void **state)
{
    struct fixture *f = *state;
    struct question q = {.loop = f->loop};
    q.lookup = loop_resolve(f->loop, "127.0.0.1", 8080, answer_and_ask, &q);
    loop_run(f->loop);
    assert_int_equal(q.answers, 2);
    assert_true(q.loopback);
}

static void unexpected(void *arg, int result, const struct burrow_addr *addrs, size_t n,
                       const char *error)
{
    (void)arg;
    (void)result;
    (void)addrs;
    (void)n;
    (void)error;
    fail();
}

static void questions_under_way_end_with_the_loop(void **state)
{
    (void)state;
    static const char *const names[] = {"127.0.0.1", "localhost", "nonexistent.invalid"};
    struct loop *loop = loop_create();
    assert_non_null(loop);
    for (int i = 0; i < 30; i++)
        assert_non_null(loop_resolve(loop, names[i % 3], 1, unexpected, NULL));
    loop_destroy(loop);
}

static void no_question_may_be_given_to_cancel(void **state)
{
    (void)state;
    loop_resolve_cancel(NULL);
}

int run_lookups(void)
{
    const struct CMUnitTest tests[] = {
        with_loop(a_literal_is_answered_on_a_later_turn),
        with_loop(localhost_is_the_loopback_address),
        with_loop(a_name_that_does_not_exist_fails_with_a_reason),
        with_loop(names_of_no_or_too_great_length_fail),
        with_loop(a_cancelled_question_is_not_answered),
        with_loop(an_answer_may_cancel_the_next_one_of_the_same_turn),
        with_loop(an_answer_may_ask_again),
        cmocka_unit_test(questions_under_way_end_with_the_loop),
        cmocka_unit_test(no_question_may_be_given_to_cancel),
    };
    return cmocka_run_group_tests_name("lookups", tests, NULL, NULL);
}
