/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's life: attempts, sessions, the pauses between them and the end.
 *
 *   IDLE → RESOLVING → DIALING → REGISTERING → CONNECTED → WAITING → RESOLVING …
 *
 * and from anywhere to STOPPING.
 */
#include "client/internal.h"

#include "base/address.h"
#include "base/object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

uint32_t client_random(void)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        return UINT32_MAX / 2; /* jitter is all it is for */
    return random;
}

/* ---- pauses ---- */

const char *client_error_code(const struct control *error)
{
    if (error->code[0] != '\0')
        return error->code;
    return strcmp(error->message, CONTROL_V1_MISMATCH) == 0 ? "identity_mismatch" : "error";
}

enum backoff_cause client_cause(const struct client *c, const char *code)
{
    return backoff_cause_of(code, c->token_source.file != NULL);
}

void client_wait(struct client *c, enum backoff_cause cause, uint64_t pause_ms)
{
    c->state = CLIENT_WAITING;
    c->waits_for = cause;
    loop_timer_set(c->timer, pause_ms);
}

void client_retry(struct client *c, enum backoff_cause cause, const char *code, const char *reason)
{
    if (!c->refreshing)
        c->failures[cause]++;
    uint64_t pause = c->refreshing ? 0 : backoff_next(&c->backoff, cause, client_random());
    if (code != NULL)
        log_at(c->log, BURROW_LOG_WARN, "refused", burrow_str("code", code),
               burrow_str("reason", reason), burrow_uint("retry_ms", pause));
    else
        log_at(c->log, BURROW_LOG_WARN, "disconnected", burrow_str("reason", reason),
               burrow_uint("retry_ms", pause));
    c->refreshing = false;
    client_wait(c, cause, pause);
}

/* First the time for streams is over, then sessions have told their ends. */
static void stop_on_time(struct client *c)
{
    if (!c->draining) {
        client_status_close(c);
        c->config.stopped(c->config.arg);
        return;
    }
    c->draining = false;
    sessions_close(c, "the client is stopping");
    loop_timer_set(c->timer, 1);
}

static void on_timer(void *arg)
{
    struct client *c = arg;
    must_be(c, CLIENT_MAGIC);
    switch (c->state) {
    case CLIENT_WAITING:
        connect_begin(c);
        break;
    case CLIENT_RESOLVING:
    case CLIENT_DIALING:
        connect_timed_out(c);
        break;
    case CLIENT_REGISTERING:
        connect_drop(c, "no answer");
        client_retry(c, BACKOFF_NETWORK, NULL, "the server did not answer the register in time");
        break;
    case CLIENT_STOPPING:
        stop_on_time(c);
        break;
    default:
        break;
    }
}

/* ---- create and destroy ---- */

static int find_transport(struct client *c, struct error *err)
{
    for (size_t i = 0; i < c->config.instance_count; i++) {
        struct instance *instance = c->config.instances[i];
        if (instance_kind(instance) != BURROW_KIND_TRANSPORT)
            continue;
        const struct burrow_transport_ops *ops = instance_ops(instance);
        ops->bind(instance_self(instance), &link_transport_host);
        const struct link_transport transport = {.ops = ops,
                                                 .self = instance_self(instance),
                                                 .loop = c->loop,
                                                 .log = c->log,
                                                 .name = instance_name(instance),
                                                 .faults = instance_faults(instance)};
        if (c->http.ops == NULL && (ops->flags & BURROW_TRANSPORT_HTTP) != 0)
            c->http = transport;
        for (const char *const *s = ops->schemes; c->transport.ops == NULL && *s != NULL; s++)
            if (strcmp(*s, c->url.scheme) == 0)
                c->transport = transport;
    }
    if (c->transport.ops == NULL)
        return error_set(err, BURROW_EINVAL,
                         "--server-url (BURROW_SERVER_URL): no transport plugin in use speaks "
                         "%s://",
                         c->url.scheme);
    return BURROW_OK;
}

int client_way(const struct client_options *options, const struct proxy_settings *proxies,
               struct server_url *ret_url, char ret_host[256], uint16_t *ret_port,
               struct proxy *ret_proxy, struct error *err)
{
    struct server_url url;
    struct proxy proxy;
    char host[256];
    int rc = server_url_parse(options->server_url, &url, err);
    if (rc != BURROW_OK)
        return rc;
    uint16_t port = url.port;
    snprintf(host, sizeof host, "%s", url.host);
    if (options->connect_addr != NULL)
        rc = connect_addr_parse(options->connect_addr, host, &port, err);
    if (rc == BURROW_OK)
        rc = proxy_choose(proxies, &url, host, port, &proxy, err);
    if (rc != BURROW_OK)
        return rc;
    *ret_url = url;
    *ret_proxy = proxy;
    *ret_port = port;
    memcpy(ret_host, host, sizeof host);
    return BURROW_OK;
}

static void use_options(struct client *c, const struct client_options *o)
{
    c->options = c->config.options = o;
    c->token_source.literal = o->bearer_token;
    c->token_source.file = o->bearer_token_file;
    c->budget.limit = (uint64_t)o->buffer_limit;
    backoff_init(&c->backoff, (uint64_t)o->client_retry_interval,
                 (uint64_t)o->client_auth_retry_interval);
}

static int read_options(struct client *c, struct error *err)
{
    const struct client_options *o = c->options;
    int rc = client_options_check(o, err);
    if (rc != BURROW_OK)
        return rc;
    rc = client_set_targets(c, &o->local_target, err);
    if (rc == BURROW_OK)
        rc = client_way(o, &c->config.proxies, &c->url, c->connect_host, &c->connect_port,
                        &c->proxy, err);
    use_options(c, o);
    c->services_backoff = c->backoff;
    return rc;
}

int client_reload(struct client *c, const struct client_options *options, struct error *err)
{
    must_be(c, CLIENT_MAGIC);
    int rc = client_set_targets(c, &options->local_target, err);
    if (rc != BURROW_OK)
        return rc;
    use_options(c, options);
    if (c->current != NULL)
        session_set_limits(c->current->session, (uint32_t)options->max_streams, 0);
    renew_now(c);
    return BURROW_OK;
}

/* The server tells a client's own return from another's takeover by this. */
static int choose_instance(struct client *c, struct error *err)
{
    uint8_t random[(CONTROL_INSTANCE - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return error_set(err, BURROW_EIO, "no random numbers");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(c->instance + 2 * i, 3, "%02x", random[i]);
    return BURROW_OK;
}

int client_create(const struct client_config *config, struct client **ret, struct error *err)
{
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    c->magic = CLIENT_MAGIC;
    c->config = *config;
    c->options = config->options;
    c->loop = config->loop;
    c->log = config->log;
    LIST_INIT(&c->joinings);
    LIST_INIT(&c->leaving);
    int rc = read_options(c, err);
    if (rc == BURROW_OK)
        rc = find_transport(c, err);
    if (rc == BURROW_OK)
        rc = choose_instance(c, err);
    if (rc == BURROW_OK) {
        c->timer = loop_timer_create(c->loop, on_timer, c);
        c->refresh = loop_timer_create(c->loop, renew_due, c);
        c->services_timer = loop_timer_create(c->loop, services_send, c);
        if (c->timer == NULL || c->refresh == NULL || c->services_timer == NULL)
            rc = error_set(err, BURROW_ENOMEM, "out of memory");
    }
    if (rc != BURROW_OK) {
        client_destroy(c);
        return rc;
    }
    *ret = c;
    return BURROW_OK;
}

int client_start(struct client *c, struct error *err)
{
    must_be(c, CLIENT_MAGIC);
    must(c->state == CLIENT_IDLE);
    int rc = client_status_open(c, err);
    if (rc == BURROW_OK)
        connect_begin(c);
    return rc;
}

void client_stop(struct client *c, const char *signal)
{
    must_be(c, CLIENT_MAGIC);
    uint32_t drain_ms = c->state != CLIENT_STOPPING ? (uint32_t)c->options->drain_timeout : 0;
    if (c->state != CLIENT_STOPPING)
        log_at(c->log, BURROW_LOG_INFO, "stopping", burrow_str("signal", signal),
               burrow_uint("drain_ms", drain_ms));
    c->state = CLIENT_STOPPING;
    connect_drop(c, "stopping");
    renew_stop(c);
    loop_timer_stop(c->services_timer);
    c->draining = drain_ms > 0 && sessions_drain(c, drain_ms);
    if (c->draining) {
        loop_timer_set(c->timer, drain_ms);
        return;
    }
    sessions_close(c, "the client is stopping");
    /* The session tells its end on this turn; the transport says good-bye when it stops. */
    loop_timer_set(c->timer, 1);
}

void client_destroy(struct client *c)
{
    if (c == NULL)
        return;
    must_be(c, CLIENT_MAGIC);
    sessions_destroy(c);
    if (c->timer != NULL)
        connect_drop(c, "stopping");
    must(LIST_EMPTY(&c->joinings));
    client_status_close(c);
    loop_timer_destroy(c->timer);
    loop_timer_destroy(c->refresh);
    loop_timer_destroy(c->services_timer);
    token_free(c->token);
    explicit_bzero(&c->proxy, sizeof c->proxy);
    token_free(c->offered);
    token_free(c->refused);
    free(c->targets);
    c->magic = 0;
    free(c);
}

void client_status(const struct client *c, char *buf, size_t size)
{
    static const char *const states[] = {
        [CLIENT_IDLE] = "starting",
        [CLIENT_WAITING] = "waiting to try again",
        [CLIENT_RESOLVING] = "looking up the server",
        [CLIENT_DIALING] = "connecting",
        [CLIENT_REGISTERING] = "registering",
        [CLIENT_CONNECTED] = "connected",
        [CLIENT_STOPPING] = "stopping",
    };
    must_be(c, CLIENT_MAGIC);
    snprintf(buf, size, "%s: %s, %llu streams", c->options->server_url, states[c->state],
             (unsigned long long)c->stats.streams_active);
}
