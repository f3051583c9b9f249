/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and answers by grants, see grants.h. One table says which member is read how. */
#include "auth/grants.h"

#include "base/object.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRANTS_MAGIC 0x47524e30u
#define SERVICE_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define MAX_STREAMS INT64_C(1000000)
#define MAX_RATE INT64_C(1000000000000000)

typedef int read_fn(struct grants *g, const json_t *value, struct error *err);

static read_fn read_services, read_ports, read_max_streams, read_rate;

static const struct {
    const char *name;
    read_fn *read;
} MEMBERS[GRANT_COUNT] = {
    [GRANT_SERVICES] = {"services", read_services},
    [GRANT_PORTS] = {"ports", read_ports},
    [GRANT_MAX_STREAMS] = {"max_streams", read_max_streams},
    [GRANT_BYTES_PER_SECOND] = {"bytes_per_second", read_rate},
};

const char *grant_name(enum grant grant)
{
    return MEMBERS[grant].name;
}

/* ---- parsing ---- */

/* Room for the items of a list; *ret is NULL for an empty one. */
static int begin_list(const char *name, const json_t *value, size_t item, void **ret,
                      struct error *err)
{
    size_t n = json_array_size(value);
    if (!json_is_array(value))
        return error_set(err, BURROW_EINVAL, "grant %s is not a list", name);
    if (n > GRANTS_MAX_ITEMS)
        return error_set(err, BURROW_EINVAL, "grant %s has more than %u items", name,
                         GRANTS_MAX_ITEMS);
    *ret = n > 0 ? calloc(n, item) : NULL;
    if (n > 0 && *ret == NULL)
        return error_set(err, BURROW_ENOMEM, "out of memory");
    return BURROW_OK;
}

/* What a service may be named, or the beginning of such names before a "*". */
static bool is_pattern(const char *text, size_t n)
{
    size_t name = n > 0 && text[n - 1] == '*' ? n - 1 : n;
    return name < GRANTS_SERVICE_NAME && strspn(text, SERVICE_CHARACTERS) == name;
}

static int read_services(struct grants *g, const json_t *value, struct error *err)
{
    void *room = NULL;
    int r = begin_list("services", value, sizeof *g->services, &room, err);
    if (r < 0)
        return r;
    g->services = room;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        const char *text = json_string_value(item);
        if (text == NULL || !is_pattern(text, strlen(text)))
            return error_set(err, BURROW_EINVAL,
                             "grant services, item %zu: expected a name of a-z, 0-9 and hyphens, "
                             "or the beginning of one and *",
                             i + 1);
        snprintf(g->services[i], sizeof g->services[i], "%s", text);
        g->service_count++;
    }
    return BURROW_OK;
}

/* A port's digits, without a sign, spaces or zeros before them; returns what follows. */
static const char *read_port(const char *text, uint16_t *ret)
{
    uint32_t port = 0;
    if (*text < '1' || *text > '9')
        return NULL;
    for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
        port = 10 * port + (uint32_t)(*text - '0');
    *ret = (uint16_t)port;
    return port <= UINT16_MAX ? text : NULL;
}

static bool read_range(const char *text, struct grant_ports *ret)
{
    text = read_port(text, &ret->first);
    if (text == NULL || *text != '-')
        return false;
    text = read_port(text + 1, &ret->last);
    return text != NULL && *text == '\0' && ret->first <= ret->last;
}

static int read_ports(struct grants *g, const json_t *value, struct error *err)
{
    void *room = NULL;
    int r = begin_list("ports", value, sizeof *g->ports, &room, err);
    if (r < 0)
        return r;
    g->ports = room;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        json_int_t port = json_integer_value(item); /* 0 for what is none */
        bool good = json_is_string(item) ? read_range(json_string_value(item), &g->ports[i])
                                         : port >= 1 && port <= UINT16_MAX;
        if (!good)
            return error_set(err, BURROW_EINVAL,
                             "grant ports, item %zu: expected a port from 1 to 65535, or a range "
                             "like \"20000-20100\"",
                             i + 1);
        if (!json_is_string(item))
            g->ports[i] = (struct grant_ports){(uint16_t)port, (uint16_t)port};
        g->port_count++;
    }
    return BURROW_OK;
}

static int read_number(const char *name, const json_t *value, int64_t min, int64_t max,
                       int64_t *ret, struct error *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > max)
        return error_set(err, BURROW_EINVAL,
                         "grant %s: expected a whole number from %" PRId64 " to %" PRId64, name,
                         min, max);
    *ret = json_integer_value(value);
    return BURROW_OK;
}

static int read_max_streams(struct grants *g, const json_t *value, struct error *err)
{
    int64_t n = 0;
    int r = read_number("max_streams", value, 0, MAX_STREAMS, &n, err);
    g->max_streams = (uint32_t)n;
    return r;
}

static int read_rate(struct grants *g, const json_t *value, struct error *err)
{
    int64_t n = 0;
    int r = read_number("bytes_per_second", value, 1, MAX_RATE, &n, err);
    g->bytes_per_second = (uint64_t)n;
    return r;
}

static int read_member(struct grants *g, const char *name, const json_t *value, struct error *err)
{
    for (size_t i = 0; i < GRANT_COUNT; i++) {
        if (strcmp(MEMBERS[i].name, name) != 0)
            continue;
        g->has[i] = true;
        return MEMBERS[i].read(g, value, err);
    }
    return error_set(err, BURROW_EINVAL, "grant %.64s is not known to this version", name);
}

static int read_object(struct grants *g, json_t *root, struct error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(root))
        return error_set(err, BURROW_EINVAL, "the grants are not a JSON object");
    json_object_foreach(root, name, value)
    {
        int r = read_member(g, name, value, err);
        if (r < 0)
            return r;
    }
    return BURROW_OK;
}

int grants_parse(const char *json, struct grants **ret, struct error *err)
{
    if (strnlen(json, GRANTS_MAX_TEXT + 1) > GRANTS_MAX_TEXT)
        return error_set(err, BURROW_EINVAL, "the grants are longer than %u bytes",
                         GRANTS_MAX_TEXT);
    json_error_t why;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (root == NULL)
        return json_error_code(&why) == json_error_out_of_memory
                   ? error_set(err, BURROW_ENOMEM, "out of memory")
                   : error_set(err, BURROW_EINVAL, "the grants are not JSON: %s", why.text);
    struct grants *g = calloc(1, sizeof *g);
    int r = BURROW_ENOMEM;
    if (g == NULL) {
        error_set(err, r, "out of memory");
    } else {
        g->magic = GRANTS_MAGIC;
        atomic_init(&g->refs, 1);
        r = read_object(g, root, err);
    }
    json_decref(root);
    if (r == BURROW_OK)
        *ret = g;
    else
        grants_unref(g);
    return r;
}

struct grants *grants_ref(struct grants *g)
{
    if (g == NULL)
        return NULL;
    must_be(g, GRANTS_MAGIC);
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void grants_unref(struct grants *g)
{
    if (g == NULL)
        return;
    must_be(g, GRANTS_MAGIC);
    if (atomic_fetch_sub(&g->refs, 1) > 1)
        return;
    free(g->services);
    free(g->ports);
    g->magic = 0;
    free(g);
}

/* ---- asking ---- */

static bool matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n > 0 && pattern[n - 1] == '*')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

bool grants_allow_service(const struct grants *g, const char *name)
{
    if (g == NULL || !g->has[GRANT_SERVICES])
        return true;
    for (size_t i = 0; i < g->service_count; i++)
        if (matches(g->services[i], name))
            return true;
    return false;
}

bool grants_allow_port(const struct grants *g, uint16_t port)
{
    return port != 0 && grants_next_port(g, port) == port;
}

uint16_t grants_next_port(const struct grants *g, uint16_t from)
{
    uint16_t least = 0;
    if (g == NULL || !g->has[GRANT_PORTS])
        return from > 0 ? from : 1;
    for (size_t i = 0; i < g->port_count; i++) {
        uint16_t port = g->ports[i].first > from ? g->ports[i].first : from;
        if (g->ports[i].last >= from && (least == 0 || port < least))
            least = port;
    }
    return least;
}

uint32_t grants_max_streams(const struct grants *g, uint32_t server_limit)
{
    bool less = g != NULL && g->has[GRANT_MAX_STREAMS] && g->max_streams < server_limit;
    return less ? g->max_streams : server_limit;
}

uint64_t grants_bytes_per_second(const struct grants *g)
{
    return g != NULL ? g->bytes_per_second : 0;
}

/* ---- telling ---- */

struct text {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->at, t->left, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left - 1;
    t->at += used;
    t->left -= used;
}

const char *grants_describe(const struct grants *g, char buf[GRANTS_TEXT])
{
    struct text t = {buf, GRANTS_TEXT};
    buf[0] = '\0';
    if (g == NULL)
        return buf;
    if (g->has[GRANT_SERVICES])
        add(&t, "services=");
    for (size_t i = 0; i < g->service_count; i++)
        add(&t, "%s%s", i > 0 ? "," : "", g->services[i]);
    if (g->has[GRANT_PORTS])
        add(&t, "%sports=", t.at > buf ? " " : "");
    for (size_t i = 0; i < g->port_count; i++)
        add(&t, "%s%u-%u", i > 0 ? "," : "", g->ports[i].first, g->ports[i].last);
    if (g->has[GRANT_MAX_STREAMS])
        add(&t, "%smax_streams=%" PRIu32, t.at > buf ? " " : "", g->max_streams);
    if (g->has[GRANT_BYTES_PER_SECOND])
        add(&t, "%sbytes_per_second=%" PRIu64, t.at > buf ? " " : "", g->bytes_per_second);
    return buf;
}
