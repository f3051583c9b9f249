/* SPDX-License-Identifier: Apache-2.0 */
/* The client's rig: see rig.h. */
#include "rig.h"

#include "base/address.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const TARGETS[] = {"127.0.0.1:9"};

int setup(void **state)
{
    static struct rig rig;
    memset(&rig, 0, sizeof rig);
    rig.loop = loop_create();
    /* TCP is real: whoever listens at all addresses of loopback lets the client in. */
    struct sockaddr_in any = {.sin_family = AF_INET};
    socklen_t len = sizeof any;
    rig.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rig.listener, (struct sockaddr *)(void *)&any, len), 0);
    assert_int_equal(listen(rig.listener, 64), 0);
    assert_int_equal(getsockname(rig.listener, (struct sockaddr *)(void *)&any, &len), 0);
    rig.port = ntohs(any.sin_port);
    snprintf(rig.url, sizeof rig.url, "ws://server.test:%u/ws", (unsigned)rig.port);
    log_init(&rig.log, STDERR_FILENO, BURROW_LOG_ERROR + 1, LOG_LOGFMT);
    recorder_init(&rig.recorder, "transport-ws");
    rig.options = (struct client_options){
        .server_url = rig.url,
        .client_id = "pg",
        .local_target = {.items = TARGETS, .count = 1},
        .bearer_token = {(const uint8_t *)"abc", 3},
        .token_refresh_window = 30000,
        .client_retry_interval = 1000,
        .client_auth_retry_interval = 5000,
        .max_streams = 1024,
        .buffer_limit = 1 << 20,
    };
    struct burrow_addr addrs[2];
    assert_int_equal(address_parse_literal("127.0.0.1", 0, &addrs[0]), 0);
    assert_int_equal(address_parse_literal("127.0.0.2", 0, &addrs[1]), 0);
    fake_loop_add_host(rig.loop, "server.test", addrs, 2);
    *state = &rig;
    return 0;
}

void settle(struct rig *rig)
{
    fake_loop_settle(rig->loop);
    recorder_settle(&rig->recorder);
    fake_loop_settle(rig->loop);
}

int teardown(void **state)
{
    struct rig *rig = *state;
    client_destroy(rig->client);
    settle(rig);
    recorder_finish(&rig->recorder);
    assert_int_equal(fake_loop_timer_count(rig->loop), 0);
    loop_destroy(rig->loop);
    close(rig->listener);
    if (rig->file[0] != '\0')
        unlink(rig->file);
    return 0;
}

static void on_stopped(void *arg)
{
    ((struct rig *)arg)->stopped++;
}

void start(struct rig *rig)
{
    struct error err = {0};
    struct instance *instances[] = {&rig->recorder.instance};
    static struct instance *kept[1];
    kept[0] = instances[0];
    const struct client_config config = {.options = &rig->options,
                                         .loop = rig->loop,
                                         .log = &rig->log,
                                         .instances = kept,
                                         .instance_count = 1,
                                         .stopped = on_stopped,
                                         .arg = rig};
    assert_int_equal(client_create(&config, &rig->client, &err), 0);
    assert_int_equal(client_start(rig->client, &err), 0);
    fake_loop_settle(rig->loop);
}

void answer_with(struct rig *rig, const char *session, uint32_t heartbeat_ms, uint32_t timeout_ms)
{
    struct control *ack = calloc(1, sizeof *ack);
    ack->type = CONTROL_REGISTER_ACK;
    snprintf(ack->session_id, sizeof ack->session_id, "%s", session);
    ack->has_meta = true;
    ack->protocol = 2;
    ack->window = ack->max_frame = 16384;
    ack->heartbeat_ms = heartbeat_ms;
    ack->timeout_ms = timeout_ms;
    ack->service_count = 1;
    ack->services[0].id = 1;
    snprintf(ack->services[0].bridge, sizeof ack->services[0].bridge, "127.0.0.1:1");
    recorder_control(rig->recorder.conns, FRAME_V1, ack);
    free(ack);
}

void answer(struct rig *rig, const char *session)
{
    answer_with(rig, session, 3600000, 86400000);
}

void send_error(struct rig *rig, uint8_t version, const char *code)
{
    struct control *error = calloc(1, sizeof *error);
    error->type = CONTROL_ERROR;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "because");
    recorder_control(rig->recorder.conns, version, error);
    free(error);
    settle(rig);
}

void get_connected(struct rig *rig)
{
    start(rig);
    recorder_open(rig->recorder.conns);
    answer(rig, "sess-1");
    fake_loop_settle(rig->loop);
    assert_int_equal(rig->client->state, CLIENT_CONNECTED);
}

void write_token(struct rig *rig, const char *text)
{
    FILE *f = fopen(rig->file, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

void use_file(struct rig *rig)
{
    snprintf(rig->file, sizeof rig->file, "%s/burrow-client-XXXXXX", P_tmpdir);
    int fd = mkstemp(rig->file);
    assert_true(fd >= 0);
    close(fd);
    write_token(rig, ENDS_IN_A_MINUTE);
    rig->options.bearer_token.data = NULL;
    rig->options.bearer_token_file = rig->file;
}
