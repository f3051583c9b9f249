/* SPDX-License-Identifier: Apache-2.0 */
/* Turns OpenSSL's error queue into one line that names the cause in a reader's words. */
#include "tls_reason.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int reason;
    uint32_t code;
    const char *text;
} known[] = {
    {SSL_R_UNEXPECTED_EOF_WHILE_READING, BURROW_CLOSE_LOST,
     "the peer closed the connection without ending TLS"},
    {SSL_R_HTTP_REQUEST, BURROW_CLOSE_TLS, "the peer speaks plain HTTP, not TLS"},
    {SSL_R_HTTPS_PROXY_REQUEST, BURROW_CLOSE_TLS, "the peer speaks plain HTTP, not TLS"},
    {SSL_R_WRONG_VERSION_NUMBER, BURROW_CLOSE_TLS, "the peer does not speak TLS"},
    {SSL_R_NO_APPLICATION_PROTOCOL, BURROW_CLOSE_TLS, "no common application protocol (ALPN)"},
    {SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, BURROW_CLOSE_TLS,
     "no common application protocol (ALPN)"},
    {SSL_R_UNSUPPORTED_PROTOCOL, BURROW_CLOSE_TLS, "no common TLS version (1.2 or 1.3 is needed)"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, BURROW_CLOSE_TLS,
     "no common TLS version (1.2 or 1.3 is needed)"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, BURROW_CLOSE_TLS,
     "the peer requires a client certificate"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, BURROW_CLOSE_TLS,
     "the peer showed no client certificate"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, BURROW_CLOSE_TLS,
     "the peer refused our certificate: its authority is unknown there"},
};

uint32_t tls_reason(SSL *ssl, int ssl_error, int system_error, char ret_reason[TLS_REASON])
{
    unsigned long error = ERR_peek_error();
    ERR_clear_error();
    if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        snprintf(ret_reason, TLS_REASON, "the peer closed the connection");
        return BURROW_CLOSE_LOST;
    }
    if (error == 0 || ERR_SYSTEM_ERROR(error)) {
        snprintf(ret_reason, TLS_REASON, "%s",
                 system_error != 0 ? strerror(system_error) : "the peer closed the connection");
        return BURROW_CLOSE_LOST;
    }
    int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
        snprintf(ret_reason, TLS_REASON, "the peer's certificate is not accepted: %s",
                 X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
        return BURROW_CLOSE_TLS;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (ERR_GET_LIB(error) != ERR_LIB_SSL || known[i].reason != reason)
            continue;
        snprintf(ret_reason, TLS_REASON, "%s", known[i].text);
        return known[i].code;
    }
    const char *text = ERR_reason_error_string(error);
    snprintf(ret_reason, TLS_REASON, "TLS: %s", text != NULL ? text : "unknown error");
    return BURROW_CLOSE_TLS;
}
