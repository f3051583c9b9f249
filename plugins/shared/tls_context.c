/* SPDX-License-Identifier: Apache-2.0 */
/* Makes SSL_CTX objects from the options, see tls_context.h. */
#include "tls_context.h"

#include <arpa/inet.h>
#include <burrow/plugin.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

#define ALPN_MAX 32
/* AES-128 first: it is the cheapest on machines with AES instructions, and strong enough. */
#define SUITES_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                   \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* RSA and DH of 2048 bits, no SHA-1 signatures. */
#define SECURITY_LEVEL 2
#define SESSION_CONTEXT 16 /* bytes */

/* The name with its length before it, as ALPN has it. Returns its size. */
static unsigned alpn_wire(const char *alpn, unsigned char wire[ALPN_MAX])
{
    size_t n = strlen(alpn);
    if (n == 0 || n >= ALPN_MAX)
        return 0;
    wire[0] = (unsigned char)n;
    memcpy(wire + 1, alpn, n);
    return (unsigned)n + 1;
}

static int select_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
                       const unsigned char *offer, unsigned offer_len, void *arg)
{
    (void)ssl;
    const char *alpn = (const char *)arg;
    size_t want = strlen(alpn);
    for (unsigned i = 0; i < offer_len && offer[i] < offer_len - i; i += 1u + offer[i]) {
        if (offer[i] != want || memcmp(offer + i + 1, alpn, want) != 0)
            continue;
        *ret = offer + i + 1;
        *ret_len = offer[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int common(SSL_CTX *ctx, struct tls_error *err)
{
    SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(ctx, 0) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, SUITES_13) != 1 ||
        SSL_CTX_set_cipher_list(ctx, SUITES_12) != 1)
        return tls_error_set(err, BURROW_EIO, "OpenSSL lacks TLS 1.2 or 1.3 with AES-GCM");
    return BURROW_OK;
}

/* Both or neither. */
static int check_pair(const struct tls_options *options, struct tls_error *err)
{
    if (options->cert != NULL && options->key == NULL)
        return tls_error_set(err, BURROW_EINVAL, "--tls-cert is given without --tls-key");
    if (options->cert == NULL && options->key != NULL)
        return tls_error_set(err, BURROW_EINVAL, "--tls-key is given without --tls-cert");
    return BURROW_OK;
}

int tls_server_prepare(SSL_CTX *ctx, const char *alpn, struct tls_error *err)
{
    int r = common(ctx, err);
    if (r < 0)
        return r;
    /* Tickets hold the state of a session, so the server keeps none. A client makes one
     * connection and needs one ticket for the next. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* A session of another context was judged by other certificates and authorities. */
    unsigned char id[SESSION_CONTEXT];
    if (SSL_CTX_set_num_tickets(ctx, 1) != 1 || RAND_bytes(id, sizeof id) != 1 ||
        SSL_CTX_set_session_id_context(ctx, id, sizeof id) != 1)
        return tls_error_set(err, BURROW_ENOMEM, "out of memory");
    union {
        const char *in;
        void *out;
    } name = {.in = alpn}; /* the callback's argument is not const, the name is */
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, name.out);
    return BURROW_OK;
}

static int fill_server(SSL_CTX *ctx, const struct tls_options *options, const char *alpn,
                       struct tls_error *err)
{
    int r = tls_server_prepare(ctx, alpn, err);
    if (r == BURROW_OK)
        r = tls_file_identity(ctx, "tls-cert", options->cert, "tls-key", options->key, err);
    if (r < 0 || options->client_ca == NULL)
        return r;
    STACK_OF(X509_NAME) *names = NULL;
    r = tls_file_authorities(ctx, "tls-client-ca", options->client_ca, &names, err);
    if (r < 0)
        return r;
    SSL_CTX_set_client_CA_list(ctx, names);
    int required = options->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | required, NULL);
    return BURROW_OK;
}

int tls_server_context(const struct tls_options *options, const char *alpn, SSL_CTX **ret,
                       struct tls_error *err)
{
    int r = check_pair(options, err);
    if (r < 0)
        return r;
    if (options->cert == NULL)
        return tls_error_set(err, BURROW_EINVAL,
                             "accepting TLS needs a certificate: --tls-cert and --tls-key");
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return tls_error_set(err, BURROW_ENOMEM, "out of memory");
    r = fill_server(ctx, options, alpn, err);
    if (r < 0)
        SSL_CTX_free(ctx);
    else
        *ret = ctx;
    ERR_clear_error();
    return r;
}

/* The system's store takes long to read, which who never dials, such as a
 * server, need not spend at every start and reload: it is read before the first connection. */
static bool want_system(SSL_CTX *ctx)
{
    static char wanted; /* its address is what counts */
    return SSL_CTX_set_app_data(ctx, &wanted) == 1;
}

static int trust_system(SSL_CTX *ctx)
{
    if (SSL_CTX_get_app_data(ctx) == NULL)
        return BURROW_OK;
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return BURROW_ENOMEM;
    SSL_CTX_set_app_data(ctx, NULL);
    return BURROW_OK;
}

static int fill_client(SSL_CTX *ctx, const struct tls_options *options, const char *alpn,
                       struct tls_error *err)
{
    int r = common(ctx, err);
    if (r == BURROW_OK && options->cert != NULL)
        r = tls_file_identity(ctx, "tls-cert", options->cert, "tls-key", options->key, err);
    if (r < 0)
        return r;
    unsigned char wire[ALPN_MAX];
    unsigned n = alpn_wire(alpn, wire);
    if (n == 0 || SSL_CTX_set_alpn_protos(ctx, wire, n) != 0)
        return tls_error_set(err, BURROW_ENOMEM, "out of memory");
    /* The caller keeps sessions itself, by the server's name. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    if (options->ca != NULL)
        r = tls_file_authorities(ctx, "tls-ca", options->ca, NULL, err);
    else if (!options->skip_verify)
        r = want_system(ctx) ? BURROW_OK : tls_error_set(err, BURROW_ENOMEM, "out of memory");
    SSL_CTX_set_verify(ctx, options->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    return r;
}

int tls_client_context(const struct tls_options *options, const char *alpn, SSL_CTX **ret,
                       struct tls_error *err)
{
    int r = check_pair(options, err);
    if (r < 0)
        return r;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL)
        return tls_error_set(err, BURROW_ENOMEM, "out of memory");
    r = fill_client(ctx, options, alpn, err);
    if (r < 0)
        SSL_CTX_free(ctx);
    else
        *ret = ctx;
    ERR_clear_error();
    return r;
}

static bool is_address(const char *host)
{
    struct in6_addr addr;
    return inet_pton(AF_INET, host, &addr) == 1 || inet_pton(AF_INET6, host, &addr) == 1;
}

int tls_client_name(SSL *ssl, const char *host)
{
    ERR_clear_error();
    int r = trust_system(SSL_get_SSL_CTX(ssl));
    if (r < 0)
        return r;
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ? BURROW_OK
                                                                             : BURROW_ENOMEM;
    X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    char name[256]; /* the call copies it, but its argument is not const */
    size_t n = strlen(host);
    if (n >= sizeof name)
        return BURROW_EINVAL;
    memcpy(name, host, n + 1);
    if (SSL_set_tlsext_host_name(ssl, name) != 1 || SSL_set1_host(ssl, name) != 1)
        return BURROW_ENOMEM;
    return BURROW_OK;
}

bool tls_has_alpn(const SSL *ssl, const char *alpn)
{
    const unsigned char *got = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &got, &n);
    return n == strlen(alpn) && memcmp(got, alpn, n) == 0;
}

unsigned char *tls_peer_certificate(const SSL *ssl, size_t *ret_len)
{
    X509 *cert = SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get1_peer_certificate(ssl) : NULL;
    unsigned char *der = NULL;
    int len = cert != NULL ? i2d_X509(cert, &der) : 0;
    X509_free(cert);
    if (len <= 0)
        return NULL;
    *ret_len = (size_t)len;
    return der;
}

int tls_check(const struct tls_options *options, struct tls_error *err)
{
    SSL_CTX *ctx = NULL;
    int r = tls_client_context(options, "check", &ctx, err);
    if (r < 0)
        return r;
    SSL_CTX_free(ctx);
    ctx = NULL;
    if (options->cert == NULL && options->client_ca != NULL)
        return tls_error_set(err, BURROW_EINVAL,
                             "--tls-client-ca is given without --tls-cert and --tls-key");
    if (options->client_required && options->client_ca == NULL)
        return tls_error_set(err, BURROW_EINVAL,
                             "--tls-client-required is given without --tls-client-ca");
    if (options->cert == NULL)
        return BURROW_OK;
    r = tls_server_context(options, "check", &ctx, err);
    if (r == BURROW_OK)
        SSL_CTX_free(ctx);
    return r;
}
