/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from PEM: SubjectPublicKeyInfo and certificates, every block of a text. */
#include "jwt/key.h"
#include "jwt/parts.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

static int certificate_key(const uint8_t *der, long len, size_t number, EVP_PKEY **ret,
                           struct jwt_refusal *why)
{
    const uint8_t *end = der;
    X509 *cert = d2i_X509(NULL, &end, len);
    int r = BURROW_OK;
    EVP_PKEY *pkey = NULL;
    if (!cert || end != der + len)
        r = jwt_bad_key(why, "block %zu is no certificate, or a broken one", number);
    else if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
        r = jwt_bad_key(why, "the certificate in block %zu has expired", number);
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0)
        r = jwt_bad_key(why, "the certificate in block %zu is not valid yet", number);
    else if (!(pkey = X509_get_pubkey(cert)))
        r = jwt_bad_key(why, "the certificate in block %zu has a key of another kind", number);
    X509_free(cert);
    *ret = pkey;
    return r;
}

/* The public key of one block. *ret may be NULL only on failure. */
static int block_key(const char *name, const uint8_t *der, long len, size_t number, EVP_PKEY **ret,
                     struct jwt_refusal *why)
{
    if (strcmp(name, PEM_STRING_X509) == 0)
        return certificate_key(der, len, number, ret, why);
    if (strstr(name, "PRIVATE KEY"))
        return jwt_bad_key(why,
                           "block %zu is a private key: keep it where tokens are made, and "
                           "give the public one (openssl pkey -pubout)",
                           number);
    if (strcmp(name, PEM_STRING_PUBLIC) != 0) {
        char shown[JWT_SHOWN];
        return jwt_bad_key(why, "block %zu is \"%s\", not \"PUBLIC KEY\" or \"CERTIFICATE\"",
                           number, jwt_show(shown, name, strlen(name)));
    }
    const uint8_t *end = der;
    *ret = d2i_PUBKEY(NULL, &end, len);
    return *ret && end == der + len
               ? BURROW_OK
               : jwt_bad_key(why, "block %zu is no public key, or a broken one", number);
}

/* Adds the next block. BURROW_EAGAIN at the end of the text. */
static int next_key(BIO *bio, struct jwt_keys *keys, struct jwt_refusal *why)
{
    char *name = NULL, *header = NULL;
    uint8_t *der = NULL;
    long len = 0;
    size_t number = keys->count + 1;
    if (PEM_read_bio(bio, &name, &header, &der, &len) != 1) {
        unsigned long error = ERR_peek_last_error();
        bool end =
            ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
        return end ? BURROW_EAGAIN : jwt_bad_key(why, "block %zu is broken PEM", number);
    }
    EVP_PKEY *pkey = NULL;
    int r = BURROW_OK;
    if (number > JWT_MAX_TRIES)
        r = jwt_bad_key(why, "there are more than %u keys", JWT_MAX_TRIES);
    if (r == BURROW_OK)
        r = block_key(name, der, len, number, &pkey, why);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)len);
    if (r < 0) {
        EVP_PKEY_free(pkey);
        return r;
    }
    r = jwt_key_take(pkey, &keys->items[keys->count], why);
    if (r == BURROW_OK)
        keys->count++;
    return r;
}

/* A file that was cut inside a BEGIN line would otherwise look whole without its last key. */
static bool all_were_read(const char *text, size_t len, size_t count)
{
    static const char begin[] = "-----BEGIN";
    size_t lines = 0;
    for (const char *at = text; (at = memmem(at, len - (size_t)(at - text), begin, 10)); at += 10)
        lines++;
    return lines == count;
}

int jwt_keys_from_pem(const char *text, size_t len, struct jwt_keys *ret, struct jwt_refusal *why)
{
    if (len > JWT_MAX_PEM)
        return jwt_bad_key(why, "the PEM text is longer than %u bytes", JWT_MAX_PEM);
    struct jwt_keys keys = {.items = calloc(JWT_MAX_TRIES, sizeof *keys.items)};
    BIO *bio = BIO_new_mem_buf(text, (int)len);
    int r = keys.items && bio ? BURROW_OK : BURROW_ENOMEM;
    ERR_clear_error();
    while (r == BURROW_OK)
        r = next_key(bio, &keys, why);
    ERR_clear_error();
    BIO_free(bio);
    if (r == BURROW_EAGAIN && !all_were_read(text, len, keys.count))
        r = jwt_bad_key(why, "block %zu is broken PEM", keys.count + 1);
    if (r == BURROW_EAGAIN)
        r = keys.count > 0
                ? BURROW_OK
                : jwt_bad_key(why, "there is no PEM block \"PUBLIC KEY\" or \"CERTIFICATE\"");
    if (r < 0) {
        jwt_keys_finish(&keys);
        return r;
    }
    *ret = keys;
    return BURROW_OK;
}
