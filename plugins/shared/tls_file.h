/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys from PEM files, checked before they are used: every refusal is one line
 * that names the option and the file.
 */
#ifndef SHARED_TLS_FILE_H
#define SHARED_TLS_FILE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

struct tls_error {
    char text[512];
};

/* Fills err (which may be NULL) and returns code. */
__attribute__((format(printf, 3, 4))) int tls_error_set(struct tls_error *err, int code,
                                                        const char *fmt, ...);

/* Puts the certificate with its chain and the key of two files into the context: valid now,
 * RSA of 2048 bits at least, key unencrypted and fitting. The options' names are for err. */
int tls_file_identity(SSL_CTX *ctx, const char *cert_option, const char *cert_file,
                      const char *key_option, const char *key_file, struct tls_error *err);
/* Trusts the certificates of the file, and only them. ret_names (may be NULL) gets their
 * subjects, which a server sends with its request for a client certificate. */
int tls_file_authorities(SSL_CTX *ctx, const char *option, const char *file,
                         STACK_OF(X509_NAME) * *ret_names, struct tls_error *err);

#endif
