/* SPDX-License-Identifier: Apache-2.0 */
/* A client on a fake loop, over a transport that only records. */
#ifndef CLIENT_RIG_H
#define CLIENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/internal.h"
#include "fake_loop.h"
#include "recorder.h"

struct rig {
    struct loop *loop;
    struct log log;
    struct recorder recorder;
    struct client_options options;
    struct client *client;
    unsigned stopped;
    char file[64], url[64];
    int listener;
    uint16_t port;
};

/* For cmocka: *state is the rig. */
int setup(void **state);
int teardown(void **state);
void settle(struct rig *rig);

/* Starts the client; the newest connection is its first dial. */
void start(struct rig *rig);
/* The server's register_ack over the newest connection. */
void answer_with(struct rig *rig, const char *session, uint32_t heartbeat_ms, uint32_t timeout_ms);
void answer(struct rig *rig, const char *session);
void send_error(struct rig *rig, uint8_t version, const char *code);
void get_connected(struct rig *rig);

/* {"exp":1700000060}: a minute after the fake clock's beginning. */
#define ENDS_IN_A_MINUTE "e30.eyJleHAiOjE3MDAwMDAwNjB9.x"
/* The client reads its token from a file, which holds ENDS_IN_A_MINUTE. */
void use_file(struct rig *rig);
void write_token(struct rig *rig, const char *text);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
