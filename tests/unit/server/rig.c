/* SPDX-License-Identifier: Apache-2.0 */
/* The scripted plugins and the steps that most tests take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- auth ---- */

static void auth_bind(void *self, const struct burrow_auth_host *host)
{
    ((struct script *)self)->host = host;
}

static void auth_verify(void *self, struct burrow_auth_request *request,
                        const struct burrow_credential *credential)
{
    struct script *s = self;
    s->asked++;
    s->request = request;
    s->method = credential->method;
    s->cert_len = credential->client_cert_len;
    snprintf(s->token, sizeof s->token, "%s", credential->token != NULL ? credential->token : "-");
    if (s->result == 0)
        return;
    const struct burrow_verdict verdict = {.size = sizeof verdict,
                                           .result = s->result,
                                           .code = s->code,
                                           .subject = s->subject,
                                           .subject_len =
                                               s->subject != NULL ? strlen(s->subject) : 0,
                                           .expires_ms = s->expires_ms,
                                           .grants_json = s->grants};
    s->host->answer(request, &verdict);
}

static const struct burrow_auth_ops auth_ops = {
    .size = sizeof auth_ops, .bind = auth_bind, .verify = auth_verify};

/* ---- registry ---- */

static void registry_bind(void *self, const struct burrow_registry_host *host)
{
    ((struct registry *)self)->host = host;
}

static void registry_answer(struct registry *r, struct burrow_registry_op *op)
{
    r->op = op;
    if (r->result != INT32_MAX)
        r->host->done(op, r->result, "scripted");
}

static void registry_publish(void *self, struct burrow_registry_op *op,
                             const struct burrow_publication *publication)
{
    struct registry *r = self;
    r->published++;
    r->services = publication->service_count;
    snprintf(r->client, sizeof r->client, "%s", publication->client_id);
    if (publication->service_count > 0) {
        snprintf(r->target, sizeof r->target, "%s", publication->services[0].target);
        r->port = publication->services[0].bridge_port;
    }
    registry_answer(r, op);
}

static void registry_withdraw(void *self, struct burrow_registry_op *op, const char *client_id)
{
    struct registry *r = self;
    r->withdrawn++;
    if (r->listed != NULL && strcmp(r->listed, client_id) == 0)
        r->listed = NULL;
    snprintf(r->client, sizeof r->client, "%s", client_id);
    registry_answer(r, op);
}

static void registry_list(void *self, struct burrow_registry_op *op)
{
    struct registry *r = self;
    if (r->listed != NULL)
        r->host->listed(op, r->listed);
    if (r->list_is_stuck)
        r->op = op;
    else
        r->host->done(op, 0, NULL);
}

static void registry_cancel(void *self, struct burrow_registry_op *op)
{
    struct registry *r = self;
    assert_ptr_equal(op, r->op);
    r->cancelled++;
}

static const struct burrow_registry_ops registry_ops = {
    .size = sizeof registry_ops,
    .bind = registry_bind,
    .publish = registry_publish,
    .withdraw = registry_withdraw,
    .list = registry_list,
    .cancel = registry_cancel,
};

/* ---- the rig ---- */

int rig_setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    log_init(&rig.log, STDERR_FILENO, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    recorder_init(&rig.recorder, "transport-ws");
    rig.script.result = BURROW_AUTH_ALLOW;
    rig.auth = (struct instance){
        .kind = BURROW_KIND_AUTH, .name = "auth-script", .ops = &auth_ops, .self = &rig.script};
    rig.registry_instance = (struct instance){.kind = BURROW_KIND_REGISTRY,
                                              .name = "registry-script",
                                              .ops = &registry_ops,
                                              .self = &rig.registry};
    rig.instances[0] = &rig.recorder.instance;
    rig.instances[1] = &rig.auth;
    rig.instances[2] = &rig.registry_instance;
    rig.worker_count = 1;
    rig.options = (struct server_options){
        .server_addr = "127.0.0.1:0",
        .bridge_host = "127.0.0.1",
        .enable_client_api = "auto",
        .heartbeat_interval = 3600000,
        .heartbeat_timeout = 86400000,
        .sweep_interval = 60000,
        .stale_service_age = 600000,
        .max_clients = 3,
        .max_streams = 4,
        .buffer_limit = 1 << 20,
    };
    *state = &rig;
    return 0;
}

static void on_stopped(void *arg)
{
    ((struct rig *)arg)->stopped++;
}

void rig_start(struct rig *rig)
{
    rig->workers[0] = (struct instance_group){rig->loop, &rig->log, rig->instances, 3};
    if (rig->workers[1].loop == NULL)
        rig->workers[1] = (struct instance_group){rig->loop, &rig->log, rig->instances, 1};
    const struct server_config config = {.options = &rig->options,
                                         .workers = rig->workers,
                                         .worker_count = rig->worker_count,
                                         .loop = rig->loop,
                                         .log = &rig->log,
                                         .instances = rig->instances,
                                         .instance_count = 3,
                                         .stopped = on_stopped,
                                         .arg = rig};
    struct error err = {0};
    assert_int_equal(server_create(&config, &rig->server, &err), 0);
    assert_int_equal(server_start(rig->server, &err), 0);
    rig->listener = (struct listener){.server = rig->server,
                                      .transport = &rig->server->workers[0].transports[0]};
}

void rig_settle(struct rig *rig)
{
    fake_loop_settle(rig->loop);
    recorder_settle(&rig->recorder);
    fake_loop_settle(rig->loop);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    server_destroy(rig->server);
    rig->server = NULL;
    rig_settle(rig);
    recorder_finish(&rig->recorder);
    assert_int_equal(fake_loop_timer_count(rig->loop), 0);
    assert_int_equal(fake_loop_watch_count(rig->loop), 0);
    loop_destroy(rig->loop);
    return 0;
}

static struct recorder_conn *accept_at(struct rig *rig, struct listener *listener)
{
    const struct burrow_addr peer = {.family = 4, .port = 1, .bytes = {127, 0, 0, 1}};
    handshake_begin(&listener->server->workers[0], listener->transport,
                    open("/dev/null", O_RDONLY | O_CLOEXEC), &peer);
    return rig->recorder.conns;
}

struct recorder_conn *rig_accept(struct rig *rig)
{
    return accept_at(rig, &rig->listener);
}

struct recorder_conn *rig_admitted(struct rig *rig)
{
    struct recorder_conn *conn = rig_accept(rig);
    recorder_credential(conn, "t");
    fake_loop_settle(rig->loop);
    assert_int_equal(conn->admitted, BURROW_AUTH_ALLOW);
    recorder_open(conn);
    return conn;
}

struct control *rig_register(const char *client_id, char instance_digit)
{
    struct control *reg = calloc(1, sizeof *reg);
    assert_non_null(reg);
    reg->type = CONTROL_REGISTER;
    snprintf(reg->client_id, sizeof reg->client_id, "%s", client_id);
    reg->has_meta = true;
    reg->protocol = 2;
    memset(reg->instance, instance_digit, CONTROL_INSTANCE - 1);
    reg->window = reg->max_frame = 16384;
    reg->service_count = 1;
    reg->services[0].id = 1;
    snprintf(reg->services[0].target, sizeof reg->services[0].target, "127.0.0.1:9");
    return reg;
}

void rig_send_register(struct recorder_conn *conn, struct control *reg)
{
    recorder_control(conn, FRAME_V1, reg);
    control_finish(reg);
    free(reg);
}

struct recorder_conn *rig_client(struct rig *rig, const char *client_id, char instance_digit)
{
    struct recorder_conn *conn = rig_admitted(rig);
    rig_send_register(conn, rig_register(client_id, instance_digit));
    rig_settle(rig);
    assert_false(conn->closing);
    struct client_record *record = rig_record(rig, client_id);
    assert_non_null(record->attachment);
    return conn;
}

void rig_expect_error(const struct recorder_conn *conn, uint8_t version, const char *code)
{
    struct control *error = calloc(1, sizeof *error);
    uint8_t seen = 0;
    assert_true(recorder_find(conn, CONTROL_ERROR, error, &seen));
    assert_string_equal(error->code, code);
    assert_int_equal(seen, version);
    assert_true(conn->closing);
    control_finish(error);
    free(error);
}

struct client_record *rig_record(struct rig *rig, const char *client_id)
{
    struct client_record *record = clients_find(rig->server, client_id);
    assert_non_null(record);
    return record;
}

int rig_dial_bridge(struct rig *rig, const char *client_id)
{
    const struct bridge *b = TAILQ_FIRST(&rig_record(rig, client_id)->bridges);
    struct sockaddr_storage ss;
    socklen_t len = address_to_sockaddr(&b->acceptor.local, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&ss, len), 0);
    fake_loop_settle(rig->loop);
    return fd;
}

bool rig_was_reset(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
    return n < 0 && errno == ECONNRESET;
}
