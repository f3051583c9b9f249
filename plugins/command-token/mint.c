/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `burrow token mint`: a token that a server with the same options accepts. Each one is shown
 * to the gate before it is printed, so that none leaves that a server would refuse.
 */
#include "token.h"

#include "file.h"
#include "jwt/sign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEY_OPTION "--private-key-file (BURROW_PRIVATE_KEY_FILE)"

/* What signs: a secret or a private key, and the algorithm. */
struct signer {
    struct jwt_rules rules;
    struct jwt_secrets secrets;
    struct jwt_key key;
    const char *kid;
    bool with_key;
};

static void finish(struct signer *signer)
{
    jwt_secrets_finish(&signer->secrets);
    jwt_key_finish(&signer->key);
}

static int read_key(const struct burrow_host *host, const char *path, struct jwt_key *ret)
{
    struct file_bytes bytes;
    char said[FILE_WHY];
    struct jwt_refusal why = {.code = 0};
    int r = file_read(path, JWT_MAX_PEM, false, &bytes, said);
    if (r == BURROW_EINVAL)
        return burrow_error(host, r, "%s: %s", KEY_OPTION, said);
    if (r == BURROW_OK) {
        r = jwt_private_key_read(bytes.data, bytes.len, ret, &why);
        file_free(&bytes);
    }
    if (r == BURROW_ENOMEM)
        return burrow_error(host, r, "out of memory");
    if (r < 0)
        return burrow_error(host, r, "%s: \"%s\": %s", KEY_OPTION, path, why.text);
    return BURROW_OK;
}

/* The first algorithm that goes with the key, which is the usual one. */
static const char *usual_alg(const struct jwt_key *key)
{
    static const char *const usual[] = {
        [JWT_KEY_SECRET] = "HS256", [JWT_KEY_RSA] = "RS256",  [JWT_KEY_P256] = "ES256",
        [JWT_KEY_P384] = "ES384",   [JWT_KEY_P521] = "ES512", [JWT_KEY_ED25519] = "EdDSA",
    };
    return key->only ? key->only->name : usual[key->kind];
}

static int prepare_key(const struct burrow_host *host, const struct token_config *config,
                       struct signer *signer)
{
    int r = read_key(host, config->private_key_file, &signer->key);
    if (r < 0)
        return r;
    r = jwt_rules_read(host, &config->jwt, usual_alg(&signer->key), JWT_ALL_ALGS, &signer->rules);
    if (r == BURROW_OK && !jwt_key_fits(&signer->key, signer->rules.alg))
        r = burrow_error(host, BURROW_EINVAL,
                         "--jwt-alg (BURROW_JWT_ALG): %s does not go with the key in \"%s\", which "
                         "is %s%s%s",
                         signer->rules.alg->name, config->private_key_file,
                         jwt_key_kind_name(signer->key.kind), signer->key.only ? " for " : "",
                         signer->key.only ? signer->key.only->name : "");
    if (!signer->kid && signer->key.kid[0])
        signer->kid = signer->key.kid;
    signer->with_key = true;
    return r;
}

static int prepare(const struct burrow_host *host, const struct token_config *config,
                   struct signer *signer)
{
    const struct jwt_secret_options *s = &config->secrets;
    bool with_secret = (s->secret.data && s->secret.len > 0) || jwt_if_given(s->file);
    signer->kid = jwt_if_given(config->kid);
    if (jwt_if_given(config->private_key_file)) {
        if (with_secret)
            return burrow_error(host, BURROW_EINVAL,
                                "give only one of %s and --jwt-hmac-secret[-file]", KEY_OPTION);
        return prepare_key(host, config, signer);
    }
    if (!with_secret)
        return burrow_error(host, BURROW_EINVAL,
                            "nothing to sign with: a secret is missing (--jwt-hmac-secret-file or "
                            "--jwt-hmac-secret), or a private key (%s)",
                            KEY_OPTION);
    int r = jwt_rules_read(host, &config->jwt, "HS256", JWT_SECRET_ALGS, &signer->rules);
    if (r == BURROW_OK)
        r = jwt_secrets_load(host, s, signer->rules.alg, &signer->secrets);
    return r;
}

/* Signs the claims and asks the gate whether they would be accepted when they begin to be. */
static int sign(const struct burrow_host *host, const struct signer *signer, const char *claims,
                int64_t valid_s, char **ret_token)
{
    const struct burrow_secret *secret = &signer->secrets.current.value;
    struct jwt_key key = signer->key;
    if (signer->kid)
        key.kid[0] = '\0'; /* whatever it is called, it is this key that signed */
    const struct jwt_keys keys = {&key, 1};
    char *token;
    int r = jwt_mint(signer->rules.alg, signer->with_key ? jwt_sign_key : jwt_sign_hmac,
                     signer->with_key ? (const void *)&signer->key : secret, signer->kid, claims,
                     strlen(claims), &token);
    if (r == BURROW_EINVAL)
        return burrow_error(host, r, "the token would be longer than %u bytes: give fewer claims",
                            JWT_MAX_TOKEN);
    if (r < 0)
        return burrow_error(host, r, "the token cannot be signed");
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    r = jwt_check(token, strlen(token), &signer->rules,
                  signer->with_key ? jwt_verify_keys : jwt_verify_hmac,
                  signer->with_key ? (const void *)&keys : secret, valid_s * 1000, &who, &why);
    if (r < 0) {
        free(token);
        return burrow_error(host, BURROW_EINVAL, "a server would refuse this token: %s",
                            r == BURROW_EDENIED ? why.text : "it cannot be checked");
    }
    *ret_token = token;
    return BURROW_OK;
}

static int print(const struct burrow_host *host, const char *token)
{
    if (printf("%s\n", token) < 0 || fflush(stdout) != 0)
        return burrow_error(host, BURROW_EIO, "cannot write the token: %s", strerror(errno));
    return BURROW_OK;
}

int token_mint(const struct burrow_host *host, const struct token_config *config)
{
    struct signer signer = {.with_key = false};
    int64_t valid_s = 0;
    char *claims = NULL, *token = NULL;
    int r = claims_build(host, config, (int64_t)time(NULL), &claims, &valid_s);
    if (r == BURROW_OK)
        r = prepare(host, config, &signer);
    if (r == BURROW_OK)
        r = sign(host, &signer, claims, valid_s, &token);
    const struct jwt_secret *secret = &signer.secrets.current;
    if (r == BURROW_OK && secret->weak)
        burrow_log(host, BURROW_LOG_WARN,
                   "the secret has %zu bytes, %s needs %zu: for development only",
                   secret->value.len, signer.rules.alg->name, signer.rules.alg->min_secret);
    if (r == BURROW_OK)
        r = print(host, token);
    finish(&signer);
    free(claims);
    free(token);
    return r;
}
