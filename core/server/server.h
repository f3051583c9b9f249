/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server: it lets clients in, keeps one session and one set of bridge listeners per
 * client id, and turns each bridge connection into a stream. server.c owns all parts;
 * internal.h shows them to each other.
 *
 *   server_create   finds and binds the plugins' instances
 *   server_start    opens the listeners
 *   server_stop     lets streams end, closes listeners and sessions; `stopped` follows
 *   server_destroy  frees; asks nothing of plugins any more after `stopped`
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "config/reload.h"
#include "plugin/plugin.h"
#include "server/options.h"

struct server;

struct server_config {
    const struct server_options *options;
    struct loop *loop;
    const struct log *log;
    struct instance *const *instances; /* created, not bound; outlive the work of the server */
    size_t instance_count;
    /* The main loop with all instances, as above, and further ones with transports, each on a
     * thread of its own; outlive the server. */
    const struct instance_group *workers;
    size_t worker_count;
    const struct reload_counts *reloads; /* for metrics; NULL: none */
    /* The end of server_stop, once, on a fresh turn. May call server_destroy. */
    void (*stopped)(void *arg);
    void *arg;
};

/* On failure err says what is missing (a transport, an auth plugin) and how to name it. */
int server_create(const struct server_config *config, struct server **ret, struct error *err);
int server_start(struct server *server, struct error *err);
/* Takes over options that server_options_check allows; those that need a restart must be as they
 * were. Limits count for what comes from now on. */
int server_reload(struct server *server, const struct server_options *options, struct error *err);
/* Lets the streams end that are there, for as long as drain-timeout says, then ends in order,
 * within two seconds. signal: its name, for the log. Calling it again ends at once. */
void server_stop(struct server *server, const char *signal);
void server_destroy(struct server *server);
/* What it does now, in a few words for people. */
void server_status(const struct server *server, char *buf, size_t size);

#endif
