/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client: it dials the server, registers, keeps the session for as long as it lasts, and
 * comes back with a growing, jittered pause. Streams that the server opens are joined to the
 * client's own configured targets and to nothing else.
 *
 *   client_create   finds and binds the transports' instances
 *   client_start    begins to connect
 *   client_stop     says good-bye; `stopped` follows
 *   client_destroy  frees; asks nothing of plugins any more after `stopped`
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "client/options.h"
#include "client/proxy.h"
#include "config/reload.h"
#include "plugin/plugin.h"

struct client;

struct client_config {
    const struct client_options *options;
    struct proxy_settings proxies; /* its values are borrowed during client_create */
    struct loop *loop;
    const struct log *log;
    struct instance *const *instances; /* created, not bound; outlive the work of the client */
    size_t instance_count;
    const struct reload_counts *reloads; /* for metrics; NULL: none */
    /* The end of client_stop, once, on a fresh turn. May call client_destroy. */
    void (*stopped)(void *arg);
    void *arg;
};

/* Which way leads to the server: the URL taken apart, what is to be reached at the TCP level,
 * and the proxy for it, if any. */
int client_way(const struct client_options *options, const struct proxy_settings *proxies,
               struct server_url *ret_url, char ret_host[256], uint16_t *ret_port,
               struct proxy *ret_proxy, struct error *err);

/* On failure err says what is wrong, for example that no transport speaks the URL's scheme. */
int client_create(const struct client_config *config, struct client **ret, struct error *err);
int client_start(struct client *client, struct error *err); /* fails for --admin-addr only */
/*
 * The targets from now on, as --local-target gives them. A target of a name that was there
 * before takes over its service, id and bridge; what is missing is withdrawn, what is new is
 * added. A running session is told at once and none of its streams ends; without a session,
 * the next register carries the list. On failure (a target that does not parse, no memory)
 * nothing has changed.
 */
int client_set_targets(struct client *client, const struct burrow_list *list, struct error *err);
/* Takes over options that client_options_check allows; those that need a restart must be as they
 * were. Services change in the running session, a newer token is offered to it. On failure
 * nothing has changed. */
int client_reload(struct client *client, const struct client_options *options, struct error *err);
/* Lets the streams end that are there, for as long as drain-timeout says, then ends in order,
 * within a second. signal: its name, for the log. Calling it again ends at once. */
void client_stop(struct client *client, const char *signal);
void client_destroy(struct client *client);
/* What it does now, in a few words for people. */
void client_status(const struct client *client, char *buf, size_t size);

#endif
