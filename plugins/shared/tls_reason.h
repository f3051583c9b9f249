/* SPDX-License-Identifier: Apache-2.0 */
/* Why TLS failed, in one line for the log. */
#ifndef SHARED_TLS_REASON_H
#define SHARED_TLS_REASON_H

#include <burrow/transport.h>
#include <openssl/ssl.h>

#define TLS_REASON 192

/* After a call on ssl failed with `ssl_error` (SSL_get_error) and errno `system_error`: writes
 * the reason and returns the code that fits, BURROW_CLOSE_LOST where the connection failed
 * and BURROW_CLOSE_TLS where TLS did. Empties the error queue. */
uint32_t tls_reason(SSL *ssl, int ssl_error, int system_error, char ret_reason[TLS_REASON]);

#endif
