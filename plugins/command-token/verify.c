/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow token verify`: what a server with the same options would say to a token, and why. It
 * asks the same gate with the same keys, so that a refusal can be understood without a server.
 */
#include "token.h"

#include "file.h"
#include "jwt/public_file.h"
#include "utc.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define JWKS_OPTION "--jwks-url (BURROW_JWKS_URL)"
#define JWKS_MAX (1024u * 1024u)

/* What verifies, by one of three sources. */
struct verifier {
    struct jwt_rules rules;
    struct jwt_secrets secrets;
    struct jwt_keys keys;
    bool with_secret;
};

/* A key that is left out may be the one that the user looks for. */
static void on_skipped(void *arg, size_t index, const char *kid, const char *reason)
{
    (void)arg;
    printf("key %zu of the JWKS (kid \"%s\") is left out: %s\n", index + 1, kid, reason);
}

static int load_jwks(const struct burrow_host *host, const char *url, struct jwt_keys *ret)
{
    struct file_bytes bytes;
    char said[FILE_WHY];
    struct jwt_refusal why = {.code = 0};
    if (strncmp(url, "file:", 5) != 0)
        return burrow_error(host, BURROW_EINVAL,
                            "%s: \"%.200s\": verify reads no network; save the document and give "
                            "file:PATH",
                            JWKS_OPTION, url);
    const char *path = strncmp(url, "file://", 7) == 0 ? url + 7 : url + 5;
    int r = file_read(path, JWKS_MAX, true, &bytes, said);
    if (r == BURROW_EINVAL)
        return burrow_error(host, r, "%s: %s", JWKS_OPTION, said);
    if (r == BURROW_OK) {
        r = jwt_keys_from_jwks(bytes.data, bytes.len, on_skipped, NULL, ret, &why);
        file_free(&bytes);
    }
    if (r == BURROW_ENOMEM)
        return burrow_error(host, r, "out of memory");
    if (r < 0)
        return burrow_error(host, r, "%s: \"%s\": %s", JWKS_OPTION, path, why.text);
    return BURROW_OK;
}

static int prepare(const struct burrow_host *host, const struct token_config *config,
                   struct verifier *v)
{
    const struct jwt_secret_options *s = &config->secrets;
    const char *pem = jwt_if_given(config->public_key_file), *url = jwt_if_given(config->jwks_url);
    v->with_secret = (s->secret.data && s->secret.len > 0) || jwt_if_given(s->file);
    if ((v->with_secret ? 1 : 0) + (pem ? 1 : 0) + (url ? 1 : 0) != 1)
        return burrow_error(host, BURROW_EINVAL,
                            "expected one key source, as the server has it: "
                            "--jwt-hmac-secret[-file], --jwt-public-key-file or --jwks-url file:…");
    int r = v->with_secret
                ? jwt_rules_read(host, &config->jwt, "HS256", JWT_SECRET_ALGS, &v->rules)
                : jwt_rules_read(host, &config->jwt, "RS256", JWT_PUBLIC_ALGS, &v->rules);
    if (r < 0)
        return r;
    if (v->with_secret)
        return jwt_secrets_load(host, s, v->rules.alg, &v->secrets);
    return pem ? jwt_public_file_load(host, pem, v->rules.alg, &v->keys)
               : load_jwks(host, url, &v->keys);
}

/* As the server's log and its answer say it. */
static const char *code_name(uint32_t code)
{
    switch (code) {
    case BURROW_CODE_MISSING_BEARER:
        return "missing_bearer";
    case BURROW_CODE_TOKEN_EXPIRED:
        return "token_expired";
    case BURROW_CODE_TOKEN_NOT_YET_VALID:
        return "token_not_yet_valid";
    case BURROW_CODE_VERIFIER_CONFIG:
        return "verifier_config";
    default:
        return "invalid_token";
    }
}

static void show_accepted(const struct jwt_identity *who)
{
    printf("accepted: client \"%s\"", who->subject);
    if (who->expires_ms > 0)
        printf(", for %" PRId64 " s", (who->expires_ms - utc_now_ms()) / 1000);
    printf(", grants %s\n", who->grants[0] ? who->grants : "none: the server's limits apply");
}

int token_verify(const struct burrow_host *host, const struct token_config *config,
                 const char *token, bool *ret_accepted)
{
    struct verifier v = {.with_secret = false};
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    int r = prepare(host, config, &v);
    if (r < 0)
        return r;
    bool previous = false;
    const struct jwt_secret_try secrets = {&v.secrets, &previous};
    r = jwt_check(token, strlen(token), &v.rules,
                  v.with_secret ? jwt_verify_secrets : jwt_verify_keys,
                  v.with_secret ? (const void *)&secrets : &v.keys, utc_now_ms(), &who, &why);
    jwt_secrets_finish(&v.secrets);
    jwt_keys_finish(&v.keys);
    if (r == BURROW_OK)
        show_accepted(&who);
    else if (r == BURROW_EDENIED || r == BURROW_EAGAIN)
        printf("refused: code=%s reason=%s\n", code_name(why.code), why.text);
    else
        return burrow_error(host, r, "the token cannot be verified");
    if (previous)
        printf("it is signed with the previous secret\n");
    *ret_accepted = r == BURROW_OK;
    if (fflush(stdout) != 0)
        return burrow_error(host, BURROW_EIO, "cannot write: %s", strerror(errno));
    return BURROW_OK;
}
