/* SPDX-License-Identifier: Apache-2.0 */
/* The rig of auth-jwks' tests, see rig.h. */
#include "rig.h"

#include "jwt/base64url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LIMIT_MS 30000

static uint64_t real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- the provider ---- */

static bool serve(void *arg, struct http_peer *peer)
{
    struct idp *idp = arg;
    pthread_mutex_lock(&idp->lock);
    struct manner manner = idp->manner;
    pthread_mutex_unlock(&idp->lock);
    if (manner.fn)
        return manner.fn(arg, peer);
    if (manner.raw)
        return http_peer_write(peer, manner.raw, strlen(manner.raw)) && false;
    return http_peer_ok(peer, manner.fields ? manner.fields : "", manner.document);
}

void idp_set(struct idp *idp, struct manner manner)
{
    pthread_mutex_lock(&idp->lock);
    idp->manner = manner;
    pthread_mutex_unlock(&idp->lock);
}

/* ---- the plugin ---- */

static void answer(struct burrow_auth_request *request, const struct burrow_verdict *verdict)
{
    assert_int_equal(verdict->size, sizeof *verdict);
    request->answers++;
    request->result = verdict->result;
    request->code = verdict->code;
    snprintf(request->subject, sizeof request->subject, "%.*s", (int)verdict->subject_len,
             verdict->subject ? verdict->subject : "");
    snprintf(request->reason, sizeof request->reason, "%s", verdict->reason ? verdict->reason : "");
}

static const struct burrow_auth_host auth_host = {.size = sizeof auth_host, .answer = answer};

void rig_init(struct rig *rig, struct manner manner)
{
    memset(rig, 0, sizeof *rig);
    pthread_mutex_init(&rig->idp.lock, NULL);
    rig->idp.manner = manner;
    rig->idp.server = http_server_start(NULL, serve, &rig->idp);
    snprintf(rig->idp.url, sizeof rig->idp.url, "http://127.0.0.1:%u/jwks",
             http_server_port(rig->idp.server));
    loaded_init(&rig->plugin, PLUGIN_FILE, "auth-jwks", BURROW_KIND_AUTH);
    loaded_set_string(&rig->plugin, "jwks-url", rig->idp.url);
    loaded_set_string(&rig->plugin, "jwt-alg", "EdDSA");
    loaded_set_number(&rig->plugin, "jwks-refresh", 300000);
    loaded_set_number(&rig->plugin, "jwks-keep", 86400000);
}

void rig_start(struct rig *rig)
{
    rig->self = loaded_start(&rig->plugin);
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)->bind(rig->self, &auth_host);
}

void rig_finish(struct rig *rig)
{
    if (rig->self)
        loaded_end(&rig->plugin, rig->self);
    loaded_finish(&rig->plugin);
    http_server_stop(rig->idp.server);
    pthread_mutex_destroy(&rig->idp.lock);
}

void rig_turn(struct rig *rig)
{
    uint64_t before = real_ms();
    fake_host_turn(&rig->plugin.host, 5);
    fake_host_advance(&rig->plugin.host, real_ms() - before);
}

void rig_pass(struct rig *rig, uint64_t ms)
{
    fake_host_advance(&rig->plugin.host, ms);
    rig_turn(rig);
}

void rig_until(struct rig *rig, const unsigned *n, unsigned want)
{
    uint64_t deadline = real_ms() + LIMIT_MS;
    while (*n < want) {
        rig_turn(rig);
        if (real_ms() > deadline)
            fail_msg("what the test waits for did not happen within %d ms", LIMIT_MS);
    }
}

bool rig_logged(struct rig *rig, const char *text)
{
    return fake_host_logged(&rig->plugin.host, -1, text);
}

void rig_until_logged(struct rig *rig, const char *text)
{
    uint64_t deadline = real_ms() + LIMIT_MS;
    while (!rig_logged(rig, text)) {
        rig_turn(rig);
        if (real_ms() > deadline)
            fail_msg("the log did not say \"%s\"", text);
    }
}

void rig_forget_log(struct rig *rig)
{
    rig->plugin.host.log_count = 0;
}

void rig_until_loads(struct rig *rig, int64_t loads)
{
    uint64_t deadline = real_ms() + LIMIT_MS;
    while (rig->plugin.host.metrics[0] < loads) {
        rig_turn(rig);
        if (real_ms() > deadline)
            fail_msg("there were fewer than %d loads", (int)loads);
    }
}

void rig_ask(struct rig *rig, struct burrow_auth_request *request, const char *token)
{
    const struct burrow_credential credential = {
        .size = sizeof credential,
        .method = BURROW_CREDENTIAL_HEADER,
        .token = token,
        .token_len = token ? strlen(token) : 0,
    };
    memset(request, 0, sizeof *request);
    ((const struct burrow_auth_ops *)rig->plugin.plugin->ops)
        ->verify(rig->self, request, &credential);
}

struct burrow_auth_request rig_verdict(struct rig *rig, const char *token)
{
    struct burrow_auth_request request;
    rig_ask(rig, &request, token);
    rig_until(rig, &request.answers, 1);
    assert_int_equal(request.answers, 1);
    return request;
}

/* ---- keys and tokens ---- */

struct signer signer_make(const char *kid)
{
    struct signer signer = {.pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")};
    assert_non_null(signer.pkey);
    snprintf(signer.kid, sizeof signer.kid, "%s", kid);
    return signer;
}

void signer_free(struct signer *signer)
{
    EVP_PKEY_free(signer->pkey);
}

const char *token_for(const struct signer *signer, const char *kid, const char *subject)
{
    static char token[1024];
    char text[256];
    unsigned char signature[64];
    size_t signature_len = sizeof signature, at;
    int n = kid ? snprintf(text, sizeof text, "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid)
                : snprintf(text, sizeof text, "{\"alg\":\"EdDSA\"}");
    at = base64url_encode((const uint8_t *)text, (size_t)n, token);
    token[at++] = '.';
    n = snprintf(text, sizeof text, "{\"sub\":\"%s\",\"exp\":%lld}", subject,
                 (long long)time(NULL) + 3600);
    at += base64url_encode((const uint8_t *)text, (size_t)n, token + at);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, signer->pkey), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, signature, &signature_len, (const unsigned char *)token, at), 1);
    EVP_MD_CTX_free(ctx);
    token[at++] = '.';
    at += base64url_encode(signature, signature_len, token + at);
    token[at] = '\0';
    return token;
}

char *jwk_of(const struct signer *signer)
{
    unsigned char raw[32];
    size_t n = sizeof raw;
    char x[64], *jwk = NULL;
    assert_int_equal(EVP_PKEY_get_raw_public_key(signer->pkey, raw, &n), 1);
    x[base64url_encode(raw, n, x)] = '\0';
    assert_true(asprintf(&jwk, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"}",
                         signer->kid, x) > 0);
    return jwk;
}

char *jwks_of(const struct signer *const *signers, size_t n)
{
    char *document = strdup("{\"keys\":[");
    for (size_t i = 0; i < n; i++) {
        char *jwk = jwk_of(signers[i]), *longer = NULL;
        assert_true(asprintf(&longer, "%s%s%s", document, i > 0 ? "," : "", jwk) > 0);
        free(jwk);
        free(document);
        document = longer;
    }
    char *whole = NULL;
    assert_true(asprintf(&whole, "%s]}", document) > 0);
    free(document);
    return whole;
}
