/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command plugins: `burrow NAME …` runs the plugin command-NAME.
 *
 * The host parses the command line by the plugin's option table, shows --help from it and
 * creates and starts the instance before `run`. The command may work on the loop for as
 * long as it likes; it ends by host->finished, once. SIGINT and SIGTERM arrive by
 * `interrupt`, where the command cleans up; a second one ends the process.
 */
#ifndef BURROW_COMMAND_H
#define BURROW_COMMAND_H

#include <burrow/auth.h>
#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_COMMAND_ABI 0u /* kind_abi of this header */

/* One row of the table of subcommands. */
struct burrow_subcommand {
    const char *name;      /* "mint" in `burrow token mint`; NULL ends the table */
    const char *arguments; /* of the synopsis: "[FILE]" or "" */
    const char *summary;   /* one line for --help */
    uint32_t min_args;     /* the least positional arguments after the name */
    uint32_t max_args;     /* and the most */
};

/* What a server's auth plugins say of a credential. Borrowed for the call. */
struct burrow_judgement {
    uint32_t size;       /* sizeof of this struct, as its giver knows it */
    uint32_t result;     /* BURROW_AUTH_ALLOW, _DENY or _UNAVAILABLE */
    const char *code;    /* with DENY: as peers are told, "token_expired"; else "" */
    const char *plugin;  /* who decided; "": none of them did */
    const char *reason;  /* as the server logs it, or "" */
    const char *subject; /* with ALLOW: the client id that may register; NULL: any */
    int64_t expires_ms;  /* with ALLOW: Unix time in ms when the right ends; 0: never */
    const char *grants;  /* with ALLOW: in one line for people; "": no limits */
};
/* The answer to judge. Runs on the instance's loop. */
typedef void burrow_judged_fn(void *arg, const struct burrow_judgement *);

/* What the host gives to command plugins, by ops->bind. */
struct burrow_command_host {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    /* Ends the command: 0 success, 1 run time failure, 2 usage or configuration. */
    void (*finished)(struct burrow_self *, int32_t exit_code);
    /* In the subcommand ops->judging only: asks the auth plugins as a server would that has the
     * same options. fn is called once, on a later turn, unless the command ends before; one
     * question at a time (BURROW_EAGAIN). BURROW_ENOSYS: in another subcommand. */
    int (*judge)(struct burrow_self *, const struct burrow_credential *, burrow_judged_fn *fn,
                 void *arg);
};

/* What a command plugin does. */
struct burrow_command_ops {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    /* Ends with a NULL name. An entry named "" is the last one before that and takes the words
     * that name none before it; where it is the only one the command has no subcommands. */
    const struct burrow_subcommand *subcommands;
    void (*bind)(void *self, const struct burrow_command_host *host); /* once, before start */
    /* Once in the life of an instance. args: the positional arguments after the subcommand, count
     * as its table allows. */
    void (*run)(void *self, const char *subcommand, const char *const *args, size_t arg_count);
    void (*interrupt)(void *self); /* optional; default: exit code 130 or 143 */
    /* Optional: the name of the subcommand that asks auth plugins. It takes all options of `burrow
     * server` besides the command's own, by flag, variable and config file, and the host starts
     * the auth plugins that a server would have with them, and no other, before run. */
    const char *judging;
};

#ifdef __cplusplus
}
#endif
#endif
