/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow token verify`: what a server with the same options would say to a token, and why. The
 * host asks the server's own auth plugins, whichever they are, so that a refusal can be understood
 * without a server; what is here is the question and the words of the answer.
 */
#include "token.h"

#include "utc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int token_verify(const struct burrow_host *host, const struct burrow_command_host *command,
                 const char *token, burrow_judged_fn *fn, void *arg)
{
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_HEADER,
        .token = token,
        .token_len = strlen(token),
    };
    if (!BURROW_HAS(command, judge))
        return burrow_error(host, BURROW_ENOSYS, "verify needs a newer burrow");
    if (credential.token_len > JWT_MAX_TOKEN) { /* a server does not even ask */
        const struct burrow_judgement judgement = {
            .size = sizeof judgement,
            .result = BURROW_AUTH_DENY,
            .code = "invalid_token",
            .plugin = "",
            .reason = "the token has more than 8192 bytes",
        };
        fn(arg, &judgement);
        return BURROW_OK;
    }
    int r = command->judge(host->self, &credential, fn, arg);
    return r < 0 ? burrow_error(host, r, "the token cannot be shown to the auth plugins") : r;
}

static void show_accepted(const struct burrow_judgement *j)
{
    if (j->subject)
        printf("accepted: client \"%s\"", j->subject);
    else
        printf("accepted: any client");
    if (j->expires_ms > 0)
        printf(", for %" PRId64 " s", (j->expires_ms - utc_now_ms()) / 1000);
    printf(", grants %s, by %s\n", j->grants[0] ? j->grants : "none: the server's limits apply",
           j->plugin);
}

int token_show_judgement(const struct burrow_host *host, const struct burrow_judgement *j,
                         bool *ret_accepted)
{
    bool accepted = j->result == BURROW_AUTH_ALLOW;
    if (accepted)
        show_accepted(j);
    else if (j->result == BURROW_AUTH_DENY)
        printf("refused: code=%s reason=%s\n", j->code, j->reason);
    else
        printf("cannot tell: plugin=%s reason=%s\n", j->plugin, j->reason);
    if (fflush(stdout) != 0)
        return burrow_error(host, BURROW_EIO, "cannot write: %s", strerror(errno));
    *ret_accepted = accepted;
    return BURROW_OK;
}
