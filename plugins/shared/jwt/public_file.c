/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the file of public keys, see public_file.h. */
#include "jwt/public_file.h"

#include "file.h"

#define OPTION "--jwt-public-key-file (BURROW_JWT_PUBLIC_KEY_FILE)"

/* A key that no token of the algorithm can be signed by is a mistake, not a spare one. */
static int check_all(const struct burrow_host *host, const char *path, const struct jwt_alg *alg,
                     const struct jwt_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!jwt_key_fits(&keys->items[i], alg))
            return burrow_error(host, BURROW_EINVAL,
                                "%s: \"%s\": block %zu is %s; --jwt-alg (BURROW_JWT_ALG) is %s, "
                                "which needs %s",
                                OPTION, path, i + 1, jwt_key_kind_name(keys->items[i].kind),
                                alg->name, jwt_key_kind_name(alg->key));
    return BURROW_OK;
}

int jwt_public_file_load(const struct burrow_host *host, const char *path,
                         const struct jwt_alg *alg, struct jwt_keys *ret)
{
    if (!path || !path[0])
        return burrow_error(host, BURROW_EINVAL, "%s is missing: a PEM file with public keys",
                            OPTION);
    struct file_bytes bytes;
    char why[FILE_WHY];
    int r = file_read(path, JWT_MAX_PEM, true, &bytes, why);
    if (r == BURROW_EINVAL)
        return burrow_error(host, r, "%s: %s", OPTION, why);
    struct jwt_keys keys = {.count = 0};
    struct jwt_refusal refusal = {.code = 0};
    if (r == BURROW_OK) {
        r = jwt_keys_from_pem(bytes.data, bytes.len, &keys, &refusal);
        file_free(&bytes);
    }
    if (r == BURROW_ENOMEM)
        return burrow_error(host, r, "out of memory");
    if (r < 0)
        return burrow_error(host, r, "%s: \"%s\": %s", OPTION, path, refusal.text);
    r = check_all(host, path, alg, &keys);
    if (r < 0) {
        jwt_keys_finish(&keys);
        return r;
    }
    *ret = keys;
    return BURROW_OK;
}
