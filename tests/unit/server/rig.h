/* SPDX-License-Identifier: Apache-2.0 */
/* A server on a fake loop, with plugins that the test scripts. */
#ifndef SERVER_RIG_H
#define SERVER_RIG_H

#include "fake_loop.h"
#include "recorder.h"
#include "server/internal.h"

/* How the scripted auth plugin answers. */
struct script {
    uint32_t result, code; /* result 0: not now */
    const char *subject;   /* NULL: any */
    const char *grants;    /* JSON, NULL: none */
    int64_t expires_ms;
    const struct burrow_auth_host *host;
    struct burrow_auth_request *request; /* the last question */
    unsigned asked;
    uint32_t method;
    char token[64];
    size_t cert_len; /* of the last question */
};

struct registry {
    const struct burrow_registry_host *host;
    int32_t result; /* of what is answered at once; INT32_MAX: not now */
    struct burrow_registry_op *op;
    unsigned published, withdrawn, cancelled;
    uint32_t services;
    char client[64], target[64];
    uint16_t port;
    const char *listed; /* what list names, or NULL */
    bool list_is_stuck;
};

struct rig {
    struct loop *loop;
    struct log log;
    struct recorder recorder;
    struct script script;
    struct registry registry;
    struct instance auth, registry_instance;
    struct instance *instances[3];
    struct instance_group workers[2]; /* the first with all of them; the second, unless
                                          the test has made it, on the same loop */
    size_t worker_count;              /* 1, but where a test sets it before rig_start */
    struct server_options options;
    struct server *server;
    struct listener listener;
    unsigned stopped;
};

/* For cmocka: *state is the rig. The server is created by rig_start. */
int rig_setup(void **state);
int rig_teardown(void **state);
void rig_start(struct rig *rig);
/* Runs the loop and delivers what was closed, until nothing moves. */
void rig_settle(struct rig *rig);

/* A new incoming connection; the newest of the recorder. */
struct recorder_conn *rig_accept(struct rig *rig);
/* One whose credential was allowed and which is open. */
struct recorder_conn *rig_admitted(struct rig *rig);
/* A register of protocol 2 with one service; malloc'ed. */
struct control *rig_register(const char *client_id, char instance_digit);
/* Sends it over the connection and frees it. */
void rig_send_register(struct recorder_conn *conn, struct control *reg);
/* Connects a client with this id and instance from the start; its session is there. */
struct recorder_conn *rig_client(struct rig *rig, const char *client_id, char instance_digit);
/* Fails unless the connection was sent an error of this code in a frame of the version. */
void rig_expect_error(const struct recorder_conn *conn, uint8_t version, const char *code);
struct client_record *rig_record(struct rig *rig, const char *client_id);
/* The first bridge of the client; connects a blocking socket to it. */
int rig_dial_bridge(struct rig *rig, const char *client_id);
/* True when the socket was reset. */
bool rig_was_reset(int fd);

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

#endif
