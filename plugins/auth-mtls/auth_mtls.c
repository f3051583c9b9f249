/* SPDX-License-Identifier: Apache-2.0 */
/*
 * auth-mtls: lets in whoever has shown a TLS client certificate that the authorities of
 * --tls-client-ca have signed. The transport asks for it and verifies it; this plugin says whom
 * it names and until when.
 */
#include "certificate.h"
#include "must.h"
#include "tls_option_rows.h"
#include "utc.h"

#include <burrow/auth.h>
#include <stdlib.h>

#define AUTH_MTLS_MAGIC 0x544d4d41u /* "AMMT" in memory order */

struct config {
    const char *client_ca; /* the transports' option: without it they ask for no certificate */
    const char *subject;
};

static const struct burrow_option options[] = {
    TLS_CLIENT_CA_ROW(struct config, client_ca, BURROW_OPT_RELOADABLE),
    BURROW_OPTION_STRING(struct config, subject, "mtls-subject", "cn", "FIELD",
                         BURROW_OPT_RELOADABLE, "cn|dns|uri|email",
                         "what of a client certificate is the client id"),
    BURROW_OPTION_END,
};

struct auth_mtls {
    uint32_t magic;
    enum name_field field;
    const struct burrow_host *host;
    const struct burrow_auth_host *auth;
};

static struct auth_mtls *from_self(void *self)
{
    struct auth_mtls *a = (struct auth_mtls *)self;
    must(a != NULL && a->magic == AUTH_MTLS_MAGIC);
    return a;
}

static int check(const struct burrow_host *host, const void *arg)
{
    const struct config *config = (const struct config *)arg;
    if (config->client_ca == NULL || config->client_ca[0] == '\0')
        return burrow_error(host, BURROW_EINVAL,
                            "--tls-client-ca (BURROW_TLS_CLIENT_CA): auth-mtls needs the file of "
                            "the authorities that sign clients' certificates");
    return BURROW_OK;
}

static enum name_field field_of(const struct config *config)
{
    enum name_field field = config->subject != NULL ? name_field_parse(config->subject) : NAME_CN;
    return field < NAME_FIELDS ? field : NAME_CN; /* the host takes no other */
}

static int create(const struct burrow_host *host, const void *config, void **ret_self)
{
    int r = check(host, config);
    if (r < 0)
        return r;
    struct auth_mtls *a = (struct auth_mtls *)calloc(1, sizeof *a);
    if (a == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    a->magic = AUTH_MTLS_MAGIC;
    a->host = host;
    a->field = field_of((const struct config *)config);
    *ret_self = a;
    return BURROW_OK;
}

static int reload(void *self, const void *config)
{
    struct auth_mtls *a = from_self(self);
    int r = check(a->host, config);
    if (r == BURROW_OK)
        a->field = field_of((const struct config *)config);
    return r;
}

static void stop(void *self)
{
    struct auth_mtls *a = from_self(self);
    a->host->stopped(a->host->self);
}

static void destroy(void *self)
{
    if (self == NULL)
        return;
    struct auth_mtls *a = from_self(self);
    a->magic = 0;
    free(a);
}

static void bind_host(void *self, const struct burrow_auth_host *host)
{
    from_self(self)->auth = host;
}

static void deny(struct burrow_verdict *verdict, uint32_t code, const char *reason)
{
    verdict->result = BURROW_AUTH_DENY;
    verdict->code = code;
    verdict->reason = reason;
}

/* Its times are asked again: TLS has looked at them when the certificate was first shown, which
 * a resumed TLS session spares. */
static void judge(const struct auth_mtls *a, const struct burrow_credential *credential,
                  struct certificate_name *name, struct burrow_verdict *verdict)
{
    const char *reason = "out of memory";
    int r = certificate_name(credential->client_cert_der, credential->client_cert_len, a->field,
                             name, &reason);
    if (r < 0) {
        deny(verdict, BURROW_CODE_INVALID_TOKEN, reason);
        return;
    }
    int64_t now = utc_now_ms();
    if (now >= name->not_after_ms) {
        deny(verdict, BURROW_CODE_TOKEN_EXPIRED, "the certificate has expired");
    } else if (now < name->not_before_ms) {
        deny(verdict, BURROW_CODE_TOKEN_NOT_YET_VALID, "the certificate is not yet valid");
    } else {
        verdict->result = BURROW_AUTH_ALLOW;
        verdict->subject = name->subject;
        verdict->subject_len = name->len;
        verdict->expires_ms = name->not_after_ms;
    }
}

static void verify(void *self, struct burrow_auth_request *request,
                   const struct burrow_credential *credential)
{
    const struct auth_mtls *a = from_self(self);
    struct burrow_verdict verdict = {.size = sizeof verdict};
    struct certificate_name name;
    if (credential->client_cert_der != NULL) {
        judge(a, credential, &name, &verdict);
    } else {
        /* Another plugin may know the token; if there is none, this is what is missing. */
        verdict.result = BURROW_AUTH_ABSTAIN;
        verdict.code =
            credential->token != NULL ? BURROW_CODE_INVALID_TOKEN : BURROW_CODE_MISSING_BEARER;
        verdict.reason = "no client certificate was shown";
    }
    a->auth->answer(request, &verdict);
}

/* Every request is answered within verify, so cancel is never needed. */
static const struct burrow_auth_ops ops = {
    .size = sizeof ops,
    .bind = bind_host,
    .verify = verify,
};

BURROW_PLUGIN = {
    .magic = BURROW_PLUGIN_MAGIC,
    .size = sizeof(struct burrow_plugin),
    .abi_minor = BURROW_ABI_MINOR,
    .kind = BURROW_KIND_AUTH,
    .kind_abi = BURROW_AUTH_ABI,
    .config_size = sizeof(struct config),
    .name = "auth-mtls",
    .version = BURROW_VERSION,
    .summary = "Lets in clients with a TLS certificate, under the name that stands in it",
    .options = options,
    .ops = &ops,
    .check = check,
    .create = create,
    .reload = reload,
    .stop = stop,
    .destroy = destroy,
};
