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

#define BURROW_AUTH_ABI 0u /* kind_abi of this header */

struct burrow_auth_request; /* the host's name for one question */

/* How the credential came. */
#define BURROW_CREDENTIAL_HEADER 1u      /* HTTP Authorization */
#define BURROW_CREDENTIAL_REGISTER 2u    /* meta.token of the register frame */
#define BURROW_CREDENTIAL_CONTROL 3u     /* a renewal inside a session */
#define BURROW_CREDENTIAL_CERTIFICATE 4u /* a TLS client certificate alone; a token may follow */
/* From transports only: several were shown. The host refuses it (invalid_token) and asks nobody. */
#define BURROW_CREDENTIAL_SEVERAL 5u

/* One header of the request that showed the credential. */
struct burrow_header {
    const char *name;  /* in lower case */
    const char *value; /* as it came */
};

/* What a connection has shown. Borrowed during verify: copy what must live on. */
struct burrow_credential {
    uint32_t size;                       /* sizeof of this struct, as its giver knows it */
    uint32_t method;                     /* BURROW_CREDENTIAL_* */
    const char *token;                   /* not NUL-terminated; NULL: none was shown */
    size_t token_len;                    /* at most 8192; of a transport's the host sees to it */
    const uint8_t *client_cert_der;      /* verified TLS client certificate, or NULL */
    size_t client_cert_len;              /* bytes of it, else 0 */
    const struct burrow_header *headers; /* those that say who asks, such as x-forwarded-for */
    size_t header_count;                 /* of headers */
    struct burrow_addr peer;             /* who is connected: a client, or a proxy before it */
};

#define BURROW_AUTH_ALLOW 1u       /* let in, with the grants of the verdict */
#define BURROW_AUTH_DENY 2u        /* the chain ends */
#define BURROW_AUTH_ABSTAIN 3u     /* not mine to judge */
#define BURROW_AUTH_UNAVAILABLE 4u /* cannot judge now: 503, the client tries again */

/* Codes of a denial; the public text of each is the host's. */
#define BURROW_CODE_MISSING_BEARER 1u      /* no token was shown */
#define BURROW_CODE_TOKEN_EXPIRED 2u       /* it was good once */
#define BURROW_CODE_TOKEN_NOT_YET_VALID 3u /* it will be good */
#define BURROW_CODE_INVALID_TOKEN 4u       /* whatever else is wrong with it */
#define BURROW_CODE_VERIFIER_CONFIG 5u     /* it cannot be checked: the server's fault */

/* Borrowed during host->answer. */
struct burrow_verdict {
    uint32_t size;       /* sizeof of this struct, as its giver knows it */
    uint32_t result;     /* BURROW_AUTH_* */
    uint32_t code;       /* with DENY; with ABSTAIN, or 0: the denial when nobody else judges it */
    uint32_t reserved;   /* 0 */
    const char *subject; /* with ALLOW: the client id that may register; NULL: any */
    size_t subject_len;  /* 1 to 128 bytes, none of them NUL */
    int64_t expires_ms;  /* with ALLOW: Unix time in ms when the right ends; 0: never */
    const char *reason;  /* for the log only, never sent to the peer; may be NULL */
    /* With ALLOW: what the identity may do, a JSON object, or NULL for no limits beyond the
     * server's. The host reads and enforces it: see below. */
    const char *grants_json;
    /* To a transport: the number under which the host's log tells why it refused, for the peer
     * to quote; 0: none. */
    uint64_t request_id;
};

/*
 * Grants, at most 8 KiB of JSON. Every member may be absent, which sets no limit; an empty list
 * allows nothing. A member that the host does not know, one that is there twice or of a wrong
 * type, and text that is no JSON object make the verdict a denial (invalid_token): to pass over
 * what is not understood would give more than was meant.
 *
 *   "services"          list of at most 64 strings: the service names that the client may
 *                       register. A name ends with * to stand for all that begin like it; there
 *                       are no other wildcards. "" is the service without a name.
 *   "ports"             list of at most 64: the bridge ports that its services may have, each
 *                       a number from 1 to 65535 or a string "FIRST-LAST"
 *   "max_streams"       number from 0 to 1000000: streams alive at once; the server's own limit
 *                       holds too
 *   "bytes_per_second"  number from 1 to 10^15: payload of all streams together, in each
 *                       direction. What is too fast waits; nothing is dropped.
 */

/* What the host gives to auth plugins, by ops->bind. */
struct burrow_auth_host {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    /* Answers a verify: exactly once, and never after cancel or stopped. */
    void (*answer)(struct burrow_auth_request *, const struct burrow_verdict *);
    /* Whether the host would take these grants: 0, or negative with a reason of one line in
     * ret_why. For plugins that read grants from a file and want to say early what is wrong
     * with it. */
    int (*check_grants)(const char *grants_json, char *ret_why, size_t why_size);
};

/* What an auth plugin does. */
struct burrow_auth_ops {
    uint32_t size; /* sizeof of this struct, as its giver knows it */
    void (*bind)(void *self, const struct burrow_auth_host *host); /* once, before start */
    /* Judges a credential, which is borrowed for the call; answered by host->answer. */
    void (*verify)(void *self, struct burrow_auth_request *, const struct burrow_credential *);
    /* The request must not be answered any more. Optional for plugins that always answer
     * within verify. */
    void (*cancel)(void *self, struct burrow_auth_request *);
};

#ifdef __cplusplus
}
#endif
#endif
