/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way through the API server: a listener on loopback whose connections become one request to
 * the API server, with the cluster's credentials, for one path; what follows is passed on as it
 * is. So `burrow client` needs to know nothing of Kubernetes.
 *
 * Whoever may connect to a port of this machine could use it; therefore the URL has a random part,
 * without which a connection is closed, and no other path than the server's can be asked for.
 */
#ifndef COMMAND_EXPOSE_FORWARD_H
#define COMMAND_EXPOSE_FORWARD_H

#include "kubernetes/client.h"

#include <burrow/plugin.h>

struct forward;

/* `path` is asked of the API server; both it and the client are borrowed until destroy.
 * Negative results have been explained. */
int forward_create(const struct burrow_host *host, struct kube_client *client, const char *path,
                   struct forward **ret);
void forward_destroy(struct forward *forward); /* NULL is allowed */
/* "ws://127.0.0.1:PORT/RANDOM" */
const char *forward_url(const struct forward *forward);

#endif
