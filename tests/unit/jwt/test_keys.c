/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys get in, and which do not: JWK, JWKS, PEM. */
#include "helper.h"
#include "jwt/base64url.h"
#include "keys.h"
#include "rfc_vectors.h"
#include "test_certs.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>

#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define OKP_X "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define EC_JWK "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\""
#define OKP_JWK "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" OKP_X "\""

static int read_jwk(const char *text, struct jwt_key *ret, struct jwt_refusal *why)
{
    json_t *jwk = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!jwk)
        fail_msg("no JSON: %s", text);
    int r = jwt_key_from_jwk(jwk, ret, why);
    json_decref(jwk);
    return r;
}

static void refuses_jwk(const char *text, const char *part)
{
    struct jwt_key key;
    struct jwt_refusal why = {.code = 0};
    int r = read_jwk(text, &key, &why);
    if (r != BURROW_EINVAL || !strstr(why.text, part))
        fail_msg("%s: %d %s", text, r, why.text);
    assert_int_equal(why.code, BURROW_CODE_VERIFIER_CONFIG);
}

static void accepts_jwk(const char *text)
{
    struct jwt_key key;
    struct jwt_refusal why = {.code = 0};
    if (read_jwk(text, &key, &why) != BURROW_OK)
        fail_msg("%s: %s", text, why.text);
    jwt_key_finish(&key);
}

/* An RSA JWK with this many bytes of modulus, the last being `last`, and this exponent. */
static char *rsa_jwk(size_t bytes, uint8_t last, const char *e)
{
    uint8_t n[2100];
    char text[2900], *jwk = NULL;
    memset(n, 0xa7, sizeof n);
    n[bytes - 1] = last;
    text[base64url_encode(n, bytes, text)] = '\0';
    assert_true(asprintf(&jwk, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", text, e) > 0);
    return jwk;
}

static void refuses_rsa(size_t bytes, uint8_t last, const char *e, const char *part)
{
    char *jwk = rsa_jwk(bytes, last, e);
    refuses_jwk(jwk, part);
    free(jwk);
}

static void rsa_keys_have_2048_to_8192_bits_and_an_exponent_that_is_not_small(void **state)
{
    (void)state;
    static const size_t good[] = {256, 384, 512, 1024};
    for (size_t i = 0; i < 4; i++) {
        char *jwk = rsa_jwk(good[i], 0xa7, "AQAB");
        accepts_jwk(jwk);
        free(jwk);
    }
    refuses_rsa(64, 0xa7, "AQAB", "has 512 bits");
    refuses_rsa(128, 0xa7, "AQAB", "has 1024 bits");
    refuses_rsa(255, 0xa7, "AQAB", "has 2040 bits");
    refuses_rsa(1025, 0xa7, "AQAB", "has 8200 bits");
    refuses_rsa(2048, 0xa7, "AQAB", "member n is missing");
    refuses_rsa(256, 0xa7, "AQ", "exponent");   /* 1 */
    refuses_rsa(256, 0xa7, "Aw", "exponent");   /* 3 */
    refuses_rsa(256, 0xa7, "AQAA", "exponent"); /* 65536 */
    refuses_rsa(256, 0xa7, "__8", "exponent");  /* 65535 */
    refuses_rsa(256, 0xa6, "AQAB", "even modulus");
    refuses_rsa(256, 0xa7, "AQAAAAAAAAAB", "exponent"); /* 2^64 + 1 */
    refuses_rsa(256, 0xa7, "AA", "exponent");           /* 0 */
    refuses_rsa(256, 0xa7, "", "member e is missing");
    char *jwk = rsa_jwk(256, 0xa7, "__________8"); /* 2^64 - 1 */
    accepts_jwk(jwk);
    free(jwk);
}

static void ec_points_are_on_their_curve(void **state)
{
    (void)state;
    accepts_jwk(EC_JWK "}");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}",
                "no key of its kind");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
                "member x");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}",
                "neither RSA, EC");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}", "member y");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "AA\"}",
                "member y");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":7,\"y\":\"" EC_Y "\"}", "member x");
    refuses_jwk("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "=\",\"y\":\"" EC_Y "\"}",
                "member x");
}

/* The eight points of small order in all their spellings, and some that are none. */
static void ed25519_points_of_small_order_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *said;
    } keys[] = {
        {"0100000000000000000000000000000000000000000000000000000000000000", "small order"},
        {"0100000000000000000000000000000000000000000000000000000000000080", "small order"},
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "small order"},
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "small order"},
        {"0000000000000000000000000000000000000000000000000000000000000000", "small order"},
        {"0000000000000000000000000000000000000000000000000000000000000080", "small order"},
        {"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "small order"},
        {"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "small order"},
        {"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "small order"},
        {"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "small order"},
        {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "no point"},
        {"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "no point"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "no point"},
        {"0200000000000000000000000000000000000000000000000000000000000000", "no point"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        uint8_t bytes[32];
        size_t n = 0;
        assert_int_equal(OPENSSL_hexstr2buf_ex(bytes, sizeof bytes, &n, keys[i].hex, '\0'), 1);
        struct jwt_refusal why = {.code = 0};
        int r = jwt_check_ed25519(bytes, &why);
        if (r != BURROW_EINVAL || !strstr(why.text, keys[i].said))
            fail_msg("%s: %d %s", keys[i].hex, r, why.text);
    }
    accepts_jwk(OKP_JWK "}");
    refuses_jwk("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\""
                "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
                "small order");
    refuses_jwk("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" OKP_X "\"}", "neither RSA, EC");
}

static void keys_for_another_use_are_refused(void **state)
{
    (void)state;
    accepts_jwk(EC_JWK ",\"use\":\"sig\",\"alg\":\"ES256\",\"key_ops\":[\"sign\",\"verify\"]}");
    refuses_jwk(EC_JWK ",\"use\":\"enc\"}", "use is not \"sig\"");
    refuses_jwk(EC_JWK ",\"use\":1}", "use is not \"sig\"");
    refuses_jwk(EC_JWK ",\"key_ops\":[\"encrypt\"]}", "key_ops do not name \"verify\"");
    refuses_jwk(EC_JWK ",\"key_ops\":[7]}", "key_ops do not name \"verify\"");
    refuses_jwk(EC_JWK ",\"key_ops\":\"verify\"}", "key_ops do not name \"verify\"");
    refuses_jwk(EC_JWK ",\"alg\":\"ECDH-ES\"}", "no signature algorithm");
    refuses_jwk(EC_JWK ",\"alg\":\"none\"}", "no signature algorithm");
    refuses_jwk(EC_JWK ",\"alg\":\"ES384\"}", "alg is ES384, which a P-256 key does not fit");
    refuses_jwk(EC_JWK ",\"alg\":\"HS256\"}", "alg is HS256");
}

static void symmetric_and_private_keys_are_refused(void **state)
{
    (void)state;
    refuses_jwk("{\"kty\":\"oct\",\"k\":\"AAAA\"}", "private member k");
    refuses_jwk(EC_JWK ",\"k\":\"AAAA\"}", "private member k");
    refuses_jwk("{\"kty\":\"oct\"}", "neither RSA, EC");
    refuses_jwk("{}", "neither RSA, EC");
    refuses_jwk("[]", "neither RSA, EC");
    for (size_t i = 0; i < RFC_VECTORS; i++)
        if (rfc_vectors[i].private_jwk)
            refuses_jwk(rfc_vectors[i].private_jwk, "private member d");
}

static void a_kid_that_no_token_can_have_is_refused(void **state)
{
    (void)state;
    accepts_jwk(EC_JWK ",\"kid\":\"2026-11\"}");
    refuses_jwk(EC_JWK ",\"kid\":\"../x\"}", "kid");
    refuses_jwk(EC_JWK ",\"kid\":\"\"}", "kid");
    refuses_jwk(EC_JWK ",\"kid\":7}", "kid");
    refuses_jwk(EC_JWK ",\"kid\":\"a\\nb\"}", "kid");
}

struct skipped {
    unsigned count;
    size_t index[8];
    char kid[8][80], reason[8][160];
};

static void note(void *arg, size_t index, const char *kid, const char *reason)
{
    struct skipped *s = arg;
    assert_true(s->count < 8);
    s->index[s->count] = index;
    snprintf(s->kid[s->count], sizeof s->kid[0], "%s", kid);
    snprintf(s->reason[s->count++], sizeof s->reason[0], "%s", reason);
}

static void a_set_keeps_the_good_keys_and_tells_of_the_others(void **state)
{
    (void)state;
    static const char text[] =
        "{\"x\":1,\"keys\":[" EC_JWK ",\"kid\":\"a\"},7," OKP_JWK ",\"kid\":\"a\"}," OKP_JWK
        ",\"kid\":\"b\"},"
        "{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"s\\u0007\"}," OKP_JWK "}," EC_JWK "}]}";
    struct skipped skipped = {.count = 0};
    struct jwt_keys keys;
    struct jwt_refusal why;
    assert_int_equal(jwt_keys_from_jwks(text, strlen(text), note, &skipped, &keys, &why), 0);
    assert_int_equal(keys.count, 4);
    assert_string_equal(keys.items[0].kid, "a");
    assert_string_equal(keys.items[1].kid, "b");
    assert_string_equal(keys.items[2].kid, "");
    assert_int_equal(skipped.count, 3);
    assert_int_equal(skipped.index[0], 1);
    assert_int_equal(skipped.index[1], 2);
    assert_string_equal(skipped.reason[1], "the kid names a key before it, too");
    assert_string_equal(skipped.kid[2], "s?");
    jwt_keys_finish(&keys);
    assert_int_equal(jwt_keys_from_jwks(text, strlen(text), NULL, NULL, &keys, &why), 0);
    jwt_keys_finish(&keys);
    jwt_keys_finish(&keys);
}

static void refuses_set(const char *text, const char *part)
{
    struct jwt_keys keys = {.count = 77};
    struct jwt_refusal why = {.code = 0};
    int r = jwt_keys_from_jwks(text, strlen(text), NULL, NULL, &keys, &why);
    if (r != BURROW_EINVAL || !strstr(why.text, part))
        fail_msg("%.100s: %d %s", text, r, why.text);
    assert_int_equal(why.code, BURROW_CODE_VERIFIER_CONFIG);
    assert_int_equal(keys.count, 77);
}

static void a_document_that_is_no_set_of_keys_is_refused(void **state)
{
    (void)state;
    refuses_set("", "no JSON object");
    refuses_set("<html>", "no JSON object");
    refuses_set("[]", "no JSON object");
    refuses_set("{}", "no array \"keys\"");
    refuses_set("{\"keys\":{}}", "no array \"keys\"");
    refuses_set("{\"keys\":[]}", "no key that can be used");
    refuses_set("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "no key that can be used");
    refuses_set("{\"keys\":[],\"keys\":[" OKP_JWK "}]}", "no JSON object");
    char *many = malloc(200000);
    assert_non_null(many);
    char *at = many + sprintf(many, "{\"keys\":[" OKP_JWK "}");
    for (size_t i = 0; i < JWT_MAX_KEYS; i++)
        at += sprintf(at, "," OKP_JWK "}");
    sprintf(at, "]}");
    refuses_set(many, "has 101 keys");
    free(many);
}

static void accepts_pem(const char *text, size_t count)
{
    struct jwt_keys keys;
    struct jwt_refusal why;
    if (jwt_keys_from_pem(text, strlen(text), &keys, &why) != BURROW_OK)
        fail_msg("%s\n%s", text, why.text);
    assert_int_equal(keys.count, count);
    jwt_keys_finish(&keys);
}

static void refuses_pem(const char *text, const char *part)
{
    struct jwt_keys keys = {.count = 77};
    struct jwt_refusal why = {.code = 0};
    int r = jwt_keys_from_pem(text, strlen(text), &keys, &why);
    if (r != BURROW_EINVAL || !strstr(why.text, part))
        fail_msg("%.200s: %d %s", text, r, why.text);
    assert_int_equal(keys.count, 77);
}

static char *pem_of(EVP_PKEY *pkey, X509 *cert, bool is_private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (cert)
        PEM_write_bio_X509(bio, cert);
    else if (is_private)
        PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_bio_PUBKEY(bio, pkey);
    char *bytes = NULL;
    long n = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)n);
    BIO_free(bio);
    return text;
}

static void pem_may_hold_several_keys_and_certificates(void **state)
{
    (void)state;
    const struct test_cert_plan plan = {.name = "idp"};
    struct test_cert cert = test_cert_make(&plan);
    struct jwt_key rsa = make_key(jwt_alg_find("RS256")), ed = make_key(jwt_alg_find("EdDSA"));
    char *a = pem_of(rsa.pkey, NULL, false), *b = pem_of(NULL, cert.cert, false);
    char *c = pem_of(ed.pkey, NULL, false), *all = NULL;
    assert_true(asprintf(&all, "# old\n%s\nsubject=idp\n%s%s", a, b, c) > 0);
    accepts_pem(a, 1);
    accepts_pem(b, 1);
    accepts_pem(all, 3);
    /* Cut anywhere, the text is refused as a whole; but where only whole blocks are left. */
    size_t whole = 0, broken = 0;
    for (size_t n = strlen(all) - 2; n > 0; n--) {
        struct jwt_keys keys;
        struct jwt_refusal why;
        int r = jwt_keys_from_pem(all, n, &keys, &why);
        broken += r == BURROW_EINVAL;
        if (r != BURROW_OK)
            continue;
        whole++;
        assert_in_range(keys.count, 1, 2);
        jwt_keys_finish(&keys);
    }
    assert_true(broken > strlen(a) / 2 + strlen(b) / 2 + strlen(c) / 2);
    assert_in_range(whole, 2, 60);
    free(a);
    free(b);
    free(c);
    free(all);
    jwt_key_finish(&rsa);
    jwt_key_finish(&ed);
    test_cert_free(&cert);
}

static void certificates_out_of_their_time_are_refused(void **state)
{
    (void)state;
    const struct test_cert_plan plans[] = {
        {.name = "old", .from_days = -9, .until_days = -1},
        {.name = "new", .from_days = 1, .until_days = 9},
        {.name = "weak", .rsa_bits = 1024},
    };
    static const char *const said[] = {"block 1 has expired", "block 1 is not valid yet",
                                       "has 1024 bits"};
    for (size_t i = 0; i < 3; i++) {
        struct test_cert cert = test_cert_make(&plans[i]);
        char *pem = pem_of(NULL, cert.cert, false);
        refuses_pem(pem, said[i]);
        free(pem);
        test_cert_free(&cert);
    }
}

static void other_blocks_and_broken_ones_are_refused(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("ES256"));
    char *private = pem_of(key.pkey, NULL, true), *public = pem_of(key.pkey, NULL, false);
    refuses_pem("", "no PEM block");
    refuses_pem("ssh-ed25519 AAAA", "no PEM block");
    refuses_pem(private, "block 1 is a private key");
    refuses_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key");
    refuses_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no certificate");
    refuses_pem("-----BEGIN PUBLIC KEY-----\nA*A\n-----END PUBLIC KEY-----\n", "broken PEM");
    refuses_pem("-----BEGIN RSA PUBLIC KEY-----\nAAAA\n-----END RSA PUBLIC KEY-----\n",
                "is \"RSA PUBLIC KEY\"");
    char *many = calloc(1, (JWT_MAX_TRIES + 1) * strlen(public) + 1);
    assert_non_null(many);
    for (size_t i = 0; i <= JWT_MAX_TRIES; i++)
        strcat(many, public);
    refuses_pem(many, "more than 16 keys");
    static char huge[JWT_MAX_PEM + 2];
    memset(huge, 'x', sizeof huge - 1);
    refuses_pem(huge, "longer than");
    free(many);
    free(private);
    free(public);
    jwt_key_finish(&key);
}

static void keys_of_other_kinds_are_refused(void **state)
{
    (void)state;
    EVP_PKEY *kinds[] = {EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                         EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), EVP_EC_gen("secp256k1"),
                         EVP_EC_gen("P-224")};
    static const char *const said[] = {"neither RSA", "neither RSA", "curve is not",
                                       "curve is not"};
    for (size_t i = 0; i < 4; i++) {
        char *pem = pem_of(kinds[i], NULL, false);
        refuses_pem(pem, said[i]);
        free(pem);
        EVP_PKEY_free(kinds[i]);
    }
    assert_string_equal(jwt_key_kind_name(JWT_KEY_P521), "a P-521 key");
    assert_string_equal(jwt_key_kind_name(77), "a key of another kind");
}

static void refuses_private(const char *text, const char *part)
{
    struct jwt_key key;
    struct jwt_refusal why = {.code = 0};
    int r = jwt_private_key_read(text, strlen(text), &key, &why);
    if (r != BURROW_EINVAL || !strstr(why.text, part))
        fail_msg("%.200s: %d %s", text, r, why.text);
}

static void private_keys_come_from_pem_or_jwk_and_fit_their_public_half(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i += 3) {
        struct jwt_key key = make_key(jwt_alg_find(key_algs[i])), read;
        struct jwt_refusal why;
        char *pem = pem_of(key.pkey, NULL, true), *public = pem_of(key.pkey, NULL, false);
        assert_int_equal(jwt_private_key_read(pem, strlen(pem), &read, &why), BURROW_OK);
        assert_int_equal(read.kind, key.kind);
        refuses_private(public, "no private key");
        jwt_key_finish(&read);
        jwt_key_finish(&key);
        free(pem);
        free(public);
    }
    refuses_private("", "no private key");
    refuses_private(" {\"kty\":", "begins as a JWK");
    refuses_private(EC_JWK "}", "member d");
    refuses_private(OKP_JWK "}", "member d");
    refuses_private(EC_JWK ",\"d\":\"" EC_X "\"}", "no key of its kind");
    refuses_private(OKP_JWK ",\"d\":\"" EC_X "\"}", "no key of its kind");
    refuses_private(EC_JWK ",\"d\":\"" EC_X "\",\"key_ops\":[\"verify\"]}", "\"sign\"");
    static char huge[JWT_MAX_PEM + 2];
    memset(huge, ' ', sizeof huge - 1);
    refuses_private(huge, "longer than");
    huge[1000] = '\0';
    refuses_private(huge, "no private key");
}

static void an_encrypted_private_key_is_refused(void **state)
{
    (void)state;
    struct jwt_key key = make_key(jwt_alg_find("EdDSA"));
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, key.pkey, EVP_aes_128_cbc(), "abcd", 4, NULL, NULL), 1);
    char *bytes = NULL;
    long n = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)n);
    refuses_private(text, "is encrypted");
    refuses_pem(text, "private key");
    free(text);
    BIO_free(bio);
    jwt_key_finish(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rsa_keys_have_2048_to_8192_bits_and_an_exponent_that_is_not_small),
        cmocka_unit_test(ec_points_are_on_their_curve),
        cmocka_unit_test(ed25519_points_of_small_order_are_refused),
        cmocka_unit_test(keys_for_another_use_are_refused),
        cmocka_unit_test(symmetric_and_private_keys_are_refused),
        cmocka_unit_test(a_kid_that_no_token_can_have_is_refused),
        cmocka_unit_test(a_set_keeps_the_good_keys_and_tells_of_the_others),
        cmocka_unit_test(a_document_that_is_no_set_of_keys_is_refused),
        cmocka_unit_test(pem_may_hold_several_keys_and_certificates),
        cmocka_unit_test(certificates_out_of_their_time_are_refused),
        cmocka_unit_test(other_blocks_and_broken_ones_are_refused),
        cmocka_unit_test(keys_of_other_kinds_are_refused),
        cmocka_unit_test(private_keys_come_from_pem_or_jwk_and_fit_their_public_half),
        cmocka_unit_test(an_encrypted_private_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
