/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONTROL frames: JSON with limits (16 KiB, depth 8, no duplicate members refused by
 * jansson's JSON_REJECT_DUPLICATES). Unknown members and types are ignored. Encoders give
 * a malloc'ed text; decoders give structs whose strings belong to the struct.
 */
#ifndef WIRE_CONTROL_H
#define WIRE_CONTROL_H

#include "base/error.h"

#include <stdbool.h>

#define CONTROL_MAX_SERVICES 64
#define CONTROL_MAX_CLIENT_ID 128
#define CONTROL_INSTANCE 33 /* 32 hex digits and NUL */

enum control_type {
    CONTROL_UNKNOWN, /* ignored */
    CONTROL_REGISTER,
    CONTROL_REGISTER_ACK,
    CONTROL_ERROR,
    /* version 1 and the later controls of version 2 take their places here */
};

struct control_service {
    uint16_t id;
    uint16_t port;    /* register: wanted bridge port, 0: any */
    char name[64];    /* [a-z0-9-], may be "" */
    char target[256]; /* register */
    char bridge[64];  /* ack: HOST:PORT, "" when bridges are off or code is set */
    char code[32];    /* ack: why it was refused, "" when it was not */
    char message[128];
};

/* register and register_ack; a member that the type does not have is zero. */
struct control {
    enum control_type type;
    char client_id[CONTROL_MAX_CLIENT_ID + 1];
    char target[256];
    char session_id[64];
    char previous_session_id[64];
    bool has_meta; /* false: a version 1 peer */
    uint32_t protocol;
    char instance[CONTROL_INSTANCE];
    char agent[64];
    uint32_t window;    /* bytes, small window before ACCEPT */
    uint32_t max_frame; /* bytes of payload */
    char *token;        /* register: NULL if none; wiped by control_finish */
    uint32_t heartbeat_ms, timeout_ms;
    int64_t expires_ms; /* 0: never */
    struct control_service services[CONTROL_MAX_SERVICES];
    size_t service_count;
    char code[32]; /* error */
    char message[256];
};

/* Decodes p[0..n). BURROW_EPROTO with a constant-ish reason in err: not JSON, too deep, a
 * member of a wrong type or out of range. ret must be finished after success. */
int control_decode(struct control *ret, const void *p, size_t n, struct error *err);
void control_finish(struct control *c);
/* *ret_text is malloc'ed JSON without a final newline. Only what is set is written. */
int control_encode(const struct control *c, char **ret_text, size_t *ret_len);

#endif
