/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What auth plugins that judge JWTs have in common: their options, the warnings at start, and
 * the way from a credential through the gate to a verdict.
 */
#ifndef JWT_AUTH_H
#define JWT_AUTH_H

#include "jwt/jwt.h"

#define JWT_GRANTS_CLAIM "burrow" /* the claim of grants, where no other is named */

/* A member `jwt` of the plugin's config struct. */
struct jwt_options {
    const char *alg, *issuer, *audience, *grants;
    uint8_t allow_no_exp;
};

/* The rows of the plugin's option table; def and choices ("RS256|ES256") are those of jwt-alg. */
#define JWT_OPTION_ROWS(S, def, choices)                                                           \
    BURROW_OPTION_STRING(S, jwt.alg, "jwt-alg", def, "ALG", BURROW_OPT_RELOADABLE, choices,        \
                         "the one signature algorithm that is accepted"),                          \
        BURROW_OPTION_STRING(S, jwt.issuer, "jwt-issuer", NULL, "ISSUER", BURROW_OPT_RELOADABLE,   \
                             NULL, "tokens must have this iss"),                                   \
        BURROW_OPTION_STRING(S, jwt.audience, "jwt-audience", NULL, "AUDIENCE",                    \
                             BURROW_OPT_RELOADABLE, NULL, "tokens must name this in aud"),         \
        BURROW_OPTION_STRING(S, jwt.grants, "jwt-grants-claim", JWT_GRANTS_CLAIM, "NAME",          \
                             BURROW_OPT_RELOADABLE, NULL,                                          \
                             "the claim that says what the client may do"),                        \
        BURROW_OPTION_BOOL(S, jwt.allow_no_exp, "jwt-allow-no-exp", NULL, BURROW_OPT_RELOADABLE,   \
                           "accept tokens that never expire, with a warning")

/* The rules that the options ask for; its strings are borrowed from them. Empty values count
 * as unset: alg is then def. BURROW_EINVAL, explained by host->verror: an algorithm that is
 * not among the choices. */
int jwt_rules_read(const struct burrow_host *host, const struct jwt_options *options,
                   const char *def, const char *choices, struct jwt_rules *ret);

/* Logs what an operator should know of the rules. */
void jwt_rules_warn(const struct burrow_host *host, const struct jwt_rules *rules);

/* Judges the credential's token now and answers the request. */
void jwt_answer(const struct burrow_auth_host *host, struct burrow_auth_request *request,
                const struct burrow_credential *credential, const struct jwt_rules *rules,
                jwt_verify_fn *verify, const void *key);

/* NULL for what is empty: an empty value means unset. */
const char *jwt_if_given(const char *text);

#endif
