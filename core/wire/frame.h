/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of the wire protocol: one header of 14 bytes for both versions,
 *
 *   version u8 | kind u8 | stream u64 | length u32 | payload       (big-endian)
 *
 * encoders for the small frames of version 2, and a parser that takes bytes in any split
 * and never copies DATA. Pure: no I/O, no allocation. docs/wire.md describes the protocol.
 */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/checked.h"

#include <burrow/plugin.h>

#define FRAME_HEADER 14u
#define FRAME_MAX_PAYLOAD 65536u       /* of any frame */
#define FRAME_LEAST_MAX_PAYLOAD 16384u /* that everybody must take */
#define FRAME_MAX_CONTROL 16384u       /* of a CONTROL frame's JSON */
#define FRAME_MAX_SMALL 1024u          /* of OPEN and RESET */
#define FRAME_V1 1u
#define FRAME_V1_MAX_DATA 32768u /* payload of DATA in version 1 */
#define FRAME_V2 2u

enum frame_kind {
    FRAME_CONTROL = 1,
    FRAME_DATA = 2,
    FRAME_OPEN = 3,
    FRAME_ACCEPT = 4,
    FRAME_WINDOW = 5,
    FRAME_FIN = 6,
    FRAME_RESET = 7,
    FRAME_PING = 8,
    FRAME_PONG = 9,
};

/* Why a stream was reset; the wire's numbers. */
enum reset_code {
    RESET_REFUSED = 1,
    RESET_UNREACHABLE = 2,
    RESET_TIMED_OUT = 3,
    RESET_NOT_ALLOWED = 4,
    RESET_PEER_RESET = 5,
    RESET_LIMIT = 6,
    RESET_GOING_AWAY = 7,
    RESET_PROTOCOL = 8,
    RESET_INTERNAL = 9,
    RESET_WITHDRAWN = 10,
};
const char *reset_code_name(uint32_t code); /* "refused", … "unknown"; for logs and metrics */

struct frame_header {
    uint8_t version, kind;
    uint64_t stream;
    uint32_t length;
};

void frame_header_encode(uint8_t p[FRAME_HEADER], const struct frame_header *h);
void frame_header_decode(struct frame_header *ret, const uint8_t p[FRAME_HEADER]);

/* An OPEN's content. */
struct frame_open {
    uint16_t service;
    uint64_t limit;
    struct burrow_addr source, destination; /* family 0: not told */
};

/* Each writes a whole version 2 frame at p, which has room for it, and returns its length.
 * reset_encode cuts text to 256 bytes. */
#define FRAME_SMALL_ROOM 320u
size_t frame_open_encode(uint8_t *p, uint64_t stream, const struct frame_open *open);
size_t frame_accept_encode(uint8_t *p, uint64_t stream, uint64_t limit);
size_t frame_window_encode(uint8_t *p, uint64_t stream, uint64_t consumed, uint64_t limit);
size_t frame_fin_encode(uint8_t *p, uint64_t stream, uint64_t final_offset);
size_t frame_reset_encode(uint8_t *p, uint64_t stream, uint32_t code, const char *text);
size_t frame_ping_encode(uint8_t *p, enum frame_kind ping_or_pong, uint64_t value);

/* Payload decoders: 0, or BURROW_EPROTO when the length or content is wrong. */
int frame_open_decode(struct frame_open *ret, const uint8_t *p, size_t n);
int frame_u64_decode(uint64_t *ret, const uint8_t *p, size_t n); /* ACCEPT FIN PING PONG */
int frame_window_decode(uint64_t *ret_consumed, uint64_t *ret_limit, const uint8_t *p, size_t n);
/* The text is not NUL-terminated and points into p. */
int frame_reset_decode(uint32_t *ret_code, const char **ret_text, size_t *ret_len, const uint8_t *p,
                       size_t n);

/*
 * The parser. Feed it received bytes; it calls `frame` once for every frame but DATA with
 * the whole payload, and `data` for each piece of a DATA payload as it comes (at least once
 * per frame, n = 0 for an empty one; end: the last piece of this frame). All return 0, a
 * negative code that ends the feeding and is passed on (the parser is then finished), or
 * FRAME_STOP. Payloads are borrowed for the call; pieces of DATA point into the bytes that
 * were fed. The parser is neither fed nor freed inside a callback.
 */
#define FRAME_STOP 1 /* enough: feed returns it, and `consumed` tells where it stopped */

struct frame_sink {
    int (*frame)(void *arg, const struct frame_header *h, const uint8_t *payload);
    int (*data)(void *arg, uint64_t stream, const uint8_t *p, size_t n, bool end);
    int (*skipped)(void *arg); /* a frame of an unknown kind has ended; NULL: nobody asks */
};

struct frame_parser {
    uint8_t header[FRAME_HEADER];
    uint32_t have;       /* bytes of the header that came */
    uint32_t remaining;  /* of the payload, once the header is complete */
    uint32_t small_have; /* bytes gathered of a payload that was split */
    uint8_t version;     /* the one expected */
    uint8_t broken;
    uint8_t skip;    /* the payload of an unknown kind */
    uint8_t *gather; /* room for a split payload, FRAME_MAX_CONTROL bytes, the caller's */
    size_t consumed; /* bytes that the last feed took: all of them, or those before a stop */
    struct frame_header h;
};

/* gather may be shared by nobody else while the parser lives. */
void frame_parser_init(struct frame_parser *parser, uint8_t version, uint8_t *gather);
/*
 * 0: all n bytes were taken. FRAME_STOP: the sink stopped; the bytes from p + consumed on
 * were not looked at and may be fed again, here or to a parser of another version (whoever
 * reads one register frame of version 1 goes on in version 2 so). Negative: the sink's code,
 * or BURROW_EPROTO with a constant text in *ret_error (untouched in all other cases).
 *
 * A wrong version, an unknown length for its kind, a stream id that does not fit the kind (0
 * for DATA, not 0 for PING) are errors; unknown kinds are skipped (their length is still
 * bounded by FRAME_MAX_PAYLOAD). Version 1 has the kinds CONTROL and DATA, whose stream ids
 * are not judged here.
 */
int frame_parser_feed(struct frame_parser *parser, const uint8_t *p, size_t n,
                      const struct frame_sink *sink, void *arg, const char **ret_error);
/* Bytes are pending inside a frame. */
bool frame_parser_in_frame(const struct frame_parser *parser);

#endif
