/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a program whether a token is good: it gets the token on its standard input, and lets
 * the client in by exit code 0, with the client id that it prints. A program may take its time
 * (a look-up in a directory, a second factor), so that the answer comes turns later; it is
 * killed when the host cancels the question or --auth-slow.timeout passes.
 *
 * What to see here: one struct per question, on a list, from verify to answer or cancel; the
 * output of a process as a watched descriptor, so that nothing ever waits; stop, which answers
 * whatever is still open.
 */
#include <burrow/auth.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RUNNING 64u
#define MAX_SUBJECT 128u
#define AGAIN_MS 5u

extern char **environ;

struct config {
    const char *program;
    int64_t timeout;
};

static const struct burrow_option options[] = {
    BURROW_OPTION_PATH(struct config, program, "program", NULL, "FILE", BURROW_OPT_REQUIRED,
                       "the program that judges a token"),
    BURROW_OPTION_DURATION(struct config, timeout, "timeout", "5s", 0, 10, 60000,
                           "how long the program may take"),
    BURROW_OPTION_END,
};

struct slow {
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
    const struct config *config;
    struct question *questions;
    unsigned running;
};

struct question {
    struct slow *slow;
    struct question *next, **link;
    struct burrow_auth_request *request;
    pid_t pid;
    int output; /* of the program; its end is the program's end */
    struct burrow_watch *watch;
    struct burrow_timer *timer, *again;
    char subject[MAX_SUBJECT + 1];
    size_t subject_len;
};

/* Ends the program, if it still runs, and all that the question holds. */
static void question_free(struct question *q)
{
    const struct burrow_host *h = q->slow->host;
    h->unwatch(q->watch);
    h->cancel(q->timer);
    h->cancel(q->again);
    if (q->output >= 0)
        close(q->output);
    if (q->pid > 0) {
        kill(q->pid, SIGKILL); /* nothing happens when it has ended already */
        while (waitpid(q->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (q->link != NULL) {
        *q->link = q->next;
        if (q->next != NULL)
            q->next->link = q->link;
        q->slow->running--;
    }
    free(q);
}

static void answer(struct slow *s, struct burrow_auth_request *request, uint32_t result,
                   const char *subject, const char *reason)
{
    struct burrow_verdict verdict = {.size = sizeof verdict, .result = result};
    verdict.code = result == BURROW_AUTH_DENY ? BURROW_CODE_INVALID_TOKEN : 0;
    verdict.subject = subject;
    verdict.subject_len = subject != NULL ? strlen(subject) : 0;
    verdict.reason = reason;
    s->auth->answer(request, &verdict);
}

/* Once the output has ended: the exit follows at once, or is looked for again a little later,
 * since to wait for it here would hold up every tunnel. */
static void on_ended(void *arg)
{
    struct question *q = (struct question *)arg;
    struct slow *s = q->slow;
    struct burrow_auth_request *request = q->request;
    char subject[sizeof q->subject];
    int status = 0;
    q->again = NULL;
    pid_t ended = waitpid(q->pid, &status, WNOHANG);
    if (ended == 0) {
        q->again = s->host->after(s->host->self, AGAIN_MS, on_ended, q);
        if (q->again != NULL)
            return;
    }
    memcpy(subject, q->subject, sizeof subject);
    subject[strcspn(subject, "\r\n")] = '\0';
    if (ended == q->pid)
        q->pid = 0;
    question_free(q);
    /* Whatever is not clearly an exit must not let anybody in. */
    if (ended <= 0 || !WIFEXITED(status))
        answer(s, request, BURROW_AUTH_UNAVAILABLE, NULL, "the program did not end by itself");
    else if (WEXITSTATUS(status) == 0 && subject[0] != '\0')
        answer(s, request, BURROW_AUTH_ALLOW, subject, NULL);
    else
        answer(s, request, BURROW_AUTH_DENY, NULL, "the program says no");
}

static void on_output(void *arg, int events)
{
    struct question *q = (struct question *)arg;
    char rest[256];
    (void)events;
    for (;;) {
        size_t room = MAX_SUBJECT - q->subject_len;
        ssize_t n = room > 0 ? read(q->output, q->subject + q->subject_len, room)
                             : read(q->output, rest, sizeof rest);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            q->slow->host->unwatch(q->watch);
            q->watch = NULL;
            on_ended(q);
            return;
        }
        q->subject_len += room > 0 ? (size_t)n : 0;
    }
}

static void on_timeout(void *arg)
{
    struct question *q = (struct question *)arg;
    struct slow *s = q->slow;
    struct burrow_auth_request *request = q->request;
    q->timer = NULL;
    question_free(q);
    answer(s, request, BURROW_AUTH_UNAVAILABLE, NULL, "the program took too long");
}

/* Starts the program with the token on its standard input. 0 or negative. */
static int run(struct question *q, const char *program, const char *token, size_t len)
{
    posix_spawn_file_actions_t actions;
    char *argv[] = {strdup(program), NULL};
    int in[2] = {-1, -1}, out[2] = {-1, -1}, rc = BURROW_EIO;
    if (argv[0] == NULL || posix_spawn_file_actions_init(&actions) != 0) {
        free(argv[0]);
        return BURROW_ENOMEM;
    }
    /* A token is at most 8 KiB, which a pipe takes without a reader. */
    if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
        write(in[1], token, len) == (ssize_t)len &&
        posix_spawn_file_actions_adddup2(&actions, in[0], 0) == 0 &&
        posix_spawn_file_actions_adddup2(&actions, out[1], 1) == 0 &&
        posix_spawn(&q->pid, argv[0], &actions, NULL, argv, environ) == 0)
        rc = fcntl(out[0], F_SETFL, O_NONBLOCK) == 0 ? BURROW_OK : BURROW_EIO;
    posix_spawn_file_actions_destroy(&actions);
    free(argv[0]);
    for (int i = 0; i < 2; i++)
        if (in[i] >= 0)
            close(in[i]);
    if (out[1] >= 0)
        close(out[1]);
    q->output = out[0];
    return rc;
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    struct slow *s = (struct slow *)self;
    const struct burrow_host *h = s->host;
    if (credential->token == NULL) {
        answer(s, request, BURROW_AUTH_ABSTAIN, NULL, NULL);
        return;
    }
    struct question *q = s->running < MAX_RUNNING ? (struct question *)calloc(1, sizeof *q) : NULL;
    if (q == NULL) {
        answer(s, request, BURROW_AUTH_UNAVAILABLE, NULL, "too many questions at once");
        return;
    }
    q->slow = s;
    q->request = request;
    q->output = -1;
    /* The token is borrowed for this call: the pipe has its copy. */
    if (run(q, s->config->program, credential->token, credential->token_len) == BURROW_OK) {
        q->watch = h->watch(h->self, q->output, BURROW_READ, on_output, q);
        q->timer = h->after(h->self, (uint64_t)s->config->timeout, on_timeout, q);
    }
    if (q->watch == NULL || q->timer == NULL) {
        question_free(q);
        answer(s, request, BURROW_AUTH_UNAVAILABLE, NULL, "the program could not be started");
        return;
    }
    q->next = s->questions;
    if (q->next != NULL)
        q->next->link = &q->next;
    q->link = &s->questions;
    s->questions = q;
    s->running++;
}

/* Cancelled: never answered. */
static void cancel(void *self, struct burrow_auth_request *request)
{
    const struct slow *s = (const struct slow *)self;
    for (struct question *q = s->questions; q != NULL; q = q->next) {
        if (q->request == request) {
            question_free(q);
            return;
        }
    }
}

static void bind_host(void *self, const struct burrow_auth_host *auth)
{
    struct slow *s = (struct slow *)self;
    s->auth = auth;
}

static int check(const struct burrow_host *host, const void *config)
{
    const struct config *c = (const struct config *)config;
    if (access(c->program, X_OK) != 0)
        return burrow_error(host, BURROW_EINVAL, "--auth-slow.program: %s: %s; expected a program",
                            c->program, strerror(errno));
    return BURROW_OK;
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    struct slow *s = (struct slow *)calloc(1, sizeof *s);
    if (s == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    s->host = host;
    s->config = (const struct config *)config; /* the host keeps it until destroy */
    *ret_self = s;
    return BURROW_OK;
}

static void stop(void *self)
{
    struct slow *s = (struct slow *)self;
    while (s->questions != NULL) {
        struct burrow_auth_request *request = s->questions->request;
        question_free(s->questions);
        answer(s, request, BURROW_AUTH_UNAVAILABLE, NULL, "stopping");
    }
    s->host->stopped(s->host->self);
}

static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
    .cancel = cancel,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct config),
    .name = "auth-slow",
    .version = "1.0.0",
    .summary = "Asks a program, which may take its time",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .stop = stop,
    .destroy = free,
};
