/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's order of checks: form, header, signature, claims. */
#include "jwt/base64url.h"
#include "jwt/parts.h"

#include <stdio.h>
#include <string.h>

int jwt_refuse(struct jwt_refusal *why, uint32_t code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    why->code = code;
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

/* The header and the signature. The payload has not been looked at. */
static int check_signature(const char *token, const struct segments *seg,
                           const struct jwt_rules *rules, jwt_verify_fn *verify, const void *key,
                           struct jwt_refusal *why)
{
    json_t *header;
    int r = jwt_parse_object(seg->part[0], seg->part_len[0], segment_names[0], &header, why);
    if (r < 0)
        return r;
    const char *kid = NULL;
    r = jwt_check_header(header, rules->alg, &kid, why);
    if (r == BURROW_OK) {
        struct jwt_signed signed_token = {
            .alg = rules->alg,
            .kid = kid,
            .text = (const uint8_t *)token,
            .text_len = seg->signed_len,
            .signature = seg->part[2],
            .signature_len = seg->part_len[2],
        };
        r = verify(key, &signed_token, why);
    }
    json_decref(header);
    return r;
}

int jwt_check(const char *token, size_t len, const struct jwt_rules *rules, jwt_verify_fn *verify,
              const void *key, int64_t now_ms, struct jwt_identity *ret, struct jwt_refusal *why)
{
    if (!token || len == 0)
        return jwt_refuse(why, BURROW_CODE_MISSING_BEARER, "no bearer token was shown");

    struct segments seg;
    int r = split(token, len, &seg, why);
    if (r < 0)
        return r;
    r = check_signature(token, &seg, rules, verify, key, why);
    if (r < 0)
        return r;
    json_t *claims;
    r = jwt_parse_object(seg.part[1], seg.part_len[1], segment_names[1], &claims, why);
    if (r < 0)
        return r;
    r = jwt_check_claims(claims, rules, now_ms, ret, why);
    json_decref(claims);
    return r;
}
