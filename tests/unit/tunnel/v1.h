/* SPDX-License-Identifier: Apache-2.0 */
/* Two sessions of version 1 of the wire against each other, and the messages of a peer by hand. */
#ifndef TEST_TUNNEL_V1_H
#define TEST_TUNNEL_V1_H

#include "pair.h"
#include "wire/control.h"

#define MIB (1u << 20)
#define V1_HEARTBEAT_MS 10000u
#define V1_TIMEOUT_MS 30000u

int v1_setup(void **state);
/* This control reaches a side as the peer's. */
void v1_control(struct pair *p, int side, const char *json);
/* A DATA frame with n zeroes into p; its length. */
size_t v1_put_data(uint8_t *p, uint64_t stream, uint32_t n);
/* How many controls of the type wait in a side's inbox, as the other has sent them. */
int v1_count_controls(const struct pair *p, int side, enum control_type type);

#endif
