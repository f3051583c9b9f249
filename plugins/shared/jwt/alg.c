/* SPDX-License-Identifier: Apache-2.0 */
/* The algorithms that tokens may be signed with, as a table. */
#include "jwt/key.h"
#include "jwt/parts.h"

#include <openssl/core_names.h>
#include <string.h>

static const struct jwt_alg algorithms[] = {
    {"HS256", "SHA256", 32, 32, JWT_KEY_SECRET, 0}, {"HS384", "SHA384", 48, 48, JWT_KEY_SECRET, 0},
    {"HS512", "SHA512", 64, 64, JWT_KEY_SECRET, 0}, {"RS256", "SHA256", 0, 0, JWT_KEY_RSA, 0},
    {"RS384", "SHA384", 0, 0, JWT_KEY_RSA, 0},      {"RS512", "SHA512", 0, 0, JWT_KEY_RSA, 0},
    {"PS256", "SHA256", 0, 0, JWT_KEY_RSA, 1},      {"PS384", "SHA384", 0, 0, JWT_KEY_RSA, 1},
    {"PS512", "SHA512", 0, 0, JWT_KEY_RSA, 1},      {"ES256", "SHA256", 64, 0, JWT_KEY_P256, 0},
    {"ES384", "SHA384", 96, 0, JWT_KEY_P384, 0},    {"ES512", "SHA512", 132, 0, JWT_KEY_P521, 0},
    {"EdDSA", NULL, 64, 0, JWT_KEY_ED25519, 0},
};

const struct jwt_alg *jwt_alg_find(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
        if (strcmp(name, algorithms[i].name) == 0)
            return &algorithms[i];
    return NULL;
}

const char *jwt_key_kind_name(uint32_t kind)
{
    static const char *const names[] = {"a shared secret", "an RSA key",  "a P-256 key",
                                        "a P-384 key",     "a P-521 key", "an Ed25519 key"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "a key of another kind";
}

const OSSL_PARAM *jwt_padding(const struct jwt_alg *alg, struct jwt_padding *room)
{
    if (!alg->pss)
        return NULL;
    strcpy(room->mode, "pss");
    strcpy(room->salt, "digest");
    room->params[0] =
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, room->mode, 0);
    room->params[1] =
        OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, room->salt, 0);
    room->params[2] = OSSL_PARAM_construct_end();
    return room->params;
}
