/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's judgement of the claims (RFC 7519, 4.1) of a token whose signature is good.
 *
 * First everything that no passing of time would mend, then the times: so a client that is
 * told "expired" or "not yet valid" knows that the rest was right.
 */
#include "jwt/parts.h"

#include <inttypes.h>
#include <string.h>

enum time_claim { TIME_ABSENT, TIME_GIVEN, TIME_BAD };

/* A NumericDate (RFC 7519, 2): integer or fraction, from 1970 to the end of year 9999. */
static enum time_claim read_time(const json_t *claims, const char *name, int64_t *ret_ms)
{
    const json_t *value = json_object_get(claims, name);
    if (!value)
        return TIME_ABSENT;
    if (json_typeof(value) == JSON_INTEGER) {
        json_int_t seconds = json_integer_value(value);
        if (seconds < 0 || seconds > JWT_MAX_TIME_S)
            return TIME_BAD;
        *ret_ms = (int64_t)seconds * 1000;
        return TIME_GIVEN;
    }
    double seconds = json_typeof(value) == JSON_REAL ? json_real_value(value) : -1;
    if (seconds < 0 || seconds > JWT_MAX_TIME_S)
        return TIME_BAD;
    *ret_ms = (int64_t)(seconds * 1000);
    return TIME_GIVEN;
}

/* NUL cannot come (the parser refuses it in strings), other controls can. C1 controls are
 * two bytes in UTF-8, which the parser has checked. */
static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0))
            return true;
    }
    return false;
}

static int check_subject(const json_t *claims, struct jwt_identity *out, struct jwt_refusal *why)
{
    const json_t *sub = json_object_get(claims, "sub");
    size_t len = json_string_length(sub);
    if (!json_is_string(sub))
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "sub is %s",
                          sub ? "not a string" : "missing");
    if (len == 0 || len > JWT_MAX_SUBJECT)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "sub has %zu bytes, not 1 to %u", len,
                          JWT_MAX_SUBJECT);
    if (has_control(json_string_value(sub), len))
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "sub contains a control character");
    memcpy(out->subject, json_string_value(sub), len + 1);
    out->subject_len = len;
    return BURROW_OK;
}

static int check_issuer(const json_t *claims, const char *expected, struct jwt_refusal *why)
{
    const json_t *iss = json_object_get(claims, "iss");
    if (iss && json_typeof(iss) != JSON_STRING)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "iss is not a string");
    if (!expected)
        return BURROW_OK;
    char want[JWT_SHOWN], got[JWT_SHOWN];
    jwt_show(want, expected, strlen(expected));
    if (!iss)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "iss is missing, \"%s\" is expected (--jwt-issuer)", want);
    if (strcmp(json_string_value(iss), expected) != 0)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "iss is \"%s\", \"%s\" is expected (--jwt-issuer)",
                          jwt_show(got, json_string_value(iss), json_string_length(iss)), want);
    return BURROW_OK;
}

/* aud is a string or an array of strings, also where nobody compares it. */
static int check_audience(const json_t *claims, const char *expected, struct jwt_refusal *why)
{
    const json_t *aud = json_object_get(claims, "aud");
    bool is_array = json_is_array(aud);
    if (aud && !is_array && json_typeof(aud) != JSON_STRING)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "aud is neither a string nor an array");
    bool named = !expected;
    size_t count = is_array ? json_array_size(aud) : aud ? 1 : 0;
    for (size_t i = 0; i < count; i++) {
        const char *item = json_string_value(is_array ? json_array_get(aud, i) : aud);
        if (!item)
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "aud contains what is not a string");
        named = named || strcmp(item, expected) == 0;
    }
    if (named)
        return BURROW_OK;
    char want[JWT_SHOWN];
    return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "aud %s \"%s\" (--jwt-audience)",
                      aud ? "does not name" : "is missing, not",
                      jwt_show(want, expected, strlen(expected)));
}

/* exp, nbf and iat. A token from the future (iat) is treated as one that is not valid yet:
 * the issuer's clock is ahead, and the client's next try may succeed. */
static int check_times(const json_t *claims, bool allow_no_exp, int64_t now_ms,
                       int64_t *ret_expires_ms, struct jwt_refusal *why)
{
    static const char *const names[3] = {"exp", "nbf", "iat"};
    int64_t at[3] = {0, 0, 0};
    enum time_claim given[3];
    for (size_t i = 0; i < 3; i++) {
        given[i] = read_time(claims, names[i], &at[i]);
        if (given[i] == TIME_BAD)
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                              "%s is not a number of seconds from 0 to %" PRId64, names[i],
                              (int64_t)JWT_MAX_TIME_S);
    }
    if (given[0] == TIME_ABSENT && !allow_no_exp)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "exp is missing (--jwt-allow-no-exp accepts tokens without an end)");
    if (given[0] == TIME_GIVEN && now_ms >= at[0] + JWT_LEEWAY_MS)
        return jwt_refuse(why, BURROW_CODE_TOKEN_EXPIRED, "the token expired %" PRId64 " s ago",
                          (now_ms - at[0]) / 1000);
    for (size_t i = 1; i < 3; i++)
        if (given[i] == TIME_GIVEN && now_ms < at[i] - JWT_LEEWAY_MS)
            return jwt_refuse(why, BURROW_CODE_TOKEN_NOT_YET_VALID,
                              "%s is %" PRId64 " s in the future", names[i],
                              (at[i] - now_ms) / 1000);
    *ret_expires_ms = given[0] == TIME_GIVEN ? at[0] : 0;
    return BURROW_OK;
}

/* The grants as they go to the host, which judges what is in them. What is no object is
 * refused: to pass over it would widen what the bearer may do. */
static int check_grants(const json_t *claims, const char *name, struct jwt_identity *out,
                        struct jwt_refusal *why)
{
    const json_t *grants = name ? json_object_get(claims, name) : NULL;
    if (!grants)
        return BURROW_OK;
    char shown[JWT_SHOWN];
    jwt_show(shown, name, strlen(name));
    if (json_typeof(grants) != JSON_OBJECT)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "%s, the claim of grants, is no object",
                          shown);
    size_t len = json_dumpb(grants, out->grants, JWT_MAX_GRANTS, JSON_COMPACT);
    if (len == 0)
        return BURROW_ENOMEM;
    if (len > JWT_MAX_GRANTS)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN,
                          "%s, the claim of grants, has more than %u bytes", shown, JWT_MAX_GRANTS);
    out->grants[len] = '\0';
    return BURROW_OK;
}

int jwt_check_claims(const json_t *claims, const struct jwt_rules *rules, int64_t now_ms,
                     struct jwt_identity *ret, struct jwt_refusal *why)
{
    struct jwt_identity who;
    who.grants[0] = '\0';
    int r = check_subject(claims, &who, why);
    if (r == BURROW_OK)
        r = check_issuer(claims, rules->issuer, why);
    if (r == BURROW_OK)
        r = check_audience(claims, rules->audience, why);
    if (r == BURROW_OK)
        r = check_grants(claims, rules->grants, &who, why);
    if (r == BURROW_OK)
        r = check_times(claims, rules->allow_no_exp, now_ms, &who.expires_ms, why);
    if (r == BURROW_OK)
        *ret = who;
    return r;
}
