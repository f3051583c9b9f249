/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of an option table that every TLS transport has: a plugin whose config struct S
 * has a member `tls` of struct tls_options writes TLS_OPTION_ROWS(S, flags) into its table.
 */
#ifndef SHARED_TLS_OPTION_ROWS_H
#define SHARED_TLS_OPTION_ROWS_H

#include "tls_context.h"

/* By itself for auth-mtls, which is of no use without it. */
#define TLS_CLIENT_CA_ROW(S, field, flags)                                                         \
    BURROW_OPTION_PATH(S, field, "tls-client-ca", NULL, "FILE", flags,                             \
                       "PEM file with the authorities that must have signed a client's "           \
                       "certificate (default: none is asked for)")

#define TLS_OPTION_ROWS(S, flags)                                                                  \
    BURROW_OPTION_PATH(S, tls.cert, "tls-cert", NULL, "FILE", flags,                               \
                       "PEM file with our certificate and its chain"),                             \
        BURROW_OPTION_PATH(S, tls.key, "tls-key", NULL, "FILE", flags,                             \
                           "PEM file with the key of --tls-cert"),                                 \
        BURROW_OPTION_PATH(S, tls.ca, "tls-ca", NULL, "FILE", flags,                               \
                           "PEM file with the authorities that may sign the server's certificate " \
                           "(default: the system's)"),                                             \
        TLS_CLIENT_CA_ROW(S, tls.client_ca, flags),                                                \
        BURROW_OPTION_BOOL(S, tls.client_required, "tls-client-required", "false", flags,          \
                           "refuse every connection without a client certificate"),                \
        BURROW_OPTION_BOOL(S, tls.skip_verify, "tls-skip-verify", "false", flags,                  \
                           "accept any certificate of the server; for tests only")

#endif
