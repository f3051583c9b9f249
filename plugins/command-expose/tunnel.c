/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client: a child process, `burrow client` of this very program, with a token in a file that
 * only its owner can read and that is renewed long before the token expires. Flags that the user
 * gave to the client by variables (BURROW_TLS_CA …) reach it; the URL goes by a variable, too,
 * because it may hold the secret of the way through the API server.
 */
#include "expose.h"
#include "forward.h"

#include "jwt/sign.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKEN_S 3600
#define RENEW_MS (TOKEN_S * 1000u / 2)
#define RENEW_AGAIN_MS 10000u
#define KILL_MS 5000u
#define ARGUMENTS_MAX 64u

extern const struct burrow_plugin burrow_plugin_v0;

/* ---- the token ---- */

static int mint(struct expose *e, char **ret)
{
    const struct burrow_secret key = {(const uint8_t *)e->secret, HMAC_HEX - 1};
    json_int_t now = (json_int_t)time(NULL);
    json_t *claims =
        json_pack("{s:s, s:s, s:s, s:I, s:I}", "sub", e->config->client_id, "iss", TOKEN_ISSUER,
                  "aud", TOKEN_AUDIENCE, "iat", now, "exp", now + TOKEN_S);
    char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL;
    int r =
        text ? jwt_mint(jwt_alg_find("HS256"), jwt_sign_hmac, &key, NULL, text, strlen(text), ret)
             : BURROW_ENOMEM;
    json_decref(claims);
    free(text);
    return r;
}

/* A new file in the place of the old one, so that a reader sees either whole. */
static int write_token(struct expose *e, const char *token)
{
    char fresh[sizeof e->token_path + 8];
    snprintf(fresh, sizeof fresh, "%s.new", e->token_path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    size_t n = strlen(token);
    ssize_t written = write(fd, token, n);
    int failure = written == (ssize_t)n ? 0 : written < 0 ? errno : ENOSPC;
    if (close(fd) < 0 && failure == 0)
        failure = errno;
    if (failure == 0 && rename(fresh, e->token_path) < 0)
        failure = errno;
    return -failure;
}

static int renew_token(struct expose *e)
{
    char *token = NULL;
    if (mint(e, &token) < 0)
        return burrow_error(e->host, BURROW_EIO, "the token cannot be signed");
    int failure = -write_token(e, token);
    explicit_bzero(token, strlen(token));
    free(token);
    if (failure != 0)
        return burrow_error(e->host, BURROW_EIO, "\"%s\" cannot be written: %s", e->token_path,
                            strerror(failure));
    return BURROW_OK;
}

static void on_renewal(void *arg)
{
    struct expose *e = expose_of(arg);
    uint64_t pause = RENEW_MS;
    e->renewal = NULL;
    if (renew_token(e) < 0) {
        burrow_log(e->host, BURROW_LOG_WARN, "the token could not be renewed; trying again");
        pause = RENEW_AGAIN_MS;
    }
    e->renewal = e->host->after(e->host->self, pause, on_renewal, e);
}

static int make_token(struct expose *e)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    if (!base || !*base)
        base = getenv("TMPDIR");
    snprintf(e->folder, sizeof e->folder, "%.200s/burrow-expose-XXXXXX",
             base && *base ? base : "/tmp");
    if (!mkdtemp(e->folder)) {
        int r = burrow_error(e->host, BURROW_EIO, "\"%s\" cannot be made: %s", e->folder,
                             strerror(errno));
        e->folder[0] = '\0';
        return r;
    }
    snprintf(e->token_path, sizeof e->token_path, "%s/token", e->folder);
    int r = renew_token(e);
    if (r < 0)
        return r;
    e->renewal = e->host->after(e->host->self, RENEW_MS, on_renewal, e);
    return e->renewal ? BURROW_OK : burrow_error(e->host, BURROW_ENOMEM, "out of memory");
}

/* ---- the child ---- */

struct command_line {
    const char *words[ARGUMENTS_MAX];
    size_t count;
    char plugin_dir[4096];
};

static void add(struct command_line *line, const char *name, const char *value)
{
    if (line->count + 3 > ARGUMENTS_MAX)
        return; /* plan_check has bounded the targets */
    line->words[line->count++] = name;
    if (value)
        line->words[line->count++] = value;
}

static void make_command_line(struct expose *e, struct command_line *line)
{
    Dl_info info;
    line->count = 0;
    add(line, "burrow", NULL);
    add(line, "client", NULL);
    add(line, "--client-id", e->config->client_id);
    for (size_t i = 0; i < e->config->local_target.count; i++)
        add(line, "--local-target", e->config->local_target.items[i]);
    add(line, "--bearer-token-file", e->token_path);
    if (e->config->connect_addr && *e->config->connect_addr && e->way != WAY_API)
        add(line, "--connect-addr", e->config->connect_addr);
    if (e->way == WAY_API)
        add(line, "--token-in-register", NULL);
    /* The plugins of the client lie beside this one. */
    if (dladdr(&burrow_plugin_v0, &info) && info.dli_fname &&
        strlen(info.dli_fname) < sizeof line->plugin_dir) {
        strcpy(line->plugin_dir, info.dli_fname);
        char *slash = strrchr(line->plugin_dir, '/');
        if (slash) {
            *slash = '\0';
            add(line, "--plugin-dir", line->plugin_dir);
        }
    }
    line->words[line->count] = NULL;
}

/* The parent's environment, with what this command sets and without what would contradict it. */
static char **make_environment(struct expose *e, char url[EXPOSE_URL + 24])
{
    static const char *const left_out[] = {"BURROW_SERVER_URL=", "BURROW_BEARER_TOKEN=",
                                           "BURROW_LOCAL_TARGET=", "BURROW_CONNECT_ADDR="};
    size_t n = 0, kept = 0;
    while (environ[n])
        n++;
    char **made = calloc(n + 3, sizeof *made);
    if (!made)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        bool out = false;
        for (size_t j = 0; j < sizeof left_out / sizeof *left_out; j++)
            out = out || strncmp(environ[i], left_out[j], strlen(left_out[j])) == 0;
        if (!out)
            made[kept++] = environ[i];
    }
    static char at_once[] = "BURROW_DRAIN_TIMEOUT=0s";
    snprintf(url, EXPOSE_URL + 24, "BURROW_SERVER_URL=%s", e->url);
    made[kept++] = url;
    if (!getenv("BURROW_DRAIN_TIMEOUT"))
        made[kept++] = at_once;
    return made;
}

static void on_child(void *arg, int events)
{
    struct expose *e = expose_of(arg);
    int status = 0;
    (void)events;
    if (waitpid(e->child, &status, WNOHANG) != e->child)
        return;
    e->host->unwatch(e->child_watch);
    e->child_watch = NULL;
    close(e->child_fd);
    e->child_fd = -1;
    e->child = 0;
    if (e->ending) {
        tunnel_end(e);
        return;
    }
    if (WIFSIGNALED(status))
        expose_fail(e, BURROW_EIO, "the client was ended by signal %d", WTERMSIG(status));
    else
        expose_fail(e, BURROW_EIO, "the client ended with code %d", WEXITSTATUS(status));
}

static int spawn(struct expose *e)
{
    struct command_line line;
    char url[EXPOSE_URL + 24];
    make_command_line(e, &line);
    char **environment = make_environment(e, url);
    if (!environment)
        return burrow_error(e->host, BURROW_ENOMEM, "out of memory");
    pid_t parent = getpid(), child = fork();
    if (child == 0) {
        /* Ctrl-C is for us alone, and it must not outlive us. */
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setpgid(0, 0);
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
            execve("/proc/self/exe", (char *const *)(uintptr_t)line.words, environment);
        _exit(127);
    }
    int failure = errno;
    free(environment);
    explicit_bzero(url, sizeof url);
    if (child < 0)
        return burrow_error(e->host, BURROW_EIO, "the client cannot be started: %s",
                            strerror(failure));
    e->child = child;
    e->child_fd = (int)syscall(SYS_pidfd_open, child, 0);
    if (e->child_fd >= 0)
        e->child_watch = e->host->watch(e->host->self, e->child_fd, BURROW_READ, on_child, e);
    if (e->child_watch)
        return BURROW_OK;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    e->child = 0;
    return burrow_error(e->host, BURROW_EIO, "the client cannot be watched: %s", strerror(errno));
}

static int open_way(struct expose *e)
{
    char name[OBJECT_NAME_ROOM];
    if (e->way != WAY_API)
        return BURROW_OK;
    snprintf(e->proxy_path, sizeof e->proxy_path, "/api/v1/namespaces/%s/services/%s:%d/proxy/ws",
             e->name_space, object_name(e->wanted.server_name, OBJECT_SERVICE, name),
             e->service_port);
    int r = forward_create(e->host, e->client, e->proxy_path, &e->forward);
    if (r == BURROW_OK)
        snprintf(e->url, sizeof e->url, "%s", forward_url(e->forward));
    return r;
}

void tunnel_begin(struct expose *e)
{
    int r = open_way(e);
    if (r == BURROW_OK)
        r = make_token(e);
    if (r == BURROW_OK)
        r = spawn(e);
    if (r < 0) {
        expose_end(e, 1);
        return;
    }
    e->tunnelled = true;
    if (e->way == WAY_API)
        expose_say("the client connects through the API server");
    else
        expose_say("the client connects to %s", e->url);
}

/* ---- the end ---- */

static void on_still_there(void *arg)
{
    struct expose *e = expose_of(arg);
    e->timer = NULL;
    if (e->child > 0)
        kill(e->child, SIGKILL);
}

void tunnel_end(struct expose *e)
{
    e->host->cancel(e->renewal);
    e->renewal = NULL;
    if (e->folder[0]) { /* at once: who interrupts again does not wait for the client */
        unlink(e->token_path);
        rmdir(e->folder);
        e->folder[0] = '\0';
    }
    if (e->child > 0) {
        kill(e->child, SIGTERM);
        e->timer = e->host->after(e->host->self, KILL_MS, on_still_there, e);
        return; /* on_child goes on */
    }
    e->host->cancel(e->timer);
    e->timer = NULL;
    forward_destroy(e->forward);
    e->forward = NULL;
    expose_clean_up(e);
}

void tunnel_destroy(struct expose *e)
{
    if (e->child > 0)
        kill(e->child, SIGKILL);
    e->child = 0;
    e->host->cancel(e->renewal);
    e->renewal = NULL;
    e->host->unwatch(e->child_watch);
    e->child_watch = NULL;
    if (e->child_fd >= 0)
        close(e->child_fd);
    e->child_fd = -1;
    forward_destroy(e->forward);
    e->forward = NULL;
}
