/* SPDX-License-Identifier: Apache-2.0 */
/* The row "JWKS" of docs/security.md: a bad key is skipped and logged, and the good one beside
 * it counts; a bad document or answer leaves the last good set in force. */
#include "rig.h"
#include "test_certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- bad keys ---- */

/* A bad key before a good one: the good one counts, the log names the other. */
static void skipped(const char *bad, const char *reason)
{
    struct rig rig;
    struct signer signer = signer_make("good");
    char *good = jwk_of(&signer), *document = NULL;
    assert_true(asprintf(&document, "{\"keys\":[%s,%s]}", bad, good) > 0);
    rig_init(&rig, (struct manner){.document = document});
    rig_start(&rig);
    assert_int_equal(rig_verdict(&rig, token_for(&signer, "good", "a")).result, BURROW_AUTH_ALLOW);
    assert_true(rig_logged(&rig, "event=jwks_key_skipped index=0"));
    if (!rig_logged(&rig, reason))
        fail_msg("\"%s\" is not said of the key", reason);
    assert_true(rig_logged(&rig, "keys=1 skipped=1"));
    rig_finish(&rig);
    free(document);
    free(good);
    signer_free(&signer);
}

/* base64url of n bytes: 1s, and odd at the end. */
static char *number(size_t n)
{
    char *text = malloc(n * 4 / 3 + 8);
    assert_non_null(text);
    size_t len = (n * 4 + 2) / 3;
    memset(text, 'z', len);
    text[len - 1] = n % 3 == 1 ? 'Q' : n % 3 == 2 ? 'c' : '9';
    text[len] = '\0';
    return text;
}

static void skipped_rsa(size_t bytes, const char *e, const char *reason)
{
    char *n = number(bytes), *jwk = NULL;
    assert_true(asprintf(&jwk, "{\"kty\":\"RSA\",\"kid\":\"r\",\"e\":\"%s\",\"n\":\"%s\"}", e, n) >
                0);
    skipped(jwk, reason);
    free(jwk);
    free(n);
}

static void jwks_key_for_encryption_is_skipped(void **state)
{
    (void)state;
    struct signer signer = signer_make("enc");
    char *jwk = jwk_of(&signer), *bad = NULL;
    assert_true(asprintf(&bad, "{\"use\":\"enc\",%s", jwk + 1) > 0);
    skipped(bad, "use");
    free(bad);
    free(jwk);
    signer_free(&signer);
}

static void jwks_symmetric_key_is_skipped(void **state)
{
    (void)state;
    skipped("{\"kty\":\"oct\",\"kid\":\"o\",\"k\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U\"}",
            "kid=o");
}

static void jwks_key_with_private_members_is_skipped(void **state)
{
    (void)state;
    struct signer signer = signer_make("private");
    char *jwk = jwk_of(&signer), *bad = NULL;
    assert_true(
        asprintf(&bad, "{\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\",%s", jwk + 1) > 0);
    skipped(bad, "private");
    free(bad);
    free(jwk);
    signer_free(&signer);
}

static void jwks_rsa_key_with_exponent_1_is_skipped(void **state)
{
    (void)state;
    skipped_rsa(256, "AQ", "kid=r");
}

static void jwks_rsa_key_of_512_bits_is_skipped(void **state)
{
    (void)state;
    skipped_rsa(64, "AQAB", "512");
}

static void jwks_rsa_key_of_16384_bits_is_skipped(void **state)
{
    (void)state;
    skipped_rsa(2048, "AQAB", "kid=r");
}

static void jwks_point_off_the_curve_is_skipped(void **state)
{
    (void)state;
    skipped("{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"p\","
            "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
            "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}",
            "kid=p");
}

static void jwks_of_two_keys_with_one_kid_keeps_the_first(void **state)
{
    (void)state;
    struct rig rig;
    struct signer one = signer_make("same"), two = signer_make("same");
    const struct signer *const both[] = {&one, &two};
    char *document = jwks_of(both, 2);
    rig_init(&rig, (struct manner){.document = document});
    rig_start(&rig);
    assert_int_equal(rig_verdict(&rig, token_for(&one, "same", "a")).result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig_verdict(&rig, token_for(&two, "same", "a")).code,
                     BURROW_CODE_INVALID_TOKEN);
    assert_true(rig_logged(&rig, "event=jwks_key_skipped index=1 kid=same"));
    rig_finish(&rig);
    free(document);
    signer_free(&one);
    signer_free(&two);
}

static void jwks_key_without_kid_verifies_tokens_of_any(void **state)
{
    (void)state;
    struct rig rig;
    struct signer signer = signer_make("");
    char *jwk = jwk_of(&signer), *document = NULL;
    char *x = strstr(jwk, "\"x\"");
    assert_true(asprintf(&document, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",%s]}", x) > 0);
    rig_init(&rig, (struct manner){.document = document});
    rig_start(&rig);
    assert_int_equal(rig_verdict(&rig, token_for(&signer, NULL, "a")).result, BURROW_AUTH_ALLOW);
    assert_int_equal(rig_verdict(&rig, token_for(&signer, "k", "a")).result, BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    free(document);
    free(jwk);
    signer_free(&signer);
}

/* ---- bad documents and answers ---- */

/* Lets a load get under way, and then so much time pass. */
static void linger(struct rig *rig, uint64_t ms)
{
    for (int i = 0; i < 20 && ms > 0; i++)
        rig_turn(rig);
    for (uint64_t passed = 0; passed < ms; passed += 250)
        rig_pass(rig, 250);
}

/* First alone: nobody can be judged, and the plugin runs. Then after a good one: that stays. */
static void left_as_it_was_after(struct manner bad, uint64_t stalls_ms, const char *reason)
{
    struct rig rig;
    struct signer signer = signer_make("good");
    const struct signer *const list[] = {&signer};
    char *document = jwks_of(list, 1);

    rig_init(&rig, bad);
    rig_start(&rig);
    struct burrow_auth_request request;
    rig_ask(&rig, &request, token_for(&signer, "good", "a"));
    linger(&rig, stalls_ms);
    rig_until(&rig, &request.answers, 1);
    assert_int_equal(request.result, BURROW_AUTH_UNAVAILABLE);
    if (!strstr(request.reason, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, request.reason);
    assert_true(rig_logged(&rig, "event=jwks_failed"));
    assert_true(rig_logged(&rig, "keys_kept=0"));

    /* It is tried again soon, and the first good answer counts. */
    idp_set(&rig.idp, (struct manner){.document = document});
    rig_pass(&rig, 2000);
    rig_until_logged(&rig, "event=jwks_loaded");
    assert_int_equal(rig_verdict(&rig, token_for(&signer, "good", "a")).result, BURROW_AUTH_ALLOW);

    rig_forget_log(&rig);
    idp_set(&rig.idp, bad);
    int64_t loads = rig.plugin.host.metrics[0];
    rig_pass(&rig, 300000);
    rig_until_loads(&rig, loads + 1);
    linger(&rig, stalls_ms);
    rig_until_logged(&rig, "event=jwks_failed");
    assert_true(rig_logged(&rig, "keys_kept=1"));
    assert_int_equal(rig_verdict(&rig, token_for(&signer, "good", "a")).result, BURROW_AUTH_ALLOW);
    rig_finish(&rig);
    free(document);
    signer_free(&signer);
}

static void left_as_it_was(struct manner bad, const char *reason)
{
    left_as_it_was_after(bad, 0, reason);
}

static void jwks_that_is_not_json_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was((struct manner){.document = "<html>sign in</html>"}, "no JSON object");
}

static void jwks_without_keys_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was((struct manner){.document = "{\"keys\":[]}"}, "no key that can be used");
    left_as_it_was((struct manner){.document = "{\"issuer\":\"x\"}"}, "no array \"keys\"");
}

static void jwks_of_a_hundred_thousand_keys_leaves_the_last_good_one(void **state)
{
    (void)state;
    char *document = malloc(16 + 100000 * 3);
    assert_non_null(document);
    size_t at = (size_t)sprintf(document, "{\"keys\":[{}");
    for (int i = 1; i < 100000; i++)
        at += (size_t)sprintf(document + at, ",{}");
    strcpy(document + at, "]}");
    left_as_it_was((struct manner){.document = document}, "100000 keys, more than 100");
    free(document);
}

static void jwks_with_status_204_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was((struct manner){.raw = "HTTP/1.1 204 No Content\r\n\r\n"}, "status 204");
}

static void jwks_with_status_500_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was(
        (struct manner){.raw = "HTTP/1.1 500 Oh\r\nContent-Length: 11\r\n\r\n{\"keys\":[]}"},
        "status 500");
}

static void jwks_that_redirects_elsewhere_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was((struct manner){.raw = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
                                          "Location: https://evil.example/jwks\r\n\r\n"},
                   "only the same origin is followed");
}

static bool drip(void *arg, struct http_peer *peer)
{
    (void)arg;
    http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    while (http_peer_write(peer, "{", 1) && http_peer_wait(peer, 50))
        continue;
    return false;
}

static void jwks_of_one_byte_a_second_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was_after((struct manner){.fn = drip}, 10000, "not done within 8000 ms");
}

static bool flood(void *arg, struct http_peer *peer)
{
    char chunk[16384];
    (void)arg;
    memset(chunk, ' ', sizeof chunk);
    http_peer_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n");
    while (http_peer_write(peer, chunk, sizeof chunk))
        continue;
    return false;
}

static void jwks_of_two_gigabytes_leaves_the_last_good_one(void **state)
{
    (void)state;
    left_as_it_was((struct manner){.fn = flood}, "more than 1048576 bytes");
}

/* A URL that does not work at all: nobody can be judged, and the plugin runs and tries again. */
static void never_loads(const char *url, const char *reason)
{
    struct rig rig;
    struct signer signer = signer_make("good");
    rig_init(&rig, (struct manner){.document = "{}"});
    loaded_set_string(&rig.plugin, "jwks-url", url);
    rig_start(&rig);
    struct burrow_auth_request request = rig_verdict(&rig, token_for(&signer, "good", "a"));
    assert_int_equal(request.result, BURROW_AUTH_UNAVAILABLE);
    if (!strstr(request.reason, reason))
        fail_msg("\"%s\" is not in \"%s\"", reason, request.reason);
    int64_t loads = rig.plugin.host.metrics[0];
    rig_pass(&rig, 2000);
    rig_until_loads(&rig, loads + 1);
    rig_finish(&rig);
    signer_free(&signer);
}

static bool serve_no_keys(void *arg, struct http_peer *peer)
{
    (void)arg;
    return http_peer_ok(peer, "", "{}");
}

static void jwks_over_bad_tls_never_loads(void **state)
{
    (void)state;
    char url[64];
    struct test_cert cert =
        test_cert_make(&(struct test_cert_plan){.name = "idp", .alt = "IP:127.0.0.1"});
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(tls, cert.cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls, cert.key), 1);
    struct http_server *server = http_server_start(tls, serve_no_keys, NULL);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/jwks", http_server_port(server));
    never_loads(url, "SSL certificate problem");
    assert_int_equal(http_server_requests(server), 0);
    http_server_stop(server);
    SSL_CTX_free(tls);
    test_cert_free(&cert);
}

static void jwks_of_an_unknown_host_never_loads(void **state)
{
    (void)state;
    never_loads("https://idp.example/jwks", "cannot resolve idp.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwks_key_for_encryption_is_skipped),
        cmocka_unit_test(jwks_symmetric_key_is_skipped),
        cmocka_unit_test(jwks_key_with_private_members_is_skipped),
        cmocka_unit_test(jwks_rsa_key_with_exponent_1_is_skipped),
        cmocka_unit_test(jwks_rsa_key_of_512_bits_is_skipped),
        cmocka_unit_test(jwks_rsa_key_of_16384_bits_is_skipped),
        cmocka_unit_test(jwks_point_off_the_curve_is_skipped),
        cmocka_unit_test(jwks_of_two_keys_with_one_kid_keeps_the_first),
        cmocka_unit_test(jwks_key_without_kid_verifies_tokens_of_any),
        cmocka_unit_test(jwks_that_is_not_json_leaves_the_last_good_one),
        cmocka_unit_test(jwks_without_keys_leaves_the_last_good_one),
        cmocka_unit_test(jwks_of_a_hundred_thousand_keys_leaves_the_last_good_one),
        cmocka_unit_test(jwks_with_status_204_leaves_the_last_good_one),
        cmocka_unit_test(jwks_with_status_500_leaves_the_last_good_one),
        cmocka_unit_test(jwks_that_redirects_elsewhere_leaves_the_last_good_one),
        cmocka_unit_test(jwks_of_one_byte_a_second_leaves_the_last_good_one),
        cmocka_unit_test(jwks_of_two_gigabytes_leaves_the_last_good_one),
        cmocka_unit_test(jwks_over_bad_tls_never_loads),
        cmocka_unit_test(jwks_of_an_unknown_host_never_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
