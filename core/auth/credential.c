/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of credentials; see credential.h. */
#include "auth/credential.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADERS 64u

static int copy_headers(struct credential_copy *copy, const struct burrow_credential *c)
{
    size_t n = c->header_count < MAX_HEADERS ? c->header_count : MAX_HEADERS;
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += strlen(c->headers[i].name) + strlen(c->headers[i].value) + 2;
    if (n == 0)
        return BURROW_OK;
    copy->headers = calloc(n, sizeof *copy->headers);
    copy->texts = malloc(room);
    if (copy->headers == NULL || copy->texts == NULL)
        return BURROW_ENOMEM;
    char *p = copy->texts;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(c->headers[i].name) + 1;
        copy->headers[i].name = memcpy(p, c->headers[i].name, len);
        p += len;
        len = strlen(c->headers[i].value) + 1;
        copy->headers[i].value = memcpy(p, c->headers[i].value, len);
        p += len;
    }
    copy->credential.headers = copy->headers;
    copy->credential.header_count = n;
    return BURROW_OK;
}

int credential_keep(struct credential_copy *copy, const struct burrow_credential *c)
{
    struct burrow_credential *to = &copy->credential;
    to->size = sizeof *to;
    to->method = c->method;
    to->peer = c->peer;
    if (c->token != NULL) {
        if (c->token_len > AUTH_MAX_TOKEN)
            return BURROW_EINVAL;
        copy->token = malloc(c->token_len + 1);
        if (copy->token == NULL)
            return BURROW_ENOMEM;
        memcpy(copy->token, c->token, c->token_len);
        copy->token[c->token_len] = '\0';
        to->token = copy->token;
        to->token_len = c->token_len;
    }
    if (c->client_cert_der != NULL && c->client_cert_len > 0) {
        if (c->client_cert_len > AUTH_MAX_CERTIFICATE)
            return BURROW_EINVAL;
        copy->cert = malloc(c->client_cert_len);
        if (copy->cert == NULL)
            return BURROW_ENOMEM;
        memcpy(copy->cert, c->client_cert_der, c->client_cert_len);
        to->client_cert_der = copy->cert;
        to->client_cert_len = c->client_cert_len;
    }
    return copy_headers(copy, c);
}

void credential_wipe(struct credential_copy *copy)
{
    if (copy->token != NULL) {
        explicit_bzero(copy->token, copy->credential.token_len);
        free(copy->token);
    }
    free(copy->cert);
    free(copy->headers);
    free(copy->texts);
    *copy = (struct credential_copy){.token = NULL};
}
