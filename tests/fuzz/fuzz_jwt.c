/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the JWT gate in five ways, chosen by the first byte: the input as a whole token
 * ('T'); as header and payload, divided by the first line end, which are then properly
 * encoded and signed, so that the claims are reached ('S'); as a payload under a good header
 * ('C'); as a JWKS document ('J') and as PEM ('P') with keys. Nothing is accepted that breaks the
 * gate's promises, and what the fuzzer wrote as a token is never accepted at all, for it does not
 * know the secret.
 */
#include "jwt/parts.h"
#include "jwt/sign.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS 1790000000000LL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int condition)
{
    if (!condition)
        abort();
}

static void check_identity(const struct jwt_identity *who)
{
    demand(who->subject_len >= 1 && who->subject_len <= JWT_MAX_SUBJECT);
    demand(strlen(who->subject) == who->subject_len);
    for (size_t i = 0; i < who->subject_len; i++)
        demand((uint8_t)who->subject[i] >= 0x20 && who->subject[i] != 0x7f);
    demand(who->expires_ms == 0 || who->expires_ms > NOW_MS - JWT_LEEWAY_MS);
}

static void check_refusal(const struct jwt_refusal *why)
{
    demand(why->code >= BURROW_CODE_MISSING_BEARER && why->code <= BURROW_CODE_INVALID_TOKEN);
    size_t len = strnlen(why->text, sizeof why->text);
    demand(len > 0 && len < sizeof why->text);
    for (size_t i = 0; i < len; i++)
        demand(why->text[i] >= 0x20 && why->text[i] < 0x7f);
}

/* Asks with several rules; returns whether any of them accepted. */
static int ask(const char *token, size_t len, struct burrow_secret secret)
{
    const struct jwt_rules rules[] = {
        {.alg = jwt_alg_find("HS256"), .allow_no_exp = true},
        {.alg = jwt_alg_find("HS256"), .issuer = "idp", .audience = "burrow"},
        {.alg = jwt_alg_find("HS512")},
    };
    int accepted = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct jwt_identity who;
        struct jwt_refusal why = {.code = 0};
        int r = jwt_check(token, len, &rules[i], jwt_verify_hmac, &secret, NOW_MS, &who, &why);
        if (r == BURROW_OK) {
            check_identity(&who);
            demand(i == 0 || who.expires_ms != 0);
            accepted = 1;
        } else if (r == BURROW_EDENIED) {
            check_refusal(&why);
        }
    }
    return accepted;
}

/* What was read as keys is whole, and a bad text is told in a line of ASCII. */
static void read_keys(char form, const char *text, size_t len)
{
    struct jwt_keys keys;
    struct jwt_refusal why = {.code = 0};
    int r = form == 'J' ? jwt_keys_from_jwks(text, len, NULL, NULL, &keys, &why)
                        : jwt_keys_from_pem(text, len, &keys, &why);
    if (r == BURROW_EINVAL) {
        demand(why.code == BURROW_CODE_VERIFIER_CONFIG && why.text[0]);
        for (size_t i = 0; why.text[i]; i++)
            demand(why.text[i] >= 0x20 && why.text[i] < 0x7f);
    }
    if (r != BURROW_OK)
        return;
    demand(keys.count >= 1 && keys.count <= JWT_MAX_KEYS);
    for (size_t i = 0; i < keys.count; i++)
        demand(keys.items[i].pkey && keys.items[i].kind != JWT_KEY_SECRET);
    jwt_keys_finish(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good_header[] = "{\"alg\":\"HS256\"}";
    const struct burrow_secret secret = {
        (const uint8_t *)"a secret that no fuzzer finds by chance, however long it runs", 61};
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    if (data[0] == 'T') {
        demand(!ask(text, len, secret));
        return 0;
    }
    if (data[0] == 'J' || data[0] == 'P') {
        read_keys((char)data[0], text, len);
        return 0;
    }
    const char *header = good_header;
    size_t header_len = strlen(good_header);
    const char *end = data[0] == 'S' ? memchr(text, '\n', len) : NULL;
    if (end) {
        header = text;
        header_len = (size_t)(end - text);
        text = end + 1;
        len -= header_len + 1;
    }
    char *token = NULL;
    if (jwt_seal(jwt_alg_find("HS256"), jwt_sign_hmac, &secret, header, header_len, text, len,
                 &token) < 0)
        return 0;
    ask(token, strlen(token), secret);
    free(token);
    return 0;
}
