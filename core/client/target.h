/* SPDX-License-Identifier: Apache-2.0 */
/* A local target: what the client's user named, and the only thing a stream is joined to. */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include "base/address.h"

struct target {
    uint16_t id; /* of the service on the wire */
    char name[64];
    char text[256]; /* as given, without the name */
    struct endpoint endpoint;
};

/* [NAME=]HOST:PORT or [NAME=]unix:PATH; NAME is of a-z, 0-9 and hyphens. */
int target_parse(const char *text, uint16_t id, struct target *ret, struct error *err);

#endif
