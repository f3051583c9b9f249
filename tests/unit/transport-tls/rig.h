/* SPDX-License-Identifier: Apache-2.0 */
/* Two instances of transport-tls on one fake host, a server with a fresh certificate and a
 * client that trusts it, and sockets between them. */
#ifndef RIG_H
#define RIG_H

#include "fake_link.h"
#include "test_certs.h"
#include "transport.h"

extern const struct burrow_plugin burrow_plugin_v0;

struct rig {
    struct fake_host host;
    struct fake_transport server, client;
    struct config server_config, client_config;
    char *dir, *ca_file, *cert_file, *key_file;
    struct test_cert ca, leaf;
    int listener;
    uint16_t port;
};

int rig_setup(void **state);
int rig_teardown(void **state);

/* A dial of the rig's listener by this name; borrowed until the next call. */
struct burrow_dial rig_dial(const struct rig *rig, const char *host);
/* The server's end of the oldest connection that waits, non-blocking. */
int rig_accept_fd(const struct rig *rig);
/* A plain non-blocking TCP connection to the listener. */
int rig_connect_fd(const struct rig *rig);
/* Dials and accepts until both are open. */
void rig_open(struct rig *rig, struct burrow_link *client, struct burrow_link *server);
/* Dials, accepts, and turns until both are closed. */
void rig_fail(struct rig *rig, const char *host, struct burrow_link *client,
              struct burrow_link *server);
/* Turns until the link has closed. */
void rig_until_closed(struct rig *rig, struct burrow_link *link);
/* Aborts both and forgets them. */
void rig_drop(struct rig *rig, struct burrow_link *a, struct burrow_link *b);

#endif
