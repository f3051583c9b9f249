/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of configuration for tests. */
#include "sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define S struct all
#define E struct extra

/* clang-format off */
const struct burrow_option all_options[] = {
    BURROW_OPTION_PATH(S, path, "config", NULL, "FILE", 0, "config file"),
    BURROW_OPTION_LIST(S, plugin, "plugin", "NAME", 0, "plugins"),
    BURROW_OPTION_STRING(S, name, "name", NULL, "TEXT", 0, NULL, "a text"),
    BURROW_OPTION_STRING(S, host, "bridge-host", "127.0.0.1", "HOST", OPTION_EMPTY_IS_VALUE, NULL, "a host"),
    BURROW_OPTION_STRING(S, level, "level", "low", "LEVEL", 0, "low|high", "a choice"),
    BURROW_OPTION_INT(S, count, "count", "7", "N", 0, 1, 100, "a number"),
    BURROW_OPTION_DURATION(S, wait, "wait-time", "10s", 0, 1000, 3600000, "a duration"),
    BURROW_OPTION_BYTES(S, size, "size", "64KiB", 0, 1, INT64_MAX, "a size"),
    BURROW_OPTION_BOOL(S, quick, "quick", NULL, 0, "a truth"),
    BURROW_OPTION_SECRET(S, key, "key", "SECRET", 0, "a secret"),
    BURROW_OPTION_LIST(S, target, "target", "HOST:PORT", 0, "a list"),
    BURROW_OPTION_LIST(S, maps, "maps", "X", OPTION_MAPS, "a list of texts or maps"),
    BURROW_OPTION_END,
};
const struct burrow_option extra_options[] = {
    BURROW_OPTION_STRING(E, name, "name", NULL, "TEXT", 0, NULL, "a text"),
    BURROW_OPTION_STRING(E, own, "own", "x", "TEXT", 0, NULL, "a text"),
    BURROW_OPTION_SECRET(E, secret, "own-secret", "SECRET", 0, "a secret"),
    BURROW_OPTION_END,
};
/* clang-format on */

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    snprintf(f->dir, sizeof f->dir, "/tmp/burrow-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/burrow.yaml", f->dir);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    config_destroy(f->config);
    unlink(f->path);
    rmdir(f->dir);
    for (int i = 0; i < f->argc; i++)
        free(f->argv[i]);
    for (int i = 0; i < f->envc; i++)
        free(f->envp[i]);
    free(f);
    return 0;
}

void flags(struct fixture *f, const char *const *words)
{
    for (; *words; words++) {
        assert_true(f->argc < WORDS_MAX);
        f->argv[f->argc++] = strdup(*words);
    }
}

void variable(struct fixture *f, const char *text)
{
    assert_true(f->envc < WORDS_MAX);
    f->envp[f->envc++] = strdup(text);
}

void file_bytes(struct fixture *f, const char *p, size_t n)
{
    FILE *out = fopen(f->path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(p, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

void file(struct fixture *f, const char *yaml)
{
    file_bytes(f, yaml, strlen(yaml));
}

int read_first(struct fixture *f)
{
    struct config_sources sources = {f->argc, f->argv, f->envp, f->path};
    return config_read(&sources, &f->config, &f->err);
}

static int read_groups(struct fixture *f, const struct config_group *groups, size_t n,
                       void **values)
{
    static const struct burrow_option client_options[] = {
        BURROW_OPTION_STRING(S, name, "client-id", NULL, "TEXT", 0, NULL, "of another command"),
        BURROW_OPTION_END,
    };
    static const struct config_group client = {"client", NULL, false, client_options,
                                               sizeof(struct all)};
    static const char *const names[] = {"client"};
    struct config_others others = {&client, names, 1,
                                   1u << BURROW_KIND_AUTH | 1u << BURROW_KIND_REGISTRY, false};
    int rc = read_first(f);
    return rc == 0 ? config_parse(f->config, groups, n, &others, values, &f->err) : rc;
}

int read_all(struct fixture *f, const struct all **ret)
{
    struct config_group group = {"server", NULL, false, all_options, sizeof(struct all)};
    void *values[1] = {NULL};
    int rc = read_groups(f, &group, 1, values);
    if (ret)
        *ret = values[0];
    return rc;
}

int read_both(struct fixture *f, bool prefixed, const struct all **ret_all,
              const struct extra **ret_extra)
{
    struct config_group groups[] = {
        {"server", NULL, false, all_options, sizeof(struct all)},
        {"auth-x", "auth-x", prefixed, extra_options, sizeof(struct extra)},
    };
    void *values[2] = {NULL, NULL};
    int rc = read_groups(f, groups, 2, values);
    *ret_all = values[0];
    *ret_extra = values[1];
    return rc;
}

void assert_says(const struct fixture *f, const char *text)
{
    if (!strstr(f->err.text, text))
        fail_msg("the error is: %s\nexpected in it: %s", f->err.text, text);
}

void assert_says_not(const struct fixture *f, const char *text)
{
    if (strstr(f->err.text, text))
        fail_msg("the error is: %s\nnot expected in it: %s", f->err.text, text);
}

void assert_warns(const struct fixture *f, const char *text)
{
    size_t n;
    const char *const *warnings = config_warnings(f->config, &n);
    if (!text && n > 0)
        fail_msg("unexpected warning: %s", warnings[0]);
    for (size_t i = 0; text && i < n; i++)
        if (strstr(warnings[i], text))
            return;
    if (text)
        fail_msg("no warning has: %s", text);
}
