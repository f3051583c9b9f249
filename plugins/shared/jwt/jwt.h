/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: every token that a stranger shows passes here and nowhere else.
 *
 * It accepts one form (RFC 7515 compact, strict base64url), one algorithm (the configured
 * one), and judges the claims only after the signature has been verified, so that nothing
 * unsigned is ever acted upon. It does no I/O, keeps no state and is told the time.
 *
 * The signature itself is checked by a jwt_verify_fn: jwt_verify_hmac for HS*, jwt_verify_keys
 * (key.h) for the others. A plugin that must fetch keys asks with those it has: BURROW_EAGAIN
 * says that the token has passed all that needs no key, and that the key which verifies it may
 * be one that is not here.
 */
#ifndef JWT_JWT_H
#define JWT_JWT_H

#include <burrow/auth.h>
#include <burrow/plugin.h>
#include <stdbool.h>

#define JWT_MAX_TOKEN 8192u         /* bytes of the compact form */
#define JWT_MAX_SUBJECT 128u        /* bytes of sub, as of a client id */
#define JWT_MAX_KID 256u            /* bytes of a key id */
#define JWT_MAX_GRANTS 8192u        /* bytes of the grants, as compact JSON: what the host takes */
#define JWT_LEEWAY_MS 30000         /* clocks may differ by this much, both ways */
#define JWT_MAX_TIME_S 253402300799 /* 9999-12-31: a larger one is a mistake of unit */

/* One signature algorithm that tokens may be restricted to (RFC 7518, 3; RFC 8037, 3.1). */
struct jwt_alg {
    const char *name;      /* as in the header: "HS256" */
    const char *digest;    /* OpenSSL's name of the hash; NULL: EdDSA has its own */
    size_t signature_size; /* bytes, exactly; 0: of the RSA key's modulus */
    size_t min_secret;     /* HS*: bytes of a secret that is not weak (RFC 7518, 3.2); else 0 */
    uint32_t key;          /* JWT_KEY_* of key.h */
    uint32_t pss;          /* 1: PS*, the RSA padding of RFC 7518, 3.5 */
};

/* NULL: no such algorithm. Names are compared byte for byte. */
const struct jwt_alg *jwt_alg_find(const char *name);

/* Why a token was refused. The text is for the log: one line of printable ASCII. */
struct jwt_refusal {
    uint32_t code; /* BURROW_CODE_* */
    /* 1: the signature is good and a claim is not, so that no other verifier need be asked. */
    uint32_t verified;
    char text[224];
};

/* Fills *why, with verified 0, and returns BURROW_EDENIED. */
__attribute__((format(printf, 3, 4))) int jwt_refuse(struct jwt_refusal *why, uint32_t code,
                                                     const char *fmt, ...);

/* What a verifier is given: the checked form, no claims. Borrowed for the call. */
struct jwt_signed {
    const struct jwt_alg *alg;
    const char *kid;     /* key id of the header, or NULL: printable ASCII, not path-like */
    const uint8_t *text; /* what was signed: header "." payload, as sent */
    size_t text_len;
    const uint8_t *signature;
    size_t signature_len;
};

/* Checks the signature with `key` (the caller's). BURROW_OK; BURROW_EDENIED with *why
 * filled; any other negative code: it cannot be told now. Called once per jwt_check, in it. */
typedef int jwt_verify_fn(const void *key, const struct jwt_signed *token, struct jwt_refusal *why);

/* What the operator demands. Strings are borrowed; NULL: the claim is not compared. */
struct jwt_rules {
    const struct jwt_alg *alg;
    const char *issuer;   /* iss must equal it */
    const char *audience; /* aud must be or contain it */
    const char *grants;   /* name of the claim that says what the bearer may do */
    bool allow_no_exp;
};

/* Who it is. */
struct jwt_identity {
    char subject[JWT_MAX_SUBJECT + 1];
    size_t subject_len;
    int64_t expires_ms;              /* exp, without the leeway: it may be just past; 0: never */
    char grants[JWT_MAX_GRANTS + 1]; /* a JSON object; "": the token has no such claim */
};

/*
 * The first half of jwt_check, which needs no key: form, algorithm and header. BURROW_OK
 * fills ret_kid ("": the header has none); BURROW_EDENIED fills *why; BURROW_ENOMEM.
 */
int jwt_check_form(const char *token, size_t len, const struct jwt_alg *alg,
                   char ret_kid[JWT_MAX_KID + 1], struct jwt_refusal *why);

/*
 * Judges a token at the Unix time now_ms. BURROW_OK fills *ret; BURROW_EDENIED fills *why.
 * Any other negative code says that it cannot be told now (out of memory, or what the
 * verifier returned); *ret is untouched then.
 */
int jwt_check(const char *token, size_t len, const struct jwt_rules *rules, jwt_verify_fn *verify,
              const void *key, int64_t now_ms, struct jwt_identity *ret, struct jwt_refusal *why);

/*
 * What an auth plugin answers to the result r of jwt_check. A token that is not signed by a key
 * of the plugin is not its to judge: it abstains, so that others of the chain are asked, and
 * the code and reason go with it for the case that all abstain. The claims of one that is
 * signed are final: denied. *ret borrows from who and why.
 */
void jwt_to_verdict(int r, const struct jwt_identity *who, const struct jwt_refusal *why,
                    struct burrow_verdict *ret);

/* The jwt_verify_fn of HS256, HS384 and HS512; `key` is a struct burrow_secret. */
int jwt_verify_hmac(const void *key, const struct jwt_signed *token, struct jwt_refusal *why);

#endif
