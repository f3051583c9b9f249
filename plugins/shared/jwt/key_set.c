/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets from JWKS documents (RFC 7517, 5). */
#include "jwt/key.h"
#include "jwt/parts.h"

#include <stdlib.h>
#include <string.h>

static bool has_kid(const struct jwt_keys *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->items[i].kid, kid) == 0)
            return true;
    return false;
}

/* BURROW_EINVAL: the key is to be skipped. */
static int add_key(struct jwt_keys *keys, const json_t *jwk, struct jwt_refusal *why)
{
    struct jwt_key key;
    int r = jwt_key_from_jwk(jwk, &key, why);
    if (r < 0)
        return r;
    /* Two keys under one name: the first, for the second may be meant to replace it. */
    if (key.kid[0] != '\0' && has_kid(keys, key.kid)) {
        jwt_key_finish(&key);
        return jwt_bad_key(why, "the kid names a key before it, too");
    }
    keys->items[keys->count++] = key;
    return BURROW_OK;
}

static void tell(jwt_skipped_fn *skipped, void *arg, size_t index, const json_t *jwk,
                 const struct jwt_refusal *why)
{
    const json_t *kid = json_object_get(jwk, "kid");
    char shown[JWT_SHOWN] = "";
    if (kid)
        jwt_show(shown, json_string_value(kid), json_string_length(kid));
    if (skipped)
        skipped(arg, index, shown, why->text);
}

static int add_all(const json_t *list, jwt_skipped_fn *skipped, void *arg, struct jwt_keys *keys,
                   struct jwt_refusal *why)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *jwk = json_array_get(list, i);
        int r = add_key(keys, jwk, why);
        if (r == BURROW_EINVAL)
            tell(skipped, arg, i, jwk, why);
        else if (r < 0)
            return r;
    }
    if (keys->count == 0)
        return jwt_bad_key(why, "the JWKS has no key that can be used");
    return BURROW_OK;
}

int jwt_keys_from_jwks(const char *text, size_t len, jwt_skipped_fn *skipped, void *arg,
                       struct jwt_keys *ret, struct jwt_refusal *why)
{
    json_t *document;
    int r = jwt_parse_object((const uint8_t *)text, len, "JWKS", &document, why);
    if (r == BURROW_EDENIED) {
        why->code = BURROW_CODE_VERIFIER_CONFIG;
        return BURROW_EINVAL;
    }
    if (r < 0)
        return r;
    const json_t *list = json_object_get(document, "keys");
    size_t count = json_array_size(list);
    struct jwt_keys keys = {.items = calloc(JWT_MAX_KEYS, sizeof *keys.items)};
    if (!keys.items)
        r = BURROW_ENOMEM;
    else if (!json_is_array(list))
        r = jwt_bad_key(why, "the JWKS has no array \"keys\"");
    else if (count > JWT_MAX_KEYS)
        r = jwt_bad_key(why, "the JWKS has %zu keys, more than %u", count, JWT_MAX_KEYS);
    else
        r = add_all(list, skipped, arg, &keys, why);
    json_decref(document);
    if (r < 0) {
        jwt_keys_finish(&keys);
        return r;
    }
    *ret = keys;
    return BURROW_OK;
}
