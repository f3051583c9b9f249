/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin auth-jwks as its real .so on a fake host, and an identity provider: a real HTTP
 * server whose key set and manners the test changes as it goes. The host's clock follows the
 * real one (libcurl has its own) and can be moved on besides.
 */
#ifndef TEST_JWKS_RIG_H
#define TEST_JWKS_RIG_H

#include "../auth-hmac/loaded.h"
#include "http_server.h"

#include <burrow/auth.h>
#include <openssl/evp.h>
#include <pthread.h>

/* How the provider answers. */
struct manner {
    const char *document; /* with status 200, when raw is NULL */
    const char *fields;   /* further header lines, each with its end; or NULL */
    const char *raw;      /* a whole response instead */
    http_server_fn *fn;   /* or this */
};

struct idp {
    struct http_server *server;
    pthread_mutex_t lock;
    struct manner manner;
    char url[128];
};

/* What the host was answered; the host's name for a request is the tests' own struct. */
struct burrow_auth_request {
    unsigned answers;
    uint32_t result, code;
    char subject[200];
    char reason[512];
};

struct rig {
    struct loaded plugin;
    void *self;
    struct idp idp;
};

/* The plugin with its options' defaults and jwks-url at the provider; alg EdDSA. Not started. */
void rig_init(struct rig *rig, struct manner manner);
void rig_start(struct rig *rig);
void rig_finish(struct rig *rig);
void idp_set(struct idp *idp, struct manner manner);

/* Shows a token; the answer may come later. */
void rig_ask(struct rig *rig, struct burrow_auth_request *request, const char *token);
/* Shows a token and waits for the answer. */
struct burrow_auth_request rig_verdict(struct rig *rig, const char *token);
void rig_turn(struct rig *rig);
/* Turns until `*n` is at least want; fails the test after 30 s. */
void rig_until(struct rig *rig, const unsigned *n, unsigned want);
/* Turns until the log has the text (since the last call of rig_forget_log). */
void rig_until_logged(struct rig *rig, const char *text);
void rig_forget_log(struct rig *rig);
/* Turns until so many loads have begun and ended. */
void rig_until_loads(struct rig *rig, int64_t loads);
/* Moves the clock, and turns once. */
void rig_pass(struct rig *rig, uint64_t ms);
bool rig_logged(struct rig *rig, const char *text);

/* An Ed25519 key with its id. */
struct signer {
    EVP_PKEY *pkey;
    char kid[32];
};
struct signer signer_make(const char *kid);
void signer_free(struct signer *signer);
/* A token for the subject that ends in an hour; kid NULL: none in the header. Static. */
const char *token_for(const struct signer *signer, const char *kid, const char *subject);
/* The key as a JWK, and a document of several. The caller frees. */
char *jwk_of(const struct signer *signer);
char *jwks_of(const struct signer *const *signers, size_t n);

#endif
