/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of what a peer has shown, for whoever judges it later or elsewhere. */
#ifndef AUTH_CREDENTIAL_H
#define AUTH_CREDENTIAL_H

#include "base/error.h"

#include <burrow/auth.h>

#define AUTH_MAX_TOKEN 8192u
#define AUTH_MAX_CERTIFICATE 16384u

struct credential_copy {
    struct burrow_credential credential; /* points into the rest */
    char *token, *texts;
    uint8_t *cert;
    struct burrow_header *headers;
};

/* ret is zeroed. BURROW_ENOMEM, or BURROW_EINVAL for what is over the limits; credential_wipe
 * follows in any case. */
int credential_keep(struct credential_copy *ret, const struct burrow_credential *credential);
/* Wipes the token and frees; also what is half kept. */
void credential_wipe(struct credential_copy *copy);

#endif
