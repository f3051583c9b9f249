/* SPDX-License-Identifier: Apache-2.0 */
/* Reads PEM files with a bound and a check of what they are, see tls_file.h. */
#include "tls_file.h"

#include "file.h"

#include <burrow/plugin.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)
#define CHAIN_MAX 20
#define RSA_BITS_MIN 2048

int tls_error_set(struct tls_error *err, int code, const char *fmt, ...)
{
    if (err == NULL)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return code;
}

/* Why the newest OpenSSL call failed. */
static const char *ssl_text(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text != NULL ? text : "not valid PEM";
}

/* The file as a memory BIO that owns its bytes. */
static int open_pem(const char *option, const char *file, BIO **ret, struct tls_error *err)
{
    char why[FILE_WHY] = "out of memory";
    struct file_bytes whole;
    int r = file_read(file, FILE_MAX, false, &whole, why);
    if (r < 0)
        return tls_error_set(err, r, "--%s: %s", option, why);
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL ||
        (whole.len > 0 && BIO_write(bio, whole.data, (int)whole.len) != (int)whole.len)) {
        BIO_free(bio);
        r = tls_error_set(err, BURROW_ENOMEM, "--%s: out of memory", option);
    } else {
        BIO_set_mem_eof_return(bio, 0);
        *ret = bio;
    }
    file_free(&whole);
    return r;
}

struct passphrase_wanted {
    bool asked;
};

static int no_passphrase(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    ((struct passphrase_wanted *)arg)->asked = true;
    return -1;
}

/* The next certificate; NULL with an empty error queue at the end of the file. */
static X509 *next_certificate(BIO *bio)
{
    struct passphrase_wanted wanted = {false};
    ERR_clear_error();
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_passphrase, &wanted);
    if (cert == NULL && ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_PEM &&
        ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return cert;
}

static void format_time(const ASN1_TIME *time, char buf[32])
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, 32, "an unknown time");
}

static int check_leaf(X509 *cert, const char *option, const char *file, struct tls_error *err)
{
    char when[32];
    EVP_PKEY *key = X509_get0_pubkey(cert);
    if (key == NULL)
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: the certificate in \"%s\" has no usable key", option, file);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: the RSA key of the certificate in \"%s\" has %d bits; at least "
                             "%d are needed",
                             option, file, EVP_PKEY_get_bits(key), RSA_BITS_MIN);
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) {
        format_time(X509_get0_notAfter(cert), when);
        return tls_error_set(err, BURROW_EINVAL, "--%s: the certificate in \"%s\" expired at %s",
                             option, file, when);
    }
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0) {
        format_time(X509_get0_notBefore(cert), when);
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: the certificate in \"%s\" is not valid before %s", option, file,
                             when);
    }
    return BURROW_OK;
}

/* Leaf first, then the chain, as a server sends it. */
static int use_chain(SSL_CTX *ctx, BIO *bio, const char *option, const char *file,
                     struct tls_error *err)
{
    int count = 0;
    X509 *cert;
    while ((cert = next_certificate(bio)) != NULL) {
        int r = BURROW_OK;
        long used = 0;
        if (count == 0)
            r = check_leaf(cert, option, file, err);
        if (r == BURROW_OK && count < CHAIN_MAX)
            used = count == 0 ? SSL_CTX_use_certificate(ctx, cert)
                              : SSL_CTX_add1_chain_cert(ctx, cert);
        X509_free(cert);
        if (r < 0)
            return r;
        if (used != 1)
            return tls_error_set(
                err, BURROW_EINVAL, "--%s: certificate %d in \"%s\" is not usable: %s", option,
                count + 1, file, count < CHAIN_MAX ? ssl_text() : "too many certificates");
        count++;
    }
    if (ERR_peek_last_error() != 0)
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: certificate %d in \"%s\" cannot be read: %s", option, count + 1,
                             file, ssl_text());
    if (count == 0)
        return tls_error_set(err, BURROW_EINVAL, "--%s: \"%s\" holds no PEM certificate", option,
                             file);
    return BURROW_OK;
}

static int use_key(SSL_CTX *ctx, BIO *bio, const char *option, const char *file,
                   struct tls_error *err)
{
    struct passphrase_wanted wanted = {false};
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &wanted);
    if (key == NULL && wanted.asked)
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: the key in \"%s\" is encrypted; an unencrypted one is needed",
                             option, file);
    if (key == NULL)
        return tls_error_set(err, BURROW_EINVAL, "--%s: \"%s\" holds no PEM private key", option,
                             file);
    X509 *cert = SSL_CTX_get0_certificate(ctx);
    int fits = X509_check_private_key(cert, key);
    int used = fits == 1 ? SSL_CTX_use_PrivateKey(ctx, key) : 0;
    EVP_PKEY_free(key);
    if (fits != 1)
        return tls_error_set(err, BURROW_EINVAL,
                             "--%s: the key in \"%s\" does not belong to the certificate", option,
                             file);
    if (used != 1)
        return tls_error_set(err, BURROW_EINVAL, "--%s: the key in \"%s\" is not usable: %s",
                             option, file, ssl_text());
    return BURROW_OK;
}

int tls_file_identity(SSL_CTX *ctx, const char *cert_option, const char *cert_file,
                      const char *key_option, const char *key_file, struct tls_error *err)
{
    BIO *cert = NULL, *key = NULL;
    int r = open_pem(cert_option, cert_file, &cert, err);
    if (r == BURROW_OK)
        r = open_pem(key_option, key_file, &key, err);
    if (r == BURROW_OK)
        r = use_chain(ctx, cert, cert_option, cert_file, err);
    if (r == BURROW_OK)
        r = use_key(ctx, key, key_option, key_file, err);
    BIO_free(cert);
    BIO_free(key);
    ERR_clear_error();
    return r;
}

int tls_file_authorities(SSL_CTX *ctx, const char *option, const char *file,
                         STACK_OF(X509_NAME) * *ret_names, struct tls_error *err)
{
    BIO *bio = NULL;
    int r = open_pem(option, file, &bio, err);
    if (r < 0)
        return r;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int count = 0;
    X509 *cert;
    while (names != NULL && (cert = next_certificate(bio)) != NULL) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
        bool added = name != NULL && X509_STORE_add_cert(store, cert) == 1 &&
                     sk_X509_NAME_push(names, name) > 0;
        X509_free(cert);
        if (!added) {
            X509_NAME_free(name);
            break;
        }
        count++;
    }
    if (names == NULL)
        r = tls_error_set(err, BURROW_ENOMEM, "--%s: out of memory", option);
    else if (ERR_peek_last_error() != 0)
        r = tls_error_set(err, BURROW_EINVAL, "--%s: certificate %d in \"%s\" cannot be read: %s",
                          option, count + 1, file, ssl_text());
    else if (count == 0)
        r = tls_error_set(err, BURROW_EINVAL, "--%s: \"%s\" holds no PEM certificate", option,
                          file);
    BIO_free(bio);
    ERR_clear_error();
    if (r == BURROW_OK && ret_names != NULL)
        *ret_names = names;
    else
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    return r;
}
