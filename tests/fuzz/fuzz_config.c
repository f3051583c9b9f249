/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as configuration: up to the first byte 1 the YAML file, behind it one flag or
 * BURROW_ variable a line. Both passes run over a table with every type; an error must have
 * a text, and what is read must keep the table's promises.
 */
#include "base/object.h"
#include "config/config.h"
#include "config/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define WORDS_MAX 32

struct values {
    const char *text, *host, *choice, *path;
    int64_t number, wait, size;
    uint8_t truth;
    struct burrow_secret key;
    struct burrow_list list, plugin;
};

#define V struct values
static const struct burrow_option options[] = {
    BURROW_OPTION_PATH(V, path, "config", NULL, "FILE", 0, "file"),
    BURROW_OPTION_LIST(V, plugin, "plugin", "NAME", 0, "plugins"),
    BURROW_OPTION_STRING(V, text, "text", "t", "TEXT", 0, NULL, "text"),
    BURROW_OPTION_STRING(V, host, "host", "h", "HOST", OPTION_EMPTY_IS_VALUE, NULL, "host"),
    BURROW_OPTION_STRING(V, choice, "choice", "a", "X", 0, "a|bc", "choice"),
    BURROW_OPTION_INT(V, number, "number", "5", "N", 0, -10, 10, "number"),
    BURROW_OPTION_DURATION(V, wait, "wait", "1s", 0, 1, 3600000, "duration"),
    BURROW_OPTION_BYTES(V, size, "size", "1KiB", 0, 1, 1 << 30, "size"),
    BURROW_OPTION_BOOL(V, truth, "truth", NULL, 0, "truth"),
    BURROW_OPTION_SECRET(V, key, "key", "KEY", 0, "secret"),
    BURROW_OPTION_LIST(V, list, "list", "X", 0, "list"),
    BURROW_OPTION_END,
};

static void check_values(const struct values *v)
{
    must(v->text && v->host && v->choice);
    must(strcmp(v->choice, "a") == 0 || strcmp(v->choice, "bc") == 0);
    must(v->number >= -10 && v->number <= 10);
    must(v->wait >= 1 && v->wait <= 3600000);
    must(v->size >= 1 && v->size <= 1 << 30);
    must(v->truth <= 1);
    must(v->key.data == NULL || strlen((const char *)v->key.data) == v->key.len);
    for (size_t i = 0; i < v->list.count; i++)
        must(v->list.items[i] != NULL);
}

static void read_config(const struct config_sources *sources)
{
    static const struct config_group groups[] = {
        {"core", NULL, false, options, sizeof(struct values)},
        {"auth-x", "auth-x", true, options + 2, sizeof(struct values)},
        {"auth-hmac", "auth-hmac", false, options + 2, sizeof(struct values)},
    };
    const struct config_others others = {NULL, NULL, 0, 1u << BURROW_KIND_AUTH, false};
    struct config *config = NULL;
    struct error err = {0};
    void *values[3];
    const char *chosen[KNOWN_CHOICE_MAX];
    size_t n = 0;
    if (config_read(sources, &config, &err) != 0) {
        must(err.code < 0 && err.text[0] != '\0');
        return;
    }
    if (known_choose(config, "/", "server", BURROW_KIND_AUTH, chosen, &n, &err) == 0)
        must(n == 1);
    if (config_parse(config, groups, 3, &others, values, &err) == 0) {
        for (size_t i = 0; i < 3; i++)
            check_values(values[i]);
        config_wipe_sources(config);
    } else {
        must(err.code < 0 && err.text[0] != '\0');
    }
    config_destroy(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *text = malloc(n + 1), *argv[WORDS_MAX + 1], *envp[WORDS_MAX + 1], path[64], *save = NULL;
    struct config_sources sources = {0, argv, envp, path};
    size_t envc = 0;
    int fd = memfd_create("config", MFD_CLOEXEC);
    must(text && fd >= 0);
    memcpy(text, p, n);
    text[n] = '\0';
    const uint8_t *mark = memchr(p, 1, n);
    size_t file = mark ? (size_t)(mark - p) : n;
    must(write(fd, p, file) == (ssize_t)file);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (mark) {
        for (char *word = strtok_r(text + file + 1, "\n", &save); word;
             word = strtok_r(NULL, "\n", &save)) {
            /* Not --config: the test must not open the machine's own files. */
            if (strncmp(word, "BURROW_", 7) == 0 && envc < WORDS_MAX &&
                strncmp(word, "BURROW_CONFIG=", 14) != 0)
                envp[envc++] = word;
            else if (sources.argc < WORDS_MAX && strncmp(word, "--config", 8) != 0)
                argv[sources.argc++] = word;
        }
    }
    envp[envc] = NULL;
    argv[sources.argc] = NULL;
    read_config(&sources);
    close(fd);
    free(text);
    return 0;
}
