/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burrow_host for tests of plugins: real descriptors on a libev loop of its own, and a clock
 * that moves only when the test says so. It runs turn by turn, counts what the plugin holds
 * (watches, timers, look-ups), keeps its log lines, and can let any allocation fail.
 */
#ifndef BURROW_TESTKIT_FAKE_HOST_H
#define BURROW_TESTKIT_FAKE_HOST_H

#include <burrow/plugin.h>
#include <pthread.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FAKE_LOG_LINES 64
#define FAKE_METRICS 64

/* Says on stderr what is wrong and ends the process: a test that goes on with a broken plugin
 * would only fail somewhere else. */
__attribute__((format(printf, 1, 2), noreturn)) void fake_host_fail(const char *fmt, ...);
/* `sentence` is what the plugin has to keep. */
#define fake_must(condition, sentence)                                                             \
    ((condition) ? (void)0 : fake_host_fail("broken: %s (%s)", sentence, #condition))

struct fake_post;

struct fake_host {
    struct burrow_host table; /* what the plugin is given */
    void *ev;                 /* struct ev_loop * */
    uint64_t now_ms;
    bool stopped;          /* the plugin answered stop(); clear it to stop another instance */
    unsigned left_at_stop; /* what was held at that moment: 0 in a plugin that is right */

    /* Held by the plugin now: all zero after its destroy. */
    unsigned watches, timers, lookups, files;
    /* The n-th of the next watch, after, post and watch_files calls fails; 0: none. */
    unsigned fail_at;
    /* Or this decides, when it is set: true, and the call fails. */
    bool (*deny)(void *arg);
    void *deny_arg;
    bool is_native; /* the plugin has asked for the loop itself */

    char error[512]; /* the newest verror text */
    int error_code;
    struct fake_log_line {
        int32_t level;
        char text[256];
    } log[FAKE_LOG_LINES]; /* a ring */
    unsigned log_count;
    int64_t metrics[FAKE_METRICS]; /* sums of metric_add by index */

    /* Called at the end of every turn (a test's links flush here); may be NULL. */
    void (*end_of_turn)(void *arg);
    void *end_of_turn_arg;

    struct burrow_watch *fed_head, **fed_tail;
    struct burrow_timer *timer_head;
    struct burrow_files *files_head;
    struct fake_post *posted;
    pthread_mutex_t post_lock;
    uint8_t *scratch;
};

void fake_host_init(struct fake_host *fake);
/* Fails the test when the plugin still holds something. */
void fake_host_finish(struct fake_host *fake);

/* One turn: what was fed, due timers, posted calls, ready descriptors (waiting at most
 * wait_ms of real time for one), end_of_turn. */
void fake_host_turn(struct fake_host *fake, unsigned wait_ms);
/* Turns until done(arg), or fails the test after ten real seconds and 500 turns. */
void fake_host_run(struct fake_host *fake, bool (*done)(void *arg), void *arg);
/* Turns until nothing has been ready for `quiet_ms` of real time: for "nothing happens". */
void fake_host_settle(struct fake_host *fake, unsigned quiet_ms);
/* Moves the clock; timers run in the turns that follow. */
void fake_host_advance(struct fake_host *fake, uint64_t ms);
/* Moves it to the first timer when nothing but a timer can bring news to the plugin; false, and the
 * clock as it was, when something else may: a watch, a look-up, a posted call, what it does with
 * the native loop. (What a thread of its own may post some time, nobody knows: it holds a watch.)
 */
bool fake_host_advance_to_timer(struct fake_host *fake);
/* As if that watched file had changed: what the plugin's watch says. Fails the test when it
 * watches no such file. */
int fake_host_touch(struct fake_host *fake, const char *path);
/* For host tables of tests: whether the call that is under way fails. */
bool fake_host_denies(struct fake_host *fake);
/* Whether a kept log line of that level contains the text; level -1: any. */
bool fake_host_logged(const struct fake_host *fake, int32_t level, const char *text);
unsigned fake_host_log_lines(const struct fake_host *fake, int32_t level);

#ifdef __cplusplus
}
#endif
#endif
