/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate's look at a token's header, before any key is touched. What the header says is
 * not yet trusted: it may only match what the operator configured.
 */
#include "jwt/parts.h"

#include <string.h>
#include <strings.h>

/* Members that ask the verifier to fetch or believe a key, or change what is signed. All
 * are refused even where they would do no harm: RFC 8725, 3.10, and RFC 7515, 4.1.11. */
static const char *const forbidden[] = {"crit", "b64", "jku", "jwk", "x5u"};

/* typ of plain JWTs and of access tokens (RFC 7519, 5.1; RFC 9068, 2.1; RFC 7515, 4.1.9). */
static const char *const jwt_types[] = {"JWT", "application/jwt", "at+jwt", "application/at+jwt"};

static int check_type(const json_t *typ, struct jwt_refusal *why)
{
    const char *text = json_string_value(typ);
    if (!text)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "typ in the header is not a string");
    for (size_t i = 0; i < sizeof jwt_types / sizeof jwt_types[0]; i++)
        if (strcasecmp(text, jwt_types[i]) == 0)
            return BURROW_OK;
    char shown[JWT_SHOWN];
    return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "typ \"%s\" is not that of a JWT",
                      jwt_show(shown, text, json_string_length(typ)));
}

/* Key ids are only ever compared, never opened; one that looks like a path or URL is an
 * attack on a verifier that does otherwise. Some issuers use standard base64, where a
 * slash may come first: it ends in '=', which tells it from a path. */
static bool path_like(const char *kid, size_t len)
{
    return strstr(kid, "..") || strstr(kid, "://") || strchr(kid, '\\') ||
           strncmp(kid, "./", 2) == 0 || kid[0] == '~' || (kid[0] == '/' && kid[len - 1] != '=');
}

int jwt_check_key_id(const json_t *member, const char **ret_kid, struct jwt_refusal *why)
{
    const char *kid = json_string_value(member);
    size_t len = json_string_length(member);
    if (!kid || len == 0 || len > JWT_MAX_KID)
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "kid is not a string of 1 to %u bytes",
                          JWT_MAX_KID);
    for (size_t i = 0; i < len; i++)
        if (kid[i] < 0x20 || kid[i] > 0x7e)
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "kid is not printable ASCII");
    if (path_like(kid, len)) {
        char shown[JWT_SHOWN];
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "kid \"%s\" looks like a path or URL",
                          jwt_show(shown, kid, len));
    }
    *ret_kid = kid;
    return BURROW_OK;
}

int jwt_check_header(const json_t *header, const struct jwt_alg *alg, const char **ret_kid,
                     struct jwt_refusal *why)
{
    const json_t *named = json_object_get(header, "alg");
    if (!json_is_string(named))
        return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "alg in the header is not a string");
    if (strcmp(json_string_value(named), alg->name) != 0) {
        char shown[JWT_SHOWN];
        return jwt_refuse(
            why, BURROW_CODE_INVALID_TOKEN, "alg is \"%s\", only %s is accepted (--jwt-alg)",
            jwt_show(shown, json_string_value(named), json_string_length(named)), alg->name);
    }
    for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
        if (json_object_get(header, forbidden[i]))
            return jwt_refuse(why, BURROW_CODE_INVALID_TOKEN, "%s in the header is not accepted",
                              forbidden[i]);
    const json_t *typ = json_object_get(header, "typ");
    const json_t *kid = json_object_get(header, "kid");
    int r = typ ? check_type(typ, why) : BURROW_OK;
    if (r == BURROW_OK && kid)
        r = jwt_check_key_id(kid, ret_kid, why);
    return r;
}
