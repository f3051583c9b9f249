/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Auth plugins: who is this, and what may they do?
 *
 * The host asks `verify` for each new connection and for each renewal. The answer comes
 * by host->answer, in the same call or on any later turn; the asker resumes on the next
 * turn either way. The host owns the deadline and calls `cancel` when it passes or the
 * connection is gone. Plugins are asked in the order of the configuration: abstain passes
 * on to the next, all abstaining denies, unavailable ends the chain.
 */
#ifndef BURROW_AUTH_H
#define BURROW_AUTH_H

#include <burrow/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURROW_AUTH_ABI 0u

struct burrow_auth_request; /* the host's name for one question */

/* How the credential came. */
#define BURROW_CREDENTIAL_HEADER 1u   /* HTTP Authorization */
#define BURROW_CREDENTIAL_REGISTER 2u /* meta.token of the register frame */
#define BURROW_CREDENTIAL_CONTROL 3u  /* a renewal inside a session */

struct burrow_header {
    const char *name, *value; /* name in lower case */
};

/* What a connection has shown. Borrowed during verify: copy what must live on. */
struct burrow_credential {
    uint32_t size;
    uint32_t method;
    const char *token;              /* not NUL-terminated; NULL: none was shown */
    size_t token_len;               /* at most 8192 */
    const uint8_t *client_cert_der; /* verified TLS client certificate, or NULL */
    size_t client_cert_len;
    const struct burrow_header *headers;
    size_t header_count;
    struct burrow_addr peer;
};

#define BURROW_AUTH_ALLOW 1u
#define BURROW_AUTH_DENY 2u
#define BURROW_AUTH_ABSTAIN 3u     /* not mine to judge */
#define BURROW_AUTH_UNAVAILABLE 4u /* cannot judge now: 503, the client tries again */

/* Codes of a denial; the public text of each is the host's. */
#define BURROW_CODE_MISSING_BEARER 1u
#define BURROW_CODE_TOKEN_EXPIRED 2u
#define BURROW_CODE_TOKEN_NOT_YET_VALID 3u
#define BURROW_CODE_INVALID_TOKEN 4u
#define BURROW_CODE_VERIFIER_CONFIG 5u

/* Borrowed during host->answer. */
struct burrow_verdict {
    uint32_t size;
    uint32_t result;
    uint32_t code; /* with DENY */
    uint32_t reserved;
    const char *subject; /* with ALLOW: the client id that may register; NULL: any */
    size_t subject_len;
    int64_t expires_ms; /* with ALLOW: Unix time in ms when the right ends; 0: never */
    const char *reason; /* for the log only, never sent to the peer; may be NULL */
    /* With ALLOW: what the identity may do, a JSON object, or NULL for no limits beyond the
     * server's. The host enforces it; a member that it does not know denies. */
    const char *grants_json;
};

struct burrow_auth_host {
    uint32_t size;
    void (*answer)(struct burrow_auth_request *, const struct burrow_verdict *);
};

struct burrow_auth_ops {
    uint32_t size;
    void (*bind)(void *self, const struct burrow_auth_host *host);
    void (*verify)(void *self, struct burrow_auth_request *, const struct burrow_credential *);
    /* The request must not be answered any more. Optional for plugins that always answer
     * within verify. */
    void (*cancel)(void *self, struct burrow_auth_request *);
};

#ifdef __cplusplus
}
#endif
#endif
