/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to and from bytes. Which kinds there are, how long each may be and whether it
 * belongs to a stream stands in one table; the parser checks a header against it before it
 * looks at any payload, so that nobody behind it sees a frame of an impossible form.
 */
#include "wire/frame.h"

#include "base/object.h"

#include <string.h>

#define RESET_TEXT_MAX 256u

#define OPEN_FIXED 10u /* service and limit */
#define OPEN_ATTR_SOURCE 1u
#define OPEN_ATTR_DESTINATION 2u

_Static_assert(FRAME_HEADER + 4 + RESET_TEXT_MAX <= FRAME_SMALL_ROOM, "a RESET fits");
_Static_assert(FRAME_HEADER + OPEN_FIXED + 2 * (2 + 18) <= FRAME_SMALL_ROOM, "an OPEN fits");
_Static_assert(FRAME_MAX_SMALL <= FRAME_MAX_CONTROL, "gather holds every small frame");

enum stream_rule { STREAM_ANY, STREAM_ZERO, STREAM_NONZERO };

struct kind_rule {
    uint32_t min, max; /* of the payload; max 0: the kind is unknown */
    enum stream_rule stream;
};

#define KINDS 10u
static const struct kind_rule RULES_V2[KINDS] = {
    [FRAME_CONTROL] = {2, FRAME_MAX_CONTROL, STREAM_ZERO},
    [FRAME_DATA] = {0, FRAME_MAX_PAYLOAD, STREAM_NONZERO},
    [FRAME_OPEN] = {OPEN_FIXED, FRAME_MAX_SMALL, STREAM_NONZERO},
    [FRAME_ACCEPT] = {8, 8, STREAM_NONZERO},
    [FRAME_WINDOW] = {16, 16, STREAM_NONZERO},
    [FRAME_FIN] = {8, 8, STREAM_NONZERO},
    [FRAME_RESET] = {4, FRAME_MAX_SMALL, STREAM_NONZERO},
    [FRAME_PING] = {8, 8, STREAM_ZERO},
    [FRAME_PONG] = {8, 8, STREAM_ZERO},
};

/* In version 1 a control frame's stream id stands in its JSON, and data for a stream that
 * is not there is ignored by whoever keeps the streams. */
static const struct kind_rule RULES_V1[KINDS] = {
    [FRAME_CONTROL] = {2, FRAME_MAX_CONTROL, STREAM_ANY},
    [FRAME_DATA] = {0, FRAME_V1_MAX_DATA, STREAM_ANY},
};

const char *reset_code_name(uint32_t code)
{
    static const char *const names[] = {
        [RESET_REFUSED] = "refused",       [RESET_UNREACHABLE] = "unreachable",
        [RESET_TIMED_OUT] = "timed_out",   [RESET_NOT_ALLOWED] = "not_allowed",
        [RESET_PEER_RESET] = "peer_reset", [RESET_LIMIT] = "limit",
        [RESET_GOING_AWAY] = "going_away", [RESET_PROTOCOL] = "protocol",
        [RESET_INTERNAL] = "internal",     [RESET_WITHDRAWN] = "withdrawn",
    };
    if (code >= sizeof names / sizeof names[0] || names[code] == NULL)
        return "unknown";
    return names[code];
}

void frame_header_encode(uint8_t p[FRAME_HEADER], const struct frame_header *h)
{
    p[0] = h->version;
    p[1] = h->kind;
    put_u64(p + 2, h->stream);
    put_u32(p + 10, h->length);
}

void frame_header_decode(struct frame_header *ret, const uint8_t p[FRAME_HEADER])
{
    ret->version = p[0];
    ret->kind = p[1];
    ret->stream = get_u64(p + 2);
    ret->length = get_u32(p + 10);
}

/* Puts the header before `length` payload bytes that stand at p + FRAME_HEADER. */
static size_t finish(uint8_t *p, enum frame_kind kind, uint64_t stream, size_t length)
{
    const struct frame_header h = {FRAME_V2, (uint8_t)kind, stream, (uint32_t)length};
    frame_header_encode(p, &h);
    return FRAME_HEADER + length;
}

static size_t address_size(uint8_t family)
{
    return family == 4 ? 4 : family == 6 ? 16 : 0;
}

/* Writes one attribute, or nothing when the address is not told. */
static size_t put_address(uint8_t *p, uint8_t type, const struct burrow_addr *addr)
{
    const size_t size = address_size(addr->family);
    if (size == 0)
        return 0;
    p[0] = type;
    p[1] = (uint8_t)(size + 2);
    memcpy(p + 2, addr->bytes, size);
    put_u16(p + 2 + size, addr->port);
    return 2 + size + 2;
}

size_t frame_open_encode(uint8_t *p, uint64_t stream, const struct frame_open *open)
{
    uint8_t *const payload = p + FRAME_HEADER;
    size_t n = OPEN_FIXED;
    put_u16(payload, open->service);
    put_u64(payload + 2, open->limit);
    n += put_address(payload + n, OPEN_ATTR_SOURCE, &open->source);
    n += put_address(payload + n, OPEN_ATTR_DESTINATION, &open->destination);
    return finish(p, FRAME_OPEN, stream, n);
}

size_t frame_accept_encode(uint8_t *p, uint64_t stream, uint64_t limit)
{
    put_u64(p + FRAME_HEADER, limit);
    return finish(p, FRAME_ACCEPT, stream, 8);
}

size_t frame_window_encode(uint8_t *p, uint64_t stream, uint64_t consumed, uint64_t limit)
{
    put_u64(p + FRAME_HEADER, consumed);
    put_u64(p + FRAME_HEADER + 8, limit);
    return finish(p, FRAME_WINDOW, stream, 16);
}

size_t frame_fin_encode(uint8_t *p, uint64_t stream, uint64_t final_offset)
{
    put_u64(p + FRAME_HEADER, final_offset);
    return finish(p, FRAME_FIN, stream, 8);
}

size_t frame_reset_encode(uint8_t *p, uint64_t stream, uint32_t code, const char *text)
{
    const size_t n = text != NULL ? strnlen(text, RESET_TEXT_MAX) : 0;
    put_u32(p + FRAME_HEADER, code);
    if (n > 0)
        memcpy(p + FRAME_HEADER + 4, text, n);
    return finish(p, FRAME_RESET, stream, 4 + n);
}

size_t frame_ping_encode(uint8_t *p, enum frame_kind ping_or_pong, uint64_t value)
{
    put_u64(p + FRAME_HEADER, value);
    return finish(p, ping_or_pong, 0, 8);
}

static int get_address(struct burrow_addr *ret, const uint8_t *p, size_t n)
{
    struct burrow_addr addr = {.family = n == 4 + 2 ? 4 : n == 16 + 2 ? 6 : 0};
    if (addr.family == 0 && n != 0)
        return BURROW_EPROTO;
    if (n != 0) {
        memcpy(addr.bytes, p, n - 2);
        addr.port = get_u16(p + n - 2);
    }
    *ret = addr;
    return 0;
}

int frame_open_decode(struct frame_open *ret, const uint8_t *p, size_t n)
{
    struct frame_open open = {0};
    bool seen[3] = {false, false, false};
    if (n < OPEN_FIXED)
        return BURROW_EPROTO;
    open.service = get_u16(p);
    open.limit = get_u64(p + 2);
    for (size_t at = OPEN_FIXED; at < n;) {
        if (n - at < 2)
            return BURROW_EPROTO;
        const uint8_t type = p[at], length = p[at + 1];
        at += 2;
        if (n - at < length)
            return BURROW_EPROTO;
        if (type == OPEN_ATTR_SOURCE || type == OPEN_ATTR_DESTINATION) {
            struct burrow_addr *addr = type == OPEN_ATTR_SOURCE ? &open.source : &open.destination;
            if (seen[type] || get_address(addr, p + at, length) != 0)
                return BURROW_EPROTO;
            seen[type] = true;
        }
        at += length;
    }
    *ret = open;
    return 0;
}

int frame_u64_decode(uint64_t *ret, const uint8_t *p, size_t n)
{
    if (n != 8)
        return BURROW_EPROTO;
    *ret = get_u64(p);
    return 0;
}

int frame_window_decode(uint64_t *ret_consumed, uint64_t *ret_limit, const uint8_t *p, size_t n)
{
    if (n != 16)
        return BURROW_EPROTO;
    *ret_consumed = get_u64(p);
    *ret_limit = get_u64(p + 8);
    return 0;
}

int frame_reset_decode(uint32_t *ret_code, const char **ret_text, size_t *ret_len, const uint8_t *p,
                       size_t n)
{
    if (n < 4)
        return BURROW_EPROTO;
    *ret_code = get_u32(p);
    *ret_text = (const char *)p + 4;
    *ret_len = n - 4;
    return 0;
}

void frame_parser_init(struct frame_parser *parser, uint8_t version, uint8_t *gather)
{
    must(version == FRAME_V1 || version == FRAME_V2);
    *parser = (struct frame_parser){.version = version, .gather = gather};
}

bool frame_parser_in_frame(const struct frame_parser *parser)
{
    return parser->have != 0;
}

/* NULL, or what is wrong with the header. *ret_known: the kind has a meaning. */
static const char *check_header(const struct frame_parser *parser, bool *ret_known)
{
    const struct frame_header *h = &parser->h;
    if (h->version != parser->version)
        return "wrong version of a frame";
    const struct kind_rule *rules = parser->version == FRAME_V1 ? RULES_V1 : RULES_V2;
    *ret_known = h->kind < KINDS && rules[h->kind].max != 0;
    if (!*ret_known)
        return h->length > FRAME_MAX_PAYLOAD ? "a frame is too long" : NULL;
    const struct kind_rule *rule = &rules[h->kind];
    if (h->length < rule->min)
        return "a frame is too short for its kind";
    if (h->length > rule->max)
        return "a frame is too long for its kind";
    if (rule->stream == STREAM_ZERO && h->stream != 0)
        return "a frame of the connection names a stream";
    if (rule->stream == STREAM_NONZERO && h->stream == 0)
        return "a frame of a stream names none";
    return NULL;
}

/* Takes header bytes from *p; true when the header is complete. One that lies whole in the
 * fed bytes, as nearly all do in bulk, is not copied. */
static bool take_header(struct frame_parser *parser, const uint8_t **p, const uint8_t *end)
{
    if (parser->have == 0 && end - *p >= (ptrdiff_t)FRAME_HEADER) {
        frame_header_decode(&parser->h, *p);
        *p += FRAME_HEADER;
        parser->have = FRAME_HEADER;
        return true;
    }
    size_t n = FRAME_HEADER - parser->have;
    if (n > (size_t)(end - *p))
        n = (size_t)(end - *p);
    memcpy(parser->header + parser->have, *p, n);
    *p += n;
    parser->have += (uint32_t)n;
    if (parser->have < FRAME_HEADER)
        return false;
    frame_header_decode(&parser->h, parser->header);
    return true;
}

/* Takes n > 0 payload bytes of a frame that is handed on whole, or n = 0 of an empty one. */
static int take_small(struct frame_parser *parser, const uint8_t *p, size_t n,
                      const struct frame_sink *sink, void *arg)
{
    const uint8_t *payload = p;
    if (n < parser->h.length) {
        must(parser->small_have + n <= FRAME_MAX_CONTROL);
        memcpy(parser->gather + parser->small_have, p, n);
        parser->small_have += (uint32_t)n;
        payload = parser->gather;
    }
    if (parser->remaining != 0)
        return 0;
    parser->small_have = 0;
    parser->have = 0;
    return sink->frame(arg, &parser->h, payload);
}

/* Takes payload bytes from *p, or the nothing that an empty frame has. */
static int take_payload(struct frame_parser *parser, const uint8_t **p, const uint8_t *end,
                        const struct frame_sink *sink, void *arg)
{
    const uint8_t *const piece = *p;
    size_t n = (size_t)(end - *p);
    if (n > parser->remaining)
        n = parser->remaining;
    *p += n;
    parser->remaining -= (uint32_t)n;
    const bool whole = parser->remaining == 0;

    if (parser->h.kind == FRAME_DATA) {
        if (whole)
            parser->have = 0;
        return sink->data(arg, parser->h.stream, piece, n, whole);
    }
    if (parser->skip) {
        if (whole)
            parser->have = 0;
        return whole && sink->skipped != NULL ? sink->skipped(arg) : 0;
    }
    return take_small(parser, piece, n, sink, arg);
}

int frame_parser_feed(struct frame_parser *parser, const uint8_t *p, size_t n,
                      const struct frame_sink *sink, void *arg, const char **ret_error)
{
    const uint8_t *const start = p, *const end = n > 0 ? p + n : p;
    int result = 0;
    parser->consumed = 0;
    if (parser->broken) {
        *ret_error = "the connection has already failed";
        return BURROW_EPROTO;
    }
    while (result == 0 && p != end) {
        if (parser->have < FRAME_HEADER) {
            if (!take_header(parser, &p, end))
                break;
            bool known = false;
            const char *wrong = check_header(parser, &known);
            if (wrong != NULL) {
                *ret_error = wrong;
                result = BURROW_EPROTO;
                break;
            }
            parser->skip = !known;
            parser->remaining = parser->h.length;
            if (p == end && parser->remaining > 0)
                break;
        }
        result = take_payload(parser, &p, end, sink, arg);
    }
    parser->consumed = (size_t)(p - start);
    if (result < 0)
        parser->broken = 1;
    return result;
}
