/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the configuration: flags, variables and a file written down in one place,
 * and a table of one option of each type to read them into.
 */
#ifndef TEST_CONFIG_SOURCES_H
#define TEST_CONFIG_SOURCES_H

#include "config/config.h"

#define WORDS_MAX 16

struct fixture {
    char *argv[WORDS_MAX + 1], *envp[WORDS_MAX + 1];
    int argc, envc;
    char dir[64], path[96];
    struct config *config;
    struct error err;
};

/* Every type once. */
struct all {
    const char *name, *host, *path, *level;
    int64_t count, wait, size;
    uint8_t quick;
    struct burrow_secret key;
    struct burrow_list target, maps, plugin;
};
extern const struct burrow_option all_options[];
/* A plugin's: `name` is also one of the above. */
struct extra {
    const char *name, *own;
    struct burrow_secret secret;
};
extern const struct burrow_option extra_options[];

int fixture_setup(void **state);
int fixture_teardown(void **state);
void flags(struct fixture *f, const char *const *words); /* ends with NULL */
void variable(struct fixture *f, const char *text);
/* Writes the file that --config's default names. */
void file(struct fixture *f, const char *yaml);
void file_bytes(struct fixture *f, const char *p, size_t n);

/* Both passes with the table `all` alone; or with the plugin's table as a second group. */
int read_all(struct fixture *f, const struct all **ret);
int read_both(struct fixture *f, bool prefixed, const struct all **ret_all,
              const struct extra **ret_extra);
/* Only the first. */
int read_first(struct fixture *f);
/* Fails the test unless the error contains the text. */
void assert_says(const struct fixture *f, const char *text);
void assert_says_not(const struct fixture *f, const char *text);
void assert_warns(const struct fixture *f, const char *text); /* NULL: of nothing */

#define FLAGS(f, ...) flags((f), (const char *const[]){__VA_ARGS__, NULL})

#endif
