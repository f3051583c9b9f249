/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONTROL frames: JSON with limits (16 KiB, depth 8, no member twice, no NUL and nothing but
 * UTF-8 in strings). Unknown members and types are ignored. The encoder gives a malloc'ed
 * text; the decoder gives a struct whose strings belong to the struct.
 */
#ifndef WIRE_CONTROL_H
#define WIRE_CONTROL_H

#include "base/error.h"

#include <stdbool.h>

#define CONTROL_MAX_SERVICES 64
#define CONTROL_MAX_CLIENT_ID 128
#define CONTROL_V1_MISMATCH "client identity mismatch" /* version 1's one error of a connection */
#define CONTROL_INSTANCE 33                            /* 32 hex digits and NUL */

enum control_type {
    CONTROL_UNKNOWN, /* ignored */
    CONTROL_REGISTER,
    CONTROL_REGISTER_ACK,
    CONTROL_ERROR,
    CONTROL_SERVICES, /* the client's new list; in an established session */
    CONTROL_SERVICES_ACK,
    CONTROL_TOKEN, /* the client's newer token; in an established session */
    CONTROL_TOKEN_ACK,
    CONTROL_DRAIN, /* the sender takes no new streams */
    /* Of version 1 only. */
    CONTROL_OPEN,
    CONTROL_OPEN_ACK,
    CONTROL_CLOSE,
    CONTROL_HEARTBEAT,
    CONTROL_HEARTBEAT_ACK,
    /* The later ones of version 2 take their places here, in the table of types and in the
     * table of members of control.c. */
};

struct control_service {
    uint16_t id;
    uint16_t port;    /* offered: wanted bridge port, 0: any */
    char name[64];    /* [a-z0-9-], may be "" */
    char target[256]; /* offered */
    char bridge[64];  /* answered: HOST:PORT, "" when bridges are off or code is set */
    char code[32];    /* answered: why it was refused, "" when it was not */
    char message[128];
};

/* What one control says; a member that its type does not have, or that was not there, is
 * zero. A version 1 peer's `meta`, if it has one, carries no `protocol`: it is ignored. */
struct control {
    enum control_type type;
    uint64_t stream_id; /* version 1: of open, open_ack, close, error; 0: of the connection, or
                         * left out */
    char client_id[CONTROL_MAX_CLIENT_ID + 1];
    char target[256]; /* register, open */
    char session_id[64];
    char previous_session_id[64];
    bool has_meta; /* false: a version 1 peer's register; its other members are zero then */
    uint32_t protocol;
    char instance[CONTROL_INSTANCE];
    char agent[64];
    uint32_t window;    /* bytes, small window before ACCEPT */
    uint32_t max_frame; /* bytes of payload, 16 to 64 KiB */
    char *token;        /* register, token: NULL if none; wiped by control_finish */
    uint32_t heartbeat_ms, timeout_ms;
    int64_t expires_ms;                                    /* 0: never */
    struct control_service services[CONTROL_MAX_SERVICES]; /* register*, services* */
    size_t service_count;
    uint32_t serial;      /* services*, token*: the ack repeats it */
    uint32_t deadline_ms; /* drain: how long running streams have, from now */
    char code[32];        /* error: "" from a version 1 peer; token_ack: "" when it is taken */
    char message[256];    /* cut when it was longer, as is agent */
};

/*
 * Decodes p[0..n). BURROW_EPROTO, with a reason in err that quotes nothing of the peer's:
 * not JSON, too large or deep, a member of a wrong type or out of range, a member missing
 * that its type must have (register: client_id; in a meta of protocol 2 or higher: window
 * and max_frame, register's instance, register_ack's heartbeat_ms and timeout_ms; services
 * and services_ack: serial and services; token: serial and token; token_ack: serial). ret must be
 * finished after success.
 */
int control_decode(struct control *ret, const void *p, size_t n, struct error *err);
void control_finish(struct control *c); /* wipes the token; c may be finished twice */

/*
 * *ret_text is malloc'ed JSON with a NUL that *ret_len does not count and no final newline.
 * Only what is set is written (meta when has_meta). BURROW_EINVAL: a member is not what a
 * decoder takes (no UTF-8, out of range); BURROW_ENOMEM: no memory, or over 16 KiB.
 */
int control_encode(const struct control *c, char **ret_text, size_t *ret_len);
/* The version of the wire that the sender of a register or register_ack means. */
static inline uint32_t control_protocol(const struct control *c)
{
    return c->has_meta ? c->protocol : 1;
}
/* Wipes, since a register may carry a token, and frees. NULL is allowed. */
void control_text_free(char *text, size_t len);

#endif
