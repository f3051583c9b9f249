/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output and error go to files while a command runs. */
#include "said.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int said_setup(void **state)
{
    struct said *s = calloc(1, sizeof *s);
    char text[96];
    assert_non_null(s);
    snprintf(s->config, sizeof s->config, "/tmp/burrow-test-XXXXXX");
    int fd = mkstemp(s->config);
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof text, "BURROW_CONFIG=%s", s->config);
    said_variable(s, text);
    *state = s;
    return 0;
}

int said_teardown(void **state)
{
    struct said *s = *state;
    unlink(s->config);
    for (int i = 0; i < s->argc; i++)
        free(s->argv[i]);
    for (int i = 0; i < s->envc; i++)
        free(s->envp[i]);
    free(s);
    return 0;
}

void said_words(struct said *s, const char *const *words)
{
    for (; *words; words++) {
        assert_true(s->argc < SAID_WORDS);
        s->argv[s->argc++] = strdup(*words);
    }
}

void said_variable(struct said *s, const char *text)
{
    assert_true(s->envc < SAID_WORDS);
    s->envp[s->envc++] = strdup(text);
}

struct capture {
    FILE *file;
    int fd, saved;
};

static void capture_begin(struct capture *c, int fd)
{
    fflush(NULL);
    c->fd = fd;
    c->file = tmpfile();
    c->saved = dup(fd);
    if (!c->file || c->saved < 0 || dup2(fileno(c->file), fd) < 0)
        abort();
}

static void capture_end(struct capture *c, char *buf, size_t size)
{
    fflush(NULL);
    dup2(c->saved, c->fd);
    close(c->saved);
    rewind(c->file);
    size_t n = fread(buf, 1, size - 1, c->file);
    buf[n] = '\0';
    fclose(c->file);
}

void said_call(struct said *s, int (*fn)(const struct cli_command *, const struct cli_args *),
               const struct cli_command *command)
{
    struct capture out, err;
    struct cli_args args = {s->argc, s->argv, s->envp};
    capture_begin(&out, 1);
    capture_begin(&err, 2);
    s->code = fn(command, &args);
    capture_end(&err, s->err, sizeof s->err);
    capture_end(&out, s->out, sizeof s->out);
}

static int call_main(const struct cli_command *command, const struct cli_args *args)
{
    char *argv[SAID_WORDS + 2];
    char program[] = "burrow";
    (void)command;
    argv[0] = program;
    memcpy(argv + 1, args->argv, sizeof(char *) * (size_t)args->argc);
    argv[args->argc + 1] = NULL;
    return cli_main(args->argc + 1, argv, args->envp);
}

void said_main(struct said *s)
{
    said_call(s, call_main, NULL);
}

void assert_out(const struct said *s, const char *text)
{
    if (!strstr(s->out, text))
        fail_msg("the output is: %s\nexpected in it: %s", s->out, text);
}

void assert_err(const struct said *s, const char *text)
{
    if (!strstr(s->err, text))
        fail_msg("standard error is: %s\nexpected in it: %s", s->err, text);
}

void assert_refused(const struct said *s, const char *text)
{
    assert_err(s, text);
    assert_int_equal(s->code, 2);
    if (strncmp(s->err, "burrow: ", 8) != 0 || strchr(s->err, '\n') != s->err + strlen(s->err) - 1)
        fail_msg("not one line from burrow: %s", s->err);
}
