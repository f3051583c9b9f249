/* SPDX-License-Identifier: Apache-2.0 */
/* Where shared secrets come from, and whether they are good enough. */
#include "jwt/secret.h"

#include "file.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* How messages name the options of one secret: by flag and variable. */
struct names {
    const char *value, *file;
};
static const struct names current_names = {
    "--jwt-hmac-secret (BURROW_JWT_HMAC_SECRET)",
    "--jwt-hmac-secret-file (BURROW_JWT_HMAC_SECRET_FILE)",
};
static const struct names previous_names = {
    "--jwt-hmac-secret-previous (BURROW_JWT_HMAC_SECRET_PREVIOUS)",
    "--jwt-hmac-secret-previous-file (BURROW_JWT_HMAC_SECRET_PREVIOUS_FILE)",
};

/* One line end at the end is not part of the secret: editors and echo put it there. */
static size_t without_newline(const uint8_t *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
    return len;
}

static int no_memory(const struct burrow_host *host)
{
    return burrow_error(host, BURROW_ENOMEM, "out of memory");
}

/* A secret file that everybody may write is refused: its author could sign for every client. */
static int read_file(const struct burrow_host *host, const struct names *names, const char *path,
                     struct burrow_secret *ret)
{
    struct file_bytes bytes;
    char why[FILE_WHY];
    int r = file_read(path, JWT_MAX_SECRET + 2, true, &bytes, why); /* a line end may follow */
    if (r == BURROW_ENOMEM)
        return no_memory(host);
    if (r < 0)
        return burrow_error(host, r, "%s: %s", names->file, why);
    size_t len = without_newline((const uint8_t *)bytes.data, bytes.len);
    if (len == 0)
        r = burrow_error(host, BURROW_EINVAL, "%s: \"%s\" is empty", names->file, path);
    uint8_t *copy = r == BURROW_OK ? malloc(len) : NULL;
    if (copy) {
        memcpy(copy, bytes.data, len);
        ret->data = copy;
        ret->len = len;
    } else if (r == BURROW_OK) {
        r = no_memory(host);
    }
    file_free(&bytes);
    return r;
}

static int copy_value(const struct burrow_host *host, struct burrow_secret from,
                      struct burrow_secret *ret)
{
    uint8_t *copy = malloc(from.len);
    if (!copy)
        return no_memory(host);
    memcpy(copy, from.data, from.len);
    ret->data = copy;
    ret->len = from.len;
    return BURROW_OK;
}

static void finish(struct jwt_secret *secret)
{
    const struct jwt_secret empty = {{NULL, 0}, false};
    if (secret->value.data) {
        uint8_t *bytes = (uint8_t *)(uintptr_t)secret->value.data;
        OPENSSL_cleanse(bytes, secret->value.len);
        free(bytes);
    }
    *secret = empty;
}

/* The secret that value or file gives; nothing when neither does. */
static int load(const struct burrow_host *host, const struct names *names,
                struct burrow_secret value, const char *file, bool allow_weak,
                const struct jwt_alg *alg, struct jwt_secret *ret)
{
    struct jwt_secret secret = {.weak = false};
    bool by_value = value.data && value.len > 0, by_file = file && file[0];
    if (by_value && by_file)
        return burrow_error(host, BURROW_EINVAL, "give only one of %s and %s", names->value,
                            names->file);
    int r = BURROW_OK;
    if (by_file)
        r = read_file(host, names, file, &secret.value);
    else if (by_value)
        r = copy_value(host, value, &secret.value);
    if (r < 0)
        return r;
    const char *option = by_file ? names->file : names->value;
    secret.weak = secret.value.data && secret.value.len < alg->min_secret;
    if (secret.value.len > JWT_MAX_SECRET)
        r = burrow_error(host, BURROW_EINVAL, "%s: the secret is longer than %u bytes", option,
                         JWT_MAX_SECRET);
    else if (secret.weak && !allow_weak)
        r = burrow_error(host, BURROW_EINVAL,
                         "%s: the secret has %zu bytes, %s needs at least %zu; make one with "
                         "\"openssl rand -hex 32\", or accept the risk with "
                         "--jwt-allow-weak-secret",
                         option, secret.value.len, alg->name, alg->min_secret);
    if (r < 0) {
        finish(&secret);
        return r;
    }
    *ret = secret;
    return BURROW_OK;
}

int jwt_secrets_load(const struct burrow_host *host, const struct jwt_secret_options *options,
                     const struct jwt_alg *alg, struct jwt_secrets *ret)
{
    bool weak = options->allow_weak != 0;
    struct jwt_secrets secrets;
    int r = load(host, &current_names, options->secret, options->file, weak, alg, &secrets.current);
    if (r < 0)
        return r;
    if (!secrets.current.value.data)
        return burrow_error(host, BURROW_EINVAL, "a secret is missing: give %s or %s",
                            current_names.file, current_names.value);
    r = load(host, &previous_names, options->previous, options->previous_file, weak, alg,
             &secrets.previous);
    if (r < 0) {
        finish(&secrets.current);
        return r;
    }
    *ret = secrets;
    return BURROW_OK;
}

void jwt_secrets_finish(struct jwt_secrets *secrets)
{
    finish(&secrets->current);
    finish(&secrets->previous);
}

int jwt_verify_secrets(const void *key, const struct jwt_signed *token, struct jwt_refusal *why)
{
    const struct jwt_secret_try *with = key;
    const struct jwt_secrets *secrets = with->secrets;
    int r = jwt_verify_hmac(&secrets->current.value, token, why);
    if (r != BURROW_EDENIED || !secrets->previous.value.data)
        return r;
    r = jwt_verify_hmac(&secrets->previous.value, token, why);
    if (r == BURROW_OK && with->ret_previous)
        *with->ret_previous = true;
    return r;
}
