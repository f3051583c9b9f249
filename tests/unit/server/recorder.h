/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugin instances without plugins, for tests of the server and the client: a transport that
 * records what is done to its connections and lets the test play the peer, and instances
 * around any ops. It implements the part of plugin/plugin.h that the two use.
 */
#ifndef SERVER_RECORDER_H
#define SERVER_RECORDER_H

#include "plugin/plugin.h"
#include "tunnel/link.h"
#include "wire/control.h"
#include "wire/frame.h"

#include <stdbool.h>

struct instance {
    uint32_t kind;
    const char *name;
    const void *ops;
    void *self;
    struct plugin_faults faults;
};

#define RECORDER_OUT 65536

struct recorder_conn {
    struct recorder *recorder;
    struct recorder_conn *next;
    struct burrow_link *link;
    bool incoming, closing, closed, read_off;
    uint32_t role;
    uint32_t admitted, admit_code; /* by ops->admit; 0: not yet */
    uint64_t admit_request;
    uint32_t close_code;
    size_t queued; /* as the test says */
    char why[160];
    uint8_t out[RECORDER_OUT]; /* what the core sent */
    size_t out_len;
    uint32_t status; /* of the last HTTP response */
    char body[16384];
    char token[256]; /* of a dial; "" if none */
    struct burrow_addr addr;
};

struct recorder {
    struct burrow_transport_ops ops; /* a test may change the flags */
    struct instance instance;
    struct recorder_conn *conns; /* newest first */
    unsigned count;
    bool refuse; /* accept and dial fail */
};

void recorder_init(struct recorder *recorder, const char *name);
/* Delivers `closed` to the connections that the core has closed. */
void recorder_settle(struct recorder *recorder);
void recorder_finish(struct recorder *recorder); /* frees; all must have closed */

/* The peer's part. */
void recorder_credential(struct recorder_conn *conn, const char *token);
/* A client certificate without a token: by a transport that has a place for tokens, or by one
 * that carries nothing else. */
void recorder_certificate(struct recorder_conn *conn, uint32_t method);
void recorder_open(struct recorder_conn *conn);
void recorder_data(struct recorder_conn *conn, const void *p, size_t n); /* one message */
/* A CONTROL frame of this version. */
void recorder_control(struct recorder_conn *conn, uint8_t version, const struct control *control);
void recorder_closed(struct recorder_conn *conn, uint32_t code, uint32_t http_status,
                     uint32_t auth_code, const char *reason);
void recorder_http(struct recorder_conn *conn, const struct burrow_http *request);

/* The first control of the type among what the core sent; finish it. Its header's version is
 * put into *ret_version (may be NULL). false: none. */
bool recorder_find(const struct recorder_conn *conn, enum control_type type, struct control *ret,
                   uint8_t *ret_version);

#endif
