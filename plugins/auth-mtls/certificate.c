/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a name and two times out of a certificate, see certificate.h. */
#include "certificate.h"

#include <burrow/plugin.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name;
    int type; /* GEN_*, or -1: not of the alternative names */
    const char *missing, *several;
} FIELDS[NAME_FIELDS] = {
    [NAME_CN] = {"cn", -1, "the certificate has no common name",
                 "the certificate has several common names"},
    [NAME_DNS] = {"dns", GEN_DNS, "the certificate has no DNS name",
                  "the certificate has several DNS names"},
    [NAME_URI] = {"uri", GEN_URI, "the certificate has no URI", "the certificate has several URIs"},
    [NAME_EMAIL] = {"email", GEN_EMAIL, "the certificate has no email address",
                    "the certificate has several email addresses"},
};

enum name_field name_field_parse(const char *text)
{
    unsigned field = 0;
    while (field < NAME_FIELDS && strcmp(FIELDS[field].name, text) != 0)
        field++;
    return (enum name_field)field;
}

static int deny(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return BURROW_EDENIED;
}

/* A NUL would end the name early for whoever reads it as a string. */
static int take_name(const unsigned char *p, int n, struct certificate_name *ret,
                     const char **ret_reason)
{
    if (p == NULL || n <= 0 || (unsigned)n > CERTIFICATE_SUBJECT_MAX)
        return deny(ret_reason, "the name in the certificate is not 1 to 128 bytes long");
    for (int i = 0; i < n; i++)
        if (p[i] < ' ' || p[i] == 0x7f)
            return deny(ret_reason, "the name in the certificate has a control character");
    memcpy(ret->subject, p, (size_t)n);
    ret->subject[n] = '\0';
    ret->len = (size_t)n;
    return BURROW_OK;
}

static int common_name(const X509 *cert, struct certificate_name *ret, const char **ret_reason)
{
    const X509_NAME *name = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0)
        return deny(ret_reason, FIELDS[NAME_CN].missing);
    if (X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return deny(ret_reason, FIELDS[NAME_CN].several);
    unsigned char *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (n < 0)
        return deny(ret_reason, "the common name is no text");
    int r = take_name(utf8, n, ret, ret_reason);
    OPENSSL_free(utf8);
    return r;
}

/* The one name of the type among the alternative names. Their strings are ASCII. */
static int only_one(const GENERAL_NAMES *names, enum name_field field, const ASN1_STRING **ret,
                    const char **ret_reason)
{
    const ASN1_STRING *found = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type = 0;
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        if (type != FIELDS[field].type)
            continue;
        if (found != NULL)
            return deny(ret_reason, FIELDS[field].several);
        found = (const ASN1_STRING *)value;
    }
    if (found == NULL)
        return deny(ret_reason, FIELDS[field].missing);
    *ret = found;
    return BURROW_OK;
}

static int alternative_name(const X509 *cert, enum name_field field, struct certificate_name *ret,
                            const char **ret_reason)
{
    int critical = 0;
    GENERAL_NAMES *names =
        (GENERAL_NAMES *)X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
    if (names == NULL)
        return deny(ret_reason, critical == -1 ? FIELDS[field].missing
                                               : "the alternative names cannot be read");
    const ASN1_STRING *found = NULL;
    int r = only_one(names, field, &found, ret_reason);
    if (r == BURROW_OK)
        r = take_name(ASN1_STRING_get0_data(found), ASN1_STRING_length(found), ret, ret_reason);
    for (size_t i = 0; r == BURROW_OK && i < ret->len; i++)
        if ((unsigned char)ret->subject[i] > 0x7e)
            r = deny(ret_reason, "the alternative name is not ASCII");
    GENERAL_NAMES_free(names);
    return r;
}

static bool unix_ms(const ASN1_TIME *time, int64_t *ret)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ret = (int64_t)timegm(&tm) * 1000;
    return true;
}

static int read_certificate(const X509 *cert, enum name_field field, struct certificate_name *ret,
                            const char **ret_reason)
{
    if (!unix_ms(X509_get0_notBefore(cert), &ret->not_before_ms) ||
        !unix_ms(X509_get0_notAfter(cert), &ret->not_after_ms))
        return deny(ret_reason, "the times of the certificate cannot be read");
    return field == NAME_CN ? common_name(cert, ret, ret_reason)
                            : alternative_name(cert, field, ret, ret_reason);
}

int certificate_name(const uint8_t *der, size_t len, enum name_field field,
                     struct certificate_name *ret, const char **ret_reason)
{
    const unsigned char *at = der;
    X509 *cert = len <= LONG_MAX ? d2i_X509(NULL, &at, (long)len) : NULL;
    struct certificate_name name = {.len = 0};
    int r = cert != NULL && at == der + len ? read_certificate(cert, field, &name, ret_reason)
                                            : deny(ret_reason, "the certificate cannot be read");
    X509_free(cert);
    ERR_clear_error();
    if (r == BURROW_OK)
        *ret = name;
    return r;
}
