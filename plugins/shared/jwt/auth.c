/* SPDX-License-Identifier: Apache-2.0 */
/* The common part of the auth plugins that judge JWTs, see auth.h. */
#include "jwt/auth.h"

#include "utc.h"

#include <string.h>

const char *jwt_if_given(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* Whether name is one of "a|b|c". */
static bool among(const char *name, const char *choices)
{
    size_t len = strlen(name);
    for (const char *at = choices; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, name, len) == 0 && (at[len] == '|' || at[len] == '\0'))
            return true;
    }
    return false;
}

int jwt_rules_read(const struct burrow_host *host, const struct jwt_options *options,
                   const char *def, const char *choices, struct jwt_rules *ret)
{
    const char *name = jwt_if_given(options->alg) ? options->alg : def;
    const struct jwt_alg *alg = jwt_alg_find(name);
    if (!alg || !among(name, choices))
        return burrow_error(host, BURROW_EINVAL,
                            "--jwt-alg (BURROW_JWT_ALG): \"%.64s\" does not go with this kind of "
                            "key; expected one of %s",
                            name, choices);
    const char *grants = jwt_if_given(options->grants);
    const struct jwt_rules rules = {
        .alg = alg,
        .issuer = jwt_if_given(options->issuer),
        .audience = jwt_if_given(options->audience),
        .grants = grants ? grants : JWT_GRANTS_CLAIM,
        .allow_no_exp = options->allow_no_exp != 0,
    };
    *ret = rules;
    return BURROW_OK;
}

void jwt_rules_warn(const struct burrow_host *host, const struct jwt_rules *rules)
{
    if (!rules->allow_no_exp)
        return;
    const struct burrow_field fields[] = {
        burrow_str("hint", "tokens without exp are accepted for ever (jwt-allow-no-exp)"),
    };
    host->event(host->self, BURROW_LOG_WARN, "jwt_without_exp_allowed", fields, 1);
}

void jwt_answer(const struct burrow_auth_host *host, struct burrow_auth_request *request,
                const struct burrow_credential *credential, const struct jwt_rules *rules,
                jwt_verify_fn *verify, const void *key)
{
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    struct burrow_verdict verdict;
    int r = jwt_check(credential->token, credential->token_len, rules, verify, key, utc_now_ms(),
                      &who, &why);
    jwt_to_verdict(r, &who, &why, &verdict);
    host->answer(request, &verdict);
}
