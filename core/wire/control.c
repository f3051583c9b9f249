/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CONTROL frames to and from struct control. One table says which member a type has, where
 * it is kept and what it may be; decoder and encoder both walk it, so that neither takes
 * what the other would not write.
 */
#include "wire/control.h"

#include "wire/frame.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 8
#define MAX_TOKEN 8192 /* bytes; longer than any JWT that is accepted */
#define DAY_MS 86400000

enum form {
    FORM_STRING, /* at most size - 1 bytes */
    FORM_TEXT,   /* for people: cut to size - 1 bytes */
    FORM_NAME,   /* a string of [a-z0-9-] */
    FORM_HEX,    /* a string of exactly size - 1 hex digits */
    FORM_TOKEN,  /* char *, malloc'ed */
    FORM_U16,
    FORM_U32,
    FORM_I64,
};

#define IN_REGISTER (1u << CONTROL_REGISTER)
#define IN_ACK (1u << CONTROL_REGISTER_ACK)
#define IN_ERROR (1u << CONTROL_ERROR)
#define IN_SERVICES (1u << CONTROL_SERVICES)
#define IN_SERVICES_ACK (1u << CONTROL_SERVICES_ACK)
#define IN_TOKEN (1u << CONTROL_TOKEN)
#define IN_TOKEN_ACK (1u << CONTROL_TOKEN_ACK)
#define IN_DRAIN (1u << CONTROL_DRAIN)
#define HAS_SERIAL (IN_SERVICES | IN_SERVICES_ACK | IN_TOKEN | IN_TOKEN_ACK)
#define IN_OPEN (1u << CONTROL_OPEN)
#define IN_OPEN_ACK (1u << CONTROL_OPEN_ACK)
#define IN_CLOSE (1u << CONTROL_CLOSE)

struct member {
    const char *name;
    enum form form;
    unsigned types;    /* that have it */
    unsigned required; /* types that must have it: min is 1 or more, so 0 is "not there" */
    size_t offset, size;
    int64_t min, max; /* of the numbers that may be sent; strings: of their length */
};

static const struct {
    const char *name;
    enum control_type type;
} TYPES[] = {
    {"register", CONTROL_REGISTER},
    {"register_ack", CONTROL_REGISTER_ACK},
    {"error", CONTROL_ERROR},
    {"services", CONTROL_SERVICES},
    {"services_ack", CONTROL_SERVICES_ACK},
    {"token", CONTROL_TOKEN},
    {"token_ack", CONTROL_TOKEN_ACK},
    {"drain", CONTROL_DRAIN},
    {"open", CONTROL_OPEN},
    {"open_ack", CONTROL_OPEN_ACK},
    {"close", CONTROL_CLOSE},
    {"heartbeat", CONTROL_HEARTBEAT},
    {"heartbeat_ack", CONTROL_HEARTBEAT_ACK},
};

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)

static const struct member TOP[] = {
    {"stream_id", FORM_I64, IN_OPEN | IN_OPEN_ACK | IN_CLOSE | IN_ERROR, 0, AT(control, stream_id),
     0, INT64_MAX},
    {"client_id", FORM_STRING, IN_REGISTER, IN_REGISTER, AT(control, client_id), 1,
     CONTROL_MAX_CLIENT_ID},
    {"target", FORM_STRING, IN_REGISTER | IN_OPEN, 0, AT(control, target), 0, 255},
    {"session_id", FORM_STRING, IN_ACK, 0, AT(control, session_id), 0, 63},
    {"previous_session_id", FORM_STRING, IN_REGISTER | IN_ACK, 0, AT(control, previous_session_id),
     0, 63},
    {"code", FORM_STRING, IN_ERROR | IN_TOKEN_ACK, 0, AT(control, code), 0, 31},
    {"message", FORM_TEXT, IN_ERROR, 0, AT(control, message), 0, 255},
    {"serial", FORM_U32, HAS_SERIAL, HAS_SERIAL, AT(control, serial), 1, UINT32_MAX},
    {"token", FORM_TOKEN, IN_TOKEN, IN_TOKEN, AT(control, token), 1, MAX_TOKEN},
    {"expires_ms", FORM_I64, IN_TOKEN_ACK, 0, AT(control, expires_ms), 0, INT64_MAX},
    {"deadline_ms", FORM_U32, IN_DRAIN, 0, AT(control, deadline_ms), 0, UINT32_MAX},
};

/* What must be there must be there from protocol 2 on. */
static const struct member META[] = {
    {"protocol", FORM_U32, IN_REGISTER | IN_ACK, IN_REGISTER | IN_ACK, AT(control, protocol), 1,
     UINT32_MAX},
    {"instance", FORM_HEX, IN_REGISTER, IN_REGISTER, AT(control, instance), 32, 32},
    {"agent", FORM_TEXT, IN_REGISTER | IN_ACK, 0, AT(control, agent), 0, 63},
    {"window", FORM_U32, IN_REGISTER | IN_ACK, IN_REGISTER | IN_ACK, AT(control, window), 1,
     UINT32_MAX},
    {"max_frame", FORM_U32, IN_REGISTER | IN_ACK, IN_REGISTER | IN_ACK, AT(control, max_frame),
     FRAME_LEAST_MAX_PAYLOAD, UINT32_MAX},
    {"heartbeat_ms", FORM_U32, IN_ACK, IN_ACK, AT(control, heartbeat_ms), 1, DAY_MS},
    {"timeout_ms", FORM_U32, IN_ACK, IN_ACK, AT(control, timeout_ms), 1, DAY_MS},
    {"expires_ms", FORM_I64, IN_ACK, 0, AT(control, expires_ms), 0, INT64_MAX},
    {"token", FORM_TOKEN, IN_REGISTER, 0, AT(control, token), 0, MAX_TOKEN},
};

/* A service is offered by one side and answered by the other, both with and without a
 * register around it. */
#define OFFERED (IN_REGISTER | IN_SERVICES)
#define ANSWERED (IN_ACK | IN_SERVICES_ACK)
#define ANY_SERVICE (OFFERED | ANSWERED)

static const struct member SERVICE[] = {
    {"id", FORM_U16, ANY_SERVICE, ANY_SERVICE, AT(control_service, id), 1, UINT16_MAX},
    {"name", FORM_NAME, OFFERED, 0, AT(control_service, name), 0, 63},
    {"target", FORM_STRING, OFFERED, 0, AT(control_service, target), 0, 255},
    {"port", FORM_U16, OFFERED, 0, AT(control_service, port), 0, UINT16_MAX},
    {"bridge", FORM_STRING, ANSWERED, 0, AT(control_service, bridge), 0, 63},
    {"code", FORM_STRING, ANSWERED, 0, AT(control_service, code), 0, 31},
    {"message", FORM_TEXT, ANSWERED, 0, AT(control_service, message), 0, 127},
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* Do the characters suit the form? */
static bool string_fits(const struct member *m, const char *s, size_t n)
{
    static const char *const allowed[] = {
        [FORM_NAME] = "abcdefghijklmnopqrstuvwxyz0123456789-",
        [FORM_HEX] = "0123456789abcdefABCDEF",
    };
    if (n < (size_t)m->min || n > (size_t)m->max)
        return false;
    return m->form == FORM_NAME || m->form == FORM_HEX ? strspn(s, allowed[m->form]) == n : true;
}

static void set_number(const struct member *m, void *base, json_int_t v)
{
    void *const at = (char *)base + m->offset;
    if (m->form == FORM_U16)
        *(uint16_t *)at = (uint16_t)v;
    else if (m->form == FORM_U32)
        *(uint32_t *)at = (uint32_t)v;
    else
        *(int64_t *)at = v;
}

static json_int_t get_number(const struct member *m, const void *base)
{
    const void *const at = (const char *)base + m->offset;
    if (m->form == FORM_U16)
        return *(const uint16_t *)at;
    if (m->form == FORM_U32)
        return *(const uint32_t *)at;
    return *(const int64_t *)at;
}

static int decode_number(const struct member *m, const json_t *value, void *base, struct error *err)
{
    if (!json_is_integer(value))
        return error_set(err, BURROW_EPROTO, "control: %s is not an integer", m->name);
    const json_int_t v = json_integer_value(value);
    if (v < m->min || v > m->max)
        return error_set(err, BURROW_EPROTO, "control: %s is not in %" PRId64 "..%" PRId64, m->name,
                         m->min, m->max);
    set_number(m, base, v);
    return 0;
}

/* Bytes of s[0..n) that fit in max without cutting a character of UTF-8. */
static size_t cut(const char *s, size_t n, size_t max)
{
    if (n <= max)
        return n;
    while (max > 0 && ((unsigned char)s[max] & 0xC0) == 0x80)
        max--;
    return max;
}

static int decode_string(const struct member *m, const json_t *value, void *base, struct error *err)
{
    char *const at = (char *)base + m->offset;
    if (!json_is_string(value))
        return error_set(err, BURROW_EPROTO, "control: %s is not a string", m->name);
    const char *const s = json_string_value(value);
    size_t n = json_string_length(value);
    if (m->form == FORM_TEXT)
        n = cut(s, n, (size_t)m->max);
    if (!string_fits(m, s, n))
        return error_set(err, BURROW_EPROTO, "control: %s has a wrong length or character",
                         m->name);
    if (m->form != FORM_TOKEN) {
        memcpy(at, s, n); /* the rest is zero already */
        return 0;
    }
    char *const token = strndup(s, n);
    if (token == NULL)
        return error_set(err, BURROW_ENOMEM, "control: out of memory");
    *(char **)(void *)at = token;
    return 0;
}

static int decode_members(const struct member *table, size_t count, unsigned type,
                          const json_t *object, void *base, struct error *err)
{
    for (const struct member *m = table; m < table + count; m++) {
        if ((m->types & type) == 0)
            continue;
        const json_t *const value = json_object_get(object, m->name);
        int r = 0;
        if (value == NULL) {
            if ((m->required & type) != 0)
                r = error_set(err, BURROW_EPROTO, "control: %s is missing", m->name);
        } else if (m->form >= FORM_U16) {
            r = decode_number(m, value, base, err);
        } else {
            r = decode_string(m, value, base, err);
        }
        if (r != 0)
            return r;
    }
    return 0;
}

static int decode_services(struct control *c, unsigned type, const json_t *services,
                           struct error *err)
{
    if (!json_is_array(services)) /* NULL is none */
        return error_set(err, BURROW_EPROTO, "control: services is not an array");
    if (json_array_size(services) > CONTROL_MAX_SERVICES)
        return error_set(err, BURROW_EPROTO, "control: more than %d services",
                         CONTROL_MAX_SERVICES);
    for (size_t i = 0; i < json_array_size(services); i++) {
        struct control_service *const service = &c->services[i];
        const json_t *const value = json_array_get(services, i);
        if (!json_is_object(value))
            return error_set(err, BURROW_EPROTO, "control: a service is not an object");
        const int r = decode_members(SERVICE, COUNT(SERVICE), type, value, service, err);
        if (r != 0)
            return r;
        for (size_t j = 0; j < i; j++) {
            if (c->services[j].id == service->id)
                return error_set(err, BURROW_EPROTO, "control: two services have one id");
        }
        c->service_count++;
    }
    return 0;
}

/* No feature exists yet, so the list is looked at and forgotten. */
static int check_features(const json_t *features, struct error *err)
{
    if (!json_is_array(features))
        return error_set(err, BURROW_EPROTO, "control: features is not an array");
    for (size_t i = 0; i < json_array_size(features); i++) {
        if (!json_is_string(json_array_get(features, i)))
            return error_set(err, BURROW_EPROTO, "control: a feature is not a string");
    }
    return 0;
}

static int decode_meta(struct control *c, unsigned type, const json_t *meta, struct error *err)
{
    if (!json_is_object(meta))
        return error_set(err, BURROW_EPROTO, "control: meta is not an object");
    const json_t *const protocol = json_object_get(meta, "protocol");
    if (protocol == NULL)
        return 0; /* a version 1 peer's own */
    int r = decode_number(&META[0], protocol, c, err);
    if (r != 0)
        return r;
    c->has_meta = true;
    if (c->protocol < FRAME_V2)
        return 0;
    r = decode_members(META, COUNT(META), type, meta, c, err);
    if (r != 0)
        return r;
    if (c->max_frame > FRAME_MAX_PAYLOAD)
        c->max_frame = FRAME_MAX_PAYLOAD; /* no more is ever sent */
    const json_t *const features = json_object_get(meta, "features");
    r = features != NULL ? check_features(features, err) : 0;
    if (r != 0)
        return r;
    const json_t *const services = json_object_get(meta, "services");
    return services != NULL ? decode_services(c, type, services, err) : 0;
}

static int decode_type(struct control *c, const json_t *root, struct error *err)
{
    const json_t *const type = json_object_get(root, "type");
    if (!json_is_string(type))
        return error_set(err, BURROW_EPROTO, "control: type is missing or not a string");
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (strcmp(json_string_value(type), TYPES[i].name) == 0)
            c->type = TYPES[i].type;
    }
    return 0;
}

static int decode_object(struct control *c, const json_t *root, struct error *err)
{
    if (!json_is_object(root))
        return error_set(err, BURROW_EPROTO, "control: not a JSON object");
    int r = decode_type(c, root, err);
    if (r != 0 || c->type == CONTROL_UNKNOWN)
        return r;
    const unsigned type = 1u << c->type;
    r = decode_members(TOP, COUNT(TOP), type, root, c, err);
    if (r != 0)
        return r;
    if ((type & (IN_SERVICES | IN_SERVICES_ACK)) != 0)
        return decode_services(c, type, json_object_get(root, "services"), err);
    const json_t *const meta = json_object_get(root, "meta");
    if (meta == NULL || (type & (IN_REGISTER | IN_ACK)) == 0)
        return 0;
    return decode_meta(c, type, meta, err);
}

/* Brackets outside strings; what is no JSON is found by the parser afterwards. jansson has a
 * limit too, but of thousands, and its parser recurses. */
static bool too_deep(const char *p, size_t n)
{
    bool in_string = false;
    unsigned depth = 0;
    for (size_t i = 0; i < n; i++) {
        if (in_string && p[i] == '\\')
            i++;
        else if (p[i] == '"')
            in_string = !in_string;
        else if (!in_string && (p[i] == '{' || p[i] == '[') && ++depth > MAX_DEPTH)
            return true;
        else if (!in_string && (p[i] == '}' || p[i] == ']') && depth > 0)
            depth--;
    }
    return false;
}

int control_decode(struct control *ret, const void *p, size_t n, struct error *err)
{
    if (n > FRAME_MAX_CONTROL)
        return error_set(err, BURROW_EPROTO, "control: more than %u bytes", FRAME_MAX_CONTROL);
    if (n == 0 || too_deep(p, n))
        return error_set(err, BURROW_EPROTO, "control: empty, or nested deeper than %d", MAX_DEPTH);
    /* jansson's own text may quote the input, and with it a token. */
    json_error_t where;
    json_t *const root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return error_set(err, BURROW_EPROTO, "control: %s, at byte %d",
                         json_error_code(&where) == json_error_duplicate_key
                             ? "a member stands twice"
                             : "not JSON",
                         where.position);
    struct control c = {0};
    const int r = decode_object(&c, root, err);
    json_decref(root);
    if (r != 0) {
        control_finish(&c);
        return r;
    }
    *ret = c;
    return 0;
}

void control_finish(struct control *c)
{
    if (c->token != NULL)
        explicit_bzero(c->token, strlen(c->token));
    free(c->token);
    c->token = NULL;
}

/* The value of a member that is set; NULL with *ret_bad when it is wrong, else not set. */
static json_t *encode_value(const struct member *m, bool required, const void *base, bool *ret_bad)
{
    if (m->form >= FORM_U16) {
        const json_int_t v = get_number(m, base);
        if (v == 0 && !required)
            return NULL;
        *ret_bad = v < m->min || v > m->max;
        return *ret_bad ? NULL : json_integer(v);
    }
    const char *s = (const char *)base + m->offset;
    size_t room = m->size;
    if (m->form == FORM_TOKEN) {
        s = *(const char *const *)(const void *)s;
        room = MAX_TOKEN + 1;
    }
    if (s == NULL || (s[0] == '\0' && !required && m->form != FORM_TOKEN))
        return NULL;
    const size_t n = strnlen(s, room);
    *ret_bad = n == room || !string_fits(m, s, n);
    json_t *const value = *ret_bad ? NULL : json_stringn(s, n);
    *ret_bad = value == NULL; /* no UTF-8 */
    return value;
}

static int encode_members(const struct member *table, size_t count, unsigned type, const void *base,
                          json_t *object)
{
    for (const struct member *m = table; m < table + count; m++) {
        if ((m->types & type) == 0)
            continue;
        const bool required = (m->required & type) != 0;
        bool bad = false;
        json_t *const value = encode_value(m, required, base, &bad);
        if (bad || (value == NULL && required))
            return BURROW_EINVAL;
        if (value != NULL && json_object_set_new(object, m->name, value) != 0)
            return BURROW_EINVAL;
    }
    return 0;
}

static int encode_services(const struct control *c, unsigned type, json_t *object)
{
    json_t *const services = json_array();
    if (services == NULL || json_object_set_new(object, "services", services) != 0)
        return BURROW_ENOMEM;
    for (size_t i = 0; i < c->service_count; i++) {
        json_t *const service = json_object();
        if (service == NULL || json_array_append_new(services, service) != 0)
            return BURROW_ENOMEM;
        const int r = encode_members(SERVICE, COUNT(SERVICE), type, &c->services[i], service);
        if (r != 0)
            return r;
    }
    return 0;
}

static int encode_meta(const struct control *c, unsigned type, json_t *root)
{
    json_t *const meta = json_object();
    if (meta == NULL || json_object_set_new(root, "meta", meta) != 0)
        return BURROW_ENOMEM;
    if (c->protocol < FRAME_V2)
        return encode_members(META, 1, type, c, meta);
    const int r = encode_members(META, COUNT(META), type, c, meta);
    if (r != 0)
        return r;
    if (json_object_set_new(meta, "features", json_array()) != 0)
        return BURROW_ENOMEM;
    return encode_services(c, type, meta);
}

static int encode_object(const struct control *c, json_t *root)
{
    const char *name = NULL;
    const unsigned type = 1u << c->type;
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        if (TYPES[i].type == c->type)
            name = TYPES[i].name;
    }
    if (name == NULL || c->service_count > CONTROL_MAX_SERVICES)
        return BURROW_EINVAL;
    if (json_object_set_new(root, "type", json_string(name)) != 0)
        return BURROW_ENOMEM;
    const int r = encode_members(TOP, COUNT(TOP), type, c, root);
    if (r == 0 && (type & (IN_SERVICES | IN_SERVICES_ACK)) != 0)
        return encode_services(c, type, root);
    if (r != 0 || !c->has_meta || (type & (IN_REGISTER | IN_ACK)) == 0)
        return r;
    return encode_meta(c, type, root);
}

int control_encode(const struct control *c, char **ret_text, size_t *ret_len)
{
    /* Dumped into room of the largest size at once: growing would leave copies of the token
     * behind. */
    char *const text = malloc(FRAME_MAX_CONTROL + 1);
    json_t *const root = json_object();
    int r = text != NULL && root != NULL ? encode_object(c, root) : BURROW_ENOMEM;
    if (r == 0) {
        const size_t n = json_dumpb(root, text, FRAME_MAX_CONTROL, JSON_COMPACT);
        if (n == 0 || n > FRAME_MAX_CONTROL) {
            explicit_bzero(text, FRAME_MAX_CONTROL);
            r = BURROW_ENOMEM;
        } else {
            text[n] = '\0';
            *ret_text = text;
            *ret_len = n;
        }
    }
    json_decref(root);
    if (r != 0)
        free(text);
    return r;
}

void control_text_free(char *text, size_t len)
{
    if (text != NULL)
        explicit_bzero(text, len);
    free(text);
}
