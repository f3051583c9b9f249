/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS contexts for the transports: TLS 1.2 with ECDHE and AEAD only, and 1.3; session tickets;
 * an application protocol (ALPN). Each transport instance owns its contexts; nothing global
 * of OpenSSL is changed. Calls must be made on one thread, as everything of a plugin.
 */
#ifndef SHARED_TLS_CONTEXT_H
#define SHARED_TLS_CONTEXT_H

#include "tls_file.h"

#include <stdbool.h>
#include <stdint.h>

/* File names as the options gave them; NULL: not given. */
struct tls_options {
    const char *cert;      /* --tls-cert: our certificate and chain */
    const char *key;       /* --tls-key: its key */
    const char *ca;        /* --tls-ca, dialling: whom to trust; NULL: the system's store */
    const char *client_ca; /* --tls-client-ca, accepting: who signs clients' certificates */
    uint8_t skip_verify;   /* --tls-skip-verify, dialling */
    /* --tls-client-required, accepting: no connection without a client's certificate. Else
     * one that is shown is verified, and who shows none is the auth plugins' to judge. */
    uint8_t client_required;
};

/* A context that accepts; needs cert and key. alpn is one protocol's name ("burrow/2"), which a
 * client's offer must contain if it makes one; it must live as long as the context. */
int tls_server_context(const struct tls_options *options, const char *alpn, SSL_CTX **ret,
                       struct tls_error *err);
/* All of it but certificate and authorities, on a context that a library made and keeps, whose
 * connections are moved to another one. */
int tls_server_prepare(SSL_CTX *ctx, const char *alpn, struct tls_error *err);
/* A context that dials; cert and key, if given, are the client's certificate. */
int tls_client_context(const struct tls_options *options, const char *alpn, SSL_CTX **ret,
                       struct tls_error *err);
/* Readies a dialling ssl: the name is sent (SNI, not for an IP address) and must stand in the
 * server's certificate, unless its context skips the verification. 0, BURROW_EINVAL
 * for a name that is none, or BURROW_ENOMEM. */
int tls_client_name(SSL *ssl, const char *host);
/* Whether the handshake has agreed on this application protocol. */
bool tls_has_alpn(const SSL *ssl, const char *alpn);
/* The certificate that the peer has shown and that was verified, as DER to be freed by
 * OPENSSL_free; NULL: none, or no memory. */
unsigned char *tls_peer_certificate(const SSL *ssl, size_t *ret_len);
/* Builds and frees the contexts that the options describe: for a plugin's check. */
int tls_check(const struct tls_options *options, struct tls_error *err);

#endif
