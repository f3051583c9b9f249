/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances of transport-ws on one fake host: a server and a client, plain or with TLS, and
 * sockets between them or from the test itself, which then speaks for one side byte by byte.
 */
#ifndef RIG_H
#define RIG_H

#include "fake_link.h"
#include "test_certs.h"
#include "ws.h"

extern const struct burrow_plugin burrow_plugin_v0;

struct rig {
    struct fake_host host;
    struct fake_transport server, client;
    struct ws_config server_config, client_config;
    char *dir, *ca_file, *cert_file, *key_file;
    struct test_cert ca, leaf;
    int listener;
    uint16_t port;
    bool tls;
};

int rig_setup_plain(void **state);
int rig_setup_tls(void **state);
int rig_teardown(void **state);

/* A dial of the rig's listener; borrowed until the next call. */
struct burrow_dial rig_dial(const struct rig *rig);
/* The server's end of the oldest connection that waits, non-blocking. */
int rig_accept_fd(const struct rig *rig);
/* Dials and accepts until both are open; the server admits everyone in the same call. */
void rig_open(struct rig *rig, struct burrow_link *client, struct burrow_link *server);
/* Dials and accepts, nothing more. */
void rig_begin(struct rig *rig, struct burrow_link *client, struct burrow_link *server);
void rig_until_closed(struct rig *rig, struct burrow_link *link);
/* Turns until the link's counter has reached n. */
void rig_until(struct rig *rig, const unsigned *counter, unsigned n);
void rig_until_bytes(struct rig *rig, const struct burrow_link *link, uint64_t n);
/* Aborts both and forgets them; b may be NULL. */
void rig_drop(struct rig *rig, struct burrow_link *a, struct burrow_link *b);

/* For link->on_authenticate. */
void admit_at_once(struct burrow_link *link, const struct burrow_credential *credential);

/* A test's own end of a connection: plain TCP to the listener, accepted by the server as link. */
int rig_raw(struct rig *rig, struct burrow_link *link);
void raw_send(int fd, const void *p, size_t n);
void raw_send_text(int fd, const char *text);
/* Turns until so many bytes, or the end, have come; returns how many. */
size_t raw_read(struct rig *rig, int fd, void *p, size_t n);
/* All that comes until the end, as a string in buf. */
void raw_read_all(struct rig *rig, int fd, char *buf, size_t size);
/* A raw connection that has been upgraded. */
int rig_raw_open(struct rig *rig, struct burrow_link *link);

#endif
