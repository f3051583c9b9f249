/* SPDX-License-Identifier: Apache-2.0 */
/* One connection from this machine to the API server, its bytes in bounded buffers. */
#ifndef COMMAND_EXPOSE_PASSAGE_H
#define COMMAND_EXPOSE_PASSAGE_H

#include "kubernetes/client.h"

#include <burrow/plugin.h>
#include <stddef.h>

#define PASSAGE_SECRET 32u /* hexadecimal digits */
#define PASSAGES_MAX 8u

struct passage;

struct passages {
    const struct burrow_host *host;
    struct kube_client *client;
    const char *path;
    char secret[PASSAGE_SECRET + 1];
    struct passage *all[PASSAGES_MAX];
};

/* Takes fd; closes it when there are too many already. */
void passage_begin(struct passages *passages, int fd);
void passages_end(struct passages *passages);

/* The head that goes to the API server instead of the client's: its request line is ours, as are
 * Host and Authorization (NULL: none); the other fields are the client's. `head` ends with its
 * empty line. The length, or 0 when the client's does not ask for the secret or does not fit. */
size_t passage_head(const char *head, const char *secret, const char *path, const char *host,
                    const char *authorization, char *buf, size_t size);

#endif
