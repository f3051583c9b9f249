/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TLS contexts of an instance, and how they follow their files.
 *
 * libwebsockets makes the context of its TLS vhost once and keeps it. So each connection is
 * moved to the context that is in force when its ClientHello comes, before anything of it was
 * used: certificate, authorities and verification are then those of the files as they are
 * now. Sessions that were resumed under another context are not: each has an id of its own.
 */
#include "ws.h"

#include <openssl/err.h>

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    must(self->magic == WS_INSTANCE_MAGIC && self->serve_tls != NULL);
    if (SSL_set_SSL_CTX(ssl, self->serve_tls) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(self->serve_tls), NULL);
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Any name will do. Without this libwebsockets' own callback would be asked, which looks for the
 * context among its vhosts'. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

static int make_server(const struct ws_instance *self, const struct tls_options *tls, SSL_CTX **ret)
{
    struct tls_error err = {""};
    int r = tls_server_context(tls, "http/1.1", ret, &err);
    if (r < 0)
        return burrow_error(self->host, r, "%s", err.text);
    SSL_CTX_set_tlsext_servername_callback(*ret, on_server_name);
    return BURROW_OK;
}

int ws_tls_create(struct ws_instance *self)
{
    const struct tls_options *tls = &self->config.tls;
    return tls->cert != NULL ? make_server(self, tls, &self->serve_tls) : BURROW_OK;
}

int ws_tls_fill(struct ws_instance *self, SSL_CTX *ctx)
{
    struct tls_error err = {""};
    if (tls_server_prepare(ctx, "http/1.1", &err) < 0) {
        burrow_log(self->host, BURROW_LOG_ERROR, "%s", err.text);
        return -1;
    }
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, self);
    return 0;
}

int ws_tls_dial(struct ws_instance *self)
{
    struct tls_error err = {""};
    if (self->dial_tls != NULL)
        return BURROW_OK;
    int r = tls_client_context(&self->config.tls, "http/1.1", &self->dial_tls, &err);
    if (r < 0)
        burrow_log(self->host, BURROW_LOG_ERROR, "%s", err.text);
    return r;
}

/* Reads the files anew; on failure nothing has changed. Connections keep their contexts. */
static int refresh(struct ws_instance *self, const struct tls_options *tls)
{
    struct tls_error err = {""};
    SSL_CTX *server = NULL, *client = NULL;
    int r = BURROW_OK;
    if (self->lws != NULL && (self->serve_tls == NULL) != (tls->cert == NULL))
        r = burrow_error(self->host, BURROW_EINVAL,
                         "--tls-cert: whether there is TLS at all changes with a restart only");
    else if (tls->cert != NULL)
        r = make_server(self, tls, &server);
    if (r == BURROW_OK && (r = tls_client_context(tls, "http/1.1", &client, &err)) < 0)
        (void)burrow_error(self->host, r, "%s", err.text);
    if (r < 0) {
        SSL_CTX_free(server);
        return r;
    }
    SSL_CTX_free(self->serve_tls);
    SSL_CTX_free(self->dial_tls);
    self->serve_tls = server;
    self->dial_tls = client;
    return BURROW_OK;
}

static int on_files(void *arg)
{
    struct ws_instance *self = (struct ws_instance *)arg;
    must(self->magic == WS_INSTANCE_MAGIC);
    return refresh(self, &self->config.tls);
}

static int watch(struct ws_instance *self, const struct tls_options *tls)
{
    const struct burrow_host *host = self->host;
    const char *const paths[] = {tls->cert, tls->key, tls->ca, tls->client_ca};
    if (!BURROW_HAS(host, watch_files))
        return BURROW_OK; /* an older host: the files are read again at a reload */
    struct burrow_files *files = host->watch_files(host->self, paths, 4, on_files, self);
    if (files == NULL)
        return burrow_error(host, BURROW_ENOMEM, "out of memory");
    host->unwatch_files(self->files);
    self->files = files;
    return BURROW_OK;
}

void ws_tls_unwatch(struct ws_instance *self)
{
    if (self->files != NULL)
        self->host->unwatch_files(self->files);
    self->files = NULL;
}

int ws_tls_start(struct ws_instance *self)
{
    const struct tls_options *tls = &self->config.tls;
    int r = watch(self, tls);
    if (r < 0 || (tls->cert == NULL && tls->ca == NULL && tls->client_ca == NULL))
        return r;
    /* Once more: what has changed since create is no change to who watches from now on. */
    r = refresh(self, tls);
    if (r < 0)
        ws_tls_unwatch(self);
    return r;
}

int ws_tls_reload(struct ws_instance *self, const struct tls_options *tls)
{
    int r = watch(self, tls);
    return r < 0 ? r : refresh(self, tls);
}

void ws_tls_finish(struct ws_instance *self)
{
    ws_tls_unwatch(self);
    SSL_CTX_free(self->serve_tls);
    SSL_CTX_free(self->dial_tls);
    self->serve_tls = self->dial_tls = NULL;
}
