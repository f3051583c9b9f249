/* SPDX-License-Identifier: Apache-2.0 */
/*
 * burrow-conformance: tries a plugin against the sentences of its contract and prints TAP. See
 * the usage below; docs/plugin-guide.md says how it is used.
 */
#include "conformance.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define LEAKED 76
#define SAID_MAX 8192

static const char usage[] =
    "Usage: burrow-conformance [FLAG]... FILE.so [option=value]...\n"
    "\n"
    "Tries the plugin against the sentences of its contract (burrow/plugin.h and the header of\n"
    "its kind) and prints TAP. The options are the plugin's, with which it must work.\n"
    "\n"
    "  --only=NAME        one check only\n"
    "  --list             what would be checked\n"
    "  --allows-garbage   auth: the plugin lets everyone in, and means it\n"
    "  --token=TEXT       auth: a token that the plugin must allow, shown besides garbage in "
    "every\n"
    "                     check; without it nobody is ever let in\n"
    "  --certificate=FILE auth: the same with a TLS client certificate, in DER\n"
    "  --unix             transport: it dials a path (unix:///PATH) instead of an address\n"
    "  --scheme=NAME      transport: the scheme to dial; by default its first\n"
    "  --keeps=N          blocks of memory that a library keeps of each life, known and few\n"
    "  --run='WORDS'      command: what to run, needed; empty: the entry without a name\n"
    "\n"
    "In the environment, CONFORMANCE_STEP=N fails only every N-th allocation in turn, and\n"
    "CONFORMANCE_PATIENCE=N makes limits of real time N times as long, for Valgrind, which wants\n"
    "--soname-synonyms=somalloc=nouserintercepts here: the kit's own malloc must stay in its "
    "place.\n";

/* Of LeakSanitizer, where the program is built with it. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

_Noreturn static void child(const struct check *check, struct subject *subject, int fd)
{
    dup2(fd, STDERR_FILENO);
    if (freopen("/dev/null", "w", stdout) == NULL)
        _exit(1);
    signal(SIGPIPE, SIG_IGN);
    alarm((unsigned)CHECK_SECONDS);
    check->run(subject);
    fflush(NULL);
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check() != 0)
        _exit(LEAKED);
    /* A leak checker that is not ours (Valgrind) looks at exit. */
    exit(0);
}

/* What the child says, cut at the front when it is long: the end tells the reason. */
static void read_all(int fd, char *said)
{
    size_t used = 0;
    for (;;) {
        if (used == SAID_MAX - 1) {
            memmove(said, said + SAID_MAX / 2, used - SAID_MAX / 2);
            used -= SAID_MAX / 2;
        }
        ssize_t n = read(fd, said + used, SAID_MAX - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    said[used] = '\0';
}

/* Of a check that holds only what it wants to be told: lines that begin with NOTE. */
static void print_comment(const char *said, bool ok)
{
    for (const char *line = said; *line != '\0';) {
        size_t n = strcspn(line, "\n"), note = strlen(NOTE);
        if (strncmp(line, NOTE, note) == 0)
            printf("# %.*s\n", (int)(n - note), line + note);
        else if (!ok)
            printf("# %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static void first_line(const char *said, char *buf, size_t size)
{
    snprintf(buf, size, "%.*s", (int)strcspn(said, "\n"), said);
}

/* Runs the check in a child; true when it holds or does not apply. */
static bool run(unsigned number, const struct check *check, struct subject *subject)
{
    static char said[SAID_MAX];
    int fds[2], status = 0;
    char reason[200];
    if (pipe(fds) != 0) {
        perror("burrow-conformance");
        exit(1);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(check, subject, fds[1]);
    }
    close(fds[1]);
    read_all(fds[0], said);
    close(fds[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool skipped = WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED;
    bool ok = WIFEXITED(status) && (WEXITSTATUS(status) == 0 || skipped);
    first_line(said, reason, sizeof reason);
    printf("%s %u - %s: %s%s%s\n", ok ? "ok" : "not ok", number, check->name, check->sentence,
           skipped ? " # SKIP " : "", skipped ? reason : "");
    print_comment(said, ok);
    if (ok)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        printf("# the check did not end within %d s\n", CHECK_SECONDS);
    else if (WIFSIGNALED(status) && WTERMSIG(status) != SIGABRT)
        printf("# the plugin crashed (signal %d)\n", WTERMSIG(status));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == LEAKED)
        printf("# broken: memory that an instance takes it gives back\n");
    return false;
}

static const struct check *check_at(const struct subject *subject, size_t i)
{
    const struct check *tables[] = {life_checks, kind_of(subject)->checks};
    for (size_t t = 0; t < 2; t++)
        for (const struct check *c = tables[t]; c->name != NULL; c++)
            if ((subject->only == NULL || strcmp(subject->only, c->name) == 0) && i-- == 0)
                return c;
    return NULL;
}

static int run_all(struct subject *subject, bool list)
{
    unsigned total = 0, failed = 0;
    while (check_at(subject, total) != NULL)
        total++;
    if (total == 0) {
        fprintf(stderr,
                "burrow-conformance: --only=%s: there is no such check for a plugin of "
                "this kind; --list tells them\n",
                subject->only);
        return 2;
    }
    if (!list)
        printf("TAP version 13\n1..%u\n# %s %s\n", total, subject->d->name, subject->d->version);
    for (unsigned i = 0; i < total; i++) {
        const struct check *check = check_at(subject, i);
        if (list)
            printf("%-20s %s\n", check->name, check->sentence);
        else
            failed += !run(i + 1, check, subject);
    }
    if (!list)
        printf("# %u of %u checks failed\n", failed, total);
    return failed > 0;
}

/* The value of a flag "--name=value", or NULL. */
static char *value_of(char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

/* A file that cannot be read ends the program: a check without it would pass for one with it. */
static void read_certificate(struct subject *s, const char *path)
{
    static uint8_t bytes[65536];
    FILE *file = fopen(path, "re");
    s->certificate = bytes;
    s->certificate_len = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file != NULL)
        fclose(file);
    if (s->certificate_len > 0)
        return;
    fprintf(stderr, "burrow-conformance: --certificate=%s: expected a file with a certificate\n",
            path);
    exit(2);
}

static bool flag(struct subject *s, char *word, bool *list)
{
    char *value;
    if (strcmp(word, "--list") == 0)
        *list = true;
    else if (strcmp(word, "--unix") == 0)
        s->is_unix = true;
    else if (strcmp(word, "--allows-garbage") == 0)
        s->allows_garbage = true;
    else if ((value = value_of(word, "--token")) != NULL)
        s->token = value;
    else if ((value = value_of(word, "--certificate")) != NULL)
        read_certificate(s, value);
    else if ((value = value_of(word, "--only")) != NULL)
        s->only = value;
    else if ((value = value_of(word, "--scheme")) != NULL)
        s->scheme = value;
    else if ((value = value_of(word, "--keeps")) != NULL)
        s->keeps = atol(value);
    else if ((value = value_of(word, "--run")) != NULL)
        s->run = value;
    else
        return false;
    return true;
}

/* A command of which nothing is run would pass without a word. */
static bool can_run(const struct subject *s)
{
    if (s->run == NULL)
        fprintf(stderr, "burrow-conformance: a command needs --run='SUBCOMMAND ARGUMENTS'\n");
    else if (fake_command_find(s->d->ops, s->run) == NULL)
        fprintf(stderr, "burrow-conformance: --run=%s: the command has no such subcommand\n",
                s->run);
    else
        return true;
    return false;
}

int main(int argc, char **argv)
{
    struct subject subject = {.plugin = NULL};
    struct error err = {0};
    bool list = false;
    int at = 1;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    while (at < argc && argv[at][0] == '-' && flag(&subject, argv[at], &list))
        at++;
    if (at == argc || argv[at][0] == '-') {
        fputs(usage, stderr);
        return 2;
    }
    char *path = realpath(argv[at], NULL);
    if (path == NULL || plugin_open("", path, &subject.plugin, &err) != BURROW_OK) {
        fprintf(stderr, "burrow-conformance: %s\n", path != NULL ? err.text : strerror(errno));
        return 2;
    }
    free(path);
    subject.d = plugin_descriptor(subject.plugin);
    if (kind_of(&subject) == NULL) {
        fprintf(stderr, "burrow-conformance: there are no checks for plugins of kind %u yet\n",
                (unsigned)subject.d->kind);
        plugin_close(subject.plugin);
        return 2;
    }
    if (subject.d->kind == BURROW_KIND_COMMAND && !list && !can_run(&subject)) {
        plugin_close(subject.plugin);
        return 2;
    }
    subject.pairs = argv + at + 1;
    subject.pair_count = argc - at - 1;
    int rc = run_all(&subject, list);
    plugin_close(subject.plugin);
    return rc;
}
