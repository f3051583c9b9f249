/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chain of auth plugins, in the order of the configuration. One question goes to one
 * plugin after the other until one allows, denies or cannot judge now; when all abstain,
 * the answer is a denial. The chain owns the deadline of the whole question.
 */
#ifndef AUTH_CHAIN_H
#define AUTH_CHAIN_H

#include "auth/credential.h"
#include "auth/grants.h"
#include "base/fault.h"
#include "loop/loop.h"

#include <burrow/auth.h>
#include <stdbool.h>

#define AUTH_DEADLINE_MS 10000u
#define AUTH_LEEWAY_MS 30000 /* a session outlives its right by this: clocks differ */
#define AUTH_MAX_SUBJECT 128u
#define AUTH_CODES 6u /* BURROW_CODE_* are below this */

struct auth_chain;
struct auth_request;

/* An auth instance as the chain uses it; plugin/ gives ops and self. */
struct auth_member {
    const struct burrow_auth_ops *ops;
    void *self;
    const char *name; /* for the log; outlives the chain */
    struct plugin_faults *faults;
};

/* What the chain found. Strings are borrowed for the call of auth_done_fn. */
struct auth_verdict {
    uint32_t result;     /* BURROW_AUTH_ALLOW, _DENY or _UNAVAILABLE */
    uint32_t code;       /* with DENY */
    const char *subject; /* with ALLOW: NULL for any, else NUL-terminated */
    int64_t expires_ms;  /* with ALLOW: Unix time up to the year 9999, 0: never */
    /* with ALLOW: what the identity may do, NULL for no limits; grants_ref keeps it. */
    struct grants *grants;
    bool unjudged;      /* with DENY: all have abstained */
    const char *reason; /* for the log, "" if none */
    const char *plugin; /* who decided, "" when none did */
};

/* Called once per question on a fresh stack, never from inside auth_ask; the request is gone
 * when it is called. */
typedef void auth_done_fn(void *arg, const struct auth_verdict *verdict);

/* Binds the members' instances to the chain's host table. n = 0 is BURROW_EINVAL: without an
 * auth plugin nobody is let in by mistake. */
int auth_chain_create(struct loop *loop, const struct auth_member *members, size_t n,
                      struct auth_chain **ret);
/* Cancels what is open. Plugins that still have questions must be alive. */
void auth_chain_destroy(struct auth_chain *chain);

/* The credential is copied. NULL: out of memory, or a token over AUTH_MAX_TOKEN. */
struct auth_request *auth_ask(struct auth_chain *chain, const struct burrow_credential *credential,
                              auth_done_fn *done, void *arg);
void auth_cancel(struct auth_request *request); /* NULL is allowed; done is not called */
size_t auth_pending(const struct auth_chain *chain);

/* The names of the five codes, as they go to peers, and their constant public texts; and back
 * (0: not one of them). */
const char *auth_code_name(uint32_t code);
const char *auth_code_text(uint32_t code);
uint32_t auth_code_parse(const char *name);

#endif
