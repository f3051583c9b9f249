/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of CONTROL frames share: their JSON, and what decoding it says. */
#ifndef CONTROL_TEXT_H
#define CONTROL_TEXT_H

#include "wire/control.h"
#include "wire_test.h"

#define INSTANCE "0123456789abcdef0123456789abcdef"
#define REGISTER_META                                                                              \
    "\"protocol\":2,\"instance\":\"" INSTANCE "\",\"window\":16384,\"max_frame\":65536"
#define ACK_META                                                                                   \
    "\"protocol\":2,\"window\":16384,\"max_frame\":65536,\"heartbeat_ms\":10000,"                  \
    "\"timeout_ms\":30000"
#define REGISTER(members) "{\"type\":\"register\",\"client_id\":\"pg\"" members "}"
#define REGISTER_WITH(meta) REGISTER(",\"meta\":{" REGISTER_META meta "}")
#define ACK_WITH(meta) "{\"type\":\"register_ack\",\"meta\":{" ACK_META meta "}}"

struct control decoded(const char *json);
/* Refused, with a reason that names `what`; ret is not touched. */
void assert_refused_n(const void *json, size_t n, const char *what);
void assert_refused(const char *json, const char *what);
struct control round_trip(const struct control *c);

#endif
