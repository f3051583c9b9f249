/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a certificate names: one clear name in the one field that counts, or nobody. */
#include "certificate.h"

#include <burrow/plugin.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNTIL 1893456000 /* 2030-01-01 */

struct name {
    int type; /* of ASN.1: V_ASN1_UTF8STRING, … */
    const char *p;
    int n;
};

/* A certificate with these common names and alternative names; the DER is malloc'ed. */
struct plan {
    struct name cn[3];
    struct {
        int type; /* GEN_* */
        const char *p;
        int n;
    } alt[3];
    size_t cn_count, alt_count;
};

static void add_alt(X509 *cert, const struct plan *plan)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (size_t i = 0; i < plan->alt_count; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        assert_int_equal(ASN1_STRING_set(text, plan->alt[i].p, plan->alt[i].n), 1);
        GENERAL_NAME_set0_value(name, plan->alt[i].type, text);
        assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    }
    assert_int_equal(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
}

static uint8_t *make(const struct plan *plan, size_t *ret_len)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    uint8_t *der = NULL;
    assert_non_null(key);
    X509_set_version(cert, 2);
    ASN1_TIME_set(X509_getm_notBefore(cert), UNTIL - 86400);
    ASN1_TIME_set(X509_getm_notAfter(cert), UNTIL);
    for (size_t i = 0; i < plan->cn_count; i++)
        assert_int_equal(X509_NAME_add_entry_by_NID(
                             X509_get_subject_name(cert), NID_commonName, plan->cn[i].type,
                             (const unsigned char *)plan->cn[i].p, plan->cn[i].n, -1, 0),
                         1);
    if (plan->alt_count > 0)
        add_alt(cert, plan);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    int n = i2d_X509(cert, &der);
    assert_true(n > 0);
    *ret_len = (size_t)n;
    X509_free(cert);
    EVP_PKEY_free(key);
    return der;
}

static int ask(const struct plan *plan, enum name_field field, struct certificate_name *ret,
               const char **ret_reason)
{
    size_t n;
    uint8_t *der = make(plan, &n);
    int r = certificate_name(der, n, field, ret, ret_reason);
    OPENSSL_free(der);
    return r;
}

static void expect_name(const struct plan *plan, enum name_field field, const char *subject)
{
    struct certificate_name name;
    const char *reason = "";
    if (ask(plan, field, &name, &reason) != BURROW_OK)
        fail_msg("%s: %s", subject, reason);
    assert_string_equal(name.subject, subject);
    assert_int_equal(name.len, strlen(subject));
    assert_int_equal(name.not_after_ms, (int64_t)UNTIL * 1000);
    assert_int_equal(name.not_before_ms, (int64_t)(UNTIL - 86400) * 1000);
}

static void expect_denial(const struct plan *plan, enum name_field field, const char *word)
{
    struct certificate_name name;
    const char *reason = "";
    assert_int_equal(ask(plan, field, &name, &reason), BURROW_EDENIED);
    if (strstr(reason, word) == NULL)
        fail_msg("\"%s\" has no \"%s\"", reason, word);
}

#define UTF8(text)                                                                                 \
    {                                                                                              \
        V_ASN1_UTF8STRING, text, (int)sizeof(text) - 1                                             \
    }
#define ALT(type, text)                                                                            \
    {                                                                                              \
        type, text, (int)sizeof(text) - 1                                                          \
    }

static const struct plan FULL = {
    .cn = {UTF8("client-a")},
    .cn_count = 1,
    .alt = {ALT(GEN_DNS, "client-b.example"), ALT(GEN_URI, "spiffe://example/client-c"),
            ALT(GEN_EMAIL, "client-d@example")},
    .alt_count = 3,
};

static void the_name_is_taken_from_the_one_field_that_counts(void **state)
{
    (void)state;
    expect_name(&FULL, NAME_CN, "client-a");
    expect_name(&FULL, NAME_DNS, "client-b.example");
    expect_name(&FULL, NAME_URI, "spiffe://example/client-c");
    expect_name(&FULL, NAME_EMAIL, "client-d@example");
}

static void another_field_does_not_stand_in(void **state)
{
    (void)state;
    const struct plan only_cn = {.cn = {UTF8("client-a")}, .cn_count = 1};
    const struct plan only_dns = {.alt = {ALT(GEN_DNS, "client-a")}, .alt_count = 1};
    expect_denial(&only_dns, NAME_CN, "no common name");
    expect_denial(&only_cn, NAME_DNS, "no DNS name");
    expect_denial(&only_cn, NAME_URI, "no URI");
    expect_denial(&only_dns, NAME_URI, "no URI");
    expect_denial(&only_dns, NAME_EMAIL, "no email address");
}

static void several_names_are_nobodys(void **state)
{
    (void)state;
    const struct plan two = {
        .cn = {UTF8("client-a"), UTF8("client-b")},
        .cn_count = 2,
        .alt = {ALT(GEN_DNS, "client-a"), ALT(GEN_DNS, "client-b"), ALT(GEN_URI, "x:y")},
        .alt_count = 3,
    };
    expect_denial(&two, NAME_CN, "several common names");
    expect_denial(&two, NAME_DNS, "several DNS names");
    expect_name(&two, NAME_URI, "x:y");
}

static void a_nul_does_not_end_a_name(void **state)
{
    (void)state;
    const struct plan nul = {
        .cn = {UTF8("client-a\0.example")},
        .cn_count = 1,
        .alt = {ALT(GEN_DNS, "client-a\0.example"), ALT(GEN_URI, "x:a\0b"), ALT(GEN_EMAIL, "\0")},
        .alt_count = 3,
    };
    for (int field = NAME_CN; field < NAME_FIELDS; field++)
        expect_denial(&nul, (enum name_field)field, "control character");
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    const struct plan line = {.cn = {UTF8("client-a\nx")}, .cn_count = 1};
    const struct plan rubout = {.alt = {ALT(GEN_DNS, "client\x7f")}, .alt_count = 1};
    expect_denial(&line, NAME_CN, "control character");
    expect_denial(&rubout, NAME_DNS, "control character");
}

static void a_name_has_1_to_128_bytes(void **state)
{
    (void)state;
    char text[130];
    memset(text, 'a', sizeof text);
    text[129] = '\0';
    struct plan plan = {.alt = {{GEN_DNS, text, 128}}, .alt_count = 1};
    text[128] = '\0';
    expect_name(&plan, NAME_DNS, text);
    text[128] = 'a';
    plan.alt[0].n = 129;
    expect_denial(&plan, NAME_DNS, "1 to 128 bytes");
    plan.alt[0].n = 0;
    expect_denial(&plan, NAME_DNS, "1 to 128 bytes");
    const struct plan empty = {.cn = {{V_ASN1_UTF8STRING, "", 0}}, .cn_count = 1};
    expect_denial(&empty, NAME_CN, "1 to 128 bytes");
}

static void a_common_name_of_another_encoding_becomes_utf_8(void **state)
{
    (void)state;
    const struct plan latin = {.cn = {{V_ASN1_T61STRING, "caf\xe9", 4}}, .cn_count = 1};
    const struct plan wide = {.cn = {{V_ASN1_BMPSTRING, "\0a\0\xe9", 4}}, .cn_count = 1};
    const struct plan hidden = {.cn = {{V_ASN1_BMPSTRING, "\0a\0\0\0b", 6}}, .cn_count = 1};
    expect_name(&latin, NAME_CN, "caf\xc3\xa9");
    expect_name(&wide, NAME_CN, "a\xc3\xa9");
    expect_denial(&hidden, NAME_CN, "control character");
}

static void an_alternative_name_is_ascii(void **state)
{
    (void)state;
    const struct plan plan = {.alt = {ALT(GEN_DNS, "caf\xc3\xa9")}, .alt_count = 1};
    expect_denial(&plan, NAME_DNS, "not ASCII");
}

static void what_is_no_certificate_is_refused(void **state)
{
    (void)state;
    struct certificate_name name;
    const char *reason = "";
    size_t n;
    uint8_t *der = make(&FULL, &n);
    uint8_t *more = calloc(1, n + 1);
    memcpy(more, der, n);
    assert_int_equal(certificate_name(more, n + 1, NAME_CN, &name, &reason), BURROW_EDENIED);
    assert_non_null(strstr(reason, "cannot be read"));
    for (size_t i = 0; i < n; i += 7)
        assert_int_equal(certificate_name(der, i, NAME_CN, &name, &reason), BURROW_EDENIED);
    free(more);
    OPENSSL_free(der);
}

static void fields_have_names(void **state)
{
    (void)state;
    assert_int_equal(name_field_parse("cn"), NAME_CN);
    assert_int_equal(name_field_parse("email"), NAME_EMAIL);
    assert_int_equal(name_field_parse("CN"), NAME_FIELDS);
    assert_int_equal(name_field_parse(""), NAME_FIELDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_is_taken_from_the_one_field_that_counts),
        cmocka_unit_test(another_field_does_not_stand_in),
        cmocka_unit_test(several_names_are_nobodys),
        cmocka_unit_test(a_nul_does_not_end_a_name),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(a_name_has_1_to_128_bytes),
        cmocka_unit_test(a_common_name_of_another_encoding_becomes_utf_8),
        cmocka_unit_test(an_alternative_name_is_ascii),
        cmocka_unit_test(what_is_no_certificate_is_refused),
        cmocka_unit_test(fields_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
