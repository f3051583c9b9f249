/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP client and TLS: whom it believes, and what it shows of itself, all from memory. */
#include "rig.h"
#include "test_certs.h"

#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct party {
    struct test_cert cert;
    SSL_CTX *tls;
};

static struct test_cert ca, stranger;

static struct party party_make(const char *alt, int from_days, int until_days)
{
    struct party party;
    party.cert = test_cert_make(&(struct test_cert_plan){.name = "server",
                                                         .alt = alt,
                                                         .issuer = &ca,
                                                         .from_days = from_days,
                                                         .until_days = until_days});
    party.tls = SSL_CTX_new(TLS_server_method());
    assert_non_null(party.tls);
    assert_int_equal(SSL_CTX_use_certificate(party.tls, party.cert.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(party.tls, party.cert.key), 1);
    return party;
}

static void party_free(struct party *party)
{
    SSL_CTX_free(party->tls);
    test_cert_free(&party->cert);
}

/* PEM in memory; the BIO owns it. */
static struct http_bytes pem(BIO *bio, X509 *cert, EVP_PKEY *key)
{
    char *data = NULL;
    if (cert)
        assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    if (key)
        assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long n = BIO_get_mem_data(bio, &data);
    return (struct http_bytes){data, (size_t)n};
}

static bool tell_whether_shown(void *arg, struct http_peer *peer)
{
    (void)arg;
    return http_peer_ok(peer, "", peer->client_cert ? "known" : "anonymous");
}

/* Asks a server with that certificate; ca may be NULL. */
static struct said ask_tls(struct party *party, const struct test_cert *trusted, bool skip)
{
    struct rig rig;
    struct said said;
    char url[64];
    rig_init(&rig, party->tls, tell_whether_shown, NULL);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_server_port(rig.server));
    ask.url = url;
    ask.skip_verify = skip;
    BIO *bio = BIO_new(BIO_s_mem());
    if (trusted)
        ask.ca = pem(bio, trusted->cert, NULL);
    rig_start(&rig, &ask, &said);
    BIO_free(bio); /* http_start has copied it */
    rig_run(&rig, &said.done, 1);
    rig_finish(&rig);
    return said;
}

static void only_the_given_authorities_are_believed(void **state)
{
    (void)state;
    struct party party = party_make("IP:127.0.0.1", 0, 0);
    struct said said = ask_tls(&party, &ca, false);
    assert_int_equal(said.result, BURROW_OK);
    assert_string_equal(said.body, "anonymous");
    said = ask_tls(&party, &stranger, false);
    assert_int_equal(said.result, BURROW_EIO);
    assert_non_null(strstr(said.error, "certificate"));
    said = ask_tls(&party, NULL, false);
    assert_int_equal(said.result, BURROW_EIO);
    said = ask_tls(&party, &stranger, true);
    assert_int_equal(said.result, BURROW_OK);
    party_free(&party);
}

static void another_name_or_an_expired_certificate_is_refused(void **state)
{
    (void)state;
    struct party party = party_make("DNS:idp.example,IP:127.0.0.2", 0, 0);
    assert_int_equal(ask_tls(&party, &ca, false).result, BURROW_EIO);
    party_free(&party);
    party = party_make("IP:127.0.0.1", -10, -5);
    struct said said = ask_tls(&party, &ca, false);
    assert_int_equal(said.result, BURROW_EIO);
    assert_non_null(strstr(said.error, "expired"));
    party_free(&party);
}

static void tls_before_1_2_is_refused(void **state)
{
    (void)state;
    struct party party = party_make("IP:127.0.0.1", 0, 0);
    SSL_CTX_set_max_proto_version(party.tls, TLS1_1_VERSION);
    SSL_CTX_set_security_level(party.tls, 0);
    assert_int_equal(ask_tls(&party, &ca, false).result, BURROW_EIO);
    party_free(&party);
}

static void a_plain_server_is_no_tls_server(void **state)
{
    struct rig rig;
    struct said said;
    char url[64];
    (void)state;
    rig_init(&rig, NULL, tell_whether_shown, NULL);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_server_port(rig.server));
    ask.url = url;
    ask.total_ms = 3000;
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    rig_finish(&rig);
}

static void a_client_certificate_is_shown_from_memory(void **state)
{
    (void)state;
    struct rig rig;
    struct said said;
    char url[64];
    struct party party = party_make("IP:127.0.0.1", 0, 0);
    struct test_cert own =
        test_cert_make(&(struct test_cert_plan){.name = "burrow", .issuer = &ca, .rsa_bits = 2048});
    X509_STORE_add_cert(SSL_CTX_get_cert_store(party.tls), ca.cert);
    SSL_CTX_set_verify(party.tls, SSL_VERIFY_PEER, NULL);
    rig_init(&rig, party.tls, tell_whether_shown, NULL);
    BIO *authority = BIO_new(BIO_s_mem()), *cert = BIO_new(BIO_s_mem()),
        *key = BIO_new(BIO_s_mem());
    for (int shown = 0; shown < 2; shown++) {
        struct http_ask ask = rig_ask(&rig, "/", &said);
        snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_server_port(rig.server));
        ask.url = url;
        (void)BIO_reset(authority);
        ask.ca = pem(authority, ca.cert, NULL);
        if (shown) {
            ask.cert = pem(cert, own.cert, NULL);
            ask.key = pem(key, NULL, own.key);
        }
        rig_get(&rig, &ask, &said);
        assert_string_equal(said.error, "");
        assert_string_equal(said.body, shown ? "known" : "anonymous");
    }
    BIO_free(authority);
    BIO_free(cert);
    BIO_free(key);
    rig_finish(&rig);
    test_cert_free(&own);
    party_free(&party);
}

static void what_is_no_pem_fails_the_request(void **state)
{
    (void)state;
    struct rig rig;
    struct said said;
    char url[64];
    struct party party = party_make("IP:127.0.0.1", 0, 0);
    rig_init(&rig, party.tls, tell_whether_shown, NULL);
    struct http_ask ask = rig_ask(&rig, "/", &said);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", http_server_port(rig.server));
    ask.url = url;
    ask.ca = (struct http_bytes){"nothing", 7};
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    ask = rig_ask(&rig, "/", &said);
    ask.url = url;
    ask.skip_verify = true;
    ask.cert = (struct http_bytes){"nothing", 7};
    ask.key = (struct http_bytes){"hunter2", 7};
    rig_get(&rig, &ask, &said);
    assert_int_equal(said.result, BURROW_EIO);
    assert_null(strstr(said.error, "hunter2"));
    rig_finish(&rig);
    party_free(&party);
}

static int make_authorities(void **state)
{
    (void)state;
    ca = test_cert_make(&(struct test_cert_plan){.name = "tests", .is_ca = 1});
    stranger = test_cert_make(&(struct test_cert_plan){.name = "strangers", .is_ca = 1});
    return 0;
}

static int free_authorities(void **state)
{
    (void)state;
    test_cert_free(&ca);
    test_cert_free(&stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_given_authorities_are_believed),
        cmocka_unit_test(another_name_or_an_expired_certificate_is_refused),
        cmocka_unit_test(tls_before_1_2_is_refused),
        cmocka_unit_test(a_plain_server_is_no_tls_server),
        cmocka_unit_test(a_client_certificate_is_shown_from_memory),
        cmocka_unit_test(what_is_no_pem_fails_the_request),
    };
    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
