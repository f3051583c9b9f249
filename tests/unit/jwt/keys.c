/* SPDX-License-Identifier: Apache-2.0 */
/* Makes private keys with OpenSSL, see keys.h. */
#include "keys.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const key_algs[] = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                                "ES256", "ES384", "ES512", "EdDSA", NULL};

struct jwt_key make_key(const struct jwt_alg *alg)
{
    static const char *const curves[] = {"P-256", "P-384", "P-521"};
    EVP_PKEY *pkey;
    if (alg->key == JWT_KEY_RSA)
        pkey = EVP_RSA_gen(2048u);
    else if (alg->key == JWT_KEY_ED25519)
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        pkey = EVP_EC_gen(curves[alg->key - JWT_KEY_P256]);
    assert_non_null(pkey);
    struct jwt_key key;
    struct jwt_refusal why;
    assert_int_equal(jwt_key_take(pkey, &key, &why), BURROW_OK);
    assert_int_equal(key.kind, alg->key);
    return key;
}

char *public_pem(const struct jwt_key *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key->pkey), 1);
    char *bytes = NULL;
    long n = BIO_get_mem_data(bio, &bytes);
    char *text = strndup(bytes, (size_t)n);
    assert_non_null(text);
    BIO_free(bio);
    return text;
}
