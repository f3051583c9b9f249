/* SPDX-License-Identifier: Apache-2.0 */
/* See helper.h. Signs with OpenSSL's HMAC(), which the gate does not use. */
#include "helper.h"

#include "jwt/base64url.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

const struct burrow_secret test_secret = {
    (const uint8_t *)"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64};

struct jwt_rules plain_rules(void)
{
    struct jwt_rules rules = {.alg = jwt_alg_find("HS256")};
    return rules;
}

char *seal_with(const char *digest, const char *header, const char *payload)
{
    size_t size = BASE64URL_ENCODED(strlen(header)) + BASE64URL_ENCODED(strlen(payload)) + 96;
    char *token = malloc(size);
    assert_non_null(token);
    size_t n = base64url_encode((const uint8_t *)header, strlen(header), token);
    token[n++] = '.';
    n += base64url_encode((const uint8_t *)payload, strlen(payload), token + n);
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    assert_non_null(HMAC(EVP_get_digestbyname(digest), test_secret.data, (int)test_secret.len,
                         (const uint8_t *)token, n, mac, &mac_len));
    token[n++] = '.';
    n += base64url_encode(mac, mac_len, token + n);
    token[n] = '\0';
    return token;
}

char *seal(const char *header, const char *payload)
{
    return seal_with("SHA256", header, payload);
}

char *claims_token(const char *payload)
{
    return seal(GOOD_HEADER, payload);
}

int ask(const char *token, const struct jwt_rules *rules, struct jwt_identity *ret,
        struct jwt_refusal *why)
{
    return jwt_check(token, strlen(token), rules, jwt_verify_hmac, &test_secret, NOW_MS, ret, why);
}

void accepts(char *token, const struct jwt_rules *rules)
{
    struct jwt_identity who;
    struct jwt_refusal why = {.code = 0};
    int r = ask(token, rules, &who, &why);
    if (r != BURROW_OK)
        print_error("%s\nrefused: %s\n", token, why.text);
    free(token);
    assert_int_equal(r, BURROW_OK);
}

void refuses(char *token, const struct jwt_rules *rules, uint32_t code, const char *part)
{
    struct jwt_identity who = {.subject_len = 77};
    struct jwt_refusal why = {.code = 0};
    int r = ask(token, rules, &who, &why);
    if (r != BURROW_EDENIED || why.code != code || !strstr(why.text, part))
        print_error("%s\nresult %d code %u: %s\n", token, r, why.code, why.text);
    free(token);
    assert_int_equal(r, BURROW_EDENIED);
    assert_int_equal(why.code, code);
    assert_non_null(strstr(why.text, part));
    assert_int_equal(who.subject_len, 77); /* the output is untouched */
}

void accepts_claims(const char *payload)
{
    struct jwt_rules rules = plain_rules();
    accepts(claims_token(payload), &rules);
}

void refuses_claims(const char *payload, const char *part)
{
    struct jwt_rules rules = plain_rules();
    refuses(claims_token(payload), &rules, BURROW_CODE_INVALID_TOKEN, part);
}

void accepts_header(const char *header)
{
    struct jwt_rules rules = plain_rules();
    accepts(seal(header, GOOD_CLAIMS "}"), &rules);
}

void refuses_header(const char *header, const char *part)
{
    struct jwt_rules rules = plain_rules();
    refuses(seal(header, GOOD_CLAIMS "}"), &rules, BURROW_CODE_INVALID_TOKEN, part);
}
