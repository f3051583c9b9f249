/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the loop's contract, group by group. */
#include "contract.h"

#include <sys/socket.h>

int set_up(void **state)
{
    int ab[2], cd[2];
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ab) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, cd) != 0)
        return -1;
    f->a = ab[0];
    f->b = ab[1];
    f->c = cd[0];
    f->d = cd[1];
    f->loop = loop_create();
    *state = f;
    return f->loop != NULL ? 0 : -1;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    loop_destroy(f->loop);
    close(f->a);
    close(f->b);
    close(f->c);
    close(f->d);
    free(f);
    return 0;
}

struct countdown {
    struct loop *loop;
    int turns;
};

static void count_down(void *arg)
{
    struct countdown *c = arg;
    if (--c->turns == 0)
        loop_break(c->loop);
    else
        assert_int_equal(loop_post(c->loop, count_down, c), 0);
}

void run_some_turns(struct loop *loop)
{
    struct countdown c = {loop, 4};
    assert_int_equal(loop_post(loop, count_down, &c), 0);
    loop_run(loop);
}

int main(void)
{
    return run_watches() + run_timers() + run_tasks() + run_posts() + run_lookups();
}
