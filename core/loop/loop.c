/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop over libev, the only file of the core that knows it. One turn, as libev runs it:
 *
 *   on_prepare   the tasks of the turn that ends, then
 *   epoll_wait   which does not sleep when anything is left for the next turn (`wake`), then
 *   on_check     first of the new turn's callbacks: the clock is read, fed watches are queued,
 *   callbacks    of descriptors, timers, posted calls and signals.
 *
 * libev runs events that are fed inside a callback within the same turn, and those fed inside
 * on_prepare before it sleeps; so loop_feed keeps a list of its own until on_check.
 */
#include "loop/loop.h"
#include "base/object.h"
#include "base/reserve.h"
#include "loop/calls.h"
#include "loop/resolve.h"
#include "loop/tasks.h"

#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#define LOOP_MAGIC 0x4c4f4f50u
#define WATCH_MAGIC 0x57544348u
#define TIMER_MAGIC 0x54494d52u
#define SIGNAL_MAGIC 0x5349474eu
#define SCRATCH_BYTES (256u * 1024u)
#define CACHE_LINE 64u
#define EVENTS (BURROW_READ | BURROW_WRITE)

_Static_assert(BURROW_READ == EV_READ && BURROW_WRITE == EV_WRITE, "events pass unchanged");

struct loop_watch {
    uint32_t magic;
    uint8_t events; /* wanted */
    uint8_t fed;    /* and not passed on yet */
    bool listed;    /* in loop->fed */
    struct loop *loop;
    burrow_io_fn *fn;
    void *arg;
    ev_io io;
    TAILQ_ENTRY(loop_watch) entry;
};

struct loop_timer {
    uint32_t magic;
    struct loop *loop;
    uint64_t due_ms;   /* when fn is to run */
    uint64_t armed_ms; /* when libev wakes: never later */
    burrow_timer_fn *fn;
    void *arg;
    ev_timer timer;
};

struct loop_signal {
    uint32_t magic;
    struct loop *loop;
    burrow_timer_fn *fn;
    void *arg;
    ev_signal signal;
};

struct loop {
    uint32_t magic;
    bool running, broken, has_thread;
    struct ev_loop *ev;
    uint64_t now_ms; /* of this turn */
    struct task_queue tasks;
    TAILQ_HEAD(, loop_watch) fed;
    struct pool *pool;
    uint8_t *scratch;
    struct resolver *resolver;
    struct call_queue calls;
    ev_prepare prepare;
    ev_check check;
    ev_idle wake; /* active: the loop must not sleep */
    ev_async async;
};

uint64_t loop_clock_us(const struct loop *loop)
{
    (void)loop;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

int64_t loop_unix_ms(const struct loop *loop)
{
    (void)loop;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    /* There are no turns while the loop does not run. */
    return loop->running ? loop->now_ms : loop_clock_us(loop) / 1000;
}

static void wake(struct loop *loop)
{
    if (!ev_is_active(&loop->wake))
        ev_idle_start(loop->ev, &loop->wake);
}

static void on_wake(struct ev_loop *ev, ev_idle *idle, int revents)
{
    (void)ev;
    (void)idle;
    (void)revents;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *prepare, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *loop = prepare->data;
    must_be(loop, LOOP_MAGIC);
    task_queue_run(&loop->tasks);
}

static void queue_fed(struct loop *loop)
{
    struct loop_watch *watch;
    while ((watch = TAILQ_FIRST(&loop->fed)) != NULL) {
        int events = watch->fed & watch->events;
        TAILQ_REMOVE(&loop->fed, watch, entry);
        watch->listed = false;
        watch->fed = (uint8_t)(watch->fed & ~events);
        if (events != 0)
            ev_feed_event(loop->ev, &watch->io, events); /* joins what epoll brought */
    }
}

static void on_check(struct ev_loop *ev, ev_check *check, int revents)
{
    (void)revents;
    struct loop *loop = check->data;
    must_be(loop, LOOP_MAGIC);
    loop->now_ms = loop_clock_us(loop) / 1000;
    task_queue_begin(&loop->tasks);
    ev_idle_stop(ev, &loop->wake);
    queue_fed(loop);
    reserve_fill();
}

static void on_async(struct ev_loop *ev, ev_async *async, int revents)
{
    (void)ev;
    (void)revents;
    struct loop *loop = async->data;
    must_be(loop, LOOP_MAGIC);
    call_queue_run(&loop->calls);
}

static void start_watchers(struct loop *loop)
{
    ev_prepare_init(&loop->prepare, on_prepare);
    ev_set_priority(&loop->prepare, EV_MINPRI); /* after the prepares of foreign libraries */
    ev_check_init(&loop->check, on_check);
    ev_set_priority(&loop->check, EV_MAXPRI); /* before all else of the turn */
    ev_idle_init(&loop->wake, on_wake);
    ev_async_init(&loop->async, on_async);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->async.data = loop;
    ev_prepare_start(loop->ev, &loop->prepare);
    ev_check_start(loop->ev, &loop->check);
    ev_async_start(loop->ev, &loop->async);
}

struct loop *loop_create(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->magic = LOOP_MAGIC;
    task_queue_init(&loop->tasks);
    TAILQ_INIT(&loop->fed);
    if (call_queue_init(&loop->calls) != 0)
        goto no_calls;
    reserve_fill();
    ev_set_allocator(reserve_realloc); /* without memory libev ends the process */
    /* epoll or nothing: libev's io_uring aborts, and the environment is not ours to obey. */
    loop->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (loop->ev == NULL)
        goto no_ev;
    loop->pool = pool_create();
    loop->scratch = aligned_alloc(CACHE_LINE, SCRATCH_BYTES);
    loop->resolver = resolver_create(loop);
    if (loop->pool == NULL || loop->scratch == NULL || loop->resolver == NULL)
        goto no_memory;
    start_watchers(loop);
    return loop;
no_memory:
    resolver_destroy(loop->resolver);
    free(loop->scratch);
    pool_destroy(loop->pool);
    ev_loop_destroy(loop->ev);
no_ev:
    call_queue_finish(&loop->calls);
no_calls:
    free(loop);
    return NULL;
}

void loop_destroy(struct loop *loop)
{
    if (loop == NULL)
        return;
    must_be(loop, LOOP_MAGIC);
    must(!loop->running);
    resolver_stop(loop->resolver); /* no thread posts any more */
    call_queue_finish(&loop->calls);
    resolver_destroy(loop->resolver); /* frees look-ups, whose calls the queue held */
    ev_async_stop(loop->ev, &loop->async);
    ev_idle_stop(loop->ev, &loop->wake);
    ev_check_stop(loop->ev, &loop->check);
    ev_prepare_stop(loop->ev, &loop->prepare);
    ev_loop_destroy(loop->ev);
    pool_destroy(loop->pool);
    free(loop->scratch);
    loop->magic = 0;
    free(loop);
}

void loop_run(struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    must(!loop->running);
    loop->running = true;
    loop->now_ms = loop_clock_us(loop) / 1000;
    while (!loop->broken)
        ev_run(loop->ev, 0);
    task_queue_run(&loop->tasks); /* of the last turn: farewells are written here */
    loop->broken = false;
    loop->running = false;
}

void loop_break(struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    loop->broken = true;
    ev_break(loop->ev, EVBREAK_ONE);
}

bool loop_has_thread(const struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    return loop->has_thread;
}

void loop_set_thread(struct loop *loop, bool has)
{
    must_be(loop, LOOP_MAGIC);
    loop->has_thread = has;
}

struct pool *loop_pool(struct loop *loop)
{
    return loop->pool;
}

struct resolver *loop_resolver(struct loop *loop)
{
    must_be(loop, LOOP_MAGIC);
    return loop->resolver;
}

void *loop_scratch(struct loop *loop, size_t n)
{
    return n <= SCRATCH_BYTES ? loop->scratch : NULL;
}

void *loop_native(struct loop *loop, const char *flavour)
{
    return strcmp(flavour, "libev") == 0 ? loop->ev : NULL;
}

/* Descriptors */

static void on_io(struct ev_loop *ev, ev_io *io, int revents)
{
    (void)ev;
    struct loop_watch *watch = io->data;
    must_be(watch, WATCH_MAGIC);
    /* EV_ERROR: libev gave the descriptor up; whoever uses it will see why. */
    int events = revents & EV_ERROR ? watch->events : revents & watch->events;
    if (events != 0)
        watch->fn(watch->arg, events);
}

struct loop_watch *loop_watch(struct loop *loop, int fd, int events, burrow_io_fn *fn, void *arg)
{
    must_be(loop, LOOP_MAGIC);
    must(fd >= 0);
    struct loop_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    watch->magic = WATCH_MAGIC;
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    watch->events = (uint8_t)(events & EVENTS);
    ev_io_init(&watch->io, on_io, fd, watch->events);
    watch->io.data = watch;
    if (watch->events != 0)
        ev_io_start(loop->ev, &watch->io);
    return watch;
}

static void list_fed(struct loop_watch *watch)
{
    struct loop *loop = watch->loop;
    if (!watch->listed) {
        watch->listed = true;
        TAILQ_INSERT_TAIL(&loop->fed, watch, entry);
    }
    wake(loop);
}

int loop_rewatch(struct loop_watch *watch, int events)
{
    must_be(watch, WATCH_MAGIC);
    events &= EVENTS;
    if (watch->events == events)
        return 0;
    struct ev_loop *ev = watch->loop->ev;
    /* Stopping forgets what has come in this turn. epoll would tell again, but not of what
     * was fed. */
    int pending = ev_clear_pending(ev, &watch->io) & EVENTS;
    ev_io_stop(ev, &watch->io);
    watch->events = (uint8_t)events;
    if (events != 0) {
        ev_io_modify(&watch->io, events);
        ev_io_start(ev, &watch->io);
    }
    if (pending & events)
        ev_feed_event(ev, &watch->io, pending & events);
    watch->fed = (uint8_t)(watch->fed | (pending & ~events));
    if (watch->fed & events)
        list_fed(watch);
    return 0;
}

void loop_unwatch(struct loop_watch *watch)
{
    if (watch == NULL)
        return;
    must_be(watch, WATCH_MAGIC);
    ev_io_stop(watch->loop->ev, &watch->io); /* takes back what is pending, too */
    if (watch->listed)
        TAILQ_REMOVE(&watch->loop->fed, watch, entry);
    watch->magic = 0;
    free(watch);
}

void loop_feed(struct loop_watch *watch, int events)
{
    must_be(watch, WATCH_MAGIC);
    watch->fed = (uint8_t)(watch->fed | (events & EVENTS));
    if (watch->fed & watch->events)
        list_fed(watch);
}

/* Timers */

static void arm(struct loop_timer *timer, uint64_t ms)
{
    struct ev_loop *ev = timer->loop->ev;
    if (!timer->loop->running)
        ev_now_update(ev); /* libev counts from its last turn, which may be long ago */
    ev_timer_stop(ev, &timer->timer);
    ev_timer_set(&timer->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(ev, &timer->timer);
    timer->armed_ms = timer->due_ms;
}

static void on_timer(struct ev_loop *ev, ev_timer *t, int revents)
{
    (void)ev;
    (void)revents;
    struct loop_timer *timer = t->data;
    must_be(timer, TIMER_MAGIC);
    uint64_t now = timer->loop->now_ms;
    if (now < timer->due_ms) /* it was moved, or the two clocks were rounded differently */
        arm(timer, timer->due_ms - now);
    else
        timer->fn(timer->arg);
}

struct loop_timer *loop_timer_create(struct loop *loop, burrow_timer_fn *fn, void *arg)
{
    must_be(loop, LOOP_MAGIC);
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    timer->magic = TIMER_MAGIC;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    ev_timer_init(&timer->timer, on_timer, 0.0, 0.0);
    timer->timer.data = timer;
    return timer;
}

void loop_timer_set(struct loop_timer *timer, uint64_t ms)
{
    must_be(timer, TIMER_MAGIC);
    uint64_t now = loop_now_ms(timer->loop);
    timer->due_ms = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
    /* Deadlines are mostly put off: then the timer wakes at the old time and goes on. */
    if (ev_is_active(&timer->timer) && timer->armed_ms <= timer->due_ms)
        return;
    arm(timer, ms);
}

void loop_timer_stop(struct loop_timer *timer)
{
    must_be(timer, TIMER_MAGIC);
    ev_timer_stop(timer->loop->ev, &timer->timer);
}

void loop_timer_destroy(struct loop_timer *timer)
{
    if (timer == NULL)
        return;
    loop_timer_stop(timer);
    timer->magic = 0;
    free(timer);
}

/* Posted calls and tasks */

void loop_post_call(struct loop *loop, struct loop_call *call)
{
    call_queue_add(&loop->calls, call);
    ev_async_send(loop->ev, &loop->async);
}

void loop_task_schedule(struct loop *loop, struct loop_task *task)
{
    must_be(loop, LOOP_MAGIC);
    if (task_queue_add(&loop->tasks, task))
        wake(loop);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
    must_be(loop, LOOP_MAGIC);
    task_queue_remove(&loop->tasks, task);
}

/* Signals */

static void on_signal(struct ev_loop *ev, ev_signal *s, int revents)
{
    (void)ev;
    (void)revents;
    struct loop_signal *sig = s->data;
    must_be(sig, SIGNAL_MAGIC);
    sig->fn(sig->arg);
}

struct loop_signal *loop_signal(struct loop *loop, int signo, burrow_timer_fn *fn, void *arg)
{
    must_be(loop, LOOP_MAGIC);
    if (signo <= 0 || signo >= NSIG || signo == SIGKILL || signo == SIGSTOP)
        return NULL;
    struct loop_signal *sig = calloc(1, sizeof *sig);
    if (sig == NULL)
        return NULL;
    sig->magic = SIGNAL_MAGIC;
    sig->loop = loop;
    sig->fn = fn;
    sig->arg = arg;
    ev_signal_init(&sig->signal, on_signal, signo);
    sig->signal.data = sig;
    ev_signal_start(loop->ev, &sig->signal);
    return sig;
}

void loop_signal_destroy(struct loop_signal *sig)
{
    if (sig == NULL)
        return;
    must_be(sig, SIGNAL_MAGIC);
    ev_signal_stop(sig->loop->ev, &sig->signal);
    sig->magic = 0;
    free(sig);
}
