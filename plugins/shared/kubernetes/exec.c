/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials from a program: the `exec` entry of a kubeconfig (client.authentication.k8s.io). */
#include "kubernetes/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 64
#define MAX_ENV 64
#define MAX_OUTPUT 65536

extern char **environ;

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* All that the program prints, or -1 after the deadline, an error, or too much. */
static ssize_t read_output(int fd, char *buf, size_t size)
{
    int64_t end = now_ms() + KUBE_EXEC_MS;
    size_t used = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = end - now_ms();
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || used == size)
            return -1;
        ssize_t n = read(fd, buf + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -1 : (ssize_t)used;
        used += (size_t)n;
    }
}

static int run(char **argv, char **env, char *output, size_t size, ssize_t *ret_len,
               int *ret_status)
{
    int fds[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (rc == 0) {
        *ret_len = read_output(fds[0], output, size);
        if (*ret_len < 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
            ;
    }
    close(fds[0]);
    return rc;
}

static int take_credential(const json_t *credential, struct kube_config *config, char why[KUBE_WHY])
{
    const json_t *status = json_object_get(credential, "status");
    const char *token = kube_string(status, "token");
    const char *cert = kube_string(status, "clientCertificateData");
    const char *key = kube_string(status, "clientKeyData");
    if (token == NULL && (cert == NULL || key == NULL))
        return kube_refuse(why,
                           "kubeconfig: exec: the program printed neither a token nor a client "
                           "certificate with its key");
    if (token != NULL) {
        free(config->token);
        config->token = strdup(token);
    }
    if (cert != NULL && key != NULL) {
        file_free(&config->cert);
        file_free(&config->key);
        config->cert = (struct file_bytes){strdup(cert), strlen(cert)};
        config->key = (struct file_bytes){strdup(key), strlen(key)};
    }
    return BURROW_OK;
}

/* argv and the environment from the entry; the strings are borrowed from it, but for env's own. */
static int prepare(const json_t *exec, const char *program, char *argv[MAX_ARGS + 2],
                   char *env[MAX_ENV + 256], char *own[MAX_ENV + 1], size_t *ret_own,
                   char why[KUBE_WHY])
{
    const json_t *args = json_object_get(exec, "args"), *vars = json_object_get(exec, "env");
    size_t n = 0, e = 0;
    if (json_array_size(args) > MAX_ARGS || json_array_size(vars) > MAX_ENV)
        return kube_refuse(why, "kubeconfig: exec: too many args or variables");
    argv[n++] = (char *)(uintptr_t)program;
    for (size_t i = 0; i < json_array_size(args); i++) {
        const char *arg = json_string_value(json_array_get(args, i));
        if (arg == NULL)
            return kube_refuse(why, "kubeconfig: exec: args must be texts");
        argv[n++] = (char *)(uintptr_t)arg;
    }
    argv[n] = NULL;
    for (size_t i = 0; i < json_array_size(vars); i++) {
        const json_t *var = json_array_get(vars, i);
        const char *name = kube_string(var, "name");
        const char *value = json_string_value(json_object_get(var, "value"));
        if (name == NULL || asprintf(&own[*ret_own], "%s=%s", name, value != NULL ? value : "") < 0)
            return kube_refuse(why, "kubeconfig: exec: env needs names");
        env[e++] = own[(*ret_own)++];
    }
    for (char **p = environ; *p != NULL && e < MAX_ENV + 254; p++)
        env[e++] = *p;
    const char *version = kube_string(exec, "apiVersion");
    if (asprintf(&own[*ret_own],
                 "KUBERNETES_EXEC_INFO={\"apiVersion\":\"%s\",\"kind\":\"ExecCredential\","
                 "\"spec\":{\"interactive\":false}}",
                 version != NULL ? version : "client.authentication.k8s.io/v1") < 0)
        return BURROW_ENOMEM;
    env[e++] = own[(*ret_own)++];
    env[e] = NULL;
    return BURROW_OK;
}

int kube_exec(const json_t *exec, const char *folder, struct kube_config *config,
              char why[KUBE_WHY])
{
    const char *command = kube_string(exec, "command");
    char program[4096], *argv[MAX_ARGS + 2], *env[MAX_ENV + 256], *own[MAX_ENV + 1];
    size_t owned = 0;
    if (command == NULL)
        return kube_refuse(why, "kubeconfig: exec: it names no command");
    /* As kubectl: a name is looked for in PATH, a relative path from the kubeconfig. */
    if (strchr(command, '/') == NULL || command[0] == '/')
        snprintf(program, sizeof program, "%s", command);
    else
        snprintf(program, sizeof program, "%s/%s", folder, command);

    char *output = malloc(MAX_OUTPUT);
    ssize_t len = -1;
    int status = 0, rc = output == NULL ? BURROW_ENOMEM : BURROW_OK;
    if (rc == BURROW_OK)
        rc = prepare(exec, program, argv, env, own, &owned, why);
    if (rc == BURROW_OK) {
        int error = run(argv, env, output, MAX_OUTPUT, &len, &status);
        if (error != 0)
            rc = kube_refuse(why, "kubeconfig: exec: cannot run %.100s: %s", program,
                             strerror(error));
        else if (len < 0)
            rc = kube_refuse(
                why, "kubeconfig: exec: %.100s was not done after %d s, or printed too much",
                program, KUBE_EXEC_MS / 1000);
        else if (status != 0)
            rc = kube_refuse(why, "kubeconfig: exec: %.100s failed", program);
    }
    json_t *credential = rc == BURROW_OK ? json_loadb(output, (size_t)len, 0, NULL) : NULL;
    if (rc == BURROW_OK)
        rc = take_credential(credential, config, why);
    json_decref(credential);
    for (size_t i = 0; i < owned; i++)
        free(own[i]);
    if (output != NULL)
        explicit_bzero(output, MAX_OUTPUT);
    free(output);
    return rc;
}
