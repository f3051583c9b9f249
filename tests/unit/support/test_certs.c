/* SPDX-License-Identifier: Apache-2.0 */
/* Makes certificates with OpenSSL, see test_certs.h. */
#include "test_certs.h"

#include <dirent.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

struct test_cert test_cert_make(const struct test_cert_plan *plan)
{
    struct test_cert made = {X509_new(), NULL};
    assert_non_null(made.cert);
    made.key = plan->rsa_bits > 0 ? EVP_RSA_gen((unsigned)plan->rsa_bits) : EVP_EC_gen("P-256");
    assert_non_null(made.key);
    X509 *issuer = plan->issuer != NULL ? plan->issuer->cert : made.cert;
    int64_t serial = 0;
    assert_int_equal(RAND_bytes((unsigned char *)&serial, 7), 1);
    X509_set_version(made.cert, 2);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(made.cert), serial);
    int until = plan->from_days == 0 && plan->until_days == 0 ? 30 : plan->until_days;
    int from = plan->from_days == 0 && plan->until_days == 0 ? -1 : plan->from_days;
    X509_gmtime_adj(X509_getm_notBefore(made.cert), 86400L * from);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), 86400L * until);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME *name = X509_get_subject_name(made.cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)plan->name, -1, -1,
                               0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(issuer));
    add_extension(made.cert, issuer, NID_basic_constraints,
                  plan->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (plan->alt != NULL)
        add_extension(made.cert, issuer, NID_subject_alt_name, plan->alt);
    EVP_PKEY *signer = plan->issuer != NULL ? plan->issuer->key : made.key;
    assert_true(X509_sign(made.cert, signer, EVP_sha256()) > 0);
    return made;
}

void test_cert_free(struct test_cert *cert)
{
    X509_free(cert->cert);
    EVP_PKEY_free(cert->key);
    cert->cert = NULL;
    cert->key = NULL;
}

static FILE *open_in(const char *dir, const char *name, char **ret_path)
{
    assert_true(asprintf(ret_path, "%s/%s", dir, name) > 0);
    FILE *file = fopen(*ret_path, "a");
    assert_non_null(file);
    return file;
}

char *test_cert_write(const struct test_cert *cert, const char *dir, const char *name)
{
    char *path;
    FILE *file = open_in(dir, name, &path);
    assert_int_equal(PEM_write_X509(file, cert->cert), 1);
    fclose(file);
    return path;
}

char *test_key_write(const struct test_cert *cert, const char *dir, const char *name,
                     const char *passphrase)
{
    char *path;
    FILE *file = open_in(dir, name, &path);
    const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_128_cbc() : NULL;
    int length = passphrase != NULL ? (int)strlen(passphrase) : 0;
    unsigned char secret[64] = {0};
    if (passphrase != NULL)
        memcpy(secret, passphrase, strlen(passphrase));
    assert_int_equal(PEM_write_PrivateKey(file, cert->key, cipher,
                                          passphrase != NULL ? secret : NULL, length, NULL, NULL),
                     1);
    fclose(file);
    return path;
}

char *test_text_write(const char *dir, const char *name, const char *text)
{
    char *path;
    FILE *file = open_in(dir, name, &path);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    return path;
}

char *test_dir_make(void)
{
    const char *base = getenv("TMPDIR");
    char *dir;
    assert_true(asprintf(&dir, "%s/burrow-test-XXXXXX", base != NULL ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(dir));
    return dir;
}

void test_dir_remove(char *dir)
{
    DIR *handle = opendir(dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(handle);
    rmdir(dir);
    free(dir);
}
