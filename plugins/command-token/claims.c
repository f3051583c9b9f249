/* SPDX-License-Identifier: Apache-2.0 */
/* From options to claims. Whether a server would accept them is the gate's to say. */
#include "token.h"

#include "moment.h"

#include <jansson.h>
#include <string.h>

/* Claims that have an option, so that none is given twice with two meanings. */
static const struct {
    const char *claim, *option;
} reserved[] = {
    {"sub", "--sub"},        {"iss", "--jwt-issuer"}, {"aud", "--jwt-audience"},
    {"exp", "--expires-in"}, {"nbf", "--not-before"}, {"iat", NULL},
};

#define CLAIM_NAME_MAX 128

/* Takes value; a NULL one is text that is no UTF-8. */
static int add(const struct burrow_host *host, json_t *claims, const char *option,
               const char *claim, json_t *value)
{
    if (!value)
        return burrow_error(host, BURROW_EINVAL, "%s: the value is no valid UTF-8", option);
    if (json_object_set_new(claims, claim, value) < 0)
        return burrow_error(host, BURROW_EINVAL, "%s: the name is no valid UTF-8", option);
    return BURROW_OK;
}

static int check_claim_name(const struct burrow_host *host, const json_t *claims, const char *name)
{
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        if (strcmp(name, reserved[i].claim) != 0)
            continue;
        if (!reserved[i].option)
            return burrow_error(host, BURROW_EINVAL, "--claim: %s is always the time of minting",
                                name);
        return burrow_error(host, BURROW_EINVAL, "--claim: %s is set by %s", name,
                            reserved[i].option);
    }
    if (json_object_get(claims, name))
        return burrow_error(host, BURROW_EINVAL, "--claim: %s is given twice, or set by --grants",
                            name);
    return BURROW_OK;
}

/* name=text, or name:=JSON. */
static int add_claim(const struct burrow_host *host, json_t *claims, const char *item)
{
    const char *equals = strchr(item, '=');
    bool is_json = equals && equals > item && equals[-1] == ':';
    size_t name_len = equals ? (size_t)(equals - item) - (is_json ? 1 : 0) : 0;
    if (name_len == 0 || name_len > CLAIM_NAME_MAX)
        return burrow_error(host, BURROW_EINVAL,
                            "--claim: \"%.64s\" is not NAME=TEXT or NAME:=JSON with a name of 1 to "
                            "%d bytes",
                            item, CLAIM_NAME_MAX);
    char name[CLAIM_NAME_MAX + 1];
    memcpy(name, item, name_len);
    name[name_len] = '\0';
    int r = check_claim_name(host, claims, name);
    if (r < 0)
        return r;
    if (!is_json)
        return add(host, claims, "--claim", name, json_string(equals + 1));
    json_error_t error;
    json_t *value = json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!value)
        return burrow_error(host, BURROW_EINVAL, "--claim: the value of %s is no JSON: %s", name,
                            error.text);
    return add(host, claims, "--claim", name, value);
}

static int add_times(const struct burrow_host *host, json_t *claims,
                     const struct token_config *config, int64_t now_s, int64_t *ret_valid_s)
{
    int64_t valid_s = now_s;
    int64_t end_s = now_s + (config->expires_in_ms + 999) / 1000;
    int r = add(host, claims, "iat", "iat", json_integer(now_s));
    if (r == BURROW_OK)
        r = add(host, claims, "--expires-in", "exp", json_integer(end_s));
    if (r < 0 || !config->not_before || !config->not_before[0])
        goto out;
    int64_t begin_s = 0;
    if (!moment_parse(config->not_before, now_s, &begin_s))
        return burrow_error(host, BURROW_EINVAL,
                            "--not-before: \"%.64s\" is no moment; give Unix seconds, "
                            "2026-11-21T08:00:00Z, or a time from now as 5m",
                            config->not_before);
    if (begin_s >= end_s)
        return burrow_error(host, BURROW_EINVAL,
                            "--not-before: \"%.64s\" is not before the end of the token; "
                            "raise --expires-in",
                            config->not_before);
    if (begin_s > valid_s)
        valid_s = begin_s;
    r = add(host, claims, "--not-before", "nbf", json_integer(begin_s));
out:
    if (r == BURROW_OK)
        *ret_valid_s = valid_s;
    return r;
}

/* What they mean, the server judges; what no server takes is refused here. */
static int add_grants(const struct burrow_host *host, json_t *claims,
                      const struct token_config *config)
{
    const char *name = jwt_if_given(config->jwt.grants);
    json_error_t error;
    json_t *value = json_loads(config->granted, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(value)) {
        const char *found = value ? "it is another value" : error.text;
        int r = burrow_error(host, BURROW_EINVAL, "--grants (BURROW_GRANTS): no JSON object: %s",
                             found);
        json_decref(value);
        return r;
    }
    return add(host, claims, "--jwt-grants-claim", name ? name : JWT_GRANTS_CLAIM, value);
}

static int add_all(const struct burrow_host *host, json_t *claims,
                   const struct token_config *config, int64_t now_s, int64_t *ret_valid_s)
{
    int r = add(host, claims, "--sub", "sub", json_string(config->sub));
    if (r == BURROW_OK && config->jwt.issuer && config->jwt.issuer[0])
        r = add(host, claims, "--jwt-issuer", "iss", json_string(config->jwt.issuer));
    if (r == BURROW_OK && config->jwt.audience && config->jwt.audience[0])
        r = add(host, claims, "--jwt-audience", "aud", json_string(config->jwt.audience));
    if (r == BURROW_OK)
        r = add_times(host, claims, config, now_s, ret_valid_s);
    if (r == BURROW_OK && jwt_if_given(config->granted))
        r = add_grants(host, claims, config);
    for (size_t i = 0; r == BURROW_OK && i < config->claims.count; i++)
        r = add_claim(host, claims, config->claims.items[i]);
    return r;
}

int claims_build(const struct burrow_host *host, const struct token_config *config, int64_t now_s,
                 char **ret_json, int64_t *ret_valid_s)
{
    if (!config->sub || !config->sub[0])
        return burrow_error(host, BURROW_EINVAL,
                            "--sub (BURROW_SUB) is missing: the client id that the token is for");
    json_t *claims = json_object();
    if (!claims)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    int r = add_all(host, claims, config, now_s, ret_valid_s);
    if (r == BURROW_OK) {
        *ret_json = json_dumps(claims, JSON_COMPACT);
        if (!*ret_json)
            r = burrow_error(host, BURROW_ENOMEM, "out of memory");
    }
    json_decref(claims);
    return r;
}
