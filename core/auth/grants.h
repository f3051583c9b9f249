/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants: what the identity behind a verdict may do, read from the JSON object that an auth
 * plugin gave (burrow_verdict.grants_json). Parsing and asking only; who enforces them is
 * server/permit.c.
 *
 *   {"services": ["pg", "web-*"], "ports": [15432, "20000-20100"],
 *    "max_streams": 50, "bytes_per_second": 1048576}
 *
 * An absent member sets no limit, an empty list allows nothing. Whatever is unknown, of a
 * wrong type or there twice is an error, and the identity is not let in: to pass it over
 * would give more than was meant. include/burrow/auth.h has the format for plugins' authors.
 */
#ifndef AUTH_GRANTS_H
#define AUTH_GRANTS_H

#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>

#define GRANTS_MAX_TEXT 8192u /* bytes of JSON */
#define GRANTS_MAX_ITEMS 64u  /* of services, and of ports */
#define GRANTS_SERVICE_NAME 64
#define GRANTS_TEXT 512 /* for grants_describe */

/* The members, which are what a refusal is counted under. */
enum grant { GRANT_SERVICES, GRANT_PORTS, GRANT_MAX_STREAMS, GRANT_BYTES_PER_SECOND, GRANT_COUNT };

struct grant_ports {
    uint16_t first, last;
};

/* Immutable once parsed, shared by reference, among threads too. */
struct grants {
    uint32_t magic;
    atomic_uint refs;
    bool has[GRANT_COUNT];
    size_t service_count, port_count;
    char (*services)[GRANTS_SERVICE_NAME + 1]; /* a name, or a beginning of names and "*" */
    struct grant_ports *ports;
    uint32_t max_streams;
    uint64_t bytes_per_second;
};

/* BURROW_EINVAL, with a reason in err that names the member, or BURROW_ENOMEM. *ret has one
 * reference. */
int grants_parse(const char *json, struct grants **ret, struct error *err);
/* NULL stands for "no limits" everywhere below, and is allowed. */
struct grants *grants_ref(struct grants *grants);
void grants_unref(struct grants *grants);

bool grants_allow_service(const struct grants *grants, const char *name);
bool grants_allow_port(const struct grants *grants, uint16_t port);
/* The least allowed port from `from` on, 0: none. For who chooses ports. */
uint16_t grants_next_port(const struct grants *grants, uint16_t from);
/* The lesser of both. */
uint32_t grants_max_streams(const struct grants *grants, uint32_t server_limit);
uint64_t grants_bytes_per_second(const struct grants *grants); /* 0: no limit */

const char *grant_name(enum grant grant);
/* All of it in one line for the log, cut to fit; "" for no limits. */
const char *grants_describe(const struct grants *grants, char buf[GRANTS_TEXT]);

#endif
