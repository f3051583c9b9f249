/* SPDX-License-Identifier: Apache-2.0 */
/* The names under which a client is known to Kubernetes, the same as Burrow 0.5's. Pure. */
#ifndef REGISTRY_KUBERNETES_NAMES_H
#define REGISTRY_KUBERNETES_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVICE_NAME_ROOM 64
#define PORT_NAME_ROOM 16
#define HASH_ROOM 9

/* "burrow-client-SLUG-HASH": the id in lower case with each run outside [a-z0-9] made one hyphen,
 * cut to 40, and the 32-bit FNV-1a of the raw id in hexadecimal. */
const char *service_name(const char *client_id, char buf[SERVICE_NAME_ROOM]);
const char *client_hash(const char *client_id, char buf[HASH_ROOM]);

/* May stand as the value of a label: at most 63 of [A-Za-z0-9._-], alphanumeric at both ends. */
bool is_label_value(const char *text);

/* The name of a Service's port: that of the service where it may be one (at most 15 of [a-z0-9-]
 * with a letter, RFC 6335 5.1), "tcp" for the only service without a name, else "tcp-PORT". */
const char *port_name(const char *service, uint16_t bridge_port, char buf[PORT_NAME_ROOM]);

/* The port of "HOST:PORT"; 80 where there is none (a Unix socket). */
uint16_t target_port(const char *target);

#endif
