/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a piece of the command line in this process and keeps what it prints. */
#ifndef TEST_CLI_SAID_H
#define TEST_CLI_SAID_H

#include "cli/cli.h"

#define SAID_WORDS 24

struct said {
    char out[65536], err[16384];
    char *argv[SAID_WORDS + 1], *envp[SAID_WORDS + 1];
    int argc, envc, code;
    char config[64]; /* an empty config file, so that the machine's own does not count */
};

int said_setup(void **state);
int said_teardown(void **state);
void said_words(struct said *s, const char *const *words);
#define WORDS(s, ...) said_words((s), (const char *const[]){__VA_ARGS__, NULL})
void said_variable(struct said *s, const char *text);
/* argv[0] is "burrow", the words follow. */
void said_main(struct said *s);
void said_call(struct said *s, int (*fn)(const struct cli_command *, const struct cli_args *),
               const struct cli_command *command);
void assert_out(const struct said *s, const char *text);
void assert_err(const struct said *s, const char *text);
/* Exit code 2 and one line on standard error that has the text. */
void assert_refused(const struct said *s, const char *text);

#endif
