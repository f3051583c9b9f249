/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made when they are needed: no key lies in the tree and none expires. */
#ifndef SUPPORT_TEST_CERTS_H
#define SUPPORT_TEST_CERTS_H

#include <openssl/x509.h>

struct test_cert {
    X509 *cert;
    EVP_PKEY *key;
};

struct test_cert_plan {
    const char *name;               /* common name */
    const char *alt;                /* subjectAltName, e.g. "DNS:localhost,IP:127.0.0.1"; or NULL */
    const struct test_cert *issuer; /* NULL: self-signed */
    int is_ca;
    int rsa_bits;              /* 0: P-256 */
    int from_days, until_days; /* validity from now; both 0: -1 … 30 */
};

/* Fails the test when it cannot. */
struct test_cert test_cert_make(const struct test_cert_plan *plan);
void test_cert_free(struct test_cert *cert);
/* Appends PEM to (or starts) dir/name; the returned path is the caller's to free. */
char *test_cert_write(const struct test_cert *cert, const char *dir, const char *name);
char *test_key_write(const struct test_cert *cert, const char *dir, const char *name,
                     const char *passphrase);
char *test_text_write(const char *dir, const char *name, const char *text);
/* A fresh directory below $TMPDIR, and its removal with the files in it. */
char *test_dir_make(void);
void test_dir_remove(char *dir);

#endif
