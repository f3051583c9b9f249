/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the loop's contract share. Each test starts with a fresh loop and a
 * connected pair of non-blocking sockets, and fails when the loop is not broken by it.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include "loop/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct loop *loop;
    int a, b; /* a socket pair: what is written into b is read from a */
    int c, d; /* another */
};

int set_up(void **state);
int tear_down(void **state);
#define with_loop(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* What happened, letter by letter. */
struct diary {
    char text[64];
    struct loop *loop;
};
static inline void note(struct diary *diary, char letter)
{
    size_t n = strlen(diary->text);
    assert_true(n + 1 < sizeof diary->text);
    diary->text[n] = letter;
}

static inline void break_loop(void *arg)
{
    loop_break(arg);
}

/* Runs two turns more than what is under way, so that whatever is due comes. */
void run_some_turns(struct loop *loop);

int run_watches(void);
int run_timers(void);
int run_tasks(void);
int run_posts(void);
int run_lookups(void);

#endif
