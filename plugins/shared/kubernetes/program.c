/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a kubeconfig's program, on the host's loop; see exec.h. */
#include "kubernetes/exec.h"
#include "must.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_MAGIC 0x4e52424bu /* "KBRN" in memory order */
#define MAX_OUTPUT 65536u
#define REAP_MS 1000

struct kube_run {
    uint32_t magic;
    bool too_much, late;
    const struct burrow_host *host;
    kube_run_fn *done;
    void *arg;
    pid_t pid; /* 0: gone */
    int pid_fd, fd;
    struct burrow_watch *pid_watch, *watch;
    struct burrow_timer *timer;
    char program[100]; /* for messages */
    size_t len;
    char output[MAX_OUTPUT];
};

static struct kube_run *run_of(void *arg)
{
    struct kube_run *run = arg;
    must(run->magic == RUN_MAGIC);
    return run;
}

/* With all that it has started, and itself if it has left its group. */
static void end_program(const struct kube_run *run)
{
    kill(-run->pid, SIGKILL);
    kill(run->pid, SIGKILL);
}

static void run_free(struct kube_run *run)
{
    const struct burrow_host *host = run->host;
    if (run->pid > 0) {
        struct pollfd p = {.fd = run->pid_fd, .events = POLLIN};
        end_program(run);
        if (run->pid_fd >= 0)
            (void)poll(&p, 1, REAP_MS);
        (void)waitpid(run->pid, NULL, run->pid_fd >= 0 ? WNOHANG : 0);
    }
    host->cancel(run->timer);
    host->unwatch(run->watch);
    host->unwatch(run->pid_watch);
    if (run->fd >= 0)
        close(run->fd);
    if (run->pid_fd >= 0)
        close(run->pid_fd);
    explicit_bzero(run, sizeof *run);
    free(run);
}

void kube_run_cancel(struct kube_run *run)
{
    if (run != NULL)
        run_free(run_of(run));
}

/* All that is there. */
static void take_output(struct kube_run *run)
{
    while (run->fd >= 0) {
        ssize_t n = read(run->fd, run->output + run->len, MAX_OUTPUT - run->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n > 0) {
            run->len += (size_t)n;
            continue;
        }
        run->too_much = run->len == MAX_OUTPUT;
        run->host->unwatch(run->watch);
        run->watch = NULL;
        close(run->fd);
        run->fd = -1;
    }
}

static void on_output(void *arg, int events)
{
    (void)events;
    take_output(run_of(arg));
}

/* The program has ended, whoever may still hold its output open. */
static void on_end(void *arg, int events)
{
    struct kube_run *run = run_of(arg);
    struct kube_credential credential = {0};
    char why[KUBE_WHY] = "out of memory";
    int status = 0, rc = BURROW_EIO;
    (void)events;
    if (waitpid(run->pid, &status, WNOHANG) != run->pid)
        return;
    run->pid = 0;
    take_output(run);
    if (run->late)
        snprintf(why, sizeof why, "kubeconfig: exec: %s was not done after %d s", run->program,
                 KUBE_EXEC_MS / 1000);
    else if (run->too_much)
        snprintf(why, sizeof why, "kubeconfig: exec: %s printed more than %u bytes", run->program,
                 MAX_OUTPUT);
    else if (status != 0)
        snprintf(why, sizeof why, "kubeconfig: exec: %s failed (%s %d)", run->program,
                 WIFSIGNALED(status) ? "signal" : "code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    else
        rc = kube_credential_parse(run->output, run->len, &credential, why);
    kube_run_fn *done = run->done;
    void *to = run->arg;
    run_free(run);
    done(to, rc, &credential, why);
    kube_credential_finish(&credential);
}

/* on_end tells it. */
static void on_too_late(void *arg)
{
    struct kube_run *run = run_of(arg);
    run->timer = NULL;
    run->late = true;
    end_program(run);
}

/* In a group of its own, so that Ctrl-C is for us alone; as a shell would start it, with no
 * signal blocked or ignored. An errno. */
static int spawn(struct kube_run *run, const struct kube_exec *exec, int out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char **argv = kube_exec_argv(exec), **environment = kube_exec_environment(exec);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int rc = argv == NULL || environment == NULL ? ENOMEM : 0;
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    pid_t pid = 0;
    if (rc == 0)
        rc = posix_spawnp(&pid, argv[0], &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(argv);
    free(environment);
    run->pid = rc == 0 ? pid : 0;
    return rc;
}

/* An errno. */
static int begin(struct kube_run *run, const struct kube_exec *exec)
{
    const struct burrow_host *host = run->host;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    run->fd = fds[0];
    int rc = fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 ? spawn(run, exec, fds[1]) : errno;
    close(fds[1]);
    if (rc != 0)
        return rc;
    run->pid_fd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    if (run->pid_fd < 0)
        return errno;
    run->watch = host->watch(host->self, run->fd, BURROW_READ, on_output, run);
    run->pid_watch = host->watch(host->self, run->pid_fd, BURROW_READ, on_end, run);
    run->timer = host->after(host->self, KUBE_EXEC_MS, on_too_late, run);
    return run->watch != NULL && run->pid_watch != NULL && run->timer != NULL ? 0 : ENOMEM;
}

int kube_run_begin(const struct burrow_host *host, const struct kube_exec *exec, kube_run_fn *done,
                   void *arg, struct kube_run **ret, char why[KUBE_WHY])
{
    struct kube_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return BURROW_ENOMEM;
    run->magic = RUN_MAGIC;
    run->host = host;
    run->done = done;
    run->arg = arg;
    run->fd = run->pid_fd = -1;
    snprintf(run->program, sizeof run->program, "%s", exec->program);
    int failure = begin(run, exec);
    if (failure != 0) {
        snprintf(why, KUBE_WHY, "kubeconfig: exec: cannot run %s: %s", run->program,
                 strerror(failure));
        run_free(run);
        return failure == ENOMEM ? BURROW_ENOMEM : BURROW_EIO;
    }
    *ret = run;
    return BURROW_OK;
}
