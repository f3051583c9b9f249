/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's order of checks: form, header, signature, claims; and what follows from it. */
#include "jwt/base64url.h"
#include "jwt/parts.h"

#include <stdio.h>
#include <string.h>

int jwt_refuse(struct jwt_refusal *why, uint32_t code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    why->code = code;
    why->verified = 0;
    vsnprintf(why->text, sizeof why->text, fmt, ap);
    va_end(ap);
    return BURROW_EDENIED;
}

const char *jwt_show(char out[JWT_SHOWN], const char *text, size_t len)
{
    size_t n = len < JWT_SHOWN - 1 ? len : JWT_SHOWN - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    out[n] = '\0';
    return out;
}

int jwt_parse_object(const uint8_t *text, size_t len, const char *what, json_t **ret,
                     struct jwt_refusal *why)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)text, len, JSON_REJECT_DUPLICATES, &error);
    if (!object) {
        /* Out of memory, jansson leaves the text empty, or blames the syntax: the latter
         * cannot be told apart and is a refusal, too. */
        if (error.text[0] == '\0')
            return BURROW_ENOMEM;
        char shown[JWT_SHOWN];
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the %s is no JSON object: %s", what,
                          jwt_show(shown, error.text, strlen(error.text)));
    }
    if (json_typeof(object) != JSON_OBJECT) {
        json_decref(object);
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the %s is no JSON object", what);
    }
    *ret = object;
    return BURROW_OK;
}

/* A token cut at its dots. Its segments are decoded into one buffer, which they fit because
 * base64url shrinks. */
struct segments {
    size_t signed_len; /* of "header.payload" in the token */
    const uint8_t *part[3];
    size_t part_len[3];
    uint8_t bytes[JWT_MAX_TOKEN];
};

static const char *const segment_names[3] = {"header", "payload", "signature"};

static int split(const char *token, size_t len, struct segments *out, struct jwt_refusal *why)
{
    if (len > JWT_MAX_TOKEN)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the token has %zu bytes, more than %u",
                          len, JWT_MAX_TOKEN);
    size_t begin = 0, used = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *dot = memchr(token + begin, '.', len - begin);
        if ((dot == NULL) != (i == 2))
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                              "the token has %s segments than the three of a signed JWT",
                              dot ? "more" : "fewer");
        size_t end = dot ? (size_t)(dot - token) : len;
        out->part[i] = out->bytes + used;
        if (end == begin)
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the %s is empty", segment_names[i]);
        if (base64url_decode(token + begin, end - begin, out->bytes + used,
                             sizeof out->bytes - used, &out->part_len[i]) < 0)
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "the %s is no canonical base64url",
                              segment_names[i]);
        used += out->part_len[i];
        if (i == 1)
            out->signed_len = end;
        begin = end + 1;
    }
    return BURROW_OK;
}

/* Form and header. *ret_header is the caller's to drop, and ret_kid is borrowed from it. */
static int open_token(const char *token, size_t len, const struct jwt_alg *alg,
                      struct segments *seg, json_t **ret_header, const char **ret_kid,
                      struct jwt_refusal *why)
{
    if (!token || len == 0)
        return jwt_refuse(why, BURROW_CODE_MISSING_BEARER, "no bearer token was shown");
    int r = split(token, len, seg, why);
    if (r < 0)
        return r;
    json_t *header;
    r = jwt_parse_object(seg->part[0], seg->part_len[0], segment_names[0], &header, why);
    if (r < 0)
        return r;
    r = jwt_check_header(header, alg, ret_kid, why);
    if (r < 0) {
        json_decref(header);
        return r;
    }
    *ret_header = header;
    return BURROW_OK;
}

int jwt_check_form(const char *token, size_t len, const struct jwt_alg *alg,
                   char ret_kid[JWT_MAX_KID + 1], struct jwt_refusal *why)
{
    struct segments seg;
    json_t *header;
    const char *kid = NULL;
    int r = open_token(token, len, alg, &seg, &header, &kid, why);
    if (r < 0)
        return r;
    memset(ret_kid, 0, JWT_MAX_KID + 1);
    if (kid)
        memcpy(ret_kid, kid, strlen(kid)); /* at most JWT_MAX_KID, by the header's check */
    json_decref(header);
    return BURROW_OK;
}

int jwt_check(const char *token, size_t len, const struct jwt_rules *rules, jwt_verify_fn *verify,
              const void *key, int64_t now_ms, struct jwt_identity *ret, struct jwt_refusal *why)
{
    struct segments seg;
    json_t *header;
    struct jwt_signed signed_token = {.alg = rules->alg};
    int r = open_token(token, len, rules->alg, &seg, &header, &signed_token.kid, why);
    if (r < 0)
        return r;
    signed_token.text = (const uint8_t *)token;
    signed_token.text_len = seg.signed_len;
    signed_token.signature = seg.part[2];
    signed_token.signature_len = seg.part_len[2];
    r = verify(key, &signed_token, why);
    json_decref(header);
    if (r < 0)
        return r;

    /* Nothing of the payload has been looked at until here. */
    json_t *claims;
    r = jwt_parse_object(seg.part[1], seg.part_len[1], segment_names[1], &claims, why);
    if (r == BURROW_OK) {
        r = jwt_check_claims(claims, rules, now_ms, ret, why);
        json_decref(claims);
    }
    why->verified = r == BURROW_EDENIED;
    return r;
}

void jwt_to_verdict(int r, const struct jwt_identity *who, const struct jwt_refusal *why,
                    struct burrow_verdict *ret)
{
    const struct burrow_verdict unavailable = {
        .size = sizeof unavailable,
        .result = BURROW_AUTH_UNAVAILABLE,
        .reason = r == BURROW_ENOMEM ? "out of memory" : "OpenSSL could not verify the signature",
    };
    *ret = unavailable;
    if (r == BURROW_OK) {
        ret->result = BURROW_AUTH_ALLOW;
        ret->reason = NULL;
        ret->subject = who->subject;
        ret->subject_len = who->subject_len;
        ret->expires_ms = who->expires_ms;
        ret->grants_json = who->grants[0] ? who->grants : NULL;
    } else if (r == BURROW_EDENIED || r == BURROW_EAGAIN) {
        ret->result = why->verified ? BURROW_AUTH_DENY : BURROW_AUTH_ABSTAIN;
        ret->code = why->code;
        ret->reason = why->text;
    }
}
