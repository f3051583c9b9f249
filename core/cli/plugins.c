/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow plugins` and `burrow plugins info NAME`. Opening a plugin runs its constructors,
 * so each is opened in a child process of its own that has some seconds: a broken one is
 * shown as broken and the list goes on.
 */
#include "cli/cli.h"

#include "config/known.h"
#include "config/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHILD_MS 5000
#define ANSWER_MAX 65536

struct plugins_options {
    const char *plugin_dir;
};

static const struct burrow_option plugins_options[] = {
    BURROW_OPTION_PATH(struct plugins_options, plugin_dir, "plugin-dir", NULL, "DIR", 0,
                       "folder of the plugins; by default the one that belongs to the program"),
    BURROW_OPTION_END,
};

/* One line of the list. Texts of others must not move the cursor. */
static void print_row(FILE *out, const struct burrow_plugin *d)
{
    char line[512];
    snprintf(line, sizeof line, "%-22s %-12s %-10s %s", d->name, d->version,
             known_kind_name(d->kind), d->summary);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    fprintf(out, "%s\n", line);
}

/* In the child: says on fd what there is to say and ends with 0, or the reason and 1. */
_Noreturn static void child(int fd, const char *dir, const char *name, bool full)
{
    struct plugin *plugin = NULL;
    struct error err = {0};
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    FILE *out = fdopen(fd, "w");
    if (!out)
        _exit(1);
    int rc = plugin_open(dir, name, &plugin, &err);
    if (rc != 0)
        fprintf(out, "%s", err.text);
    else if (full)
        help_plugin(out, plugin_descriptor(plugin), plugin_path(plugin));
    else
        print_row(out, plugin_descriptor(plugin));
    fflush(out);
    _exit(rc == 0 ? 0 : 1);
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Everything that comes before EOF; false: the time is over. */
static bool read_answer(int fd, char *buf, size_t size)
{
    int64_t end = now_ms() + CHILD_MS;
    size_t used = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        if (left <= 0)
            return false;
        int n = poll(&p, 1, (int)left);
        if (n < 0 && errno != EINTR)
            return false;
        if (n <= 0)
            continue;
        char extra[512];
        bool full = used + 1 >= size;
        ssize_t r = full ? read(fd, extra, sizeof extra) : read(fd, buf + used, size - 1 - used);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0) {
            buf[used] = '\0';
            return true;
        }
        used += full ? 0 : (size_t)r;
    }
}

/* What the child has to say about the plugin, in buf; true when it could open it. */
static bool ask_child(const char *dir, const char *name, bool full, char *buf, size_t size)
{
    int fds[2], status = 0;
    buf[0] = '\0';
    if (pipe2(fds, O_CLOEXEC) != 0) {
        snprintf(buf, size, "%s", strerror(errno));
        return false;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(fds[0]);
        child(fds[1], dir, name, full);
    }
    close(fds[1]);
    bool in_time = pid > 0 && read_answer(fds[0], buf, size);
    close(fds[0]);
    if (pid < 0) {
        snprintf(buf, size, "%s", strerror(errno));
        return false;
    }
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!in_time)
        snprintf(buf, size, "plugin %s: did not open within %d s", name, CHILD_MS / 1000);
    else if (WIFSIGNALED(status))
        snprintf(buf, size, "plugin %s: crashed when it was opened (signal %d)", name,
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 && buf[0] == '\0')
        snprintf(buf, size, "plugin %s: ended the process when it was opened", name);
    return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int is_plugin_file(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 3 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 3, ".so") == 0;
}

static int list(const char *dir, char *answer)
{
    struct dirent **entries = NULL;
    struct error err;
    int n = scandir(dir, &entries, is_plugin_file, alphasort);
    if (n < 0) {
        error_set(&err, BURROW_EINVAL, "--plugin-dir (BURROW_PLUGIN_DIR): %s: %s", dir,
                  strerror(errno));
        return cli_fail(&err);
    }
    for (int i = 0; i < n; i++) {
        char *name = entries[i]->d_name, quoted[TEXT_QUOTED];
        name[strlen(name) - 3] = '\0';
        if (ask_child(dir, name, false, answer, ANSWER_MAX))
            printf("%s", answer);
        else
            printf("%-22s broken: %s\n",
                   text_is_utf8(name) ? name : option_quote(name, quoted, sizeof quoted), answer);
        free(entries[i]);
    }
    free(entries);
    if (n == 0)
        printf("no plugins in %s\n", dir);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int info(const char *dir, const char *name, char *answer)
{
    if (ask_child(dir, name, true, answer, ANSWER_MAX)) {
        printf("%s", answer);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    fprintf(stderr, "burrow: %s\n", answer);
    return 2;
}

int cli_plugins(const struct cli_args *args)
{
    struct config_sources sources = {args->argc, args->argv, args->envp, NULL};
    struct config_group group = {"Options", NULL, false, plugins_options,
                                 sizeof(struct plugins_options)};
    struct config *config = NULL;
    struct cli_others room;
    struct error err = {0};
    void *values;
    size_t n;
    char dir[CLI_PATH];
    if (config_read(&sources, &config, &err) != 0)
        return cli_fail(&err);
    int rc;
    char *answer = malloc(ANSWER_MAX);
    if (config_wants_help(config)) {
        printf("Usage: burrow plugins [info NAME]\n");
        help_groups(stdout, &group, 1);
        rc = 0;
    } else if (config_parse(config, &group, 1, cli_others(&room, NULL, 0, true), &values, &err) !=
               0) {
        rc = cli_fail(&err);
    } else {
        const char *const *words = config_arguments(config, &n);
        cli_plugin_dir(config, dir);
        if (!answer)
            rc = 1;
        else if (n == 0 || (n == 1 && strcmp(words[0], "list") == 0))
            rc = list(dir, answer);
        else if (n == 2 && strcmp(words[0], "info") == 0)
            rc = info(dir, words[1], answer);
        else {
            error_set(&err, BURROW_EINVAL, "plugins: expected nothing or `info NAME`");
            rc = cli_fail(&err);
        }
    }
    free(answer);
    config_destroy(config);
    return rc;
}
